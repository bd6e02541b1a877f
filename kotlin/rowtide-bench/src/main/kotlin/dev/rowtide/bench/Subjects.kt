package dev.rowtide.bench

import androidx.sqlite.SQLiteConnection
import androidx.sqlite.SQLiteDriver
import androidx.sqlite.driver.bundled.BundledSQLiteDriver
import androidx.sqlite.execSQL
import app.cash.sqldelight.db.QueryResult
import dev.rowtide.Rowtide
import dev.rowtide.RowtideDatabase
import dev.rowtide.androidx.RowtideSQLiteDriver
import dev.rowtide.bench.records.RecordDatabase
import dev.rowtide.bench.records.Value
import dev.rowtide.sqldelight.RowtideSqlDriver
import kotlinx.coroutines.runBlocking
import java.nio.file.Path
import java.sql.Connection
import java.sql.DriverManager

internal const val ROWS = 10_000
private const val READ = "SELECT id, title, stars, score, body, thumb FROM notes"
private const val CREATE =
    "CREATE TABLE notes (id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL, stars INTEGER NOT NULL, " +
        "score REAL NOT NULL, body TEXT, thumb BLOB) WITHOUT ROWID"

/** The same rows in every file. */
private const val FILL =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $ROWS) INSERT INTO notes " +
        "SELECT printf('%08x-0000-4000-8000-%012x', i * 7919, i), 'note number ' || i, i % 6, i / 7.0, " +
        "iif(i % 10 = 0, NULL, printf('%.*c', 60 + i % 40, 'x')), " +
        "iif(i % 3 = 0, NULL, zeroblob(16)) FROM n"

/** What every way of reading makes of a row. */
internal class Note(
    val id: String,
    val title: String,
    val stars: Long,
    val score: Double,
    val body: String?,
    val thumb: ByteArray?,
)

/** A way to read all rows. */
internal interface Subject : AutoCloseable {
    val name: String

    fun read(): List<Note>
}

/** `RowtideDatabase.query`, and the database that the drivers work on. */
internal class RowtideQuery(
    folder: Path,
) : Subject {
    override val name = "query"
    val database: RowtideDatabase = Rowtide.openDatabaseBlocking(folder.resolve("rowtide.db").toString()).apply {
        blocking.execute(CREATE)
        blocking.execute(FILL)
    }

    override fun read(): List<Note> = runBlocking {
        database.query(READ).map {
            Note(it.string(0), it.string(1), it.long(2), it.double(3), it.stringOrNull(4), it.bytesOrNull(5))
        }
    }

    override fun close() = database.close()
}

internal class SqlDelightDriver(
    database: RowtideDatabase,
) : Subject {
    override val name = "SQLDelight driver"
    private val driver = RowtideSqlDriver(database)

    override fun read(): List<Note> = driver.executeQuery(
        1,
        READ,
        { cursor ->
            val notes = ArrayList<Note>(ROWS)
            while (cursor.next().value) {
                notes += Note(
                    cursor.getString(0)!!,
                    cursor.getString(1)!!,
                    cursor.getLong(2)!!,
                    cursor.getDouble(3)!!,
                    cursor.getString(4),
                    cursor.getBytes(5),
                )
            }
            QueryResult.Value(notes)
        },
        0,
    ).value

    override fun close() = driver.close()
}

internal class AndroidxDriver(
    override val name: String,
    driver: SQLiteDriver,
    file: Path,
    fill: Boolean,
) : Subject {
    private val connection: SQLiteConnection = driver.open(file.toString()).apply {
        execSQL("PRAGMA journal_mode = WAL")
        if (fill) {
            execSQL(CREATE)
            execSQL(FILL)
        }
    }

    override fun read(): List<Note> = connection.prepare(READ).use {
        val notes = ArrayList<Note>(ROWS)
        while (it.step()) {
            notes += Note(
                it.getText(0),
                it.getText(1),
                it.getLong(2),
                it.getDouble(3),
                if (it.isNull(4)) null else it.getText(4),
                if (it.isNull(5)) null else it.getBlob(5),
            )
        }
        notes
    }

    override fun close() = connection.close()

    companion object {
        fun onRowtide(database: RowtideDatabase, folder: Path) =
            AndroidxDriver("androidx driver", RowtideSQLiteDriver(database), folder.resolve("rowtide.db"), fill = false)

        fun bundled(folder: Path) =
            AndroidxDriver("androidx bundled", BundledSQLiteDriver(), folder.resolve("bundled.db"), fill = true)
    }
}

/** Rows as UniFFI's own records, each cell an object of its own: what `query` would be without packed bytes. */
internal class UniffiRecords(
    folder: Path,
) : Subject {
    override val name = "UniFFI records"
    private val database = RecordDatabase.open(folder.resolve("records.db").toString()).apply {
        execute(CREATE)
        execute(FILL)
    }

    override fun read(): List<Note> = database.read(READ).map { (cells) ->
        Note(
            (cells[0] as Value.Text).value,
            (cells[1] as Value.Text).value,
            (cells[2] as Value.Integer).value,
            (cells[3] as Value.Real).value,
            (cells[4] as? Value.Text)?.value,
            (cells[5] as? Value.Blob)?.value,
        )
    }

    override fun close() = database.close()
}

internal class SqliteJdbc(
    folder: Path,
) : Subject {
    override val name = "sqlite-jdbc"
    private val connection: Connection = DriverManager.getConnection("jdbc:sqlite:${folder.resolve("jdbc.db")}").apply {
        createStatement().use {
            it.execute("PRAGMA journal_mode = WAL")
            it.execute(CREATE)
            it.execute(FILL)
        }
    }

    override fun read(): List<Note> = connection.prepareStatement(READ).use { statement ->
        statement.executeQuery().use {
            val notes = ArrayList<Note>(ROWS)
            while (it.next()) {
                notes += Note(
                    it.getString(1),
                    it.getString(2),
                    it.getLong(3),
                    it.getDouble(4),
                    it.getString(5),
                    it.getBytes(6),
                )
            }
            notes
        }
    }

    override fun close() = connection.close()
}
