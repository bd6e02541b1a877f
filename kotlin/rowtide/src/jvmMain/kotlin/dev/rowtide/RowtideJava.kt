package dev.rowtide

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.future.await
import kotlinx.coroutines.future.future
import kotlinx.coroutines.launch
import java.time.Duration
import java.util.concurrent.CompletableFuture
import java.util.concurrent.CompletionStage
import java.util.function.Consumer
import kotlin.time.toKotlinDuration

/**
 * Rowtide for Java: operations are futures, flows are listeners. SQL blocks its thread ([JavaClient.sql]).
 *
 * ```java
 * JavaClient client = RowtideJava.open("app.db", config -> {
 *     config.server("https://sync.example.com", "business");
 *     config.table("notes", table -> table.key("id"));
 *     config.tokens(reason -> signedIn.token(reason));
 * }).join();
 * client.getSql().execute("INSERT INTO notes VALUES (?, ?)", "n1", "offline");
 * client.attach("ada").thenCompose(attached -> client.sync()).join();
 * ```
 */
public object RowtideJava {
    /** As [Rowtide.open]. The future fails with a [RowtideException]. */
    @JvmStatic
    public fun open(path: String, configure: Consumer<JavaClientBuilder>): CompletableFuture<JavaClient> {
        val scope = CoroutineScope(Dispatchers.Default + SupervisorJob())
        return scope.future {
            try {
                JavaClient(Rowtide.open(path) { configure.accept(JavaClientBuilder(this)) }, scope)
            } catch (failure: Throwable) {
                scope.cancel()
                throw failure
            }
        }
    }
}

/** A [TokenProvider] in Java. */
public fun interface JavaTokenProvider {
    /** As [TokenProvider.token]; the stage may fail with what that throws. */
    public fun token(reason: TokenReason): CompletionStage<String>
}

/** A [ConflictResolver] in Java. */
public fun interface JavaConflictResolver {
    /** As [ConflictResolver.resolve]; the stage may fail with what that throws. */
    public fun resolve(conflicts: List<RowConflict>): CompletionStage<List<Decision>>
}

/** A [ClientBuilder] in Java. */
public class JavaClientBuilder internal constructor(
    /** What is configured without a callback: anonymous rows, limits and the rest. */
    public val options: ClientBuilder,
) {
    /** As [ClientBuilder.server]. */
    public fun server(url: String, schema: String): Unit = options.server(url, schema)

    /** As [ClientBuilder.table]. */
    public fun table(name: String, configure: Consumer<TableBuilder>): Unit =
        options.table(name) { configure.accept(this) }

    /** As [ClientBuilder.tokens]. */
    public fun tokens(provider: JavaTokenProvider): Unit = options.tokens { provider.token(it).await() }

    /** As [ClientBuilder.resolver]. */
    public fun resolver(resolver: JavaConflictResolver): Unit = options.resolver { resolver.resolve(it).await() }

    /** As [ClientBuilder.prepare]: a script that creates the app's tables, run with every opening. */
    public fun prepare(script: String): Unit = options.prepare { executeScript(script) }
}

/**
 * A [RowtideClient] in Java. Cancelling a future stops its operation between two durable steps. Futures fail with a
 * [RowtideException].
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

    /** As [RowtideClient.whyStuck]. */
    public fun whyStuck(): CompletableFuture<String?> = scope.future { client.whyStuck() }

    /** As [Inbox.rows]. */
    public fun refusedRows(): CompletableFuture<List<RefusedRow>> = scope.future { client.inbox.rows() }

    /** As [Inbox.retryAll]. */
    public fun retryRefused(): CompletableFuture<Long> = scope.future { client.inbox.retryAll() }

    /** As [Inbox.discardAll]. */
    public fun discardRefused(): CompletableFuture<Long> = scope.future { client.inbox.discardAll() }

    /** As [RowtideClient.statusChanges], until the answer is closed. Called from several threads, one at a time. */
    public fun onStatus(listener: Consumer<Status>): AutoCloseable = listen(client.statusChanges, listener)

    /** As [RowtideClient.progress], until the answer is closed. Called from several threads, one at a time. */
    public fun onProgress(listener: Consumer<Progress>): AutoCloseable = listen(client.progress, listener)

    /** As [RowtideClient.tableChanges], until the answer is closed. Called from several threads, one at a time. */
    public fun onTablesChanged(tables: Collection<String>, listener: Consumer<Set<String>>): AutoCloseable =
        listen(client.tableChanges(*tables.toTypedArray()), listener)

    /** As [RowtideClient.close]; futures that are not done are cancelled. */
    override fun close() {
        scope.cancel()
        client.close()
    }

    private fun <T> listen(flow: Flow<T>, listener: Consumer<T>): AutoCloseable {
        val listening = scope.launch { flow.collect(listener::accept) }
        return AutoCloseable { listening.cancel() }
    }
}
