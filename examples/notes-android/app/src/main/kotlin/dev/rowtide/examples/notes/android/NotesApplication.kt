package dev.rowtide.examples.notes.android

import android.app.Application
import dev.rowtide.Rowtide
import dev.rowtide.RowtideClient
import dev.rowtide.android.ClientProvider
import dev.rowtide.android.ConnectivityFeed
import dev.rowtide.android.LifecycleSync
import dev.rowtide.android.SyncWork
import dev.rowtide.android.open
import dev.rowtide.examples.notes.notes
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.coroutines.withContext

/** Has the app's one client, which screens and background work share. It stays open as long as the process lives. */
class NotesApplication :
    Application(),
    ClientProvider {
    private val opening = Mutex()
    private var client: RowtideClient? = null

    /** Decides clashes; it waits for a person where a screen is open. */
    val clashes = Clashes()

    override fun onCreate() {
        super.onCreate()
        // Once an hour, even where the app is not opened.
        SyncWork().enqueuePeriodic(this)
    }

    override suspend fun rowtideClient(): RowtideClient = opening.withLock {
        client ?: opened().also { client = it }
    }

    private suspend fun opened(): RowtideClient {
        val schema = assets.open("schema.sql").use { it.readBytes().decodeToString() }
        val opened = Rowtide.open(this, "notes.db") {
            notes(BuildConfig.SERVER, schema, clashes)
            tokens(DemoSignIn(BuildConfig.SERVER, USER))
        }
        withContext(Dispatchers.Main) {
            // The network as Android sees it; the loop in the foreground; a last run of work on the way to the background.
            ConnectivityFeed.start(this@NotesApplication, opened)
            LifecycleSync.start(this@NotesApplication, opened)
        }
        return opened
    }

    companion object {
        /** Who is signed in. An app asks. */
        const val USER = "ada"
    }
}
