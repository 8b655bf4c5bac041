//! Sessions and sign-ins that have begun, in the store: so the nodes of a fleet share them, and a restart ends none.
//!
//! | collection | key | value | gone |
//! |---|---|---|---|
//! | `console_sessions` | SHA-256 of the cookie | [`Record`] | when nobody used it, or at its end |
//! | `console_logins` | SHA-256 of the cookie | [`Login`] | when it's taken up, or after ten minutes |
//!
//! What must hold: what begins once is taken up once, and a session that was ended can't come back.

use axum::body::Bytes;
use lakh_store::{Condition, ReadError, Store, WriteError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::cookie::LOGIN_S;
use super::person::Person;
use super::secret::{self, Token};

const SESSIONS: &str = "console_sessions";
const LOGINS: &str = "console_logins";

/// How somebody signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum How {
    /// At the provider with this issuer.
    #[serde(rename = "oidc")]
    Provider {
        issuer: String,
        /// For the sign-out there: the ID token.
        hint: Option<String>,
    },
    /// With a password.
    #[serde(rename = "local")]
    Password {
        /// Hash of what the settings said of the password: who changes it ends the sessions that came of it.
        of: String,
    },
}

/// A session, as it's stored. What it may do is not: that is asked of the settings each time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) person: Person,
    pub(super) how: How,
    pub(super) began_ms: u64,
    pub(super) ends_ms: u64,
}

/// A sign-in that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Login {
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
    pub(super) return_to: String,
}

/// What came of taking up a sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Taken {
    Login(Login),
    /// It was never begun, was taken before, or took too long.
    Missing,
    /// It was begun, with another state.
    OfAnother,
}

/// The store has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SessionError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("the system's random source has failed")]
    NoRandom,
}

/// A session that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) record: Record,
    /// When it ends if nobody uses it.
    pub(super) idle_ends_ms: u64,
}

/// All sessions.
pub(super) struct Sessions {
    store: Store,
    idle_ms: u64,
    lasts_ms: u64,
}

impl Sessions {
    pub(super) fn new(store: Store, idle_ms: u64, lasts_ms: u64) -> Self {
        Self {
            store,
            idle_ms,
            lasts_ms,
        }
    }

    /// Makes a session, with an id that nobody had before.
    pub(super) async fn begin(
        &self,
        person: Person,
        how: How,
        now_ms: u64,
    ) -> Result<Token, SessionError> {
        let ends_ms = now_ms.saturating_add(self.lasts_ms);
        let record = Record {
            person,
            how,
            began_ms: now_ms,
            ends_ms,
        };
        let gone_ms = self.idle_end(ends_ms, now_ms);
        self.keep(SESSIONS, &record, gone_ms, now_ms).await
    }

    /// The session with this id. To be found is to be used.
    pub(super) async fn find(
        &self,
        token: &Token,
        now_ms: u64,
    ) -> Result<Option<Found>, SessionError> {
        let key = token.key();
        let Some(document) = self.store.get(now_ms, SESSIONS, &key).await? else {
            return Ok(None);
        };
        let Some(record) = read::<Record>(&document.value) else {
            return Ok(None);
        };
        if record.ends_ms <= now_ms {
            return Ok(None);
        }
        let (stored, idle_ends_ms) = (
            document.expires_at_ms.unwrap_or(record.ends_ms),
            self.idle_end(record.ends_ms, now_ms),
        );
        // A page that asks each second isn't to write each second.
        if idle_ends_ms.saturating_sub(stored) > self.idle_ms / 20 {
            // Only the end of what is there moves: one that was signed out meanwhile stays away.
            let touched = self.store.touch(now_ms, SESSIONS, &key, Some(idle_ends_ms));
            if let Err(error) = touched.await {
                tracing::warn!(%error, "a session of the console could not be prolonged");
            }
        }
        Ok(Some(Found {
            record,
            idle_ends_ms,
        }))
    }

    /// Ends a session, and says what it was.
    pub(super) async fn end(
        &self,
        token: &Token,
        now_ms: u64,
    ) -> Result<Option<Record>, SessionError> {
        self.take(SESSIONS, token, now_ms).await
    }

    /// Keeps the beginning of a sign-in.
    pub(super) async fn begin_login(
        &self,
        login: &Login,
        now_ms: u64,
    ) -> Result<Token, SessionError> {
        let gone_ms = now_ms.saturating_add(LOGIN_S * 1_000);
        self.keep(LOGINS, login, gone_ms, now_ms).await
    }

    /// Takes the beginning of a sign-in: whoever comes second finds nothing. With another state it stays, or else any site
    /// could break off a sign-in by leading the browser here.
    pub(super) async fn take_login(
        &self,
        token: &Token,
        state: &str,
        now_ms: u64,
    ) -> Result<Taken, SessionError> {
        let begun = self.store.get(now_ms, LOGINS, &token.key()).await?;
        match begun.and_then(|begun| read::<Login>(&begun.value)) {
            None => Ok(Taken::Missing),
            Some(login) if !secret::same(&login.state, state) => Ok(Taken::OfAnother),
            Some(_) => {
                let login = self.take(LOGINS, token, now_ms).await?;
                Ok(login.map_or(Taken::Missing, Taken::Login))
            }
        }
    }

