package dev.rowtide.internal

import dev.rowtide.Connectivity
import dev.rowtide.CoreCall
import dev.rowtide.CoreClient
import dev.rowtide.CoreOperation
import dev.rowtide.Direction
import dev.rowtide.LoopOptions
import dev.rowtide.Progress
import dev.rowtide.RefusedRow
import dev.rowtide.Report
import dev.rowtide.SourceInfo
import dev.rowtide.Status
import dev.rowtide.ffi.Budget
import dev.rowtide.ffi.Client
import dev.rowtide.ffi.Observation
import dev.rowtide.ffi.ProgressListener
import dev.rowtide.ffi.RunningOperation
import dev.rowtide.ffi.StatusListener
import dev.rowtide.ffi.TablesListener
import dev.rowtide.ffi.Progress as FfiProgress
import dev.rowtide.ffi.Status as FfiStatus

internal class FfiClient(private val client: Client, private val callbacks: HostCallbacks) : CoreClient {
    override fun begin(call: CoreCall): CoreOperation = FfiOperation(
        calling {
            when (call) {
                is CoreCall.Attach -> client.attach(call.user)
                is CoreCall.SyncFor -> client.syncFor(Budget(call.milliseconds, call.bytes))
                CoreCall.Sync -> client.sync()
                CoreCall.Push -> client.push()
                CoreCall.Pull -> client.pull()
                CoreCall.Rebuild -> client.rebuild()
                CoreCall.Detach -> client.detach()
                CoreCall.SyncThenDetach -> client.syncThenDetach()
            }
        },
    )

    override suspend fun status(): Status = calling { client.status() }.toPublic()

    override suspend fun sourceInfo(): SourceInfo =
        calling { client.sourceInfo() }.let { SourceInfo(it.sourceId, it.nextSourceBundleId) }

    override suspend fun checkServer(): String = calling { client.checkServer() }

    override suspend fun whyStuck(): String? = calling { client.whyStuck() }

    override suspend fun refusedRows(): List<RefusedRow> = calling { client.refusedRows() }.map { it.toPublic() }

    override suspend fun retryRefused(): Long = calling { client.retryRefused() }

    override suspend fun retryRefusedRow(table: String, key: String, changes: Map<String, Any?>): Boolean =
        calling { client.retryRefusedRow(table, key, changes.toFfi()) }

    override suspend fun discardRefused(): Long = calling { client.discardRefused() }

    override suspend fun discardRefusedRow(table: String, key: String): Boolean =
        calling { client.discardRefusedRow(table, key) }

    override fun start(options: LoopOptions) = calling { client.start(options.toFfi()) }

    override fun stop() = calling { client.stop() }

    override fun pause(direction: Direction) = calling { client.pause(direction.toFfi()) }

    override fun resume(direction: Direction) = calling { client.resume(direction.toFfi()) }

    override fun setConnectivity(connectivity: Connectivity) = calling { client.setConnectivity(connectivity.toFfi()) }

    override fun credentialsChanged() = calling { client.credentialsChanged() }

    override fun observeStatus(listener: (Status) -> Unit): AutoCloseable {
        val told = object : StatusListener {
            override fun onStatus(status: FfiStatus) = listener(status.toPublic())
        }
        return Observed(calling { client.observeStatus(told) })
    }

    override fun observeProgress(listener: (Progress) -> Unit): AutoCloseable {
        val told = object : ProgressListener {
            override fun onProgress(progress: FfiProgress) = listener(progress.toPublic())
        }
        return Observed(calling { client.observeProgress(told) })
    }

    override fun observeTables(tables: List<String>, listener: (List<String>) -> Unit): AutoCloseable {
        val told = object : TablesListener {
            override fun onTablesChanged(tables: List<String>) = listener(tables)
        }
        return Observed(calling { client.observeTables(tables, told) })
    }

    override suspend fun close() {
        calling { client.shutDown() }
        callbacks.close()
    }

    override fun closeBlocking() {
        calling { client.closeBlocking() }
        callbacks.close()
    }
}

private class FfiOperation(private val operation: RunningOperation) : CoreOperation {
    override suspend fun await(): Report = calling { operation.wait() }.toPublic()

    override fun cancel() = operation.cancel()

    override fun close() = operation.close()
}

private class Observed(private val observation: Observation) : AutoCloseable {
    override fun close() {
        observation.cancel()
        observation.close()
    }
}
