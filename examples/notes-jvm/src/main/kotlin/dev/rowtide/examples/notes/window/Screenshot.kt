package dev.rowtide.examples.notes.window

import dev.rowtide.examples.notes.Lamp
import dev.rowtide.examples.notes.Notebook
import dev.rowtide.examples.notes.lamp
import dev.rowtide.examples.notes.openNotebook
import dev.rowtide.examples.notes.waitFor
import dev.rowtide.examples.notes.waitUntilSent
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.swing.Swing
import kotlinx.coroutines.withContext
import java.awt.Color
import java.awt.GradientPaint
import java.awt.Graphics2D
import java.awt.RenderingHints
import java.awt.image.BufferedImage
import java.nio.file.Path
import javax.imageio.ImageIO
import kotlin.io.path.createDirectories

/**
 * Draws two windows side by side into a PNG: the phone is offline with a note that nobody else has yet, the laptop has
 * been edited offline too and shows the conflict. Both are the real thing; only the typing is done by this function.
 */
internal suspend fun takeScreenshot(server: String, folder: Path, file: Path) {
    withContext(Dispatchers.Swing) { dressUp() }
    val (phone, left) = opened("Phone", server, folder)
    val (laptop, right) = opened("Laptop", server, folder)

    val groceries = phone.add("Groceries", "milk\nbread")
    phone.tag(groceries, setOf("home"))
    val trip = phone.add("Trip to Lisbon", "Flight on Friday, 9:40.\nThe hotel has the booking under Ada.")
    phone.tag(trip, setOf("travel", "summer"))
    phone.pin(trip, true)
    phone.add("Books", "The Waves\nMiddlemarch")
    laptop.waitFor("three notes") { it.size == 3 && it.any { note -> note.tags.size == 2 } }

    laptop.setOnline(false)
    laptop.write(groceries, "Groceries", "milk\nbread, two of them")
    phone.write(groceries, "Groceries", "milk\napples")
    phone.waitUntilSent()
    phone.setOnline(false)
    phone.add("Ideas", "Written on the train, with no network.")
    laptop.setOnline(true)

    withContext(Dispatchers.Swing) {
        while (!right.conflict.isVisible || left.list.count < 4) delay(50)
        left.status.offline.isSelected = true
        left.list.select(trip)
        right.list.select(groceries)
    }
    phone.status.first { it.lamp == Lamp.Offline && it.pendingRows == 1L }
    // The windows have shown it when what is queued behind their own collectors has run.
    delay(500)
    withContext(Dispatchers.Swing) { ImageIO.write(sideBySide(left, right), "png", file.toFile()) }
}

private suspend fun opened(device: String, server: String, folder: Path): Pair<Notebook, NotesWindow> {
    val window = withContext(Dispatchers.Swing) { NotesWindow(device) }
    val notebook = openNotebook(folder.resolve(device).createDirectories(), server, "ada", window.conflict)
    withContext(Dispatchers.Swing) {
        window.setSize(640, 460)
        window.show(notebook, "ada")
    }
    notebook.status.first { it.watching }
    return notebook to window
}

private fun sideBySide(vararg windows: NotesWindow): BufferedImage {
    val gap = 28
    val width = windows.sumOf { it.width } + gap * (windows.size + 1)
    val height = windows.maxOf { it.height } + 2 * gap
    val image = BufferedImage(width, height, BufferedImage.TYPE_INT_RGB)
    val canvas = image.createGraphics()
    canvas.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON)
    canvas.paint = GradientPaint(0f, 0f, Color(0x5B7FB8), width.toFloat(), height.toFloat(), Color(0x9CC3C9))
    canvas.fillRect(0, 0, width, height)
    var x = gap
    for (window in windows) {
        canvas.color = Color(0, 0, 0, 28)
        for (by in 1..4) canvas.drawRect(x - by, gap - by + 2, window.width + 2 * by, window.height + 2 * by)
        window.printAll(canvas.create(x, gap, window.width, window.height) as Graphics2D)
        x += window.width + gap
    }
    canvas.dispose()
    return image
}
