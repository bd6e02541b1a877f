//! Who is calling. The authenticated identity is the user, and so the sync scope.

use async_trait::async_trait;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, JwkSet};
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
        Self {
            decoding: DecodingKey::from_secret(secret),
            encoding: EncodingKey::from_secret(secret),
            validation: validation(Algorithm::HS256),
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
        user(bearer(headers)?, &self.decoding, &self.validation)
    }
}

/// Bearer JSON Web Tokens signed with RS256 or ES256 by a key of a JSON Web Key Set (RFC 7517), as identity providers
/// publish it; `sub` is the user, `exp` is required.
pub struct JwksAuthenticator {
    keys: Vec<PublicKey>,
}

struct PublicKey {
    id: Option<String>,
    decoding: DecodingKey,
    validation: Validation,
}

impl JwksAuthenticator {
    /// Accepts tokens that a key of the set signed. A token that names its key (`kid`) is checked with that one alone.
    ///
    /// # Errors
    /// The text is no key set, or holds no RSA or P-256 key.
    pub fn new(jwks: &str) -> Result<Self, AuthError> {
        let set: JwkSet =
            serde_json::from_str(jwks).map_err(|_| AuthError("the text is not a JSON Web Key Set".into()))?;
        let mut keys = Vec::new();
        for jwk in &set.keys {
            // The key says what signs with it; the token's own header is not believed.
            let algorithm = match &jwk.algorithm {
                AlgorithmParameters::RSA(_) => Algorithm::RS256,
                AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => Algorithm::ES256,
                _ => continue,
            };
            let decoding = DecodingKey::from_jwk(jwk)
                .map_err(|_| AuthError("a key of the JSON Web Key Set cannot be read".into()))?;
            keys.push(PublicKey {
                id: jwk.common.key_id.clone(),
                decoding,
                validation: validation(algorithm),
            });
        }
        if keys.is_empty() {
            return Err(AuthError("the JSON Web Key Set has no RSA or P-256 key".into()));
        }
        Ok(Self { keys })
    }
}

#[async_trait]
impl Authenticator for JwksAuthenticator {
    async fn authenticate(&self, headers: &HeaderMap) -> Result<String, AuthError> {
        let token = bearer(headers)?;
        let named = jsonwebtoken::decode_header(token).ok().and_then(|header| header.kid);
        let may_be_it = |key: &&PublicKey| named.is_none() || key.id.is_none() || key.id == named;
        let found = self
            .keys
            .iter()
            .filter(may_be_it)
            .find_map(|key| user(token, &key.decoding, &key.validation).ok());
        found.ok_or_else(refused)
    }
}

fn validation(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.leeway = 0;
    validation.validate_aud = false;
    validation.set_required_spec_claims(&["exp", "sub"]);
    validation
}

fn refused() -> AuthError {
    AuthError("the token is invalid or expired".into())
}

fn bearer(headers: &HeaderMap) -> Result<&str, AuthError> {
    let header =
        headers.get(AUTHORIZATION).ok_or_else(|| AuthError("Authorization header required".into()))?;
    let token = header
        .to_str()
        .ok()
        .and_then(|text| text.strip_prefix("Bearer ").or_else(|| text.strip_prefix("bearer ")))
        .ok_or_else(|| AuthError("Authorization must be a Bearer token".into()))?;
    Ok(token.trim())
}

fn user(token: &str, key: &DecodingKey, validation: &Validation) -> Result<String, AuthError> {
    let decoded = jsonwebtoken::decode::<Claims>(token, key, validation).map_err(|_| refused())?;
    if decoded.claims.sub.trim().is_empty() {
        return Err(AuthError("the token names no user".into()));
    }
    Ok(decoded.claims.sub)
}
