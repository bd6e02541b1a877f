package dev.rowtide

/*
 * Rows as they cross to the core and back: cells in one block of bytes, row by row, because a call costs far more than a
 * cell. A cell is a tag and its value, little-endian: 0 NULL; 1 a 64-bit integer; 2 a binary64; 3 text and 4 a blob, each
 * a 32-bit count of bytes and the bytes (UTF-8 for text).
 */

internal const val TAG_NULL = 0
internal const val TAG_INTEGER = 1
internal const val TAG_REAL = 2
internal const val TAG_TEXT = 3
internal const val TAG_BLOB = 4

/** Packs values; what SQLite cannot hold is refused, by its position and type, never by its value. */
internal class CellWriter {
    private var bytes = ByteArray(256)
    private var end = 0

    fun write(value: Any?, position: Int) {
        when (value) {
            null -> tag(TAG_NULL)
            is String -> text(value, position)
            is Long -> integer(value)
            is Int -> integer(value.toLong())
            is Boolean -> integer(if (value) 1 else 0)
            is Double -> real(value)
            is ByteArray -> blob(value)
            is Short -> integer(value.toLong())
            is Byte -> integer(value.toLong())
            is Float -> real(value.toDouble())
            else -> refuse(value, position)
        }
    }

    fun toByteArray(): ByteArray = bytes.copyOf(end)

    private fun refuse(value: Any, position: Int): Nothing = throw IllegalArgumentException(
        "argument $position is a ${value::class.simpleName}; " +
            "SQLite holds null, Boolean, integers up to Long, Float, Double, String and ByteArray",
    )

    private fun tag(tag: Int) {
        room(1)
        bytes[end++] = tag.toByte()
    }

    private fun integer(value: Long) {
        tag(TAG_INTEGER)
        eightBytes(value)
    }

    private fun real(value: Double) {
        tag(TAG_REAL)
        eightBytes(value.toRawBits())
    }

    private fun text(value: String, position: Int) {
        tag(TAG_TEXT)
        val encoded = try {
            value.encodeToByteArray(throwOnInvalidSequence = true)
        } catch (malformed: CharacterCodingException) {
            throw IllegalArgumentException("argument $position is text with half a surrogate pair", malformed)
        }
        counted(encoded)
    }

    private fun blob(value: ByteArray) {
        tag(TAG_BLOB)
        counted(value)
    }

    private fun counted(value: ByteArray) {
        room(4 + value.size)
        for (shift in 0..24 step 8) bytes[end++] = (value.size shr shift).toByte()
        value.copyInto(bytes, end)
        end += value.size
    }

    private fun eightBytes(value: Long) {
        room(8)
        for (shift in 0..56 step 8) bytes[end++] = (value shr shift).toByte()
    }

    private fun room(count: Int) {
        if (end + count > bytes.size) bytes = bytes.copyOf(maxOf(bytes.size * 2, end + count))
    }
}

internal fun packed(values: Iterable<Any?>): ByteArray {
    val writer = CellWriter()
    values.forEachIndexed { index, value -> writer.write(value, index + 1) }
    return writer.toByteArray()
}

/** A page of rows as it came; where each cell begins is found when the first one is read. */
internal class Page(private val bytes: ByteArray, val rows: Int, private val width: Int) {
    private val starts: IntArray by lazy(LazyThreadSafetyMode.PUBLICATION, ::findStarts)

    fun tag(row: Int, column: Int): Int = bytes[starts[row * width + column]].toInt()

    fun integer(row: Int, column: Int): Long = eightBytes(starts[row * width + column] + 1)

    fun real(row: Int, column: Int): Double = Double.fromBits(integer(row, column))

    fun text(row: Int, column: Int): String {
        val start = starts[row * width + column] + 1
        return bytes.decodeToString(start + 4, start + 4 + count(start))
    }

    fun blob(row: Int, column: Int): ByteArray {
        val start = starts[row * width + column] + 1
        return bytes.copyOfRange(start + 4, start + 4 + count(start))
    }

    private fun findStarts(): IntArray {
        val starts = IntArray(rows * width)
        var at = 0
        for (cell in starts.indices) {
            starts[cell] = at
            at += when (bytes[at].toInt()) {
                TAG_NULL -> 1
                TAG_INTEGER, TAG_REAL -> 9
                else -> 5 + count(at + 1)
            }
        }
        return starts
    }

    private fun count(at: Int): Int = (bytes[at].toInt() and 0xff) or
        (bytes[at + 1].toInt() and 0xff shl 8) or
        (bytes[at + 2].toInt() and 0xff shl 16) or
        (bytes[at + 3].toInt() shl 24)

    private fun eightBytes(at: Int): Long = (count(at).toLong() and 0xffff_ffff) or (count(at + 4).toLong() shl 32)
}
