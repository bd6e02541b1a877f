#if canImport(SwiftUI)
import NotesModel
import SwiftUI

/// One note. What is typed is saved when the typing pauses and when the screen is left.
///
/// A change that comes from another device is shown at once, unless there is typing that is not saved yet: that is saved
/// on top of it.
struct NoteScreen: View {
    let note: Note
    let store: NotesStore
    @State private var text: NoteText
    @State private var saved: NoteText
    @State private var tags: String

    init(note: Note, store: NotesStore) {
        self.note = note
        self.store = store
        let text = NoteText(title: note.title, body: note.body)
        _text = State(initialValue: text)
        _saved = State(initialValue: text)
        _tags = State(initialValue: note.tags.joined(separator: " "))
    }

    var body: some View {
        VStack(alignment: .leading) {
            TextField("Title", text: $text.title).font(.title2.bold())
            TextField("Tags", text: $tags).font(.footnote).foregroundColor(.accentColor).onSubmit(saveTags)
            TextEditor(text: $text.body)
        }
        .padding(.horizontal)
        .task(id: text) {
            do {
                try await Task.sleep(nanoseconds: 400_000_000)
                save()
            } catch {
                // Typing goes on; the next pause saves it.
            }
        }
        .onChange(of: note) { now in
            let theirs = NoteText(title: now.title, body: now.body)
            if text == saved { text = theirs }
            saved = theirs
        }
        .onDisappear(perform: save)
    }

    private func save() {
        guard text != saved else { return }
        saved = text
        store.write(note.id, text)
    }

    private func saveTags() {
        store.tag(note.id, Set(tags.lowercased().split(separator: " ").map(String.init)))
    }
}

/// Shows both texts of a clash until a person has decided.
struct ClashSheet: View {
    let clash: Clash
    let choose: (Choice) -> Void

    var body: some View {
        VStack(alignment: .leading, spacing: 16) {
            Text("“\(clash.mine.title)” was changed on two devices").font(.headline)
            side("On this device", clash.mine)
            side("On the other device", clash.theirs)
            Spacer()
            HStack {
                Button("Keep mine") { choose(.mine) }
                Spacer()
                Button("Take theirs") { choose(.theirs) }
                Spacer()
                Button("Keep both") { choose(.both) }.buttonStyle(.borderedProminent)
            }
        }
        .padding()
        .interactiveDismissDisabled()
    }

    private func side(_ name: String, _ text: NoteText) -> some View {
        VStack(alignment: .leading) {
            Text(name).font(.caption).foregroundColor(.secondary)
            Text(text.body.isEmpty ? text.title : text.body)
        }
    }
}
#endif
