package dev.rowtide

import kotlin.time.Duration

/** How an operation ended. Expected endings are values, not exceptions. */
public sealed interface Outcome {
    /** Rows went up or came down. */
    public data object Done : Outcome

    /** There was nothing to do. */
    public data object NoChange : Outcome

    /** The database is attached; it started empty, or seeds the server with its next push. */
    public data object Attached : Outcome

    /** The database was attached to this user already. */
    public data object AlreadyAttached : Outcome

    /**
     * Another device is seeding the server; nothing was changed.
     *
     * @property after how long to wait before the next try
     */
    public data class RetryLater(public val after: Duration) : Outcome

    /**
     * Rows are unsynced, so nothing was dropped. Sync first, or discard them.
     *
     * @property rows how many
     */
    public data class BlockedUnsyncedData(public val rows: Long) : Outcome

    /** The database is detached and its managed tables are empty. */
    public data object Detached : Outcome

    /**
     * The budget was spent before everything was done; what is left goes on with the next operation.
     *
     * @property pendingRows rows that are still to be uploaded
     * @property downloadLeft whether a download was begun and is not finished, or other devices' rows may be left
     */
    public data class BudgetSpent(public val pendingRows: Long, public val downloadLeft: Boolean) : Outcome
}

/**
 * What one operation did.
 *
 * @property outcome how it ended
 * @property pushedRows rows that the server committed for this device
 * @property pulledRows rows of other devices that were written or deleted here
 * @property pulledBundles bundles that were read
 * @property hydratedRows rows that came with a snapshot
 * @property conflicts conflicts that were decided
 * @property refusedRows rows in the inbox when it ended
 * @property requests HTTP requests
 * @property bytesUp bytes of request bodies
 * @property bytesDown bytes of response bodies, decompressed
 * @property paused directions in which the automatic loop is paused; an operation that the app calls works all the same
 */
public data class Report(
    public val outcome: Outcome,
    public val pushedRows: Long,
    public val pulledRows: Long,
    public val pulledBundles: Long,
    public val hydratedRows: Long,
    public val conflicts: Long,
    public val refusedRows: Long,
    public val requests: Long,
    public val bytesUp: Long,
    public val bytesDown: Long,
    public val paused: Set<Direction>,
)

/** Operations, as progress names them. */
public enum class Activity {
    /** Attaching to a user. */
    Attach,

    /** Syncing both ways. */
    Sync,

    /** Uploading. */
    Push,

    /** Downloading. */
    Pull,

    /** Downloading everything anew. */
    Rebuild,

    /** Detaching, perhaps after a sync. */
    Detach,
}

/** Phases of long operations. */
public enum class Phase {
    /** Uploading the frozen bundle. */
    Upload,

    /** Fetching the committed bundle back. */
    Replay,

    /** Reading other devices' bundles. */
    Pull,

    /** Downloading a snapshot into the stage. */
    Download,

    /** Applying the stage. */
    Apply,
}

/**
 * Progress of a long operation. Totals are there where they are known.
 *
 * @property activity the operation that makes it
 * @property phase what is being done
 * @property rows rows so far
 * @property totalRows rows in all
 * @property bytes bytes so far
 * @property totalBytes bytes in all
 */
public data class Progress(
    public val activity: Activity,
    public val phase: Phase,
    public val rows: Long,
    public val totalRows: Long?,
    public val bytes: Long,
    public val totalBytes: Long?,
)
