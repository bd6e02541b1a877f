package dev.rowtide.examples.notes.android

import android.app.Application
import androidx.lifecycle.AndroidViewModel
import androidx.lifecycle.viewModelScope
import dev.rowtide.RowtideException
import dev.rowtide.Status
import dev.rowtide.examples.notes.Choice
import dev.rowtide.examples.notes.Clash
import dev.rowtide.examples.notes.Note
import dev.rowtide.examples.notes.Notebook
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.launch

/** What the screen shows, and what it asks for. */
class NotesModel(application: Application) : AndroidViewModel(application) {
    private val app = application as NotesApplication
    private val notebook = CompletableDeferred<Notebook>()
    private val shownNotes = MutableStateFlow<List<Note>>(emptyList())
    private val shownStatus = MutableStateFlow<Status?>(null)
    private val shownFailure = MutableStateFlow<String?>(null)

    /** All notes. */
    val notes: StateFlow<List<Note>> = shownNotes.asStateFlow()

    /** Where sync stands; `null` until the database is open. */
    val status: StateFlow<Status?> = shownStatus.asStateFlow()

    /** What went wrong, for a person to read. */
    val failure: StateFlow<String?> = shownFailure.asStateFlow()

    /** The clash to be decided. */
    val clash: StateFlow<Clash?> = app.clashes.waiting

    init {
        app.clashes.someoneIsThere = true
        work {
            val opened = Notebook(app.rowtideClient())
            notebook.complete(opened)
            work { opened.notes.collect { shownNotes.value = it } }
            work { opened.status.collect { shownStatus.value = it } }
            opened.signIn(NotesApplication.USER)
        }
    }

    override fun onCleared() {
        app.clashes.someoneIsThere = false
    }

    fun add() = change { add("New note") }

    fun write(id: String, title: String, body: String) = change { write(id, title, body) }

    fun tag(id: String, names: Set<String>) = change { tag(id, names) }

    fun pin(id: String, pinned: Boolean) = change { pin(id, pinned) }

    fun delete(id: String) = change { delete(id) }

    fun choose(choice: Choice) = app.clashes.choose(choice)

    private fun change(body: suspend Notebook.() -> Unit) = work { notebook.await().body() }

    private fun work(body: suspend () -> Unit) {
        viewModelScope.launch {
            try {
                body()
            } catch (failure: RowtideException) {
                shownFailure.value = failure.message
            }
        }
    }
}
