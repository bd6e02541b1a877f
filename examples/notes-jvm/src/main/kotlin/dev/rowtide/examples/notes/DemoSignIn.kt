package dev.rowtide.examples.notes

import dev.rowtide.TokenProvider
import dev.rowtide.TokenReason
import kotlinx.coroutines.future.await
import java.io.IOException
import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse

/**
 * Signs in at a server that was started with `--demo`, where anybody can be anybody. An app asks its identity service
 * here. Where that cannot be reached, the [IOException] says so, and sync tries again later.
 */
class DemoSignIn(private val server: String, private val user: String) : TokenProvider {
    private val http = HttpClient.newHttpClient()

    override suspend fun token(reason: TokenReason): String {
        val request = HttpRequest.newBuilder(URI("$server/dummy-signin"))
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString("""{"user":"$user","password":"any"}"""))
            .build()
        val answer = http.sendAsync(request, HttpResponse.BodyHandlers.ofString()).await()
        if (answer.statusCode() != 200) throw IOException("the sign-in answered ${answer.statusCode()}")
        return TOKEN.find(answer.body())?.groupValues?.get(1) ?: throw IOException("the sign-in gave no token")
    }

    private companion object {
        val TOKEN = Regex("\"token\"\\s*:\\s*\"([^\"]+)\"")
    }
}
