package dev.rowtide

import dev.rowtide.ffi.coreVersion
import dev.rowtide.internal.FfiDatabase
import dev.rowtide.internal.Host
import dev.rowtide.internal.logTo

/**
 * Opens databases and clients.
 *
 * ```kotlin
 * val client = Rowtide.open("app.db") {
 *     server("https://sync.example.com", schema = "business")
 *     table("notes") { key("id") }
 *     tokens { reason -> signedIn.token(reason) }
 *     prepare { executeScript("CREATE TABLE IF NOT EXISTS notes (id TEXT PRIMARY KEY NOT NULL, title TEXT)") }
 * }
 * client.execute("INSERT INTO notes VALUES (?, ?)", "n1", "offline")
 * client.attach("ada")
 * client.start()
 * ```
 */
public object Rowtide {
    /** Version of the native core, as `major.minor.patch`. */
    public val version: String
        get() {
            Host.ensureReady()
            return coreVersion()
        }

    /**
     * Opens or creates the database at [path], and a client on it. Closing the client closes both. Nothing is written
     * before the configuration was checked against the tables; no network is used.
     *
     * @throws RowtideException.AlreadyOwned at once where it is open elsewhere
     * @throws RowtideException.Configuration where a table cannot be synchronised, naming table, column and mend
     */
    public suspend fun open(path: String, configure: ClientBuilder.() -> Unit): RowtideClient {
        val builder = ClientBuilder().apply(configure)
        // A faulty configuration creates no file.
        builder.build()
        val database = openDatabase(path)
        try {
            return database.connect(builder, ownsDatabase = true)
        } catch (failure: Throwable) {
            database.shutDown()
            throw failure
        }
    }

    /**
     * Opens or creates the database at [path] without sync: for database drivers, which go on working on it when a client
     * is opened with [RowtideDatabase.connect].
     *
     * @throws RowtideException.AlreadyOwned at once where it is open elsewhere
     */
    public suspend fun openDatabase(path: String): RowtideDatabase = RowtideDatabase(FfiDatabase.open(path))

    /** As [openDatabase], blocking the thread. */
    public fun openDatabaseBlocking(path: String): RowtideDatabase = RowtideDatabase(FfiDatabase.openBlocking(path))

    /**
     * Logs from [level] on, to [sink] or, where it is `null`, to the platform's log (os_log on Apple, nowhere
     * elsewhere). Can be called again to change either. The log never holds row contents, keys or tokens.
     */
    public fun log(level: LogLevel, sink: LogSink?): Unit = logTo(level, sink)
}
