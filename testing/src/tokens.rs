//! Tokens that the server gave out, and the one question about them: whose are they now.

use async_trait::async_trait;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use rowtide::{Clock, TokenError, TokenProvider, TokenReason};
use rowtide_server::{AuthError, Authenticator, JwtAuthenticator};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const SECRET: &[u8] = b"a secret of the tests";
/// 2100-01-01, in seconds since 1970.
const FAR_AWAY: i64 = 4_102_444_800;

struct Issued {
    user: String,
    /// Seconds since 1970.
    expires_at: i64,
    rejected: bool,
}

#[derive(Default)]
struct Book {
    issued: HashMap<String, Issued>,
    /// How often a user's tokens were rejected, so that the next one is another.
    rejections: HashMap<String, i64>,
}

/// JSON Web Tokens with an expiry that a client can read, accepted by looking them up: expiry follows the server's
/// clock, and any of them can be rejected.
pub(crate) struct IssuedTokens {
    jwt: JwtAuthenticator,
    clock: Arc<dyn Clock>,
    book: Mutex<Book>,
}

impl IssuedTokens {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { jwt: JwtAuthenticator::hs256(SECRET), clock, book: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same token until it is rejected.
    pub(crate) fn lasting(&self, user: &str) -> String {
        let turn = self.lock().rejections.get(user).copied().unwrap_or(0);
        self.issue(user, FAR_AWAY + turn)
    }

    pub(crate) fn expiring_in(&self, user: &str, lifetime: Duration) -> String {
        let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(FAR_AWAY);
        self.issue(user, (self.clock.now_ms() / 1000).saturating_add(lifetime))
    }

    fn issue(&self, user: &str, expires_at: i64) -> String {
        let token = self.jwt.sign(user, expires_at).expect("HS256 signs every text and number");
        let issued = Issued { user: user.to_owned(), expires_at, rejected: false };
        self.lock().issued.entry(token.clone()).or_insert(issued);
        token
    }

    pub(crate) fn reject(&self, user: &str) {
        let mut book = self.lock();
        book.issued
            .values_mut()
            .filter(|issued| issued.user == user)
            .for_each(|issued| issued.rejected = true);
        *book.rejections.entry(user.to_owned()).or_default() += 1;
    }
}

#[async_trait]
impl Authenticator for IssuedTokens {
    async fn authenticate(&self, headers: &HeaderMap) -> Result<String, AuthError> {
        let header =
            headers.get(AUTHORIZATION).ok_or_else(|| AuthError("Authorization header required".into()))?;
        let bearer = header.to_str().ok().and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let token = bearer.ok_or_else(|| AuthError("Authorization must be a Bearer token".into()))?;
        let now = self.clock.now_ms() / 1000;
        match self.lock().issued.get(token) {
            Some(issued) if issued.rejected => Err(AuthError("the token was rejected".into())),
            Some(issued) if issued.expires_at <= now => Err(AuthError("the token has expired".into())),
            Some(issued) if issued.user.trim().is_empty() => Err(AuthError("the token names no user".into())),
            Some(issued) => Ok(issued.user.clone()),
            None => Err(AuthError("the token was not given out by this server".into())),
        }
    }
}

/// A user who is signed in: hands [`TestServer::token`](crate::TestServer::token) to a client, and a fresh one after a
/// rejection.
#[derive(Clone)]
pub struct TestTokens {
    pub(crate) issued: Arc<IssuedTokens>,
    pub(crate) user: String,
}

#[async_trait]
impl TokenProvider for TestTokens {
    async fn token(&self, _: TokenReason) -> Result<String, TokenError> {
        Ok(self.issued.lasting(&self.user))
    }
}
