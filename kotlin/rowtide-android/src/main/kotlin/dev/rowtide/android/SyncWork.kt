package dev.rowtide.android

import android.content.Context
import androidx.work.BackoffPolicy
import androidx.work.Constraints
import androidx.work.Data
import androidx.work.ExistingPeriodicWorkPolicy
import androidx.work.ExistingWorkPolicy
import androidx.work.NetworkType
import androidx.work.OneTimeWorkRequest
import androidx.work.Operation
import androidx.work.PeriodicWorkRequest
import androidx.work.WorkManager
import androidx.work.WorkRequest
import androidx.work.workDataOf
import kotlin.time.Duration
import kotlin.time.Duration.Companion.hours
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.minutes
import kotlin.time.toKotlinDuration
import java.time.Duration as JavaDuration

/**
 * Sync in the background, by [RowtideWorker]: when it may run, and how much a run may do. WorkManager keeps the requests
 * over restarts of the app and of the phone.
 *
 * @property constraints what must hold while it runs; a network and a battery that is not low, unless said otherwise. For
 * networks that cost nothing: `Constraints(requiredNetworkType = NetworkType.UNMETERED)`.
 * @property time how long a run syncs at most; below the ten minutes that Android gives it
 * @property bytes bytes of request and response bodies of a run at most
 */
public data class SyncWork(
    public val constraints: Constraints = Constraints(
        requiredNetworkType = NetworkType.CONNECTED,
        requiresBatteryNotLow = true,
    ),
    public val time: Duration = 8.minutes,
    public val bytes: Long? = null,
) {
    /** For Java, with what [java.time.Duration] asks for: Android 8, or desugaring. */
    public constructor(constraints: Constraints, time: JavaDuration, bytes: Long?) :
        this(constraints, time.toKotlinDuration(), bytes)

    /**
     * Requests one run, as soon as the constraints hold. There is one such request at a time: an earlier one is replaced,
     * and stopped between two durable steps where it runs.
     */
    public fun enqueue(context: Context): Operation = enqueue(context, Duration.ZERO)

    /** As [enqueue], when [delay] is over too. */
    public fun enqueue(context: Context, delay: Duration): Operation =
        enqueue(context, delay, ExistingWorkPolicy.REPLACE)

    /** As [enqueue], for Java. */
    public fun enqueue(context: Context, delay: JavaDuration): Operation = enqueue(context, delay.toKotlinDuration())

    /**
     * Requests runs again and again, one in each period of [every]; Android allows no period below 15 minutes. An earlier
     * request takes these settings on and keeps its place in the period. Call it at every start of the app.
     */
    public fun enqueuePeriodic(context: Context, every: Duration): Operation = WorkManager.getInstance(context)
        .enqueueUniquePeriodicWork(PERIODIC, ExistingPeriodicWorkPolicy.UPDATE, periodicRequest(every))

    /** As [enqueuePeriodic], in every hour. */
    public fun enqueuePeriodic(context: Context): Operation = enqueuePeriodic(context, 1.hours)

    /** As [enqueuePeriodic], for Java. */
    public fun enqueuePeriodic(context: Context, every: JavaDuration): Operation =
        enqueuePeriodic(context, every.toKotlinDuration())

    /** As [enqueue], behind the run that asks for it: that one is not stopped. */
    internal fun enqueueNext(context: Context, delay: Duration): Operation =
        enqueue(context, delay, ExistingWorkPolicy.APPEND_OR_REPLACE)

    private fun enqueue(context: Context, delay: Duration, policy: ExistingWorkPolicy): Operation =
        WorkManager.getInstance(context).enqueueUniqueWork(ONCE, policy, request(delay))

    internal fun request(delay: Duration): OneTimeWorkRequest =
        configured(OneTimeWorkRequest.Builder(RowtideWorker::class.java))
            .setInitialDelay(delay.inWholeMilliseconds, MILLIS)
            .build()

    internal fun periodicRequest(every: Duration): PeriodicWorkRequest =
        configured(PeriodicWorkRequest.Builder(RowtideWorker::class.java, every.inWholeMilliseconds, MILLIS)).build()

    private fun <B : WorkRequest.Builder<B, *>> configured(request: B): B = request
        .setConstraints(constraints)
        .setBackoffCriteria(BackoffPolicy.EXPONENTIAL, WorkRequest.DEFAULT_BACKOFF_DELAY_MILLIS, MILLIS)
        .setInputData(workDataOf(TIME to time.inWholeMilliseconds, BYTES to bytes))

    /** Names of the requests and of what runs tell; how to take requests back. */
    public companion object {
        /** Unique name of the request for one run: `WorkManager.getWorkInfosForUniqueWorkFlow(ONCE)` tells how it goes. */
        public const val ONCE: String = "dev.rowtide.sync"

        /** Unique name of the request for runs again and again. */
        public const val PERIODIC: String = "dev.rowtide.sync.periodic"

        /** In the output of a run that succeeded: rows that the server took from this device. */
        public const val PUSHED_ROWS: String = "pushedRows"

        /** In the output of a run that succeeded: rows of other devices that were written or deleted here. */
        public const val PULLED_ROWS: String = "pulledRows"

        /** In the output of a run that failed: whether the user has to sign in. */
        public const val SIGN_IN: String = "signIn"

        /** In the output of a run that failed: why, without row contents or secrets. */
        public const val MESSAGE: String = "message"

        private const val TIME = "time"
        private const val BYTES = "bytes"
        private val MILLIS = java.util.concurrent.TimeUnit.MILLISECONDS

        /** Takes all requests back, and stops a run between two durable steps: when the user signs out. */
        @JvmStatic
        public fun cancel(context: Context) {
            val work = WorkManager.getInstance(context)
            work.cancelUniqueWork(ONCE)
            work.cancelUniqueWork(PERIODIC)
        }

        internal fun of(input: Data, constraints: Constraints): SyncWork {
            val defaults = SyncWork()
            return SyncWork(
                constraints = constraints,
                time = input.getLong(TIME, defaults.time.inWholeMilliseconds).milliseconds,
                bytes = input.getLong(BYTES, NO_LIMIT).takeIf { it != NO_LIMIT },
            )
        }

        private const val NO_LIMIT = -1L
    }
}
