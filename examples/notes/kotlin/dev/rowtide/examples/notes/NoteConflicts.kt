package dev.rowtide.examples.notes

import dev.rowtide.ConflictResolver
import dev.rowtide.Decision
import dev.rowtide.Row
import dev.rowtide.RowConflict

/** A note's text. */
data class Text(val title: String, val body: String)

/** Two devices wrote different texts for one note. */
data class Clash(val mine: Text, val theirs: Text)

/** What becomes of a [Clash]. */
enum class Choice {
    /** This device's text. */
    Mine,

    /** The other device's text. */
    Theirs,

    /** One below the other. */
    Both,
}

/** Decides a clash: a person, or a test. Sync waits for the answer; reading and writing does not. */
fun interface Chooser {
    /** The decision. */
    suspend fun choose(clash: Clash): Choice
}

/**
 * Decides conflicts of notes column by column, from the row that both sides began with. Nobody is asked where only one
 * side changed the text. A note that was edited here and deleted there, or the other way round, stays.
 */
class NoteConflicts(private val chooser: Chooser) : ConflictResolver {
    override suspend fun resolve(conflicts: List<RowConflict>): List<Decision> = conflicts.map { resolve(it) }

    private suspend fun resolve(conflict: RowConflict): Decision {
        val mine = conflict.local ?: return Decision.AcceptServer
        val theirs = conflict.server ?: return Decision.KeepLocal
        val base = conflict.base
        val text = text(base?.text(), mine.text(), theirs.text())
        return Decision.KeepMerged(
            theirs.with(
                "title" to text.title,
                "body" to text.body,
                "pinned" to (if (mine["pinned"] != base?.get("pinned")) mine else theirs)["pinned"],
                "updated" to maxOf(mine.long("updated"), theirs.long("updated")),
            ),
        )
    }

    private suspend fun text(base: Text?, mine: Text, theirs: Text): Text {
        if (mine == theirs || mine == base) return theirs
        if (theirs == base) return mine
        return when (chooser.choose(Clash(mine, theirs))) {
            Choice.Mine -> mine
            Choice.Theirs -> theirs
            Choice.Both -> Text(theirs.title, "${theirs.body}\n\n${mine.body}".trim())
        }
    }

    private fun Row.text() = Text(string("title"), string("body"))
}
