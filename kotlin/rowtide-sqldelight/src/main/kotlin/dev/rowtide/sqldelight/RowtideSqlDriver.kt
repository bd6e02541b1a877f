package dev.rowtide.sqldelight

import app.cash.sqldelight.Query
import app.cash.sqldelight.Transacter
import app.cash.sqldelight.db.AfterVersion
import app.cash.sqldelight.db.QueryResult
import app.cash.sqldelight.db.SqlCursor
import app.cash.sqldelight.db.SqlDriver
import app.cash.sqldelight.db.SqlPreparedStatement
import app.cash.sqldelight.db.SqlSchema
import dev.rowtide.RowtideClient
import dev.rowtide.RowtideDatabase
import dev.rowtide.RowtideException
import dev.rowtide.driver.DriverConnection
import dev.rowtide.driver.DriverStatement
import dev.rowtide.driver.RowtideDriverApi
import dev.rowtide.driver.driverConnection
import java.util.Collections
import java.util.WeakHashMap
import kotlin.time.Duration
import kotlin.time.Duration.Companion.minutes

/**
 * A SQLDelight driver on a Rowtide database, so that the tables of generated queries are synchronised.
 *
 * ```kotlin
 * val database = Rowtide.openDatabaseBlocking(path)
 * val driver = RowtideSqlDriver(database, NotesDatabase.Schema)
 * val notes = NotesDatabase(driver)
 * val client = database.connect { server(url, schema = "business"); table("note") { key("id") } }
 * driver.follow(client)   // rows that came from other devices notify queries too
 * ```
 *
 * A transaction belongs to its thread; it waits for the writer, and one that holds it for longer than
 * [transactionDeadline] is rolled back. Other statements are transactions of their own, durable when they have returned.
 * Failures are [RowtideException]s. Closing the driver leaves the database open; close it afterwards.
 *
 * @property database the database
 * @param schema what creates or migrates the tables, in one transaction that also sets `PRAGMA user_version`; `null`
 * where the app does that
 * @param callbacks what runs after the migration of a version
 * @property transactionDeadline how long a transaction may hold the writer; sync waits for it meanwhile
 */
@OptIn(RowtideDriverApi::class)
public class RowtideSqlDriver @JvmOverloads constructor(
    public val database: RowtideDatabase,
    schema: SqlSchema<QueryResult.Value<Unit>>? = null,
    vararg callbacks: AfterVersion,
    public val transactionDeadline: Duration = 5.minutes,
) : SqlDriver {
    private val connections = Collections.synchronizedMap(WeakHashMap<DriverConnection, Unit>())
    private val connection = ThreadLocal.withInitial {
        database.driverConnection(transactionDeadline).also { connections[it] = Unit }
    }
    private val transaction = ThreadLocal<ThreadTransaction?>()
    private val listeners = TableListeners()

    @Volatile
    private var closed = false

    init {
        if (schema != null) prepareTables(schema, callbacks)
    }

    /** Runs a query, and gives its rows to the mapper one after the other, a page in memory at a time. */
    override fun <R> executeQuery(
        identifier: Int?,
        sql: String,
        mapper: (SqlCursor) -> QueryResult<R>,
        parameters: Int,
        binders: (SqlPreparedStatement.() -> Unit)?,
    ): QueryResult<R> = prepare(sql, binders).use { mapper(StatementCursor(it)) }

    /** Runs a statement that writes. Answers the number of changed rows; durable on return, or with its transaction. */
    override fun execute(
        identifier: Int?,
        sql: String,
        parameters: Int,
        binders: (SqlPreparedStatement.() -> Unit)?,
    ): QueryResult<Long> = QueryResult.Value(prepare(sql, binders).use { it.execute() })

    /** Begins a transaction of this thread, or a nested one, which is rolled back with the one around it. */
    override fun newTransaction(): QueryResult<Transacter.Transaction> {
        val enclosing = transaction.get()
        if (enclosing == null) connection().execute("BEGIN IMMEDIATE")
        val begun = ThreadTransaction(enclosing)
        transaction.set(begun)
        return QueryResult.Value(begun)
    }

    /** The innermost transaction of this thread. */
    override fun currentTransaction(): Transacter.Transaction? = transaction.get()

    /** Tells a listener from now on when one of the tables changed; [follow] adds what comes by sync. */
    override fun addListener(vararg queryKeys: String, listener: Query.Listener): Unit =
        listeners.add(queryKeys, listener)

    /** Tells a listener no more. */
    override fun removeListener(vararg queryKeys: String, listener: Query.Listener): Unit =
        listeners.remove(queryKeys, listener)

    /** Tells the listeners of these tables that they changed. */
    override fun notifyListeners(vararg queryKeys: String): Unit = listeners.notify(queryKeys.asList())

    /**
     * From now on, commits of [client] notify the listeners of the tables that they changed: downloads, rebuilds, and what
     * the app writes past this driver. What this driver writes notifies them twice, at once and with the commit.
     * Ends with the answer, the driver or the client.
     */
    public fun follow(client: RowtideClient): AutoCloseable = listeners.follow(client)

    /** Rolls back transactions that are open, ends queries that are read, and ends [follow]. */
    override fun close() {
        closed = true
        listeners.close()
        synchronized(connections) { connections.keys.toList() }.forEach(DriverConnection::close)
    }

    private fun connection(): DriverConnection {
        check(!closed) { "the driver is closed" }
        return connection.get()
    }

    private fun prepare(sql: String, binders: (SqlPreparedStatement.() -> Unit)?): DriverStatement {
        val statement = connection().prepare(sql)
        if (binders != null) StatementArguments(statement).binders()
        return statement
    }

    private fun prepareTables(schema: SqlSchema<QueryResult.Value<Unit>>, callbacks: Array<out AfterVersion>) {
        val transaction = newTransaction().value as ThreadTransaction
        var prepared = false
        try {
            val version = connection().prepare("PRAGMA user_version").use { it.step().run { it.long(0) } }
            if (version == 0L) {
                schema.create(this)
            } else if (version < schema.version) {
                schema.migrate(this, version, schema.version, *callbacks)
            }
            if (version < schema.version) connection().execute("PRAGMA user_version = ${schema.version}")
            prepared = true
        } finally {
            transaction.end(prepared)
        }
    }

    private inner class ThreadTransaction(override val enclosingTransaction: ThreadTransaction?) :
        Transacter.Transaction() {
        override fun endTransaction(successful: Boolean): QueryResult<Unit> {
            end(successful)
            return QueryResult.Unit
        }

        fun end(successful: Boolean) {
            transaction.set(enclosingTransaction)
            if (enclosingTransaction != null) return
            connection().execute(if (successful) "COMMIT" else "ROLLBACK")
        }
    }
}
