package dev.rowtide

/**
 * What one statement did.
 *
 * @property changedRows rows that it changed, without those that triggers or foreign keys changed
 * @property lastInsertRowid the rowid of the row that was inserted last, by this statement or an earlier one; 0 before any
 */
public data class Execution(public val changedRows: Long, public val lastInsertRowid: Long)

/**
 * The app's own SQL. Arguments are `null`, [Boolean] (0 or 1), integers up to [Long], [Float], [Double], [String] and
 * [ByteArray]; anything else is an [IllegalArgumentException].
 *
 * Writes are captured for upload where a client has opened the database. A statement runs on a task of its own: a
 * coroutine that is cancelled stops waiting for it and does not know whether it ran, but never leaves half of one.
 */
public interface Sql {
    /**
     * Runs one statement. Outside of a transaction it is durable on return.
     *
     * @throws RowtideException.Database SQLite's; nothing was changed
     */
    public suspend fun execute(sql: String, vararg arguments: Any?): Execution

    /**
     * Runs one statement for each list of arguments, all of one length, in one transaction and with one call of the
     * core. Answers the number of changed rows.
     *
     * @throws RowtideException.Database SQLite's; nothing was changed (in a transaction of the app: the rows before the
     * one that failed stay changed)
     */
    public suspend fun executeBatch(sql: String, rows: Iterable<List<Any?>>): Long

    /**
     * Runs a query and reads all of its rows, as they are at one moment.
     *
     * @throws RowtideException.Database SQLite's; a statement that writes is refused outside of a transaction
     */
    public suspend fun query(sql: String, vararg arguments: Any?): Rows
}

/** Bytes of a page where all pages are read at once; measured to cost least from a quarter of a megabyte on. */
internal const val WHOLE_PAGE_BYTES = 1L shl 20

/** Bytes of a page where rows are read one after the other. */
internal const val CURSOR_PAGE_BYTES = 256L shl 10

internal class Batch(val cells: ByteArray, val width: Long)

/** Arguments of a batch; `null` where there are none to run. */
internal fun batch(rows: Iterable<List<Any?>>): Batch? {
    val writer = CellWriter()
    var width = -1
    for (row in rows) {
        if (width < 0) width = row.size
        require(row.size == width) {
            "a batch has rows of $width and of ${row.size} arguments; give all the same number"
        }
        row.forEachIndexed { index, value -> writer.write(value, index + 1) }
    }
    if (width < 0) return null
    require(width > 0) { "a batch needs at least one argument a statement" }
    return Batch(writer.toByteArray(), width.toLong())
}

internal suspend fun CoreResult.readAll(): Rows {
    val pages = mutableListOf(first)
    rest?.use {
        do {
            val (page, more) = it.next()
            pages += page
        } while (more)
    }
    return Rows(columns, pages)
}

internal fun CoreResult.readAllBlocking(): Rows {
    val pages = mutableListOf(first)
    rest?.use {
        do {
            val (page, more) = it.nextBlocking()
            pages += page
        } while (more)
    }
    return Rows(columns, pages)
}
