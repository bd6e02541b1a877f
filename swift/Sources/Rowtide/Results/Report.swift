import Foundation

extension Rowtide {
    /// How an operation ended. Expected endings are values, not errors.
    public enum Outcome: Sendable, Hashable {
        /// Rows went up or came down.
        case done
        /// There was nothing to do.
        case noChange
        /// The database is attached; it started empty, or seeds the server with its next push.
        case attached
        /// The database was attached to this user already.
        case alreadyAttached
        /// Another device is seeding the server; nothing was changed. Try again after this many seconds.
        case retryLater(seconds: TimeInterval)
        /// So many rows are unsynced, so nothing was dropped. Sync first, or discard them.
        case blockedUnsyncedData(rows: Int)
        /// The database is detached and its managed tables are empty.
        case detached
        /// The budget was spent before everything was done; what is left goes on with the next operation. It says how
        /// many rows are still to be uploaded, and whether a download is unfinished or other devices' rows may be left.
        case budgetSpent(pendingRows: Int, downloadLeft: Bool)
    }

    /// What one operation did, in rows, bundles, requests and bytes of bodies.
    public struct Report: Sendable, Hashable {
        /// How it ended.
        public let outcome: Outcome
        /// Rows that the server committed for this device.
        public let pushedRows: Int
        /// Rows of other devices that were written or deleted here.
        public let pulledRows: Int
        /// Bundles that were read.
        public let pulledBundles: Int
        /// Rows that came with a snapshot.
        public let hydratedRows: Int
        /// Conflicts that were decided.
        public let conflicts: Int
        /// Rows in the inbox when it ended.
        public let refusedRows: Int
        /// HTTP requests.
        public let requests: Int
        /// Bytes of request bodies.
        public let bytesUp: Int
        /// Bytes of response bodies, decompressed.
        public let bytesDown: Int
        /// Directions in which the automatic loop is paused; an operation that the app calls works all the same.
        public let paused: Set<Direction>
    }

    /// How much one operation may cost before it stops between two durable steps. What is `nil` is not limited.
    public struct Budget: Sendable, Hashable {
        /// Seconds from its start.
        public var seconds: TimeInterval?
        /// Bytes of request and response bodies.
        public var bytes: Int?

        /// A budget of time, of bytes, or of both.
        public init(seconds: TimeInterval? = nil, bytes: Int? = nil) {
            self.seconds = seconds
            self.bytes = bytes
        }
    }

    /// This database's identity towards the server.
    public struct Source: Sendable, Hashable {
        /// The source.
        public let id: String
        /// Number of its next upload bundle.
        public let nextBundle: Int
    }
}
