package dev.rowtide

import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.count
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Path

class SqlTest(@TempDir folder: Path) {
    private val path = folder.resolve("app.db").toString()
    private val database = Rowtide.openDatabaseBlocking(path)

    init {
        runBlocking { database.executeScript(NOTES) }
    }

    @AfterEach
    fun close() = database.close()

    private suspend fun count(): Long = database.query("SELECT count(*) FROM notes").single().long(0)

    @Test
    fun `every value arrives as it was written`() = runBlocking<Unit> {
        val values = listOf(
            null, 0L, Long.MIN_VALUE, Long.MAX_VALUE, 9007199254740993, 0.1, -0.0, Double.MIN_VALUE, Double.MAX_VALUE,
            "", "Nýibær \uD83C\uDF0A \u0000 end", ByteArray(0), ByteArray(256) { it.toByte() },
        )
        for (value in values) {
            val row = database.query("SELECT ? AS v", value).single()
            when (value) {
                is ByteArray -> assertArrayEquals(value, row.bytes("V"))
                else -> assertEquals(value, row["v"])
            }
        }
        val row = database.query("SELECT ?, ?, ?, ?", true, 7, 7.toShort(), 2.5f).single()
        assertEquals(listOf<Any?>(1L, 7L, 7L, 2.5), (0..3).map(row::get))
    }

    @Test
    fun `rows are read over several pages, at once or one by one`() = runBlocking<Unit> {
        val body = ByteArray(1000)
        database.executeBatch("INSERT INTO notes VALUES (?, ?, ?, ?)", (0..<5000).map { listOf("$it", "t", it, body) })
        val rows = database.query("SELECT * FROM notes ORDER BY stars")
        assertEquals(5000, rows.size)
        assertEquals(4321L, rows[4321].long("stars"))
        assertEquals((0L..4999).toList(), rows.map { it.long(2) })
        assertEquals(
            (0L..4999).toList(),
            database.rows("SELECT stars FROM notes ORDER BY 1").toList().map {
                it.long(0)
            },
        )
        assertEquals(3, database.rows("SELECT * FROM notes").take(3).count())
        database.blocking.cursor("SELECT stars FROM notes ORDER BY 1").use { cursor ->
            var next = 0L
            while (cursor.next()) assertEquals(next++, cursor.row.long(0))
            assertEquals(5000L, next)
            assertFalse(cursor.next())
        }
        assertEquals(0, database.query("SELECT * FROM notes WHERE 0").size)
    }

    @Test
    fun `a cell that is read as what it is not names its column`() = runBlocking<Unit> {
        val row = database.query("SELECT 'x' AS title, NULL AS gone").single()
        val wrong = assertThrows(IllegalStateException::class.java) { row.long("title") }
        assertEquals("column title holds text, not an integer", wrong.message)
        assertThrows(IllegalStateException::class.java) { row.string("gone") }
        assertEquals(null, row.stringOrNull("gone"))
        val missing = assertThrows(IllegalArgumentException::class.java) { row.long("tilte") }
        assertTrue("tilte" in missing.message!!)
    }

    @Test
    fun `bad SQL is an error that says what SQLite says`() = runBlocking<Unit> {
        val failure = runCatching { database.execute("INSERT INTO nowhere VALUES (1)") }.exceptionOrNull()
        assertTrue(failure is RowtideException.Database && "nowhere" in failure.message!!, "$failure")
        val blocking = assertThrows(RowtideException.Database::class.java) { database.blocking.query("SELEC 1") }
        assertTrue("SELEC" in blocking.message!!)
        val writing = runCatching { database.query("DELETE FROM notes") }.exceptionOrNull()
        assertTrue(writing is RowtideException.Database, "$writing")
    }

    @Test
    fun `what SQLite cannot hold is refused before it crosses`() = runBlocking<Unit> {
        val failure = runCatching { database.execute("SELECT ?, ?", 1, listOf("secret")) }.exceptionOrNull()
        assertTrue(failure is IllegalArgumentException && "argument 2" in failure.message!!, "$failure")
        assertFalse("secret" in failure!!.message!!)
        val uneven = runCatching {
            database.executeBatch("SELECT ?", listOf(listOf(1), listOf(1, 2)))
        }.exceptionOrNull()
        assertTrue(uneven is IllegalArgumentException, "$uneven")
        assertEquals(0, database.executeBatch("INSERT INTO notes VALUES (?, ?, 0, NULL)", emptyList()))
    }

    @Test
    fun `a transaction commits what its block did and sees its own writes`() = runBlocking<Unit> {
        val seen = database.transaction {
            execute("INSERT INTO notes VALUES ('n1', 'one', 1, NULL)")
            executeBatch("INSERT INTO notes VALUES (?, 'more', 1, NULL)", listOf(listOf("n2"), listOf("n3")))
            query("SELECT count(*) FROM notes").single().long(0)
        }
        assertEquals(3, seen)
        assertEquals(3, count())
    }

    @Test
    fun `an exception rolls a transaction back`() = runBlocking<Unit> {
        val failure = runCatching {
            database.transaction {
                execute("INSERT INTO notes VALUES ('n1', 'one', 1, NULL)")
                error("the app changed its mind")
            }
        }.exceptionOrNull()
        assertEquals("the app changed its mind", failure?.message)
        assertEquals(0, count())
    }

    @Test
    fun `a cancelled coroutine rolls its transaction back`() = runBlocking<Unit> {
        val written = CompletableDeferred<Unit>()
        val writing = launch {
            database.transaction {
                execute("INSERT INTO notes VALUES ('n1', 'one', 1, NULL)")
                written.complete(Unit)
                awaitCancellation()
            }
        }
        written.await()
        writing.cancelAndJoin()
        // The writer is free again, and the row is gone.
        database.execute("INSERT INTO notes VALUES ('n2', 'two', 1, NULL)")
        assertEquals(1, count())
    }

    @Test
    fun `what would wait for its own transaction is refused`() = runBlocking<Unit> {
        val failure = runCatching {
            database.transaction { database.execute("DELETE FROM notes") }
        }.exceptionOrNull()
        assertTrue(failure is IllegalStateException && "call it on the transaction" in failure.message!!, "$failure")
        database.transaction { assertEquals(0, database.query("SELECT * FROM notes").size) }
    }

    @Test
    fun `a blocking transaction that is not committed is rolled back`() = runBlocking<Unit> {
        database.blocking.begin().use { it.execute("INSERT INTO notes VALUES ('n1', 'one', 1, NULL)") }
        assertEquals(0, count())
        database.blocking.begin().use {
            it.execute("INSERT INTO notes VALUES ('n1', 'one', 1, NULL)")
            it.commit()
        }
        assertEquals(1, count())
    }

    @Test
    fun `a database has one owner, and none after it was closed`() = runBlocking<Unit> {
        val second = runCatching { Rowtide.openDatabase(path) }.exceptionOrNull()
        assertTrue(second is RowtideException.AlreadyOwned, "$second")
        database.close()
        val late = runCatching { database.query("SELECT 1") }.exceptionOrNull()
        assertTrue(late is RowtideException.Internal && "closed" in late.message!!, "$late")
        Rowtide.openDatabase(path).use { assertEquals(0, it.query("SELECT * FROM notes").size) }
    }
}
