import Foundation

extension Rowtide {
    /// A row of the inbox: one that cannot be synchronised as it is.
    public struct RefusedRow: Sendable, Hashable {
        /// The table.
        public let table: String
        /// The key as it travels: text, or a dashed UUID.
        public let key: String
        /// Why.
        public let reason: RefusedReason
        /// Why, and what to do.
        public let message: String
        /// What was meant; `nil` where the row was deleted.
        public let content: RowValues?
        /// Whether the row is still in its table; one that constraints forbade to stay is only here.
        public let inTable: Bool
        /// When it came into the inbox.
        public let refusedAt: Date
    }

    /// Why a row is in the inbox.
    public enum RefusedReason: Sendable, Hashable {
        /// A value has no form on the wire: an infinite number, or a storage class that the column does not declare.
        case invalidValue
        /// The server refused the row for good: a constraint, a forbidden value, its size, or a rule of its own.
        case serverRefused
        /// The row belongs together with a refused one: it refers to it, or one local transaction wrote both.
        case refusedTogether
        /// A row that it refers to was deleted on another device.
        case parentMissing
        /// Another device stored a row with the same unique value first.
        case uniqueCollision
        /// The resolver's answer was not a row of the table; the server's row took its place.
        case invalidResolution
    }
}
