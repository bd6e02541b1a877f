package dev.rowtide

/** Where the state machine stands. */
public enum class State {
    /** Not attached to a user; writes are captured. */
    Anonymous,

    /** A first download for a user was started and is finished by [RowtideClient.attach]. */
    Hydrating,

    /** Attached, and seeding the server under a lease. */
    Seeding,

    /** Attached, with an upload bundle to be settled by the next sync. */
    Uploading,

    /** Attached, with a rebuild to be finished by the next sync. */
    Rebuilding,

    /** Attached and at rest. */
    Attached,
}

/** What stands in the way of sync. */
public enum class Health {
    /** Nothing, as far as is known. */
    Well,

    /** The server could not be reached. */
    Offline,

    /** There is no valid token: sign in, then call [RowtideClient.credentialsChanged]. */
    AuthRequired,

    /** The server does not speak this protocol, or an earlier state of it. */
    ServerTooOld,

    /** The server's tables are not the configured ones. */
    TableMismatch,

    /** Something else, which [Status.lastError] names. */
    Blocked,
}

/** The network, as the app's platform tells it. */
public enum class Connectivity {
    /** There is none; the loop waits. */
    None,

    /** One that costs. */
    Metered,

    /** One that does not; also assumed until the app says otherwise. */
    Unmetered,
}

/** The two ways that rows go. */
public enum class Direction {
    /** From here to the server. */
    Uploads,

    /** From the server to here. */
    Downloads,
}

/**
 * Where a database stands. Times are in milliseconds since 1970 UTC.
 *
 * @property user the attached user
 * @property sourceId this database's identity at the server
 * @property generation `a` or `b` once a server was met
 * @property checkpoint the newest bundle that was read
 * @property pendingRows rows of local intent that the server does not have
 * @property refusedRows rows in the inbox
 * @property state where the state machine stands
 * @property lastError the last error's text, until an operation succeeds
 * @property lastSuccessMs when an operation with the server succeeded last, since the client was opened
 * @property health what stands in the way of sync, since the client was opened
 * @property automatic whether the automatic loop was started
 * @property paused directions that the app paused
 * @property connectivity the network, as the app told
 * @property watching whether the server's watch stream is open
 * @property nextAttemptMs when the loop tries again after a failure
 * @property transactionOpen whether a transaction of the app holds the database, so that sync waits for it
 */
public data class Status(
    public val user: String?,
    public val sourceId: String,
    public val generation: String?,
    public val checkpoint: Long,
    public val pendingRows: Long,
    public val refusedRows: Long,
    public val state: State,
    public val lastError: String?,
    public val lastSuccessMs: Long?,
    public val health: Health,
    public val automatic: Boolean,
    public val paused: Set<Direction>,
    public val connectivity: Connectivity,
    public val watching: Boolean,
    public val nextAttemptMs: Long?,
    public val transactionOpen: Boolean,
)

/**
 * This database's identity towards the server.
 *
 * @property sourceId the source
 * @property nextSourceBundleId number of its next upload bundle
 */
public data class SourceInfo(public val sourceId: String, public val nextSourceBundleId: Long)
