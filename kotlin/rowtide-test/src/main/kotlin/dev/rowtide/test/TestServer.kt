package dev.rowtide.test

import dev.rowtide.test.ffi.TestServerOptions
import dev.rowtide.test.ffi.TestTable
import kotlin.time.Duration
import kotlin.time.toKotlinDuration
import dev.rowtide.test.ffi.TestServer as NativeServer
import dev.rowtide.test.ffi.TestServerException as NativeException
import java.time.Duration as JavaDuration

/**
 * A sync server on a loopback port of this machine, for one test: the real one, with faults, time and tokens that the
 * test commands. Its data ends when it is closed.
 *
 * ```
 * TestServer.start(mapOf("notes" to "id")).use { server ->
 *     server.putRows("ada", "notes", """[{"id": "n1", "title": "from another device"}]""")
 *     server.failNext(Endpoint.PUSH_COMMIT, Fault.ApplyThenDropReply)
 *     // … the app syncs with server.url and server.token("ada") …
 *     assertEquals(2, JSONArray(server.rows("ada", "notes")).length())
 * }
 * ```
 *
 * Every answer closes its connection, so that no HTTP client tries again by itself and hides a fault; only the JDK's
 * own client repeats a GET that got no answer. Calls block for milliseconds and may come from any thread. After [close]
 * they throw [IllegalStateException].
 */
public class TestServer private constructor(private val native: NativeServer) : AutoCloseable {
    /** Where it is: `http://127.0.0.1:PORT`. */
    public val url: String = native.url()

    /** A bearer token for [user] that does not expire: the same one until [rejectTokens]. */
    public fun token(user: String): String = native.token(user)

    /**
     * A bearer token for [user] that expires after [lifetime], in whole seconds on the server's clock.
     *
     * @throws TestServerException the lifetime is negative.
     */
    public fun tokenExpiringIn(user: String, lifetime: Duration): String =
        translated { native.tokenExpiringIn(user, lifetime.inWholeSeconds) }

    /** As [tokenExpiringIn], for Java. */
    public fun tokenExpiringIn(user: String, lifetime: JavaDuration): String =
        tokenExpiringIn(user, lifetime.toKotlinDuration())

    /** Answers 401 to every token that [user] was given so far; those given from now on are accepted. */
    public fun rejectTokens(user: String): Unit = native.rejectTokens(user)

    /** Moves the server's clock on by whole seconds: leases, sessions and tokens expire. */
    public fun advance(time: Duration): Unit = native.advance(time.inWholeSeconds)

    /** As [advance], for Java. */
    public fun advance(time: JavaDuration): Unit = advance(time.toKotlinDuration())

    /**
     * Makes the next call of an endpoint fail.
     *
     * @throws TestServerException the fault is none that a server can have.
     */
    public fun failNext(endpoint: Endpoint, fault: Fault): Unit = fail(endpoint, 0, 1, fault)

    /**
     * Makes [times] calls of an endpoint fail, after letting [skip] through. Plans for the same endpoint follow one
     * another.
     *
     * @throws TestServerException a number is negative, or the fault is none that a server can have.
     */
    public fun fail(endpoint: Endpoint, skip: Int, times: Int, fault: Fault): Unit =
        translated { native.fail(endpoint.native, skip, times, fault.native) }

    /**
     * Makes [percent] of a hundred calls fail by chance from now on. The fault of a call follows from [seed], the
     * endpoint and the number of the call there, and from nothing else: print the seed when a test fails.
     *
     * @throws TestServerException the percentage is not from 0 to 100.
     */
    public fun failRandomly(seed: Long, percent: Int): Unit = translated { native.failRandomly(seed, percent) }

    /** Takes the network down until [heal]: every connection breaks, and watch streams end. */
    public fun disconnect(): Unit = native.disconnect()

    /** Forgets all faults that are to come, and brings the network up. Answers how many planned ones were left. */
    public fun heal(): Long = native.heal()

    /** Ends every watch stream, as a proxy that restarts does. */
    public fun breakStreams(): Unit = native.breakStreams()

    /** Makes every commit fail with a bare 500 whose rows contain one of [texts]. With none, commits succeed again. */
    public fun forbid(vararg texts: String): Unit = native.forbid(texts.toList())

    /** Takes the calls that arrived so far, in their order. */
    public fun takeCalls(): List<Endpoint> = native.takeCalls().map { Endpoint.of(it) }

    /** Takes the faults that struck so far, in their order, but for what [disconnect] dropped. */
    public fun takeStruck(): List<StruckFault> =
        native.takeStruck().map { StruckFault(Endpoint.of(it.endpoint), faultOf(it.fault)) }

