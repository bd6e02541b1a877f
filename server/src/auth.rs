//! Who is calling. The authenticated identity is the user, and so the sync scope.

use async_trait::async_trait;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

/// The caller could not be identified. The text goes to the caller: no secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AuthError(pub String);

/// The host's own authentication.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// The user that the request's headers identify.
    ///
    /// # Errors
    /// No user is identified; the request is answered 401 and nothing is changed.
    async fn authenticate(&self, headers: &HeaderMap) -> Result<String, AuthError>;
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
}

/// Bearer JSON Web Tokens signed with HS256; `sub` is the user, `exp` is required (RFC 7519).
pub struct JwtAuthenticator {
    decoding: DecodingKey,
    encoding: EncodingKey,
    validation: Validation,
}

impl JwtAuthenticator {
    /// Accepts tokens signed with `secret`.
    pub fn hs256(secret: &[u8]) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp", "sub"]);
        Self {
            decoding: DecodingKey::from_secret(secret),
            encoding: EncodingKey::from_secret(secret),
            validation,
        }
    }

    /// Signs a token for a user that expires at `expires_at`, in seconds since 1970 UTC.
    ///
    /// # Errors
    /// The token could not be signed.
    pub fn sign(&self, user: &str, expires_at: i64) -> Result<String, AuthError> {
        let claims = Claims { sub: user.to_owned(), exp: expires_at };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .map_err(|_| AuthError("the token could not be signed".into()))
    }
}

#[async_trait]
impl Authenticator for JwtAuthenticator {
    async fn authenticate(&self, headers: &HeaderMap) -> Result<String, AuthError> {
        let header =
            headers.get(AUTHORIZATION).ok_or_else(|| AuthError("Authorization header required".into()))?;
        let token = header
            .to_str()
            .ok()
            .and_then(|text| text.strip_prefix("Bearer ").or_else(|| text.strip_prefix("bearer ")))
            .ok_or_else(|| AuthError("Authorization must be a Bearer token".into()))?;
        let claims = jsonwebtoken::decode::<Claims>(token.trim(), &self.decoding, &self.validation)
            .map_err(|_| AuthError("the token is invalid or expired".into()))?
            .claims;
        if claims.sub.trim().is_empty() {
            return Err(AuthError("the token names no user".into()));
        }
        Ok(claims.sub)
    }
}
