import Foundation
import Rowtide

/// A note of the tests' app.
struct Note: Codable, Sendable, Equatable {
    var id: String
    var title: String
    var stars: Int = 0
}

/// A device of the tests' app: a folder with a database, gone when it is forgotten.
final class Device: Sendable {
    static let schema = """
        CREATE TABLE IF NOT EXISTS notes (
            id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL, stars INTEGER NOT NULL DEFAULT 0
        );
        """

    let folder: URL
    let options: Rowtide.Options
    /// Runs for as long as its devices are there.
    private let server: Server

    var path: String { folder.appendingPathComponent("app.db").path }

    /// - Parameter change: What is different from an app whose user is signed in for good.
    init(_ server: Server, user: String = "ada", change: (inout Rowtide.Options) -> Void = { _ in }) throws {
        self.server = server
        folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let tables = [Rowtide.Table("notes", key: "id")]
        var options = Rowtide.Options(server: server.url, schema: "business", tables: tables) { _ in Token.of(user) }
        options.prepare = { try await $0.executeScript(Device.schema) }
        change(&options)
        self.options = options
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    func open() async throws -> Rowtide {
        try await Rowtide.open(path, options: options)
    }

    /// Opens the database for as long as the body runs.
    func use<T: Sendable>(_ body: (Rowtide) async throws -> T) async throws -> T {
        let database = try await open()
        do {
            let result = try await body(database)
            try await database.close()
            return result
        } catch {
            try? await database.close()
            throw error
        }
    }
}

extension Rowtide {
    func notes() async throws -> [Note] {
        try await query(Note.self, "SELECT * FROM notes ORDER BY id")
    }

    /// Notes with numbers for titles, enough of them for an upload or download of many steps.
    func insertNotes(_ count: Int) async throws {
        try await insert(rows: (0..<count).map { Note(id: "n\($0)", title: "\($0)") }, into: "notes")
    }
}
