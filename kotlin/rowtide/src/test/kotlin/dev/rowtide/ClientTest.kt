package dev.rowtide

import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.io.IOException
import java.nio.file.Path
import kotlin.io.path.exists
import kotlin.time.Duration.Companion.seconds

class ClientTest(@param:TempDir private val folder: Path) {
    private suspend fun open(name: String, url: String, more: ClientBuilder.() -> Unit = {}): RowtideClient =
        Rowtide.open(folder.resolve("$name.db").toString()) {
            notes(url)
            more()
        }

    @Test
    fun `two devices agree, and the inbox is empty`() = runBlocking<Unit> {
        TestServer().use { server ->
            val token = server.token("ada")
            open("a", server.url) { tokens { token } }.use { a ->
                open("b", server.url) { tokens { token } }.use { b ->
                    a.execute("INSERT INTO notes VALUES ('n1', 'hello', 1, ?)", byteArrayOf(1, 2, 3))
                    assertEquals(1, a.status().pendingRows)
                    assertEquals(Outcome.Attached, a.attach("ada").outcome)
                    assertEquals(1, a.sync().pushedRows)
                    b.attach("ada")
                    assertEquals("hello", b.query("SELECT title FROM notes").single().string(0))
                    assertEquals(emptyList<RefusedRow>(), b.inbox.rows())
                    assertEquals(Outcome.AlreadyAttached, b.attach("ada").outcome)
                    assertEquals(Outcome.NoChange, b.sync().outcome)
                    assertEquals(a.sourceInfo().nextSourceBundleId, b.sourceInfo().nextSourceBundleId + 1)
                    assertEquals("b", b.checkServer())
                }
            }
        }
    }

    @Test
    fun `a merge rule adds up what both sides counted`() = runBlocking<Unit> {
        TestServer().use { server ->
            val token = server.token("ada")
            val counted: ClientBuilder.() -> Unit = {
                server(server.url, schema = "business")
                prepare { executeScript(NOTES) }
                table("notes") {
                    key("id")
                    merge("stars", ColumnRule.SumOfDeltas)
                }
                tokens { token }
            }
            Rowtide.open(folder.resolve("a.db").toString(), counted).use { a ->
                Rowtide.open(folder.resolve("b.db").toString(), counted).use { b ->
                    a.execute("INSERT INTO notes VALUES ('n1', 'both', 10, NULL)")
                    a.attach("ada")
                    a.sync()
                    b.attach("ada")
                    a.execute("UPDATE notes SET stars = stars + 1")
                    b.execute("UPDATE notes SET stars = stars + 5")
                    a.sync()
                    assertEquals(1, b.sync().conflicts)
                    assertEquals(16, b.query("SELECT stars FROM notes").single().long(0))
                }
            }
        }
    }

    @Test
    fun `a token provider that throws is an error with its text, and nothing is lost`() = runBlocking<Unit> {
        TestServer().use { server ->
            var answer: () -> String = { error("the user signed out") }
            open("a", server.url) { tokens { answer() } }.use { client ->
                client.execute("INSERT INTO notes VALUES ('n1', 'kept', 1, NULL)")
                val denied = runCatching { client.attach("ada") }.exceptionOrNull()
                assertTrue(denied is RowtideException.Authentication, "$denied")
                assertTrue("the user signed out" in denied!!.message!!)
                answer = { throw IOException("no route") }
                client.credentialsChanged()
                val offline = runCatching { client.attach("ada") }.exceptionOrNull()
                assertTrue(offline is RowtideException.Network && offline.isRetryable, "$offline")
                assertEquals(Health.Offline, client.status().health)
                val token = server.token("ada")
                answer = { token }
                client.attach("ada")
                assertEquals(1, client.sync().pushedRows)
            }
        }
    }

    @Test
    fun `a token provider that waits does not keep a cancelled operation, and closing ends it`() = runBlocking<Unit> {
        TestServer().use { server ->
            val asked = CompletableDeferred<Unit>()
            val ended = CompletableDeferred<Unit>()
            val client = open("a", server.url) {
                tokens {
                    asked.complete(Unit)
                    try {
                        awaitCancellation()
                    } finally {
                        ended.complete(Unit)
                    }
                }
            }
            val attaching = launch { client.attach("ada") }
            asked.await()
            attaching.cancelAndJoin()
            assertFalse(ended.isCompleted)
            client.shutDown()
            ended.await()
        }
    }

    @Test
    fun `without a server everything local works, and the status says why nothing is sent`() = runBlocking<Unit> {
        open("a", NOWHERE) { tokens { "token" } }.use { client ->
            client.execute("INSERT INTO notes VALUES ('n1', 'offline', 1, NULL)")
            val failure = runCatching { client.attach("ada") }.exceptionOrNull()
            assertTrue(failure is RowtideException.Network, "$failure")
            assertEquals(1, client.status().pendingRows)
            assertTrue("no user is attached" in client.whyStuck()!!)
            val unattached = runCatching { client.sync() }.exceptionOrNull()
            assertTrue(unattached is RowtideException.Attachment, "$unattached")
        }
    }

