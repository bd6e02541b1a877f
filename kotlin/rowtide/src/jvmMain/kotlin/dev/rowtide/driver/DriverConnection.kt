package dev.rowtide.driver

import dev.rowtide.Columns
import dev.rowtide.CoreDatabase
import dev.rowtide.CorePages
import dev.rowtide.CoreResult
import dev.rowtide.CoreSnapshot
import dev.rowtide.CoreTransaction
import dev.rowtide.Execution
import dev.rowtide.Page
import dev.rowtide.RowtideDatabase
import dev.rowtide.RowtideException
import dev.rowtide.packed
import java.util.Collections
import java.util.concurrent.ConcurrentHashMap
import kotlin.time.Duration
import kotlin.time.Duration.Companion.minutes

/** Pages of the rows that a driver reads one after the other, in bytes. */
private const val PAGE_BYTES = 256L shl 10

/** All rows of a transaction's query are there when it returns, so their pages are large. */
private const val TRANSACTION_PAGE_BYTES = 1L shl 20

private val NO_CELLS = ByteArray(0)

/**
 * A connection for a driver. It has a transaction of its own and nothing else that costs: rows are read by the
 * database's readers, everything that writes goes to its one writer.
 *
 * A transaction is rolled back when it has held the writer, or one state of the database, for [transactionDeadline], and
 * the next statement says so.
 */
@RowtideDriverApi
public fun RowtideDatabase.driverConnection(transactionDeadline: Duration = 5.minutes): DriverConnection =
    DriverConnection(core, transactionDeadline)

/**
 * What a database driver works with: statements in SQLite's own manner, over the core.
 *
 * - `BEGIN`, `COMMIT`, `ROLLBACK`, `SAVEPOINT` and `RELEASE` are the core's write transaction, of whatever kind they ask
 *   for: `BEGIN DEFERRED` waits for the writer too. On a connection for reading (`PRAGMA query_only = 1`) they are one state
 *   of the database, which waits for nobody. Other statements are transactions of their own, durable when they have
 *   returned, and captured for upload where a client has opened the database.
 * - Outside a transaction a query is read by a reader; where only the writer knows the table (`TEMP`), by the writer.
 *   `TEMP` tables and triggers are the database's: all connections share them.
 * - `SELECT changes()` and `SELECT last_insert_rowid()` tell of this connection's last statement.
 * - Settings that the core owns (`PRAGMA journal_mode` and its like) are answered; what they cannot be is refused.
 *
 * It may be used from several threads, one after the other or at once: its calls take turns, and all are part of the
 * transaction that any of them began. Functions throw [RowtideException].
 */
