package dev.rowtide

import kotlinx.serialization.json.Json
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.util.UUID

/** `rowtide serve` with a store in memory, on a free port. */
class TestServer(wire: String = "b") : AutoCloseable {
    private val process: Process = ProcessBuilder(
        System.getProperty("rowtide.command"),
        "serve",
        "--demo",
        "--wire",
        wire,
        "--table",
        "notes:id",
    ).apply {
        environment()["ROWTIDE_JWT_SECRET"] = UUID.randomUUID().toString()
        redirectError(ProcessBuilder.Redirect.DISCARD)
    }.start()

    /** Where it listens; its first line tells. */
    val url: String = process.inputStream.bufferedReader().readLine()?.removePrefix("listening on ")
        ?: error("the server ended at once; is ${System.getProperty("rowtide.command")} built?")

    /** A token of a user. */
    fun token(user: String): String {
        val request = HttpRequest.newBuilder(URI("$url/dummy-signin"))
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString("""{"user":"$user","password":"p"}"""))
            .build()
        val answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString())
        return Json.parseToJsonElement(answer.body()).jsonObject.getValue("token").jsonPrimitive.content
    }

    override fun close() {
        process.destroyForcibly().waitFor()
    }
}

const val NOTES: String =
    "CREATE TABLE IF NOT EXISTS notes (id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL, stars INTEGER, body BLOB)"

/** Configures a client as nearly all tests want it. */
fun ClientBuilder.notes(url: String) {
    server(url, schema = "business")
    table("notes") { key("id") }
    prepare { executeScript(NOTES) }
}

/** A server that is not there. */
const val NOWHERE: String = "http://127.0.0.1:9"
