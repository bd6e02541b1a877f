internal import RowtideBindings

extension Rowtide {
    /// Lists rows that cannot be synchronised as they are, oldest first.
    ///
    /// - Throws: Only ``RowtideError/database(_:)``.
    public func refusedRows() async throws -> [RefusedRow] {
        try await bridged { try await client.refusedRows().map(RefusedRow.init) }
    }

    /// Makes all refused rows pending again; those that had left their table are put back.
    ///
    /// - Returns: How many.
    /// - Throws: ``RowtideError/database(_:)`` where a row still cannot be put back, for its parent or a unique value is
    ///   still in the way; nothing was changed then.
    @discardableResult
    public func retryRefused() async throws -> Int {
        try await bridged { Int(try await client.retryRefused()) }
    }

    /// Makes one refused row pending again, with changes to its columns.
    ///
    /// - Returns: Whether it was in the inbox.
    /// - Throws: As ``retryRefused()``; ``RowtideError/configuration(_:)`` where there is no such table or column.
    @discardableResult
    public func retryRefused(_ row: RefusedRow, changes: RowValues = [:]) async throws -> Bool {
        try await bridged {
            try await client.retryRefusedRow(table: row.table, key: row.key, changes: .init(changes))
        }
    }

    /// Gives up the local changes of all refused rows. Rows that the server never had leave their tables; what the server
    /// has comes back with the next sync, which downloads everything anew for that.
    ///
    /// - Returns: How many.
    /// - Throws: Only ``RowtideError/database(_:)``.
    @discardableResult
    public func discardRefused() async throws -> Int {
        try await bridged { Int(try await client.discardRefused()) }
    }

    /// Gives up the local change of one refused row, as ``discardRefused()`` does for all.
    ///
    /// - Returns: Whether it was in the inbox.
    /// - Throws: Of the database; ``RowtideError/configuration(_:)`` where there is no such table.
    @discardableResult
    public func discardRefused(_ row: RefusedRow) async throws -> Bool {
        try await bridged { try await client.discardRefusedRow(table: row.table, key: row.key) }
    }
}
