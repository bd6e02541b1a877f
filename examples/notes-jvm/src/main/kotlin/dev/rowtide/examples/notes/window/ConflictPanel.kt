package dev.rowtide.examples.notes.window

import dev.rowtide.examples.notes.Choice
import dev.rowtide.examples.notes.Chooser
import dev.rowtide.examples.notes.Clash
import dev.rowtide.examples.notes.Text
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.swing.Swing
import kotlinx.coroutines.withContext
import java.awt.BorderLayout
import java.awt.Font
import java.awt.GridLayout
import javax.swing.BorderFactory
import javax.swing.Box
import javax.swing.BoxLayout
import javax.swing.JButton
import javax.swing.JLabel
import javax.swing.JPanel
import javax.swing.JTextArea

/** Shows a clash above the editor until a person has decided. Hidden where there is none. */
internal class ConflictPanel :
    JPanel(BorderLayout(0, 8)),
    Chooser {
    private val headline = JLabel().scaled(13f, Font.BOLD) as JLabel
    private val mine = side()
    private val theirs = side()
    private var answer: CompletableDeferred<Choice>? = null

    init {
        background = WARNING
        border = BorderFactory.createCompoundBorder(
            BorderFactory.createMatteBorder(0, 0, 1, 0, WARNING_LINE),
            BorderFactory.createEmptyBorder(10, 20, 10, 20),
        )
        val sides = JPanel(GridLayout(1, 2, 14, 0)).apply {
            isOpaque = false
            add(column("On this device", mine))
            add(column("On the other device", theirs))
        }
        val buttons = Box(BoxLayout.X_AXIS).apply {
            add(button("Keep mine", Choice.Mine))
            add(Box.createHorizontalStrut(6))
            add(button("Take theirs", Choice.Theirs))
            add(Box.createHorizontalStrut(6))
            add(button("Keep both", Choice.Both))
        }
        add(headline, BorderLayout.NORTH)
        add(sides, BorderLayout.CENTER)
        add(buttons, BorderLayout.SOUTH)
        isVisible = false
    }

    /** Called by sync, from any thread; it goes on when a button is pressed. */
    override suspend fun choose(clash: Clash): Choice = withContext(Dispatchers.Swing) {
        val waiting = CompletableDeferred<Choice>()
        answer = waiting
        headline.text = "“${clash.mine.title}” was changed on two devices"
        mine.text = clash.mine.words()
        theirs.text = clash.theirs.words()
        isVisible = true
        try {
            waiting.await()
        } finally {
            isVisible = false
        }
    }

    /** Gives up waiting: the notes stay unsent, and the next start asks again. */
    fun dismiss() {
        answer?.cancel()
    }

    private fun Text.words() = if (body.isBlank()) title else "$title\n$body"

    private fun side() = (JTextArea().scaled(12f) as JTextArea).apply {
        isEditable = false
        isOpaque = false
        lineWrap = true
        wrapStyleWord = true
        border = BorderFactory.createEmptyBorder()
    }

    private fun column(name: String, text: JTextArea) = JPanel(BorderLayout(0, 2)).apply {
        isOpaque = false
        val label = JLabel(name).scaled(11f) as JLabel
        label.foreground = FAINT
        add(label, BorderLayout.NORTH)
        add(text, BorderLayout.CENTER)
    }

    private fun button(name: String, choice: Choice) = JButton(name).apply {
        addActionListener { answer?.complete(choice) }
    }
}
