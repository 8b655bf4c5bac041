//! Requests: signed, in time, and without following anybody anywhere.

use std::time::Duration;

use lakh_hub::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, StatusCode, redirect};
use thiserror::Error;

use super::sign::{Secret, signatures};

/// The largest answer that is read.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// How long an unused connection is kept.
const KEEP: Duration = Duration::from_secs(60);
/// The longest that an endpoint may ask to be left alone.
const MAX_RETRY_AFTER_MS: u64 = 3_600_000;

/// Why the HTTP client can't be made.
#[derive(Debug, Error)]
#[error("the HTTP client of the hooks can't be made: {0}")]
pub struct ClientError(#[from] reqwest::Error);

/// Where to, and how it's signed.
pub(crate) struct Post {
    client: Client,
    url: String,
    secrets: Vec<Secret>,
    timeout: Duration,
}

/// Why there is no good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nobody took the request.
    Unreachable(String),
    /// Nothing came in time, or the connection was cut.
    Silent(String),
    /// A status that isn't 2xx, and how long to wait if it says so.
    Status(u16, Option<u64>),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(detail) | Self::Silent(detail) => f.write_str(detail),
            Self::Status(status @ 300..400, _) => {
                write!(f, "the answer was {status}; redirects are not followed")
            }
            Self::Status(status, _) => write!(f, "the answer was {status}"),
        }
    }
}

impl Post {
    /// For as many requests at the same time as have connections kept for them.
    pub(crate) fn new(
        url: &str,
        secrets: &[Secret],
        timeout: Duration,
        connections: usize,
    ) -> Result<Self, ClientError> {
        // Somebody else may have installed one, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            // Whoever answers must not choose where the next request goes, nor may the environment.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("lakh/", env!("CARGO_PKG_VERSION")))
            .pool_max_idle_per_host(connections)
            .pool_idle_timeout(KEEP)
            .timeout(timeout)
            .build()?;
        Ok(Self {
            client,
            url: url.to_owned(),
            secrets: secrets.to_vec(),
            timeout,
        })
    }

    /// Sends a body, and gives the answer's.
    pub(crate) async fn send(
        &self,
        id: &str,
        time_ms: u64,
        body: Vec<u8>,
    ) -> Result<Bytes, Trouble> {
        let time_s = time_ms / 1_000;
        let request = self
            .client
            .post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", time_s)
            .header(
                "webhook-signature",
                signatures(&self.secrets, id, time_s, &body),
            )
            .body(body);
        let mut response = request.send().await.map_err(|error| self.trouble(&error))?;
        let status = response.status();
        let retry_after = retry_after_ms(status, response.headers());
        let mut answer = Vec::new();
        // Read to its end, so that the connection can be used again.
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.trouble(&error))?
        {
            answer.extend_from_slice(&chunk);
            if answer.len() > MAX_ANSWER_BYTES {
                answer.clear();
                break;
            }
        }
        if !status.is_success() {
            return Err(Trouble::Status(status.as_u16(), retry_after));
        }
        Ok(answer.into())
    }

    fn trouble(&self, error: &reqwest::Error) -> Trouble {
        if error.is_connect() {
            return Trouble::Unreachable(format!("no connection: {}", cause(error)));
        }
        if error.is_timeout() {
            let timeout_ms = self.timeout.as_millis();
            return Trouble::Silent(format!("no answer within {timeout_ms} ms"));
        }
        Trouble::Silent(format!("the connection was cut: {}", cause(error)))
    }
}

/// The innermost reason: the outer ones repeat the URL, which may hold a secret.
fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match std::ptr::addr_eq(innermost, error) {
        true => "the request failed".to_owned(),
        false => innermost.to_string(),
    }
}

fn retry_after_ms(status: StatusCode, headers: &HeaderMap) -> Option<u64> {
    if ![
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ]
    .contains(&status)
    {
        return None;
    }
    let seconds: u64 = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(seconds.saturating_mul(1_000).min(MAX_RETRY_AFTER_MS))
}
