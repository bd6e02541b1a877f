import Foundation

extension Rowtide {
    /// What opening a database needs to know.
    public struct Options: Sendable {
        /// The server, `http` or `https`; a path prefix is kept.
        public var server: URL
        /// The server's schema that holds the tables.
        public var schema: String
        /// The tables to synchronise; others stay on this device.
        public var tables: [Table]
        /// The way to access tokens. Without one every operation with the server fails with
        /// ``RowtideError/authentication(_:)``.
        public var tokens: TokenProvider?
        /// Decides conflicts of tables with ``ConflictPolicy/resolver``.
        public var resolver: Resolver?
        /// Creates and migrates the app's tables: runs at every opening, before the tables are checked.
        public var prepare: (@Sendable (LocalDatabase) async throws -> Void)?
        /// What happens to rows that were written while signed out, when the server turns out to have data.
        public var anonymousRows: AnonymousRows = .keep
        /// How the rows of a first download become visible.
        public var hydrate: Hydrate = .atOnce
        /// What happens to columns of the server that this version of the app lacks.
        public var unknownColumns: UnknownColumns = .refuse
        /// Names this installation of the app, by anything that a backup of the phone does not carry over to another
        /// phone. Without it a file beside the database (`<database>-rowtide-installation`) tells: leave that out of
        /// backups.
        public var installation: String?
        /// Sizes of requests and responses.
        public var limits = TransferLimits()
        /// PEM texts of root certificates that are trusted beside Mozilla's.
        public var extraRoots: [String] = []

        /// The server, its schema, the tables, and the way to tokens; what else there is has a default.
        public init(server: URL, schema: String, tables: [Table], tokens: TokenProvider? = nil) {
            self.server = server
            self.schema = schema
            self.tables = tables
            self.tokens = tokens
        }
    }

    /// Sizes of requests and responses. The server's own limits are kept as well.
    public struct TransferLimits: Sendable, Hashable {
        /// Rows of one upload chunk at most.
        public var uploadRows = 5_000
        /// Bytes of one upload chunk at most; one row may be larger.
        public var uploadBytes = 2 << 20
        /// Rows of one snapshot or replay page at most.
        public var downloadRows = 2_000
        /// Bytes of one snapshot chunk at most, where the server can be asked for it.
        public var downloadBytes = 4 << 20
        /// Bundles of one pull page at most.
        public var pullBundles = 1_000
        /// Bytes of any response at most; a larger one is an error.
        public var responseBytes = 256 << 20

        /// Sizes that suit a phone.
        public init() {}
    }
}
