package dev.rowtide.android

import androidx.work.Constraints
import androidx.work.NetworkType
import androidx.work.WorkInfo
import com.sun.net.httpserver.HttpServer
import dev.rowtide.Rowtide
import dev.rowtide.RowtideClient
import dev.rowtide.TestServer
import dev.rowtide.TokenProvider
import dev.rowtide.notes
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.runBlocking
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import java.net.InetAddress
import java.net.InetSocketAddress
import java.util.concurrent.CountDownLatch
import kotlin.time.Duration.Companion.hours
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.minutes

@RunWith(RobolectricTestRunner::class)
class SyncWorkTest {
    private val app = RuntimeEnvironment.getApplication() as TestApp
    private val server = TestServer()
    private val work = TestWork(app)

    // Robolectric's network is told to nobody who asks for it later.
    private val unconstrained = SyncWork(constraints = Constraints.NONE)
    private val opened = mutableListOf<AutoCloseable>()

    @After
    fun close() {
        work.close()
        opened.asReversed().forEach(AutoCloseable::close)
        server.close()
    }

    @Test
    fun `work uploads what was written offline`() = runBlocking {
        val client = attached()
        client.execute("INSERT INTO notes (id, title) VALUES (?, ?)", "n1", "written offline")

        unconstrained.enqueue(app)
        val done = work.request(SyncWork.ONCE) { it.state.isFinished }

        assertEquals(WorkInfo.State.SUCCEEDED, done.state)
        assertEquals(1, done.outputData.getLong(SyncWork.PUSHED_ROWS, 0))
        assertEquals("written offline", other().query("SELECT title FROM notes").single().string("title"))
    }

    @Test
    fun `work waits for a network and a battery that is not low`() = runBlocking {
        attached()
        app.noNetwork()

        SyncWork().enqueue(app)
        val waiting = work.request(SyncWork.ONCE) { it.state == WorkInfo.State.ENQUEUED }
        assertEquals(NetworkType.CONNECTED, waiting.constraints.requiredNetworkType)
        assertTrue(waiting.constraints.requiresBatteryNotLow())
    }

    @Test
    fun `a second request takes the place of the first`() = runBlocking {
        attached()
        app.noNetwork()

        SyncWork().enqueue(app).result.get()
        SyncWork(time = 1.minutes).enqueue(app, delay = 1.hours).result.get()
        SyncWork().enqueuePeriodic(app, every = 2.hours).result.get()
        SyncWork().enqueuePeriodic(app, every = 3.hours).result.get()

        assertEquals(1.hours, work.request(SyncWork.ONCE) { true }.initialDelayMillis.milliseconds)
        val periodic = work.request(SyncWork.PERIODIC) { true }
        assertEquals(3.hours, periodic.periodicityInfo!!.repeatIntervalMillis.milliseconds)
    }

    @Test
    fun `a budget that is spent is a reason to go on later`() = runBlocking {
        val client = attached()
        client.execute("INSERT INTO notes (id, title) VALUES (?, ?)", "n1", "more than a byte")

        unconstrained.copy(bytes = 1).enqueue(app)
        val retried = work.request(SyncWork.ONCE) { it.runAttemptCount > 0 && it.state == WorkInfo.State.ENQUEUED }

        assertFalse(retried.state.isFinished)
        assertEquals(1, client.status().pendingRows)
    }

    @Test
    fun `a user who has to sign in ends the work`() = runBlocking {
        attached().close()
        opened.clear()
        val client = open(server.url) { error("signed out") }
        app.open = { client }

        unconstrained.enqueue(app)
        val failed = work.request(SyncWork.ONCE) { it.state.isFinished }

        assertEquals(WorkInfo.State.FAILED, failed.state)
        assertTrue(failed.outputData.getBoolean(SyncWork.SIGN_IN, false))
    }

    @Test
    fun `a server that is not there is tried again`() = runBlocking {
        attached()
        server.close()

        unconstrained.enqueue(app)
        work.request(SyncWork.ONCE) { it.runAttemptCount == 1 && it.state == WorkInfo.State.ENQUEUED }
        Unit
    }

    @Test
    fun `a server that asks to wait gets its wait`() = runBlocking {
        attached().close()
        opened.clear()
        val busy = stub { exchange ->
            exchange.responseHeaders.add("Retry-After", "3600")
            exchange.sendResponseHeaders(429, -1)
            exchange.close()
        }
        val client = open(busy) { "any" }
        app.open = { client }

        unconstrained.enqueue(app)
        val both = work.requests(SyncWork.ONCE) { requests ->
            requests.size == 2 && requests.any { it.state.isFinished }
        }

        val next = both.single { !it.state.isFinished }
        assertEquals(WorkInfo.State.SUCCEEDED, both.single { it.state.isFinished }.state)
        assertEquals(1.hours, next.initialDelayMillis.milliseconds)
        assertEquals(unconstrained.constraints, next.constraints)
    }

    @Test
    fun `work that is stopped stops the sync, and the next one goes on`() = runBlocking {
        val before = attached()
        before.execute("INSERT INTO notes (id, title) VALUES (?, ?)", "n1", "written before")
        before.close()
        opened.clear()
        val asked = CompletableDeferred<Unit>()
        val silence = CountDownLatch(1)
        opened += AutoCloseable { silence.countDown() }
        val silent = stub {
            asked.complete(Unit)
            silence.await()
        }
        val client = open(silent) { "any" }
        app.open = { client }

        unconstrained.enqueue(app)
        asked.await()
        SyncWork.cancel(app)
        assertEquals(WorkInfo.State.CANCELLED, work.request(SyncWork.ONCE) { it.state.isFinished }.state)
        // Blocks until a running operation has ended.
        client.close()
        opened.remove(client)

        val again = open(server.url) { server.token("ada") }
        assertEquals(1, again.sync().pushedRows)
    }

    @Test
    fun `an app that provides no client ends the work`() = runBlocking {
        app.open = { error("no client") }

        unconstrained.enqueue(app)

        assertEquals(WorkInfo.State.FAILED, work.request(SyncWork.ONCE) { it.state.isFinished }.state)
    }

    /** The app's client, attached. */
    private suspend fun attached(): RowtideClient {
        val client = open(server.url) { server.token("ada") }
        client.attach("ada")
        app.open = { client }
        return client
    }

    private suspend fun open(url: String, tokens: TokenProvider): RowtideClient = Rowtide.open(app, "notes.db") {
        notes(url)
        tokens(tokens)
    }.also { opened += it }

    /** A client on another device of the same user. */
    private suspend fun other(): RowtideClient {
        val client = Rowtide.open(databasePath(app, "other.db")) {
            notes(server.url)
            tokens { server.token("ada") }
        }
        opened += client
        client.attach("ada")
        return client
    }

    private fun stub(answer: com.sun.net.httpserver.HttpHandler): String {
        val stub = HttpServer.create(InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0)
        stub.createContext("/", answer)
        stub.start()
        opened.add(0, AutoCloseable { stub.stop(0) })
        return "http://127.0.0.1:${stub.address.port}"
    }
}
