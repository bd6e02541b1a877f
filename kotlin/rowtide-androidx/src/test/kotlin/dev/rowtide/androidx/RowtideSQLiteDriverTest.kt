package dev.rowtide.androidx

import androidx.sqlite.SQLiteConnection
import androidx.sqlite.SQLiteException
import androidx.sqlite.execSQL
import dev.rowtide.NOTES
import dev.rowtide.NOWHERE
import dev.rowtide.Rowtide
import dev.rowtide.RowtideDatabase
import dev.rowtide.notes
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Path
import java.util.concurrent.CompletableFuture
import kotlin.time.Duration.Companion.milliseconds

/** What is Rowtide's own about the driver. */
class RowtideSQLiteDriverTest(@param:TempDir private val folder: Path) {
    private val database: RowtideDatabase = Rowtide.openDatabaseBlocking(folder.resolve("app.db").toString())
    private val driver = RowtideSQLiteDriver(database)
    private val connection = driver.open("app.db")

    @AfterEach
    fun close() {
        connection.close()
        database.close()
    }

    private fun refused(work: () -> Unit): String = assertThrows(SQLiteException::class.java) { work() }.message!!

    private fun SQLiteConnection.number(sql: String): Long = prepare(sql).use {
        it.step()
        it.getLong(0)
    }

    @Test
    fun `settings that Rowtide owns are refused, with what to do instead`() {
        assertTrue("WAL" in refused { connection.execSQL("PRAGMA journal_mode = TRUNCATE") })
        assertTrue("RowtideDatabase.migrate" in refused { connection.execSQL("PRAGMA foreign_keys = OFF") })
        assertTrue("NORMAL" in refused { connection.execSQL("PRAGMA main.synchronous = FULL") })
        assertTrue("recursive_triggers" in refused { connection.execSQL("PRAGMA recursive_triggers(0)") })
        assertEquals("wal", connection.prepare("PRAGMA journal_mode").use { it.step().run { it.getText(0) } })
        assertEquals(1, connection.number("PRAGMA foreign_keys"))
    }

    @Test
    fun `a transaction that holds the writer too long is rolled back, and says so`() {
        val hasty = RowtideSQLiteDriver(database, transactionDeadline = 1.milliseconds).open("app.db")
        connection.execSQL("CREATE TABLE t (n)")
        hasty.execSQL("BEGIN IMMEDIATE")
        // The writer is free again when this has run.
        connection.execSQL("INSERT INTO t VALUES (1)")
        val late = refused { hasty.execSQL("INSERT INTO t VALUES (2)") }
        assertTrue("1 ms" in late, late)
        hasty.execSQL("ROLLBACK")
        assertFalse(hasty.inTransaction())
        assertEquals(1, connection.number("SELECT count(*) FROM t"))
        hasty.close()
    }

    @Test
    fun `a connection that is closed rolls back`() {
        connection.execSQL("CREATE TABLE t (n)")
        val other = driver.open("app.db")
        other.execSQL("BEGIN")
        other.execSQL("INSERT INTO t VALUES (1)")
        assertEquals(0, connection.number("SELECT count(*) FROM t"))
        other.close()
        connection.execSQL("INSERT INTO t VALUES (2)")
        assertEquals(2, connection.number("SELECT sum(n) FROM t"))
    }

    @Test
    fun `a transaction of a connection that only reads sees one state, and waits for no writer`() {
        connection.execSQL("CREATE TABLE t (n)")
        connection.execSQL("CREATE TEMP TABLE shared AS SELECT 7 AS n")
        val reader = driver.open("app.db")
        reader.execSQL("PRAGMA query_only = 1")
        connection.execSQL("BEGIN IMMEDIATE")
        connection.execSQL("INSERT INTO t VALUES (1)")
        reader.execSQL("BEGIN DEFERRED TRANSACTION")
        assertTrue(reader.inTransaction())
        assertEquals(0, reader.number("SELECT count(*) FROM t"))
        connection.execSQL("COMMIT")
        reader.execSQL("SAVEPOINT s")
        assertEquals(0, reader.number("SELECT count(*) FROM t"))
        reader.execSQL("RELEASE s")
        // What it began as it stays.
        reader.execSQL("PRAGMA query_only = 0")
        assertTrue("for reading" in refused { reader.execSQL("INSERT INTO t VALUES (2)") })
        reader.execSQL("COMMIT")
        assertEquals(1, reader.number("SELECT count(*) FROM t"))
        reader.execSQL("PRAGMA query_only = 1")
        reader.execSQL("BEGIN")
        assertEquals(7, reader.number("SELECT n FROM shared"))
        reader.close()
    }

