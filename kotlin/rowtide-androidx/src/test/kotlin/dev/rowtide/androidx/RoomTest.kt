package dev.rowtide.androidx

import androidx.room.Room
import androidx.room.RoomDatabase
import androidx.room.immediateTransaction
import androidx.room.migration.Migration
import androidx.room.useReaderConnection
import androidx.room.useWriterConnection
import androidx.sqlite.SQLiteConnection
import androidx.sqlite.SQLiteException
import androidx.sqlite.execSQL
import dev.rowtide.NOTES
import dev.rowtide.Rowtide
import dev.rowtide.TestServer
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Path

class RoomTest(@param:TempDir private val folder: Path) {
    private val path = folder.resolve("app.db").toString()
    private val database = Rowtide.openDatabaseBlocking(path)
    private val driver = RowtideSQLiteDriver(database)

    private inline fun <reified T : RoomDatabase> room(vararg migrations: Migration): T =
        Room.databaseBuilder<T>(path).setDriver(driver).setQueryCoroutineContext(Dispatchers.IO)
            .addMigrations(*migrations).build()

    private val toSecond = object : Migration(1, 2) {
        override fun migrate(connection: SQLiteConnection) {
            connection.execSQL("ALTER TABLE notes ADD COLUMN stars INTEGER")
            connection.execSQL("ALTER TABLE notes ADD COLUMN body BLOB")
            connection.execSQL(
                "CREATE TABLE marks (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, note TEXT NOT NULL, " +
                    "weight REAL NOT NULL, FOREIGN KEY(note) REFERENCES notes(id) ON DELETE CASCADE)",
            )
            connection.execSQL("CREATE INDEX index_marks_note ON marks (note)")
        }
    }

    @AfterEach
    fun close() = database.close()

    @Test
    fun `Room creates its tables, and migrates them with the app's next version`() = runBlocking {
        room<FirstNotesDatabase>().apply { notes().insert(FirstNote("n1", "one")) }.close()
        val unready = room<NotesDatabase>()
        val refused = runCatching { unready.notes().all() }.exceptionOrNull()
        assertTrue(refused is IllegalStateException && "migration" in refused.message!!, "$refused")
        unready.close()
        val notes = room<NotesDatabase>(toSecond)
        notes.notes().upsert(Note("n1", "one", stars = 5))
        assertEquals(5L, notes.notes().find("n1")?.stars)
        assertEquals(2L, database.query("PRAGMA user_version").single().long(0))
        notes.close()
    }

    @Test
    fun `what a DAO writes it reads`() = runBlocking {
        val room = room<NotesDatabase>()
        val notes = room.notes()
        assertEquals(1L, notes.insert(Note("n1", "one", body = byteArrayOf(1, 2))))
        assertEquals(listOf(2L, 3L), notes.insertAll(listOf(Note("n2", "two"), Note("n3", "three", stars = 3))))
        notes.upsert(Note("n1", "uno", stars = 1, body = byteArrayOf(3)))
        notes.upsert(Note("n4", "four"))
        assertEquals(1, notes.update(Note("n2", "dos", stars = 2)))
        assertEquals(0, notes.update(Note("none", "none")))
        assertEquals(3, notes.star("%o%"))
        assertEquals(1, notes.delete(Note("n4", "four")))
        val read = notes.all()
        assertEquals(listOf("uno", "dos", "three"), read.map(Note::title))
        assertEquals(listOf<Long?>(2, 3, 3), read.map(Note::stars))
        assertArrayEquals(byteArrayOf(3), read.first().body)
        assertEquals(null, notes.find("none"))
        notes.replaceAll(listOf(Note("m1", "eins")))
        assertEquals(1, notes.count())
        val twice = runCatching { notes.insert(Note("m1", "zwei")) }.exceptionOrNull()
        assertTrue(twice is SQLiteException && "UNIQUE" in twice.message!!, "$twice")
        room.close()
    }

    @Test
    fun `foreign keys hold, and relations are read in a transaction`() = runBlocking {
        val room = room<NotesDatabase>()
        val notes = room.notes()
        notes.insert(Note("n1", "one"))
        notes.mark(Mark(note = "n1", weight = 0.5))
        notes.mark(Mark(note = "n1", weight = 1.5))
        assertEquals(listOf(0.5, 1.5), notes.marked().single().marks.map(Mark::weight))
        val orphan = runCatching { notes.mark(Mark(note = "none", weight = 1.0)) }.exceptionOrNull()
        assertTrue(orphan is SQLiteException && "FOREIGN KEY" in orphan.message!!, "$orphan")
        notes.clear()
        assertEquals(emptyList<Double>(), notes.weights())
        room.close()
    }

