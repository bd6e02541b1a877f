internal import RowtideBindings

extension Rowtide {
    /// How much is logged: a level and those above it.
    public enum LogLevel: Sendable, Hashable {
        /// Nothing.
        case off
        /// Bugs.
        case error
        /// What the app should know: failing listeners, databases that were restored.
        case warn
        /// Operations and their outcome.
        case info
        /// Requests, waits and retries.
        case debug
        /// Everything.
        case trace
    }

    /// A line of the log. It holds no row contents, keys and tokens.
    public struct LogLine: Sendable, Hashable {
        /// How grave it is.
        public let level: LogLevel
        /// The module it comes from.
        public let target: String
        /// The text.
        public let message: String
    }

    /// Logs from a level on, for all databases of the process: to a sink or, without one, to the unified log on Apple's
    /// systems and nowhere elsewhere. Can be called again to change either.
    ///
    /// - Parameters:
    ///   - level: How much is logged.
    ///   - sink: Gets the lines in order, on one thread. Be quick: where more than a thousand lines wait, lines are left
    ///     out.
    public static func log(_ level: LogLevel, to sink: (@Sendable (LogLine) -> Void)? = nil) {
        setLog(level: level.bridged, sink: sink.map(LogLines.init))
    }
}

extension Rowtide.LogLevel {
    init(_ level: RowtideBindings.LogLevel) {
        self =
            switch level {
            case .off: .off
            case .error: .error
            case .warn: .warn
            case .info: .info
            case .debug: .debug
            case .trace: .trace
            }
    }

    fileprivate var bridged: RowtideBindings.LogLevel {
        switch self {
        case .off: .off
        case .error: .error
        case .warn: .warn
        case .info: .info
        case .debug: .debug
        case .trace: .trace
        }
    }
}
