//! How this server asks the provider: for `openidconnect`, over the workspace's HTTP client.
//!
//! What must hold: no request takes longer than [`WHOLE`] or brings more than [`MAX_BYTES`]; nothing is followed elsewhere
//! (RFC 9700: a redirect could lead into the own network); secrets go over TLS, or stay within this machine.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use axum::http::Response;
use openidconnect::url::Url;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};

use crate::config::sections::console::is_safe;

/// For a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// For a request with its answer. Somebody waits for it.
const WHOLE: Duration = Duration::from_secs(8);
/// The longest answer that is read: descriptions and keys of the large providers have some ten thousand bytes.
const MAX_BYTES: usize = 512 * 1_024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{0} is neither https nor on this machine")]
    NotSafe(String),
    #[error("{0}")]
    Http(String),
    #[error("the answer has more than {MAX_BYTES} bytes")]
    TooLong,
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        // The reason stands in the innermost one; the address is in the log already, and could hold what is secret.
        let error = error.without_url();
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(inner) = source {
            text = format!("{text}: {inner}");
            source = inner.source();
        }
        Self::Http(text)
    }
}

/// The client.
pub(super) struct Fetch(reqwest::Client);

impl Fetch {
    /// With the system's certificates.
    pub(super) fn new() -> Result<Self, FetchError> {
        // The process may have chosen one already; then that is taken.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(WHOLE)
            .no_proxy()
            // Each event loop asks by itself, and seldom: a connection of one is of no use to another.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("lakh/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self(client))
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        let (parts, body) = request.into_parts();
        let address = parts.uri.to_string();
        let url = Url::parse(&address).ok().filter(is_safe);
        let url = url.ok_or(FetchError::NotSafe(address))?;
        let request = self.0.request(parts.method, url).headers(parts.headers);
        let mut answer = request.body(body).send().await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if bytes.len() + chunk.len() > MAX_BYTES {
                return Err(FetchError::TooLong);
            }
            bytes.extend_from_slice(&chunk);
        }
        let mut response = Response::new(bytes);
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        Ok(response)
    }
}

impl<'c> AsyncHttpClient<'c> for Fetch {
    type Error = FetchError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, FetchError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}
