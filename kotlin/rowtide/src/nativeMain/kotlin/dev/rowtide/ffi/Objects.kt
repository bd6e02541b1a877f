@file:OptIn(ExperimentalForeignApi::class, ExperimentalNativeApi::class, ExperimentalAtomicApi::class)

package dev.rowtide.ffi

import kotlinx.cinterop.CPointed
import kotlinx.cinterop.ExperimentalForeignApi
import kotlinx.cinterop.StableRef
import kotlinx.cinterop.asStableRef
import kotlinx.cinterop.toCPointer
import kotlinx.cinterop.toLong
import kotlin.concurrent.atomics.ExperimentalAtomicApi
import kotlin.concurrent.atomics.decrementAndFetch
import kotlin.experimental.ExperimentalNativeApi
import kotlin.native.ref.createCleaner
import kotlin.concurrent.atomics.AtomicBoolean as NativeAtomicBoolean
import kotlin.concurrent.atomics.AtomicLong as NativeAtomicLong

/*
 * Objects that Rust holds of Kotlin's, and Kotlin of Rust's. The names are those of the JVM's library, because what
 * scripts/generate-kotlin-native makes was written for that.
 */

/** Objects of the app as the core holds them: a handle keeps its object. Rust's own handles are even, these are odd. */
internal class UniffiHandleMap<T : Any> {
    fun insert(obj: T): Long = StableRef.create(obj).asCPointer().toLong() or 1

    fun get(handle: Long): T = reference(handle).get()

    fun clone(handle: Long): Long = insert(get(handle))

    fun remove(handle: Long): T {
        val reference = reference(handle)
        return reference.get().also { reference.dispose() }
    }

    @Suppress("UNCHECKED_CAST")
    private fun reference(handle: Long): StableRef<T> =
        (handle xor 1).toCPointer<CPointed>()!!.asStableRef<Any>() as StableRef<T>
}

internal fun interface Runnable {
    fun run()
}

/** Gives an object back to Rust once: when it is closed, or when the garbage collector has found it. */
internal object UniffiCleaner {
    @Suppress("UNUSED_PARAMETER")
    fun register(value: Any, cleanUpTask: Runnable): Cleanable = Cleanable(cleanUpTask)

    class Cleanable(task: Runnable) {
        private val once = Once(task)

        @Suppress("unused")
        private val cleaner = createCleaner(once) { it.run() }

        fun clean(): Unit = once.run()
    }

    private class Once(private val task: Runnable) {
        private val done = AtomicBoolean(false)

        fun run() {
            if (done.compareAndSet(false, true)) task.run()
        }
    }
}

internal class AtomicBoolean(value: Boolean) {
    private val value = NativeAtomicBoolean(value)

    fun get(): Boolean = value.load()

    fun compareAndSet(expected: Boolean, new: Boolean): Boolean = value.compareAndSet(expected, new)
}

internal class AtomicLong(value: Long) {
    private val value = NativeAtomicLong(value)

    fun get(): Long = value.load()

    fun compareAndSet(expected: Long, new: Long): Boolean = value.compareAndSet(expected, new)

    fun decrementAndGet(): Long = value.decrementAndFetch()
}
