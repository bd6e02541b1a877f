package dev.rowtide.driver

/** What a statement is to a driver: where it runs, and whether it answers rows. */
internal sealed interface SqlKind {
    /** A query. One that asks for what only the writer connection knows runs there. */
    data class Read(val onWriter: Boolean) : SqlKind

    /** What writes; with `RETURNING` it answers rows. */
    data class Write(val answersRows: Boolean) : SqlKind

    /** `SELECT changes()`, alone. */
    data object Changes : SqlKind

    /** `SELECT last_insert_rowid()`, alone. */
    data object LastInsertRowid : SqlKind

    data object Begin : SqlKind

    data object Commit : SqlKind

    data object Rollback : SqlKind

    data class Savepoint(val name: String) : SqlKind

    data class Release(val name: String) : SqlKind

    data class RollbackTo(val name: String) : SqlKind

    /** A setting; [value] is `null` where it is asked for. */
    data class Pragma(val name: String, val value: String?) : SqlKind

    data object Empty : SqlKind
}

/** A statement's text and what it says about itself; SQLite judges the rest when it runs. */
internal class SqlText(val sql: String) {
    private val tokens = SqlTokens(sql)

    /** How many arguments it takes. */
    val parameters: Int get() = tokens.parameters

    val kind: SqlKind = kind(tokens.all)
}

private val READING_PRAGMAS = setOf(
    "table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list",
    "foreign_key_check", "integrity_check", "quick_check",
)
private val WRITING_PRAGMAS = setOf("optimize", "incremental_vacuum", "wal_checkpoint", "shrink_memory")
private val MAIN_VERBS = setOf("SELECT", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE")
private val COUNTERS = setOf("CHANGES", "TOTAL_CHANGES", "LAST_INSERT_ROWID")
private val TEMP_SCHEMA = setOf("SQLITE_TEMP_MASTER", "SQLITE_TEMP_SCHEMA")

private fun kind(tokens: List<SqlToken>): SqlKind = when (val verb = tokens.firstOrNull()?.word) {
    null -> SqlKind.Empty

    "SELECT" -> counter(tokens) ?: read(tokens)

    "VALUES", "EXPLAIN" -> read(tokens)

    "WITH" -> when (tokens.firstOrNull { it.depth == 0 && it.word in MAIN_VERBS }?.word) {
        "INSERT", "REPLACE", "UPDATE", "DELETE" -> write(tokens)
        else -> read(tokens)
    }

    "BEGIN" -> SqlKind.Begin

    "COMMIT", "END" -> SqlKind.Commit

    "ROLLBACK" -> if (tokens.any { it.word == "TO" }) SqlKind.RollbackTo(tokens.last().name) else SqlKind.Rollback

    "SAVEPOINT" -> SqlKind.Savepoint(tokens.last().name)

    "RELEASE" -> SqlKind.Release(tokens.last().name)

    "PRAGMA" -> pragma(tokens.drop(1))

    "INSERT", "REPLACE", "UPDATE", "DELETE" -> write(tokens)

    else -> SqlKind.Write(answersRows = false)
}

private fun write(tokens: List<SqlToken>) =
    SqlKind.Write(answersRows = tokens.any { it.depth == 0 && it.word == "RETURNING" })

private fun counter(tokens: List<SqlToken>): SqlKind? {
    if (tokens.size != 4 || tokens[2].text != "(" || tokens[3].text != ")") return null
    return when (tokens[1].word) {
        "CHANGES" -> SqlKind.Changes
        "LAST_INSERT_ROWID" -> SqlKind.LastInsertRowid
        else -> null
    }
}

private fun read(tokens: List<SqlToken>): SqlKind.Read {
    val onWriter = tokens.withIndex().any { (index, token) ->
        val following = tokens.getOrNull(index + 1)?.text
        (token.word in COUNTERS && following == "(") || (token.word == "TEMP" && following == ".") ||
            token.word in TEMP_SCHEMA
    }
    return SqlKind.Read(onWriter)
}

// A schema and a dot perhaps, then the name alone, with "= value" or with "(value)".
private fun pragma(tokens: List<SqlToken>): SqlKind {
    val named = if (tokens.getOrNull(1)?.text == ".") tokens.drop(2) else tokens
    val name = named.firstOrNull()?.name?.lowercase() ?: return SqlKind.Read(onWriter = false)
    if (name in READING_PRAGMAS) return SqlKind.Read(onWriter = false)
    if (name in WRITING_PRAGMAS) return SqlKind.Write(answersRows = true)
    val value = named.drop(2).filter { it.text != ")" }
    return SqlKind.Pragma(name, if (value.isEmpty()) null else value.joinToString("") { it.name }.lowercase())
}
