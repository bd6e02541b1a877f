package dev.rowtide.examples.notes.window

import dev.rowtide.examples.notes.Note
import java.awt.BorderLayout
import java.awt.Component
import java.awt.Dimension
import java.awt.Font
import java.time.Instant
import java.time.ZoneId
import java.time.format.DateTimeFormatter
import javax.swing.BorderFactory
import javax.swing.JLabel
import javax.swing.JList
import javax.swing.JPanel
import javax.swing.JScrollPane
import javax.swing.ListCellRenderer
import javax.swing.ListSelectionModel
import javax.swing.ScrollPaneConstants

/** The notes on the left. The selection follows its note when the order changes. */
internal class NoteList(private val onSelect: (Note?) -> Unit) :
    JScrollPane(VERTICAL_SCROLLBAR_AS_NEEDED, ScrollPaneConstants.HORIZONTAL_SCROLLBAR_NEVER) {
    private val list = JList<Note>()
    private var filling = false

    val selected: Note? get() = list.selectedValue

    val count: Int get() = list.model.size

    init {
        border = BorderFactory.createEmptyBorder()
        list.background = SIDE
        list.selectionMode = ListSelectionModel.SINGLE_SELECTION
        list.cellRenderer = Cell()
        list.addListSelectionListener { if (!filling && !it.valueIsAdjusting) onSelect(list.selectedValue) }
        setViewportView(list)
    }

    fun show(notes: List<Note>) {
        val wanted = selected?.id
        filling = true
        list.setListData(notes.toTypedArray())
        list.selectedIndex = notes.indexOfFirst { it.id == wanted }.takeIf { it >= 0 } ?: 0
        filling = false
        onSelect(selected)
    }

    fun select(id: String) {
        val index = (0..<list.model.size).firstOrNull { list.model.getElementAt(it).id == id } ?: return
        list.selectedIndex = index
        list.ensureIndexIsVisible(index)
    }

    private class Cell :
        JPanel(BorderLayout(8, 3)),
        ListCellRenderer<Note> {
        private val title = JLabel().scaled(14f, Font.BOLD) as JLabel
        private val time = JLabel().scaled(11f) as JLabel
        private val preview = JLabel().scaled(12f) as JLabel
        private val tags = JLabel().scaled(11f) as JLabel

        init {
            border = BorderFactory.createCompoundBorder(
                BorderFactory.createMatteBorder(0, 0, 1, 0, LINE),
                BorderFactory.createEmptyBorder(9, 14, 9, 12),
            )
            for (label in listOf(time, preview)) label.foreground = FAINT
            tags.foreground = ACCENT
            title.minimumSize = Dimension(0, 0)
            add(JPanel(BorderLayout(6, 0)).clear(title, time), BorderLayout.NORTH)
            add(preview, BorderLayout.CENTER)
            add(tags, BorderLayout.SOUTH)
        }

        override fun getListCellRendererComponent(
            list: JList<out Note>,
            note: Note,
            index: Int,
            selected: Boolean,
            focused: Boolean,
        ): Component {
            background = if (selected) SELECTED else SIDE
            title.text = (if (note.pinned) "★ " else "") + note.title.ifBlank { "Untitled" }
            time.text = CLOCK.format(Instant.ofEpochMilli(note.updatedMs))
            // An unsent note has a dot until the server has it.
            time.icon = if (note.unsent) Dot(ACCENT, 7) else null
            preview.text = note.body.lineSequence().firstOrNull()?.ifBlank { null } ?: "No text"
            tags.text = note.tags.joinToString("  ") { "#$it" }
            tags.isVisible = note.tags.isNotEmpty()
            return this
        }

        private fun JPanel.clear(left: Component, right: Component) = apply {
            isOpaque = false
            add(left, BorderLayout.CENTER)
            add(right, BorderLayout.EAST)
        }
    }

    private companion object {
        val CLOCK: DateTimeFormatter = DateTimeFormatter.ofPattern("HH:mm").withZone(ZoneId.systemDefault())
    }
}
