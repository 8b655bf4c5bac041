//! The keys of an identity provider, fetched from its `jwks_uri` and kept.
//!
//! What must hold: one fetch at a time, with bounds on time and bytes, and never more often than [`Pace`] says, whatever
//! strangers show; while the provider is away, the last keys that it gave stay in use. All fetching is done by one task on
//! the runtime of the HTTP side: the loops of connections only wait for it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use lakh_auth::KeySet;
use lakh_auth::jwks::{Jwks, JwksError, MAX_JWKS_BYTES};
use reqwest::header::{CACHE_CONTROL, HeaderMap};
use reqwest::{Client, StatusCode, Url, redirect};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::SetUpError;
use crate::config::{Auth, JwksUrl};

/// Longest time that a fetch may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A provider that allows no caching is asked that often.
const MIN_REFRESH: Duration = Duration::from_secs(30);
/// Longest wait after a fetch that failed, unless the first is longer.
const MAX_BACK_OFF: Duration = Duration::from_secs(60);

/// How often a provider is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Shortest time between two fetches.
    pub(super) min_gap: Duration,
    /// First wait after a fetch that failed; it doubles.
    pub(super) back_off: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            min_gap: Duration::from_secs(5),
            back_off: Duration::from_secs(5),
        }
    }
}

/// Why there are no new keys.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("{0}")]
    NoKeys(#[from] JwksError),
    #[error("it took longer than {} s", PATIENCE.as_secs())]
    Slow,
}

#[derive(Debug)]
pub(super) struct Provider {
    url: Url,
    issuer: Option<String>,
    refresh: Duration,
    pace: Pace,
    client: Client,
    state: watch::Sender<State>,
    asked: Notify,
}

/// What is known of the provider's keys.
#[derive(Clone, Debug, Default)]
struct State {
    keys: Option<Arc<KeySet>>,
    /// When a fetch has ended last, well or not.
    tried: Option<Instant>,
}

/// The providers that the settings name.
pub(super) fn providers(auth: &Auth, pace: Pace) -> Result<Vec<Provider>, SetUpError> {
    if auth.jwks_url.is_empty() {
        return Ok(Vec::new());
    }
    // The process may have chosen one already; then that is taken.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder()
        .timeout(PATIENCE)
        // Where the keys are is what the settings say.
        .redirect(redirect::Policy::none())
        .user_agent(concat!("lakh/", env!("CARGO_PKG_VERSION")))
        .build()?;
    let refresh = Duration::from_millis(auth.jwks_refresh_ms);
    let made = auth.jwks_url.iter().map(|jwks| {
        let JwksUrl { url, issuer } = jwks.clone();
        Provider {
            url,
            issuer,
            refresh,
            pace,
            client: client.clone(),
            state: watch::Sender::default(),
            asked: Notify::new(),
        }
    });
    Ok(made.collect())
}

impl Provider {
    /// The keys that it gave last.
    pub(super) fn keys(&self) -> Option<Arc<KeySet>> {
        self.state.borrow().keys.clone()
    }

    /// Waits for a fetch that begins or is under way now. `false` if there was one a moment ago, or if it takes too long.
    pub(super) async fn newer(&self) -> bool {
        let mut state = self.state.subscribe();
        let tried = state.borrow_and_update().tried;
        if tried.is_some_and(|tried| tried.elapsed() < self.pace.min_gap) {
            return false;
        }
        self.asked.notify_one();
        let ended = timeout(PATIENCE + Duration::from_secs(1), state.changed()).await;
        matches!(ended, Ok(Ok(())))
    }

