package dev.rowtide

/** Why a row is in the inbox. */
public enum class RefusedReason {
    /** A value has no wire form: an infinite number, or a storage class that the column does not declare. */
    InvalidValue,

    /** The server refused the row for good: a constraint, a forbidden value, its size, or a rule of its own. */
    ServerRefused,

    /** The row belongs together with a refused one: it refers to it, or one local transaction wrote both. */
    RefusedTogether,

    /** A row that it refers to was deleted on another device. */
    ParentMissing,

    /** Another device stored a row with the same unique value first. */
    UniqueCollision,

    /** The resolver's answer was not a row of the table; the server's row took its place. */
    InvalidResolution,
}

/**
 * A row that cannot be synchronised as it is.
 *
 * @property table the table
 * @property key the sync key as it travels: text, or a dashed UUID
 * @property reason why
 * @property message why, and what to do
 * @property content what was meant; `null` where the row was deleted
 * @property inTable whether the row is still in its table; one that constraints forbade to stay is only here
 * @property refusedAtMs when, in milliseconds since 1970 UTC
 */
public class RefusedRow internal constructor(
    public val table: String,
    public val key: String,
    public val reason: RefusedReason,
    public val message: String,
    public val content: Row?,
    public val inTable: Boolean,
    public val refusedAtMs: Long,
) {
    /** Table, key and reason; never the content. */
    override fun toString(): String = "RefusedRow($table, $key, $reason)"
}

/**
 * The inbox of a client: rows that cannot be synchronised as they are, kept with the reason until the app acts.
 *
 * Each call is durable when it returns and uses no network.
 */
public class Inbox internal constructor(private val core: CoreClient) {
    /** Lists the rows, oldest first. */
    public suspend fun rows(): List<RefusedRow> = core.refusedRows()

    /**
     * Makes all rows pending again; those that had left their table are put back. Answers how many.
     *
     * @throws RowtideException.Database where a row still cannot be put back; nothing was changed then
     */
    public suspend fun retryAll(): Long = core.retryRefused()

    /**
     * Makes one row pending again, with [changes] to its columns. Answers whether it was in the inbox.
     *
     * @throws RowtideException.Database where it still cannot be put back; nothing was changed then
     * @throws RowtideException.Configuration where there is no such table or column
     */
    public suspend fun retry(table: String, key: String, changes: Map<String, Any?> = emptyMap()): Boolean =
        core.retryRefusedRow(table, key, changes)

    /**
     * Gives up the local changes of all rows. Rows that the server never had leave their tables; what the server has
     * comes back with the next sync. Answers how many.
     */
    public suspend fun discardAll(): Long = core.discardRefused()

    /**
     * Gives up the local change of one row. Answers whether it was in the inbox.
     *
     * @throws RowtideException.Configuration where there is no such table
     */
    public suspend fun discard(table: String, key: String): Boolean = core.discardRefusedRow(table, key)
}
