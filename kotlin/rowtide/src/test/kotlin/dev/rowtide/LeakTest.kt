package dev.rowtide

import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Path
import kotlin.io.path.listDirectoryEntries
import kotlin.io.path.readLines

/** What opening, closing and observing leave behind: nothing. `scripts/soak-bindings` runs it with the large numbers. */
class LeakTest(@param:TempDir private val folder: Path) {
    private val cycles = Integer.getInteger("rowtide.soak.cycles", 100)
    private val events = Integer.getInteger("rowtide.soak.events", 10_000)

    /** Bytes that may come and go between two measurements: allocators keep pages, and the JVM compiles. */
    private val slack = 24L shl 20

    @Test
    fun `opening and closing leave no thread, no handle and no memory behind`() = runBlocking<Unit> {
        val path = folder.resolve("app.db").toString()
        suspend fun cycle() {
            val client = Rowtide.open(path) { notes(NOWHERE) }
            client.execute("INSERT OR REPLACE INTO notes VALUES ('n1', 'again', 1, NULL)")
            val seen = CompletableDeferred<Unit>()
            val observing = launch(Dispatchers.Default) { client.statusChanges.collect { seen.complete(Unit) } }
            seen.await()
            client.start()
            client.shutDown()
            observing.join()
        }
        // What is there once for all: the runtime, the pools, code that is compiled.
        repeat(cycles / 5 + 20) { cycle() }
        val before = Usage.now()
        repeat(cycles) { cycle() }
        Usage.assertNoMore("$cycles cycles", before)
    }

    @Test
    fun `observed events leave no thread, no handle and no memory behind`() = runBlocking<Unit> {
        Rowtide.open(folder.resolve("app.db").toString()) { notes(NOWHERE) }.use { client ->
            val seen = Channel<Unit>(Channel.RENDEZVOUS)
            val observing = launch(Dispatchers.Default) {
                client.tableChanges("notes").collect { seen.send(Unit) }
            }
            seen.receive()
            suspend fun observe(count: Int) = repeat(count) {
                client.execute("INSERT OR REPLACE INTO notes VALUES ('n1', 'again', 1, NULL)")
                seen.receive()
            }
            observe(events / 10 + 500)
            val before = Usage.now()
            observe(events)
            Usage.assertNoMore("$events events", before)
            observing.cancel()
        }
    }

    /** What the process holds, as Linux counts it. */
    private class Usage(val threads: Int, val handles: Int, val javaThreads: Int, val heap: Long, val resident: Long) {
        override fun toString() =
            "$threads threads ($javaThreads of the JVM), $handles handles, heap ${heap shr 10} KiB, resident ${resident shr 10} KiB"

        companion object {
            fun now(): Usage {
                // What waits for its finaliser, the cleaners of native objects included.
                repeat(3) {
                    System.gc()
                    Thread.sleep(100)
                }
                val status = Path.of("/proc/self/status").readLines()
                fun number(name: String) = status.first { it.startsWith("$name:") }.filter(Char::isDigit).toLong()
                val runtime = Runtime.getRuntime()
                return Usage(
                    threads = number("Threads").toInt(),
                    handles = Path.of("/proc/self/fd").listDirectoryEntries().size,
                    javaThreads = Thread.getAllStackTraces().size,
                    heap = runtime.totalMemory() - runtime.freeMemory(),
                    resident = number("VmRSS") shl 10,
                )
            }
        }
    }

    private fun Usage.Companion.assertNoMore(what: String, before: Usage) {
        var after = now()
        // JNA's cleaner frees what the collector has found in a thread of its own, and has a lot to do after a million
        // calls. What is still there when it has had its time is a leak.
        repeat(60) {
            if (after.excess(before).isEmpty()) return@repeat
            after = now()
        }
        println("after $what: $after; before: $before")
        assertEquals(emptyList<String>(), after.excess(before), "$before, then $after")
    }

    /** Of what there is more than before. Pools may have started a thread late. */
    private fun Usage.excess(before: Usage): List<String> = listOfNotNull(
        "threads".takeIf { threads > before.threads + 2 },
        "handles".takeIf { handles > before.handles + 2 },
        "heap".takeIf { heap > before.heap + slack / 4 },
        "resident memory".takeIf { resident > before.resident + slack },
    )
}
