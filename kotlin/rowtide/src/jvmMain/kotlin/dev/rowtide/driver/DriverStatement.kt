package dev.rowtide.driver

import dev.rowtide.CoreResult
import dev.rowtide.Page
import dev.rowtide.RowtideException
import dev.rowtide.TAG_BLOB
import dev.rowtide.TAG_INTEGER
import dev.rowtide.TAG_NULL
import dev.rowtide.TAG_REAL
import dev.rowtide.TAG_TEXT
import dev.rowtide.packed

/** What a cell holds. */
@RowtideDriverApi
public enum class CellType {
    /** NULL. */
    Null,

    /** A 64-bit integer. */
    Integer,

    /** An IEEE 754 binary64. */
    Real,

    /** Text. */
    Text,

    /** Bytes. */
    Blob,
}

/**
 * A statement: bind arguments (from 1), [step] to its rows, read their cells (from 0), [reset] to run it again.
 *
 * It runs with its first [step], and once more with the step after the last row. Asking for [columnCount] or a
 * [columnName] before that runs it too where it answers rows, so bind first. Cells are decoded when they are read, and
 * converted as SQLite converts them. One thread at a time; functions throw [RowtideException].
 */
@RowtideDriverApi
public class DriverStatement internal constructor(
    private val connection: DriverConnection,
    private val text: SqlText,
) : AutoCloseable {
    private val arguments = arrayOfNulls<Any>(text.parameters)
    private var result: CoreResult? = null
    private var page: Page? = null
    private var more = false
    private var row = BEFORE_FIRST
    private var width = 0
    private var closed = false

    /** How many arguments it takes. */
    public val parameterCount: Int get() = arguments.size

    /** Whether it answers rows, as its text says. */
    public val answersRows: Boolean
        get() = when (val kind = text.kind) {
            is SqlKind.Write -> kind.answersRows
            is SqlKind.Read, SqlKind.Changes, SqlKind.LastInsertRowid -> true
            is SqlKind.Pragma -> kind.value == null || (kind.name != "query_only" && Settings.owns(kind.name))
            else -> false
        }

    /** Binds an argument: `null`, [Long], [Double], [String] or [ByteArray] (not copied before it runs). */
    public fun bind(index: Int, value: Any?) {
        checkOpen()
        if (index !in 1..arguments.size) {
            misuse("column index out of range: argument $index of ${arguments.size}")
        }
        if (row >= 0 || (result != null && text.kind is SqlKind.Write)) {
            misuse("an argument is bound while the statement runs: reset it first")
        }
        end()
        arguments[index - 1] = value
    }

    /** Makes all arguments NULL. */
    public fun clearBindings() {
        checkOpen()
        arguments.fill(null)
    }

    /** Goes to the next row; `false` after the last one, and for a statement without rows. */
    public fun step(): Boolean {
        if (closed) checkOpen()
        if (row == AFTER_LAST) end()
        if (result == null && !run()) {
            row = AFTER_LAST
            return false
        }
        row++
        while (row >= page!!.rows) {
            if (!nextPage()) return false
        }
        return true
    }

    /** Runs it to its end. Answers the number of rows that it changed; 0 for a query. */
    public fun execute(): Long {
        while (step()) continue
        return if (text.kind is SqlKind.Write) connection.changedRows else 0
    }

    /** Ends its run: the next step runs it again, with the same arguments. */
    public fun reset() {
        checkOpen()
        end()
    }

    /** Number of columns; 0 where it answers no rows. */
    public val columnCount: Int
        get() {
            checkOpen()
            if (!answersRows) return 0
            if (result == null) run()
            return width
        }

    /** A column's name. */
    public fun columnName(column: Int): String {
        if (column !in 0..<columnCount) outOfRange(column)
        return result!!.columns.names[column]
    }

    /** What a cell of this row holds. */
    public fun columnType(column: Int): CellType = when (tag(column)) {
        TAG_NULL -> CellType.Null
        TAG_INTEGER -> CellType.Integer
        TAG_REAL -> CellType.Real
        TAG_TEXT -> CellType.Text
        else -> CellType.Blob
    }

    /** Whether a cell of this row is NULL. */
    public fun isNull(column: Int): Boolean = tag(column) == TAG_NULL

    /** A cell of this row as an integer; 0 for NULL, the number in front for text. */
    public fun long(column: Int): Long = when (tag(column)) {
        TAG_INTEGER -> page!!.integer(row, column)
        TAG_NULL -> 0
        TAG_REAL -> page!!.real(row, column).toLong()
        else -> integerInFront(text(column))
    }

    /** A cell of this row as a number; 0 for NULL, the number in front for text. */
    public fun double(column: Int): Double = when (tag(column)) {
        TAG_REAL -> page!!.real(row, column)
        TAG_NULL -> 0.0
        TAG_INTEGER -> page!!.integer(row, column).toDouble()
        else -> numberInFront(text(column))
    }

    /** A cell of this row as text; empty for NULL. */
    public fun text(column: Int): String = when (tag(column)) {
        TAG_TEXT, TAG_BLOB -> page!!.text(row, column)
        TAG_NULL -> ""
        TAG_INTEGER -> page!!.integer(row, column).toString()
        else -> numberAsText(page!!.real(row, column))
    }

    /** A cell of this row as a copy of its bytes; empty for NULL, UTF-8 for text and numbers. */
    public fun blob(column: Int): ByteArray = when (tag(column)) {
        TAG_BLOB, TAG_TEXT -> page!!.blob(row, column)
        TAG_NULL -> ByteArray(0)
        else -> text(column).encodeToByteArray()
    }

    /** Ends its run; closing again does nothing. */
    override fun close() {
        if (!closed) end()
        closed = true
    }

    private fun run(): Boolean {
        connection.checkOpen()
        val cells = try {
            packed(arguments.asList())
        } catch (refused: IllegalArgumentException) {
            throw RowtideException.Configuration(refused.message.orEmpty(), refused)
        }
        val found = connection.run(text, cells) ?: return false
        result = found
        page = found.first
        more = found.rest != null
        width = found.columns.names.size
        return true
    }

    private fun nextPage(): Boolean {
        val rest = result?.rest
        if (!more || rest == null) {
            endPages()
            row = AFTER_LAST
            return false
        }
        connection.checkOpen()
        val (next, follows) = rest.nextBlocking()
        page = next
        more = follows
        row = 0
        return true
    }

    private fun end() {
        endPages()
        result = null
        page = null
        row = BEFORE_FIRST
    }

    private fun endPages() {
        result?.rest?.let(connection::ended)
        more = false
    }

    private fun tag(column: Int): Int {
        if (closed) checkOpen()
        val current = page
        if (row < 0 || current == null) misuse("no row: step to one first")
        if (column < 0 || column >= width) outOfRange(column)
        return current.tag(row, column)
    }

    private fun checkOpen() {
        if (closed) throw RowtideException.Internal("the statement is closed", null)
        connection.checkOpen()
    }

    private fun outOfRange(column: Int): Nothing = misuse("column index out of range: column $column of $width")

    private fun misuse(what: String): Nothing = throw RowtideException.Configuration(what, null)
}

private const val BEFORE_FIRST = -1
private const val AFTER_LAST = -2
