package dev.rowtide.android

import dev.rowtide.RowtideClient

/**
 * The app's way to its client, for background work. Let the `Application` implement it:
 *
 * ```kotlin
 * class NotesApp : Application(), ClientProvider {
 *     private val opening = Mutex()
 *     private var client: RowtideClient? = null
 *
 *     override suspend fun rowtideClient(): RowtideClient = opening.withLock {
 *         client ?: Rowtide.open(this, "notes.db") { … }.also { client = it }
 *     }
 * }
 * ```
 *
 * Apps that inject their dependencies construct [RowtideWorker] in a `WorkerFactory` of their own instead.
 */
public fun interface ClientProvider {
    /**
     * The app's one client, opened at the first call and kept: Android may have started the process for the work alone,
     * and the app can be opened while it runs. Called from any thread. Whoever closes the client opens it again with the
     * next call. What this throws ends the work as if syncing had thrown it.
     */
    public suspend fun rowtideClient(): RowtideClient
}
