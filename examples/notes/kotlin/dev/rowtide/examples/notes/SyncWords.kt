package dev.rowtide.examples.notes

import dev.rowtide.Connectivity
import dev.rowtide.Health
import dev.rowtide.State
import dev.rowtide.Status

/** How sync stands, for a lamp. */
enum class Lamp {
    /** All is as it should be. */
    Live,

    /** Something is under way. */
    Busy,

    /** There is no network. */
    Offline,

    /** Somebody has to do something. */
    Trouble,
}

/** The lamp of a status. */
val Status.lamp: Lamp
    get() = when {
        connectivity == Connectivity.None || health == Health.Offline -> Lamp.Offline
        health != Health.Well -> Lamp.Trouble
        pendingRows > 0 || state != State.Attached -> Lamp.Busy
        else -> Lamp.Live
    }

/** A status in a few words. */
val Status.words: String
    get() {
        val where = when {
            connectivity == Connectivity.None -> "Offline"
            health == Health.Offline -> "The server cannot be reached"
            health == Health.AuthRequired -> "Sign in again"
            health != Health.Well -> lastError ?: "Sync is blocked"
            state == State.Anonymous -> "Signing in"
            state == State.Hydrating || state == State.Rebuilding -> "Downloading"
            watching -> "Live"
            else -> "Online"
        }
        val refused = if (refusedRows > 0) " · $refusedRows refused" else ""
        return "$where · ${if (pendingRows == 0L) "everything is sent" else "$pendingRows to send"}$refused"
    }
