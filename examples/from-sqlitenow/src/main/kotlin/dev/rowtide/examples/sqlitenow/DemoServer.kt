package dev.rowtide.examples.sqlitenow

import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse

/** A server that was started with `--demo --wire b`: signs anybody in, and hears what OverSqlite had said to it. */
class DemoServer(val url: String) {
    private val http = HttpClient.newHttpClient()

    /** A token of a user. */
    fun token(user: String): String {
        val answer = send("POST", "/dummy-signin", """{"user":"$user","password":"any"}""")
        return member(answer, "token")
    }

    /** Sends requests of `fixture/lost-upload.txt`. */
    fun replay(recorded: String) {
        val lines = recorded.lines().dropWhile { it.startsWith("#") }
        val source = lines.first().removePrefix("source ")
        var session = ""
        for ((request, body) in lines.drop(1).chunked(2).filter { it.size == 2 }) {
            val path = request.removePrefix("POST ").replace("{push_id}", session)
            val answer = send("POST", path, body, source)
            if (session.isEmpty()) session = member(answer, "push_id")
        }
    }

    /** How many rows the server committed under a number. */
    fun rowsOfBundle(seq: Long): Int {
        val answer = send("GET", "/sync/pull?after_bundle_seq=${seq - 1}&max_bundles=1", "", "a-device-that-only-looks")
        return Regex("\"op\"").findAll(answer).count()
    }

    private fun send(method: String, path: String, body: String, source: String? = null): String {
        val request = HttpRequest.newBuilder(URI(url + path))
            .header("Content-Type", "application/json")
            .method(method, HttpRequest.BodyPublishers.ofString(body))
        if (source !=
            null
        ) {
            request.header("Authorization", "Bearer ${token("ada")}").header("Oversync-Source-ID", source)
        }
        val answer = http.send(request.build(), HttpResponse.BodyHandlers.ofString())
        check(answer.statusCode() in 200..299) { "$method $path answered ${answer.statusCode()}: ${answer.body()}" }
        return answer.body()
    }

    private fun member(json: String, name: String): String =
        Regex("\"$name\"\\s*:\\s*\"([^\"]+)\"").find(json)?.groupValues?.get(1) ?: error("the server answered no $name")
}
