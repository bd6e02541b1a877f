package dev.rowtide.androidx

import androidx.sqlite.SQLITE_DATA_BLOB
import androidx.sqlite.SQLITE_DATA_FLOAT
import androidx.sqlite.SQLITE_DATA_INTEGER
import androidx.sqlite.SQLITE_DATA_NULL
import androidx.sqlite.SQLITE_DATA_TEXT
import androidx.sqlite.SQLiteConnection
import androidx.sqlite.SQLiteException
import androidx.sqlite.SQLiteStatement
import androidx.sqlite.driver.bundled.BundledSQLiteDriver
import androidx.sqlite.execSQL
import dev.rowtide.Rowtide
import dev.rowtide.RowtideDatabase
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.BeforeEach
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Path

/** What a driver does: the same on Rowtide as on SQLite itself. */
abstract class ContractTest {
    @TempDir
    lateinit var folder: Path
    private lateinit var connection: SQLiteConnection

    abstract fun open(file: String): SQLiteConnection

    @BeforeEach
    fun openConnection() {
        connection = open(folder.resolve("app.db").toString())
    }

    @AfterEach
    fun closeConnection() = connection.close()

    private fun <T> prepared(sql: String, use: (SQLiteStatement) -> T): T = connection.prepare(sql).use(use)

    private fun numbers(sql: String): List<Long> =
        prepared(sql) { statement -> buildList { while (statement.step()) add(statement.getLong(0)) } }

    private fun refused(work: () -> Unit): String = assertThrows(SQLiteException::class.java) { work() }.message!!

    @Test
    fun `every type is written and read`() {
        connection.execSQL("CREATE TABLE cells (i, f, t, b, n)")
        prepared("INSERT INTO cells VALUES (?, ?, ?, ?, ?)") {
            it.bindLong(1, Long.MIN_VALUE)
            it.bindDouble(2, 0.1)
            it.bindText(3, "Nýibær \uD83C\uDF0A")
            it.bindBlob(4, byteArrayOf(0, -1, 7))
            it.bindNull(5)
            assertFalse(it.step())
        }
        prepared("SELECT * FROM cells") {
            assertEquals(listOf("i", "f", "t", "b", "n"), it.getColumnNames())
            assertTrue(it.step())
            assertEquals(Long.MIN_VALUE, it.getLong(0))
            assertEquals(0.1, it.getDouble(1))
            assertEquals("Nýibær \uD83C\uDF0A", it.getText(2))
            assertArrayEquals(byteArrayOf(0, -1, 7), it.getBlob(3))
            assertTrue(it.isNull(4))
            assertEquals(
                listOf(SQLITE_DATA_INTEGER, SQLITE_DATA_FLOAT, SQLITE_DATA_TEXT, SQLITE_DATA_BLOB, SQLITE_DATA_NULL),
                (0..4).map(it::getColumnType),
            )
            assertFalse(it.step())
        }
    }

    @Test
    fun `a cell is converted to what it is read as`() = prepared(
        "SELECT 7, 7.9, ' -12abc', '1e3x', NULL, 'none', 1e15, 0.1, 123456789012345678.0, 1.5e-7, -2.0, " +
            "'99999999999999999999', 1e300",
    ) {
        assertTrue(it.step())
        assertEquals(listOf(7L, 7, -12, 1, 0, 0), (0..5).map(it::getLong))
        assertEquals(listOf(7.0, 7.9, -12.0, 1000.0, 0.0, 0.0), (0..5).map(it::getDouble))
        assertEquals(
            listOf("7", "7.9", " -12abc", "1e3x"),
            (0..3).map(it::getText),
        )
        assertEquals(
            listOf("1.0e+15", "0.1", "1.23456789012346e+17", "1.5e-07", "-2.0"),
            (6..10).map(it::getText),
        )
        assertEquals(Long.MAX_VALUE, it.getLong(11))
        assertEquals(Long.MAX_VALUE, it.getLong(12))
    }

    @Test
    fun `a statement is reset and run again with other arguments`() = prepared("SELECT ?1 + 1, ?2") {
        it.bindLong(1, 1)
        it.bindText(2, "a")
        assertTrue(it.step())
        assertEquals(2, it.getLong(0))
        it.reset()
        it.bindLong(1, 2)
        assertTrue(it.step())
        assertEquals(3, it.getLong(0))
        assertEquals("a", it.getText(1))
        it.reset()
        it.clearBindings()
        assertTrue(it.step())
        assertTrue(it.isNull(0) && it.isNull(1))
    }

