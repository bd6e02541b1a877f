#if canImport(SwiftUI)
import Foundation
import NotesModel
import Rowtide
import SwiftUI

/// What the screens show, and what they ask for. The database is open only while the app is in the foreground: in the
/// background the file must not be locked, and the background task opens it itself.
@MainActor
public final class NotesStore: ObservableObject {
    @Published public private(set) var notes: [Note] = []
    @Published public private(set) var unsent: Set<String> = []
    @Published public private(set) var status: Rowtide.Status?
    @Published public private(set) var clash: Clash?
    @Published public private(set) var failure: String?
    @Published public var isOffline = false {
        didSet { notebook?.setOnline(!isOffline) }
    }

    private let account: Account
    private var notebook: Notebook?
    private var work: [Task<Void, Never>] = []
    private var answer: CheckedContinuation<Choice, any Error>?

    public init(account: Account) {
        self.account = account
    }

    /// Opens the database and shows what is in it, whatever the network does.
    public func open() async {
        guard notebook == nil else { return }
        do {
            let opened = try await Notebook.open(
                account.path, server: account.server, tokens: account.signIn.token,
                chooser: { [weak self] clash in
                    guard let self else { throw CancellationError() }
                    return try await self.ask(clash)
                })
            notebook = opened
            opened.setOnline(!isOffline)
            work = [
                Task { [weak self] in
                    do {
                        for try await notes in opened.notes { self?.notes = notes }
                    } catch {
                        self?.failure = error.localizedDescription
                    }
                },
                Task { [weak self] in
                    do {
                        for try await unsent in opened.unsent { self?.unsent = unsent }
                    } catch {
                        self?.failure = error.localizedDescription
                    }
                },
                Task { [weak self] in
                    for await status in opened.status { self?.status = status }
                },
                Task { [weak self, account] in
                    do {
                        try await opened.signIn(account.user)
                    } catch is CancellationError {
                    } catch {
                        self?.failure = error.localizedDescription
                    }
                },
            ]
        } catch {
            failure = error.localizedDescription
        }
    }

    /// Closes the database. A clash that nobody has decided stays unsent, and is asked about next time.
    public func close() async {
        let opened = notebook
        notebook = nil
        for task in work { task.cancel() }
        answer?.resume(throwing: CancellationError())
        answer = nil
        clash = nil
        try? await opened?.close()
    }

    /// A person has decided.
    public func choose(_ choice: Choice) {
        answer?.resume(returning: choice)
        answer = nil
        clash = nil
    }

    public func add() { change { try await $0.add(title: "New note") } }

    public func write(_ id: String, _ text: NoteText) { change { try await $0.write(id, text) } }

    public func tag(_ id: String, _ names: Set<String>) { change { try await $0.tag(id, names) } }

    public func pin(_ id: String, _ pinned: Bool) { change { try await $0.pin(id, pinned) } }

    public func delete(_ id: String) { change { try await $0.delete(id) } }

    private func change(_ body: @escaping @Sendable (Notebook) async throws -> Void) {
        guard let notebook else { return }
        Task {
            do { try await body(notebook) } catch { failure = error.localizedDescription }
        }
    }

    /// Called by sync, which goes on when ``choose(_:)`` is called.
    private func ask(_ clash: Clash) async throws -> Choice {
        try await withCheckedThrowingContinuation { continuation in
            answer = continuation
            self.clash = clash
        }
    }
}
#endif
