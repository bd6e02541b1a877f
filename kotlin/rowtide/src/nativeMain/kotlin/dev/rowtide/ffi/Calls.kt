@file:OptIn(ExperimentalForeignApi::class)

package dev.rowtide.ffi

import dev.rowtide.ffi.c.RustCallStatus
import dev.rowtide.ffi.c.UniffiRustFutureContinuationCallback
import kotlinx.cinterop.CPointed
import kotlinx.cinterop.ExperimentalForeignApi
import kotlinx.cinterop.StableRef
import kotlinx.cinterop.alloc
import kotlinx.cinterop.asStableRef
import kotlinx.cinterop.memScoped
import kotlinx.cinterop.ptr
import kotlinx.cinterop.readValue
import kotlinx.cinterop.staticCFunction
import kotlinx.cinterop.toCPointer
import kotlinx.cinterop.toLong
import kotlinx.coroutines.CancellableContinuation
import kotlinx.coroutines.suspendCancellableCoroutine
import kotlin.coroutines.resume

/* How calls of the core, and calls of the core's to the app, begin and end. */

internal typealias UniffiRustCallStatus = RustCallStatus

/** How a call ended. */
internal object CallCode {
    const val SUCCESS: Byte = 0
    const val ERROR: Byte = 1
    const val PANIC: Byte = 2
}

/** A bug: a panic in Rust, or bindings of another version. */
internal class InternalException(message: String) : Exception(message)

internal interface UniffiRustCallStatusErrorHandler<E> {
    @Suppress("LocalVariableName")
    fun lift(error_buf: RustBuffer): E
}

/** Calls a function of the core that cannot fail. */
internal inline fun <T> uniffiRustCall(call: (UniffiRustCallStatus) -> T): T = uniffiRustCallWithError(NoErrors, call)

/** Calls a function of the core; its error is thrown. */
internal inline fun <T, E : Exception> uniffiRustCallWithError(
    errors: UniffiRustCallStatusErrorHandler<E>,
    call: (UniffiRustCallStatus) -> T,
): T = memScoped {
    val status = alloc<UniffiRustCallStatus>()
    call(status).also { status.check(errors) }
}

internal object NoErrors : UniffiRustCallStatusErrorHandler<InternalException> {
    @Suppress("LocalVariableName")
    override fun lift(error_buf: RustBuffer): InternalException {
        error_buf.take()
        return InternalException("an error where none can be")
    }
}

internal fun <E : Exception> UniffiRustCallStatus.check(errors: UniffiRustCallStatusErrorHandler<E>) {
    when (code) {
        CallCode.SUCCESS -> return

        CallCode.ERROR -> throw errors.lift(errorBuf.readValue())

        CallCode.PANIC -> {
            val message = FfiConverterString.lift(errorBuf.readValue())
            throw InternalException(message.ifEmpty { "Rust panic" })
        }

        else -> throw InternalException("a call ended with the unknown code $code")
    }
}

/** Calls the app; what it throws is told to the core, whatever it is. */
internal inline fun <T, reified E : Throwable> uniffiTraitInterfaceCallWithError(
    status: UniffiRustCallStatus,
    makeCall: () -> T,
    writeReturn: (T) -> Unit,
    lowerError: (E) -> RustBuffer,
) {
    try {
        writeReturn(makeCall())
    } catch (failure: Throwable) {
        if (failure is E) {
            status.fail(CallCode.ERROR, lowerError(failure))
        } else {
            status.fail(CallCode.PANIC, FfiConverterString.lower(failure.stackTraceToString()))
        }
    }
}

internal fun UniffiRustCallStatus.fail(code: Byte, error: RustBuffer) {
    this.code = code
    error.place(errorBuf.ptr)
}

private const val READY: Byte = 0

/** Each poll is answered once, by one of the core's threads; freeing the future answers the one that is open. */
private val polled = staticCFunction { continuation: ULong, result: Byte ->
    val reference = continuation.toLong().toCPointer<CPointed>()!!.asStableRef<CancellableContinuation<Byte>>()
    val waiting = reference.get()
    reference.dispose()
    waiting.resume(result)
}

/** Waits for a future of the core. When the coroutine is cancelled, the future is dropped. */
internal suspend fun <T, F, E : Exception> uniffiRustCallAsync(
    rustFuture: Long,
    pollFunc: (Long, UniffiRustFutureContinuationCallback, Long) -> Unit,
    completeFunc: (Long, UniffiRustCallStatus) -> F,
    freeFunc: (Long) -> Unit,
    liftFunc: (F) -> T,
    errorHandler: UniffiRustCallStatusErrorHandler<E>,
): T {
    try {
        do {
            val result = suspendCancellableCoroutine<Byte> { continuation ->
                pollFunc(rustFuture, polled, StableRef.create(continuation).asCPointer().toLong())
            }
        } while (result != READY)
        return liftFunc(uniffiRustCallWithError(errorHandler) { status -> completeFunc(rustFuture, status) })
    } finally {
        freeFunc(rustFuture)
    }
}
