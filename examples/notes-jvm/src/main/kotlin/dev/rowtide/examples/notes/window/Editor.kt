package dev.rowtide.examples.notes.window

import dev.rowtide.examples.notes.Note
import dev.rowtide.examples.notes.Text
import java.awt.BorderLayout
import java.awt.Font
import java.awt.Insets
import javax.swing.BorderFactory
import javax.swing.Box
import javax.swing.BoxLayout
import javax.swing.JButton
import javax.swing.JPanel
import javax.swing.JScrollPane
import javax.swing.JTextArea
import javax.swing.JTextField
import javax.swing.JToggleButton
import javax.swing.Timer
import javax.swing.event.DocumentEvent
import javax.swing.event.DocumentListener
import javax.swing.text.JTextComponent

/** What a person does to a note in the editor. */
internal interface EditorActions {
    fun write(id: String, text: Text)

    fun tag(id: String, names: Set<String>)

    fun pin(id: String, pinned: Boolean)

    fun delete(id: String)
}

/**
 * The note on the right. What is typed is saved when the typing pauses. A change that comes from elsewhere is shown at
 * once, unless there is typing that is not saved yet: that is saved on top of it.
 */
internal class Editor(private val actions: EditorActions) : JPanel(BorderLayout()) {
    private val title = JTextField().scaled(21f, Font.BOLD) as JTextField
    private val tags = JTextField().scaled(12f) as JTextField
    private val body = JTextArea().scaled(14f) as JTextArea
    private val pin = JToggleButton("★ Pin")
    private val delete = JButton("Delete")
    private var shown: Note? = null
    private var filling = false
    private val typed = Timer(TYPING_PAUSE_MS) { save() }.apply { isRepeats = false }

    init {
        border = BorderFactory.createEmptyBorder(14, 20, 10, 20)
        isOpaque = false
        for (field in listOf(title, tags)) {
            field.border = BorderFactory.createEmptyBorder(2, 0, 4, 0)
            field.isOpaque = false
        }
        tags.foreground = ACCENT
        tags.putClientProperty("JTextField.placeholderText", "#tags")
        title.putClientProperty("JTextField.placeholderText", "Title")
        body.lineWrap = true
        body.wrapStyleWord = true
        body.isOpaque = false
        body.margin = Insets(0, 0, 0, 0)
        for (text in listOf(title, body)) text.onEdit { typed.restart() }
        tags.addActionListener { saveTags() }
        pin.addActionListener { shown?.let { actions.pin(it.id, pin.isSelected) } }
        delete.addActionListener { shown?.let { actions.delete(it.id) } }

        val buttons = Box(BoxLayout.X_AXIS).apply {
            add(pin)
            add(Box.createHorizontalStrut(6))
            add(delete)
        }
        val head = JPanel(BorderLayout(10, 0)).apply {
            isOpaque = false
            add(title, BorderLayout.CENTER)
            add(buttons, BorderLayout.EAST)
            add(tags, BorderLayout.SOUTH)
        }
        add(head, BorderLayout.NORTH)
        val scroll = JScrollPane(body)
        scroll.border = BorderFactory.createEmptyBorder(6, 0, 0, 0)
        scroll.isOpaque = false
        scroll.viewport.isOpaque = false
        add(scroll, BorderLayout.CENTER)
        show(null)
    }

    fun show(note: Note?) {
        if (note?.id != shown?.id) save()
        val typing = typed.isRunning
        shown = note
        filling = true
        if (!typing) {
            title.fill(note?.title.orEmpty())
            body.fill(note?.body.orEmpty())
        }
        if (!tags.isFocusOwner) tags.fill(note?.tags.orEmpty().joinToString(" ") { "#$it" })
        pin.isSelected = note?.pinned == true
        filling = false
        for (part in listOf(title, tags, body, pin, delete)) part.isEnabled = note != null
    }

    fun focusTitle() {
        title.requestFocusInWindow()
        title.selectAll()
    }

    /** Saves what is typed and not saved yet. */
    fun save() {
        if (!typed.isRunning) return
        typed.stop()
        shown?.let { actions.write(it.id, Text(title.text, body.text)) }
    }

    private fun saveTags() {
        val names = tags.text.split(' ', ',').map { it.trim().removePrefix("#").lowercase() }
        shown?.let { note -> actions.tag(note.id, names.filterTo(mutableSetOf()) { it.isNotEmpty() }) }
        body.requestFocusInWindow()
    }

    private fun JTextComponent.fill(text: String) {
        if (this.text == text) return
        val caret = caretPosition
        this.text = text
        caretPosition = minOf(caret, text.length)
    }

    private fun JTextComponent.onEdit(edited: () -> Unit) {
        document.addDocumentListener(object : DocumentListener {
            override fun insertUpdate(event: DocumentEvent) = tell()

            override fun removeUpdate(event: DocumentEvent) = tell()

            override fun changedUpdate(event: DocumentEvent) = Unit

            private fun tell() {
                if (!filling) edited()
            }
        })
    }

    private companion object {
        const val TYPING_PAUSE_MS = 400
    }
}
