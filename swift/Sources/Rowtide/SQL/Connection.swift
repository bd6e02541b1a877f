import Foundation
internal import RowtideBindings

extension Rowtide {
    /// What statements run on: the open database, a transaction, or the database while it is prepared.
    public protocol Connection: Sendable {
        /// Runs one statement. Outside a transaction it is durable on return; in a synchronised table it is captured for
        /// upload.
        ///
        /// - Parameters:
        ///   - sql: One statement, with a `?` for each argument.
        ///   - arguments: Values of the question marks.
        /// - Throws: ``RowtideError/database(_:)`` with SQLite's text; nothing was changed then.
        @discardableResult
        func execute(_ sql: String, _ arguments: Arguments) async throws -> Execution

        /// Runs one statement for each list of arguments, in one transaction and one call of the core.
        ///
        /// - Parameters:
        ///   - sql: One statement.
        ///   - batch: Lists of arguments, all of one length.
        /// - Returns: The number of changed rows.
        /// - Throws: ``RowtideError/database(_:)`` with SQLite's text, ``RowtideError/configuration(_:)`` where the lists
        ///   are not of one length. Nothing was changed then; inside a transaction, the rows before the one that failed
        ///   stay changed.
        @discardableResult
        func executeBatch(_ sql: String, _ batch: [Arguments]) async throws -> Int

        /// Runs a query and answers its rows as they are read, a page of at most a quarter of a megabyte at a time: memory
        /// does not grow with their number. All rows are of the state that the first one saw.
        ///
        /// - Throws: While it is iterated: ``RowtideError/database(_:)`` with SQLite's text, also where a minute has
        ///   passed between two pages; `CancellationError`.
        func rows(_ sql: String, _ arguments: Arguments) -> Rows
    }

    /// What one statement did.
    public struct Execution: Sendable, Hashable {
        /// Rows that it changed, without those that triggers or foreign keys changed.
        public let changedRows: Int
        /// The rowid of the row that was inserted last, by this statement or an earlier one; 0 before any.
        public let lastInsertRowID: Int64
    }
}

extension Rowtide.Connection {
    /// Runs one statement without arguments; see ``execute(_:_:)``.
    ///
    /// - Throws: ``RowtideError/database(_:)`` with SQLite's text; nothing was changed then.
    @discardableResult
    public func execute(_ sql: String) async throws -> Rowtide.Execution {
        try await execute(sql, [])
    }

    /// Runs a query without arguments; see ``rows(_:_:)``.
    public func rows(_ sql: String) -> Rowtide.Rows { rows(sql, []) }

    /// Runs a query and answers all of its rows.
    ///
    /// - Throws: ``RowtideError/database(_:)`` with SQLite's text. Outside a transaction a statement that writes is
    ///   refused.
    public func query(_ sql: String, _ arguments: Rowtide.Arguments = []) async throws -> [Rowtide.Row] {
        var all: [Rowtide.Row] = []
        for try await row in rows(sql, arguments) { all.append(row) }
        return all
    }

    /// Runs a query and answers all of its rows as instances of a `Decodable` type; see ``Rowtide/Row/decode(_:as:)``.
    ///
    /// - Throws: As ``query(_:_:)``; `DecodingError`, which names the column.
    public func query<T: Decodable>(
        _ type: T.Type, _ sql: String, _ arguments: Rowtide.Arguments = [], as coding: Rowtide.Coding = .standard
    ) async throws -> [T] {
        try await query(sql, arguments).decode(type, as: coding)
    }

    /// Runs a query and answers its first row; `nil` where it has none.
    ///
    /// - Throws: As ``query(_:_:)``.
    public func first(_ sql: String, _ arguments: Rowtide.Arguments = []) async throws -> Rowtide.Row? {
        for try await row in rows(sql, arguments) { return row }
        return nil
    }

    /// Runs a query and answers its first row as an instance of a `Decodable` type; `nil` where it has none. A row of one
    /// column may be a plain value: `first(Int.self, "SELECT count(*) FROM notes")`.
    ///
    /// - Throws: As ``query(_:_:)``; `DecodingError`, which names the column.
    public func first<T: Decodable>(
        _ type: T.Type, _ sql: String, _ arguments: Rowtide.Arguments = [], as coding: Rowtide.Coding = .standard
    ) async throws -> T? {
        try await first(sql, arguments)?.decode(type, as: coding)
    }
}