    /**
     * The rows of a user's table by key, as a JSON array of objects; empty where the user has no data. Blobs are base64,
     * BLOB keys and references to them dashed UUIDs; numbers are JSON numbers in [WireGeneration.A], and their decimal
     * text in [WireGeneration.B].
     *
     * @throws TestServerException the table is not registered, or the store failed.
     */
    public fun rows(user: String, table: String): String = translated { native.rows(user, table) }

    /**
     * Inserts and updates rows of a user's table in one bundle, as another device of the user would: the first ones are
     * the seed. [rows] is a JSON array of objects with all columns, lowercase, and the key as text; blobs are given in
     * base64, BLOB keys and references to them as dashed UUIDs.
     *
     * @throws TestServerException the text is no such array, the table is not registered, or the server refuses.
     * Nothing is written then.
     */
    public fun putRows(user: String, table: String, rows: String): Unit =
        translated { native.putRows(user, table, rows) }

    /**
     * Deletes rows of a user's table in one bundle, as another device of the user would. Keys that are not there are
     * left out.
     *
     * @throws TestServerException the table is not registered, or the server refuses. Nothing is written then.
     */
    public fun deleteRows(user: String, table: String, vararg keys: String): Unit =
        translated { native.deleteRows(user, table, keys.toList()) }

    /**
     * Deletes everything of every user, as a server that lost its data. Tokens and planned faults stay.
     *
     * @throws TestServerException the store failed.
     */
    public fun reset(): Unit = translated { native.reset() }

    /**
     * Forgets the history of a user up to the newest bundle, as retention would: a device that has not seen all of it
     * must rebuild. Answers that bundle's number, 0 where the user has no data.
     *
     * @throws TestServerException the store failed.
     */
    public fun pruneHistory(user: String): Long = translated { native.pruneHistory(user) }

    /** Stops the service and starts it again on the same port and data. Watch streams end; sessions and leases stay. */
    public fun restart(): Unit = native.restart()

    /**
     * Copies the data of all users as they are now.
     *
     * @throws TestServerException the server was not started with [TestStore.FILE], or the copy cannot be written.
     */
    public fun backup(): Backup = translated { Backup(native.backup()) }

    /**
     * Puts the data of a backup in place, as an operator does after a loss. Watch streams end.
     *
     * @throws TestServerException the server was not started with [TestStore.FILE], or the copy cannot be written; the
     * data is as it was.
     */
    public fun restore(backup: Backup): Unit = translated { native.restore(backup.native) }

    /** Ends the server: its port is free and its data gone. Safe to call twice. */
    override fun close(): Unit = native.close()

    /** Starts servers. */
    public companion object {
        /**
         * Starts a server on a free port.
         *
         * @param tables tables with their key columns, lowercase.
         * @param generation the wire generation that it speaks.
         * @param store where its data is.
         * @param rowsPerChunk rows of a chunk, so that a small transfer has several steps; `null` for its own limits.
         * @param schema schema of the tables at the server.
         * @throws TestServerException a name is not made of `a-z`, `0-9` and `_`, there is no table, or no port can be had.
         */
        @JvmStatic
        @JvmOverloads
        public fun start(
            tables: Map<String, String>,
            generation: WireGeneration = WireGeneration.B,
            store: TestStore = TestStore.MEMORY,
            rowsPerChunk: Long? = null,
            schema: String = "business",
        ): TestServer = translated {
            val registered = tables.map { (name, key) -> TestTable(name, key) }
            val options =
                TestServerOptions(generation.native, schema, registered, store.native, rowsPerChunk)
            TestServer(NativeServer.start(options))
        }
    }
}

/** A copy of a server's data at one moment; its file goes when it is closed. */
public class Backup internal constructor(internal val native: dev.rowtide.test.ffi.TestBackup) : AutoCloseable {
    /** Deletes the copy. What was restored from it stays. Safe to call twice. */
    override fun close(): Unit = native.close()
}

/** What a test asked for and cannot have; nothing was changed. The message says what to do. */
public class TestServerException internal constructor(message: String, cause: Throwable) :
    RuntimeException(message, cause)

private inline fun <T> translated(work: () -> T): T = try {
    work()
} catch (refused: NativeException) {
    val reason =
        when (refused) {
            is NativeException.Invalid -> refused.reason
            is NativeException.Refused -> "the server answered ${refused.status} ${refused.code}: ${refused.reason}"
            is NativeException.Failed -> refused.reason
        }
    throw TestServerException(reason, refused)
}
