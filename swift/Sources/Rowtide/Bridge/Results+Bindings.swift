import Foundation
internal import RowtideBindings

// What the core says, in the app's types.

extension Rowtide.Outcome {
    init(_ outcome: RowtideBindings.Outcome) {
        switch outcome {
        case .done: self = .done
        case .noChange: self = .noChange
        case .attached: self = .attached
        case .alreadyAttached: self = .alreadyAttached
        case .retryLater(let seconds): self = .retryLater(seconds: TimeInterval(seconds))
        case .blockedUnsyncedData(let rows): self = .blockedUnsyncedData(rows: Int(rows))
        case .detached: self = .detached
        case .budgetSpent(let pendingRows, let downloadLeft):
            self = .budgetSpent(pendingRows: Int(pendingRows), downloadLeft: downloadLeft)
        }
    }
}

extension Rowtide.Report {
    init(_ report: RowtideBindings.Report) {
        self.init(
            outcome: .init(report.outcome),
            pushedRows: Int(report.pushedRows),
            pulledRows: Int(report.pulledRows),
            pulledBundles: Int(report.pulledBundles),
            hydratedRows: Int(report.hydratedRows),
            conflicts: Int(report.conflicts),
            refusedRows: Int(report.refusedRows),
            requests: Int(report.requests),
            bytesUp: Int(report.bytesUp),
            bytesDown: Int(report.bytesDown),
            paused: Set(report.paused.map(Rowtide.Direction.init))
        )
    }
}

extension Rowtide.Source {
    init(_ source: SourceInfo) {
        self.init(id: source.sourceId, nextBundle: Int(source.nextSourceBundleId))
    }
}

extension Rowtide.Status {
    init(_ status: RowtideBindings.Status) {
        self.init(
            user: status.user,
            sourceID: status.sourceId,
            generation: status.generation,
            checkpoint: Int(status.checkpoint),
            pendingRows: Int(status.pendingRows),
            refusedRows: Int(status.refusedRows),
            state: .init(status.state),
            lastError: status.lastError,
            lastSuccess: status.lastSuccessMs.map(date),
            health: .init(status.health),
            automatic: .init(
                running: status.automatic,
                paused: Set(status.paused.map(Rowtide.Direction.init)),
                connectivity: .init(status.connectivity),
                watching: status.watching,
                nextAttempt: status.nextAttemptMs.map(date)
            ),
            transactionOpen: status.transactionOpen
        )
    }
}

extension Rowtide.State {
    fileprivate init(_ state: RowtideBindings.State) {
        self =
            switch state {
            case .anonymous: .anonymous
            case .hydrating: .hydrating
            case .seeding: .seeding
            case .uploading: .uploading
            case .rebuilding: .rebuilding
            case .attached: .attached
            }
    }
}

extension Rowtide.Health {
    fileprivate init(_ health: RowtideBindings.Health) {
        self =
            switch health {
            case .well: .well
            case .offline: .offline
            case .authRequired: .authRequired
            case .serverTooOld: .serverTooOld
            case .tableMismatch: .tableMismatch
            case .blocked: .blocked
            }
    }
}

extension Rowtide.Connectivity {
    fileprivate init(_ connectivity: RowtideBindings.Connectivity) {
        self =
            switch connectivity {
            case .none: .none
            case .metered: .metered
            case .unmetered: .unmetered
            }
    }
}

extension Rowtide.Direction {
    fileprivate init(_ direction: RowtideBindings.Direction) {
        self =
            switch direction {
            case .uploads: .uploads
            case .downloads: .downloads
            }
    }
}

extension Rowtide.Progress {
    init(_ progress: RowtideBindings.Progress) {
        self.init(
            activity: .init(progress.activity),
            phase: .init(progress.phase),
            rows: Int(progress.rows),
            totalRows: progress.totalRows.map { Int($0) },
            bytes: Int(progress.bytes),
            totalBytes: progress.totalBytes.map { Int($0) }
        )
    }
}

extension Rowtide.Activity {
    fileprivate init(_ activity: RowtideBindings.Activity) {
        self =
            switch activity {
            case .attach: .attach
            case .sync: .sync
            case .push: .push
            case .pull: .pull
            case .rebuild: .rebuild
            case .detach: .detach
            }
    }
}

extension Rowtide.Phase {
    fileprivate init(_ phase: RowtideBindings.Phase) {
        self =
            switch phase {
            case .upload: .upload
            case .replay: .replay
            case .pull: .pull
            case .download: .download
            case .apply: .apply
            }
    }
}

extension Rowtide.RefusedRow {
    init(_ row: RowtideBindings.RefusedRow) throws {
        self.init(
            table: row.table,
            key: row.key,
            reason: .init(row.reason),
            message: row.message,
            content: try row.content?.unpacked(),
            inTable: row.inTable,
            refusedAt: date(row.refusedAtMs)
        )
    }
}

extension Rowtide.RefusedReason {
    fileprivate init(_ reason: RowtideBindings.RefusedReason) {
        self =
            switch reason {
            case .invalidValue: .invalidValue
            case .serverRefused: .serverRefused
            case .refusedTogether: .refusedTogether
            case .parentMissing: .parentMissing
            case .uniqueCollision: .uniqueCollision
            case .invalidResolution: .invalidResolution
            }
    }
}

extension Rowtide.TokenReason {
    init(_ reason: RowtideBindings.TokenReason) {
        self =
            switch reason {
            case .firstUse: .firstUse
            case .expiring: .expiring
            case .rejected: .rejected
            }
    }
}

extension Rowtide.Conflict {
    init(_ conflict: RowConflict) throws {
        self.init(
            table: conflict.table,
            key: conflict.key,
            base: try conflict.base?.unpacked(),
            local: try conflict.local?.unpacked(),
            server: try conflict.server?.unpacked()
        )
    }
}

private func date(_ milliseconds: Int64) -> Date {
    Date(timeIntervalSince1970: TimeInterval(milliseconds) / 1000)
}
