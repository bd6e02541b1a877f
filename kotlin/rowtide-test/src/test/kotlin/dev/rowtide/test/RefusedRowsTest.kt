package dev.rowtide.test

import dev.rowtide.Outcome
import dev.rowtide.RefusedReason
import dev.rowtide.Rowtide
import dev.rowtide.RowtideClient
import dev.rowtide.RowtideException
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNotNull
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Path

/** The inbox, against a server that refuses. */
class RefusedRowsTest(@param:TempDir private val folder: Path) {
    private suspend fun open(server: TestServer): RowtideClient = Rowtide.open(folder.resolve("a.db").toString()) {
        server(server.url, schema = "business")
        table("notes") { key("id") }
        prepare {
            executeScript("CREATE TABLE IF NOT EXISTS notes (id TEXT PRIMARY KEY NOT NULL, title TEXT, stars INTEGER)")
        }
        tokens { server.token("ada") }
    }

    private fun synced(work: suspend (TestServer, RowtideClient) -> Unit) = runBlocking {
        TestServer.start(mapOf("notes" to "id")).use { server ->
            open(server).use { client ->
                client.attach("ada")
                work(server, client)
            }
        }
    }

    private suspend fun RowtideClient.write(id: String, title: String) {
        execute("INSERT INTO notes VALUES (?, ?, 0)", id, title)
    }

    private suspend fun RowtideClient.titles(): List<String?> =
        query("SELECT title FROM notes ORDER BY id").map { it.stringOrNull(0) }

    @Test
    fun `a row that the server refuses waits in the inbox, and the others go up`() = synced { server, client ->
        server.forbid("forbidden")
        // Each in a transaction of its own: rows of one transaction are refused together.
        for ((id, title) in listOf("n1" to "one", "n2" to "forbidden", "n3" to "three")) client.write(id, title)
        val report = client.sync()
        assertEquals(2L to 1L, report.pushedRows to report.refusedRows)
        val refused = client.inbox.rows().single()
        assertEquals(
            Triple("notes", "n2", RefusedReason.ServerRefused),
            Triple(refused.table, refused.key, refused.reason),
        )
        assertEquals("forbidden", refused.content?.string("title"))
        assertTrue(refused.inTable && refused.refusedAtMs > 0)
        assertEquals("RefusedRow(notes, n2, ServerRefused)", refused.toString())
        assertNotNull(client.whyStuck())
        assertEquals(Outcome.BlockedUnsyncedData(1), client.detach().outcome)

        assertTrue(client.inbox.retry("notes", "n2", mapOf("title" to "allowed")))
        assertEquals(1, client.sync().pushedRows)
        assertNull(client.whyStuck())
        assertTrue("allowed" in server.rows("ada", "notes"))
    }

    @Test
    fun `all refused rows are tried again once the server takes them`() = synced { server, client ->
        server.forbid("bad")
        for ((id, title) in listOf("n1" to "one", "n2" to "bad", "n3" to "bad")) client.write(id, title)
        assertEquals(2, client.sync().refusedRows)
        server.forbid()
        assertEquals(2, client.inbox.retryAll())
        assertEquals(2, client.sync().pushedRows)
        assertEquals(0, client.status().refusedRows)
    }

    @Test
    fun `a change that is given up makes room for what the server has`() = synced { server, client ->
        client.execute("INSERT INTO notes VALUES ('n1', 'of the server', 1)")
        client.sync()
        client.execute("UPDATE notes SET stars = 9e999")
        client.execute("INSERT INTO notes VALUES ('n2', 'never there', 9e999)")
        assertEquals(2, client.sync().refusedRows)
        assertEquals(List(2) { RefusedReason.InvalidValue }, client.inbox.rows().map { it.reason })

        assertTrue(client.inbox.discard("notes", "n2"))
        assertFalse(client.inbox.discard("notes", "n2"))
        assertEquals(1, client.inbox.discardAll())
        client.sync()
        assertEquals(listOf("of the server"), client.titles())
        assertEquals(1L, client.query("SELECT stars FROM notes").single().long(0))
        assertEquals("""[{"id":"n1","stars":"1","title":"of the server"}]""", server.rows("ada", "notes"))
    }

    @Test
    fun `an edit that names no column or no table changes nothing`() = synced { _, client ->
        client.execute("INSERT INTO notes VALUES ('n1', 'infinite', 9e999)")
        client.sync()
        for (edit in listOf<suspend () -> Any>(
            { client.inbox.retry("notes", "n1", mapOf("colour" to 1)) },
            { client.inbox.retry("nowhere", "n1") },
            { client.inbox.discard("nowhere", "n1") },
        )) {
            val refused = runCatching { edit() }.exceptionOrNull()
            assertTrue(refused is RowtideException.Configuration, "$refused")
        }
        assertFalse(client.inbox.retry("notes", "n9"))
        assertEquals("n1", client.inbox.rows().single().key)
    }
}
