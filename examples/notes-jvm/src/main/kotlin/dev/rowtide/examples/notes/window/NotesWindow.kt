package dev.rowtide.examples.notes.window

import dev.rowtide.RowtideException
import dev.rowtide.examples.notes.Notebook
import dev.rowtide.examples.notes.Text
import dev.rowtide.examples.notes.openNotebook
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import kotlinx.coroutines.swing.Swing
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import java.awt.BorderLayout
import java.awt.Color
import java.awt.Dimension
import java.awt.Font
import java.awt.event.WindowAdapter
import java.awt.event.WindowEvent
import java.nio.file.Path
import javax.swing.BorderFactory
import javax.swing.JButton
import javax.swing.JFrame
import javax.swing.JLabel
import javax.swing.JOptionPane
import javax.swing.JPanel
import javax.swing.SwingUtilities

/** Opens the window of one device; the program ends with it. */
fun openWindow(device: String, server: String, user: String, folder: Path) {
    SwingUtilities.invokeLater {
        dressUp()
        NotesWindow(device).open(server, user, folder)
    }
}

/** The window: flows of the notebook in, calls of the notebook out. */
internal class NotesWindow(private val device: String) :
    JFrame(device),
    EditorActions {
    private val scope = CoroutineScope(SupervisorJob() + Dispatchers.Swing)

    /** Changes are made in the order of the clicks, and all of them before the end. */
    private val turn = Mutex()
    private var notebook: Notebook? = null
    val conflict = ConflictPanel()
    val editor = Editor(this)
    val list = NoteList { editor.show(it) }
    val status = StatusLine { online -> notebook?.setOnline(online) }

    init {
        defaultCloseOperation = DO_NOTHING_ON_CLOSE
        contentPane.background = Color.WHITE
        minimumSize = Dimension(640, 420)
        size = Dimension(760, 520)
        add(side(), BorderLayout.WEST)
        val right = JPanel(BorderLayout()).apply {
            isOpaque = false
            add(conflict, BorderLayout.NORTH)
            add(editor, BorderLayout.CENTER)
        }
        add(right, BorderLayout.CENTER)
        add(status, BorderLayout.SOUTH)
        addWindowListener(object : WindowAdapter() {
            override fun windowClosing(event: WindowEvent) = end()
        })
    }

    fun open(server: String, user: String, folder: Path) {
        isVisible = true
        scope.launch {
            try {
                show(openNotebook(folder, server, user, conflict), user)
            } catch (failure: RowtideException) {
                JOptionPane.showMessageDialog(this@NotesWindow, failure.message, device, JOptionPane.ERROR_MESSAGE)
                end()
            }
        }
    }

    fun show(opened: Notebook, user: String) {
        notebook = opened
        isVisible = true
        scope.launch { opened.notes.collect { notes -> list.show(notes) } }
        scope.launch { opened.status.collect { now -> status.show(now) } }
        scope.launch { opened.signIn(user) }
    }

    override fun write(id: String, text: Text) = change { write(id, text.title, text.body) }

    override fun tag(id: String, names: Set<String>) = change { tag(id, names) }

    override fun pin(id: String, pinned: Boolean) = change { pin(id, pinned) }

    override fun delete(id: String) = change { delete(id) }

    private fun addNote() = change {
        val id = add("New note")
        list.show(notes.first { all -> all.any { it.id == id } })
        list.select(id)
        editor.focusTitle()
    }

    private fun change(work: suspend Notebook.() -> Unit) {
        val opened = notebook ?: return
        scope.launch { turn.withLock { opened.work() } }
    }

    private fun end() {
        editor.save()
        conflict.dismiss()
        val opened = notebook
        scope.launch {
            turn.withLock { opened?.close() }
            scope.cancel()
            dispose()
        }
    }

    private fun side() = JPanel(BorderLayout()).apply {
        background = SIDE
        preferredSize = Dimension(250, 0)
        border = BorderFactory.createMatteBorder(0, 0, 0, 1, LINE)
        val head = JPanel(BorderLayout()).apply {
            isOpaque = false
            border = BorderFactory.createEmptyBorder(12, 14, 10, 12)
            add(JLabel("Notes").scaled(18f, Font.BOLD), BorderLayout.CENTER)
            add(JButton("New").apply { addActionListener { addNote() } }, BorderLayout.EAST)
        }
        add(head, BorderLayout.NORTH)
        add(list, BorderLayout.CENTER)
    }
}
