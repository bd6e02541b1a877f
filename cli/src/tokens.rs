//! The three ways to a token that `rowtide.toml` can name.

use async_trait::async_trait;
use rowtide::{HttpTransport, Method, Request, TokenError, TokenProvider, TokenReason, Transport};
use serde::Deserialize;

/// Where tokens come from.
#[derive(Debug, Clone)]
pub(crate) enum Tokens {
    /// An environment variable.
    Environment(String),
    /// The first line that a shell command prints.
    Command(String),
    /// A JSON POST of user and password that answers a token.
    SignIn { url: String, user: String, password: String },
}

#[async_trait]
impl TokenProvider for Tokens {
    async fn token(&self, _: TokenReason) -> Result<String, TokenError> {
        match self {
            Self::Environment(name) => std::env::var(name).map_err(|_| {
                TokenError::Denied(format!("the environment variable {name} of token_env is not set"))
            }),
            Self::Command(command) => run(command.clone()).await,
            Self::SignIn { url, user, password } => sign_in(url, user, password).await,
        }
    }
}

async fn run(command: String) -> Result<String, TokenError> {
    let work = move || std::process::Command::new("sh").arg("-c").arg(command).output();
    let output = tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| TokenError::Denied("token_command was interrupted".into()))?
        .map_err(|error| TokenError::Denied(format!("token_command could not be started: {error}")))?;
    if !output.status.success() {
        return Err(TokenError::Denied(format!("token_command ended with {}", output.status)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let token = text.lines().next().unwrap_or_default().trim();
    if token.is_empty() {
        return Err(TokenError::Denied("token_command printed nothing".into()));
    }
    Ok(token.to_owned())
}

async fn sign_in(url: &str, user: &str, password: &str) -> Result<String, TokenError> {
    #[derive(Deserialize)]
    struct Answer {
        token: String,
    }
    let failed = |error: &dyn std::fmt::Display| TokenError::Denied(format!("sign-in at {url}: {error}"));
    let transport = HttpTransport::new().map_err(|error| failed(&error))?;
    let request = Request {
        method: Method::Post,
        url: url.to_owned(),
        headers: Vec::new(),
        body: Some(serde_json::json!({ "user": user, "password": password }).to_string()),
        max_response_bytes: 1 << 20,
    };
    let response = transport
        .send(request)
        .await
        .map_err(|error| TokenError::Offline(format!("sign-in at {url}: {error}")))?;
    if response.status != 200 {
        return Err(failed(&format!("HTTP {}", response.status)));
    }
    let answer: Answer =
        serde_json::from_slice(&response.body).map_err(|_| failed(&"the answer is not {\"token\": …}"))?;
    Ok(answer.token)
}
