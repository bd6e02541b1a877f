package dev.rowtide.android

import android.net.ConnectivityManager
import android.net.NetworkCapabilities
import dev.rowtide.Connectivity
import dev.rowtide.NOWHERE
import dev.rowtide.Rowtide
import dev.rowtide.RowtideClient
import dev.rowtide.notes
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf

@RunWith(RobolectricTestRunner::class)
class ConnectivityFeedTest {
    private val app = RuntimeEnvironment.getApplication()
    private val manager = app.getSystemService(ConnectivityManager::class.java)
    private val client = runBlocking { Rowtide.open(app, "notes.db") { notes(NOWHERE) } }

    @After
    fun close() = client.close()

    @Test
    fun `the client knows the network as it is and as it becomes`() {
        app.network(NetworkCapabilities.NET_CAPABILITY_NOT_METERED)
        ConnectivityFeed.start(app, client).use {
            client.sees(Connectivity.Unmetered)
            app.network()
            client.sees(Connectivity.Metered)
            app.network(NetworkCapabilities.NET_CAPABILITY_TEMPORARILY_NOT_METERED)
            client.sees(Connectivity.Unmetered)
            app.noNetwork()
            client.sees(Connectivity.None)
        }
    }

    @Test
    fun `without a network at the start there is none`() {
        app.noNetwork()
        ConnectivityFeed.start(app, client).use { client.sees(Connectivity.None) }
    }

    @Test
    fun `a network that the system blocks is none`() {
        app.network()
        ConnectivityFeed.start(app, client).use {
            val callback = shadowOf(manager).networkCallbacks.single()
            callback.onBlockedStatusChanged(manager.activeNetwork!!, true)
            client.sees(Connectivity.None)
            callback.onBlockedStatusChanged(manager.activeNetwork!!, false)
            client.sees(Connectivity.Metered)
        }
    }

    @Test
    fun `a feed that is closed tells nothing any more`() {
        app.noNetwork()
        val feed = ConnectivityFeed.start(app, client)
        val late = shadowOf(manager).networkCallbacks.single()
        feed.close()
        feed.close()
        late.onCapabilitiesChanged(manager.activeNetwork ?: return late.unregistered(), NetworkCapabilities())
        late.unregistered()
    }

    private fun ConnectivityManager.NetworkCallback.unregistered() {
        assertTrue(this !in shadowOf(manager).networkCallbacks)
        client.sees(Connectivity.Unmetered)
    }

    private fun RowtideClient.sees(connectivity: Connectivity) =
        assertEquals(connectivity, runBlocking { status() }.connectivity)
}