    @Test
    fun `relations are read while the app holds the writer`() = runBlocking {
        val room = room<NotesDatabase>()
        room.notes().insert(Note("n1", "one"))
        room.notes().mark(Mark(note = "n1", weight = 0.5))
        // Room opens a reader with the first read, which makes a TEMP table for its tracker.
        assertEquals(1, room.notes().count())
        database.blocking.begin().use { writer ->
            writer.execute("UPDATE marks SET weight = 1.5")
            assertEquals(listOf(0.5), room.notes().marked().single().marks.map(Mark::weight))
            writer.commit()
        }
        assertEquals(listOf(1.5), room.notes().marked().single().marks.map(Mark::weight))
        room.close()
    }

    @Test
    fun `a transaction that fails is rolled back, savepoints and all`() = runBlocking {
        val room = room<NotesDatabase>()
        val failure = runCatching {
            room.useWriterConnection { writer ->
                writer.immediateTransaction {
                    usePrepared("INSERT INTO notes VALUES ('n1', 'one', 1, NULL)") { it.step() }
                    withNestedTransaction<Unit> {
                        usePrepared("INSERT INTO notes VALUES ('n2', 'two', 1, NULL)") { it.step() }
                    }
                    error("the app changed its mind")
                }
            }
        }.exceptionOrNull()
        assertEquals("the app changed its mind", failure?.message)
        assertEquals(0, room.notes().count())
        val refused = runCatching {
            room.useReaderConnection { it.usePrepared("DELETE FROM notes") { delete -> delete.step() } }
        }.exceptionOrNull()
        assertTrue(refused is SQLiteException && "for reading" in refused.message!!, "$refused")
        room.close()
    }

    @Test
    fun `coroutines write and read side by side`() = runBlocking {
        val room = room<NotesDatabase>()
        val notes = room.notes()
        (0..<8).map { writer ->
            async(Dispatchers.IO) {
                for (index in 0..<10) {
                    notes.replaceOne("w$writer-$index")
                    notes.count()
                }
            }
        }.awaitAll()
        assertEquals(80, notes.count())
        room.close()
    }

    private suspend fun NoteDao.replaceOne(id: String) {
        upsert(Note(id, "first"))
        upsert(Note(id, "second"))
    }

    @Test
    fun `a flow sees what a DAO writes`() = runBlocking {
        val room = room<NotesDatabase>()
        val titles = Channel<List<String>>(Channel.UNLIMITED)
        val collecting = launch(Dispatchers.IO) { room.notes().titles().collect(titles::send) }
        assertEquals(emptyList<String>(), titles.receive())
        room.notes().insert(Note("n1", "one"))
        assertEquals(listOf("one"), titles.receive())
        collecting.cancel()
        room.close()
    }

    @Test
    fun `a flow sees rows that another device wrote, and what a DAO writes reaches it`() = runBlocking {
        TestServer().use { server ->
            val other = device(server, "other.db")
            val room = room<NotesDatabase>()
            assertEquals(0, room.notes().count())
            val client = database.connect {
                server(server.url, schema = "business")
                table("notes") { key("id") }
                tokens { server.token("ada") }
            }
            client.attach("ada")
            val refreshing = launch { client.tableChanges("notes").collect { room.invalidationTracker.refreshAsync() } }
            val titles = Channel<List<String>>(Channel.UNLIMITED)
            val collecting = launch(Dispatchers.IO) { room.notes().titles().collect(titles::send) }
            assertEquals(emptyList<String>(), titles.receive())

            other.execute("INSERT INTO notes VALUES ('n1', 'from afar', 1, NULL)")
            other.sync()
            client.sync()
            assertEquals(listOf("from afar"), titles.receive())

            room.notes().insert(Note("n2", "from Room", stars = 2))
            client.sync()
            other.sync()
            assertEquals("from Room", other.query("SELECT title FROM notes WHERE id = 'n2'").single().string(0))

            collecting.cancel()
            refreshing.cancel()
            room.close()
            client.shutDown()
            other.shutDown()
        }
    }

    private suspend fun device(server: TestServer, name: String) = Rowtide.open(folder.resolve(name).toString()) {
        server(server.url, schema = "business")
        table("notes") { key("id") }
        tokens { server.token("ada") }
        prepare { executeScript(NOTES) }
    }.apply { attach("ada") }
}
