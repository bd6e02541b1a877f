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

/** Pinned notes first, the newest first among them. Which rows are unsent is a view of Rowtide. */
internal const val ALL_NOTES = """
    SELECT n.id, n.title, n.body, n.pinned, n.updated,
           (SELECT group_concat(name, ' ') FROM (SELECT name FROM tags WHERE note_id = n.id ORDER BY name)) AS tags,
           EXISTS (SELECT 1 FROM _rowtide_row_status AS s
                   WHERE (s.table_name, s.key) = ('notes', n.id)
                      OR (s.table_name = 'tags' AND s.key LIKE n.id || '/%')) AS unsent
    FROM notes AS n
    ORDER BY n.pinned DESC, n.updated DESC, n.id"""

/** Reads a row of [ALL_NOTES]. */
internal fun note(row: Row): Note = Note(
    id = row.string("id"),
    title = row.string("title"),
    body = row.string("body"),
    pinned = row.boolean("pinned"),
    tags = row.stringOrNull("tags")?.split(' ').orEmpty(),
    updatedMs = row.long("updated"),
    unsent = row.boolean("unsent"),
)
