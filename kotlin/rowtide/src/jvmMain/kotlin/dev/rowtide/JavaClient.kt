package dev.rowtide

import dev.rowtide.internal.logFailure
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.cancel
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.future.future
import kotlinx.coroutines.launch
import java.time.Duration
import java.util.concurrent.CompletableFuture
import java.util.function.Consumer
import kotlin.time.toKotlinDuration

/**
 * A [RowtideClient] in Java. Cancelling a future stops its operation between two durable steps. Futures fail with a
 * [RowtideException].
 *
 * Listeners are called from several threads, one call at a time; a slow one gets what is newest. What a listener throws is a
 * warning in the log ([Rowtide.log]), and it goes on listening.
 */
public class JavaClient internal constructor(
    /** The client itself: the automatic loop, pausing and the network are plain calls. */
    public val client: RowtideClient,
    private val scope: CoroutineScope,
) : AutoCloseable {
    /** The app's own SQL, blocking. */
    public val sql: BlockingDatabase get() = client.database.blocking

    /** As [RowtideClient.attach]. */
    public fun attach(user: String): CompletableFuture<Report> = scope.future { client.attach(user) }

    /** As [RowtideClient.sync]. */
    public fun sync(): CompletableFuture<Report> = scope.future { client.sync() }

    /** As [RowtideClient.syncFor], by time. */
    public fun syncFor(time: Duration): CompletableFuture<Report> =
        scope.future { client.syncFor(time.toKotlinDuration()) }

    /** As [RowtideClient.syncFor], by time and bytes. */
    public fun syncFor(time: Duration, bytes: Long): CompletableFuture<Report> =
        scope.future { client.syncFor(time.toKotlinDuration(), bytes) }

    /** As [RowtideClient.push]. */
    public fun push(): CompletableFuture<Report> = scope.future { client.push() }

    /** As [RowtideClient.pull]. */
    public fun pull(): CompletableFuture<Report> = scope.future { client.pull() }

    /** As [RowtideClient.rebuild]. */
    public fun rebuild(): CompletableFuture<Report> = scope.future { client.rebuild() }

    /** As [RowtideClient.detach]. */
    public fun detach(): CompletableFuture<Report> = scope.future { client.detach() }

    /** As [RowtideClient.syncThenDetach]. */
    public fun syncThenDetach(): CompletableFuture<Report> = scope.future { client.syncThenDetach() }

    /** As [RowtideClient.status]. */
    public fun status(): CompletableFuture<Status> = scope.future { client.status() }

    /** As [RowtideClient.sourceInfo]. */
    public fun sourceInfo(): CompletableFuture<SourceInfo> = scope.future { client.sourceInfo() }

    /** As [RowtideClient.checkServer]. */
    public fun checkServer(): CompletableFuture<String> = scope.future { client.checkServer() }

    /** As [RowtideClient.whyStuck]. */
    public fun whyStuck(): CompletableFuture<String?> = scope.future { client.whyStuck() }

    /** As [Inbox.rows]. */
    public fun refusedRows(): CompletableFuture<List<RefusedRow>> = scope.future { client.inbox.rows() }

    /** As [Inbox.retryAll]. */
    public fun retryRefused(): CompletableFuture<Long> = scope.future { client.inbox.retryAll() }

    /** As [Inbox.retry]. */
    public fun retryRefused(table: String, key: String, changes: Map<String, Any?>): CompletableFuture<Boolean> =
        scope.future { client.inbox.retry(table, key, changes) }

    /** As [Inbox.discardAll]. */
    public fun discardRefused(): CompletableFuture<Long> = scope.future { client.inbox.discardAll() }

    /** As [Inbox.discard]. */
    public fun discardRefused(table: String, key: String): CompletableFuture<Boolean> =
        scope.future { client.inbox.discard(table, key) }

    /** As [RowtideClient.statusChanges], until the answer is closed. */
    public fun onStatus(listener: Consumer<Status>): AutoCloseable = listen(client.statusChanges, listener)

    /** As [RowtideClient.progress], until the answer is closed. */
    public fun onProgress(listener: Consumer<Progress>): AutoCloseable = listen(client.progress, listener)

    /** As [RowtideClient.tableChanges], until the answer is closed. */
    public fun onTablesChanged(tables: Collection<String>, listener: Consumer<Set<String>>): AutoCloseable =
        listen(client.tableChanges(*tables.toTypedArray()), listener)

    /** As [RowtideClient.close]; futures that are not done are cancelled. */
    override fun close() {
        scope.cancel()
        client.close()
    }

    private fun <T> listen(flow: Flow<T>, listener: Consumer<T>): AutoCloseable {
        val listening = scope.launch {
            try {
                flow.collect { value -> tell(listener, value) }
            } catch (cancelled: CancellationException) {
                throw cancelled
            } catch (failure: RowtideException) {
                // Nobody else would hear of it.
                logFailure("a listener of the app hears nothing", failure)
            }
        }
        return AutoCloseable { listening.cancel() }
    }

    private fun <T> tell(listener: Consumer<T>, value: T) {
        try {
            listener.accept(value)
        } catch (failure: Throwable) {
            logFailure("a listener of the app failed", failure)
        }
    }
}
