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
    /// Throw ``TokenError/offline(_:)`` where the identity service cannot be reached (a `URLError` says the same): the
    /// operation ends with ``RowtideError/network(_:)`` and is tried again later. Anything else that is thrown ends it with
    /// ``RowtideError/authentication(_:)``: the user has to sign in again. When the operation that asks is cancelled, the
    /// answer counts for nothing.
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
