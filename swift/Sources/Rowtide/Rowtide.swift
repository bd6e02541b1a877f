import Foundation
internal import RowtideBindings

/// An app's database, and its way to the server.
///
/// The app reads and writes with ``Connection/query(_:_:)`` and ``execute(_:_:)``, online or not; what it writes to the tables of
/// ``Options/tables`` is captured and goes up with the next ``sync()``, or by itself after ``start(_:)``. One object owns
/// the file: a second ``open(_:options:)`` of it fails at once, in this process and in others.
///
/// Operations run one at a time, the next waits for the one before. Cancelling the Swift task that waits for an operation
/// stops it between two durable steps, and throws `CancellationError`; the next operation goes on from there.
///
/// The object is `Sendable` and cheap to pass around. What all references forget is closed, but when is not said: call
/// ``close()`` where it matters.
public final class Rowtide: Sendable {
    let database: Database
    let client: Client

    private init(database: Database, client: Client) {
        self.database = database
        self.client = client
    }

    /// Opens or creates the file, checks the options against it, and starts to capture writes. No network is used.
    ///
    /// ``Options/prepare`` runs first: it creates and migrates the app's tables. Nothing else is written before every
    /// check has passed. Afterwards the file has Rowtide's own tables (their names begin with `_rowtide_`) and triggers.
    ///
    /// - Parameters:
    ///   - path: The file. Its folder must exist.
    ///   - options: Server, tables, tokens, and what suits the app.
    /// - Throws: ``RowtideError/alreadyOwned(_:)`` where it is open elsewhere; ``RowtideError/configuration(_:)`` where a
    ///   table cannot be synchronised, with table, column and mend; ``RowtideError/database(_:)``; what `prepare` throws.
    public static func open(_ path: String, options: Options) async throws -> Rowtide {
        let database = try await bridged { try await Database.open(path: path) }
        do {
            try await options.prepare?(LocalDatabase(database: database))
            let client = try await bridged {
                try await database.connect(
                    config: options.bridged,
                    tokens: options.tokens.map(TokenAnswers.init),
                    resolver: options.resolver.map(ConflictAnswers.init)
                )
            }
            return Rowtide(database: database, client: client)
        } catch {
            try? await database.close()
            throw error
        }
    }

    /// Stops the loop, ends observations, waits for what runs, and closes the file. Any further call fails with
    /// ``RowtideError/internal(_:)``. Calling it again does nothing.
    ///
    /// - Throws: Never, but for a bug inside.
    public func close() async throws {
        try await bridged {
            try await client.close()
            try await database.close()
        }
    }

    /// Takes Rowtide out of a file that is not open: its tables, views and triggers are dropped, the app's stay as they
    /// are. What the server does not have yet is never uploaded.
    ///
    /// - Returns: Whether there was anything to drop.
    /// - Throws: ``RowtideError/alreadyOwned(_:)``; ``RowtideError/configuration(_:)`` where a trigger or view of the app
    ///   refers to Rowtide's tables. Nothing was changed then.
    public static func uninstall(_ path: String) async throws -> Bool {
        try await bridged {
            let database = try await Database.open(path: path)
            do {
                let dropped = try await database.uninstallSync()
                try await database.close()
                return dropped
            } catch {
                try? await database.close()
                throw error
            }
        }
    }

    /// Version of the core.
    public static var coreVersion: String { RowtideBindings.coreVersion() }
}
