import Foundation

/// Why a call failed. No acknowledged local write is lost by any of them; what is pending stays pending.
///
/// The text says what happened and what to do, without row contents, keys and tokens.
public enum RowtideError: Error, Sendable, Hashable {
    /// The options, the arguments, or the schema they name cannot be used. The text names table, column and mend.
    case configuration(String)
    /// The database is open elsewhere. Close that one first.
    case alreadyOwned(String)
    /// SQLite, the disk, or SQL of the app.
    case database(String)
    /// The server could not be reached or broke off. Try again later.
    case network(String)
    /// No valid token. Sign in again, then call ``Rowtide/Rowtide/credentialsChanged()`` or `sync`.
    case authentication(String)
    /// The server refused or failed; with its word for it, where it gave one, and the seconds that it asked to wait.
    case server(String, code: String?, retryAfter: TimeInterval?)
    /// The server answered against the protocol, or this database's numbering is not the server's. Nothing was applied.
    case `protocol`(String)
    /// The server does not speak this protocol, or its tables are not the configured ones. Update the app or the server.
    case incompatible(String)
    /// The database is attached to no user, or to another one. Attach, or detach first.
    case attachment(String)
    /// Conflicts are not decided: they kept coming, or the resolver failed. The rows are pending; sync again.
    case undecided(String)
    /// The object was closed, or a bug inside.
    case `internal`(String)

    /// What happened, and what to do.
    public var message: String {
        switch self {
        case .configuration(let text), .alreadyOwned(let text), .database(let text), .network(let text),
            .authentication(let text), .server(let text, _, _), .protocol(let text), .incompatible(let text),
            .attachment(let text), .undecided(let text), .internal(let text):
            text
        }
    }

    /// Whether the same call may succeed later without anything being changed.
    public var isRetryable: Bool {
        switch self {
        case .network, .undecided: true
        case .server(_, _, let retryAfter): retryAfter != nil
        default: false
        }
    }
}

extension RowtideError: LocalizedError, CustomStringConvertible {
    /// The message.
    public var errorDescription: String? { message }

    /// The message.
    public var description: String { message }
}
