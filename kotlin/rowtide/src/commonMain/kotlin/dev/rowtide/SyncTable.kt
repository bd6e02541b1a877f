package dev.rowtide

/** Who wins where a local change meets a change of another device on the same row. */
public enum class ConflictPolicy {
    /** The server's row replaces the local change. */
    ServerWins,

    /** The local change is kept and uploaded on top of the server's row. */
    ClientWins,

    /**
     * Column by column, from the row that the local change was made on: a column that only one side changed takes that
     * change, one that both changed follows its [ColumnRule]. An edit survives a delete of the other side.
     */
    Merge,

    /** The [ConflictResolver] decides row by row. */
    Callback,
}

/** What becomes of a column that both sides changed, in a table with [ConflictPolicy.Merge]. */
public enum class ColumnRule {
    /** The server's value. */
    Theirs,

    /** The local value. */
    Mine,

    /** The larger one of both, numbers as numbers, text byte by byte; any value is larger than NULL. */
    Max,

    /** The smaller one of both; any value is preferred to NULL. */
    Min,

    /** Both changes of a number added up: a counter. NULL counts as 0. */
    SumOfDeltas,

    /** The JSON array of both sides as a set: what either added is in it, what either removed is not. */
    SetUnion,
}

internal class SyncTable(
    val name: String,
    val key: String,
    val policy: ConflictPolicy,
    val rules: List<Pair<String, ColumnRule>>,
    val keepBase: Boolean,
)

/** Configures one table to synchronise. */
@RowtideDsl
public class TableBuilder internal constructor(private val name: String) {
    private var key: String? = null
    private val rules = mutableListOf<Pair<String, ColumnRule>>()
    private var keepsBase = false

    /** The conflict policy. */
    public var policy: ConflictPolicy = ConflictPolicy.ServerWins

    /** Names the sync key column: the sole primary key, `TEXT` or 16-byte `BLOB`. Every table has one. */
    public fun key(column: String) {
        key = column
    }

    /** Chooses [ConflictPolicy.Merge] and a rule for one column; the others follow [ColumnRule.Theirs]. */
    public fun merge(column: String, rule: ColumnRule) {
        policy = ConflictPolicy.Merge
        rules += column to rule
    }

    /**
     * Keeps each row as it was before its first unsynchronised change, so that the [ConflictResolver] gets it as
     * [RowConflict.base]. Tables with [ConflictPolicy.Merge] do so anyway. Costs a second copy of what is unsynchronised.
     */
    public fun keepBase() {
        keepsBase = true
    }

    internal fun build(): SyncTable {
        val key = requireNotNull(key) { "table $name has no sync key; say which column it is: key(\"id\")" }
        return SyncTable(name, key, policy, rules.toList(), keepsBase)
    }
}
