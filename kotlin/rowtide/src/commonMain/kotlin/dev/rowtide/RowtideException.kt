package dev.rowtide

/**
 * Why a call failed. No acknowledged local write is lost by any of them: rows that the server does not have stay
 * pending, and the next operation goes on from the last durable step.
 *
 * A cancelled coroutine sees its own [kotlin.coroutines.cancellation.CancellationException], never one of these.
 */
public sealed class RowtideException(message: String, cause: Throwable?) : RuntimeException(message, cause) {
    /** Whether the same call may succeed later without anything being changed. */
    public open val isRetryable: Boolean get() = false

    /**
     * The configuration, the arguments, or the schema they name cannot be used. The message names table, column and
     * mend; nothing was changed.
     */
    public class Configuration internal constructor(message: String, cause: Throwable?) :
        RowtideException(message, cause)

    /** The database is open elsewhere, in this process or in another one. Close that one first. */
    public class AlreadyOwned internal constructor(message: String, cause: Throwable?) :
        RowtideException(message, cause)

    /** SQLite, the disk, or SQL of the app. A statement that failed changed nothing. */
    public class Database internal constructor(message: String, cause: Throwable?) : RowtideException(message, cause)

    /** The server could not be reached or broke off. Try again later. */
    public class Network internal constructor(message: String, cause: Throwable?) : RowtideException(message, cause) {
        override val isRetryable: Boolean get() = true
    }

    /** There is no valid token: sign in again, then call [RowtideClient.credentialsChanged] or the operation. */
    public class Authentication internal constructor(message: String, cause: Throwable?) :
        RowtideException(message, cause)

    /**
     * The server refused or failed.
     *
     * @property code the server's word for it, where it gave one
     * @property retryAfterSeconds seconds that the server asked to wait
     */
    public class Server internal constructor(
        message: String,
        cause: Throwable?,
        public val code: String?,
        public val retryAfterSeconds: Long?,
    ) : RowtideException(message, cause) {
        override val isRetryable: Boolean get() = retryAfterSeconds != null
    }

    /** The server answered against the protocol, or the database's numbering is not the server's. Nothing was applied. */
    public class Protocol internal constructor(message: String, cause: Throwable?) : RowtideException(message, cause)

    /** The server does not speak this protocol, or its tables are not the configured ones. Update the app or the server. */
    public class Incompatible internal constructor(message: String, cause: Throwable?) :
        RowtideException(message, cause)

    /** The database is attached to no user, or to another one. Attach, or detach first. */
    public class Attachment internal constructor(message: String, cause: Throwable?) :
        RowtideException(message, cause)

    /** Conflicts are not decided: they kept coming, or the resolver failed. The rows are pending; sync again. */
    public class Undecided internal constructor(message: String, cause: Throwable?) :
        RowtideException(message, cause) {
        override val isRetryable: Boolean get() = true
    }

    /** Something else than the caller's coroutine stopped the operation, between two durable steps. */
    public class Cancelled internal constructor(message: String, cause: Throwable?) :
        RowtideException(message, cause)

    /** The client or the database was closed, or a bug inside. */
    public class Internal internal constructor(message: String, cause: Throwable?) : RowtideException(message, cause)
}
