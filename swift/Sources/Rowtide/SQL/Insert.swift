import Foundation

extension Rowtide {
    /// What an insert does where a row with the same key is there.
    public enum ExistingRow: Sendable, Hashable {
        /// It fails, and nothing is changed.
        case fail
        /// The row that is there stays as it is.
        case keep
        /// The properties that are inserted replace those of the row; its other columns stay. Says which columns are the
        /// key.
        case update(key: String)
    }
}

extension Rowtide.Connection {
    /// Inserts an `Encodable` value: its properties are the columns.
    ///
    /// - Throws: ``RowtideError/database(_:)`` with SQLite's text; `EncodingError`. Nothing was changed then.
    public func insert<T: Encodable & Sendable>(
        _ row: T, into table: String, existing: Rowtide.ExistingRow = .fail, as coding: Rowtide.Coding = .standard
    ) async throws {
        try await insert(rows: [row], into: table, existing: existing, as: coding)
    }

    /// Inserts `Encodable` values in one transaction: their properties are the columns.
    ///
    /// - Returns: How many rows were written.
    /// - Throws: ``RowtideError/database(_:)`` with SQLite's text; `EncodingError`. Nothing was changed then.
    @discardableResult
    public func insert<T: Encodable & Sendable>(
        rows: [T], into table: String, existing: Rowtide.ExistingRow = .fail, as coding: Rowtide.Coding = .standard
    ) async throws -> Int {
        let encoded = try rows.map { try coding.columns(of: $0) }
        guard let columns = encoded.first?.map(\.name) else { return 0 }
        guard encoded.allSatisfy({ $0.map(\.name) == columns }) else {
            throw RowtideError.configuration("the rows for \(table) have different columns; insert them one by one")
        }
        return try await executeBatch(
            insertStatement(table, columns, existing), encoded.map { row in row.map { $0.value } })
    }
}

func insertStatement(_ table: String, _ columns: [String], _ existing: Rowtide.ExistingRow) -> String {
    let names = columns.map(quoted).joined(separator: ", ")
    let marks = Array(repeating: "?", count: columns.count).joined(separator: ", ")
    let insert = "INSERT INTO \(quoted(table)) (\(names)) VALUES (\(marks))"
    switch existing {
    case .fail:
        return insert
    case .keep:
        return insert + " ON CONFLICT DO NOTHING"
    case .update(let key):
        let others = columns.filter { $0 != key }.map { "\(quoted($0)) = excluded.\(quoted($0))" }
        let change = others.isEmpty ? "NOTHING" : "UPDATE SET " + others.joined(separator: ", ")
        return insert + " ON CONFLICT (\(quoted(key))) DO \(change)"
    }
}

private func quoted(_ name: String) -> String {
    "\"" + name.replacingOccurrences(of: "\"", with: "\"\"") + "\""
}
