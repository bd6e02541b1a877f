package dev.rowtide.examples.notes

import dev.rowtide.examples.notes.window.openWindow
import dev.rowtide.examples.notes.window.takeScreenshot
import kotlinx.coroutines.runBlocking
import java.nio.file.Files
import java.nio.file.Path
import kotlin.io.path.createDirectories
import kotlin.system.exitProcess

private const val USAGE = """usage:
  notes --server URL --device NAME --folder FOLDER [--user USER]    opens a window on the database in FOLDER
  notes --server URL --script                                       two devices without windows; for tests
  notes --server URL --screenshot FILE.png                          two windows side by side, drawn into a file"""

/** Starts the app; see the usage. */
fun main(arguments: Array<String>) {
    val options = parse(arguments)
    val server = options["server"]
    when {
        server == null -> fail("say where the server is: --server http://127.0.0.1:8080")

        "script" in options -> inTemporaryFolder { folder -> runBlocking { runScript(server, folder) } }

        "screenshot" in options -> inTemporaryFolder { folder ->
            runBlocking { takeScreenshot(server, folder, Path.of(options.getValue("screenshot"))) }
            exitProcess(0)
        }

        else -> {
            val device = options["device"] ?: fail("name the device: --device phone")
            val folder = Path.of(options["folder"] ?: fail("say where its database lies: --folder phone"))
            openWindow(device, server, options["user"] ?: "ada", folder.createDirectories())
        }
    }
}

private fun parse(arguments: Array<String>): Map<String, String> {
    val options = mutableMapOf<String, String>()
    val left = ArrayDeque(arguments.asList())
    while (left.isNotEmpty()) {
        val name = left.removeFirst()
        when (name) {
            "--script" -> options["script"] = ""

            "--server", "--device", "--folder", "--user", "--screenshot" ->
                options[name.drop(2)] = left.removeFirstOrNull() ?: fail("$name needs a value")

            else -> fail("there is no option $name")
        }
    }
    return options
}

private fun fail(reason: String): Nothing {
    System.err.println("$reason\n$USAGE")
    exitProcess(2)
}

private fun inTemporaryFolder(block: (Path) -> Unit) {
    val folder = Files.createTempDirectory("notes")
    try {
        block(folder)
    } finally {
        folder.toFile().deleteRecursively()
    }
}
