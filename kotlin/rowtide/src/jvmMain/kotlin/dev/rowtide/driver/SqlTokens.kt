package dev.rowtide.driver

/** A piece of SQL. [word] is in upper case, and empty for what is no bare word. */
internal class SqlToken(val text: String, val word: String, val depth: Int) {
    /** The name that it is, without its quotes. */
    val name: String get() = when (val quote = text.first()) {
        '"', '\'', '`' -> text.drop(1).removeSuffix("$quote").replace("$quote$quote", "$quote")
        '[' -> text.drop(1).removeSuffix("]")
        else -> text
    }
}

/** The tokens of the first statement in a text, and how many parameters it has. */
internal class SqlTokens(private val sql: String) {
    val all: List<SqlToken>
    var parameters: Int = 0
        private set
    private val named = mutableMapOf<String, Int>()
    private var at = 0
    private var depth = 0

    init {
        val found = mutableListOf<SqlToken>()
        while (true) {
            skipBlanks()
            if (at >= sql.length || sql[at] == ';') break
            found += next()
        }
        all = found
    }

    private fun next(): SqlToken {
        val start = at
        val first = sql[at++]
        when {
            first == '\'' || first == '"' || first == '`' -> quoted(first)
            first == '[' -> at = (sql.indexOf(']', at) + 1).takeIf { it > 0 } ?: sql.length
            first == '?' -> numbered()
            (first == ':' || first == '@' || first == '$') && at < sql.length && sql[at].isWordPart() -> named(start)
            first.isWordPart() -> skipWord()
            first == '(' -> depth++
            first == ')' -> depth--
        }
        val text = sql.substring(start, at)
        val isWord = first.isWordPart() && !first.isDigit()
        return SqlToken(text, if (isWord) text.uppercase() else "", depth)
    }

    private fun quoted(quote: Char) {
        while (at < sql.length) {
            if (sql[at++] != quote) continue
            if (at < sql.length && sql[at] == quote) at++ else return
        }
    }

    private fun numbered() {
        val start = at
        while (at < sql.length && sql[at] in '0'..'9') at++
        val number = if (at == start) parameters + 1 else sql.substring(start, at).toIntOrNull() ?: 0
        parameters = maxOf(parameters, number)
    }

    private fun named(start: Int) {
        skipWord()
        named.getOrPut(sql.substring(start, at)) { ++parameters }
    }

    private fun skipWord() {
        while (at < sql.length && sql[at].isWordPart()) at++
    }

    private fun skipBlanks() {
        while (at < sql.length) {
            at = when {
                sql[at].isWhitespace() -> at + 1
                sql.startsWith("--", at) -> sql.indexOf('\n', at).takeIf { it >= 0 } ?: sql.length
                sql.startsWith("/*", at) -> sql.indexOf("*/", at + 2).takeIf { it >= 0 }?.plus(2) ?: sql.length
                else -> return
            }
        }
    }

    private fun Char.isWordPart() = this in 'a'..'z' || this in 'A'..'Z' || this in '0'..'9' || this == '_' ||
        this == '$' || this >= '\u0080'
}
