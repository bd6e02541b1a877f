package dev.rowtide.examples.notes.window

import dev.rowtide.Status
import dev.rowtide.examples.notes.lamp
import dev.rowtide.examples.notes.words
import java.awt.BorderLayout
import javax.swing.BorderFactory
import javax.swing.JCheckBox
import javax.swing.JLabel
import javax.swing.JPanel

/** The line at the bottom: how sync stands, how much waits, and the switch that takes the network away. */
internal class StatusLine(onOnline: (Boolean) -> Unit) : JPanel(BorderLayout()) {
    private val state = JLabel("Opening").scaled(12f) as JLabel
    val offline = JCheckBox("Offline").scaled(12f) as JCheckBox

    init {
        background = SIDE
        border = BorderFactory.createCompoundBorder(
            BorderFactory.createMatteBorder(1, 0, 0, 0, LINE),
            BorderFactory.createEmptyBorder(5, 14, 5, 12),
        )
        offline.isOpaque = false
        offline.addActionListener { onOnline(!offline.isSelected) }
        add(state, BorderLayout.CENTER)
        add(offline, BorderLayout.EAST)
    }

    fun show(status: Status) {
        state.icon = Dot(status.lamp.color)
        state.iconTextGap = 7
        state.text = status.words
        state.toolTipText = status.lastError
    }
}
