@file:OptIn(ExperimentalForeignApi::class)

package dev.rowtide.ffi

import dev.rowtide.ffi.c.ForeignBytes
import dev.rowtide.ffi.c.ffi_rowtide_ffi_rustbuffer_free
import dev.rowtide.ffi.c.ffi_rowtide_ffi_rustbuffer_from_bytes
import kotlinx.cinterop.CValue
import kotlinx.cinterop.ExperimentalForeignApi
import kotlinx.cinterop.addressOf
import kotlinx.cinterop.cValue
import kotlinx.cinterop.ptr
import kotlinx.cinterop.readBytes
import kotlinx.cinterop.reinterpret
import kotlinx.cinterop.useContents
import kotlinx.cinterop.usePinned
import dev.rowtide.ffi.c.RustBuffer as NativeBuffer

/*
 * How values cross to the core: as bytes that Rust owns. What scripts/generate-kotlin-native makes lifts and lowers each type
 * with these.
 */

/** Bytes that Rust owns. */
internal typealias RustBuffer = CValue<NativeBuffer>

/** The bytes, which are freed. */
internal fun RustBuffer.take(): ByteArray {
    val bytes = useContents { data?.readBytes(len.toInt()) ?: ByteArray(0) }
    uniffiRustCall { status -> ffi_rowtide_ffi_rustbuffer_free(this, status.ptr) }
    return bytes
}

/** A copy that Rust owns: the call that it is given to frees it. */
internal fun rustBuffer(bytes: ByteArray, size: Int = bytes.size): RustBuffer = bytes.usePinned { pinned ->
    val borrowed = cValue<ForeignBytes> {
        len = size
        data = if (size == 0) null else pinned.addressOf(0).reinterpret()
    }
    uniffiRustCall { status -> ffi_rowtide_ffi_rustbuffer_from_bytes(borrowed, status.ptr) }
}

/** Bytes to be read from the start, or to be written to the end; numbers are big-endian. */
internal class ByteBuffer(private var bytes: ByteArray, private var end: Int = bytes.size) {
    private var next = 0

    fun hasRemaining(): Boolean = next < end

    fun get(): Byte = bytes[step(1)]

    fun get(into: ByteArray) {
        bytes.copyInto(into, 0, step(into.size), next)
    }

    fun getInt(): Int = number(4).toInt()

    fun getLong(): Long = number(8)

    fun put(value: Byte) {
        bytes[room(1)] = value
    }

    fun put(value: ByteArray) {
        value.copyInto(bytes, room(value.size))
    }

    fun putInt(value: Int): Unit = putNumber(value.toLong(), 4)

    fun putLong(value: Long): Unit = putNumber(value, 8)

    fun toRustBuffer(): RustBuffer = rustBuffer(bytes, end)

    private fun number(size: Int): Long {
        var number = 0L
        for (index in step(size)..<next) number = (number shl 8) or (bytes[index].toLong() and 0xFF)
        return number
    }

    private fun putNumber(value: Long, size: Int) {
        val start = room(size)
        for (index in 0..<size) bytes[start + index] = (value shr (8 * (size - 1 - index))).toByte()
    }

    /** Where the next [count] bytes begin. */
    private fun step(count: Int): Int {
        if (count !in 0..end - next) throw InternalException("a value from the core is cut short")
        return next.also { next += count }
    }

    /** Where [count] bytes can be written. */
    private fun room(count: Int): Int {
        if (end + count > bytes.size) bytes = bytes.copyOf(maxOf(bytes.size * 2, end + count))
        return end.also { end += count }
    }
}

/** How a type crosses: as [FfiType] in a call of its own, as bytes inside of another one. */
internal interface FfiConverter<KotlinType, FfiType> {
    fun lift(value: FfiType): KotlinType

    fun lower(value: KotlinType): FfiType

    fun read(buf: ByteBuffer): KotlinType

    /** At least as many bytes as [write] writes, or a guess. */
    fun allocationSize(value: KotlinType): ULong

    fun write(value: KotlinType, buf: ByteBuffer)
}

/** A type that crosses as bytes only. */
internal interface FfiConverterRustBuffer<KotlinType> : FfiConverter<KotlinType, RustBuffer> {
    override fun lift(value: RustBuffer): KotlinType {
        val buffer = ByteBuffer(value.take())
        val lifted = read(buffer)
        if (buffer.hasRemaining()) throw InternalException("a value from the core is longer than it was known to be")
        return lifted
    }

    override fun lower(value: KotlinType): RustBuffer {
        val buffer = ByteBuffer(ByteArray(allocationSize(value).toInt()), end = 0)
        write(value, buffer)
        return buffer.toRustBuffer()
    }
}

internal object FfiConverterString : FfiConverter<String, RustBuffer> {
    override fun lift(value: RustBuffer): String = value.take().decodeToString()

    override fun lower(value: String): RustBuffer = rustBuffer(value.encodeToByteArray(throwOnInvalidSequence = true))

    override fun read(buf: ByteBuffer): String = ByteArray(buf.getInt()).also(buf::get).decodeToString()

    override fun allocationSize(value: String): ULong = 4UL + 3UL * value.length.toULong()

    override fun write(value: String, buf: ByteBuffer) {
        val bytes = value.encodeToByteArray(throwOnInvalidSequence = true)
        buf.putInt(bytes.size)
        buf.put(bytes)
    }
}
