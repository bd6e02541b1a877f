@file:OptIn(ExperimentalNativeApi::class, NativeRuntimeApi::class)

package dev.rowtide

import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.yield
import kotlin.experimental.ExperimentalNativeApi
import kotlin.native.ref.WeakReference
import kotlin.native.runtime.GC
import kotlin.native.runtime.NativeRuntimeApi
import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertContentEquals
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse

/** What crosses to the core and back. What is common to all platforms is tested on the JVM. */
class BridgeTest {
    private val script = """
        CREATE TABLE IF NOT EXISTS notes (id TEXT PRIMARY KEY NOT NULL, stars INTEGER, body BLOB);
        CREATE TABLE IF NOT EXISTS local (id INTEGER PRIMARY KEY, value)
    """

    private suspend fun open(name: String, more: ClientBuilder.() -> Unit = {}): RowtideClient =
        Rowtide.open(database(name)) {
            server(environment("ROWTIDE_URL_B"), schema = "business")
            prepare { executeScript(script) }
            table("notes") { key("id") }
            more()
        }

    @Test
    fun `the version is the core's`() {
        assertContains(Rowtide.version, Regex("""^\d+\.\d+\.\d+$"""))
    }

    @Test
    fun `every value arrives as it was written`() = runBlocking<Unit> {
        open("values").use { client ->
            val blobs = listOf(ByteArray(0), ByteArray(300) { it.toByte() })
            val values = listOf(null, Long.MIN_VALUE, -0.5, "", "Grüße \uD83C\uDF0A") + blobs
            for ((index, value) in values.withIndex()) {
                client.execute("INSERT INTO local VALUES (?, ?)", index, value)
                val read = client.query("SELECT value FROM local WHERE id = ?", index).single()[0]
                if (value is ByteArray) assertContentEquals(value, read as ByteArray) else assertEquals(value, read)
            }
        }
    }

    @Test
    fun `rows are read over many pages`() = runBlocking<Unit> {
        open("pages").use { client ->
            val rows = (0..<5_000).map { listOf("n$it", it, ByteArray(400)) }
            client.executeBatch("INSERT INTO notes VALUES (?, ?, ?)", rows)
            assertEquals(5_000, client.query("SELECT * FROM notes").size)
            val sum = client.database.rows("SELECT stars, body FROM notes").toList().sumOf { it.long(0) }
            assertEquals(4_999L * 5_000 / 2, sum)
            val blocking = client.database.blocking
            assertEquals(5_000, blocking.query("SELECT count(*) FROM notes").single().long(0))
        }
    }

    @Test
    fun `an error is of its kind and says what is wrong`() = runBlocking<Unit> {
        open("errors").use { client ->
            val sql = assertFailsWith<RowtideException.Database> { client.execute("INSERT INTO nowhere VALUES (1)") }
            assertContains(sql.message!!, "nowhere")
            assertFailsWith<RowtideException.AlreadyOwned> { Rowtide.openDatabaseBlocking(database("errors")) }
            assertFailsWith<RowtideException.Attachment> { client.sync() }
            client.shutDown()
            val closed = assertFailsWith<RowtideException.Internal> { client.status() }
            assertContains(closed.message!!, "closed")
        }
    }

    @Test
    fun `what a token provider throws ends the operation with its text`() = runBlocking<Unit> {
        var failure: Throwable = TokenUnavailable("the service is away")
        open("tokens") { tokens { throw failure } }.use { client ->
            val offline = assertFailsWith<RowtideException.Network> { client.attach("ada") }
            assertContains(offline.message!!, "the service is away")
            failure = IllegalStateException("signed out")
            val denied = assertFailsWith<RowtideException.Authentication> { client.attach("ada") }
            assertContains(denied.message!!, "signed out")
        }
    }

    @Test
    fun `a cancelled coroutine stops its operation whoever that waits for`() = runBlocking<Unit> {
        val asked = CompletableDeferred<Unit>()
        val waiting: ClientBuilder.() -> Unit = {
            tokens {
                asked.complete(Unit)
                awaitCancellation()
            }
        }
        open("cancelled", waiting).use { client ->
            val attaching = launch(Dispatchers.Default) { client.attach("ada") }
            asked.await()
            attaching.cancelAndJoin()
            assertEquals(State.Anonymous, client.status().state)
        }
    }

    @Test
    fun `tables are observed until the collector or the client ends`() = runBlocking<Unit> {
        val client = open("observed")
        val counts = Channel<Long>(Channel.UNLIMITED)
        val observing = launch(Dispatchers.Default) {
            client.observe("notes") { query("SELECT count(*) FROM notes").single().long(0) }.collect { counts.send(it) }
        }
        assertEquals(0, counts.receive())
        client.transaction { execute("INSERT INTO notes VALUES ('n1', 1, NULL)") }
        assertEquals(1, counts.receive())
        client.shutDown()
        observing.join()
    }

    @Test
    fun `the log reaches its sink and what that throws is dropped`() = runBlocking<Unit> {
        val lines = Channel<String>(Channel.UNLIMITED)
        Rowtide.log(LogLevel.Trace) { _, _, message ->
            lines.trySend(message)
            error("dropped")
        }
        try {
            open("logged") { tokens { environment("ROWTIDE_TOKEN_B") } }.use { client ->
                repeat(2) {
                    assertEquals("b", client.checkServer())
                    assertFalse(environment("ROWTIDE_TOKEN_B") in lines.receive())
                }
            }
        } finally {
            Rowtide.log(LogLevel.Off, null)
        }
    }

    @Test
    fun `what the core held of the app is let go`() = runBlocking<Unit> {
        // In a function of its own, so that nothing here holds it.
        suspend fun used(name: String): WeakReference<TokenProvider> {
            val provider = object : TokenProvider {
                override suspend fun token(reason: TokenReason): String = error("no token")
            }
            open(name) { tokens(provider) }.use { assertFailsWith<RowtideException> { it.attach("ada") } }
            return WeakReference(provider)
        }
        val providers = (1..20).map { used("held$it") }

        // Counted in a function of its own: what this frame has read, it holds.
        fun held(): Int = providers.count { it.value != null }
        while (held() > 0) {
            GC.collect()
            yield()
        }
    }
}
