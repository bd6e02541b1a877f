package dev.rowtide

import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.withContext
import kotlin.coroutines.AbstractCoroutineContextElement
import kotlin.coroutines.CoroutineContext
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds

/** How long a transaction of the app may hold the writer where nothing else is said. */
internal val TRANSACTION_DEADLINE: Duration = 10.seconds

/**
 * The app's database: one writer and several readers on one file, in WAL mode. It is owned by this object until it is
 * closed; a second opening, in this process or in another one, fails at once with [RowtideException.AlreadyOwned].
 *
 * All of its functions can be called from any thread.
 */
public class RowtideDatabase internal constructor(internal val core: CoreDatabase) :
    Sql,
    AutoCloseable {
    /** Whether a client works on it, which keeps it open. */
    internal val hasClient: MutableStateFlow<Boolean> = MutableStateFlow(false)

    /** The same, for threads that may block: database drivers, Java. */
    public val blocking: BlockingDatabase = BlockingDatabase(core)

    override suspend fun execute(sql: String, vararg arguments: Any?): Execution {
        outsideOfTransaction()
        return core.execute(sql, packed(arguments.asList()))
    }

    override suspend fun executeBatch(sql: String, rows: Iterable<List<Any?>>): Long {
        outsideOfTransaction()
        val batch = batch(rows) ?: return 0
        return core.executeBatch(sql, batch.cells, batch.width)
    }

    override suspend fun query(sql: String, vararg arguments: Any?): Rows =
        core.query(sql, packed(arguments.asList()), WHOLE_PAGE_BYTES).readAll()

    /**
     * Reads the rows of a query one after the other, a page in memory at a time. All rows are of one moment: the one at
     * which the collection began. A collector that pauses for longer than a minute gets [RowtideException.Database].
     */
    public fun rows(sql: String, vararg arguments: Any?): Flow<Row> = flow {
        val result = core.query(sql, packed(arguments.asList()), CURSOR_PAGE_BYTES)
        result.rest.use { rest ->
            var page = result.first
            var more = rest != null
            while (true) {
                for (index in 0..<page.rows) emit(Row(result.columns, page, index))
                if (!more || rest == null) break
                val next = rest.next()
                page = next.first
                more = next.second
            }
        }
    }

    /**
     * Runs several statements separated by semicolons, in one transaction. Answers the number of changed rows.
     *
     * @throws RowtideException.Database SQLite's; nothing was changed
     */
    public suspend fun executeScript(sql: String): Long {
        outsideOfTransaction()
        return core.executeScript(sql)
    }

    /**
     * Changes the app's schema: runs statements in one transaction in which foreign keys are not enforced, so that a
     * table can be rebuilt (created anew, filled, dropped and renamed). Foreign keys are checked before it is committed,
     * and capture goes on. A change that is made while rows are copied into the new table is not captured: update them in
     * the old one first. Answers the number of changed rows.
     *
     * @throws RowtideException.Database SQLite's; nothing was changed
     * @throws RowtideException.Configuration where rows refer to nothing afterwards; nothing was changed
     */
    public suspend fun migrate(sql: String): Long {
        outsideOfTransaction()
        return core.migrate(sql)
    }

    /**
     * Runs [block] in a write transaction. It is committed, and durable, when this returns; an exception or the
     * cancellation of the coroutine rolls it back. Sync waits for it meanwhile, so keep it short and wait for nothing
     * else in it; after [deadline] it is rolled back, and the next statement says so.
     *
     * @throws RowtideException.Database SQLite's, or the deadline has passed; nothing was changed
     */
    public suspend fun <T> transaction(
        deadline: Duration = TRANSACTION_DEADLINE,
        block: suspend RowtideTransaction.() -> T,
    ): T {
        outsideOfTransaction()
        core.transaction(deadline.inWholeMilliseconds).use { begun ->
            try {
                val result = withContext(InTransaction(this)) { RowtideTransaction(begun).block() }
                // Once begun, a commit is waited for: its caller must know whether it happened.
                withContext(NonCancellable) { begun.commit() }
                return result
            } catch (failure: Throwable) {
                begun.rollback()
                throw failure
            }
        }
    }

    /**
     * Opens a client on this database: checks the configuration against the tables and starts capturing writes. Nothing
     * is written before every check has passed; no network is used. The database stays open when the client is closed.
     *
     * @throws RowtideException.Configuration where a table cannot be synchronised, naming table, column and mend
     * @throws RowtideException.AlreadyOwned where a client works on this database already
     */
    public suspend fun connect(configure: ClientBuilder.() -> Unit): RowtideClient =
        connect(ClientBuilder().apply(configure), ownsDatabase = false)

    internal suspend fun connect(builder: ClientBuilder, ownsDatabase: Boolean): RowtideClient {
        val config = builder.build()
        builder.preparation?.let { prepare -> prepare() }
        val client = RowtideClient(core.connect(config), this, ownsDatabase)
        hasClient.value = true
        return client
    }

    /**
     * Takes Rowtide out of the database: its tables, views and triggers are dropped, the app's stay as they are. What the
     * server does not have yet is never uploaded. Answers whether there was anything to drop.
     *
     * @throws RowtideException.AlreadyOwned while a client works on it
     * @throws RowtideException.Configuration where a trigger or view of the app refers to Rowtide's tables
     */
    public suspend fun uninstallSync(): Boolean = core.uninstallSync()

    /**
     * Closes the database. Blocks until it is closed: until transactions have ended and queries are read. Calls
     * afterwards fail with [RowtideException.Internal].
     *
     * @throws IllegalStateException while a client works on it: close that first
     */
    override fun close() {
        withoutClient()
        core.closeBlocking()
    }

    /** As [close], without blocking the thread. */
    public suspend fun shutDown() {
        withoutClient()
        withContext(NonCancellable) { core.close() }
    }

    private fun withoutClient() = check(!hasClient.value) { "a client works on this database; close that first" }

    private suspend fun outsideOfTransaction() {
        val around = currentCoroutineContext()[InTransaction]
        check(around?.database !== this) {
            "this waits for the transaction around it, which waits for this; " +
                "call it on the transaction, the receiver of the block"
        }
    }
}

/** Marks the coroutine of a transaction, so that what would wait for itself is refused. */
private class InTransaction(val database: RowtideDatabase) : AbstractCoroutineContextElement(InTransaction) {
    companion object Key : CoroutineContext.Key<InTransaction>
}

/** A write transaction, inside of [RowtideDatabase.transaction]. Its queries see its own writes. */
public class RowtideTransaction internal constructor(private val core: CoreTransaction) : Sql {
    override suspend fun execute(sql: String, vararg arguments: Any?): Execution =
        core.execute(sql, packed(arguments.asList()))

    override suspend fun executeBatch(sql: String, rows: Iterable<List<Any?>>): Long {
        val batch = batch(rows) ?: return 0
        return core.executeBatch(sql, batch.cells, batch.width)
    }

    override suspend fun query(sql: String, vararg arguments: Any?): Rows =
        core.query(sql, packed(arguments.asList()), WHOLE_PAGE_BYTES).readAll()
}
