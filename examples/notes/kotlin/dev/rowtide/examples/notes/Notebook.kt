package dev.rowtide.examples.notes

import dev.rowtide.ClientBuilder
import dev.rowtide.ConflictPolicy
import dev.rowtide.Connectivity
import dev.rowtide.Outcome
import dev.rowtide.RowtideClient
import dev.rowtide.RowtideException
import dev.rowtide.Status
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.combine
import kotlinx.coroutines.flow.distinctUntilChanged
import kotlinx.coroutines.flow.map
import java.util.UUID
import kotlin.time.Duration.Companion.seconds

/** The notes of one device: everything that the app does with its database. It knows nothing of windows. */
class Notebook(private val client: RowtideClient) {
    /** Where sync stands: at once, and again after every change. */
    val status: Flow<Status> = client.statusChanges

    /** All notes: at once, and again whenever they change, whoever changed them, or are sent. */
    val notes: Flow<List<Note>> = client.observe("notes", "tags") { query(ALL_NOTES).map(::note) }
        .combine(unsent()) { notes, unsent -> notes.map { it.copy(unsent = it.id in unsent) } }

    /** That a row was sent changes the status and no table. */
    private fun unsent(): Flow<Set<String>> =
        status.map { client.query(UNSENT_NOTES).map { it.string(0) }.toSet() }.distinctUntilChanged()

    /**
     * Signs in. Needs the network once for each user; where there is none, it keeps trying. Notes can be read and written
     * all the while.
     */
    suspend fun signIn(user: String) {
        while (true) {
            val wait = try {
                (client.attach(user).outcome as? Outcome.RetryLater ?: break).after
            } catch (failure: RowtideException) {
                if (!failure.isRetryable) throw failure
                3.seconds
            }
            delay(wait)
        }
    }

    /** Syncs by itself from now on. */
    fun start(): Unit = client.start()

    /** Writes a new note, and answers its key. It is durable when this returns, with or without a network. */
    suspend fun add(title: String, body: String = ""): String {
        val id = UUID.randomUUID().toString()
        client.execute("INSERT INTO notes (id, title, body, updated) VALUES (?, ?, ?, ?)", id, title, body, now())
        return id
    }

    /** Changes a note's text. */
    suspend fun write(id: String, title: String, body: String) {
        client.execute("UPDATE notes SET title = ?, body = ?, updated = ? WHERE id = ?", title, body, now(), id)
    }

    /** Pins a note to the top of the list, or lets it go. */
    suspend fun pin(id: String, pinned: Boolean) {
        client.execute("UPDATE notes SET pinned = ?, updated = ? WHERE id = ?", pinned, now(), id)
    }

    /** Gives a note these tags and no others. */
    suspend fun tag(id: String, names: Set<String>) {
        client.transaction {
            val present = query("SELECT name FROM tags WHERE note_id = ?", id).map { it.string(0) }.toSet()
            for (name in present - names) execute("DELETE FROM tags WHERE id = ?", "$id/$name")
            for (name in names - present) {
                execute("INSERT INTO tags (id, note_id, name) VALUES (?, ?, ?)", "$id/$name", id, name)
            }
        }
    }

    /** Deletes a note; its tags go with it. */
    suspend fun delete(id: String) {
        client.execute("DELETE FROM notes WHERE id = ?", id)
    }

    /** Tells sync of the network, as the platform would. */
    fun setOnline(online: Boolean) {
        client.setConnectivity(if (online) Connectivity.Unmetered else Connectivity.None)
    }

    /** Closes the database, when what runs has ended. */
    suspend fun close(): Unit = client.shutDown()

    private fun now() = System.currentTimeMillis()
}

/**
 * Configures a client for the notes.
 *
 * @param schema the text of `schema.sql`
 * @param chooser decides between two texts of one note
 */
fun ClientBuilder.notes(server: String, schema: String, chooser: Chooser) {
    server(server, schema = "business")
    table("notes") {
        key("id")
        policy = ConflictPolicy.Callback
        // What both sides began with, so that a column that only one side changed is no conflict.
        keepBase()
    }
    table("tags") { key("id") }
    prepare { executeScript(schema) }
    resolver(NoteConflicts(chooser))
}
