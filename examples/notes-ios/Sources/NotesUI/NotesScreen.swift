#if canImport(SwiftUI)
import NotesModel
import Rowtide
import SwiftUI

/// The list of notes, with the status below it.
public struct NotesScreen: View {
    @ObservedObject private var store: NotesStore

    public init(store: NotesStore) {
        self.store = store
    }

    public var body: some View {
        VStack(spacing: 0) {
            NavigationView {
                List(store.notes) { note in
                    NavigationLink(destination: NoteScreen(note: note, store: store)) { NoteRow(note: note, isUnsent: store.unsent.contains(note.id)) }
                        .swipeActions(edge: .trailing) {
                            Button("Delete", role: .destructive) { store.delete(note.id) }
                        }
                        .swipeActions(edge: .leading) {
                            Button(note.pinned ? "Unpin" : "Pin") { store.pin(note.id, !note.pinned) }.tint(.orange)
                        }
                }
                .navigationTitle("Notes")
                .toolbar {
                    Button(action: store.add) { Label("New note", systemImage: "square.and.pencil") }
                }
            }
            StatusBar(store: store)
        }
        .sheet(isPresented: .constant(store.clash != nil)) {
            if let clash = store.clash { ClashSheet(clash: clash, choose: store.choose) }
        }
    }
}

struct NoteRow: View {
    let note: Note
    let isUnsent: Bool

    var body: some View {
        VStack(alignment: .leading, spacing: 3) {
            HStack {
                if note.pinned { Image(systemName: "star.fill").foregroundColor(.orange).imageScale(.small) }
                Text(note.title.isEmpty ? "Untitled" : note.title).font(.headline)
                Spacer()
                if isUnsent { Circle().fill(Color.accentColor).frame(width: 7, height: 7) }
                Text(note.updated, style: .time).font(.caption).foregroundColor(.secondary)
            }
            Text(note.body.isEmpty ? "No text" : note.body).lineLimit(1).font(.subheadline).foregroundColor(.secondary)
            if !note.tags.isEmpty {
                Text(note.tags.map { "#\($0)" }.joined(separator: "  ")).font(.caption).foregroundColor(.accentColor)
            }
        }
        .padding(.vertical, 2)
    }
}

/// How sync stands, how much waits, and the switch that takes the network away.
struct StatusBar: View {
    @ObservedObject var store: NotesStore

    var body: some View {
        HStack {
            Circle().fill(color).frame(width: 9, height: 9)
            Text(store.failure ?? store.status?.words ?? "Opening").font(.footnote)
            Spacer()
            Toggle("Offline", isOn: $store.isOffline).font(.footnote).fixedSize()
        }
        .padding(.horizontal)
        .padding(.vertical, 6)
    }

    private var color: Color {
        switch store.status?.lamp {
        case .live: .green
        case .busy: .blue
        case .trouble: .red
        case .offline, nil: .gray
        }
    }
}
#endif
