package dev.rowtide.android

import android.app.Activity
import android.content.Context
import androidx.lifecycle.ProcessLifecycleOwner
import androidx.work.WorkInfo
import dev.rowtide.NOWHERE
import dev.rowtide.Rowtide
import dev.rowtide.notes
import kotlinx.coroutines.runBlocking
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.annotation.LooperMode
import org.robolectric.shadows.ShadowLooper
import java.util.concurrent.TimeUnit

@RunWith(RobolectricTestRunner::class)
@LooperMode(LooperMode.Mode.PAUSED)
class LifecycleSyncTest {
    private val app = RuntimeEnvironment.getApplication()
    private val client = runBlocking { Rowtide.open(app, "notes.db") { notes(NOWHERE) } }
    private val work = TestWork(app)

    @Before
    fun started() {
        app.noNetwork()
        // What androidx.startup does in an app, where the manifests of all AARs are merged.
        ProcessLifecycleOwner.Companion::class.java
            .getMethod("init\$lifecycle_process_release", Context::class.java)
            .invoke(ProcessLifecycleOwner.Companion, app)
    }

    @After
    fun close() {
        work.close()
        client.close()
    }

    @Test
    fun `the loop runs in the foreground, and work takes over in the background`() {
        LifecycleSync.start(app, client).use {
            assertFalse(automatic())
            val activity = Robolectric.buildActivity(Activity::class.java).setup()
            assertTrue(automatic())

            activity.pause().stop()
            assertTrue(automatic())
            ShadowLooper.idleMainLooper(1, TimeUnit.SECONDS)
            assertFalse(automatic())
            runBlocking { work.request(SyncWork.ONCE) { it.state == WorkInfo.State.ENQUEUED } }
            activity.close()
        }
    }

    @Test
    fun `a rotation is no way to the background`() {
        LifecycleSync.start(app, client).use {
            val activity = Robolectric.buildActivity(Activity::class.java).setup()
            activity.recreate()
            ShadowLooper.idleMainLooper(1, TimeUnit.SECONDS)
            assertTrue(automatic())
            assertEquals(emptyList<WorkInfo>(), runBlocking { work.requests(SyncWork.ONCE) { true } })
            activity.close()
        }
    }

    private fun automatic() = runBlocking { client.status() }.automatic
}
