package dev.rowtide.examples.sqlitenow

import dev.rowtide.Outcome
import dev.rowtide.Rowtide
import dev.rowtide.RowtideClient
import dev.rowtide.Sql
import kotlinx.coroutines.runBlocking
import java.nio.file.Files
import java.nio.file.Path
import kotlin.io.path.readText

/**
 * Opens a database that OverSqlite wrote, and goes on where it stood. Says what it sees, and fails where anything is lost
 * or sent twice.
 *
 * Usage: `MainKt SERVER FOLDER-OF-THE-EXAMPLE`
 */
fun main(arguments: Array<String>) {
    val server = DemoServer(arguments[0])
    val example = Path.of(arguments[1])
    val work = Files.createTempDirectory("from-sqlitenow")
    try {
        runBlocking { Walk(server, example, work).run() }
    } finally {
        work.toFile().deleteRecursively()
    }
}

private class Walk(private val server: DemoServer, private val example: Path, private val work: Path) {
    private val schema = example.resolve("schema.sql").readText()
    private val path = work.resolve("phone.db").toString()

    suspend fun run() {
        theWorldBefore()
        theDatabaseAsItWasLeft()
        val source = theFirstOpening()
        theFirstSync(source)
        theSecondOpening()
        theWayBack()
    }

    /** Another device's rows on the server, and the upload of OverSqlite whose answer was lost. */
    private suspend fun theWorldBefore() {
        val tablet = open("tablet.db")
        tablet.attach("ada")
        tablet.database.executeScript(example.resolve("fixture/seed.sql").readText())
        check(tablet.sync().pushedRows == 7L)
        tablet.shutDown()
        server.replay(example.resolve("fixture/lost-upload.txt").readText())
        say("The server has 7 rows of a tablet, and one upload of 2 rows whose answer the phone never heard.")
    }

    private suspend fun theDatabaseAsItWasLeft() {
        val database = Rowtide.openDatabase(path)
        database.executeScript(example.resolve("fixture/phone.sql").readText())
        val frozen = database.number("SELECT count(*) FROM _sync_outbox_rows")
        val dirty = database.number("SELECT count(*) FROM _sync_dirty_rows")
        database.shutDown()
        check(frozen == 2L && dirty == 4L)
        say("The phone's database, as OverSqlite left it: $frozen rows in the outbox, $dirty dirty rows behind them.")
    }

    private suspend fun theFirstOpening(): String {
        val client = open("phone.db")
        val status = client.status()
        check(status.user == "ada" && status.checkpoint == 1L)
        // One of the frozen rows was edited again, so it is counted once.
        check(status.pendingRows == 5L)
        check(client.number(LEFT_OF_OVERSQLITE) == 0L)
        check(client.number("SELECT count(*) FROM note") == 4L)
        check(client.query("SELECT value FROM setting").single().string(0) == "dark")
        val source = client.sourceInfo().sourceId
        client.shutDown()
        val found = "user ${status.user}, bundle ${status.checkpoint}, ${status.pendingRows} rows to send"
        say("Opened by Rowtide: $found; no _sync_ table and no trg_ trigger is left.")
        return source
    }

    private suspend fun theFirstSync(source: String) {
        check(source in example.resolve("fixture/lost-upload.txt").readText())
        val client = open("phone.db")
        check(client.attach("ada").outcome == Outcome.AlreadyAttached)
        val report = client.sync()
        // Bundle 1 is the tablet's, 2 the upload that OverSqlite had made, 3 what was dirty: 4 rows, sent once.
        val status = client.status()
        check(report.outcome == Outcome.Done && report.hydratedRows == 0L)
        check(status.pendingRows == 0L && status.checkpoint == 3L)
        check(server.rowsOfBundle(3) == 4)
        val phone = client.everything()
        client.shutDown()

        val tablet = open("tablet.db")
        tablet.sync()
        check(tablet.everything() == phone)
        tablet.shutDown()
        say("Synced under the same source: the lost upload was found again, 4 rows went up, nothing came down anew.")
        say("The tablet has the same rows, to the last bit of 9007199254740993:")
        phone.forEach { say("    $it") }
    }

    private suspend fun theSecondOpening() {
        val client = open("phone.db")
        check(client.status().pendingRows == 0L)
        check(client.sync().outcome == Outcome.NoChange)
        client.shutDown()
        say("Opened again: an ordinary database of Rowtide, with nothing to do.")
    }

    private suspend fun theWayBack() {
        val database = Rowtide.openDatabase(path)
        check(database.uninstallSync())
        val names = database.query(APP_TABLES).map { it.string(0) }
        database.shutDown()
        check(names == listOf("note", "person", "setting")) { names }
        say("Uninstalled: the tables are $names, as if nobody had ever synchronised them.")
    }

    /** The whole change in an app: the schema that the generator reads tells which tables to synchronise. */
    private suspend fun open(name: String): RowtideClient = Rowtide.open(work.resolve(name).toString()) {
        server(server.url, schema = "business")
        tables(annotatedSchema = schema)
        tokens { server.token("ada") }
        prepare { executeScript(schema) }
    }

    private suspend fun Sql.number(sql: String): Long = query(sql).single().long(0)

    private suspend fun Sql.everything(): List<String> = query(
        "SELECT 'person', first_name, last_name, coalesce(email, '-'), '' FROM person UNION ALL " +
            "SELECT 'note', title, pages, coalesce(rating, '-'), lower(hex(id)) FROM note ORDER BY 1, 2",
    ).map { row -> row.toMap().values.joinToString("  ").trim() }

    private fun say(line: String) = println(line)

    private companion object {
        const val APP_TABLES =
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
        const val LEFT_OF_OVERSQLITE =
            "SELECT count(*) FROM sqlite_schema WHERE name LIKE '\\_sync\\_%' ESCAPE '\\' OR name LIKE 'trg\\_%' ESCAPE '\\'"
    }
}
