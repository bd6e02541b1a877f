package dev.rowtide.androidx

import androidx.room.Dao
import androidx.room.Database
import androidx.room.Delete
import androidx.room.Embedded
import androidx.room.Entity
import androidx.room.ForeignKey
import androidx.room.Index
import androidx.room.Insert
import androidx.room.PrimaryKey
import androidx.room.Query
import androidx.room.Relation
import androidx.room.RoomDatabase
import androidx.room.Transaction
import androidx.room.Update
import androidx.room.Upsert
import kotlinx.coroutines.flow.Flow

/** The app's first version. */
@Entity(tableName = "notes")
data class FirstNote(@PrimaryKey val id: String, val title: String)

@Dao
interface FirstNoteDao {
    @Insert
    suspend fun insert(note: FirstNote)
}

@Database(entities = [FirstNote::class], version = 1, exportSchema = false)
abstract class FirstNotesDatabase : RoomDatabase() {
    abstract fun notes(): FirstNoteDao
}

/** The app's second version. */
@Entity(tableName = "notes")
data class Note(@PrimaryKey val id: String, val title: String, val stars: Long? = null, val body: ByteArray? = null)

/** A table that is not synchronised. */
@Entity(
    tableName = "marks",
    foreignKeys = [
        ForeignKey(
            entity = Note::class,
            parentColumns = ["id"],
            childColumns = ["note"],
            onDelete = ForeignKey.CASCADE,
        ),
    ],
    indices = [Index("note")],
)
data class Mark(@PrimaryKey(autoGenerate = true) val id: Long = 0, val note: String, val weight: Double)

data class MarkedNote(
    @Embedded val note: Note,
    @Relation(parentColumn = "id", entityColumn = "note") val marks: List<Mark>,
)

@Dao
interface NoteDao {
    @Insert
    suspend fun insert(note: Note): Long

    @Insert
    suspend fun insertAll(notes: List<Note>): List<Long>

    @Insert
    suspend fun mark(mark: Mark): Long

    @Update
    suspend fun update(note: Note): Int

    @Upsert
    suspend fun upsert(note: Note)

    @Delete
    suspend fun delete(note: Note): Int

    @Query("UPDATE notes SET stars = stars + 1 WHERE title LIKE :pattern")
    suspend fun star(pattern: String): Int

    @Query("SELECT * FROM notes WHERE id = :id")
    suspend fun find(id: String): Note?

    @Query("SELECT * FROM notes ORDER BY id")
    suspend fun all(): List<Note>

    @Query("SELECT title FROM notes ORDER BY id")
    fun titles(): Flow<List<String>>

    @Query("SELECT count(*) FROM notes")
    suspend fun count(): Long

    @Transaction
    @Query("SELECT * FROM notes ORDER BY id")
    suspend fun marked(): List<MarkedNote>

    @Query("SELECT weight FROM marks")
    suspend fun weights(): List<Double>

    @Transaction
    suspend fun replaceAll(notes: List<Note>) {
        clear()
        insertAll(notes)
    }

    @Query("DELETE FROM notes")
    suspend fun clear()
}

@Database(entities = [Note::class, Mark::class], version = 2, exportSchema = false)
abstract class NotesDatabase : RoomDatabase() {
    abstract fun notes(): NoteDao
}
