extension Rowtide {
    /// Why a token is asked for.
    public enum TokenReason: Sendable, Hashable {
        /// The first one.
        case firstUse
        /// The one at hand is about to expire.
        case expiring
        /// The server rejected the one at hand: a cached one will not do.
        case rejected
    }

    /// Gives a bearer token for the attached user. Called with no lock and no transaction held, one call at a time.
    ///
    /// Throw ``TokenError/denied(_:)`` where the user has to sign in again. Any other error counts as a network that is
    /// not there: it is tried again later. Cancellation reaches it when the operation that asks is cancelled.
    public typealias TokenProvider = @Sendable (_ reason: TokenReason) async throws -> String

    /// Why there is no token.
    public enum TokenError: Error, Sendable, Hashable {
        /// The identity service cannot be reached; the operation ends with ``RowtideError/network(_:)``.
        case offline(String)
        /// The user has to sign in again; the operation ends with ``RowtideError/authentication(_:)``. The text goes into
        /// the error, so keep secrets out of it.
        case denied(String)
    }
}
