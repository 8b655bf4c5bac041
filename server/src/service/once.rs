//! Requests that are made once, however often they are sent: idempotency keys.
//!
//! What is under way, and then its result, stands in the store, so it holds on all nodes that share it and over
//! restarts. What must hold: with one key nothing is done twice. So where a node ended in the middle of a request, the
//! next one with its key is told that nobody knows how it went, and isn't tried again.

use std::future::Future;
use std::time::Duration;

use lakh_store::{Condition, WriteError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep};

use super::Service;
use super::caller::Caller;
use super::problem::{Kind, OUTCOME_UNKNOWN, Problem};

/// Where results stand in the store.
const COLLECTION: &str = "api-results";
/// Longest key, in bytes.
const MAX_KEY_BYTES: usize = 255;
/// How long a request may be under way: longer than any takes.
const LEASE_MS: u64 = 120_000;
/// How long a request waits for an earlier one with its key.
const WAIT: Duration = Duration::from_secs(10);
/// The first look after the earlier one; each is twice as far from the last.
const FIRST_LOOK: Duration = Duration::from_millis(20);
/// Looks are never further apart.
const LAST_LOOK: Duration = Duration::from_millis(320);

/// What stands in the store.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// What was asked for.
    request: String,
    /// Until when it may be under way, in milliseconds since 1970.
    until_ms: u64,
    /// What came of it.
    result: Option<Value>,
}

/// A result, and whether it was there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once<T> {
    /// The result.
    pub result: T,
    /// It's that of an earlier request with the same key.
    pub repeated: bool,
}

/// What a key stands for.
enum Found {
    /// Nothing was asked for with it before. It's taken now.
    New,
    /// An earlier request has ended.
    Ended(Value),
    /// An earlier request is under way.
    UnderWay,
}

