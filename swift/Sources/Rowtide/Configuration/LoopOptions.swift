import Foundation

extension Rowtide {
    /// Options of the automatic loop; the defaults suit an app in the foreground.
    public struct LoopOptions: Sendable, Hashable {
        /// Seconds from a local commit to the start of its upload, so that a burst of writes goes up together. Writes that
        /// never pause are uploaded after ten times this.
        public var debounce: TimeInterval
        /// Seconds between questions for news while no watch stream is open.
        public var pollInterval: TimeInterval
        /// Whether the server's watch stream is used where it has one; otherwise the server is polled.
        public var usesWatchStream: Bool
        /// A watch stream that is silent for so many seconds is taken for dead; servers send a heartbeat every 25 seconds.
        public var watchIdle: TimeInterval
        /// Seconds to wait after a first failure; they double with each further one.
        public var backoffLeast: TimeInterval
        /// The longest wait after a failure, in seconds.
        public var backoffMost: TimeInterval
        /// What happens over a metered connection.
        public var metered: MeteredUse

        /// The defaults, or what is said otherwise.
        public init(
            debounce: TimeInterval = 0.5,
            pollInterval: TimeInterval = 60,
            usesWatchStream: Bool = true,
            watchIdle: TimeInterval = 75,
            backoffLeast: TimeInterval = 1,
            backoffMost: TimeInterval = 60,
            metered: MeteredUse = .everything
        ) {
            self.debounce = debounce
            self.pollInterval = pollInterval
            self.usesWatchStream = usesWatchStream
            self.watchIdle = watchIdle
            self.backoffLeast = backoffLeast
            self.backoffMost = backoffMost
            self.metered = metered
        }
    }

    /// What the loop does over a metered connection.
    public enum MeteredUse: Sendable, Hashable {
        /// Uploads and downloads.
        case everything
        /// Uploads only.
        case uploadsOnly
        /// Nothing.
        case nothing
    }

    /// The network, as the app's platform tells it.
    public enum Connectivity: Sendable, Hashable {
        /// There is none; the loop waits.
        case none
        /// One that costs.
        case metered
        /// One that does not; also assumed until the app says otherwise.
        case unmetered
    }

    /// The two ways that rows go.
    public enum Direction: Sendable, Hashable {
        /// From here to the server.
        case uploads
        /// From the server to here.
        case downloads
    }
}