    @Test
    fun `threads that share a connection take turns`() {
        connection.execSQL("CREATE TABLE t (n)")
        (0..<4).map { CompletableFuture.runAsync { repeat(25) { connection.execSQL("INSERT INTO t VALUES (1)") } } }
            .forEach { it.join() }
        assertEquals(100, connection.number("SELECT count(*) FROM t"))
    }

    @Test
    fun `the log of Room's invalidation stays when Room opens one more connection`() {
        connection.execSQL("CREATE TEMP TABLE IF NOT EXISTS room_table_modification_log (table_id INTEGER PRIMARY KEY)")
        connection.execSQL("INSERT INTO room_table_modification_log VALUES (1)")
        driver.open("app.db").use {
            it.execSQL("DROP TABLE IF EXISTS room_table_modification_log")
            it.execSQL("CREATE TEMP TABLE IF NOT EXISTS room_table_modification_log (table_id INTEGER PRIMARY KEY)")
            assertEquals(1, it.number("SELECT count(*) FROM room_table_modification_log"))
        }
        connection.execSQL("DROP TABLE IF EXISTS room_table_modification_log")
        assertTrue("no such table" in refused { connection.number("SELECT 1 FROM room_table_modification_log") })
    }

    @Test
    fun `what is written is captured, and a statement with RETURNING counts as one`() = runBlocking {
        database.executeScript(NOTES)
        val client = database.connect { notes(NOWHERE) }
        connection.prepare("INSERT INTO notes (id, title) VALUES (?, ?) RETURNING title").use {
            it.bindText(1, "n1")
            it.bindText(2, "one")
            assertEquals("title", it.getColumnName(0))
            assertTrue(it.step())
            assertEquals("one", it.getText(0))
            assertFalse(it.step())
        }
        connection.execSQL("BEGIN")
        connection.execSQL("INSERT INTO notes (id, title) VALUES ('n2', 'two')")
        connection.execSQL("COMMIT")
        assertEquals(2, client.status().pendingRows)
        client.shutDown()
    }

    @Test
    fun `a database that was closed says so`() {
        connection.close()
        database.close()
        assertTrue("closed" in refused { driver.open("app.db").use { it.execSQL("CREATE TABLE t (n)") } })
    }

    /** In the shape of what SQLiteNow generates: one connection, positions, columns by position, an open transaction. */
    @Test
    fun `code that SQLiteNow generates finds its way`() {
        connection.execSQL("PRAGMA foreign_keys = ON;")
        assertEquals(0, connection.number("PRAGMA user_version;"))
        connection.execSQL("BEGIN IMMEDIATE")
        connection.execSQL(
            """
            CREATE TABLE person (
              id BLOB PRIMARY KEY NOT NULL DEFAULT (randomblob(16)),
              -- @@{ field=name, notNull=true }
              name TEXT NOT NULL,
              created_at INTEGER NOT NULL DEFAULT (strftime('%s','now'))
            );
            """.trimIndent(),
        )
        connection.execSQL("PRAGMA user_version = 1;")
        connection.execSQL("COMMIT")

        val id = ByteArray(16) { it.toByte() }
        val insert = "INSERT INTO person (id, name) VALUES (?, ?) ON CONFLICT(id) DO UPDATE SET name = excluded.name"
        for (name in listOf("Ada", "Grace")) {
            connection.prepare("$insert\nRETURNING *;").use { statement ->
                statement.bindBlob(1, id)
                statement.bindText(2, name)
                check(statement.step())
                assertEquals(name, statement.getText(1))
                assertTrue(statement.getLong(2) > 0)
            }
        }
        connection.prepare("SELECT name FROM person WHERE name LIKE ? LIMIT ? OFFSET ?").use { statement ->
            statement.bindText(1, "G%")
            statement.bindLong(2, 10)
            statement.bindLong(3, 0)
            val names = mutableListOf<String>()
            while (statement.step()) names.add(statement.getText(0))
            assertEquals(listOf("Grace"), names)
        }
        connection.prepare("DELETE FROM person WHERE id = ?").use { statement ->
            statement.bindBlob(1, id)
            statement.step()
        }
        assertEquals(1, connection.number("SELECT changes()"))
        assertEquals(1, connection.number("PRAGMA user_version;"))
    }
}
