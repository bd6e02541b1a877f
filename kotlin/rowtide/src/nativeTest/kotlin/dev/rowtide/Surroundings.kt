@file:OptIn(ExperimentalForeignApi::class)

package dev.rowtide

import kotlinx.cinterop.ByteVar
import kotlinx.cinterop.ExperimentalForeignApi
import kotlinx.cinterop.allocArray
import kotlinx.cinterop.memScoped
import kotlinx.cinterop.toKString
import platform.posix.fclose
import platform.posix.fgets
import platform.posix.fopen
import platform.posix.getenv

/*
 * What scripts/test-kotlin-native has put up for the tests: two servers, a folder for databases. The working directory is
 * the project's.
 */

internal fun environment(name: String): String =
    getenv(name)?.toKString() ?: error("$name is not set; run scripts/test-kotlin-native")

internal fun database(name: String): String = "${environment("ROWTIDE_WORK")}/$name.db"

internal fun file(path: String): String {
    val file = fopen(path, "r") ?: error("$path cannot be read")
    try {
        return memScoped {
            val line = allocArray<ByteVar>(LINE)
            generateSequence { fgets(line, LINE, file)?.toKString() }.joinToString("")
        }
    } finally {
        fclose(file)
    }
}

/** More bytes than a line of the scenario has. */
private const val LINE = 65_536
