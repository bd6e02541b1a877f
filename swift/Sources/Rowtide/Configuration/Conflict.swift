extension Rowtide {
    /// A row as values by the names of its columns.
    public typealias RowValues = [String: Value]

    /// A local change and the server's row that it meets.
    public struct Conflict: Sendable, Hashable {
        /// The table.
        public let table: String
        /// The key as it travels: text, or a dashed UUID.
        public let key: String
        /// The row that the local change was made on, where the table keeps it (``Table/keepsBase``) and there was one.
        public let base: RowValues?
        /// The local row; `nil` where it was deleted here.
        public let local: RowValues?
        /// The server's row; `nil` where another device deleted it.
        public let server: RowValues?
    }

    /// A decision about one conflict.
    public enum Decision: Sendable, Hashable {
        /// The server's row replaces the local change, which is dropped.
        case acceptServer
        /// The local change is uploaded on top of the server's row.
        case keepLocal
        /// The row becomes these values, all columns of the table, and is uploaded. Values that are no row of the table
        /// send the local row to the inbox, and the server's row takes its place.
        case keepMerged(RowValues)
    }

    /// Decides all conflicts of one round at once, with one decision for each, in their order.
    ///
    /// It is called with no lock and no transaction held, so it may query, ask the user, or take its time. When it throws,
    /// the operation ends with ``RowtideError/undecided(_:)`` and the rows stay pending.
    public typealias Resolver = @Sendable (_ conflicts: [Conflict]) async throws -> [Decision]
}
