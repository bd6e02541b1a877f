package dev.rowtide

import kotlin.time.Duration

/** What the automatic loop does over a metered connection. */
public enum class MeteredUse {
    /** Uploads and downloads. */
    Everything,

    /** Uploads only. */
    UploadsOnly,

    /** Nothing. */
    Nothing,
}

/**
 * Options of the automatic loop. What is `null` is as the core has it, which suits an app in the foreground.
 *
 * @property debounce how long after a local commit its upload begins, so that a burst of writes goes up together; half a
 * second where it is `null`. Writes that never pause are uploaded after ten times this.
 * @property pollInterval how often the server is asked for news while no watch stream is open; a minute
 * @property watch whether the server's watch stream is used where it has one
 * @property watchIdle a watch stream that is silent for so long is taken for dead; 75 seconds
 * @property backoffLeast the wait after a first failure, which doubles with each further one; a second
 * @property backoffMost the longest wait after a failure; a minute
 * @property metered what happens over a metered connection
 */
public data class LoopOptions(
    public val debounce: Duration? = null,
    public val pollInterval: Duration? = null,
    public val watch: Boolean = true,
    public val watchIdle: Duration? = null,
    public val backoffLeast: Duration? = null,
    public val backoffMost: Duration? = null,
    public val metered: MeteredUse = MeteredUse.Everything,
)
