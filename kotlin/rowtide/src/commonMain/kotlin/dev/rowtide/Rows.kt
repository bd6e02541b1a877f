package dev.rowtide

import kotlin.jvm.JvmName

/** Names of columns, and where they are. */
internal class Columns(val names: List<String>) {
    private val positions: Map<String, Int> by lazy(LazyThreadSafetyMode.PUBLICATION) {
        // The first of two columns with one name counts.
        names.withIndex().reversed().associate { (index, name) -> name.lowercase() to index }
    }

    fun find(name: String): Int = positions[name.lowercase()] ?: -1

    fun position(name: String): Int {
        val found = find(name)
        require(found >= 0) { "there is no column $name; there are $names" }
        return found
    }
}

/**
 * One row. Cells are decoded when they are read; by index (from 0) or by name, whose case does not matter.
 *
 * An integer can be read with [double] too; otherwise a cell is read as what it holds, and anything else fails with
 * [IllegalStateException], which names column and types.
 *
 * Java's own words `long`, `double` and `boolean` are `asLong`, `asDouble` and `asBoolean` there.
 */
public class Row internal constructor(private val names: Columns, private val page: Page, private val index: Int) {
    /** The columns' names, in their order. */
    public val columns: List<String> get() = names.names

    /** Whether the cell is NULL. */
    public fun isNull(column: Int): Boolean = tag(column) == TAG_NULL

    /** Whether the cell is NULL. */
    public fun isNull(column: String): Boolean = isNull(names.position(column))

    /** The cell as an integer. */
    @JvmName("asLong")
    public fun long(column: Int): Long {
        if (tag(column) != TAG_INTEGER) mismatch(column, "an integer")
        return page.integer(index, column)
    }

    /** The cell as an integer. */
    @JvmName("asLong")
    public fun long(column: String): Long = long(names.position(column))

    /** The cell as an integer, `null` where it is NULL. */
    public fun longOrNull(column: Int): Long? = if (isNull(column)) null else long(column)

    /** The cell as an integer, `null` where it is NULL. */
    public fun longOrNull(column: String): Long? = longOrNull(names.position(column))

    /** The cell as a truth value: any integer but 0 is true. */
    @JvmName("asBoolean")
    public fun boolean(column: Int): Boolean = long(column) != 0L

    /** The cell as a truth value: any integer but 0 is true. */
    @JvmName("asBoolean")
    public fun boolean(column: String): Boolean = boolean(names.position(column))

    /** The cell as a number. */
    @JvmName("asDouble")
    public fun double(column: Int): Double = when (tag(column)) {
        TAG_REAL -> page.real(index, column)
        TAG_INTEGER -> page.integer(index, column).toDouble()
        else -> mismatch(column, "a number")
    }

    /** The cell as a number. */
    @JvmName("asDouble")
    public fun double(column: String): Double = double(names.position(column))

    /** The cell as a number, `null` where it is NULL. */
    public fun doubleOrNull(column: Int): Double? = if (isNull(column)) null else double(column)

    /** The cell as a number, `null` where it is NULL. */
    public fun doubleOrNull(column: String): Double? = doubleOrNull(names.position(column))

    /** The cell as text. */
    public fun string(column: Int): String {
        if (tag(column) != TAG_TEXT) mismatch(column, "text")
        return page.text(index, column)
    }

    /** The cell as text. */
    public fun string(column: String): String = string(names.position(column))

    /** The cell as text, `null` where it is NULL. */
    public fun stringOrNull(column: Int): String? = if (isNull(column)) null else string(column)

    /** The cell as text, `null` where it is NULL. */
    public fun stringOrNull(column: String): String? = stringOrNull(names.position(column))

    /** The cell as a blob: a copy of its bytes. */
    public fun bytes(column: Int): ByteArray {
        if (tag(column) != TAG_BLOB) mismatch(column, "a blob")
        return page.blob(index, column)
    }

    /** The cell as a blob: a copy of its bytes. */
    public fun bytes(column: String): ByteArray = bytes(names.position(column))

    /** The cell as a blob, `null` where it is NULL. */
    public fun bytesOrNull(column: Int): ByteArray? = if (isNull(column)) null else bytes(column)

    /** The cell as a blob, `null` where it is NULL. */
    public fun bytesOrNull(column: String): ByteArray? = bytesOrNull(names.position(column))

    /** The cell as it is: `null`, [Long], [Double], [String] or [ByteArray]. */
    public operator fun get(column: Int): Any? = when (tag(column)) {
        TAG_NULL -> null
        TAG_INTEGER -> page.integer(index, column)
        TAG_REAL -> page.real(index, column)
        TAG_TEXT -> page.text(index, column)
        else -> page.blob(index, column)
    }

    /** The cell as it is: `null`, [Long], [Double], [String] or [ByteArray]. */
    public operator fun get(column: String): Any? = get(names.position(column))

    /** All cells by column name, in the order of the columns. */
    public fun toMap(): Map<String, Any?> = columns.withIndex().associate { (index, name) -> name to get(index) }

    /** All cells by column name, with some of them replaced: what [Decision.KeepMerged] takes. */
    public fun with(vararg cells: Pair<String, Any?>): Map<String, Any?> = with(mapOf(*cells))

    /** All cells by column name, with some of them replaced. */
    public fun with(cells: Map<String, Any?>): Map<String, Any?> {
        val values = LinkedHashMap(toMap())
        for ((name, value) in cells) values[columns[names.position(name)]] = value
        return values
    }

    /** The columns; never the cells, which do not belong in a log. */
    override fun toString(): String = "Row$columns"

    private fun tag(column: Int): Int {
        if (column !in columns.indices) throw IndexOutOfBoundsException("column $column of ${columns.size}")
        return page.tag(index, column)
    }

    private fun mismatch(column: Int, wanted: String): Nothing {
        val held = when (page.tag(index, column)) {
            TAG_NULL -> "NULL"
            TAG_INTEGER -> "an integer"
            TAG_REAL -> "a number with a fraction"
            TAG_TEXT -> "text"
            else -> "a blob"
        }
        throw IllegalStateException("column ${columns[column]} holds $held, not $wanted")
    }
}

/** All rows of a query, as they were at one moment. */
public class Rows internal constructor(private val names: Columns, private val pages: List<Page>) :
    AbstractList<Row>() {
    /** The columns' names, in their order. */
    public val columns: List<String> get() = names.names

    /** How many rows. */
    override val size: Int = pages.sumOf(Page::rows)

    /** The row at [index], from 0. */
    override fun get(index: Int): Row {
        if (index !in 0..<size) throw IndexOutOfBoundsException("row $index of $size")
        var left = index
        for (page in pages) {
            if (left < page.rows) return Row(names, page, left)
            left -= page.rows
        }
        error("the pages hold all rows")
    }

    /** The rows in their order. */
    override fun iterator(): Iterator<Row> = iterator {
        for (page in pages) {
            for (index in 0..<page.rows) yield(Row(names, page, index))
        }
    }

    /** Columns and number of rows; never the rows. */
    override fun toString(): String = "Rows$columns x $size"
}
