//! Tokens (design D9): asked for with the reason, one refresh in flight, a rejected one replaced once.

use crate::clock::Clock;
use crate::simulation::{mutated, mutation::Mutation};
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Mutex;

/// A token is replaced when it has less than this left.
const EXPIRY_MARGIN_MS: i64 = 30_000;

/// Why a token is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenReason {
    /// The first one.
    FirstUse,
    /// The one at hand is about to expire.
    Expiring,
    /// The server rejected the one at hand.
    Rejected,
}

/// The host cannot give a token now. The operation ends with an error; nothing is lost.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The identity service cannot be reached; reported as a network error, to be tried again later.
    #[error("{0}")]
    Offline(String),
    /// The user has to sign in again; reported as an authentication error. Say why without secrets.
    #[error("{0}")]
    Denied(String),
}

/// The host's way to an access token. Called without any lock or transaction held, one call at a time.
#[async_trait]
pub trait TokenProvider: Send + Sync + 'static {
    /// Returns a bearer token for the attached user.
    ///
    /// # Errors
    /// No token is to be had; say why without secrets.
    async fn token(&self, reason: TokenReason) -> Result<String, TokenError>;
}

#[derive(Debug, Clone)]
struct Token {
    text: String,
    expires_at_ms: Option<i64>,
}

/// Keeps the current token.
pub(crate) struct Authorizer {
    provider: Arc<dyn TokenProvider>,
    clock: Arc<dyn Clock>,
    current: Mutex<Option<Token>>,
    /// The current token may be another user's: it is not used any more.
    forgotten: AtomicBool,
}

impl Authorizer {
    pub(crate) fn new(provider: Arc<dyn TokenProvider>, clock: Arc<dyn Clock>) -> Self {
        Self { provider, clock, current: Mutex::new(None), forgotten: AtomicBool::new(false) }
    }

    /// The current token, a fresh one where there is none or it is about to expire.
    pub(crate) async fn token(&self) -> Result<String, TokenError> {
        let mut current = self.current.lock().await;
        if self.forgotten.swap(false, Ordering::Relaxed) {
            *current = None;
        }
        let reason = match current.as_ref() {
            None => TokenReason::FirstUse,
            Some(token) => match token.expires_at_ms {
                Some(end) if end - self.clock.now_ms() < EXPIRY_MARGIN_MS => TokenReason::Expiring,
                _ => return Ok(token.text.clone()),
            },
        };
        self.refresh(&mut current, reason).await
    }

    /// Forgets the current token: it may be another user's.
    pub(crate) fn forget(&self) {
        self.forgotten.store(true, Ordering::Relaxed);
    }

    /// A token to use after the server rejected `rejected`; another call's refresh counts.
    pub(crate) async fn replace(&self, rejected: &str) -> Result<String, TokenError> {
        let mut current = self.current.lock().await;
        match current.as_ref() {
            Some(token) if token.text != rejected || mutated(Mutation::RejectedTokenKept) => {
                Ok(token.text.clone())
            }
            _ => self.refresh(&mut current, TokenReason::Rejected).await,
        }
    }

    async fn refresh(&self, current: &mut Option<Token>, reason: TokenReason) -> Result<String, TokenError> {
        *current = None;
        let text = self.provider.token(reason).await?;
        let token = Token { expires_at_ms: expiry_ms(&text), text };
        Ok(current.insert(token).text.clone())
    }
}

/// `exp` of a JWT (RFC 7519 section 4.1.4), read without checking the signature; only a hint when to refresh.
fn expiry_ms(token: &str) -> Option<i64> {
    #[derive(serde::Deserialize)]
    struct Claims {
        exp: f64,
    }
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    #[allow(clippy::cast_possible_truncation)] // saturates, and only decides when to refresh
    Some((claims.exp * 1000.0) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expiry_of_a_jwt_is_read_and_an_opaque_token_has_none() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"u","exp":1700000000}"#);
        assert_eq!(expiry_ms(&format!("h.{claims}.s")), Some(1_700_000_000_000));
        assert_eq!(expiry_ms("opaque"), None);
    }
}
