//! What the API's door is kept with: keys of backends, signed requests of late, everybody's pace, origins.

use std::collections::HashMap;

use lakh_auth::ApiKeys;
use lakh_auth::api_key::{ApiKeyError, SigningSecret};
use lakh_auth::signature::{Replays, SignatureError, Signed};
use lakh_hub::Pace;
use lakh_net::cors::Cors;
use parking_lot::Mutex;

use crate::config::Settings;
use crate::service::{Caller, Kind, Problem, Service};

/// Signed requests that are remembered.
const MAX_REPLAYS: usize = 100_000;
/// Callers whose pace is kept. Past it those who have not asked for a second are forgotten, which changes nothing.
const MAX_PACES: usize = 100_000;

/// The API's door.
pub struct Door {
    keys: ApiKeys,
    replays: Mutex<Replays>,
    paces: Mutex<HashMap<String, Pace>>,
    per_second: u32,
    max_body_bytes: usize,
    docs: bool,
    cors: Option<Cors>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door")
            .field("keys", &self.keys)
            .field("per_second", &self.per_second)
            .field("max_body_bytes", &self.max_body_bytes)
            .field("docs", &self.docs)
            .field("cors", &self.cors)
            .finish_non_exhaustive()
    }
}

/// A key by which a request may be signed.
pub(super) struct SigningKey {
    pub secret: SigningSecret,
    pub caller: Caller,
}

impl Door {
    /// From the settings; `cors` is what holds for the sockets.
    #[must_use]
    pub fn new(settings: &Settings, cors: Option<Cors>) -> Self {
        let api = &settings.api;
        Self {
            keys: api.keys.iter().map(crate::config::KeyEntry::key).collect(),
            replays: Mutex::new(Replays::new(MAX_REPLAYS)),
            paces: Mutex::default(),
            per_second: api.requests_per_second,
            max_body_bytes: usize::try_from(api.max_body_bytes).unwrap_or(usize::MAX),
            docs: api.docs,
            cors,
        }
    }

    pub(crate) fn max_body_bytes(&self) -> usize {
        self.max_body_bytes
    }

    pub(super) fn shows_docs(&self) -> bool {
        self.docs
    }

    pub(super) fn cors(&self) -> Option<&Cors> {
        self.cors.as_ref()
    }

    pub(super) fn allows_origin(&self, origin: &str) -> bool {
        self.cors.as_ref().is_some_and(|cors| cors.allows(origin))
    }

    /// Who shows this API key.
    pub(super) fn by_key(&self, shown: &str, now_s: u64) -> Result<Caller, Problem> {
        match self.keys.check(shown, now_s) {
            Ok(key) => Ok(Caller::new(key.principal())),
            Err(error) => Err(of_key(error)),
        }
    }

    /// What requests of the key with this id are signed with.
    pub(super) fn signing_key(&self, id: &str, now_s: u64) -> Result<SigningKey, Problem> {
        let key = self.keys.get(id);
        let key = key.ok_or_else(|| of_key(ApiKeyError::Unknown))?;
        if key.expires_at.is_some_and(|end| end <= now_s) {
            return Err(of_key(ApiKeyError::Expired));
        }
        // A key that signs nothing is as good as none: who asks needn't know which there are.
        let secret = key.signing_secret.clone();
        Ok(SigningKey {
            secret: secret.ok_or_else(|| of_key(ApiKeyError::Unknown))?,
            caller: Caller::new(key.principal()),
        })
    }

    /// Whether a signed request comes for the first time to this node.
    pub(super) fn first_time(&self, signed: &Signed, now_s: u64) -> Result<(), SignatureError> {
        self.replays.lock().first_time(signed, now_s)
    }

    /// Takes so many requests from somebody's allowance.
    pub(super) fn pace(&self, caller: &Caller, count: usize, now_ms: u64) -> Result<(), Problem> {
        let most = self.per_second;
        let mut paces = self.paces.lock();
        if paces.len() >= MAX_PACES && !paces.contains_key(caller.id()) {
            paces.retain(|_, pace| !pace.is_full(now_ms));
            if paces.len() >= MAX_PACES {
                return Err(Problem::unavailable("too many callers at once"));
            }
        }
        let pace = paces.entry(caller.id().to_owned()).or_default();
        for _ in 0..count {
            if let Err(wait_ms) = pace.take(now_ms, most, most) {
                let mut problem = Problem::new(
                    Kind::TooMany,
                    "rate_limited",
                    format!("{most} requests a second are allowed; wait {wait_ms} ms"),
                );
                problem.retry_after_ms = Some(wait_ms);
                return Err(problem);
            }
        }
        Ok(())
    }

    /// The same for a request that asks for several things and was counted as one already.
    pub(crate) fn pace_rest(
        &self,
        service: &Service,
        caller: &Caller,
        things: usize,
    ) -> Result<(), Problem> {
        self.pace(caller, things.saturating_sub(1), service.hub().clock_ms())
    }

    /// The same for a batch, of which more than there may be are refused anyway.
    pub(crate) fn pace_batch(
        &self,
        service: &Service,
        caller: &Caller,
        operations: usize,
    ) -> Result<(), Problem> {
        let counted = operations.min(service.config().max_batch);
        self.pace_rest(service, caller, counted)
    }
}

fn of_key(error: ApiKeyError) -> Problem {
    Problem::new(Kind::Unauthorized, "unauthorized", error.to_string())
}
