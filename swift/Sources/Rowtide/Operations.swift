internal import RowtideBindings

extension Rowtide {
    /// Attaches the database to the user that the tokens belong to.
    ///
    /// Where the server has data, it is downloaded and applied before this returns; rows written before are kept as local
    /// inserts unless ``Options/anonymousRows`` says otherwise. Where the server is empty, the next ``push()`` or
    /// ``sync()`` seeds it. Interrupted anywhere, the next call goes on.
    ///
    /// - Throws: ``RowtideError/attachment(_:)`` where another user is attached; network, authentication and protocol
    ///   errors; `CancellationError`. Nothing local is changed by an attach that failed.
    @discardableResult
    public func attach(_ user: String) async throws -> Report {
        try await run { try client.attach(user: user) }
    }

    /// Downloads what is new, rebases local changes onto it, and uploads them: afterwards the server has what was written
    /// before the call. Calls at the same time share one run.
    ///
    /// - Throws: ``RowtideError``, `CancellationError`. Whatever fails, rows that the server does not have stay pending,
    ///   and the next call goes on from there.
    @discardableResult
    public func sync() async throws -> Report {
        try await run { try client.sync() }
    }

    /// Syncs for at most a budget, and stops between two durable steps when it is spent: for a background task that the
    /// system ends. The outcome is ``Outcome/budgetSpent(pendingRows:downloadLeft:)`` then, and says what is left.
    ///
    /// - Throws: As ``sync()``.
    @discardableResult
    public func sync(for budget: Budget) async throws -> Report {
        try await run { try client.syncFor(budget: budget.bridged) }
    }

    /// Uploads pending rows; downloads only where a conflict makes it necessary.
    ///
    /// - Throws: As ``sync()``.
    @discardableResult
    public func push() async throws -> Report {
        try await run { try client.push() }
    }

    /// Downloads other devices' changes and rebases pending rows onto them; uploads only what an earlier run froze.
    ///
    /// - Throws: As ``sync()``.
    @discardableResult
    public func pull() async throws -> Report {
        try await run { try client.pull() }
    }

    /// Downloads all rows anew and writes what differs; pending rows are rebased.
    ///
    /// - Throws: As ``sync()``; an interrupted rebuild is finished by the next operation.
    @discardableResult
    public func rebuild() async throws -> Report {
        try await run { try client.rebuild() }
    }

    /// Detaches from the user: the managed tables are emptied and the source is replaced. Rows that are unsynced or
    /// refused block it: the outcome is ``Outcome/blockedUnsyncedData(rows:)`` and nothing is changed.
    ///
    /// - Throws: Only ``RowtideError/database(_:)``; `CancellationError`.
    @discardableResult
    public func detach() async throws -> Report {
        try await run { try client.detach() }
    }

    /// Syncs, at most three rounds, and detaches if nothing is pending then.
    ///
    /// - Throws: As ``sync()``; still attached then.
    @discardableResult
    public func syncThenDetach() async throws -> Report {
        try await run { try client.syncThenDetach() }
    }

    /// Where the database stands. Uses no network.
    ///
    /// - Throws: Only ``RowtideError/database(_:)``.
    public func status() async throws -> Status {
        try await bridged { Status(try await client.status()) }
    }

    /// This database's identity towards the server.
    ///
    /// - Throws: Only ``RowtideError/database(_:)``.
    public func source() async throws -> Source {
        try await bridged { Source(try await client.sourceInfo()) }
    }

    /// Asks the server which generation of the protocol it speaks, `a` or `b`, and whether its tables match.
    ///
    /// - Throws: ``RowtideError/incompatible(_:)`` names the tables that differ; network, authentication and protocol
    ///   errors.
    public func checkServer() async throws -> String {
        try await bridged { try await client.checkServer() }
    }

    /// Explains in plain words what keeps rows from being synchronised, and what would let them go on; `nil` where nothing
    /// does.
    ///
    /// - Throws: Only ``RowtideError/database(_:)``.
    public func whyStuck() async throws -> String? {
        try await bridged { try await client.whyStuck() }
    }

    /// Waits for an operation. A Swift task that is cancelled stops it, and waits until it has stopped.
    private func run(_ begin: () throws -> RunningOperation) async throws -> Report {
        try Task.checkCancellation()
        return try await bridged {
            let running = try begin()
            return try await withTaskCancellationHandler {
                Report(try await running.wait())
            } onCancel: {
                running.cancel()
            }
        }
    }
}
