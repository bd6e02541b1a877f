package dev.rowtide.examples.notes.android

import androidx.compose.foundation.background
import androidx.compose.foundation.clickable
import androidx.compose.foundation.layout.Arrangement
import androidx.compose.foundation.layout.Box
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.fillMaxSize
import androidx.compose.foundation.layout.fillMaxWidth
import androidx.compose.foundation.layout.padding
import androidx.compose.foundation.layout.size
import androidx.compose.foundation.lazy.LazyColumn
import androidx.compose.foundation.lazy.items
import androidx.compose.foundation.shape.CircleShape
import androidx.compose.material3.AlertDialog
import androidx.compose.material3.HorizontalDivider
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.OutlinedTextField
import androidx.compose.material3.Scaffold
import androidx.compose.material3.Text
import androidx.compose.material3.TextButton
import androidx.compose.runtime.Composable
import androidx.compose.runtime.LaunchedEffect
import androidx.compose.runtime.collectAsState
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.remember
import androidx.compose.runtime.setValue
import androidx.compose.ui.Alignment
import androidx.compose.ui.Modifier
import androidx.compose.ui.graphics.Color
import androidx.compose.ui.text.font.FontWeight
import androidx.compose.ui.unit.dp
import dev.rowtide.Status
import dev.rowtide.examples.notes.Choice
import dev.rowtide.examples.notes.Clash
import dev.rowtide.examples.notes.Lamp
import dev.rowtide.examples.notes.Note
import dev.rowtide.examples.notes.lamp
import dev.rowtide.examples.notes.words
import kotlinx.coroutines.delay

/** The list, the note that is open, the status below, and the question where two devices clash. */
@Composable
fun NotesScreen(model: NotesModel) {
    val notes by model.notes.collectAsState()
    val status by model.status.collectAsState()
    val failure by model.failure.collectAsState()
    val clash by model.clash.collectAsState()
    var opened by remember { mutableStateOf<String?>(null) }

    Scaffold(bottomBar = { StatusLine(status, failure) }) { padding ->
        Column(Modifier.padding(padding).fillMaxSize()) {
            val note = notes.find { it.id == opened }
            if (note != null) {
                NoteEditor(note, model) { opened = null }
            } else {
                TextButton(onClick = model::add) { Text("New note") }
                LazyColumn {
                    items(notes, key = Note::id) { NoteRow(it) { opened = it.id } }
                }
            }
        }
    }
    clash?.let { ClashQuestion(it, model::choose) }
}

@Composable
private fun NoteRow(note: Note, open: () -> Unit) {
    Column(Modifier.fillMaxWidth().clickable(onClick = open).padding(horizontal = 16.dp, vertical = 10.dp)) {
        Row(verticalAlignment = Alignment.CenterVertically, horizontalArrangement = Arrangement.spacedBy(8.dp)) {
            val star = if (note.pinned) "★ " else ""
            Text(star + note.title.ifBlank { "Untitled" }, Modifier.weight(1f), fontWeight = FontWeight.Bold)
            // An unsent note has a dot until the server has it.
            if (note.unsent) Dot(MaterialTheme.colorScheme.primary)
        }
        Text(note.body.ifBlank { "No text" }, maxLines = 1, style = MaterialTheme.typography.bodyMedium)
        if (note.tags.isNotEmpty()) {
            val tags = note.tags.joinToString("  ") { "#$it" }
            Text(tags, color = MaterialTheme.colorScheme.primary, style = MaterialTheme.typography.labelMedium)
        }
    }
    HorizontalDivider()
}

/** What is typed is saved when the typing pauses; a change from elsewhere is shown where nothing is typed. */
@Composable
private fun NoteEditor(note: Note, model: NotesModel, close: () -> Unit) {
    var title by remember(note.id, note.title) { mutableStateOf(note.title) }
    var body by remember(note.id, note.body) { mutableStateOf(note.body) }
    var tags by remember(note.id, note.tags) { mutableStateOf(note.tags.joinToString(" ")) }
    fun save() {
        if (title != note.title || body != note.body) model.write(note.id, title, body)
        val names = tags.lowercase().split(' ').filter { it.isNotEmpty() }.toSet()
        if (names != note.tags.toSet()) model.tag(note.id, names)
    }
    LaunchedEffect(title, body, tags) {
        delay(400)
        save()
    }
    Column(Modifier.padding(16.dp), verticalArrangement = Arrangement.spacedBy(8.dp)) {
        Row {
            TextButton(onClick = {
                save()
                close()
            }) { Text("Back") }
            TextButton(onClick = { model.pin(note.id, !note.pinned) }) { Text(if (note.pinned) "Unpin" else "Pin") }
            TextButton(onClick = {
                model.delete(note.id)
                close()
            }) { Text("Delete") }
        }
        OutlinedTextField(title, { title = it }, Modifier.fillMaxWidth(), label = { Text("Title") }, singleLine = true)
        OutlinedTextField(tags, { tags = it }, Modifier.fillMaxWidth(), label = { Text("Tags") }, singleLine = true)
        OutlinedTextField(body, { body = it }, Modifier.fillMaxSize())
    }
}

@Composable
private fun StatusLine(status: Status?, failure: String?) {
    Row(
        Modifier.fillMaxWidth().padding(12.dp),
        verticalAlignment = Alignment.CenterVertically,
        horizontalArrangement = Arrangement.spacedBy(8.dp),
    ) {
        Dot(
            when (status?.lamp) {
                Lamp.Live -> Color(0xFF30B158)
                Lamp.Busy -> Color(0xFF0A6CFF)
                Lamp.Trouble -> Color(0xFFE5484D)
                Lamp.Offline, null -> Color.Gray
            },
        )
        Text(failure ?: status?.words ?: "Opening", style = MaterialTheme.typography.bodySmall)
    }
}

@Composable
private fun ClashQuestion(clash: Clash, choose: (Choice) -> Unit) {
    AlertDialog(
        onDismissRequest = {},
        title = { Text("“${clash.mine.title}” was changed on two devices") },
        text = { Text("Here:\n${clash.mine.body}\n\nOn the other device:\n${clash.theirs.body}") },
        confirmButton = { TextButton(onClick = { choose(Choice.Both) }) { Text("Keep both") } },
        dismissButton = {
            TextButton(onClick = { choose(Choice.Mine) }) { Text("Keep mine") }
            TextButton(onClick = { choose(Choice.Theirs) }) { Text("Take theirs") }
        },
    )
}

@Composable
private fun Dot(color: Color) {
    Box(Modifier.size(9.dp).background(color, CircleShape))
}
