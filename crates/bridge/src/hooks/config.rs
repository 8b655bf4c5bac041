//! What hooks are set up with.

use std::collections::HashSet;
use std::time::Duration;

use lakh_hub::{Occurrence, What};
use reqwest::Url;
use thiserror::Error;

use super::filter::{Kind, Place};
use super::retry::Retry;
use super::sign::Secret;

/// Endpoints, and hooks in the way, at most.
pub const MAX_HOOKS: usize = 16;

/// All hooks of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Who is told what happened.
    pub endpoints: Vec<Endpoint>,
    /// Who is asked first.
    pub gates: Vec<GateHook>,
    /// Whether an acknowledgement of a message waits until the message stands in the store for the endpoints that want it.
    pub durable: bool,
}

/// What waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// What happens in a room is sent in its order; so is what one socket does outside of rooms. A room that fails holds up
    /// nothing but itself.
    Room,
    /// Everything is sent in the order in which it was stored; what fails holds up all behind it.
    All,
    /// Nothing waits.
    None,
}

/// What becomes of events when as many wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The oldest are dropped, and counted.
    DropOldest,
    /// New ones are dropped, and counted.
    DropNewest,
}

/// Who is told what happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Names what waits for it in the store: the same before and after a restart, whatever its URL is.
    pub name: String,
    /// Where to.
    pub url: String,
    /// Each signs; the first is the newest.
    pub secrets: Vec<Secret>,
    /// Of which kinds; none is all.
    pub events: Vec<Kind>,
    /// Where they happen.
    pub place: Place,
    /// Events in one request at most.
    pub batch_events: usize,
    /// Bytes of events in one request, nearly at most: one event may be larger.
    pub batch_bytes: usize,
    /// How long an event waits for others. What two nodes store within this time is put in order, too.
    pub batch_wait: Duration,
    /// Requests under way at the same time.
    pub concurrency: usize,
    /// How long an answer may take.
    pub timeout: Duration,
    /// When what failed is sent again.
    pub retry: Retry,
    /// Failures after which events become dead letters.
    pub max_attempts: u32,
    /// Age at which events become dead letters, in milliseconds.
    pub max_age_ms: u64,
    /// What waits for what.
    pub order: Order,
    /// Bytes that may wait in the store.
    pub max_bytes: u64,
    /// What becomes of events past that.
    pub full: Full,
    /// Dead letters that are kept; the oldest are dropped past it.
    pub max_dead: usize,
}

impl Endpoint {
    /// An endpoint of that name with the usual limits.
    #[must_use]
    pub fn new(name: &str, url: &str, secrets: Vec<Secret>) -> Self {
        Self {
            name: name.to_owned(),
            url: url.to_owned(),
            secrets,
            events: Vec::new(),
            place: Place::default(),
            batch_events: 100,
            batch_bytes: 1 << 20,
            batch_wait: Duration::from_millis(100),
            concurrency: 4,
            timeout: Duration::from_secs(10),
            retry: Retry {
                first_ms: 1_000,
                longest_ms: 600_000,
            },
            max_attempts: 16,
            max_age_ms: 24 * 3_600_000,
            order: Order::Room,
            max_bytes: 64 << 20,
            full: Full::DropOldest,
            max_dead: 10_000,
        }
    }

    /// Whether it may want such things. Asked before an occurrence is put together.
    #[must_use]
    pub fn may_want(&self, what: What, namespace: &str) -> bool {
        (self.events.is_empty() || self.events.iter().any(|kind| kind.may_be(what)))
            && self.place.in_namespace(namespace)
    }

    /// Whether it wants this.
    #[must_use]
    pub fn wants(&self, occurrence: &Occurrence) -> bool {
        (self.events.is_empty() || self.events.iter().any(|kind| kind.is(occurrence)))
            && self.place.fits(
                &occurrence.namespace,
                occurrence.room.as_deref(),
                occurrence.event.as_deref(),
            )
    }
}

/// What a hook in the way says about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// A client comes into a namespace.
    Connect,
    /// A client joins a room.
    Subscribe,
    /// A client publishes in a room.
    Publish,
}

impl On {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Subscribe => "subscribe",
            Self::Publish => "publish",
        }
    }
}

/// What happens when nothing useful is answered in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// As if it had been allowed.
    Allow,
    /// It is refused, with the code `unavailable`.
    Refuse,
}

/// Who is asked first.
#[derive(Clone, Debug, PartialEq)]
pub struct GateHook {
    /// For the log and the metrics.
    pub name: String,
    /// Where to.
    pub url: String,
    /// Each signs; the first is the newest.
    pub secrets: Vec<Secret>,
    /// About what.
    pub on: Vec<On>,
    /// Where.
    pub place: Place,
    /// How long an answer may take, the wait for a connection in it.
    pub timeout: Duration,
    /// What happens without an answer.
    pub silence: Silence,
    /// Requests under way at the same time.
    pub concurrency: usize,
    /// Wishes that may wait for one of those to end.
    pub waiting: usize,
    /// Failures in a row after which nobody is asked for a while.
    pub breaker_failures: u32,
    /// How long that is, in milliseconds.
    pub breaker_open_ms: u64,
}