    fn idle_end(&self, ends_ms: u64, now_ms: u64) -> u64 {
        now_ms.saturating_add(self.idle_ms).min(ends_ms)
    }

    async fn keep(
        &self,
        collection: &str,
        value: &impl Serialize,
        gone_ms: u64,
        now_ms: u64,
    ) -> Result<Token, SessionError> {
        let token = Token::random().ok_or(SessionError::NoRandom)?;
        // Structs of text and numbers always become JSON; an empty document would be read as none.
        let value = Bytes::from(serde_json::to_vec(value).unwrap_or_default());
        let put = self.store.put(
            now_ms,
            collection,
            &token.key(),
            value,
            Condition::Absent,
            Some(gone_ms),
        );
        put.await?;
        Ok(token)
    }

    async fn take<T: DeserializeOwned>(
        &self,
        collection: &str,
        token: &Token,
        now_ms: u64,
    ) -> Result<Option<T>, SessionError> {
        let key = token.key();
        let Some(document) = self.store.get(now_ms, collection, &key).await? else {
            return Ok(None);
        };
        let condition = Condition::Version(document.version);
        match self.store.delete(now_ms, collection, &key, condition).await {
            Ok(true) => Ok(read(&document.value)),
            Ok(false) | Err(WriteError::Conflict { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// What a later version wrote may not be understood; then there is none.
fn read<T: DeserializeOwned>(value: &[u8]) -> Option<T> {
    serde_json::from_slice(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    fn sessions() -> Sessions {
        Sessions::new(Store::memory(), 60_000, 600_000)
    }

    fn password() -> How {
        How::Password { of: "x".into() }
    }

    fn ada() -> Person {
        Person {
            id: "oidc:1".into(),
            name: "Ada".into(),
            roles: vec!["ops".into()],
        }
    }

    #[tokio::test]
    async fn a_session_ends_when_nobody_uses_it_and_in_any_case() {
        let sessions = sessions();
        let token = sessions.begin(ada(), password(), NOW).await.unwrap();
        let found = |at| {
            let (sessions, token) = (&sessions, &token);
            async move { sessions.find(token, NOW + at).await.unwrap() }
        };
        assert_eq!(found(59_000).await.unwrap().idle_ends_ms, NOW + 119_000);
        assert!(found(118_000).await.is_some(), "it was used");
        assert!(found(178_001).await.is_none(), "it wasn't");

        let token = sessions.begin(ada(), password(), NOW).await.unwrap();
        for at in (0..600_000).step_by(50_000) {
            let found = sessions.find(&token, NOW + at).await.unwrap().unwrap();
            assert!(found.idle_ends_ms <= NOW + 600_000);
        }
        assert_eq!(sessions.find(&token, NOW + 600_000).await, Ok(None));
    }

    #[tokio::test]
    async fn a_session_that_was_ended_is_gone_and_only_its_hash_was_stored() {
        let sessions = sessions();
        let token = sessions.begin(ada(), password(), NOW).await.unwrap();
        let raw = sessions.store.get(NOW, SESSIONS, token.as_str()).await;
        assert_eq!(raw, Ok(None));
        assert!(
            sessions
                .store
                .get(NOW, SESSIONS, &token.key())
                .await
                .unwrap()
                .is_some()
        );
        let record = sessions.end(&token, NOW).await.unwrap().unwrap();
        assert_eq!(record.person, ada());
        assert_eq!(sessions.find(&token, NOW).await, Ok(None));
        assert_eq!(sessions.end(&token, NOW).await, Ok(None));
        // Nor does a use that was under way bring it back.
        let touched = sessions
            .store
            .touch(NOW, SESSIONS, &token.key(), Some(NOW + 1));
        assert_eq!(touched.await, Ok(false));
    }

    #[tokio::test]
    async fn the_beginning_of_a_sign_in_is_taken_once_and_within_ten_minutes() {
        let sessions = sessions();
        let login = Login {
            state: "s".into(),
            nonce: "n".into(),
            verifier: "v".into(),
            return_to: "/".into(),
        };
        let token = sessions.begin_login(&login, NOW).await.unwrap();
        let take = async |token: &Token, state: &str, at: u64| {
            sessions.take_login(token, state, NOW + at).await.unwrap()
        };
        assert_eq!(take(&token, "other", 1).await, Taken::OfAnother);
        assert_eq!(take(&token, "s", 1).await, Taken::Login(login.clone()));
        assert_eq!(take(&token, "s", 1).await, Taken::Missing);
        let late = sessions.begin_login(&login, NOW).await.unwrap();
        assert_eq!(take(&late, "s", 600_000).await, Taken::Missing);
        // One is not the other.
        let session = sessions.begin(ada(), password(), NOW).await.unwrap();
        assert_eq!(take(&session, "s", 0).await, Taken::Missing);
    }
}
