package dev.rowtide

import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.combine
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.joinAll
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Path

class ObservationTest(@param:TempDir private val folder: Path) {
    private suspend fun open() = Rowtide.open(folder.resolve("a.db").toString()) {
        notes(NOWHERE)
        prepare { executeScript("$NOTES; CREATE TABLE IF NOT EXISTS local (id INTEGER PRIMARY KEY)") }
    }

    @Test
    fun `a query is answered at once and again after every commit that concerns it`() = runBlocking<Unit> {
        open().use { client ->
            val counts = Channel<Long>(Channel.UNLIMITED)
            val observing = launch(Dispatchers.Default) {
                client.observe("notes") { query("SELECT count(*) FROM notes").single().long(0) }
                    .collect { counts.send(it) }
            }
            assertEquals(0, counts.receive())
            client.execute("INSERT INTO local VALUES (1)")
            client.execute("INSERT INTO notes VALUES ('n1', 'one', 1, NULL)")
            assertEquals(1, counts.receive())
            client.transaction {
                execute("INSERT INTO notes VALUES ('n2', 'two', 1, NULL)")
                execute("INSERT INTO notes VALUES ('n3', 'three', 1, NULL)")
            }
            assertEquals(3, counts.receive())
            observing.cancel()
        }
    }

    @Test
    fun `what is pending is observed with the status`() = runBlocking<Unit> {
        TestServer().use { server ->
            val token = server.token("ada")
            Rowtide.open(folder.resolve("a.db").toString()) {
                notes(server.url)
                tokens { token }
            }.use { client ->
                client.attach("ada")
                client.execute("INSERT INTO notes VALUES ('n1', 'one', 1, NULL)")
                val states = Channel<String?>(Channel.UNLIMITED)
                val observing = launch(Dispatchers.Default) {
                    combine(client.tableChanges("notes"), client.statusChanges) { _, _ ->
                        client.query(
                            "SELECT (SELECT state FROM _rowtide_row_status WHERE key = id) FROM notes",
                        ).single()
                    }.collect { states.send(it.stringOrNull(0)) }
                }
                assertEquals("pending", states.receive())
                client.sync()
                while (states.receive() != null) continue
                observing.cancel()
            }
        }
    }

    @Test
    fun `what changes while the collector is busy comes in one item`() = runBlocking<Unit> {
        open().use { client ->
            val go = Channel<Unit>(Channel.RENDEZVOUS)
            val items = Channel<Set<String>>(Channel.UNLIMITED)
            val observing = launch(Dispatchers.Default) {
                client.tableChanges("notes", "local").collect {
                    items.send(it)
                    go.receive()
                }
            }
            assertEquals(setOf("notes", "local"), items.receive())
            for (index in 1..50) {
                client.execute("INSERT INTO notes VALUES (?, 'busy', 1, NULL)", "n$index")
                client.execute("INSERT INTO local VALUES (?)", index)
            }
            go.send(Unit)
            val seen = mutableSetOf<String>()
            var received = 0
            while (seen.size < 2) {
                seen += items.receive()
                received++
                go.trySend(Unit)
            }
            assertTrue(received <= 3, "$received items")
            observing.cancel()
        }
    }

    @Test
    fun `flows end with the client`() = runBlocking<Unit> {
        val client = open()
        val collecting = listOf(
            async(Dispatchers.Default) { client.statusChanges.toList() },
            async(Dispatchers.Default) { client.progress.toList() },
            async(Dispatchers.Default, CoroutineStart.UNDISPATCHED) { client.tableChanges("notes").toList() },
        )
        client.statusChanges.first()
        client.shutDown()
        collecting.joinAll()
        val late = runCatching { client.statusChanges.first() }.exceptionOrNull()
        assertTrue(late is RowtideException.Internal, "$late")
    }

    @Test
    fun `what an observed query throws reaches its collector, and the others go on`() = runBlocking<Unit> {
        open().use { client ->
            val failure = runCatching {
                client.observe("notes") { query("SELECT * FROM gone") }.first()
            }.exceptionOrNull()
            assertTrue(failure is RowtideException.Database, "$failure")
            assertEquals(0, client.observe("notes") { query("SELECT * FROM notes").size }.first())
        }
    }
}
