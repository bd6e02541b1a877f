#if canImport(BackgroundTasks) && !os(macOS)
import BackgroundTasks
import Foundation

extension BGTask: SystemTask {}

extension BackgroundSync {
    /// What kind of time the system is asked for.
    public enum Kind: Sendable, Equatable {
        /// About 30 seconds, when the system thinks that the app is opened soon.
        case refresh
        /// Minutes, when the device is at rest.
        case processing(requiresPower: Bool)
    }

    /// Tells the system what to run. Call it once, before the app has finished launching; `identifier` is listed in the
    /// Info.plist under `BGTaskSchedulerPermittedIdentifiers`. Each run asks for the next one.
    ///
    /// - Parameters:
    ///   - identifier: The name of the work.
    ///   - kind: What kind of time is asked for.
    ///   - interval: Seconds to the next run at the earliest.
    /// - Returns: Whether the system knows the identifier.
    @discardableResult
    public func register(_ identifier: String, kind: Kind = .refresh, every interval: TimeInterval = 15 * 60) -> Bool {
        BGTaskScheduler.shared.register(forTaskWithIdentifier: identifier, using: nil) { task in
            // What the system does not take now, it takes when the app next goes to the background.
            try? schedule(identifier, kind: kind, earliest: Date(timeIntervalSinceNow: interval))
            run(in: task)
        }
    }

    /// Asks the system for time. Call it when the app goes to the background.
    ///
    /// - Parameters:
    ///   - identifier: The name of the work, as it was registered.
    ///   - kind: What kind of time is asked for.
    ///   - earliest: When it may begin.
    /// - Throws: The system's refusal (`BGTaskScheduler.Error`): too many requests, or an unknown identifier.
    public func schedule(_ identifier: String, kind: Kind = .refresh, earliest: Date? = nil) throws {
        let request: BGTaskRequest
        switch kind {
        case .refresh:
            request = BGAppRefreshTaskRequest(identifier: identifier)
        case .processing(let requiresPower):
            let processing = BGProcessingTaskRequest(identifier: identifier)
            processing.requiresNetworkConnectivity = true
            processing.requiresExternalPower = requiresPower
            request = processing
        }
        request.earliestBeginDate = earliest
        try BGTaskScheduler.shared.submit(request)
    }
}
#endif
