package dev.rowtide.sqldelight

import app.cash.sqldelight.Query
import dev.rowtide.RowtideClient
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch

/** Who listens to which table, and the clients whose commits tell of changes. */
internal class TableListeners : AutoCloseable {
    private val scope = CoroutineScope(Dispatchers.Default + SupervisorJob())
    private val byTable = mutableMapOf<String, MutableSet<Query.Listener>>()
    private val followed = mutableMapOf<Following, MutableMap<String, Job>>()

    fun add(tables: Array<out String>, listener: Query.Listener) = synchronized(byTable) {
        for (table in tables) {
            byTable.getOrPut(table, ::linkedSetOf) += listener
            for ((following, jobs) in followed) jobs.getOrPut(table) { following.observe(table) }
        }
    }

    fun remove(tables: Array<out String>, listener: Query.Listener) = synchronized(byTable) {
        for (table in tables) {
            val left = byTable[table] ?: continue
            left -= listener
            if (left.isNotEmpty()) continue
            byTable -= table
            for (jobs in followed.values) jobs.remove(table)?.cancel()
        }
    }

    /** A listener is called once, however many of its tables are named; never with a lock held. */
    fun notify(tables: Iterable<String>) =
        synchronized(byTable) { tables.flatMapTo(linkedSetOf()) { byTable[it].orEmpty() } }
            .forEach(Query.Listener::queryResultsChanged)

    fun follow(client: RowtideClient): AutoCloseable = synchronized(byTable) {
        val following = Following(client)
        followed[following] = byTable.keys.associateWithTo(mutableMapOf(), following::observe)
        following
    }

    override fun close() = scope.cancel()

    private inner class Following(private val client: RowtideClient) : AutoCloseable {
        fun observe(table: String): Job = scope.launch { client.tableChanges(table).collect(::notify) }

        override fun close() = synchronized(byTable) {
            followed.remove(this)?.values?.forEach(Job::cancel) ?: Unit
        }
    }
}
