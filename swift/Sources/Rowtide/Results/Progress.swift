extension Rowtide {
    /// Progress of a long operation. Totals are there where they are known.
    public struct Progress: Sendable, Hashable {
        /// The operation that makes it.
        public let activity: Activity
        /// What is being done.
        public let phase: Phase
        /// Rows so far.
        public let rows: Int
        /// Rows in all.
        public let totalRows: Int?
        /// Bytes so far.
        public let bytes: Int
        /// Bytes in all.
        public let totalBytes: Int?
    }

    /// Operations, as progress names them.
    public enum Activity: Sendable, Hashable {
        /// `attach`.
        case attach
        /// `sync`, and the rounds of the automatic loop.
        case sync
        /// `push`.
        case push
        /// `pull`.
        case pull
        /// `rebuild`.
        case rebuild
        /// `detach` and `syncThenDetach`.
        case detach
    }

    /// Phases of long operations.
    public enum Phase: Sendable, Hashable {
        /// Uploading the frozen bundle.
        case upload
        /// Fetching the committed bundle back.
        case replay
        /// Reading other devices' bundles.
        case pull
        /// Downloading a snapshot into the stage.
        case download
        /// Applying the stage.
        case apply
    }
}