impl GateHook {
    /// A hook of that name with the usual limits.
    #[must_use]
    pub fn new(name: &str, url: &str, secrets: Vec<Secret>) -> Self {
        Self {
            name: name.to_owned(),
            url: url.to_owned(),
            secrets,
            on: vec![On::Connect, On::Subscribe, On::Publish],
            place: Place::default(),
            timeout: Duration::from_secs(1),
            silence: Silence::Refuse,
            concurrency: 32,
            waiting: 256,
            breaker_failures: 5,
            breaker_open_ms: 10_000,
        }
    }
}

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// Too many.
    #[error("{0} hooks are too many: at most {MAX_HOOKS} endpoints and {MAX_HOOKS} gates")]
    TooMany(usize),
    /// The name is none.
    #[error("`{0}` is no name for a hook: 1 to 64 of a-z, 0-9, `-` and `_`")]
    Name(String),
    /// Two have one name.
    #[error("two hooks have the name `{0}`: what waits for one would be sent to the other")]
    Twice(String),
    /// The URL is none.
    #[error(
        "hook `{0}`: the url must begin with https:// or http://, name a host, and hold no user or password"
    )]
    Url(String),
    /// It would not be signed.
    #[error("hook `{0}` needs a secret: make one with `echo \"whsec_$(openssl rand -base64 32)\"`")]
    Unsigned(String),
    /// A number is 0.
    #[error("hook `{0}`: `{1}` must be more than 0")]
    Zero(String, &'static str),
}

impl Config {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.endpoints.is_empty() && self.gates.is_empty()
    }

    /// All that is wrong with it.
    #[must_use]
    pub fn problems(&self) -> Vec<ConfigError> {
        let mut wrong = Vec::new();
        let most = self.endpoints.len().max(self.gates.len());
        if most > MAX_HOOKS {
            wrong.push(ConfigError::TooMany(most));
        }
        let endpoints = self.endpoints.iter();
        let endpoints = endpoints.map(|own| (own.name.as_str(), &own.url, &own.secrets));
        let gates = self.gates.iter();
        let gates = gates.map(|own| (own.name.as_str(), &own.url, &own.secrets));
        let mut names = HashSet::new();
        for (name, url, secrets) in endpoints.chain(gates) {
            if !is_name(name) {
                wrong.push(ConfigError::Name(name.to_owned()));
            } else if !names.insert(name) {
                wrong.push(ConfigError::Twice(name.to_owned()));
            }
            if !is_url(url) {
                wrong.push(ConfigError::Url(name.to_owned()));
            }
            if secrets.is_empty() {
                wrong.push(ConfigError::Unsigned(name.to_owned()));
            }
        }
        for (name, key) in self.zeros() {
            wrong.push(ConfigError::Zero(name.to_owned(), key));
        }
        wrong
    }

    fn zeros(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let of_endpoints = self.endpoints.iter().flat_map(|own| {
            let zeros = [
                ("batch_events", own.batch_events == 0),
                ("batch_bytes", own.batch_bytes == 0),
                ("concurrency", own.concurrency == 0),
                ("timeout_ms", own.timeout.is_zero()),
                ("retry_first_ms", own.retry.first_ms == 0),
                ("retry_longest_ms", own.retry.longest_ms == 0),
                ("max_attempts", own.max_attempts == 0),
                ("max_age_ms", own.max_age_ms == 0),
                ("max_bytes", own.max_bytes == 0),
            ];
            zeros.map(|(key, is_zero)| (own.name.as_str(), key, is_zero))
        });
        let of_gates = self.gates.iter().flat_map(|own| {
            let zeros = [
                ("timeout_ms", own.timeout.is_zero()),
                ("concurrency", own.concurrency == 0),
                ("breaker_failures", own.breaker_failures == 0),
                ("breaker_open_ms", own.breaker_open_ms == 0),
            ];
            zeros.map(|(key, is_zero)| (own.name.as_str(), key, is_zero))
        });
        of_endpoints
            .chain(of_gates)
            .filter_map(|(name, key, is_zero)| is_zero.then_some((name, key)))
    }

    /// Names of the hooks whose traffic anybody on the way can read and change: their URL is plain `http://`.
    pub fn in_the_clear(&self) -> impl Iterator<Item = &str> {
        let endpoints = self.endpoints.iter().map(|own| (&own.name, &own.url));
        let gates = self.gates.iter().map(|own| (&own.name, &own.url));
        endpoints
            .chain(gates)
            .filter_map(|(name, url)| url.starts_with("http://").then_some(name.as_str()))
    }
}

fn is_name(name: &str) -> bool {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}

fn is_url(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| {
        ["http", "https"].contains(&url.scheme())
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use super::*;

    fn secret() -> Vec<Secret> {
        vec![Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()]
    }

    #[test]
    fn what_is_wrong_is_told_with_the_name_of_the_hook() {
        let good = Config {
            endpoints: vec![Endpoint::new("a", "http://127.0.0.1:1/x", secret())],
            gates: vec![GateHook::new("b", "https://b.example", secret())],
            durable: true,
        };
        assert_eq!(good.problems(), []);
        assert_eq!(good.in_the_clear().collect::<Vec<_>>(), ["a"]);
        let mut bad = good;
        bad.gates[0].name = "a".into();
        bad.gates[0].timeout = Duration::ZERO;
        bad.endpoints[0].url = "ftp://a.example".into();
        bad.endpoints[0].secrets.clear();
        assert_eq!(
            bad.problems(),
            [
                ConfigError::Url("a".into()),
                ConfigError::Unsigned("a".into()),
                ConfigError::Twice("a".into()),
                ConfigError::Zero("a".into(), "timeout_ms"),
            ]
        );
        for url in ["", "example.com", "https://", "https://u:p@a.example"] {
            bad.endpoints[0].url = url.into();
            assert!(
                bad.problems().contains(&ConfigError::Url("a".into())),
                "{url}"
            );
        }
    }
}
