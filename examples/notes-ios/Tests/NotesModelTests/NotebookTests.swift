import Foundation
import NotesModel
import Rowtide
import Testing

@Suite("Notes")
struct NotebookTests {
    /// `examples/notes/serve`, as the test script started it.
    let server: URL

    init() throws {
        let url = try #require(
            ProcessInfo.processInfo.environment["NOTES_SERVER"], "start examples/notes/serve and say where it listens")
        server = try #require(URL(string: url))
    }

    @Test("two devices show the same notes without being asked, go offline, and settle a conflict")
    func twoDevices() async throws {
        let user = UUID().uuidString
        let clashes = Clashes()
        let phone = try await open(user) { _ in throw Unexpected() }
        let tablet = try await open(user) { clash in
            await clashes.append(clash)
            return .both
        }
        async let signedIn: Void = phone.signIn(user)
        try await tablet.signIn(user)
        try await signedIn

        let id = try await phone.add(title: "Groceries", body: "milk")
        try await phone.tag(id, ["home"])
        let came = try await tablet.first { $0.first?.tags == ["home"] }
        #expect(came.map(\.title) == ["Groceries"])

        try await tablet.pin(id, true)
        _ = try await phone.first { $0.first?.pinned == true }

        tablet.setOnline(false)
        try await tablet.write(id, NoteText(title: "Groceries", body: "milk\nbread"))
        for try await unsent in tablet.unsent where unsent == [id] { break }
        for await status in tablet.status where status.pendingRows == 1 {
            #expect(status.words == "Offline · 1 to send")
            #expect(status.lamp == .offline)
            break
        }
        try await phone.write(id, NoteText(title: "Groceries", body: "milk\napples"))
        for await status in phone.status where status.pendingRows == 0 { break }

        tablet.setOnline(true)
        let merged = "milk\napples\n\nmilk\nbread"
        _ = try await tablet.first { $0.first?.body == merged }
        for try await unsent in tablet.unsent where unsent.isEmpty { break }
        let settled = try await phone.first { $0.first?.body == merged }
        #expect(settled.first?.pinned == true)
        let asked = await clashes.all
        #expect(asked.map(\.mine.body) == ["milk\nbread"])
        #expect(asked.map(\.theirs.body) == ["milk\napples"])

        try await phone.delete(id)
        _ = try await tablet.first { $0.isEmpty }
        try await phone.close()
        try await tablet.close()
    }

    private func open(_ user: String, chooser: @escaping Chooser) async throws -> Notebook {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).db").path
        let signIn = DemoSignIn(server: server, user: user)
        return try await Notebook.open(path, server: server, tokens: signIn.token, chooser: chooser)
    }
}

private actor Clashes {
    private(set) var all: [Clash] = []
    func append(_ clash: Clash) { all.append(clash) }
}

private struct Unexpected: Error {}

extension Notebook {
    /// The first state of the notes that fulfils a condition.
    fileprivate func first(where condition: ([Note]) -> Bool) async throws -> [Note] {
        for try await notes in notes where condition(notes) { return notes }
        throw Unexpected()
    }
}
