package dev.rowtide.android

import android.app.Application
import android.content.Context
import android.net.ConnectivityManager
import android.net.NetworkCapabilities
import android.util.Log
import androidx.work.Configuration
import androidx.work.WorkInfo
import androidx.work.WorkManager
import androidx.work.impl.WorkDatabase
import androidx.work.impl.WorkLauncherImpl
import androidx.work.impl.WorkManagerImpl
import androidx.work.impl.background.greedy.GreedyScheduler
import androidx.work.impl.close
import androidx.work.impl.utils.taskexecutor.WorkManagerTaskExecutor
import dev.rowtide.RowtideClient
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.mapNotNull
import org.robolectric.Shadows.shadowOf
import org.robolectric.shadows.ShadowNetworkCapabilities
import java.util.concurrent.Executors

/** An app as the documentation shows it. */
class TestApp :
    Application(),
    ClientProvider {
    /** What opens its client. */
    var open: suspend () -> RowtideClient = { error("the test sets this") }

    override suspend fun rowtideClient(): RowtideClient = open()
}

/** WorkManager with its database in memory, and its scheduler for a process that lives. */
class TestWork(private val context: Context) : AutoCloseable {
    private val manager: WorkManagerImpl

    init {
        val configuration = Configuration.Builder()
            .setExecutor(Executors.newCachedThreadPool())
            .setMinimumLoggingLevel(Log.ASSERT)
            .build()
        val executor = WorkManagerTaskExecutor(configuration.taskExecutor)
        manager = WorkManagerImpl(
            context,
            configuration,
            executor,
            WorkDatabase.create(context, executor.serialTaskExecutor, configuration.clock, true),
            schedulersCreator = { appContext, settings, tasks, _, trackers, processor ->
                listOf(
                    GreedyScheduler(
                        appContext,
                        settings,
                        trackers,
                        processor,
                        WorkLauncherImpl(processor, tasks),
                        tasks,
                    ),
                )
            },
        )
        WorkManagerImpl.setDelegate(manager)
    }

    /** The requests of a unique name, when they are as wanted. */
    suspend fun requests(name: String, wanted: (List<WorkInfo>) -> Boolean): List<WorkInfo> =
        WorkManager.getInstance(context).getWorkInfosForUniqueWorkFlow(name).first(wanted)

    /** The only request of a unique name, when it is as wanted. */
    suspend fun request(name: String, wanted: (WorkInfo) -> Boolean): WorkInfo =
        WorkManager.getInstance(context).getWorkInfosForUniqueWorkFlow(name)
            .mapNotNull { it.singleOrNull() }
            .first(wanted)

    override fun close() {
        manager.close()
        WorkManagerImpl.setDelegate(null)
    }
}

/** The phone has a network with these capabilities. */
fun Context.network(vararg capabilities: Int) {
    val manager = getSystemService(ConnectivityManager::class.java)
    val all = ShadowNetworkCapabilities.newInstance()
    for (capability in capabilities + NetworkCapabilities.NET_CAPABILITY_INTERNET +
        NetworkCapabilities.NET_CAPABILITY_VALIDATED) {
        shadowOf(all).addCapability(capability)
    }
    shadowOf(manager).setNetworkCapabilities(manager.activeNetwork, all)
    for (callback in shadowOf(manager).networkCallbacks) {
        callback.onCapabilitiesChanged(manager.activeNetwork!!, all)
    }
}

/** The phone has no network. */
fun Context.noNetwork() {
    val manager = getSystemService(ConnectivityManager::class.java)
    val last = manager.activeNetwork
    shadowOf(manager).setActiveNetworkInfo(null)
    if (last != null) {
        for (callback in shadowOf(manager).networkCallbacks) callback.onLost(last)
    }
}
