package dev.rowtide

import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.Job
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.channels.SendChannel
import kotlinx.coroutines.channels.awaitClose
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.callbackFlow
import kotlinx.coroutines.flow.conflate
import kotlinx.coroutines.flow.filter
import kotlinx.coroutines.flow.getAndUpdate
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.flow.update
import kotlinx.coroutines.withContext
import kotlin.time.Duration

/**
 * A client: the app's database and its way to the server.
 *
 * Operations ([sync], [attach] and their like) run one at a time, each on a task of its own. Cancelling the coroutine that
 * waits for one stops it between two durable steps, and the coroutine ends when it has stopped; the next operation goes
 * on from there. A [sync] that other callers share goes on for them.
 *
 * All of its functions can be called from any thread.
 */
public class RowtideClient internal constructor(
    private val core: CoreClient,
    /** The database; its SQL is also at hand on the client itself. */
    public val database: RowtideDatabase,
    private val ownsDatabase: Boolean,
) : Sql by database,
    AutoCloseable {
    private val closed = Job()

    /** Rows that cannot be synchronised as they are. */
    public val inbox: Inbox = Inbox(core)

    /**
     * Attaches the database to the user that the tokens belong to.
     *
     * Where the server has data, it is downloaded and applied before this returns; rows written before are kept as local
     * inserts unless the configuration says otherwise. Where the server is empty, the next [push] or [sync] seeds it.
     * Interrupted anywhere, the next call goes on.
     *
     * @throws RowtideException.Attachment where another user is attached
     */
    public suspend fun attach(user: String): Report = run(CoreCall.Attach(user))

    /**
     * Settles, pulls and rebases, then pushes: afterwards the server has what was written before the call. Concurrent
     * calls share one run.
     *
     * @throws RowtideException whatever fails; rows that the server does not have stay pending
     */
    public suspend fun sync(): Report = run(CoreCall.Sync)

    /**
     * Syncs for at most a time from the start, or at most so many bytes of request and response bodies, and stops
     * between two durable steps when that is spent: for a background task that the platform ends. The outcome is
     * [Outcome.BudgetSpent] then.
     */
    public suspend fun syncFor(time: Duration? = null, bytes: Long? = null): Report =
        run(CoreCall.SyncFor(time?.inWholeMilliseconds, bytes))

    /** Uploads pending rows; pulls only where a conflict makes it necessary. Throws as [sync]. */
    public suspend fun push(): Report = run(CoreCall.Push)

    /** Downloads other devices' changes and rebases pending rows onto them. Throws as [sync]. */
    public suspend fun pull(): Report = run(CoreCall.Pull)

    /** Downloads all rows anew and writes what differs; pending rows are rebased. Throws as [sync]. */
    public suspend fun rebuild(): Report = run(CoreCall.Rebuild)

    /**
     * Detaches from the user: the managed tables are emptied and the source is replaced. Rows that are unsynced or
     * refused block it: the outcome is [Outcome.BlockedUnsyncedData] and nothing is changed.
     */
    public suspend fun detach(): Report = run(CoreCall.Detach)

    /** Syncs, at most three rounds, and detaches if nothing is pending then. Throws as [sync]; still attached then. */
    public suspend fun syncThenDetach(): Report = run(CoreCall.SyncThenDetach)

    /** Where the database stands. Uses no network. */
    public suspend fun status(): Status = core.status()

    /** This database's identity towards the server. Uses no network. */
    public suspend fun sourceInfo(): SourceInfo = core.sourceInfo()

    /**
     * Asks the server which wire generation it speaks, `a` or `b`, and whether its tables match.
     *
     * @throws RowtideException.Incompatible names the tables that differ
     */
    public suspend fun checkServer(): String = core.checkServer()

    /**
     * Explains in plain words what keeps rows from being synchronised, and what would let them go on; `null` where
     * nothing does. Uses no network.
     */
    public suspend fun whyStuck(): String? = core.whyStuck()

    /**
     * Starts to sync by itself: uploads after local commits, downloads when the server tells of changes or at an
     * interval. A loop that runs already goes on with these options. Failures are shown by [status] and tried again.
     */
    public fun start(options: LoopOptions = LoopOptions()): Unit = core.start(options)

    /** Stops to sync by itself. An operation that runs is finished. */
    public fun stop(): Unit = core.stop()

    /** Holds the loop's uploads or downloads. Operations that the app calls work all the same. */
    public fun pause(direction: Direction): Unit = core.pause(direction)

    /** Lets the loop's uploads or downloads go on, at once. */
    public fun resume(direction: Direction): Unit = core.resume(direction)

    /** Tells the loop of the network. When it comes back, the loop tries at once. */
    public fun setConnectivity(connectivity: Connectivity): Unit = core.setConnectivity(connectivity)

    /** Tells that the token provider can give a valid token (again): the loop tries at once. */
    public fun credentialsChanged(): Unit = core.credentialsChanged()

    /** The status: at once, then after every change. A slow collector gets what is newest. Ends with the client. */
    public val statusChanges: Flow<Status> = observation { channel ->
        core.observeStatus { channel.trySend(it) }
    }.conflate()

    /** Progress of long operations. A slow collector misses steps, never the newest one. Ends with the client. */
    public val progress: Flow<Progress> = observation { channel ->
        core.observeProgress { channel.trySend(it) }
    }.conflate()

    /**
     * Tables whose rows commits changed, whoever wrote: the app, a download, a rebuild, a detach. The first item names all
     * of [tables]. What changes while the collector is busy comes in one item. Ends with the client.
     *
     * That a row was sent changes no row of a table: [statusChanges] tells of it.
     */
    public fun tableChanges(vararg tables: String): Flow<Set<String>> =
        observation<MutableStateFlow<Set<String>>> { channel ->
            val changed = MutableStateFlow(emptySet<String>())
            core.observeTables(tables.asList()) { names ->
                changed.update { it + names }
                channel.trySend(changed)
            }
        }.conflate().map { changed -> changed.getAndUpdate { emptySet() } }.filter { it.isNotEmpty() }

    /**
     * What [query] answers: at once, and again after every commit that changed one of [tables]. Commits that follow each
     * other while the query runs are answered by one more run. Ends with the client, or with what the query throws.
     *
     * That a row was sent is no such commit. A query that shows what is pending (`_rowtide_row_status`) runs with the status
     * too: `combine(tableChanges("notes"), statusChanges) { _, _ -> query(…) }`.
     */
    public fun <T> observe(vararg tables: String, query: suspend Sql.() -> T): Flow<T> =
        tableChanges(*tables).map { database.query() }

    /** As [RowtideDatabase.transaction]. */
    public suspend fun <T> transaction(
        deadline: Duration = TRANSACTION_DEADLINE,
        block: suspend RowtideTransaction.() -> T,
    ): T = database.transaction(deadline, block)

    /**
     * Stops the loop, ends all flows and blocks until a running operation has ended; then closes the database too, where
     * the client was opened together with it. Calls afterwards fail with [RowtideException.Internal].
     */
    override fun close() {
        closed.cancel()
        core.closeBlocking()
        database.hasClient.value = false
        if (ownsDatabase) database.close()
    }

    /** As [close], without blocking the thread. */
    public suspend fun shutDown() {
        closed.cancel()
        withContext(NonCancellable) {
            core.close()
            database.hasClient.value = false
            if (ownsDatabase) database.shutDown()
        }
    }

    private suspend fun run(call: CoreCall): Report = core.begin(call).use { operation ->
        try {
            operation.await()
        } catch (cancelled: CancellationException) {
            operation.cancel()
            // The caller goes on when the operation has stopped, not while it is stopping.
            withContext(NonCancellable) {
                try {
                    operation.await()
                } catch (_: RowtideException) {
                    // How it ended is in the status.
                }
            }
            throw cancelled
        }
    }

    /** A flow from a listener: it ends with its collector, or with the client. */
    private fun <T> observation(observe: (SendChannel<T>) -> AutoCloseable): Flow<T> = callbackFlow {
        val observation = observe(channel)
        val end = closed.invokeOnCompletion { channel.close() }
        awaitClose {
            end.dispose()
            observation.close()
        }
    }
}
