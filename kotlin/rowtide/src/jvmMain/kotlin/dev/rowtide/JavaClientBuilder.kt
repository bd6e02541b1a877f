package dev.rowtide

import kotlinx.coroutines.future.await
import java.time.Duration
import java.util.concurrent.CompletionStage
import java.util.function.Consumer
import kotlin.time.toKotlinDuration

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

/** Makes [LoopOptions] in Java, by [RowtideJava.loopOptions]. What is not set is as there. */
public class JavaLoopOptions internal constructor() {
    internal var options = LoopOptions()

    /** Sets [LoopOptions.debounce]. */
    public fun debounce(time: Duration): Unit = set { copy(debounce = time.toKotlinDuration()) }

    /** Sets [LoopOptions.pollInterval]. */
    public fun pollInterval(time: Duration): Unit = set { copy(pollInterval = time.toKotlinDuration()) }

    /** Sets [LoopOptions.watch]. */
    public fun watch(whether: Boolean): Unit = set { copy(watch = whether) }

    /** Sets [LoopOptions.watchIdle]. */
    public fun watchIdle(time: Duration): Unit = set { copy(watchIdle = time.toKotlinDuration()) }

    /** Sets [LoopOptions.backoffLeast] and [LoopOptions.backoffMost]. */
    public fun backoff(least: Duration, most: Duration): Unit =
        set { copy(backoffLeast = least.toKotlinDuration(), backoffMost = most.toKotlinDuration()) }

    /** Sets [LoopOptions.metered]. */
    public fun metered(use: MeteredUse): Unit = set { copy(metered = use) }

    private fun set(change: LoopOptions.() -> LoopOptions) {
        options = options.change()
    }
}
