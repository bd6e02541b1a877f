package dev.rowtide.sqldelight

import app.cash.sqldelight.Query
import app.cash.sqldelight.TransacterImpl
import app.cash.sqldelight.db.AfterVersion
import app.cash.sqldelight.db.QueryResult
import app.cash.sqldelight.db.SqlCursor
import app.cash.sqldelight.db.SqlDriver
import app.cash.sqldelight.db.SqlSchema

/* In the shape of what SQLDelight generates. */

data class Note(val id: String, val title: String, val stars: Long?, val body: ByteArray?)

class NotesDatabase(driver: SqlDriver) : TransacterImpl(driver) {
    val notes = NotesQueries(driver)

    /** The app's first version. */
    object FirstSchema : SqlSchema<QueryResult.Value<Unit>> {
        override val version: Long get() = 1

        override fun create(driver: SqlDriver): QueryResult.Value<Unit> {
            driver.execute(null, "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, title TEXT NOT NULL)", 0)
            return QueryResult.Unit
        }

        override fun migrate(
            driver: SqlDriver,
            oldVersion: Long,
            newVersion: Long,
            vararg callbacks: AfterVersion,
        ): QueryResult.Value<Unit> = QueryResult.Unit
    }

    /** The app's second version. */
    object Schema : SqlSchema<QueryResult.Value<Unit>> {
        override val version: Long get() = 2

        override fun create(driver: SqlDriver): QueryResult.Value<Unit> {
            driver.execute(
                null,
                """
                |CREATE TABLE notes (
                |  id TEXT NOT NULL PRIMARY KEY,
                |  title TEXT NOT NULL,
                |  stars INTEGER,
                |  body BLOB
                |)
                """.trimMargin(),
                0,
            )
            return QueryResult.Unit
        }

        override fun migrate(
            driver: SqlDriver,
            oldVersion: Long,
            newVersion: Long,
            vararg callbacks: AfterVersion,
        ): QueryResult.Value<Unit> {
            if (oldVersion <= 1 && newVersion > 1) {
                driver.execute(null, "ALTER TABLE notes ADD COLUMN stars INTEGER", 0)
                driver.execute(null, "ALTER TABLE notes ADD COLUMN body BLOB", 0)
            }
            callbacks.filter { it.afterVersion in oldVersion..<newVersion }.forEach { it.block(driver) }
            return QueryResult.Unit
        }
    }
}

class NotesQueries(driver: SqlDriver) : TransacterImpl(driver) {
    fun all(): Query<Note> = AllQuery { note(it) }

    fun find(id: String): Query<Note> = FindQuery(id) { note(it) }

    fun lastRowid(): Long = driver.executeQuery(
        3,
        "SELECT last_insert_rowid()",
        { cursor -> QueryResult.Value(if (cursor.next().value) cursor.getLong(0)!! else -1) },
        0,
    ).value

    fun insert(note: Note): QueryResult<Long> {
        val result = driver.execute(1, "INSERT INTO notes (id, title, stars, body) VALUES (?, ?, ?, ?)", 4) {
            bindString(0, note.id)
            bindString(1, note.title)
            bindLong(2, note.stars)
            bindBytes(3, note.body)
        }
        notifyQueries(1) { emit -> emit("notes") }
        return result
    }

    fun clear(): QueryResult<Long> {
        val result = driver.execute(2, "DELETE FROM notes", 0)
        notifyQueries(2) { emit -> emit("notes") }
        return result
    }

    private fun note(cursor: SqlCursor) =
        Note(cursor.getString(0)!!, cursor.getString(1)!!, cursor.getLong(2), cursor.getBytes(3))

    private inner class AllQuery<out T : Any>(mapper: (SqlCursor) -> T) : Query<T>(mapper) {
        override fun addListener(listener: Listener) = driver.addListener("notes", listener = listener)

        override fun removeListener(listener: Listener) = driver.removeListener("notes", listener = listener)

        override fun <R> execute(mapper: (SqlCursor) -> QueryResult<R>): QueryResult<R> =
            driver.executeQuery(4, "SELECT id, title, stars, body FROM notes ORDER BY id", mapper, 0, null)
    }

    private inner class FindQuery<out T : Any>(val id: String, mapper: (SqlCursor) -> T) : Query<T>(mapper) {
        override fun addListener(listener: Listener) = driver.addListener("notes", listener = listener)

        override fun removeListener(listener: Listener) = driver.removeListener("notes", listener = listener)

        override fun <R> execute(mapper: (SqlCursor) -> QueryResult<R>): QueryResult<R> =
            driver.executeQuery(5, "SELECT id, title, stars, body FROM notes WHERE id = ?", mapper, 1) {
                bindString(0, id)
            }
    }
}
