package dev.rowtide.android

import android.content.Context
import android.net.ConnectivityManager
import android.net.Network
import android.net.NetworkCapabilities
import dev.rowtide.Connectivity
import dev.rowtide.RowtideClient

/**
 * Tells a client of the phone's network, so that its loop waits without one, spares one that costs, and tries at once
 * when one comes back. Close it before the client.
 */
public class ConnectivityFeed private constructor(
    private val manager: ConnectivityManager,
    private val client: RowtideClient,
) : AutoCloseable {
    private var capabilities: NetworkCapabilities? = null
    private var blocked = false
    private var closed = false

    // Of the default network. What is told here comes on a thread of Android's.
    private val callback = object : ConnectivityManager.NetworkCallback() {
        override fun onCapabilitiesChanged(network: Network, networkCapabilities: NetworkCapabilities) =
            tell { capabilities = networkCapabilities }

        // By doze or data saver; never called before Android 10.
        override fun onBlockedStatusChanged(network: Network, blocked: Boolean) =
            tell { this@ConnectivityFeed.blocked = blocked }

        override fun onLost(network: Network) = tell {
            capabilities = null
            blocked = false
        }
    }

    private fun register() {
        // Where there is no network, the callback is not called.
        tell { capabilities = manager.getNetworkCapabilities(manager.activeNetwork) }
        manager.registerDefaultNetworkCallback(callback)
    }

    @Synchronized
    private fun tell(change: () -> Unit) {
        if (closed) return
        change()
        client.setConnectivity(connectivity())
    }

    private fun connectivity(): Connectivity {
        val now = capabilities
        return when {
            now == null || blocked -> Connectivity.None
            UNMETERED.any(now::hasCapability) -> Connectivity.Unmetered
            else -> Connectivity.Metered
        }
    }

    /** Ends it. The client takes the network for one that does not cost again, as without a feed. */
    @Synchronized
    override fun close() {
        if (closed) return
        manager.unregisterNetworkCallback(callback)
        closed = true
        client.setConnectivity(Connectivity.Unmetered)
    }

    /** Starts feeds. */
    public companion object {
        private val UNMETERED = intArrayOf(
            NetworkCapabilities.NET_CAPABILITY_NOT_METERED,
            NetworkCapabilities.NET_CAPABILITY_TEMPORARILY_NOT_METERED,
        )

        /** Tells [client] of the network now, and of every change until the answer is closed. */
        @JvmStatic
        public fun start(context: Context, client: RowtideClient): ConnectivityFeed {
            val manager = context.applicationContext.getSystemService(ConnectivityManager::class.java)
            return ConnectivityFeed(manager, client).apply { register() }
        }
    }
}
