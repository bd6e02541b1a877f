internal import RowtideBindings

extension Rowtide: Rowtide.Connection {
    /// Runs one statement. Durable on return; in a synchronised table it is captured for upload.
    ///
    /// - Throws: ``RowtideError/database(_:)`` with SQLite's text; nothing was changed then.
    @discardableResult
    public func execute(_ sql: String, _ arguments: Arguments) async throws -> Execution {
        try await database.run(sql, arguments)
    }

    /// Runs one statement for each list of arguments, in one transaction and one call of the core.
    ///
    /// - Returns: The number of changed rows.
    /// - Throws: ``RowtideError/database(_:)`` with SQLite's text, ``RowtideError/configuration(_:)`` where the lists are
    ///   not of one length. Nothing was changed then.
    @discardableResult
    public func executeBatch(_ sql: String, _ batch: [Arguments]) async throws -> Int {
        try await database.run(sql, batch)
    }

    /// Runs a query on a connection for reading, and answers its rows as they are read.
    public func rows(_ sql: String, _ arguments: Arguments) -> Rows {
        database.rows(sql, arguments)
    }

    /// Runs several statements separated by semicolons, in one transaction.
    ///
    /// - Returns: The number of changed rows.
    /// - Throws: ``RowtideError/database(_:)`` with SQLite's text; nothing was changed then.
    @discardableResult
    public func executeScript(_ sql: String) async throws -> Int {
        try await database.run(script: sql)
    }

    /// Runs a body in one write transaction: committed when it returns, rolled back when it throws or the Swift task is
    /// cancelled.
    ///
    /// The transaction holds the only writer, and sync waits for it: keep it short, and do not wait for the network in it.
    /// Use what is passed to the body; the database itself would wait for the transaction.
    ///
    /// - Parameters:
    ///   - deadline: Seconds after which it is rolled back, whatever the body does.
    ///   - body: What happens in it.
    /// - Throws: What the body throws; ``RowtideError/database(_:)`` also where the deadline has passed;
    ///   `CancellationError`. Nothing was changed then.
    public func transaction<T: Sendable>(
        deadline: Double = 5, _ body: @Sendable (Transaction) async throws -> T
    ) async throws -> T {
        try Task.checkCancellation()
        let held = try await bridged { try await database.transaction(deadlineMs: milliseconds(deadline)) }
        do {
            let result = try await body(Transaction(held: held))
            try Task.checkCancellation()
            try await bridged { try await held.commit() }
            return result
        } catch {
            held.rollback()
            throw error
        }
    }

    /// A write transaction, for as long as the body of ``transaction(deadline:_:)`` runs.
    public struct Transaction: Connection {
        let held: RowtideBindings.Transaction

        /// Runs one statement.
        ///
        /// - Throws: ``RowtideError/database(_:)`` with SQLite's text, and the transaction goes on; or its deadline has
        ///   passed.
        @discardableResult
        public func execute(_ sql: String, _ arguments: Arguments) async throws -> Execution {
            let cells = PackedCells.pack(arguments.values)
            return try await bridged { Execution(try await held.execute(sql: sql, cells: cells)) }
        }

        /// Runs one statement for each list of arguments.
        ///
        /// - Returns: The number of changed rows.
        /// - Throws: As ``execute(_:_:)``; the rows before the one that failed stay changed in the transaction.
        @discardableResult
        public func executeBatch(_ sql: String, _ batch: [Arguments]) async throws -> Int {
            guard !batch.isEmpty else { return 0 }
            let (cells, width) = try packed(batch)
            return try await bridged { Int(try await held.executeBatch(sql: sql, cells: cells, width: width)) }
        }

        /// Runs a query that sees the transaction's own writes; it may write itself (`RETURNING`).
        public func rows(_ sql: String, _ arguments: Arguments) -> Rows {
            let cells = PackedCells.pack(arguments.values)
            return Rows { [held] in try await held.query(sql: sql, cells: cells, pageBytes: pageBytes) }
        }
    }
}

extension Rowtide {
    /// The database while it is prepared: owned, not yet checked and synchronised. See ``Options/prepare``.
    public struct LocalDatabase: Connection {
        let database: Database

        /// Runs one statement. Durable on return.
        ///
        /// - Throws: ``RowtideError/database(_:)`` with SQLite's text; nothing was changed then.
        @discardableResult
        public func execute(_ sql: String, _ arguments: Arguments) async throws -> Execution {
            try await database.run(sql, arguments)
        }

        /// Runs one statement for each list of arguments, in one transaction.
        ///
        /// - Returns: The number of changed rows.
        /// - Throws: ``RowtideError/database(_:)`` with SQLite's text; nothing was changed then.
        @discardableResult
        public func executeBatch(_ sql: String, _ batch: [Arguments]) async throws -> Int {
            try await database.run(sql, batch)
        }

        /// Runs a query.
        public func rows(_ sql: String, _ arguments: Arguments) -> Rows {
            database.rows(sql, arguments)
        }

        /// Runs several statements separated by semicolons, in one transaction.
        ///
        /// - Returns: The number of changed rows.
        /// - Throws: ``RowtideError/database(_:)`` with SQLite's text; nothing was changed then.
        @discardableResult
        public func executeScript(_ sql: String) async throws -> Int {
            try await database.run(script: sql)
        }

        /// Changes the app's schema: runs statements in one transaction in which foreign keys are not enforced, so that a
        /// table can be rebuilt (created anew, filled, dropped and renamed). Foreign keys are checked before it is
        /// committed, and capture goes on. A change that is made while rows are copied into the new table is not captured:
        /// update them in the old one first.
        ///
        /// - Returns: The number of changed rows.
        /// - Throws: ``RowtideError/database(_:)`` with SQLite's text; ``RowtideError/configuration(_:)`` where rows refer
        ///   to nothing afterwards. Nothing was changed then.
        @discardableResult
        public func migrate(_ sql: String) async throws -> Int {
            try await bridged { Int(try await database.migrate(sql: sql)) }
        }
    }
}

extension Database {
    fileprivate func run(_ sql: String, _ arguments: Rowtide.Arguments) async throws -> Rowtide.Execution {
        try Task.checkCancellation()
        let cells = PackedCells.pack(arguments.values)
        return try await bridged { Rowtide.Execution(try await execute(sql: sql, cells: cells)) }
    }

    fileprivate func run(_ sql: String, _ batch: [Rowtide.Arguments]) async throws -> Int {
        try Task.checkCancellation()
        guard !batch.isEmpty else { return 0 }
        let (cells, width) = try packed(batch)
        return try await bridged { Int(try await executeBatch(sql: sql, cells: cells, width: width)) }
    }

    fileprivate func run(script: String) async throws -> Int {
        try Task.checkCancellation()
        return try await bridged { Int(try await executeScript(sql: script)) }
    }

    fileprivate func rows(_ sql: String, _ arguments: Rowtide.Arguments) -> Rowtide.Rows {
        let cells = PackedCells.pack(arguments.values)
        return Rowtide.Rows { try await self.query(sql: sql, cells: cells, pageBytes: pageBytes) }
    }
}
