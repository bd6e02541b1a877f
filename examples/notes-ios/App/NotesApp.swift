import NotesUI
import SwiftUI

/// The app: add this file to an app target that depends on `NotesUI`. The README says how.
@main
struct NotesApp: App {
    private static let backgroundTask = "dev.rowtide.examples.notes.sync"

    @Environment(\.scenePhase) private var scenePhase
    @StateObject private var store: NotesStore
    private let account: Account

    init() {
        do {
            // A simulator reaches the server of its Mac there.
            account = try Account(server: URL(string: "http://127.0.0.1:8080")!, user: "ada")
        } catch {
            fatalError("the folder of the notes cannot be made: \(error)")
        }
        let account = account
        _store = StateObject(wrappedValue: NotesStore(account: account))
        account.background.register(Self.backgroundTask)
    }

    var body: some Scene {
        WindowGroup { NotesScreen(store: store) }
            .onChange(of: scenePhase) { phase in
                switch phase {
                case .active: Task { await store.open() }
                case .background: leave()
                default: break
                }
            }
    }

    /// Closes the database before the app is suspended: the system ends apps that hold a lock on a file then.
    private func leave() {
        let time = UIApplication.shared.beginBackgroundTask()
        Task {
            await store.close()
            try? account.background.schedule(Self.backgroundTask)
            UIApplication.shared.endBackgroundTask(time)
        }
    }
}
