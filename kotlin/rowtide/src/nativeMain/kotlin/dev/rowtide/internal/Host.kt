package dev.rowtide.internal

import dev.rowtide.RowtideException
import dev.rowtide.ffi.registerCallbacks
import dev.rowtide.ffi.staleParts

/** A native program as the core's host. */
internal object Host {
    private val stale by lazy(::staleParts)
    private val callbacks by lazy(::registerCallbacks)

    /** Makes sure, once, that the library is the one that these bindings were made for, and that it can call back. */
    fun ensureReady() {
        if (stale.isNotEmpty()) {
            val reason = "the native library is another version than its Kotlin; build both from the same sources. " +
                "They differ in ${stale.joinToString()}"
            throw RowtideException.Internal(reason, null)
        }
        callbacks
    }

    /** Whether what a token provider threw says that the identity service cannot be reached: no such type is known here. */
    @Suppress("UNUSED_PARAMETER")
    fun isOffline(failure: Throwable): Boolean = false
}
