import Foundation
import Rowtide

/// The notes of one device: everything that the app does with its database. It knows nothing of screens.
public struct Notebook: Sendable {
    private let database: Rowtide

    /// Opens or creates the database.
    ///
    /// - Parameters:
    ///   - path: Its file.
    ///   - server: The server.
    ///   - tokens: The way to access tokens; see ``DemoSignIn``.
    ///   - chooser: Decides between two texts of one note.
    public static func open(
        _ path: String, server: URL, tokens: @escaping Rowtide.TokenProvider, chooser: @escaping Chooser
    ) async throws -> Notebook {
        Notebook(database: try await openDatabase(path, server: server, tokens: tokens, chooser: chooser))
    }

    /// The database alone, as a background task needs it.
    public static func openDatabase(
        _ path: String, server: URL, tokens: @escaping Rowtide.TokenProvider, chooser: @escaping Chooser
    ) async throws -> Rowtide {
        let tables = [
            // The base is what both sides began with, so that a column that only one side changed is no conflict.
            Rowtide.Table("notes", key: "id", conflicts: .resolver, keepsBase: true),
            Rowtide.Table("tags", key: "id"),
        ]
        var options = Rowtide.Options(server: server, schema: "business", tables: tables, tokens: tokens)
        options.resolver = NoteConflicts(chooser: chooser).resolve
        options.prepare = { try await $0.executeScript(String(decoding: PackageResources.schema_sql, as: UTF8.self)) }
        return try await Rowtide.open(path, options: options)
    }

    /// All notes: at once, and again whenever they change, whoever changed them.
    public var notes: Rowtide.Results<[Note]> {
        database.observe(["notes", "tags"]) { try await $0.query(Note.self, Note.all, as: Note.coding) }
    }

    /// Where sync stands: at once, and again after every change.
    public var status: Rowtide.Changes<Rowtide.Status> { database.statusChanges }

    /// Keys of the notes that the server does not have as they are here: at once, and again after every change of the
    /// status, which is what sending a row changes.
    public var unsent: AsyncThrowingMapSequence<Rowtide.Changes<Rowtide.Status>, Set<String>> {
        status.map { [database] _ in Set(try await database.query(Note.unsent).compactMap { $0[0].string }) }
    }

    /// Signs in, and syncs by itself from then on. Needs the network once for each user; where there is none, it keeps
    /// trying until its Swift task is cancelled. Notes can be read and written all the while.
    public func signIn(_ user: String) async throws {
        while true {
            var wait: TimeInterval = 3
            do {
                guard case .retryLater(let seconds) = try await database.attach(user).outcome else { break }
                wait = seconds
            } catch let error as RowtideError where error.isRetryable {}
            try await Task.sleep(nanoseconds: UInt64(wait * 1e9))
        }
        database.start()
    }

    /// Writes a new note, and answers its key. It is durable when this returns, with or without a network.
    @discardableResult
    public func add(title: String, body: String = "") async throws -> String {
        let id = UUID().uuidString.lowercased()
        try await database.execute(
            "INSERT INTO notes (id, title, body, updated) VALUES (?, ?, ?, ?)", [id, title, body, now])
        return id
    }

    /// Changes a note's text.
    public func write(_ id: String, _ text: NoteText) async throws {
        try await database.execute(
            "UPDATE notes SET title = ?, body = ?, updated = ? WHERE id = ?", [text.title, text.body, now, id])
    }

    /// Pins a note to the top of the list, or lets it go.
    public func pin(_ id: String, _ pinned: Bool) async throws {
        try await database.execute("UPDATE notes SET pinned = ?, updated = ? WHERE id = ?", [pinned, now, id])
    }

    /// Gives a note these tags and no others.
    public func tag(_ id: String, _ names: Set<String>) async throws {
        try await database.transaction { transaction in
            let rows = try await transaction.query("SELECT name FROM tags WHERE note_id = ?", [id])
            let present = Set(rows.compactMap { $0[0].string })
            for name in present.subtracting(names) {
                try await transaction.execute("DELETE FROM tags WHERE id = ?", ["\(id)/\(name)"])
            }
            for name in names.subtracting(present) {
                try await transaction.execute(
                    "INSERT INTO tags (id, note_id, name) VALUES (?, ?, ?)", ["\(id)/\(name)", id, name])
            }
        }
    }

    /// Deletes a note; its tags go with it.
    public func delete(_ id: String) async throws {
        try await database.execute("DELETE FROM notes WHERE id = ?", [id])
    }

    /// Tells sync of the network, as the platform does.
    public func setOnline(_ online: Bool) {
        database.setConnectivity(online ? .unmetered : .none)
    }

    /// Closes the database, when what runs has ended.
    public func close() async throws {
        try await database.close()
    }

    private var now: Int64 { Int64(Date().timeIntervalSince1970 * 1000) }
}
