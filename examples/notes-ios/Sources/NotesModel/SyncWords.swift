import Rowtide

/// How sync stands, for a lamp.
public enum Lamp: Sendable, Hashable {
    /// All is as it should be.
    case live
    /// Something is under way.
    case busy
    /// There is no network.
    case offline
    /// Somebody has to do something.
    case trouble
}

extension Rowtide.Status {
    /// The lamp of a status.
    public var lamp: Lamp {
        if automatic.connectivity == .none || health == .offline { return .offline }
        if health != .well { return .trouble }
        return pendingRows > 0 || state != .attached ? .busy : .live
    }

    /// A status in a few words.
    public var words: String {
        let refused = refusedRows > 0 ? " · \(refusedRows) refused" : ""
        return "\(place) · \(pendingRows == 0 ? "everything is sent" : "\(pendingRows) to send")\(refused)"
    }

    private var place: String {
        if automatic.connectivity == .none { return "Offline" }
        switch health {
        case .offline: return "The server cannot be reached"
        case .authRequired: return "Sign in again"
        case .serverTooOld, .tableMismatch, .blocked: return lastError ?? "Sync is blocked"
        case .well: break
        }
        switch state {
        case .anonymous: return "Signing in"
        case .hydrating, .rebuilding: return "Downloading"
        default: return automatic.watching ? "Live" : "Online"
        }
    }
}
