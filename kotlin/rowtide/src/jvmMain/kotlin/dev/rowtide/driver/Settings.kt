package dev.rowtide.driver

import dev.rowtide.RowtideException

/** Settings of the connections, which the core owns: it answers what they are, and refuses what they cannot be. */
internal object Settings {
    private class Owned(val value: Any, vararg val accepted: String, val mend: String)

    private val TRUE = arrayOf("1", "on", "true", "yes")

    private val owned = mapOf(
        "journal_mode" to Owned(
            "wal",
            "wal",
            mend = "it stays in WAL mode, which readers and sync need (Room: JournalMode.WRITE_AHEAD_LOGGING)",
        ),
        "synchronous" to Owned(1L, "1", "normal", mend = "it stays NORMAL, which is safe in WAL mode"),
        "foreign_keys" to Owned(
            1L,
            *TRUE,
            mend =
            "they stay enforced, which sync needs; rebuild tables with RowtideDatabase.migrate, or defer them inside " +
                "a transaction with PRAGMA defer_foreign_keys",
        ),
        "recursive_triggers" to Owned(1L, *TRUE, mend = "they stay on, so that no replaced row goes unseen"),
        "locking_mode" to Owned("normal", "normal", mend = "it stays NORMAL, so that readers can read"),
    )

    /** Settings that mean nothing here: a statement waits for the writer, and connections are shared. */
    private val hints = mapOf<String, Any>("busy_timeout" to 5000L, "temp_store" to 0L)

    /** Whether the core answers for this setting. */
    fun owns(name: String): Boolean = name in owned || name in hints

    /** The value of an owned setting. */
    fun value(name: String): Any = owned[name]?.value ?: hints.getValue(name)

    /** Refuses a value that an owned setting cannot have. */
    fun check(name: String, value: String) {
        val setting = owned[name] ?: return
        if (value !in setting.accepted) {
            throw RowtideException.Configuration(
                "PRAGMA $name = $value: Rowtide owns this setting, and ${setting.mend}",
                null,
            )
        }
    }
}
