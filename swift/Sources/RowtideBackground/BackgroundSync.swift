import Foundation
import Rowtide

/// Syncs in the time that the system grants in the background.
///
/// The sync stops between two durable steps when its budget is spent or the system wants the time back, and the next one
/// goes on from there. The database is closed before the system is told that the work is done, so no lock on the file is
/// held while the app is suspended: the system ends apps that do (`0xDEAD10CC`).
public struct BackgroundSync: Sendable {
    /// How the work ended.
    public enum Ending: Sendable, Equatable {
        /// The sync has an outcome; where it is ``Rowtide/Rowtide/Outcome/budgetSpent(pendingRows:downloadLeft:)``,
        /// something is left.
        case synced(Rowtide.Report)
        /// The system took the time back; what was durable by then stays.
        case expired
        /// The sync failed; it is tried again with the next time that the system grants.
        case failed(RowtideError)
    }

    /// What one run may cost. The system grants a refresh about 30 seconds.
    public var budget: Rowtide.Budget
    private let open: @Sendable () async throws -> Rowtide
    private let ended: @Sendable (Ending) -> Void

    /// A sync of the database that `open` opens.
    ///
    /// - Parameters:
    ///   - budget: What one run may cost.
    ///   - open: Opens the database. It is closed at the end of each run.
    ///   - ended: Is told how each run ended, before the system is.
    public init(
        budget: Rowtide.Budget = .init(seconds: 25),
        open: @escaping @Sendable () async throws -> Rowtide,
        ended: @escaping @Sendable (Ending) -> Void = { _ in }
    ) {
        self.budget = budget
        self.open = open
        self.ended = ended
    }

    /// Runs in the time of one task of the system, and tells it when the work is done. Returns at once.
    public func run(in systemTask: some SystemTask) {
        let granted = Granted(systemTask)
        let work = Task {
            let ending = await sync()
            ended(ending)
            if case .synced = ending { granted.complete(success: true) } else { granted.complete(success: false) }
        }
        granted.onExpiration { work.cancel() }
    }

    /// Opens, syncs for the budget, and closes. A cancelled Swift task ends it as the system does.
    public func sync() async -> Ending {
        do {
            try Task.checkCancellation()
            let database = try await open()
            let result: Result<Rowtide.Report, any Error>
            do { result = .success(try await database.sync(for: budget)) } catch { result = .failure(error) }
            try await database.close()
            return .synced(try result.get())
        } catch is CancellationError {
            return .expired
        } catch let error as RowtideError {
            return .failed(error)
        } catch {
            return .failed(.internal("the database could not be opened: \(type(of: error))"))
        }
    }
}

/// A task of the system, which says that it can be completed from any thread but not to the compiler.
private final class Granted: @unchecked Sendable {
    private let task: any SystemTask

    init(_ task: any SystemTask) { self.task = task }

    func onExpiration(_ handler: @escaping @Sendable () -> Void) { task.expirationHandler = handler }
    func complete(success: Bool) { task.setTaskCompleted(success: success) }
}