    @Test
    fun `detaching is refused while rows are unsynced`() = runBlocking<Unit> {
        TestServer().use { server ->
            val token = server.token("ada")
            open("a", server.url) { tokens { token } }.use { client ->
                client.attach("ada")
                client.execute("INSERT INTO notes VALUES ('n1', 'unsynced', 1, NULL)")
                assertEquals(Outcome.BlockedUnsyncedData(1), client.detach().outcome)
                assertEquals(1, client.query("SELECT * FROM notes").size)
                assertEquals(Outcome.Detached, client.syncThenDetach().outcome)
                assertEquals(0, client.query("SELECT * FROM notes").size)
            }
        }
    }

    @Test
    fun `the loop uploads by itself, and pausing holds it`() = runBlocking<Unit> {
        TestServer().use { server ->
            val token = server.token("ada")
            open("a", server.url) { tokens { token } }.use { client ->
                client.attach("ada")
                client.pause(Direction.Uploads)
                client.start()
                client.execute("INSERT INTO notes VALUES ('n1', 'by itself', 1, NULL)")
                val held = client.statusChanges.first { it.automatic && it.pendingRows == 1L }
                assertEquals(setOf(Direction.Uploads), held.paused)
                client.resume(Direction.Uploads)
                client.statusChanges.first { it.pendingRows == 0L }
                client.stop()
                client.statusChanges.first { !it.automatic }
            }
        }
    }

    @Test
    fun `a faulty configuration names what is wrong and creates no file`() = runBlocking<Unit> {
        val path = folder.resolve("never.db")
        val keyless = runCatching {
            Rowtide.open(path.toString()) {
                server(NOWHERE, schema = "business")
                table("notes") {}
            }
        }.exceptionOrNull()
        assertTrue(keyless is IllegalArgumentException && "notes" in keyless.message!!, "$keyless")
        val serverless = runCatching { Rowtide.open(path.toString()) { table("notes") { key("id") } } }
        assertTrue("server(url, schema)" in serverless.exceptionOrNull()!!.message!!)
        assertFalse(path.exists())
        val missing = runCatching {
            Rowtide.open(path.toString()) {
                server(NOWHERE, schema = "business")
                table("nowhere") { key("id") }
            }
        }.exceptionOrNull()
        assertTrue(missing is RowtideException.Configuration && "nowhere" in missing.message!!, "$missing")
        // The database was closed again.
        Rowtide.openDatabase(path.toString()).close()
    }

    @Test
    fun `a database outlives its client, and is not closed under it`() = runBlocking<Unit> {
        val database = Rowtide.openDatabase(folder.resolve("a.db").toString())
        val client = database.connect { notes(NOWHERE) }
        val early = runCatching { database.shutDown() }.exceptionOrNull()
        assertTrue(early is IllegalStateException && "close that first" in early.message!!, "$early")
        val second = runCatching { database.connect { notes(NOWHERE) } }.exceptionOrNull()
        assertTrue(second is RowtideException.AlreadyOwned, "$second")
        client.shutDown()
        client.shutDown()
        assertEquals(0, database.query("SELECT * FROM notes").size)
        database.connect { notes(NOWHERE) }.shutDown()
        assertTrue(database.uninstallSync())
        database.shutDown()
    }

    @Test
    fun `the tables of an annotated schema are synchronised`() = runBlocking<Unit> {
        val schema = "-- @@{ enableSync=true }\nCREATE TABLE memos (id TEXT PRIMARY KEY NOT NULL, text TEXT);"
        Rowtide.open(folder.resolve("a.db").toString()) {
            server(NOWHERE, schema = "business")
            prepare { executeScript(schema) }
            tables(schema)
        }.use { client ->
            client.execute("INSERT INTO memos VALUES ('m1', 'captured')")
            assertEquals(1, client.status().pendingRows)
        }
    }

    @Test
    fun `a wait that the server asks for is a duration of Java's too`() {
        assertEquals(java.time.Duration.ofSeconds(3), RowtideJava.after(Outcome.RetryLater(3.seconds)))
    }

    @Test
    fun `a budget that is spent is an outcome`() = runBlocking<Unit> {
        TestServer().use { server ->
            val token = server.token("ada")
            open("a", server.url) { tokens { token } }.use { client ->
                client.attach("ada")
                client.executeBatch(
                    "INSERT INTO notes VALUES (?, 'row', ?, NULL)",
                    (0..<5000).map { listOf("n$it", it) },
                )
                val spent = client.syncFor(bytes = 1).outcome
                assertTrue(spent is Outcome.BudgetSpent && spent.pendingRows == 5000L, "$spent")
                assertEquals(5000, client.sync().pushedRows)
            }
        }
    }

    @Test
    fun `the log reaches its sink and holds neither rows nor tokens`() = runBlocking<Unit> {
        val lines = mutableListOf<String>()
        Rowtide.log(LogLevel.Trace) { level, target, message ->
            synchronized(lines) { lines += "$level $target $message" }
        }
        try {
            TestServer().use { server ->
                val token = server.token("ada")
                open("a", server.url) { tokens { token } }.use { client ->
                    client.execute("INSERT INTO notes VALUES ('n1', 'very private', 1, NULL)")
                    client.attach("ada")
                    client.sync()
                }
                val text = synchronized(lines) { lines.joinToString("\n") }
                assertTrue(text.isNotEmpty())
                assertFalse("very private" in text || token in text, text)
            }
        } finally {
            Rowtide.log(LogLevel.Off, null)
        }
    }
}
