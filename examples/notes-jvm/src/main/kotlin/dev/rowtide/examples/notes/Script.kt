package dev.rowtide.examples.notes

import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import kotlinx.coroutines.withTimeoutOrNull
import java.nio.file.Path
import kotlin.io.path.createDirectories
import kotlin.time.Duration.Companion.seconds

/**
 * Two devices without windows, both syncing by themselves. Nothing here asks again and again: each step waits until the
 * flow that a window would collect shows what it must.
 */
suspend fun runScript(server: String, folder: Path) {
    val asked = mutableListOf<Clash>()
    val phone = device("phone", server, folder) { error("the phone's text is on the server first") }
    val laptop = device("laptop", server, folder) { clash -> Choice.Both.also { asked += clash } }
    coroutineScope {
        launch { phone.signIn("ada") }
        launch { laptop.signIn("ada") }
    }
    say("two devices of one user are signed in")

    val id = phone.add("Groceries", "milk")
    phone.tag(id, setOf("home"))
    laptop.waitFor("the new note") { notes -> notes.any { it.title == "Groceries" && it.tags == listOf("home") } }
    say("a note that the phone wrote is on the laptop")

    laptop.pin(id, true)
    phone.waitFor("the pin") { notes -> notes.single().pinned }
    say("the laptop pinned it, and the phone shows the pin")

    laptop.setOnline(false)
    laptop.write(id, "Groceries", "milk\nbread")
    laptop.waitFor("the mark of an unsent note") { notes -> notes.single().unsent }
    check(laptop.status.first().words == "Offline · 1 to send")
    phone.write(id, "Groceries", "milk\napples")
    phone.waitUntilSent()
    check(asked.isEmpty() && laptop.notes.first().single().body == "milk\nbread")
    say("the laptop went offline; both edited the note; the laptop says: Offline · 1 to send")

    laptop.setOnline(true)
    laptop.waitFor("both texts") { notes -> notes.single().let { it.body == MERGED && !it.unsent } }
    phone.waitFor("both texts") { notes -> notes.single().body == MERGED }
    check(asked == listOf(Clash(Text("Groceries", "milk\nbread"), Text("Groceries", "milk\napples"))))
    say("the laptop is back, was asked about one conflict, and both devices show both texts")

    phone.delete(id)
    laptop.waitFor("no note") { notes -> notes.isEmpty() }
    say("the phone deleted the note, and it left the laptop too")

    phone.close()
    laptop.close()
}

private const val MERGED = "milk\napples\n\nmilk\nbread"

private suspend fun device(name: String, server: String, folder: Path, chooser: Chooser): Notebook =
    openNotebook(folder.resolve(name).createDirectories(), server, "ada", chooser)

/** Waits for the first state of the notes that fulfils a condition. The time is there to end a broken run only. */
internal suspend fun Notebook.waitFor(what: String, condition: (List<Note>) -> Boolean) {
    withTimeoutFor(what) { notes.first(condition) }
}

internal suspend fun Notebook.waitUntilSent() {
    withTimeoutFor("an empty outbox") { status.first { it.pendingRows == 0L } }
}

private suspend fun <T> withTimeoutFor(what: String, block: suspend () -> T): T =
    checkNotNull(withTimeoutOrNull(60.seconds) { block() }) { "$what did not come" }

private fun say(line: String) = println("ok  $line")
