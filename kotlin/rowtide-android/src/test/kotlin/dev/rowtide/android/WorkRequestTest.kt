package dev.rowtide.android

import androidx.work.BackoffPolicy
import androidx.work.Constraints
import androidx.work.NetworkType
import androidx.work.PeriodicWorkRequest
import androidx.work.WorkRequest
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import kotlin.time.Duration
import kotlin.time.Duration.Companion.hours
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.minutes
import kotlin.time.Duration.Companion.seconds

/** What WorkManager is asked for, as it keeps it. That it runs the work is its own affair. */
@RunWith(RobolectricTestRunner::class)
class WorkRequestTest {
    @Test
    fun `a run waits for a network, a battery that is not low, and its delay`() {
        val spec = SyncWork().request(delay = 30.seconds).workSpec

        assertEquals(RowtideWorker::class.java.name, spec.workerClassName)
        assertEquals(NetworkType.CONNECTED, spec.constraints.requiredNetworkType)
        assertTrue(spec.constraints.requiresBatteryNotLow())
        assertFalse(spec.constraints.requiresCharging() || spec.constraints.requiresDeviceIdle())
        assertEquals(30.seconds, spec.initialDelay.milliseconds)
        assertFalse(spec.isPeriodic)
    }

    @Test
    fun `an app's constraints and budget are what the worker gets`() {
        val free = Constraints(requiredNetworkType = NetworkType.UNMETERED, requiresCharging = true)
        val work = SyncWork(constraints = free, time = 2.minutes, bytes = 5_000_000)

        for (request in listOf(work.request(Duration.ZERO), work.periodicRequest(1.hours))) {
            assertEquals(free, request.workSpec.constraints)
            assertEquals(work, SyncWork.of(request.workSpec.input, request.workSpec.constraints))
        }
    }

    @Test
    fun `a run that is to be tried again waits twice as long each time`() {
        for (request in listOf(SyncWork().request(Duration.ZERO), SyncWork().periodicRequest(1.hours))) {
            assertEquals(BackoffPolicy.EXPONENTIAL, request.workSpec.backoffPolicy)
            assertEquals(WorkRequest.DEFAULT_BACKOFF_DELAY_MILLIS, request.workSpec.backoffDelayDuration)
        }
    }

    @Test
    fun `runs again and again have the period, and none below Android's shortest`() {
        val spec = SyncWork().periodicRequest(every = 6.hours).workSpec
        assertTrue(spec.isPeriodic)
        assertEquals(6.hours, spec.intervalDuration.milliseconds)
        assertEquals(6.hours, spec.flexDuration.milliseconds)

        val short = SyncWork().periodicRequest(every = 1.minutes).workSpec
        assertEquals(PeriodicWorkRequest.MIN_PERIODIC_INTERVAL_MILLIS, short.intervalDuration)
    }
}
