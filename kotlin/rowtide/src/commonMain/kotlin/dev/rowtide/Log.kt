package dev.rowtide

/** How much is logged: a level and those above it. */
public enum class LogLevel {
    /** Nothing. */
    Off,

    /** Bugs. */
    Error,

    /** What the app should know: failing listeners, databases that were restored. */
    Warn,

    /** Operations and their outcome. */
    Info,

    /** Requests, waits and retries. */
    Debug,

    /** Everything. */
    Trace,
}

/** Takes the library's log. */
public fun interface LogSink {
    /**
     * A line, in order, from a thread that all callbacks share: be quick. What this throws is dropped.
     *
     * @param level how grave it is
     * @param target the module of the core that it comes from
     * @param message the text; never row contents, keys or tokens
     */
    public fun line(level: LogLevel, target: String, message: String)
}
