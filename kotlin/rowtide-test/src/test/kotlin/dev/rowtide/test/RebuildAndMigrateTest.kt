package dev.rowtide.test

import dev.rowtide.Rowtide
import dev.rowtide.RowtideClient
import dev.rowtide.RowtideException
import dev.rowtide.State
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Path

/** Downloading everything anew, and changing the schema under a client. */
class RebuildAndMigrateTest(@param:TempDir private val folder: Path) {
    private suspend fun open(name: String, server: TestServer): RowtideClient =
        Rowtide.open(folder.resolve("$name.db").toString()) {
            server(server.url, schema = "business")
            table("notes") { key("id") }
            prepare {
                executeScript(
                    "CREATE TABLE IF NOT EXISTS notes (id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL);" +
                        "CREATE TABLE IF NOT EXISTS marks (note TEXT REFERENCES notes (id))",
                )
            }
            tokens { server.token("ada") }
        }

    private fun seeded(rowsPerChunk: Long? = null, work: suspend (TestServer, RowtideClient) -> Unit) = runBlocking {
        TestServer.start(mapOf("notes" to "id"), rowsPerChunk = rowsPerChunk).use { server ->
            server.putRows("ada", "notes", """[{"id": "n1", "title": "one"}, {"id": "n2", "title": "two"}]""")
            open("a", server).use { client ->
                client.attach("ada")
                work(server, client)
            }
        }
    }

    private suspend fun RowtideClient.titles(): List<String> =
        query("SELECT title FROM notes ORDER BY id").map { it.string(0) }

    @Test
    fun `a rebuild brings what the server has, and keeps what it does not have yet`() = seeded { server, client ->
        client.execute("UPDATE notes SET title = 'mine' WHERE id = 'n2'")
        server.putRows("ada", "notes", """[{"id": "n3", "title": "three"}]""")
        val report = client.rebuild()
        assertEquals(3, report.hydratedRows)
        assertEquals(listOf("one", "mine", "three"), client.titles())
        assertEquals(1, client.status().pendingRows)
        assertEquals(1, client.sync().pushedRows)
    }

    @Test
    fun `a device whose history the server has forgotten rebuilds by itself`() = seeded { server, client ->
        server.putRows("ada", "notes", """[{"id": "n1", "title": "uno"}]""")
        server.deleteRows("ada", "notes", "n2")
        server.pruneHistory("ada")
        assertEquals(1, client.sync().hydratedRows)
        assertEquals(listOf("uno"), client.titles())
    }

    @Test
    fun `a rebuild that breaks off is finished by the next sync`() = seeded(rowsPerChunk = 1) { server, client ->
        server.fail(Endpoint.SNAPSHOT_CHUNK, 1, 100, Fault.DropRequest)
        val broken = runCatching { client.rebuild() }.exceptionOrNull()
        assertTrue(broken is RowtideException.Network && broken.isRetryable, "$broken")
        assertEquals(listOf("one", "two"), client.titles())
        server.heal()
        client.sync()
        assertEquals(State.Attached, client.status().state)
        assertEquals(listOf("one", "two"), client.titles())
    }

    @Test
    fun `a table is rebuilt under a client, and what is written before and after is captured`() = seeded {
            server,
            client,
        ->
        client.database.migrate(
            """
            UPDATE notes SET title = upper(title);
            CREATE TABLE fresh (id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL DEFAULT '' CHECK (length(title) < 20));
            INSERT INTO fresh SELECT id, title FROM notes;
            DROP TABLE notes;
            ALTER TABLE fresh RENAME TO notes;
            """.trimIndent(),
        )
        assertEquals(listOf("ONE", "TWO"), client.titles())
        client.execute("INSERT INTO notes (id) VALUES ('n3')")
        client.sync()
        assertEquals(
            """[{"id":"n1","title":"ONE"},{"id":"n2","title":"TWO"},{"id":"n3","title":""}]""",
            server.rows("ada", "notes"),
        )
    }

    @Test
    fun `a migration that leaves rows that refer to nothing changes nothing`() = seeded { _, client ->
        client.execute("INSERT INTO marks VALUES ('n1')")
        val refused = runCatching { client.database.migrate("DELETE FROM notes WHERE id = 'n1'") }.exceptionOrNull()
        assertTrue(refused is RowtideException.Configuration && "marks" in refused.message!!, "$refused")
        assertEquals(listOf("one", "two"), client.titles())
        assertEquals(0, client.status().pendingRows)
    }
}
