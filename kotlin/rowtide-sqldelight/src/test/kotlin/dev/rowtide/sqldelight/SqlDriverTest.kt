package dev.rowtide.sqldelight

import app.cash.sqldelight.Query
import app.cash.sqldelight.db.AfterVersion
import dev.rowtide.NOTES
import dev.rowtide.Rowtide
import dev.rowtide.RowtideException
import dev.rowtide.TestServer
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Path
import java.util.concurrent.CompletableFuture

class SqlDriverTest(@param:TempDir private val folder: Path) {
    private val database = Rowtide.openDatabaseBlocking(folder.resolve("app.db").toString())
    private val driver = RowtideSqlDriver(database, NotesDatabase.Schema)
    private val app = NotesDatabase(driver)

    @AfterEach
    fun close() {
        driver.close()
        database.close()
    }

    private fun note(id: String) = Note(id, "title of $id", stars = null, body = null)

    private fun ids() = app.notes.all().executeAsList().map(Note::id)

    @Test
    fun `queries write and read every type`() {
        assertEquals(1L, app.notes.insert(Note("n1", "Nýibær", Long.MAX_VALUE, byteArrayOf(0, -1))).value)
        assertEquals(1L, app.notes.lastRowid())
        app.notes.insert(note("n2"))
        val (first, second) = app.notes.all().executeAsList()
        assertEquals("Nýibær" to Long.MAX_VALUE, first.title to first.stars)
        assertArrayEquals(byteArrayOf(0, -1), first.body)
        assertEquals(null to null, second.stars to second.body)
        assertEquals("n2", app.notes.find("n2").executeAsOne().id)
        assertEquals(null, app.notes.find("none").executeAsOneOrNull())
        assertEquals(2L, app.notes.clear().value)
    }

    @Test
    fun `a database of the app's first version is migrated once`() {
        Rowtide.openDatabaseBlocking(folder.resolve("old.db").toString()).use { old ->
            RowtideSqlDriver(old, NotesDatabase.FirstSchema).use {
                it.execute(null, "INSERT INTO notes VALUES ('n1', 'one')", 0)
            }
            var called = 0
            repeat(2) {
                RowtideSqlDriver(old, NotesDatabase.Schema, AfterVersion(1) { called++ }).use { driver ->
                    assertEquals("one", NotesDatabase(driver).notes.find("n1").executeAsOne().title)
                }
            }
            assertEquals(1, called)
        }
    }

    @Test
    fun `a transaction is committed, nested ones with it`() {
        app.transaction {
            app.notes.insert(note("n1"))
            app.transaction { app.notes.insert(note("n2")) }
            assertEquals(listOf("n1", "n2"), ids())
        }
        assertEquals(listOf("n1", "n2"), ids())
        assertEquals(null, driver.currentTransaction())
    }

    @Test
    fun `a transaction is rolled back by its block, an exception, or a nested one`() {
        app.transaction {
            app.notes.insert(note("n1"))
            rollback()
        }
        assertThrows(IllegalArgumentException::class.java) {
            app.transaction {
                app.notes.insert(note("n1"))
                throw IllegalArgumentException("the app changed its mind")
            }
        }
        app.transaction {
            app.notes.insert(note("n1"))
            app.transaction { rollback() }
        }
        assertEquals(emptyList<String>(), ids())
    }

    @Test
    fun `another thread does not see what is not committed`() {
        app.transaction {
            app.notes.insert(note("n1"))
            val seen = CompletableFuture.supplyAsync { driver.currentTransaction() to ids() }.get()
            assertEquals(null to emptyList<String>(), seen)
        }
    }

    @Test
    fun `listeners hear of writes, of a transaction once and after its commit`() {
        val heard = mutableListOf<List<String>>()
        val listener = Query.Listener { heard += ids() }
        val query = app.notes.all()
        query.addListener(listener)
        app.notes.insert(note("n1"))
        app.transaction {
            app.notes.insert(note("n2"))
            app.notes.insert(note("n3"))
        }
        app.transaction {
            app.notes.insert(note("n4"))
            rollback()
        }
        query.removeListener(listener)
        app.notes.clear()
        assertEquals(listOf(listOf("n1"), listOf("n1", "n2", "n3")), heard)
    }

    @Test
    fun `failures say what SQLite says, and a closed driver says so`() {
        app.notes.insert(note("n1"))
        val twice = assertThrows(RowtideException.Database::class.java) { app.notes.insert(note("n1")) }
        assertTrue("UNIQUE" in twice.message!!)
        driver.close()
        assertTrue("closed" in assertThrows(IllegalStateException::class.java) { ids() }.message!!)
    }

    @Test
    fun `listeners hear of rows that another device wrote`() = runBlocking {
        TestServer().use { server ->
            val other = Rowtide.open(folder.resolve("other.db").toString()) {
                server(server.url, schema = "business")
                table("notes") { key("id") }
                tokens { server.token("ada") }
                prepare { executeScript(NOTES) }
            }
            other.attach("ada")
            val client = database.connect {
                server(server.url, schema = "business")
                table("notes") { key("id") }
                tokens { server.token("ada") }
            }
            client.attach("ada")
            val titles = Channel<List<String>>(Channel.UNLIMITED)
            val following = driver.follow(client)
            val query = app.notes.all()
            query.addListener { titles.trySend(query.executeAsList().map(Note::title)) }

            other.execute("INSERT INTO notes VALUES ('n1', 'from afar', 1, NULL)")
            other.sync()
            client.sync()
            while (titles.receive() != listOf("from afar")) continue

            app.notes.insert(Note("n2", "from SQLDelight", 2, null))
            client.sync()
            other.sync()
            assertEquals("from SQLDelight", other.query("SELECT title FROM notes WHERE id = 'n2'").single().string(0))
            following.close()
            client.shutDown()
            other.shutDown()
        }
    }
}