/// What a request asks for, as short as can be: two that differ differ here.
#[must_use]
pub fn fingerprint(what: &str, body: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(what.as_bytes());
    hash.update([0]);
    hash.update(body);
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Service {
    /// Does something once for each key of a caller. Without a key it is simply done. With one it is done to its end even
    /// if nobody waits for it any more; a failure is not kept, so that it can be tried again.
    ///
    /// # Errors
    /// What the work fails with; `idempotency_mismatch` if the key was used for something else; `in_progress` if an earlier
    /// request with it goes on for long; `outcome_unknown` if the node that did it ended in the middle.
    pub async fn once<T>(
        &self,
        caller: &Caller,
        key: Option<&str>,
        request: String,
        work: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<Once<T>, Problem>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
    {
        let Some(key) = key else {
            let result = work.await?;
            return Ok(Once {
                result,
                repeated: false,
            });
        };
        if key.is_empty() || key.len() > MAX_KEY_BYTES || !key.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(Problem::bad(format!(
                "an idempotency key is 1 to {MAX_KEY_BYTES} printable ASCII characters without spaces"
            )));
        }
        let place = fingerprint(caller.id(), key.as_bytes());
        if let Some(value) = self.take_or_wait(&place, &request).await? {
            let result = serde_json::from_value(value).map_err(|_| {
                let message = "the first answer was written by another version; use a new key";
                Problem::new(Kind::Conflict, OUTCOME_UNKNOWN, message)
            })?;
            return Ok(Once {
                result,
                repeated: true,
            });
        }
        let service = self.clone();
        // To its end, whoever hangs up: else the next request with this key could only be told that nobody knows.
        let doing = tokio::spawn(async move {
            let result = work.await;
            // Results are plain data, which can always be written.
            let kept = result
                .as_ref()
                .ok()
                .map(|result| serde_json::to_value(result).unwrap_or_default());
            // Who tries again must not have it done twice.
            if !result.as_ref().is_err_and(Problem::is_unknown) {
                service.put_down(&place, request, kept).await;
            }
            result
        });
        let result = doing.await.map_err(|error| {
            tracing::error!(%error, "a request broke off");
            Problem::new(Kind::Internal, "internal", "the request broke off")
        })??;
        Ok(Once {
            result,
            repeated: false,
        })
    }

    /// Takes a key for oneself (`None`), or gives what an earlier request with it came to.
    async fn take_or_wait(&self, place: &str, request: &str) -> Result<Option<Value>, Problem> {
        let deadline = Instant::now() + WAIT;
        let mut pause = FIRST_LOOK;
        loop {
            match self.take(place, request).await? {
                Found::New => return Ok(None),
                Found::Ended(result) => return Ok(Some(result)),
                Found::UnderWay => {}
            }
            if Instant::now() + pause > deadline {
                let mut problem = Problem::new(
                    Kind::Conflict,
                    "in_progress",
                    "an earlier request with this idempotency key is still under way",
                );
                problem.retry_after_ms = Some(1_000);
                return Err(problem);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LAST_LOOK);
        }
    }

    async fn take(&self, place: &str, request: &str) -> Result<Found, Problem> {
        let now_ms = self.now_ms();
        let record = Record {
            request: request.to_owned(),
            until_ms: now_ms.saturating_add(LEASE_MS),
            result: None,
        };
        match self.write(place, &record, Condition::Absent).await {
            Ok(()) => return Ok(Found::New),
            Err(WriteError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let found = self.0.store.get(now_ms, COLLECTION, place).await?;
        let Some(found) = found else {
            // It has failed just now: the next look takes its place.
            return Ok(Found::UnderWay);
        };
        let record: Record = serde_json::from_slice(&found.value)
            .map_err(|error| Problem::new(Kind::Internal, "internal", error.to_string()))?;
        if record.request != request {
            return Err(Problem::new(
                Kind::Unprocessable,
                "idempotency_mismatch",
                "this idempotency key was used for another request; take a new one",
            ));
        }
        match record.result {
            Some(result) => Ok(Found::Ended(result)),
            None if record.until_ms > now_ms => Ok(Found::UnderWay),
            None => Err(Problem::new(
                Kind::Conflict,
                OUTCOME_UNKNOWN,
                "the server ended while it did this, so nobody knows whether it was done; look, and take a new key",
            )),
        }
    }

    /// Keeps a result, or forgets that something was tried that gave none.
    async fn put_down(&self, place: &str, request: String, result: Option<Value>) {
        let written = match result {
            Some(_) => {
                let record = Record {
                    request,
                    until_ms: self.now_ms(),
                    result,
                };
                self.write(place, &record, Condition::Any).await
            }
            None => {
                let now_ms = self.now_ms();
                let deleted = self
                    .0
                    .store
                    .delete(now_ms, COLLECTION, place, Condition::Any);
                deleted.await.map(drop)
            }
        };
        if let Err(error) = written {
            tracing::warn!(%error, "what came of a request could not be kept for its idempotency key");
        }
    }

    async fn write(
        &self,
        place: &str,
        record: &Record,
        condition: Condition,
    ) -> Result<(), WriteError> {
        let now_ms = self.now_ms();
        let ends_ms = now_ms.saturating_add(self.config().idempotency_ms);
        // Plain data: this can't fail.
        let value = serde_json::to_vec(record).unwrap_or_default();
        let put = self.0.store.put(
            now_ms,
            COLLECTION,
            place,
            value.into(),
            condition,
            Some(ends_ms),
        );
        put.await.map(drop)
    }

    /// Notes in the store that a signed request was taken, so that no other node takes it too. `false`: one has.
    ///
    /// # Errors
    /// If the store can't be asked.
    pub async fn first_of_fleet(&self, nonce: &str, keep_ms: u64) -> Result<bool, Problem> {
        if !self.0.store_is_shared {
            return Ok(true);
        }
        let now_ms = self.now_ms();
        let put = self.0.store.put(
            now_ms,
            NONCES,
            &fingerprint("nonce", nonce.as_bytes()),
            lakh_hub::Bytes::new(),
            Condition::Absent,
            Some(now_ms.saturating_add(keep_ms)),
        );
        match put.await {
            Ok(_) => Ok(true),
            Err(WriteError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Where the nonces of signed requests stand in the store.
const NONCES: &str = "api-nonces";
