package dev.rowtide.test

import dev.rowtide.Rowtide
import dev.rowtide.RowtideClient
import dev.rowtide.RowtideException
import dev.rowtide.TokenReason
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Path

/** The client of an app against the server, as an app's own tests have it. */
class ClientTest(@param:TempDir private val folder: Path) {
    private suspend fun open(
        name: String,
        server: TestServer,
        token: (TokenReason) -> String = { server.token("ada") },
    ): RowtideClient = Rowtide.open(folder.resolve("$name.db").toString()) {
        server(server.url, schema = "business")
        table("notes") { key("id") }
        prepare {
            executeScript("CREATE TABLE IF NOT EXISTS notes (id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL)")
        }
        tokens { token(it) }
    }

    private suspend fun RowtideClient.write(id: String, title: String) {
        execute("INSERT INTO notes VALUES (?, ?)", id, title)
    }

    private suspend fun RowtideClient.notes(): List<String> =
        query("SELECT id, title FROM notes ORDER BY id").map { "${it.string(0)} ${it.string(1)}" }

    @Test
    fun `two clients of a user see each other's rows and those that the test writes`() = runBlocking<Unit> {
        for (generation in WireGeneration.entries) {
            TestServer.start(mapOf("notes" to "id"), generation, rowsPerChunk = 1).use { server ->
                server.putRows("ada", "notes", """[{"id": "n1", "title": "seed"}]""")
                open("a-$generation", server).use { a ->
                    open("b-$generation", server).use { b ->
                        a.attach("ada")
                        b.attach("ada")
                        a.write("n2", "of a")
                        b.write("n3", "of b")
                        a.sync()
                        b.sync()
                        a.sync()
                        assertEquals(listOf("n1 seed", "n2 of a", "n3 of b"), a.notes())
                        assertEquals(a.notes(), b.notes())
                        server.deleteRows("ada", "notes", "n1")
                        assertEquals(1, b.sync().pulledRows)
                        assertEquals(listOf("n2 of a", "n3 of b"), b.notes())
                    }
                }
                assertEquals(
                    """[{"id":"n2","title":"of a"},{"id":"n3","title":"of b"}]""",
                    server.rows("ada", "notes"),
                )
            }
        }
    }

    @Test
    fun `a commit whose reply was lost is replayed, and its rows are there once`() = runBlocking<Unit> {
        TestServer.start(mapOf("notes" to "id")).use { server ->
            open("a", server).use { a ->
                a.attach("ada")
                a.write("n1", "once")
                server.failNext(Endpoint.PUSH_COMMIT, Fault.ApplyThenDropReply)
                server.takeCalls()
                assertEquals(1, a.sync().pushedRows)
                assertEquals(listOf(StruckFault(Endpoint.PUSH_COMMIT, Fault.ApplyThenDropReply)), server.takeStruck())
                val push = listOf(Endpoint.PUSH_CREATE, Endpoint.PUSH_CHUNK, Endpoint.PUSH_COMMIT)
                // Asked again, the server says that it has this bundle.
                assertEquals(push + Endpoint.PUSH_CREATE, server.takeCalls() - Endpoint.PULL)
                assertEquals(0, a.status().pendingRows)
                assertEquals("""[{"id":"n1","title":"once"}]""", server.rows("ada", "notes"))
            }
        }
    }

    @Test
    fun `a rejected token is asked for anew, and nothing is lost`() = runBlocking<Unit> {
        TestServer.start(mapOf("notes" to "id")).use { server ->
            val reasons = mutableListOf<TokenReason>()
            val provider = { reason: TokenReason ->
                reasons += reason
                server.token("ada")
            }
            open("a", server, provider).use { a ->
                a.attach("ada")
                a.write("n1", "kept")
                server.rejectTokens("ada")
                assertEquals(1, a.sync().pushedRows)
                assertEquals(listOf(TokenReason.FirstUse, TokenReason.Rejected), reasons)
            }
        }
    }

    @Test
    fun `under faults by chance the client gets there, and the same seed makes the same faults`() = runBlocking<Unit> {
        val storms = List(2) { round ->
            TestServer.start(mapOf("notes" to "id"), rowsPerChunk = 1).use { server ->
                open("a-$round", server).use { a ->
                    a.attach("ada")
                    repeat(3) { a.write("n$it", "row $it") }
                    server.failRandomly(SEED, percent = 30)
                    val endings = List(3) { runCatching { a.sync() }.exceptionOrNull()?.javaClass?.simpleName }
                    val struck = server.takeStruck()
                    server.heal()
                    a.sync()
                    assertEquals(0, a.status().pendingRows, "seed $SEED")
                    assertEquals(3, a.notes().size, "seed $SEED")
                    assertEquals(3, Regex("\"id\"").findAll(server.rows("ada", "notes")).count(), "seed $SEED")
                    endings to struck
                }
            }
        }
        assertEquals(storms[0], storms[1], "seed $SEED")
        assertTrue(storms[0].second.isNotEmpty(), "seed $SEED: no fault struck")
    }

    private companion object {
        const val SEED = 7L
    }
}
