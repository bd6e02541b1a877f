package dev.rowtide

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel
import kotlinx.coroutines.future.future
import java.time.Duration
import java.util.concurrent.CompletableFuture
import java.util.function.Consumer
import kotlin.time.toJavaDuration
import kotlin.time.toKotlinDuration

/**
 * Rowtide for Java: operations are futures, flows are listeners, times are [java.time.Duration]. SQL blocks its thread
 * ([JavaClient.sql]).
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
    public fun open(path: String, configure: Consumer<JavaClientBuilder>): CompletableFuture<JavaClient> =
        opening { Rowtide.open(path) { configure.accept(JavaClientBuilder(this)) } }

    /** As [RowtideDatabase.connect], on a database of [Rowtide.openDatabaseBlocking]. */
    @JvmStatic
    public fun connect(
        database: RowtideDatabase,
        configure: Consumer<JavaClientBuilder>,
    ): CompletableFuture<JavaClient> = opening { database.connect { configure.accept(JavaClientBuilder(this)) } }

    /** As [RowtideDatabase.executeScript]. */
    @JvmStatic
    public fun executeScript(database: RowtideDatabase, sql: String): CompletableFuture<Long> =
        scope().future { database.executeScript(sql) }

    /** As [RowtideDatabase.migrate]. */
    @JvmStatic
    public fun migrate(database: RowtideDatabase, sql: String): CompletableFuture<Long> =
        scope().future { database.migrate(sql) }

    /** As [RowtideDatabase.uninstallSync]. */
    @JvmStatic
    public fun uninstallSync(database: RowtideDatabase): CompletableFuture<Boolean> =
        scope().future { database.uninstallSync() }

    /** As [BlockingDatabase.begin]. */
    @JvmStatic
    public fun begin(sql: BlockingDatabase, deadline: Duration): BlockingTransaction =
        sql.begin(deadline.toKotlinDuration())

    /** Makes options of the automatic loop, for [RowtideClient.start]. */
    @JvmStatic
    public fun loopOptions(configure: Consumer<JavaLoopOptions>): LoopOptions =
        JavaLoopOptions().apply(configure::accept).options

    /** As [Outcome.RetryLater.after]. */
    @JvmStatic
    public fun after(outcome: Outcome.RetryLater): Duration = outcome.after.toJavaDuration()

    private fun scope() = CoroutineScope(Dispatchers.Default + SupervisorJob())

    private fun opening(open: suspend () -> RowtideClient): CompletableFuture<JavaClient> {
        val scope = scope()
        return scope.future {
            try {
                JavaClient(open(), scope)
            } catch (failure: Throwable) {
                scope.cancel()
                throw failure
            }
        }
    }
}
