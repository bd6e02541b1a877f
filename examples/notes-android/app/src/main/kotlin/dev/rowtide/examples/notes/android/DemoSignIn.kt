package dev.rowtide.examples.notes.android

import dev.rowtide.TokenProvider
import dev.rowtide.TokenReason
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.runInterruptible
import org.json.JSONObject
import java.net.HttpURLConnection
import java.net.URL

/**
 * Signs in at a server that was started with `--demo`, where anybody can be anybody. An app asks its identity service
 * here. Where that cannot be reached, the `IOException` says so, and sync tries again later.
 */
class DemoSignIn(private val server: String, private val user: String) : TokenProvider {
    override suspend fun token(reason: TokenReason): String = runInterruptible(Dispatchers.IO) {
        val connection = URL("$server/dummy-signin").openConnection() as HttpURLConnection
        try {
            connection.requestMethod = "POST"
            connection.doOutput = true
            connection.setRequestProperty("Content-Type", "application/json")
            val question = JSONObject().put("user", user).put("password", "any").toString()
            connection.outputStream.use { it.write(question.toByteArray()) }
            val answer = connection.inputStream.use { it.readBytes().decodeToString() }
            JSONObject(answer).getString("token")
        } finally {
            connection.disconnect()
        }
    }
}
