package dev.rowtide.internal

import dev.rowtide.ConflictResolver
import dev.rowtide.Decision
import dev.rowtide.LogLevel
import dev.rowtide.LogSink
import dev.rowtide.TokenProvider
import dev.rowtide.TokenUnavailable
import dev.rowtide.ffi.LogLine
import dev.rowtide.ffi.Resolver
import dev.rowtide.ffi.ResolverReply
import dev.rowtide.ffi.RowConflict
import dev.rowtide.ffi.TokenReply
import dev.rowtide.ffi.logWarning
import dev.rowtide.ffi.setLog
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch
import kotlin.coroutines.CoroutineContext
import dev.rowtide.ffi.Decision as FfiDecision
import dev.rowtide.ffi.LogSink as FfiLogSink
import dev.rowtide.ffi.TokenProvider as FfiTokenProvider
import dev.rowtide.ffi.TokenReason as FfiTokenReason

/**
 * The app's token provider and resolver. The core's one host thread only starts them; they run, and may suspend, in a scope
 * of the client, and answer by way of the reply. What they throw is an answer too.
 */
internal class HostCallbacks(context: CoroutineContext) : AutoCloseable {
    private val scope = CoroutineScope(Dispatchers.Default + context + SupervisorJob())

    fun tokens(provider: TokenProvider): FfiTokenProvider = object : FfiTokenProvider {
        override fun requestToken(reason: FfiTokenReason, reply: TokenReply) {
            answering(reply) {
                try {
                    reply.token(provider.token(reason.toPublic()))
                } catch (failure: Throwable) {
                    val offline = failure is TokenUnavailable || Host.isOffline(failure)
                    if (offline) reply.offline(failure.text()) else reply.denied(failure.text())
                }
            }
        }
    }

    fun resolver(resolver: ConflictResolver): Resolver = object : Resolver {
        override fun resolve(conflicts: List<RowConflict>, reply: ResolverReply) {
            answering(reply) {
                try {
                    reply.decide(resolver.resolve(conflicts.map { it.toPublic() }).map { it.toFfi() })
                } catch (failure: Throwable) {
                    reply.fail(failure.text())
                }
            }
        }
    }

    /** The client waits for the end of its operation first, so whoever is still at it is asked in vain. */
    override fun close() = scope.cancel()

    private fun answering(reply: AutoCloseable, answer: suspend () -> Unit) {
        // Closing the reply tells the core, where nobody answered.
        scope.launch { answer() }.invokeOnCompletion { reply.close() }
    }
}

private fun Throwable.text(): String = message ?: toString()

private fun Decision.toFfi(): FfiDecision = when (this) {
    Decision.AcceptServer -> FfiDecision.AcceptServer
    Decision.KeepLocal -> FfiDecision.KeepLocal
    is Decision.KeepMerged -> FfiDecision.KeepMerged(values.toFfi())
}

internal fun logTo(level: LogLevel, sink: LogSink?) {
    Host.ensureReady()
    val told = sink?.let {
        object : FfiLogSink {
            override fun onLine(line: LogLine) = it.line(line.level.toPublic(), line.target, line.message)
        }
    }
    setLog(level.toFfi(), told)
}

/** Tells the log of a failure that has nobody else to hear of it. */
internal fun logFailure(what: String, failure: Throwable) = logWarning("$what: ${failure.text()}")
