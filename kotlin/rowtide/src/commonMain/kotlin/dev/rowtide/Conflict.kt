package dev.rowtide

/**
 * A local change and the server's row that it meets.
 *
 * @property table the table
 * @property key the sync key as it travels: text, or a dashed UUID
 * @property base the row that the local change was made on, where the table keeps it ([TableBuilder.keepBase]) and there
 * was one
 * @property local the local row; `null` where it was deleted here
 * @property server the server's row; `null` where it was deleted by another device
 */
public class RowConflict internal constructor(
    public val table: String,
    public val key: String,
    public val base: Row?,
    public val local: Row?,
    public val server: Row?,
) {
    /** Table and key; never the rows. */
    override fun toString(): String = "RowConflict($table, $key)"
}

/** A decision about one conflict. */
public sealed interface Decision {
    /** The server's row replaces the local change, which is dropped. */
    public data object AcceptServer : Decision

    /** The local change is uploaded on top of the server's row. */
    public data object KeepLocal : Decision

    /**
     * The row becomes these values and is uploaded. Values that are no row of the table send the local row to the inbox,
     * and the server's row takes its place.
     *
     * @property values all columns of the table: `server.with("title" to "…")`, for example
     */
    public class KeepMerged(public val values: Map<String, Any?>) : Decision {
        /** The columns; never the values. */
        override fun toString(): String = "KeepMerged(${values.keys})"
    }
}

/** The app's own conflict decisions, for tables with [ConflictPolicy.Callback]. */
public fun interface ConflictResolver {
    /**
     * Decides all conflicts of one round: one decision for each, in their order. No lock and no transaction is held, so
     * it may ask the user, or query the database.
     *
     * What it throws ends the operation with [RowtideException.Undecided]; the rows stay pending.
     */
    public suspend fun resolve(conflicts: List<RowConflict>): List<Decision>
}
