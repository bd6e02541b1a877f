package dev.rowtide

/** Why a token is asked for. */
public enum class TokenReason {
    /** The first one. */
    FirstUse,

    /** The one at hand is about to expire. */
    Expiring,

    /** The server rejected the one at hand. */
    Rejected,
}

/** The app's way to an access token. */
public fun interface TokenProvider {
    /**
     * A bearer token of the attached user. One call at a time; no lock and no transaction is held.
     *
     * Throw [TokenUnavailable] where the identity service cannot be reached (on the JVM, an `IOException` says the same):
     * the operation ends with [RowtideException.Network] and is tried again later. Anything else that is thrown ends it
     * with [RowtideException.Authentication]: the user has to sign in again. Say why without secrets.
     */
    public suspend fun token(reason: TokenReason): String
}

/** No token can be had now, though the user is signed in: the identity service cannot be reached. */
public class TokenUnavailable(message: String, cause: Throwable? = null) : RuntimeException(message, cause)
