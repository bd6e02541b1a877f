package dev.rowtide

import kotlin.time.Duration

/**
 * A database for threads that may block: database drivers, Java. Never for the main thread of an app. What each function
 * does, and what it throws, is as in [RowtideDatabase].
 */
public class BlockingDatabase internal constructor(private val core: CoreDatabase) {
    /** Runs one statement; durable on return. */
    public fun execute(sql: String, vararg arguments: Any?): Execution =
        core.executeBlocking(sql, packed(arguments.asList()))

    /** Runs one statement for each list of arguments, in one transaction. Answers the number of changed rows. */
    public fun executeBatch(sql: String, rows: Iterable<List<Any?>>): Long {
        val batch = batch(rows) ?: return 0
        return core.executeBatchBlocking(sql, batch.cells, batch.width)
    }

    /** Runs a query and reads all of its rows. */
    public fun query(sql: String, vararg arguments: Any?): Rows =
        core.queryBlocking(sql, packed(arguments.asList()), WHOLE_PAGE_BYTES).readAllBlocking()

    /** Runs a query, to be read row by row. */
    public fun cursor(sql: String, vararg arguments: Any?): RowCursor =
        RowCursor(core.queryBlocking(sql, packed(arguments.asList()), CURSOR_PAGE_BYTES))

    /** Begins a write transaction: commit it, or close it, which rolls back; [deadline] does so too. */
    public fun begin(deadline: Duration): BlockingTransaction =
        BlockingTransaction(core.transactionBlocking(deadline.inWholeMilliseconds))

    /** As [begin], with the usual deadline of ten seconds. */
    public fun begin(): BlockingTransaction = begin(TRANSACTION_DEADLINE)
}

/** A write transaction that its thread holds. Closing it rolls back what was not committed. */
public class BlockingTransaction internal constructor(private val core: CoreTransaction) : AutoCloseable {
    /** Runs one statement. */
    public fun execute(sql: String, vararg arguments: Any?): Execution =
        core.executeBlocking(sql, packed(arguments.asList()))

    /** Runs one statement for each list of arguments. Answers the number of changed rows. */
    public fun executeBatch(sql: String, rows: Iterable<List<Any?>>): Long {
        val batch = batch(rows) ?: return 0
        return core.executeBatchBlocking(sql, batch.cells, batch.width)
    }

    /** Runs a query that sees the transaction's own writes, and may write itself (`RETURNING`). */
    public fun query(sql: String, vararg arguments: Any?): Rows =
        core.queryBlocking(sql, packed(arguments.asList()), WHOLE_PAGE_BYTES).readAllBlocking()

    /** As [query], to be read row by row. */
    public fun cursor(sql: String, vararg arguments: Any?): RowCursor =
        RowCursor(core.queryBlocking(sql, packed(arguments.asList()), CURSOR_PAGE_BYTES))

    /**
     * Commits; everything is durable when this returns.
     *
     * @throws RowtideException.Database SQLite's, or the deadline has passed; nothing was changed
     */
    public fun commit(): Unit = core.commitBlocking()

    /** Rolls back what was not committed. */
    override fun close() {
        core.rollback()
        core.close()
    }
}

/** Rows of a query, one after the other, a page in memory at a time. All of them are of one moment. Not for several threads. */
public class RowCursor internal constructor(private val result: CoreResult) : AutoCloseable {
    private var page = result.first
    private var index = -1
    private var more = result.rest != null

    /** The columns' names, in their order. */
    public val columns: List<String> get() = result.columns.names

    /** The row at which the cursor stands. It stays valid when the cursor moves on. */
    public val row: Row
        get() {
            check(index in 0..<page.rows) { "the cursor stands at no row; next() tells whether there is one" }
            return Row(result.columns, page, index)
        }

    /**
     * Moves to the next row, the first one at first. Answers whether there is one.
     *
     * @throws RowtideException.Database SQLite's, or the pause was longer than a minute
     */
    public fun next(): Boolean {
        if (index + 1 < page.rows) {
            index++
            return true
        }
        while (more) {
            val (next, follows) = checkNotNull(result.rest).nextBlocking()
            page = next
            more = follows
            index = 0
            if (next.rows > 0) return true
        }
        index = page.rows
        return false
    }

    /** Ends the query. */
    override fun close() {
        more = false
        result.rest?.close()
    }
}
