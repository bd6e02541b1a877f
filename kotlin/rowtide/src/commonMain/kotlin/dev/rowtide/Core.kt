package dev.rowtide

/*
 * What the public API needs of the native core. Each platform implements it over its generated bindings; nothing here
 * decides anything. All failures are RowtideExceptions, and cells are packed as Cells.kt says.
 */

internal interface CoreDatabase {
    suspend fun query(sql: String, cells: ByteArray, pageBytes: Long): CoreResult

    fun queryBlocking(sql: String, cells: ByteArray, pageBytes: Long): CoreResult

    suspend fun execute(sql: String, cells: ByteArray): Execution

    fun executeBlocking(sql: String, cells: ByteArray): Execution

    suspend fun executeBatch(sql: String, cells: ByteArray, width: Long): Long

    fun executeBatchBlocking(sql: String, cells: ByteArray, width: Long): Long

    suspend fun executeScript(sql: String): Long

    suspend fun migrate(sql: String): Long

    suspend fun transaction(deadlineMs: Long): CoreTransaction

    fun transactionBlocking(deadlineMs: Long): CoreTransaction

    fun snapshotBlocking(deadlineMs: Long): CoreSnapshot

    suspend fun connect(config: ClientConfig): CoreClient

    suspend fun uninstallSync(): Boolean

    suspend fun close()

    fun closeBlocking()
}

internal class CoreResult(val columns: Columns, val first: Page, val rest: CorePages?)

internal interface CorePages : AutoCloseable {
    /** The next page, and whether another one follows. */
    suspend fun next(): Pair<Page, Boolean>

    fun nextBlocking(): Pair<Page, Boolean>
}

/** One state of the database; closing it ends it. */
internal interface CoreSnapshot : AutoCloseable {
    fun queryBlocking(sql: String, cells: ByteArray, pageBytes: Long): CoreResult
}

internal interface CoreTransaction : CoreSnapshot {
    suspend fun query(sql: String, cells: ByteArray, pageBytes: Long): CoreResult

    suspend fun execute(sql: String, cells: ByteArray): Execution

    fun executeBlocking(sql: String, cells: ByteArray): Execution

    suspend fun executeBatch(sql: String, cells: ByteArray, width: Long): Long

    fun executeBatchBlocking(sql: String, cells: ByteArray, width: Long): Long

    suspend fun commit()

    fun commitBlocking()

    fun rollback()
}

internal sealed interface CoreCall {
    class Attach(val user: String) : CoreCall

    data object Sync : CoreCall

    class SyncFor(val milliseconds: Long?, val bytes: Long?) : CoreCall

    data object Push : CoreCall

    data object Pull : CoreCall

    data object Rebuild : CoreCall

    data object Detach : CoreCall

    data object SyncThenDetach : CoreCall
}

internal interface CoreClient {
    fun begin(call: CoreCall): CoreOperation

    suspend fun status(): Status

    suspend fun sourceInfo(): SourceInfo

    suspend fun checkServer(): String

    suspend fun whyStuck(): String?

    suspend fun refusedRows(): List<RefusedRow>

    suspend fun retryRefused(): Long

    suspend fun retryRefusedRow(table: String, key: String, changes: Map<String, Any?>): Boolean

    suspend fun discardRefused(): Long

    suspend fun discardRefusedRow(table: String, key: String): Boolean

    fun start(options: LoopOptions)

    fun stop()

    fun pause(direction: Direction)

    fun resume(direction: Direction)

    fun setConnectivity(connectivity: Connectivity)

    fun credentialsChanged()

    fun observeStatus(listener: (Status) -> Unit): AutoCloseable

    fun observeProgress(listener: (Progress) -> Unit): AutoCloseable

    fun observeTables(tables: List<String>, listener: (List<String>) -> Unit): AutoCloseable

    suspend fun close()

    fun closeBlocking()
}

internal interface CoreOperation : AutoCloseable {
    suspend fun await(): Report

    fun cancel()
}
