package dev.rowtide.examples.notes

import dev.rowtide.Rowtide
import java.nio.file.Path

/** Opens or creates the notes of one device in a folder, and syncs by itself as soon as the user is signed in. */
suspend fun openNotebook(folder: Path, server: String, user: String, chooser: Chooser): Notebook {
    val client = Rowtide.open(folder.resolve("notes.db").toString()) {
        notes(server, SCHEMA, chooser)
        tokens(DemoSignIn(server, user))
    }
    return Notebook(client).apply { start() }
}

private val SCHEMA: String = Notebook::class.java.getResource("/schema.sql")!!.readText()
