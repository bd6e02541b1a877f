internal import RowtideBindings

/// Runs a call of the core; what it throws becomes an error of ours. The core's word for a cancellation becomes Swift's.
func bridged<T: Sendable>(_ call: () async throws -> T) async throws -> T {
    do {
        return try await call()
    } catch {
        throw RowtideError.of(error)
    }
}

extension RowtideError {
    /// What the app gets for an error.
    static func of(_ error: any Error) -> any Error {
        guard let error = error as? RowtideBindings.RowtideError else {
            // Swift's own, ours, or a panic that UniFFI has caught.
            let isKnown = error is CancellationError || error is RowtideError
            return isKnown ? error : RowtideError.internal("the core failed: \(error)")
        }
        switch error {
        case .Configuration(let reason): return RowtideError.configuration(reason)
        case .AlreadyOwned(let reason): return RowtideError.alreadyOwned(reason)
        case .Database(let reason): return RowtideError.database(reason)
        case .Network(let reason): return RowtideError.network(reason)
        case .Authentication(let reason): return RowtideError.authentication(reason)
        case .Server(let reason, let code, let retryAfterSeconds):
            return RowtideError.server(reason, code: code, retryAfter: retryAfterSeconds.map(Double.init))
        case .Protocol(let reason): return RowtideError.protocol(reason)
        case .Incompatible(let reason): return RowtideError.incompatible(reason)
        case .Attachment(let reason): return RowtideError.attachment(reason)
        case .Undecided(let reason): return RowtideError.undecided(reason)
        case .Cancelled: return CancellationError()
        case .Internal(let reason): return RowtideError.internal(reason)
        }
    }
}
