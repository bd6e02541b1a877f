package dev.rowtide.android

import android.content.Context
import androidx.work.CoroutineWorker
import androidx.work.WorkManager
import androidx.work.WorkerParameters
import androidx.work.await
import androidx.work.workDataOf
import dev.rowtide.Outcome
import dev.rowtide.Report
import dev.rowtide.RowtideException
import kotlinx.coroutines.flow.first
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds

/**
 * Syncs once, within the budget of its [SyncWork], with the client that [provider] gives. The client stays open.
 *
 * | what happens | result |
 * | --- | --- |
 * | everything is synced | success, with the rows as output |
 * | the budget is spent, the network breaks off, the database is open elsewhere | retry, after WorkManager's backoff |
 * | the server asks to wait | success; another run is requested for when the wait is over |
 * | the user has to sign in, or anything else that waiting does not mend | failure, with the reason as output |
 *
 * When Android stops it, the sync stops between two durable steps; the next run goes on from there.
 */
public class RowtideWorker(context: Context, parameters: WorkerParameters, private val provider: ClientProvider) :
    CoroutineWorker(context, parameters) {
    /** Where there is no `WorkerFactory`: the provider is the `Application`, which has to be a [ClientProvider]. */
    public constructor(context: Context, parameters: WorkerParameters) :
        this(context, parameters, ClientProvider { context.application().rowtideClient() })

    /** Syncs; called by WorkManager. */
    override suspend fun doWork(): Result {
        val info = WorkManager.getInstance(applicationContext).getWorkInfoByIdFlow(id).first()
        // Work that was replaced has no information, and is being stopped.
        val work = SyncWork.of(inputData, info?.constraints ?: SyncWork().constraints)
        return try {
            ended(provider.rowtideClient().syncFor(work.time, work.bytes), work)
        } catch (failure: RowtideException) {
            failed(failure, work)
        }
    }

    private suspend fun ended(report: Report, work: SyncWork): Result = when (val outcome = report.outcome) {
        is Outcome.BudgetSpent -> Result.retry()

        is Outcome.RetryLater -> again(outcome.after, work)

        else -> Result.success(
            workDataOf(SyncWork.PUSHED_ROWS to report.pushedRows, SyncWork.PULLED_ROWS to report.pulledRows),
        )
    }

    private suspend fun failed(failure: RowtideException, work: SyncWork): Result {
        val wait = (failure as? RowtideException.Server)?.retryAfterSeconds
        return when {
            wait != null -> again(wait.seconds, work)

            failure.isRetryable ||
                failure is RowtideException.Cancelled ||
                failure is RowtideException.AlreadyOwned -> Result.retry()

            else -> Result.failure(
                workDataOf(
                    SyncWork.SIGN_IN to (failure is RowtideException.Authentication),
                    SyncWork.MESSAGE to failure.message,
                ),
            )
        }
    }

    /** A retry waits as long as WorkManager thinks right; a request of its own waits as long as the server says. */
    private suspend fun again(wait: Duration, work: SyncWork): Result {
        work.enqueueNext(applicationContext, wait).await()
        return Result.success()
    }
}

private fun Context.application(): ClientProvider = checkNotNull(applicationContext as? ClientProvider) {
    "${applicationContext.javaClass.name} provides no client: let it implement dev.rowtide.android.ClientProvider, " +
        "or construct RowtideWorker in a WorkerFactory"
}
