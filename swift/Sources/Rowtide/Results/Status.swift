import Foundation

extension Rowtide {
    /// Where a database stands.
    public struct Status: Sendable, Hashable {
        /// The attached user.
        public let user: String?
        /// This database's identity at the server.
        public let sourceID: String
        /// `a` or `b` once a server was met.
        public let generation: String?
        /// The newest bundle that was read.
        public let checkpoint: Int
        /// Rows of local intent that the server does not have.
        public let pendingRows: Int
        /// Rows in the inbox.
        public let refusedRows: Int
        /// Where the state machine stands.
        public let state: State
        /// The last error's text, until an operation succeeds.
        public let lastError: String?
        /// When an operation with the server succeeded last, since the database was opened.
        public let lastSuccess: Date?
        /// What stands in the way of sync, since the database was opened.
        public let health: Health
        /// The automatic loop.
        public let automatic: Automatic
        /// Whether a transaction of the app holds the database, so that sync waits for it.
        public let transactionOpen: Bool
    }

    /// Where the state machine stands.
    public enum State: Sendable, Hashable {
        /// Not attached to a user; writes are captured.
        case anonymous
        /// A first download for a user was started and is finished by `attach`.
        case hydrating
        /// Attached, and seeding the server under a lease.
        case seeding
        /// Attached, with an upload bundle to be settled by the next sync.
        case uploading
        /// Attached, with a rebuild to be finished by the next sync.
        case rebuilding
        /// Attached and at rest.
        case attached
    }

    /// What stands in the way of sync.
    public enum Health: Sendable, Hashable {
        /// Nothing, as far as is known.
        case well
        /// The server could not be reached.
        case offline
        /// There is no valid token: sign in, then call ``Rowtide/Rowtide/credentialsChanged()``.
        case authRequired
        /// The server does not speak this protocol, or an earlier state of it.
        case serverTooOld
        /// The server's tables are not the configured ones.
        case tableMismatch
        /// Something else, which ``Status/lastError`` names.
        case blocked
    }

    /// What the automatic loop is doing.
    public struct Automatic: Sendable, Hashable {
        /// Whether it was started.
        public let running: Bool
        /// Directions that the app paused.
        public let paused: Set<Direction>
        /// The network, as the app told.
        public let connectivity: Connectivity
        /// Whether the server's watch stream is open.
        public let watching: Bool
        /// When it tries again after a failure.
        public let nextAttempt: Date?
    }
}
