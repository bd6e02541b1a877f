package dev.rowtide.internal

import dev.rowtide.ClientConfig
import dev.rowtide.Columns
import dev.rowtide.CoreClient
import dev.rowtide.CoreDatabase
import dev.rowtide.CorePages
import dev.rowtide.CoreResult
import dev.rowtide.CoreSnapshot
import dev.rowtide.CoreTransaction
import dev.rowtide.Execution
import dev.rowtide.Page
import dev.rowtide.ffi.Database
import dev.rowtide.ffi.QueryPages
import dev.rowtide.ffi.QueryResult
import dev.rowtide.ffi.RowPage
import dev.rowtide.ffi.Snapshot
import dev.rowtide.ffi.Transaction
import dev.rowtide.ffi.Execution as FfiExecution

internal class FfiDatabase private constructor(private val database: Database) : CoreDatabase {
    override suspend fun query(sql: String, cells: ByteArray, pageBytes: Long): CoreResult =
        calling { database.query(sql, cells, pageBytes) }.toCore()

    override fun queryBlocking(sql: String, cells: ByteArray, pageBytes: Long): CoreResult =
        calling { database.queryBlocking(sql, cells, pageBytes) }.toCore()

    override suspend fun execute(sql: String, cells: ByteArray): Execution =
        calling { database.execute(sql, cells) }.toPublic()

    override fun executeBlocking(sql: String, cells: ByteArray): Execution =
        calling { database.executeBlocking(sql, cells) }.toPublic()

    override suspend fun executeBatch(sql: String, cells: ByteArray, width: Long): Long =
        calling { database.executeBatch(sql, cells, width) }

    override fun executeBatchBlocking(sql: String, cells: ByteArray, width: Long): Long =
        calling { database.executeBatchBlocking(sql, cells, width) }

    override suspend fun executeScript(sql: String): Long = calling { database.executeScript(sql) }

    override suspend fun migrate(sql: String): Long = calling { database.migrate(sql) }

    override suspend fun transaction(deadlineMs: Long): CoreTransaction =
        FfiTransaction(calling { database.transaction(deadlineMs) })

    override fun transactionBlocking(deadlineMs: Long): CoreTransaction =
        FfiTransaction(calling { database.transactionBlocking(deadlineMs) })

    override fun snapshotBlocking(deadlineMs: Long): CoreSnapshot =
        FfiSnapshot(calling { database.snapshotBlocking(deadlineMs) })

    override suspend fun connect(config: ClientConfig): CoreClient {
        val callbacks = HostCallbacks(config.callbackContext)
        try {
            val tokens = config.tokens?.let(callbacks::tokens)
            val resolver = config.resolver?.let(callbacks::resolver)
            return FfiClient(calling { database.connect(config.toFfi(), tokens, resolver) }, callbacks)
        } catch (failure: Throwable) {
            callbacks.close()
            throw failure
        }
    }

    override suspend fun uninstallSync(): Boolean = calling { database.uninstallSync() }

    override suspend fun close() = calling { database.shutDown() }

    override fun closeBlocking() = calling { database.closeBlocking() }

    companion object {
        suspend fun open(path: String): FfiDatabase {
            Host.ensureReady()
            return FfiDatabase(calling { Database.open(path) })
        }

        fun openBlocking(path: String): FfiDatabase {
            Host.ensureReady()
            return FfiDatabase(calling { Database.openBlocking(path) })
        }
    }
}

private class FfiSnapshot(private val snapshot: Snapshot) : CoreSnapshot {
    override fun queryBlocking(sql: String, cells: ByteArray, pageBytes: Long): CoreResult =
        calling { snapshot.queryBlocking(sql, cells, pageBytes) }.toCore()

    override fun close() = snapshot.close()
}

private class FfiTransaction(private val transaction: Transaction) : CoreTransaction {
    override suspend fun query(sql: String, cells: ByteArray, pageBytes: Long): CoreResult =
        calling { transaction.query(sql, cells, pageBytes) }.toCore()

    override fun queryBlocking(sql: String, cells: ByteArray, pageBytes: Long): CoreResult =
        calling { transaction.queryBlocking(sql, cells, pageBytes) }.toCore()

    override suspend fun execute(sql: String, cells: ByteArray): Execution =
        calling { transaction.execute(sql, cells) }.toPublic()

    override fun executeBlocking(sql: String, cells: ByteArray): Execution =
        calling { transaction.executeBlocking(sql, cells) }.toPublic()

    override suspend fun executeBatch(sql: String, cells: ByteArray, width: Long): Long =
        calling { transaction.executeBatch(sql, cells, width) }

    override fun executeBatchBlocking(sql: String, cells: ByteArray, width: Long): Long =
        calling { transaction.executeBatchBlocking(sql, cells, width) }

    override suspend fun commit() = calling { transaction.commit() }

    override fun commitBlocking() = calling { transaction.commitBlocking() }

    override fun rollback() = calling { transaction.rollback() }

    override fun close() = transaction.close()
}

private class FfiPages(private val pages: QueryPages, private val width: Int) : CorePages {
    override suspend fun next(): Pair<Page, Boolean> = calling { pages.next() }.toCore(width)

    override fun nextBlocking(): Pair<Page, Boolean> = calling { pages.nextBlocking() }.toCore(width)

    override fun close() = pages.close()
}

private fun QueryResult.toCore(): CoreResult =
    CoreResult(Columns(columns), first.toCore(columns.size).first, rest?.let { FfiPages(it, columns.size) })

// A row is at least a byte of an array, so its number fits.
private fun RowPage.toCore(width: Int): Pair<Page, Boolean> = Page(cells, rows.toInt(), width) to more

private fun FfiExecution.toPublic() = Execution(changedRows, lastInsertRowid)