@RowtideDriverApi
public class DriverConnection internal constructor(private val core: CoreDatabase, private val deadline: Duration) :
    AutoCloseable {
    private class OpenTransaction(val core: CoreSnapshot) {
        /** The write transaction that it is, unless it only reads. */
        val writer: CoreTransaction? get() = core as? CoreTransaction

        /** Names of savepoints, the outermost first. */
        val savepoints = mutableListOf<String>()

        /** Whether the outermost savepoint began the transaction, so that releasing it commits. */
        var begunBySavepoint = false

        fun run(boundary: String) {
            writer?.executeBlocking(boundary, NO_CELLS) ?: core.queryBlocking(boundary, NO_CELLS, PAGE_BYTES)
        }
    }

    private val turn = Any()
    private val open: MutableSet<CorePages> = Collections.newSetFromMap(ConcurrentHashMap())
    private var transaction: OpenTransaction? = null
    private var last = Execution(0, 0)
    private var queryOnly = false

    @Volatile
    private var closed = false

    /** Whether a transaction was begun and neither committed nor rolled back. */
    public val inTransaction: Boolean
        get() = synchronized(turn) {
            checkOpen()
            transaction != null
        }

    /** A statement. SQLite sees it when it runs: errors in it show then. */
    public fun prepare(sql: String): DriverStatement {
        checkOpen()
        return DriverStatement(this, SqlText(sql))
    }

    /** Runs a statement without arguments to its end. Answers the number of rows that it changed. */
    public fun execute(sql: String): Long = prepare(sql).use { it.execute() }

    /** Rolls back a transaction that is open, and ends statements that are being read. Closing again does nothing. */
    override fun close() {
        closed = true
        synchronized(turn) {
            transaction?.let(::rollBack)
            for (pages in open) pages.close()
            open.clear()
        }
    }

    internal fun checkOpen() {
        if (closed) throw RowtideException.Internal("the connection is closed", null)
    }

    /** Runs a statement; its rows, or `null` where it has none. */
    internal fun run(text: SqlText, cells: ByteArray): CoreResult? = synchronized(turn) {
        checkOpen()
        when (val kind = text.kind) {
            is SqlKind.Read -> read(text.sql, cells, kind.onWriter).also { it.rest?.let(open::add) }
            is SqlKind.Write -> if (kind.answersRows) writeForRows(text.sql, cells) else write(text.sql, cells)
            SqlKind.Changes -> one("changes()", last.changedRows)
            SqlKind.LastInsertRowid -> one("last_insert_rowid()", last.lastInsertRowid)
            is SqlKind.Pragma -> setting(kind, text.sql, cells)
            SqlKind.Empty -> throw RowtideException.Configuration("the statement is empty", null)
            else -> null.also { boundary(kind) }
        }
    }

    /** Rows that the last statement changed. */
    internal val changedRows: Long get() = synchronized(turn) { last.changedRows }

    internal fun ended(pages: CorePages) {
        open.remove(pages)
        pages.close()
    }

    private fun read(sql: String, cells: ByteArray, onWriter: Boolean): CoreResult {
        val open = transaction
        open?.writer?.let { return it.queryBlocking(sql, cells, TRANSACTION_PAGE_BYTES) }
        if (onWriter) return readOnWriter(sql, cells)
        return try {
            open?.core?.queryBlocking(sql, cells, TRANSACTION_PAGE_BYTES) ?: core.queryBlocking(sql, cells, PAGE_BYTES)
        } catch (failure: RowtideException.Database) {
            // A TEMP table: readers do not know it.
            if ("no such table" in failure.message.orEmpty()) readOnWriter(sql, cells) else throw failure
        }
    }

    private fun readOnWriter(sql: String, cells: ByteArray): CoreResult =
        core.transactionBlocking(deadline.inWholeMilliseconds).use { writer ->
            val rows = writer.queryBlocking(sql, cells, TRANSACTION_PAGE_BYTES)
            writer.rollback()
            rows
        }

    private fun write(sql: String, cells: ByteArray): CoreResult? {
        checkWritable()
        last = transaction?.writer?.executeBlocking(sql, cells) ?: core.executeBlocking(sql, cells)
        return null
    }

    private fun writeForRows(sql: String, cells: ByteArray): CoreResult {
        checkWritable()
        transaction?.writer?.let { return writeForRows(it, sql, cells) }
        return core.transactionBlocking(deadline.inWholeMilliseconds).use { writer ->
            val rows = writeForRows(writer, sql, cells)
            writer.commitBlocking()
            rows
        }
    }

    private fun writeForRows(writer: CoreTransaction, sql: String, cells: ByteArray): CoreResult {
        val rows = writer.queryBlocking(sql, cells, TRANSACTION_PAGE_BYTES)
        val counted = writer.queryBlocking("SELECT changes(), last_insert_rowid()", NO_CELLS, PAGE_BYTES).first
        last = Execution(counted.integer(0, 0), counted.integer(0, 1))
        return rows
    }

    private fun checkWritable() {
        // A transaction that began for reading stays so, whatever was set since.
        if (queryOnly || transaction?.let { it.writer == null } == true) {
            throw RowtideException.Database(
                "this connection is for reading (PRAGMA query_only); write on another one",
                null,
            )
        }
    }

    private fun setting(pragma: SqlKind.Pragma, sql: String, cells: ByteArray): CoreResult? {
        val value = pragma.value
        return when {
            pragma.name == "query_only" && value == null -> one("query_only", if (queryOnly) 1L else 0L)

            pragma.name == "query_only" -> null.also { queryOnly = value in setOf("1", "on", "true", "yes") }

            Settings.owns(pragma.name) -> {
                value?.let { Settings.check(pragma.name, it) }
                one(pragma.name, Settings.value(pragma.name))
            }

            value == null -> read(sql, cells, onWriter = false)

            else -> write(sql, cells)
        }
    }

    private fun boundary(kind: SqlKind) {
        val current = transaction
        when (kind) {
            SqlKind.Begin -> {
                if (current != null) misuse("cannot start a transaction within a transaction")
                begin()
            }

            is SqlKind.Savepoint -> {
                val around = current ?: begin().also { it.begunBySavepoint = true }
                around.run("SAVEPOINT ${quoted(kind.name)}")
                around.savepoints += kind.name
            }

            SqlKind.Commit -> commit(current ?: misuse("cannot commit - no transaction is active"))

            SqlKind.Rollback -> rollBack(current ?: misuse("cannot rollback - no transaction is active"))

            is SqlKind.Release -> release(current, kind.name)

            is SqlKind.RollbackTo -> {
                val (around, index) = savepoint(current, kind.name)
                around.run("ROLLBACK TO ${quoted(kind.name)}")
                around.savepoints.subList(index + 1, around.savepoints.size).clear()
            }

            else -> error("$kind is no boundary")
        }
    }

    private fun begin(): OpenTransaction {
        val milliseconds = deadline.inWholeMilliseconds
        val begun = if (queryOnly) core.snapshotBlocking(milliseconds) else core.transactionBlocking(milliseconds)
        return OpenTransaction(begun).also { transaction = it }
    }

    private fun commit(current: OpenTransaction) {
        // Whatever comes of it, the core has ended the transaction.
        transaction = null
        current.core.use { current.writer?.commitBlocking() }
    }

    private fun rollBack(current: OpenTransaction) {
        transaction = null
        current.core.use { current.writer?.rollback() }
    }

    private fun release(current: OpenTransaction?, name: String) {
        val (around, index) = savepoint(current, name)
        if (index == 0 && around.begunBySavepoint) return commit(around)
        around.run("RELEASE ${quoted(name)}")
        around.savepoints.subList(index, around.savepoints.size).clear()
    }

    private fun savepoint(current: OpenTransaction?, name: String): Pair<OpenTransaction, Int> {
        val index = current?.savepoints?.indexOfLast { it.equals(name, ignoreCase = true) } ?: -1
        if (current == null || index < 0) misuse("no such savepoint: $name")
        return current to index
    }

    private fun quoted(name: String) = "\"${name.replace("\"", "\"\"")}\""

    private fun misuse(what: String): Nothing = throw RowtideException.Database(what, null)

    private fun one(column: String, value: Any): CoreResult =
        CoreResult(Columns(listOf(column)), Page(packed(listOf(value)), rows = 1, width = 1), rest = null)
}
