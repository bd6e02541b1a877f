package dev.rowtide.android

import dev.rowtide.NOWHERE
import dev.rowtide.Rowtide
import dev.rowtide.notes
import kotlinx.coroutines.runBlocking
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import java.io.File

@RunWith(RobolectricTestRunner::class)
class OpeningTest {
    private val app = RuntimeEnvironment.getApplication()

    @Test
    fun `a database lies where Android keeps them`() {
        assertEquals(app.getDatabasePath("notes.db").path, databasePath(app, "notes.db"))
        assertTrue(File(databasePath(app, "notes.db")).parentFile!!.isDirectory)
    }

    @Test
    fun `an installation keeps its id where no backup looks`() {
        val id = installation(app)
        assertEquals(id, installation(app))
        assertEquals(listOf(id), app.noBackupFilesDir.listFiles()!!.map { it.readText() })
    }

    @Test
    fun `a database that comes back from a backup takes on a source of its own`() {
        val first = source()
        assertEquals(first, source())
        app.noBackupFilesDir.deleteRecursively()
        assertNotEquals(first, source())
        assertFalse(File(databasePath(app, "notes.db") + "-rowtide-installation").exists())
    }

    private fun source(): String = runBlocking {
        Rowtide.open(app, "notes.db") { notes(NOWHERE) }.use { it.sourceInfo().sourceId }
    }
}
