package dev.rowtide.androidx

import androidx.sqlite.SQLiteConnection
import androidx.sqlite.SQLiteDriver
import androidx.sqlite.SQLiteException
import androidx.sqlite.SQLiteStatement
import dev.rowtide.RowtideDatabase
import dev.rowtide.RowtideException
import dev.rowtide.driver.DriverConnection
import dev.rowtide.driver.RowtideDriverApi
import dev.rowtide.driver.driverConnection
import java.util.concurrent.atomic.AtomicInteger
import kotlin.time.Duration
import kotlin.time.Duration.Companion.minutes
import kotlin.time.toKotlinDuration
import java.time.Duration as JavaDuration

/**
 * An `androidx.sqlite` driver on a Rowtide database, so that Room, and everything else that takes an [SQLiteDriver],
 * works on tables that are synchronised.
 *
 * ```kotlin
 * val database = Rowtide.openDatabaseBlocking(path)
 * val notes = Room.databaseBuilder<NotesDatabase>(path).setDriver(RowtideSQLiteDriver(database)).build()
 * // Room has created or migrated its tables when it was used once; then:
 * val client = database.connect { server(url, schema = "business"); table("note") { key("id") } }
 * // Rows that came from other devices are seen by Room's flows:
 * scope.launch { client.tableChanges("note").collect { notes.invalidationTracker.refreshAsync() } }
 * ```
 *
 * Every connection that it opens works on [database], whatever file name it is opened with. Close what uses the driver
 * first, then the database.
 *
 * What differs from SQLite's own driver: errors in SQL show with the first `step`, not with `prepare`; a transaction of
 * any kind waits for the writer, unless its connection only reads (`PRAGMA query_only = 1`, as Room's readers do), and one
 * that lasts longer than [transactionDeadline] is rolled back; settings that Rowtide owns (`journal_mode`, `synchronous`,
 * `foreign_keys`, `recursive_triggers`) can be asked for, and refuse to be anything else; `TEMP` tables are shared by all
 * connections.
 *
 * @property database the database
 * @property transactionDeadline how long a transaction may last; sync waits for one that holds the writer
 */
@OptIn(RowtideDriverApi::class)
public class RowtideSQLiteDriver @JvmOverloads constructor(
    public val database: RowtideDatabase,
    public val transactionDeadline: Duration = 5.minutes,
) : SQLiteDriver {
    private val connections = AtomicInteger()

    /** For Java. */
    public constructor(database: RowtideDatabase, transactionDeadline: JavaDuration) :
        this(database, transactionDeadline.toKotlinDuration())

    /**
     * False: Room keeps a pool of its own, which costs nothing here. A connection is a transaction at most, and threads
     * that share one would share its transaction.
     */
    override val hasConnectionPool: Boolean get() = false

    /** Opens a connection to [database]. */
    override fun open(fileName: String): SQLiteConnection {
        val connection = database.driverConnection(transactionDeadline)
        connections.incrementAndGet()
        return RowtideSQLiteConnection(connection, connections)
    }
}

/** Room clears the log of its invalidation tracker with this for every connection that it opens. */
private const val CLEAR_ROOM_LOG = "DROP TABLE IF EXISTS room_table_modification_log"
private const val NOTHING = "SELECT 1 WHERE 0"

@OptIn(RowtideDriverApi::class)
internal class RowtideSQLiteConnection(
    private val connection: DriverConnection,
    private val connections: AtomicInteger,
) : SQLiteConnection {
    private var closed = false

    override fun inTransaction(): Boolean = translating { connection.inTransaction }

    override fun prepare(sql: String): SQLiteStatement {
        // The log is a TEMP table, which connections share here: what is written down for the ones that are open stays.
        val shared = sql == CLEAR_ROOM_LOG && connections.get() > 1
        return translating { RowtideSQLiteStatement(connection.prepare(if (shared) NOTHING else sql)) }
    }

    override fun close() {
        if (closed) return
        closed = true
        connections.decrementAndGet()
        translating(connection::close)
    }
}

/** Runs a call; what it throws is an [SQLiteException]. */
internal inline fun <T> translating(call: () -> T): T = try {
    call()
} catch (failure: RowtideException) {
    throw SQLiteException(failure.message.orEmpty()).apply { initCause(failure) }
}
