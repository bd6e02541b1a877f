//! The app's way to access tokens.

use crate::error::CallbackError;
use crate::host::Hosted;
use crate::reply::Waiting;
use async_trait::async_trait;
use rowtide::TokenError;
use std::sync::Arc;

/// Why a token is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum TokenReason {
    /// The first one.
    FirstUse,
    /// The one at hand is about to expire.
    Expiring,
    /// The server rejected the one at hand.
    Rejected,
}

/// The app's way to an access token. Called without any lock or transaction held, one call at a time.
#[uniffi::export(foreign)]
pub trait TokenProvider: Send + Sync + 'static {
    /// Asks for a bearer token of the attached user. Returns at once; the answer is given to `reply`, from any thread.
    ///
    /// # Errors
    /// What is thrown counts as [`TokenReply::denied`].
    fn request_token(&self, reason: TokenReason, reply: Arc<TokenReply>) -> Result<(), CallbackError>;
}

type Answer = Result<String, TokenError>;

/// Takes the answer to one request of a token. The first one counts; one that is dropped without counts as denied.
#[derive(Debug, uniffi::Object)]
pub struct TokenReply {
    waiting: Waiting<Answer>,
}

#[uniffi::export]
impl TokenReply {
    /// Gives the token.
    pub fn token(&self, token: String) {
        self.waiting.answer(Ok(token));
    }

    /// The identity service cannot be reached: the operation ends with `Network`, to be tried again later.
    pub fn offline(&self, reason: String) {
        self.waiting.answer(Err(TokenError::Offline(reason)));
    }

    /// The user has to sign in again: the operation ends with `Authentication`. Say why without secrets.
    pub fn denied(&self, reason: String) {
        self.waiting.answer(Err(TokenError::Denied(reason)));
    }
}

pub(crate) struct HostTokens(pub(crate) Hosted<dyn TokenProvider>);

#[async_trait]
impl rowtide::TokenProvider for HostTokens {
    async fn token(&self, reason: rowtide::TokenReason) -> Answer {
        let reason = match reason {
            rowtide::TokenReason::FirstUse => TokenReason::FirstUse,
            rowtide::TokenReason::Expiring => TokenReason::Expiring,
            rowtide::TokenReason::Rejected => TokenReason::Rejected,
        };
        let (waiting, answer) = Waiting::new();
        let reply = Arc::new(TokenReply { waiting });
        self.0.post(move |provider| {
            if let Err(CallbackError::Failed { reason }) = provider.request_token(reason, reply.clone()) {
                reply.waiting.answer(Err(TokenError::Denied(format!("the token provider failed: {reason}"))));
            }
        });
        answer.await.unwrap_or_else(|_| Err(TokenError::Denied("the token provider gave no answer".into())))
    }
}