    /// Fetches the keys, now and again, for ever.
    pub(super) async fn run(&self) {
        let mut back_off = self.pace.back_off;
        loop {
            let fetched = timeout(PATIENCE, self.fetch()).await;
            let wait = match fetched.unwrap_or(Err(FetchError::Slow)) {
                Ok((jwks, wait)) => {
                    back_off = self.pace.back_off;
                    self.keep(jwks);
                    wait
                }
                Err(error) => {
                    let known = self.keys().is_some();
                    tracing::warn!(url = %self.url, %error, known, retry_in = ?back_off,
                        "the keys of an identity provider can't be fetched; those known stay in use");
                    self.state
                        .send_modify(|state| state.tried = Some(Instant::now()));
                    let wait = back_off;
                    back_off = (back_off * 2).min(MAX_BACK_OFF.max(self.pace.back_off));
                    wait
                }
            };
            let ended = Instant::now();
            // Who asked while this fetch was under way has heard of its end.
            pin!(self.asked.notified()).enable();
            tokio::select! {
                () = sleep(wait) => {}
                () = self.asked.notified() => sleep_until(ended + self.pace.min_gap).await,
            }
        }
    }

    fn keep(&self, jwks: Jwks) {
        let Jwks { keys, skipped } = jwks;
        let ids = |set: &KeySet| {
            let all = set.iter().map(|key| key.id().unwrap_or("-").to_owned());
            all.collect::<Vec<_>>()
        };
        let new = ids(&keys);
        if self.keys().is_none_or(|old| ids(&old) != new) {
            tracing::info!(url = %self.url, keys = new.len(), ids = new.join(","), skipped,
                "the keys of an identity provider were read");
        }
        if keys.is_empty() {
            tracing::warn!(url = %self.url, skipped, "an identity provider has no key that tokens can be checked with");
        }
        self.state.send_replace(State {
            keys: Some(Arc::new(keys)),
            tried: Some(Instant::now()),
        });
    }

    /// The set, and for how long it's good.
    async fn fetch(&self) -> Result<(Jwks, Duration), FetchError> {
        let mut response = self
            .client
            .get(self.url.clone())
            .header("accept", "application/jwk-set+json, application/json")
            .send()
            .await
            .map_err(reqwest::Error::without_url)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let wait = good_for(response.headers(), self.refresh);
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(reqwest::Error::without_url)?
        {
            if body.len() + chunk.len() > MAX_JWKS_BYTES {
                return Err(JwksError::TooLarge.into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok((Jwks::parse(&body, self.issuer.as_deref())?, wait))
    }
}

/// How long a set is good for: as the settings say, or less if the provider says so (RFC 9111 section 5.2.2).
fn good_for(headers: &HeaderMap, refresh: Duration) -> Duration {
    let said = headers.get_all(CACHE_CONTROL).iter();
    let said = said.filter_map(|value| value.to_str().ok());
    let directives = said.flat_map(|value| value.split(',')).map(str::trim);
    let limits = directives.filter_map(|directive| {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => Some(0),
            "max-age" => value.trim_matches('"').parse().ok(),
            _ => None,
        }
    });
    let limit = limits.min().map_or(refresh, Duration::from_secs);
    limit.min(refresh).max(MIN_REFRESH.min(refresh))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn a_provider_may_shorten_the_time_that_its_keys_are_kept() {
        for (said, minutes, expected_s) in [
            (None, 10, 600),
            (Some("max-age=60"), 10, 60),
            (Some("public, max-age=\"90\", must-revalidate"), 10, 90),
            (Some("max-age=86400"), 10, 600),
            (Some("Max-Age=120, no-cache"), 10, 30),
            (Some("no-store"), 10, 30),
            (Some("max-age=0"), 10, 30),
            (Some("max-age=soon"), 10, 600),
            (Some("private"), 10, 600),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(said) = said {
                headers.insert(CACHE_CONTROL, HeaderValue::from_static(said));
            }
            let wait = good_for(&headers, Duration::from_secs(minutes * 60));
            assert_eq!(wait.as_secs(), expected_s, "{said:?}");
        }
        let often = good_for(&HeaderMap::new(), Duration::from_secs(6));
        assert_eq!(often.as_secs(), 6, "the settings may ask more often");
    }
}
