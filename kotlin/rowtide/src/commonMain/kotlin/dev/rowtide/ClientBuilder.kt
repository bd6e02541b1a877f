package dev.rowtide

import kotlin.coroutines.CoroutineContext
import kotlin.coroutines.EmptyCoroutineContext

/** Keeps the builders of tables and of clients apart. */
@DslMarker
@Target(AnnotationTarget.CLASS)
public annotation class RowtideDsl

/** What happens to rows that were written while signed out, when the server turns out to have data. */
public enum class AnonymousRows {
    /** They stay and are uploaded as local inserts on top of the server's data. */
    Keep,

    /** They are deleted and the server's data takes their place. */
    Discard,

    /** Attaching changes nothing and ends with [Outcome.BlockedUnsyncedData]. */
    Refuse,
}

/** How the rows of a first download become visible. */
public enum class Hydrate {
    /**
     * All in one transaction, after the last one came: nobody sees a part. The app's own writes wait for it, seconds for a
     * million rows.
     */
    AtOnce,

    /**
     * A slice a transaction, rows before those that refer to them; the app's own writes wait for one slice only. Until
     * [RowtideClient.attach] returns, the app sees a part of the server's rows.
     */
    Progressive,
}

/** What happens to columns that the server has and this version of the app lacks. */
public enum class UnknownColumns {
    /** The download ends with [RowtideException.Incompatible], which names the column. */
    Refuse,

    /** Their values are kept beside the row and go up again with it. */
    Keep,
}

/**
 * Sizes of requests and responses. What is `null` is as the core has it, which suits a phone; the server's own limits
 * are kept as well.
 *
 * @property uploadRows rows of one upload chunk at most
 * @property uploadBytes bytes of one upload chunk at most; one row may be larger
 * @property downloadRows rows of one snapshot or replay page at most
 * @property downloadBytes bytes of one snapshot chunk at most, where the server can be asked for it
 * @property pullBundles bundles of one pull page at most
 * @property responseBytes bytes of any response at most; a larger one is an error
 */
public data class TransferLimits(
    public val uploadRows: Long? = null,
    public val uploadBytes: Long? = null,
    public val downloadRows: Long? = null,
    public val downloadBytes: Long? = null,
    public val pullBundles: Long? = null,
    public val responseBytes: Long? = null,
)

/** Configures a client: [server] and at least one [table] are needed. */
@RowtideDsl
public class ClientBuilder internal constructor() {
    internal var url: String? = null
    internal var schema: String? = null
    internal val tables = mutableListOf<SyncTable>()
    internal val annotatedSchemas = mutableListOf<String>()
    internal val roots = mutableListOf<String>()
    internal var preparation: (suspend RowtideDatabase.() -> Unit)? = null
    internal var tokens: TokenProvider? = null
    internal var resolver: ConflictResolver? = null

    /** What happens to rows that were written while signed out. */
    public var anonymousRows: AnonymousRows = AnonymousRows.Keep

    /** How the rows of a first download become visible. */
    public var hydrate: Hydrate = Hydrate.AtOnce

    /** What happens to columns that the server has and this version of the app lacks. */
    public var unknownColumns: UnknownColumns = UnknownColumns.Refuse

    /**
     * Names this installation of the app, by anything that a backup of the phone does not carry over to another phone.
     * Without it a file beside the database (`<database>-rowtide-installation`) tells: leave that out of backups.
     */
    public var installation: String? = null

    /** Sizes of requests and responses. */
    public var limits: TransferLimits = TransferLimits()

    /** Where token provider and resolver run; `Dispatchers.Default` where nothing is said. */
    public var callbackContext: CoroutineContext = EmptyCoroutineContext

    /** The server, `http` or `https` (a path prefix is kept), and its schema that holds the tables. */
    public fun server(url: String, schema: String) {
        this.url = url
        this.schema = schema
    }

    /** Adds a table by its local name, without a schema qualifier. */
    public fun table(name: String, configure: TableBuilder.() -> Unit) {
        tables += TableBuilder(name).apply(configure).build()
    }

    /**
     * Adds the tables that an annotated SQL schema (`-- @@{ enableSync=true }`) marks for sync, with
     * [ConflictPolicy.ServerWins]. A faulty annotation fails the opening and names its line.
     */
    public fun tables(annotatedSchema: String) {
        annotatedSchemas += annotatedSchema
    }

    /** Sets the way to access tokens. Without one every remote operation fails with [RowtideException.Authentication]. */
    public fun tokens(provider: TokenProvider) {
        tokens = provider
    }

    /** Sets who decides conflicts of tables with [ConflictPolicy.Callback]. */
    public fun resolver(resolver: ConflictResolver) {
        this.resolver = resolver
    }

    /** Trusts root certificates beside Mozilla's: one PEM text with one or more of them. */
    public fun trust(pem: String) {
        roots += pem
    }

    /**
     * Creates or migrates the app's tables before they are checked: `prepare { executeScript("CREATE TABLE …") }`. Runs
     * with every opening.
     */
    public fun prepare(preparation: suspend RowtideDatabase.() -> Unit) {
        this.preparation = preparation
    }

    internal fun build(): ClientConfig = ClientConfig(
        url = requireNotNull(url) { "no server is configured; say where it is: server(url, schema)" },
        schema = requireNotNull(schema) { "no server is configured; say where it is: server(url, schema)" },
        tables = tables.toList(),
        annotatedSchemas = annotatedSchemas.toList(),
        anonymousRows = anonymousRows,
        hydrate = hydrate,
        unknownColumns = unknownColumns,
        installation = installation,
        limits = limits,
        roots = roots.toList(),
        tokens = tokens,
        resolver = resolver,
        callbackContext = callbackContext,
    )
}

internal class ClientConfig(
    val url: String,
    val schema: String,
    val tables: List<SyncTable>,
    val annotatedSchemas: List<String>,
    val anonymousRows: AnonymousRows,
    val hydrate: Hydrate,
    val unknownColumns: UnknownColumns,
    val installation: String?,
    val limits: TransferLimits,
    val roots: List<String>,
    val tokens: TokenProvider?,
    val resolver: ConflictResolver?,
    val callbackContext: CoroutineContext,
)
