package dev.rowtide.internal

import com.sun.jna.Callback
import com.sun.jna.CallbackThreadInitializer
import com.sun.jna.Native
import dev.rowtide.ffi.uniffiCallbackInterfaceLogSink
import dev.rowtide.ffi.uniffiCallbackInterfaceProgressListener
import dev.rowtide.ffi.uniffiCallbackInterfaceResolver
import dev.rowtide.ffi.uniffiCallbackInterfaceStatusListener
import dev.rowtide.ffi.uniffiCallbackInterfaceTablesListener
import dev.rowtide.ffi.uniffiCallbackInterfaceTokenProvider
import dev.rowtide.ffi.uniffiRustFutureContinuationCallbackImpl
import java.io.IOException

/**
 * The JVM as the core's host. The core's threads appear as daemons that stay attached while they live: without this JNA
 * attaches and detaches them for every call, each time with a new Java thread.
 */
internal object Host {
    private val attached = CallbackThreadInitializer(true, false, "rowtide")

    // JNA holds callbacks weakly; these are objects that live as long as the process.
    private val callbacks: List<Callback> = listOf(
        uniffiRustFutureContinuationCallbackImpl,
        uniffiCallbackInterfaceLogSink.onLine,
        uniffiCallbackInterfaceLogSink.uniffiFree,
        uniffiCallbackInterfaceLogSink.uniffiClone,
        uniffiCallbackInterfaceProgressListener.onProgress,
        uniffiCallbackInterfaceProgressListener.uniffiFree,
        uniffiCallbackInterfaceProgressListener.uniffiClone,
        uniffiCallbackInterfaceResolver.resolve,
        uniffiCallbackInterfaceResolver.uniffiFree,
        uniffiCallbackInterfaceResolver.uniffiClone,
        uniffiCallbackInterfaceStatusListener.onStatus,
        uniffiCallbackInterfaceStatusListener.uniffiFree,
        uniffiCallbackInterfaceStatusListener.uniffiClone,
        uniffiCallbackInterfaceTablesListener.onTablesChanged,
        uniffiCallbackInterfaceTablesListener.uniffiFree,
        uniffiCallbackInterfaceTablesListener.uniffiClone,
        uniffiCallbackInterfaceTokenProvider.requestToken,
        uniffiCallbackInterfaceTokenProvider.uniffiFree,
        uniffiCallbackInterfaceTokenProvider.uniffiClone,
    )

    init {
        for (callback in callbacks) Native.setCallbackThreadInitializer(callback, attached)
    }

    /** Runs what is above, once. */
    fun ensureReady() = Unit

    /** Whether what a token provider threw says that the identity service cannot be reached. */
    fun isOffline(failure: Throwable): Boolean = failure is IOException
}
