package dev.rowtide.android

import android.content.Context
import dev.rowtide.ClientBuilder
import dev.rowtide.Rowtide
import dev.rowtide.RowtideClient
import java.io.File
import java.util.UUID

/**
 * Opens the app's database called [name], where Android keeps databases ([Context.getDatabasePath]), and a client on it.
 * The installation is [installation] unless [configure] sets another one, so a database that comes back from a backup, or
 * goes to a new phone, takes on a source of its own. Otherwise as [Rowtide.open].
 */
public suspend fun Rowtide.open(context: Context, name: String, configure: ClientBuilder.() -> Unit): RowtideClient {
    val path = databasePath(context, name)
    val marker = installation(context)
    return open(path) {
        installation = marker
        configure()
    }
}

/** Where the database called [name] belongs; its folder is there afterwards. For [Rowtide.openDatabase]. */
public fun databasePath(context: Context, name: String): String {
    val file = context.getDatabasePath(name)
    file.parentFile?.mkdirs()
    return file.path
}

/**
 * An id of this installation of the app, for [ClientBuilder.installation]. It is made at the first call and kept in a
 * file in [Context.getNoBackupFilesDir], which no backup and no transfer to another phone takes along. It says nothing
 * about phone or user.
 */
@Synchronized
public fun installation(context: Context): String {
    val file = File(context.noBackupFilesDir, "rowtide-installation")
    if (!file.exists()) {
        // A file that has its name is whole, whenever the process ends.
        val fresh = File(file.path + "-fresh")
        fresh.outputStream().use { stream ->
            stream.write(UUID.randomUUID().toString().toByteArray())
            stream.fd.sync()
        }
        check(fresh.renameTo(file)) { "$file cannot be written" }
    }
    return file.readText()
}
