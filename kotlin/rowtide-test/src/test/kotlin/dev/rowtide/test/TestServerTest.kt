package dev.rowtide.test

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import java.io.IOException
import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds

class TestServerTest {
    private val http = HttpClient.newHttpClient()

    private fun TestServer.request(path: String, token: String = token("ada")): HttpRequest.Builder = HttpRequest
        .newBuilder(URI("$url/sync/$path"))
        .header("Authorization", "Bearer $token")
        .header("Oversync-Source-ID", "a-source")

    private fun TestServer.get(path: String = "capabilities", token: String = token("ada")): HttpResponse<String> =
        http.send(request(path, token).build(), HttpResponse.BodyHandlers.ofString())

    /** A POST: the JDK's client repeats a GET that got no answer. */
    private fun TestServer.connect(): HttpResponse<String> {
        val request = request("connect")
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString("""{"has_local_pending_rows": false}"""))
            .build()
        return http.send(request, HttpResponse.BodyHandlers.ofString())
    }

    @Test
    fun `each fault strikes one call, and no HTTP client posts again behind the test's back`() {
        val faults =
            listOf(
                Fault.DropRequest,
                Fault.ApplyThenDropReply,
                Fault.ApplyThenTruncateReply,
                Fault.Answer(500),
                Fault.AnswerRetryAfter(503, 7.seconds),
                Fault.Delay(Duration.ZERO),
            )
        TestServer.start(mapOf("notes" to "id")).use { server ->
            val seen =
                faults.map { fault ->
                    server.failNext(Endpoint.CONNECT, fault)
                    try {
                        val answer = server.connect()
                        "${answer.statusCode()} ${answer.headers().firstValue("retry-after").orElse("-")}"
                    } catch (_: IOException) {
                        "broken"
                    }
                }
            assertEquals(listOf("broken", "broken", "broken", "500 -", "503 7", "200 -"), seen)
            assertEquals(faults.map { StruckFault(Endpoint.CONNECT, it) }, server.takeStruck())
            assertEquals(List(faults.size) { Endpoint.CONNECT }, server.takeCalls())
        }
    }

    @Test
    fun `a truncated reply begins, and breaks in the middle of its body`() {
        TestServer.start(mapOf("notes" to "id")).use { server ->
            server.failNext(Endpoint.CAPABILITIES, Fault.ApplyThenTruncateReply)
            val request = server.request("capabilities").build()
            val answer = http.send(request, HttpResponse.BodyHandlers.ofInputStream())
            assertEquals(200, answer.statusCode())
            assertThrows(IOException::class.java) { answer.body().readAllBytes() }
            assertEquals(listOf(Endpoint.CAPABILITIES), server.takeCalls())
        }
    }

    @Test
    fun `rows that a test writes can be pulled and read, and are gone after a reset`() {
        for (generation in WireGeneration.entries) {
            TestServer.start(mapOf("notes" to "id"), generation, rowsPerChunk = 1).use { server ->
                server.putRows("ada", "notes", """[{"id": "n1", "stars": 5}, {"id": "n2", "stars": null}]""")
                val five = if (generation == WireGeneration.A) "5" else "\"5\""
                assertEquals("""[{"id":"n1","stars":$five},{"id":"n2","stars":null}]""", server.rows("ada", "notes"))
                assertTrue("\"stable_bundle_seq\":1" in server.get("pull?after_bundle_seq=0&max_bundles=10").body())
                server.deleteRows("ada", "notes", "n1", "n7")
                assertEquals("""[{"id":"n2","stars":null}]""", server.rows("ada", "notes"))
                assertEquals(2, server.pruneHistory("ada"))
                assertEquals(409, server.get("pull?after_bundle_seq=0&max_bundles=10").statusCode())
                server.reset()
                assertEquals("[]", server.rows("ada", "notes"))
            }
        }
    }

    @Test
    fun `a backup is restored on the same port`() {
        TestServer.start(mapOf("notes" to "id"), store = TestStore.FILE).use { server ->
            server.putRows("ada", "notes", """[{"id": "n1"}]""")
            server.backup().use { backup ->
                server.putRows("ada", "notes", """[{"id": "n2"}]""")
                server.restore(backup)
            }
            assertEquals("""[{"id":"n1"}]""", server.rows("ada", "notes"))
            server.restart()
            assertEquals(200, server.get().statusCode())
        }
    }

    @Test
    fun `tokens expire on the server's clock and can be rejected`() {
        TestServer.start(mapOf("notes" to "id")).use { server ->
            val short = server.tokenExpiringIn("ada", 600.seconds)
            val lasting = server.token("ada")
            assertEquals(200, server.get(token = short).statusCode())
            server.advance(601.seconds)
            assertEquals(listOf(401, 200), listOf(short, lasting).map { server.get(token = it).statusCode() })
            server.rejectTokens("ada")
            assertEquals(401, server.get(token = lasting).statusCode())
            assertNotEquals(lasting, server.token("ada"))
            assertEquals(200, server.get().statusCode())
        }
    }

    @Test
    fun `a network that is down comes up again, and chance repeats itself`() {
        val storms =
            List(2) {
                TestServer.start(mapOf("notes" to "id")).use { server ->
                    server.disconnect()
                    assertThrows(IOException::class.java) { server.get() }
                    server.heal()
                    server.failRandomly(seed = 7, percent = 50)
                    repeat(20) { runCatching { server.get() } }
                    server.takeStruck()
                }
            }
        assertEquals(storms[0], storms[1])
        assertTrue(storms[0].size in 5..15, "${storms[0]}")
    }

    @Test
    fun `what cannot be had is an exception with the reason, and a closed server says so`() {
        val none = assertThrows(TestServerException::class.java) { TestServer.start(emptyMap()) }
        assertTrue("no table is registered" in none.message!!, none.message)
        val server = TestServer.start(mapOf("notes" to "id"))
        val refusals =
            listOf<() -> Unit>(
                { server.backup() },
                { server.rows("ada", "tags") },
                { server.putRows("ada", "notes", "secret") },
                { server.fail(Endpoint.PULL, -1, 1, Fault.DropRequest) },
                { server.failNext(Endpoint.PULL, Fault.Answer(42)) },
                { server.failRandomly(1, 101) },
            ).map { assertThrows(TestServerException::class.java) { it() }.message!! }
        assertTrue(refusals.none { "secret" in it }, "$refusals")
        assertEquals(refusals.toSet().size, refusals.size)
        server.close()
        server.close()
        assertThrows(IllegalStateException::class.java) { server.token("ada") }
    }
}
