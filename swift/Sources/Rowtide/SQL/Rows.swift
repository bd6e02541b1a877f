import Foundation
internal import RowtideBindings

extension Rowtide {
    /// Rows of a query, read a page at a time while they are iterated. Each iteration runs the query.
    public struct Rows: AsyncSequence, Sendable {
        /// A row.
        public typealias Element = Row

        let begin: @Sendable () async throws -> QueryResult

        /// Begins an iteration; the query runs with the first call of `next`.
        public func makeAsyncIterator() -> Iterator { Iterator(begin: begin) }

        /// Reads one row after the other. Forgetting it ends the query.
        public struct Iterator: AsyncIteratorProtocol {
            private let begin: @Sendable () async throws -> QueryResult
            private var names: ColumnNames?
            private var rest: QueryPages?
            private var values: [Value] = []
            private var place = 0
            private var rowsLeft: Int64 = 0

            init(begin: @escaping @Sendable () async throws -> QueryResult) { self.begin = begin }

            /// The next row; `nil` after the last.
            ///
            /// - Throws: ``RowtideError/database(_:)`` with SQLite's text; `CancellationError`.
            public mutating func next() async throws -> Row? {
                if names == nil {
                    try Task.checkCancellation()
                    let begin = self.begin
                    let result = try await bridged { try await begin() }
                    names = ColumnNames(result.columns)
                    rest = result.rest
                    try take(result.first)
                }
                while rowsLeft == 0 {
                    guard let pages = rest else { return nil }
                    try Task.checkCancellation()
                    try take(try await bridged { try await pages.next() })
                }
                guard let names else { return nil }
                defer {
                    place += names.list.count
                    rowsLeft -= 1
                }
                return Row(names: names, values: values[place..<place + names.list.count])
            }

            private mutating func take(_ page: RowPage) throws {
                values = try PackedCells.unpack(page.cells)
                guard values.count == Int(page.rows) * (names?.list.count ?? 0) else {
                    throw RowtideError.internal("a page has \(values.count) cells for \(page.rows) rows")
                }
                place = 0
                rowsLeft = page.rows
                if !page.more { rest = nil }
            }
        }
    }
}

/// A page ends with the row that reaches this many bytes.
let pageBytes: Int64 = 256 << 10

extension Rowtide.Execution {
    init(_ execution: RowtideBindings.Execution) {
        self.init(changedRows: Int(execution.changedRows), lastInsertRowID: execution.lastInsertRowid)
    }
}

/// The arguments of a batch in one block, and how many belong to a statement.
func packed(_ batch: [Rowtide.Arguments]) throws -> (cells: Data, width: Int64) {
    let width = batch.first?.count ?? 0
    guard batch.allSatisfy({ $0.count == width }) else {
        throw RowtideError.configuration("the lists of a batch have different lengths")
    }
    return (PackedCells.pack(batch.lazy.joined().map { $0?.sqlValue ?? .null }), Int64(width))
}
