import dev.rowtide.Rowtide
import dev.rowtide.RowtideClient
import kotlinx.coroutines.runBlocking
import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.nio.file.Files

/** One device writes offline, attaches and syncs; another one receives the note. */
fun main(arguments: Array<String>) = runBlocking {
    val url = arguments.single()
    val phone = device(url)
    phone.execute("INSERT INTO notes VALUES (?, ?)", "n1", "written offline")
    phone.attach("newcomer")
    val pushed = phone.sync().pushedRows

    val tablet = device(url)
    tablet.attach("newcomer")
    val title = tablet.query("SELECT title FROM notes WHERE id = ?", "n1").single().string("title")
    phone.shutDown()
    tablet.shutDown()
    check(pushed == 1L && title == "written offline") { "pushed $pushed rows, received $title" }
    println("synced: $title")
}

suspend fun device(url: String): RowtideClient {
    val file = Files.createTempDirectory("consumer").resolve("app.db")
    return Rowtide.open(file.toString()) {
        server(url, schema = "business")
        table("notes") { key("id") }
        tokens { signIn(url) }
        prepare { executeScript("CREATE TABLE notes (id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL)") }
    }
}

/** What an app's own sign-in does; the server for demonstrations hands out tokens. */
fun signIn(url: String): String {
    val request = HttpRequest.newBuilder(URI("$url/dummy-signin"))
        .header("Content-Type", "application/json")
        .POST(HttpRequest.BodyPublishers.ofString("""{"user":"newcomer","password":"p"}"""))
        .build()
    val answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body()
    return Regex("\"token\":\"([^\"]+)\"").find(answer)!!.groupValues[1]
}
