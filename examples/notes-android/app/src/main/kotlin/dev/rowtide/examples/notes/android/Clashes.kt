package dev.rowtide.examples.notes.android

import dev.rowtide.examples.notes.Choice
import dev.rowtide.examples.notes.Chooser
import dev.rowtide.examples.notes.Clash
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow

/** The clash that waits for a person. In the background nobody is there: both texts are kept. */
class Clashes : Chooser {
    private val shown = MutableStateFlow<Clash?>(null)
    private var answer: CompletableDeferred<Choice>? = null

    /** What the screen has to ask; `null` where there is nothing. */
    val waiting: StateFlow<Clash?> = shown.asStateFlow()

    /** Whether a screen is there to ask. A question that is open when it goes is answered with both texts. */
    @Volatile
    var someoneIsThere: Boolean = false
        set(value) {
            field = value
            if (!value) choose(Choice.Both)
        }

    /** Called by sync, from any thread; it goes on when [choose] is called. */
    override suspend fun choose(clash: Clash): Choice {
        if (!someoneIsThere) return Choice.Both
        val waiting = CompletableDeferred<Choice>()
        answer = waiting
        shown.value = clash
        try {
            return waiting.await()
        } finally {
            shown.value = null
        }
    }

    /** A person has decided. */
    fun choose(choice: Choice) {
        answer?.complete(choice)
    }
}
