package dev.rowtide.driver

import java.math.BigDecimal
import java.math.MathContext
import kotlin.math.abs

/*
 * A cell that is read as something else is converted as SQLite converts it.
 */

private val INTEGER = Regex("""^[ \t\n\u000B\f\r]*([+-]?\d+)""")
private val NUMBER = Regex("""^[ \t\n\u000B\f\r]*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)""")

internal fun integerInFront(text: String): Long {
    val digits = INTEGER.find(text)?.groupValues?.get(1) ?: return 0
    return digits.toLongOrNull() ?: if (digits.startsWith('-')) Long.MIN_VALUE else Long.MAX_VALUE
}

internal fun numberInFront(text: String): Double = NUMBER.find(text)?.groupValues?.get(1)?.toDouble() ?: 0.0

/** At most 15 significant digits, always with a fraction. */
internal fun numberAsText(value: Double): String {
    if (value.isInfinite()) return if (value > 0) "Inf" else "-Inf"
    if (value == 0.0) return "0.0"
    val rounded = BigDecimal(value).round(MathContext(15)).stripTrailingZeros()
    val exponent = rounded.precision() - rounded.scale() - 1
    if (exponent in -4..14) {
        val plain = rounded.toPlainString()
        return if ('.' in plain) plain else "$plain.0"
    }
    val digits = rounded.unscaledValue().abs().toString()
    val sign = if (value < 0) "-" else ""
    val fraction = digits.drop(1).ifEmpty { "0" }
    return "$sign${digits[0]}.${fraction}e${if (exponent < 0) '-' else '+'}${abs(exponent).toString().padStart(2, '0')}"
}
