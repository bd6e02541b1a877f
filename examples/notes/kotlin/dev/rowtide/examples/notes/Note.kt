package dev.rowtide.examples.notes

import dev.rowtide.Row

/**
 * A note as the list shows it.
 *
 * @property tags its tags, each one word, in alphabetical order
 * @property updatedMs milliseconds since 1970 UTC
 * @property unsent whether the server does not have it as it is here
 */
data class Note(
    val id: String,
    val title: String,
    val body: String,
    val pinned: Boolean,
    val tags: List<String>,
    val updatedMs: Long,
    val unsent: Boolean,
)

/** Pinned notes first, the newest first among them. */
internal const val ALL_NOTES = """
    SELECT n.id, n.title, n.body, n.pinned, n.updated,
           (SELECT group_concat(name, ' ') FROM (SELECT name FROM tags WHERE note_id = n.id ORDER BY name)) AS tags
    FROM notes AS n
    ORDER BY n.pinned DESC, n.updated DESC, n.id"""

/** Keys of the notes that the server does not have as they are here, or whose tags it does not have: a view of Rowtide. */
internal const val UNSENT_NOTES = """
    SELECT key FROM _rowtide_row_status WHERE table_name = 'notes'
    UNION
    SELECT substr(key, 1, instr(key, '/') - 1) FROM _rowtide_row_status WHERE table_name = 'tags'"""

/** Reads a row of [ALL_NOTES]. */
internal fun note(row: Row): Note = Note(
    id = row.string("id"),
    title = row.string("title"),
    body = row.string("body"),
    pinned = row.boolean("pinned"),
    tags = row.stringOrNull("tags")?.split(' ').orEmpty(),
    updatedMs = row.long("updated"),
    unsent = false,
)
