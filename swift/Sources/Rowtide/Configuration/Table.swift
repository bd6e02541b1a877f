extension Rowtide {
    /// A table to synchronise. It must exist before ``Rowtide/open(_:options:)``, and have a sole primary key that is `TEXT` or a `BLOB` of 16 bytes.
    public struct Table: Sendable, Hashable {
        /// Its name, without a schema.
        public var name: String
        /// The primary key's column.
        public var key: String
        /// Who wins where a local change meets another device's change on the same row.
        public var conflicts: ConflictPolicy
        /// Keeps each row as it was before its first unsynchronised change, so that a resolver gets it as
        /// ``Conflict/base``. Costs a second copy of what is unsynchronised. Tables that merge do so anyway.
        public var keepsBase: Bool

        /// A table by its name and the column of its primary key.
        public init(_ name: String, key: String, conflicts: ConflictPolicy = .serverWins, keepsBase: Bool = false) {
            self.name = name
            self.key = key
            self.conflicts = conflicts
            self.keepsBase = keepsBase
        }
    }

    /// Who wins where a local change meets another device's change on the same row.
    public enum ConflictPolicy: Sendable, Hashable {
        /// The server's row replaces the local change.
        case serverWins
        /// The local change is kept and uploaded on top of the server's row.
        case clientWins
        /// Column by column, from the row that the local change was made on: a column that only one side changed takes
        /// that change, one that both changed follows its rule, or ``ColumnRule/theirs`` where it has none. An edit
        /// survives a delete of the other side.
        case merge([String: ColumnRule] = [:])
        /// ``Options/resolver`` decides row by row.
        case resolver
    }

    /// What becomes of a column that both sides changed, in a table that merges.
    public enum ColumnRule: Sendable, Hashable {
        /// The server's value.
        case theirs
        /// The local value.
        case mine
        /// The larger one of both, numbers as numbers, text byte by byte; any value is larger than `NULL`.
        case max
        /// The smaller one of both; any value is preferred to `NULL`.
        case min
        /// Both changes of a number added up: a counter. `NULL` counts as 0.
        case sumOfDeltas
        /// The JSON array of both sides as a set: what either added is in it, what either removed is not.
        case setUnion
    }

    /// What happens to rows that were written while signed out, when the server turns out to have data.
    public enum AnonymousRows: Sendable, Hashable {
        /// They stay and are uploaded as local inserts on top of the server's data.
        case keep
        /// They are deleted and the server's data takes their place.
        case discard
        /// ``Rowtide/Rowtide/attach(_:)`` changes nothing and reports ``Outcome/blockedUnsyncedData(rows:)``.
        case refuse
    }

    /// How the rows of a first download become visible.
    public enum Hydrate: Sendable, Hashable {
        /// All in one transaction, after the last one came: nobody sees a part. The app's own writes wait for it, seconds
        /// for a million rows.
        case atOnce
        /// A slice a transaction, rows before those that refer to them; the app's own writes wait for one slice only.
        /// Until ``Rowtide/Rowtide/attach(_:)`` returns, the app sees a part of the server's rows.
        case progressive
    }

    /// What happens to columns of the server that this version of the app lacks.
    public enum UnknownColumns: Sendable, Hashable {
        /// Sync stops with ``RowtideError/incompatible(_:)``; nothing is lost.
        case refuse
        /// Their values are kept by row, sent back unchanged with every change of the row, and moved into the column
        /// once the app has it. A row of the server may lack columns too, and takes their defaults here.
        case keep
    }
}
