package dev.rowtide.bench

import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.buildJsonObject
import java.nio.file.Files
import java.nio.file.Path
import kotlin.system.exitProcess

private const val WARM_UP = 60
private const val ROUNDS = 101

/** Times of one subject, a round each, in milliseconds. */
private class Times(
    val subject: Subject,
    val goal: Double?,
) {
    val rounds = DoubleArray(ROUNDS)
    val median: Double get() = median(rounds)
}

private fun median(values: DoubleArray): Double = values.sorted()[values.size / 2]

/** Reads the same rows in every way, one after the other in each round, so that all see the same weather. */
public fun main(arguments: Array<String>) {
    val folder = Files.createTempDirectory("rowtide-bench")
    val query = RowtideQuery(folder)
    val peers = listOf(Times(AndroidxDriver.bundled(folder), null), Times(SqliteJdbc(folder), null))
    val ours = listOf(
        Times(query, 1.2),
        Times(SqlDelightDriver(query.database), 2.0),
        Times(AndroidxDriver.onRowtide(query.database, folder), 2.0),
        Times(UniffiRecords(folder), null),
    )
    val all = peers + ours
    check(all.map { checksum(it.subject.read()) }.distinct().size == 1) { "the rows that were read differ" }
    repeat(WARM_UP) { for (times in all) times.subject.read() }
    for (round in 0..<ROUNDS) {
        for (turn in all.indices) {
            val times = all[(round + turn) % all.size]
            val begin = System.nanoTime()
            check(times.subject.read().size == ROWS)
            times.rounds[round] = (System.nanoTime() - begin) / 1e6
        }
    }
    val peer = peers.minBy(Times::median)
    val rows = all.map { times ->
        val ratio = median(DoubleArray(ROUNDS) { times.rounds[it] / peer.rounds[it] })
        Result("ffi: $ROWS rows x 6, ${times.subject.name}", times.median, peer.subject.name, ratio, times.goal)
    }
    println("%-44s %10s %8s %6s  %s".format("read", "median ms", "ratio", "goal", "peer: ${peer.subject.name}"))
    rows.forEach { println(it.line()) }
    if (arguments.firstOrNull() == "--json") Files.writeString(Path.of(arguments[1]), json(rows))
    for (times in all.reversed()) times.subject.close()
    folder.toFile().deleteRecursively()
    // The drivers leave threads that the JVM would wait for.
    exitProcess(if (rows.all(Result::ok)) 0 else 1)
}

private class Result(
    val name: String,
    val value: Double,
    val peer: String,
    val ratio: Double,
    val goal: Double?,
) {
    val ok get() = goal == null || ratio <= goal

    fun line() = "%-44s %10.2f %8.2f %6s  %s".format(name, value, ratio, goal ?: "", if (ok) "" else "MISSED")
}

private fun json(rows: List<Result>): String = buildJsonObject {
    put(
        "rows",
        JsonArray(
            rows.map {
                buildJsonObject {
                    put("name", JsonPrimitive(it.name))
                    put("value", JsonPrimitive(it.value))
                    put("unit", JsonPrimitive("ms"))
                    put("limit", it.goal?.let { goal -> JsonPrimitive(goal * it.value / it.ratio) } ?: JsonNull)
                    put("peer", JsonPrimitive(it.peer))
                    put("ratio", JsonPrimitive(it.ratio))
                    put("goal", it.goal?.let(::JsonPrimitive) ?: JsonNull)
                    put("ok", JsonPrimitive(it.ok))
                }
            },
        ),
    )
}.toString() + "\n"

private fun checksum(notes: List<Note>): Long = notes.fold(0L) { sum, note ->
    var hash = sum * 31 + note.id.hashCode()
    hash = hash * 31 + note.title.hashCode()
    hash = hash * 31 + note.stars
    hash = hash * 31 + note.score.toRawBits()
    hash = hash * 31 + note.body.hashCode()
    hash * 31 + (note.thumb?.contentHashCode() ?: 0)
}
