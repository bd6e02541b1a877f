import Foundation
internal import RowtideBindings

// What the app says, in the core's types.

extension Rowtide.Options {
    var bridged: ClientConfig {
        ClientConfig(
            url: server.absoluteString,
            schema: schema,
            tables: tables.map(\.bridged),
            anonymousRows: anonymousRows.bridged,
            hydrate: hydrate.bridged,
            unknownColumns: unknownColumns.bridged,
            installation: installation,
            limits: limits.bridged,
            extraRoots: extraRoots
        )
    }
}

extension Rowtide.TransferLimits {
    var bridged: RowtideBindings.TransferLimits {
        .init(
            uploadRows: Int64(uploadRows),
            uploadBytes: Int64(uploadBytes),
            downloadRows: Int64(downloadRows),
            downloadBytes: Int64(downloadBytes),
            pullBundles: Int64(pullBundles),
            responseBytes: Int64(responseBytes)
        )
    }
}

extension Rowtide.Table {
    var bridged: SyncTable {
        let (policy, rules) = conflicts.bridged
        return SyncTable(name: name, key: key, policy: policy, rules: rules, keepBase: keepsBase)
    }
}

extension Rowtide.ConflictPolicy {
    fileprivate var bridged: (RowtideBindings.ConflictPolicy, [MergeRule]) {
        switch self {
        case .serverWins: (.serverWins, [])
        case .clientWins: (.clientWins, [])
        case .merge(let rules): (.merge, rules.map { MergeRule(column: $0, rule: $1.bridged) })
        case .resolver: (.callback, [])
        }
    }
}

extension Rowtide.ColumnRule {
    fileprivate var bridged: RowtideBindings.ColumnRule {
        switch self {
        case .theirs: .theirs
        case .mine: .mine
        case .max: .max
        case .min: .min
        case .sumOfDeltas: .sumOfDeltas
        case .setUnion: .setUnion
        }
    }
}

extension Rowtide.AnonymousRows {
    fileprivate var bridged: RowtideBindings.AnonymousRows {
        switch self {
        case .keep: .keep
        case .discard: .discard
        case .refuse: .refuse
        }
    }
}

extension Rowtide.Hydrate {
    fileprivate var bridged: RowtideBindings.Hydrate {
        switch self {
        case .atOnce: .atOnce
        case .progressive: .progressive
        }
    }
}

extension Rowtide.UnknownColumns {
    fileprivate var bridged: RowtideBindings.UnknownColumns {
        switch self {
        case .refuse: .refuse
        case .keep: .keep
        }
    }
}

extension Rowtide.LoopOptions {
    var bridged: RowtideBindings.LoopOptions {
        .init(
            debounceMs: milliseconds(debounce),
            pollIntervalMs: milliseconds(pollInterval),
            watch: usesWatchStream,
            watchIdleMs: milliseconds(watchIdle),
            backoffLeastMs: milliseconds(backoffLeast),
            backoffMostMs: milliseconds(backoffMost),
            metered: metered.bridged
        )
    }
}

extension Rowtide.MeteredUse {
    fileprivate var bridged: RowtideBindings.MeteredUse {
        switch self {
        case .everything: .everything
        case .uploadsOnly: .uploadsOnly
        case .nothing: .nothing
        }
    }
}

extension Rowtide.Connectivity {
    var bridged: RowtideBindings.Connectivity {
        switch self {
        case .none: .none
        case .metered: .metered
        case .unmetered: .unmetered
        }
    }
}

extension Rowtide.Direction {
    var bridged: RowtideBindings.Direction {
        switch self {
        case .uploads: .uploads
        case .downloads: .downloads
        }
    }
}

extension Rowtide.Budget {
    var bridged: RowtideBindings.Budget {
        .init(milliseconds: seconds.map(milliseconds), bytes: bytes.map(Int64.init))
    }
}

extension Rowtide.Decision {
    var bridged: RowtideBindings.Decision {
        switch self {
        case .acceptServer: .acceptServer
        case .keepLocal: .keepLocal
        case .keepMerged(let row): .keepMerged(row: .init(row))
        }
    }
}

/// Seconds as the core counts them; what is not finite or too long is as long as it gets.
func milliseconds(_ seconds: TimeInterval) -> Int64 {
    Int64(exactly: (seconds * 1000).rounded()) ?? (seconds > 0 ? .max : 0)
}
