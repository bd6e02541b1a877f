package dev.rowtide.android

import android.content.Context
import androidx.annotation.MainThread
import androidx.lifecycle.DefaultLifecycleObserver
import androidx.lifecycle.LifecycleOwner
import androidx.lifecycle.ProcessLifecycleOwner
import dev.rowtide.LoopOptions
import dev.rowtide.RowtideClient

/**
 * Runs a client's automatic loop while the app is in the foreground. When the app goes to the background the loop is
 * stopped and one run of background work is requested, which uploads what is left even where the process is killed.
 *
 * A rotation and a switch from one activity to the next are no way to the background: Android waits 700 milliseconds before
 * it says so. Close it before the client.
 */
public class LifecycleSync private constructor(
    private val context: Context,
    private val client: RowtideClient,
    private val loop: LoopOptions,
    private val work: SyncWork,
) : AutoCloseable {
    private val lifecycle = ProcessLifecycleOwner.get().lifecycle
    private val observer = object : DefaultLifecycleObserver {
        override fun onStart(owner: LifecycleOwner) = client.start(loop)

        override fun onStop(owner: LifecycleOwner) {
            client.stop()
            work.enqueue(context)
        }
    }

    /** Ends it, on the main thread. The loop is stopped; requests for background work stay. */
    @MainThread
    override fun close() {
        lifecycle.removeObserver(observer)
        client.stop()
    }

    /** Starts to follow the lifecycle. */
    public companion object {
        /**
         * Follows the app's lifecycle until the answer is closed; starts the loop at once where the app is in the foreground.
         * Call it on the main thread.
         *
         * @param loop options of the loop in the foreground
         * @param work what the run in the background may do
         */
        @JvmStatic
        @JvmOverloads
        @MainThread
        public fun start(
            context: Context,
            client: RowtideClient,
            loop: LoopOptions = LoopOptions(),
            work: SyncWork = SyncWork(),
        ): LifecycleSync {
            val sync = LifecycleSync(context.applicationContext, client, loop, work)
            sync.lifecycle.addObserver(sync.observer)
            return sync
        }
    }
}
