package dev.rowtide

import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.long
import kotlinx.serialization.json.longOrNull

/**
 * The scenario that every language runs (`tests/scenario/README.md`), in Kotlin for every platform.
 *
 * @param text `tests/scenario/scenario.json`
 * @param url the server, `rowtide serve --demo`
 * @param token a token that the server takes
 * @param database the file of a device's database, by the name of the device
 */
class Scenario(
    text: String,
    private val url: String,
    private val token: String,
    private val database: (String) -> String,
) {
    private val scenario = Json.parseToJsonElement(text).jsonObject

    // Callbacks write from threads of their own.
    private val log = Channel<String>(Channel.UNLIMITED)

    /** Runs all steps; answers the log. */
    suspend fun run(): String {
        val devices = mutableMapOf<String, Device>()
        for (step in scenario.getValue("steps").jsonArray.map { it.jsonObject }) {
            val name = step.text("device")!!
            when {
                "open" in step -> devices[name] = open(name)
                "close" in step -> devices.remove(name)!!.close()
                else -> devices.getValue(name).step(step)
            }
        }
        return generateSequence { log.tryReceive().getOrNull() }.joinToString("") { "$it\n" }
    }

    private suspend fun open(name: String): Device {
        val host = Host(name)
        val table = scenario.getValue("table").jsonObject
        val limits = scenario.getValue("limits").jsonObject
        val client = Rowtide.open(database(name)) {
            server(this@Scenario.url, schema = "business")
            prepare { executeScript(scenario.text("schema")!!) }
            table(table.text("name")!!) {
                key(table.text("key")!!)
                policy = ConflictPolicy.Callback
            }
            this.limits = TransferLimits(
                uploadRows = limits.getValue("upload_rows").jsonPrimitive.long,
                downloadRows = limits.getValue("download_rows").jsonPrimitive.long,
            )
            tokens(host)
            resolver(host)
        }
        say("$name open ${client.status().state.word()}")
        return Device(name, client, host)
    }

    /** The app's callbacks, and what the scenario makes them do. */
    private inner class Host(private val device: String) :
        TokenProvider,
        ConflictResolver {
        var tokens = ArrayDeque<String>()
        var resolver = ""

        override suspend fun token(reason: TokenReason): String {
            say("$device token ${reason.word()}")
            val next = if (tokens.size > 1) tokens.removeFirst() else tokens.firstOrNull()
            return if (next == "stale") "stale" else token
        }

        override suspend fun resolve(conflicts: List<RowConflict>): List<Decision> {
            for (conflict in conflicts) {
                val local = conflict.local?.string("title") ?: "-"
                val server = conflict.server?.string("title") ?: "-"
                say("$device conflict ${conflict.table} ${conflict.key} local=$local server=$server")
            }
            check(resolver != "throws") { "the scenario wants it so" }
            return conflicts.map { conflict ->
                val server = conflict.server!!
                Decision.KeepMerged(
                    server.with("title" to "${server.string("title")} + ${conflict.local!!.string("title")}"),
                )
            }
        }
    }

    private inner class Device(private val name: String, private val client: RowtideClient, private val host: Host) {
        suspend fun close() {
            client.shutDown()
            say("$name close")
        }

        suspend fun step(step: JsonObject) {
            step["tokens"]?.let { tokens ->
                host.tokens = ArrayDeque(tokens.jsonArray.map { it.jsonPrimitive.content })
            }
            step.text("resolver")?.let { host.resolver = it }
            val line = when {
                "execute" in step -> execute(step)

                "fill" in step -> {
                    val rows = (0..<step.getValue("fill").jsonPrimitive.long).map {
                        listOf("bulk-${it.toString().padStart(5, '0')}", "row $it", it)
                    }
                    "fill ${client.executeBatch("INSERT INTO notes (id, title, stars) VALUES (?, ?, ?)", rows)}"
                }

                "query" in step -> "query " + client.query(step.text("query")!!).joinToString("\n") { row ->
                    row.columns.indices.joinToString(" | ") { row[it]?.toString() ?: "NULL" }
                }

                "status" in step -> client.status().let { "status ${it.state.word()} pending=${it.pendingRows}" }

                "credentials_changed" in step -> {
                    client.credentialsChanged()
                    "credentials_changed"
                }

                else -> "${step.text("operation")} ${operate(step)}"
            }
            say("$name $line")
        }

        private suspend fun execute(step: JsonObject): String = try {
            val arguments = step.getValue("arguments").jsonArray.map(::argument).toTypedArray()
            "execute ${client.execute(step.text("execute")!!, *arguments).changedRows}"
        } catch (failure: RowtideException) {
            "execute error ${failure.word()}"
        }

        private suspend fun operate(step: JsonObject): String {
            val operation: suspend () -> Report = {
                when (val operation = step.text("operation")) {
                    "attach" -> client.attach("ada")
                    "push" -> client.push()
                    "sync" -> client.sync()
                    "detach" -> client.detach()
                    "sync_then_detach" -> client.syncThenDetach()
                    else -> error("no such operation: $operation")
                }
            }
            step.text("cancel_at")?.let { return cancelled(step.text("operation")!!, it, operation) }
            return try {
                val report = operation()
                "${report.outcome.word()} pushed=${report.pushedRows} pulled=${report.pulledRows} " +
                    "conflicts=${report.conflicts}"
            } catch (failure: RowtideException) {
                "error ${failure.word()}"
            }
        }

        /** A cancelled coroutine: the operation has stopped when the coroutine has. */
        private suspend fun cancelled(activity: String, phase: String, operation: suspend () -> Report): String =
            coroutineScope {
                val seen = CompletableDeferred<Unit>()
                val watching = async {
                    client.progress.first { it.phase.word() == phase && it.rows > 0 && it.activity.word() == activity }
                    seen.complete(Unit)
                }
                val running = launch { operation() }
                seen.await()
                running.cancelAndJoin()
                watching.await()
                say("$name progress $phase")
                if (running.isCancelled) "error cancelled" else "was not cancelled"
            }
    }

    private fun say(line: String) {
        log.trySend(line)
    }

    private fun JsonObject.text(name: String): String? = this[name]?.jsonPrimitive?.content

    private fun argument(value: JsonElement): Any {
        val primitive = value as JsonPrimitive
        return if (primitive.isString) primitive.content else primitive.longOrNull ?: primitive.content.toDouble()
    }

    private fun Any.word(): String =
        this::class.simpleName!!.takeIf { this !is Enum<*> }.orEmpty().ifEmpty { toString() }.snake()

    private fun String.snake() = replace(Regex("(?<=[a-z])[A-Z]")) { "_${it.value}" }.lowercase()
}
