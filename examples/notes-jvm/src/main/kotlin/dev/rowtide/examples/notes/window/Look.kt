package dev.rowtide.examples.notes.window

import com.formdev.flatlaf.FlatLaf
import com.formdev.flatlaf.fonts.inter.FlatInterFont
import com.formdev.flatlaf.themes.FlatMacLightLaf
import dev.rowtide.examples.notes.Lamp
import java.awt.Color
import java.awt.Component
import java.awt.Font
import java.awt.Graphics
import java.awt.Graphics2D
import java.awt.RenderingHints
import javax.swing.Icon
import javax.swing.JDialog
import javax.swing.JFrame

internal val SIDE = Color(0xF5F5F7)
internal val LINE = Color(0xE0E0E5)
internal val FAINT = Color(0x8A8A92)
internal val ACCENT = Color(0x0A6CFF)
internal val SELECTED = Color(0xDCE8FB)
internal val WARNING = Color(0xFFF4D6)
internal val WARNING_LINE = Color(0xEBCB7A)

internal fun dressUp() {
    FlatInterFont.install()
    FlatLaf.setPreferredFontFamily(FlatInterFont.FAMILY)
    // Title bars of our own, which look alike on every desktop.
    JFrame.setDefaultLookAndFeelDecorated(true)
    JDialog.setDefaultLookAndFeelDecorated(true)
    FlatMacLightLaf.setup()
}

internal fun Component.scaled(size: Float, style: Int = Font.PLAIN): Component = apply {
    font = font.deriveFont(style, size)
}

internal val Lamp.color: Color
    get() = when (this) {
        Lamp.Live -> Color(0x30B158)
        Lamp.Busy -> ACCENT
        Lamp.Offline -> Color(0x9A9AA2)
        Lamp.Trouble -> Color(0xE5484D)
    }

/** A filled circle. */
internal class Dot(private val color: Color, private val size: Int = 9) : Icon {
    override fun getIconWidth(): Int = size

    override fun getIconHeight(): Int = size

    override fun paintIcon(component: Component?, graphics: Graphics, x: Int, y: Int) {
        val canvas = graphics.create() as Graphics2D
        canvas.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON)
        canvas.color = color
        canvas.fillOval(x, y, size, size)
        canvas.dispose()
    }
}