    @Test
    fun `arguments are numbered as SQLite numbers them`() = prepared(
        "SELECT ?, :name, ?5, @other, :name, ? -- ? in a comment\n, '?', \"?\", `?`, [?] FROM (SELECT 1 AS \"?\")",
    ) {
        for (index in 1..7) it.bindLong(index, index.toLong())
        assertTrue(it.step())
        assertEquals(listOf(1L, 2, 5, 6, 2, 7), (0..5).map(it::getLong))
        assertTrue("range" in refused { it.reset().also { _ -> it.bindLong(8, 1) } })
        assertTrue("range" in refused { it.bindNull(0) })
    }

    @Test
    fun `an argument that was not bound is NULL`() = prepared("SELECT ?, ?2") {
        it.bindLong(1, 1)
        assertTrue(it.step())
        assertTrue(it.isNull(1))
    }

    @Test
    fun `misuse is refused in plain words`() {
        prepared("SELECT 1") {
            assertTrue("no row" in refused { it.getLong(0) })
            it.step()
            assertTrue("range" in refused { it.getLong(1) })
            assertTrue("range" in refused { it.getText(-1) })
            assertFalse(it.step())
        }
        val closed = connection.prepare("SELECT 1")
        closed.close()
        closed.close()
        assertTrue("closed" in refused { closed.step() })
        assertTrue("SELEC" in refused { prepared("SELEC 1") { it.step() } })
        assertTrue("nowhere" in refused { connection.execSQL("INSERT INTO nowhere VALUES (1)") })
        assertTrue("no transaction is active" in refused { connection.execSQL("COMMIT") })
        assertTrue("no transaction is active" in refused { connection.execSQL("ROLLBACK TRANSACTION") })
        connection.execSQL("BEGIN")
        assertTrue("within a transaction" in refused { connection.execSQL("BEGIN IMMEDIATE") })
        connection.execSQL("ROLLBACK")
        assertTrue("savepoint" in refused { connection.execSQL("RELEASE nowhere") })
    }

    @Test
    fun `transactions are committed and rolled back`() {
        connection.execSQL("CREATE TABLE t (n)")
        assertFalse(connection.inTransaction())
        connection.execSQL("begin deferred transaction;")
        connection.execSQL("INSERT INTO t VALUES (1)")
        assertTrue(connection.inTransaction())
        assertEquals(listOf(1L), numbers("SELECT n FROM t"))
        connection.execSQL("ROLLBACK")
        assertFalse(connection.inTransaction())
        assertEquals(emptyList<Long>(), numbers("SELECT n FROM t"))
        connection.execSQL("BEGIN EXCLUSIVE TRANSACTION")
        connection.execSQL("INSERT INTO t VALUES (2)")
        refused { connection.execSQL("INSERT INTO nowhere VALUES (3)") }
        connection.execSQL("END TRANSACTION")
        assertEquals(listOf(2L), numbers("SELECT n FROM t"))
    }

    @Test
    fun `savepoints nest, with and without a transaction around them`() {
        connection.execSQL("CREATE TABLE t (n)")
        connection.execSQL("SAVEPOINT 'a'")
        assertTrue(connection.inTransaction())
        connection.execSQL("INSERT INTO t VALUES (1)")
        connection.execSQL("SAVEPOINT b")
        connection.execSQL("INSERT INTO t VALUES (2)")
        connection.execSQL("ROLLBACK TRANSACTION TO SAVEPOINT \"B\"")
        connection.execSQL("RELEASE b")
        connection.execSQL("RELEASE SAVEPOINT 'a'")
        assertFalse(connection.inTransaction())
        connection.execSQL("BEGIN")
        connection.execSQL("SAVEPOINT '1'")
        connection.execSQL("INSERT INTO t VALUES (3)")
        connection.execSQL("RELEASE SAVEPOINT '1'")
        assertTrue(connection.inTransaction())
        connection.execSQL("COMMIT")
        assertEquals(listOf(1L, 3L), numbers("SELECT n FROM t"))
    }

    @Test
    fun `changed rows and the last rowid are those of the last statement`() {
        connection.execSQL("CREATE TABLE t (n)")
        connection.execSQL("INSERT INTO t VALUES (1), (2), (3)")
        assertEquals(listOf(3L), numbers("SELECT changes()"))
        assertEquals(listOf(3L), numbers("select last_insert_rowid();"))
        connection.execSQL("UPDATE t SET n = n + 1 WHERE n > 1")
        assertEquals(listOf(2L), numbers("SELECT changes()"))
        connection.execSQL("BEGIN IMMEDIATE")
        connection.execSQL("INSERT INTO t VALUES (9)")
        assertEquals(listOf(1L), numbers("SELECT changes()"))
        assertEquals(
            listOf(4L, 4L),
            prepared("SELECT last_insert_rowid(), count(*) FROM t") {
                it.step()
                listOf(it.getLong(0), it.getLong(1))
            },
        )
        connection.execSQL("COMMIT")
        assertEquals(listOf(4L), numbers("SELECT last_insert_rowid()"))
    }

