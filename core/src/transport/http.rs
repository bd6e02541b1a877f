//! The default transport: reqwest on rustls with ring, roots from webpki-roots plus the host's own.

use super::{Method, Request, Response, StreamingResponse, Transport, TransportError};
use async_trait::async_trait;
use futures_util::StreamExt;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::sync::Arc;
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// HTTP over TCP and TLS.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    client: reqwest::Client,
}

impl HttpTransport {
    /// A transport that trusts Mozilla's root certificates.
    ///
    /// # Errors
    /// The TLS stack could not be set up.
    pub fn new() -> Result<Self, TransportError> {
        Self::with_roots(&[])
    }

    /// A transport that also trusts the certificates of these PEM texts.
    ///
    /// # Errors
    /// A text holds no certificate, or the TLS stack could not be set up.
    pub fn with_roots(pem: &[&str]) -> Result<Self, TransportError> {
        let failed = |text: String| TransportError::Connection(text);
        let mut roots = rustls::RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        for text in pem {
            for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
                let certificate =
                    certificate.map_err(|error| failed(format!("extra root certificate: {error}")))?;
                roots.add(certificate).map_err(|error| failed(format!("extra root certificate: {error}")))?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| failed(describe(&error)))?;
        Ok(Self { client })
    }
}

/// The chain of causes, without the URL, which may hold more than a log should.
fn describe(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    let what = if error.is_timeout() {
        "timed out"
    } else if error.is_connect() {
        "could not connect"
    } else {
        "the connection broke"
    };
    if causes.is_empty() { what.to_owned() } else { format!("{what}: {}", causes.join(": ")) }
}

impl HttpTransport {
    async fn request(&self, request: Request) -> Result<reqwest::Response, TransportError> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut builder = self.client.request(method, &request.url);
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        if let Some(body) = request.body {
            builder = builder.header(reqwest::header::CONTENT_TYPE, "application/json").body(body);
        }
        builder.send().await.map_err(failed)
    }
}

fn failed(error: reqwest::Error) -> TransportError {
    TransportError::Connection(describe(&error))
}

/// Seconds of `Retry-After` (RFC 9110 section 10.2.3), where it is a positive number of them.
fn retry_after(response: &reqwest::Response) -> Option<i64> {
    let value = response.headers().get(reqwest::header::RETRY_AFTER)?;
    value.to_str().ok()?.parse().ok().filter(|seconds| *seconds > 0)
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let limit = request.max_response_bytes;
        let mut response = self.request(request).await?;
        let mut result = Response {
            status: response.status().as_u16(),
            retry_after_seconds: retry_after(&response),
            body: Vec::new(),
        };
        while let Some(part) = response.chunk().await.map_err(failed)? {
            let size = u64::try_from(result.body.len() + part.len()).unwrap_or(u64::MAX);
            if size > limit {
                return Err(TransportError::ResponseTooLarge(limit));
            }
            result.body.extend_from_slice(&part);
        }
        Ok(result)
    }

    async fn open(&self, request: Request) -> Result<StreamingResponse, TransportError> {
        let response = self.request(request).await?;
        Ok(StreamingResponse {
            status: response.status().as_u16(),
            retry_after_seconds: retry_after(&response),
            body: Box::pin(
                response.bytes_stream().map(|part| part.map(|part| part.to_vec()).map_err(failed)),
            ),
        })
    }
}
