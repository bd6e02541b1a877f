package dev.rowtide.test

import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlin.time.toKotlinDuration
import dev.rowtide.test.ffi.Endpoint as NativeEndpoint
import dev.rowtide.test.ffi.Fault as NativeFault
import dev.rowtide.test.ffi.TestStore as NativeStore
import dev.rowtide.test.ffi.WireGeneration as NativeGeneration
import java.time.Duration as JavaDuration

/** Which of the two wire generations a server speaks. */
public enum class WireGeneration(internal val native: NativeGeneration) {
    /** The public go-oversync server. */
    A(NativeGeneration.A),

    /** Canonical JSON with numeric strings. */
    B(NativeGeneration.B),
}

/** Where a server keeps its data. */
public enum class TestStore(internal val native: NativeStore) {
    /** Memory: the fastest. */
    MEMORY(NativeStore.MEMORY),

    /** A temporary file: slower, and can be backed up and restored. */
    FILE(NativeStore.FILE),
}

/** An endpoint of the protocol. */
public enum class Endpoint(internal val native: NativeEndpoint) {
    /** What the server can do. */
    CAPABILITIES(NativeEndpoint.CAPABILITIES),

    /** Who has the data: the first call of an attach. */
    CONNECT(NativeEndpoint.CONNECT),

    /** Begins an upload. */
    PUSH_CREATE(NativeEndpoint.PUSH_CREATE),

    /** Uploads rows. */
    PUSH_CHUNK(NativeEndpoint.PUSH_CHUNK),

    /** Commits an upload as a bundle. */
    PUSH_COMMIT(NativeEndpoint.PUSH_COMMIT),

    /** Reads the rows of a committed bundle. */
    COMMITTED_ROWS(NativeEndpoint.COMMITTED_ROWS),

    /** Downloads bundles. */
    PULL(NativeEndpoint.PULL),

    /** Begins a download of everything. */
    SNAPSHOT_CREATE(NativeEndpoint.SNAPSHOT_CREATE),

    /** Downloads a part of everything. */
    SNAPSHOT_CHUNK(NativeEndpoint.SNAPSHOT_CHUNK),

    /** Ends a download of everything. */
    SNAPSHOT_DELETE(NativeEndpoint.SNAPSHOT_DELETE),

    /** The stream of changes. */
    WATCH(NativeEndpoint.WATCH),

    /** Anything else. */
    OTHER(NativeEndpoint.OTHER),
    ;

    internal companion object {
        fun of(native: NativeEndpoint): Endpoint = entries.first { it.native == native }
    }
}

/** What goes wrong with one call. */
public sealed interface Fault {
    /** The request never reaches the server; the connection breaks. */
    public data object DropRequest : Fault

    /** The server acts, the reply is lost: the connection breaks. */
    public data object ApplyThenDropReply : Fault

    /** The server acts, and the connection breaks in the middle of the reply's body. */
    public data object ApplyThenTruncateReply : Fault

    /**
     * The server answers this and does nothing.
     *
     * @property status HTTP status, 200 to 599.
     * @property body the body.
     */
    public data class Answer
    @JvmOverloads
    constructor(val status: Int, val body: String = "") : Fault

    /**
     * The server answers this status with a `Retry-After` header and no body, and does nothing.
     *
     * @property status HTTP status, 200 to 599; 429 and 503 are usual.
     * @property after what the header says, in whole seconds.
     */
    public data class AnswerRetryAfter(val status: Int, val after: Duration) : Fault {
        /** For Java. */
        public constructor(status: Int, after: JavaDuration) : this(status, after.toKotlinDuration())
    }

    /**
     * The request waits before the server sees it.
     *
     * @property duration how long, in whole milliseconds.
     */
    public data class Delay(val duration: Duration) : Fault {
        /** For Java. */
        public constructor(duration: JavaDuration) : this(duration.toKotlinDuration())
    }
}

internal fun faultOf(native: NativeFault): Fault = when (native) {
    is NativeFault.DropRequest -> Fault.DropRequest
    is NativeFault.ApplyThenDropReply -> Fault.ApplyThenDropReply
    is NativeFault.ApplyThenTruncateReply -> Fault.ApplyThenTruncateReply
    is NativeFault.Answer -> Fault.Answer(native.status, native.body)
    is NativeFault.AnswerRetryAfter -> Fault.AnswerRetryAfter(native.status, native.seconds.seconds)
    is NativeFault.Delay -> Fault.Delay(native.milliseconds.milliseconds)
}

internal val Fault.native: NativeFault
    get() =
        when (this) {
            is Fault.DropRequest -> NativeFault.DropRequest
            is Fault.ApplyThenDropReply -> NativeFault.ApplyThenDropReply
            is Fault.ApplyThenTruncateReply -> NativeFault.ApplyThenTruncateReply
            is Fault.Answer -> NativeFault.Answer(status, body)
            is Fault.AnswerRetryAfter -> NativeFault.AnswerRetryAfter(status, after.inWholeSeconds)
            is Fault.Delay -> NativeFault.Delay(duration.inWholeMilliseconds)
        }

/**
 * A fault that struck.
 *
 * @property endpoint where.
 * @property fault what.
 */
public data class StruckFault(val endpoint: Endpoint, val fault: Fault)