    @Test
    fun `RETURNING answers the rows that were written`() {
        connection.execSQL("CREATE TABLE t (id INTEGER PRIMARY KEY, n)")
        assertEquals(listOf(1L, 2L), numbers("INSERT INTO t (n) VALUES (5), (6) RETURNING id"))
        assertEquals(listOf(2L), numbers("SELECT changes()"))
        assertEquals(listOf(2L), numbers("SELECT last_insert_rowid()"))
        connection.execSQL("BEGIN")
        assertEquals(listOf(7L), numbers("WITH more(x) AS (SELECT 1) UPDATE t SET n = n + 1 WHERE id = 2 RETURNING n"))
        connection.execSQL("COMMIT")
        assertEquals(listOf(1L, 2L), numbers("DELETE FROM t RETURNING id"))
        assertEquals(emptyList<Long>(), numbers("SELECT * FROM t"))
    }

    @Test
    fun `the version of the schema is kept, inside a transaction and outside`() {
        assertEquals(listOf(0L), numbers("PRAGMA user_version"))
        connection.execSQL("PRAGMA user_version = 7")
        assertEquals(listOf(7L), numbers("PRAGMA main.user_version"))
        connection.execSQL("BEGIN")
        connection.execSQL("PRAGMA user_version=8")
        connection.execSQL("ROLLBACK")
        assertEquals(listOf(7L), numbers("PRAGMA user_version;"))
    }

    @Test
    fun `TEMP tables and triggers are there for the connection that made them`() {
        connection.execSQL("CREATE TABLE t (n)")
        connection.execSQL("CREATE TEMP TABLE log (n)")
        connection.execSQL("CREATE TEMP TRIGGER logged AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.n); END")
        connection.execSQL("INSERT INTO t VALUES (4)")
        assertEquals(listOf(4L), numbers("SELECT n FROM log"))
        assertEquals(listOf(4L), numbers("SELECT n FROM temp.log"))
        assertEquals(listOf(1L), numbers("SELECT count(*) FROM sqlite_temp_master WHERE type = 'trigger'"))
    }

    @Test
    fun `rows are read while others are written`() {
        connection.execSQL("CREATE TABLE t (n INTEGER PRIMARY KEY, big)")
        connection.execSQL(
            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 2000) " +
                "INSERT INTO t SELECT n, zeroblob(1000) FROM c",
        )
        var seen = 0L
        prepared("SELECT n, big FROM t ORDER BY n") {
            while (it.step()) {
                assertEquals(++seen, it.getLong(0))
                assertEquals(1000, it.getBlob(1).size)
                if (seen % 500 == 0L) connection.execSQL("UPDATE t SET big = NULL WHERE n = 1")
            }
        }
        assertEquals(2000L, seen)
    }

    @Test
    fun `settings that Rowtide has too can be asked for and set`() {
        connection.execSQL("PRAGMA journal_mode = WAL")
        connection.execSQL("PRAGMA synchronous = NORMAL")
        connection.execSQL("PRAGMA foreign_keys = ON")
        connection.execSQL("PRAGMA recursive_triggers = 1")
        connection.execSQL("PRAGMA temp_store = MEMORY")
        connection.execSQL("PRAGMA busy_timeout = 5000")
        for ((name, value) in mapOf("synchronous" to 1L, "foreign_keys" to 1L, "busy_timeout" to 5000L)) {
            assertEquals(listOf(value), numbers("PRAGMA $name"), name)
        }
        connection.execSQL("PRAGMA query_only = 1")
        assertEquals(listOf(1L), numbers("PRAGMA query_only"))
        refused { connection.execSQL("CREATE TABLE t (n)") }
        connection.execSQL("PRAGMA query_only = 0")
        connection.execSQL("CREATE TABLE t (n)")
        assertEquals(
            listOf("n"),
            prepared("PRAGMA table_info(`t`)") {
                it.step()
                listOf(it.getText(1))
            },
        )
    }

    @Test
    fun `a closed connection is refused`() {
        connection.execSQL("CREATE TABLE t (n)")
        val statement = connection.prepare("SELECT 1")
        statement.close()
        connection.close()
        connection.close()
        assertTrue("closed" in refused { connection.prepare("SELECT 1") })
    }
}

class SqliteContractTest : ContractTest() {
    override fun open(file: String): SQLiteConnection = BundledSQLiteDriver().open(file)
}

class RowtideContractTest : ContractTest() {
    private lateinit var database: RowtideDatabase

    override fun open(file: String): SQLiteConnection {
        database = Rowtide.openDatabaseBlocking(file)
        return RowtideSQLiteDriver(database).open(file)
    }

    @AfterEach
    fun closeDatabase() = database.close()
}
