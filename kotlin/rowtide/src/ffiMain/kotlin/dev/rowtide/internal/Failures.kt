package dev.rowtide.internal

import dev.rowtide.RowtideException
import dev.rowtide.ffi.InternalException
import dev.rowtide.ffi.RowtideException as FfiException

/** Runs a call of the core; what it throws is public. */
internal inline fun <T> calling(call: () -> T): T = try {
    call()
} catch (failure: FfiException) {
    throw failure.toPublic()
} catch (failure: InternalException) {
    throw RowtideException.Internal("the core failed: ${failure.message}", failure)
}

internal fun FfiException.toPublic(): RowtideException = when (this) {
    is FfiException.Configuration -> RowtideException.Configuration(reason, this)
    is FfiException.AlreadyOwned -> RowtideException.AlreadyOwned(reason, this)
    is FfiException.Database -> RowtideException.Database(reason, this)
    is FfiException.Network -> RowtideException.Network(reason, this)
    is FfiException.Authentication -> RowtideException.Authentication(reason, this)
    is FfiException.Server -> RowtideException.Server(reason, this, code, retryAfterSeconds)
    is FfiException.Protocol -> RowtideException.Protocol(reason, this)
    is FfiException.Incompatible -> RowtideException.Incompatible(reason, this)
    is FfiException.Attachment -> RowtideException.Attachment(reason, this)
    is FfiException.Undecided -> RowtideException.Undecided(reason, this)
    is FfiException.Cancelled -> RowtideException.Cancelled(reason, this)
    is FfiException.Internal -> RowtideException.Internal(reason, this)
}
