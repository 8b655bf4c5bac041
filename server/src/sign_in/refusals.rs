//! Sign-ins that were refused: counted by place and reason, and logged with the address that they came from.
//!
//! What must hold: what was shown is neither counted by nor logged, and who tries without end fills no disk.

use std::collections::BTreeMap;
use std::net::IpAddr;

use lakh_auth::SignInError;
use lakh_hub::Pace;
use parking_lot::Mutex;

/// Refusals logged a second at most.
const LOGGED_A_SECOND: u32 = 10;

/// Where somebody wanted to be let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At CONNECT.
    Connect,
    /// In the middle of a connection, with `auth:refresh`.
    Refresh,
    /// With a request over HTTP.
    Http,
    /// At the page, with a password or by way of a provider.
    Console,
}

impl Place {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Refresh => "refresh",
            Self::Http => "http",
            Self::Console => "console",
        }
    }
}

/// Refusals of this process.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    // Both are words of the code, so there is a bound.
    by_word: BTreeMap<(&'static str, &'static str), u64>,
    logging: Pace,
    unlogged: u64,
}

impl Refusals {
    pub(super) fn note(&self, place: Place, why: &'static str, from: Option<IpAddr>, now_ms: u64) {
        let place = place.word();
        let mut counts = self.0.lock();
        *counts.by_word.entry((place, why)).or_default() += 1;
        let taken = counts
            .logging
            .take(now_ms, LOGGED_A_SECOND, LOGGED_A_SECOND);
        if taken.is_err() {
            counts.unlogged += 1;
            return;
        }
        let unlogged = std::mem::take(&mut counts.unlogged);
        drop(counts);
        let address = from.map(tracing::field::display);
        tracing::warn!(place, why, address, unlogged, "a sign-in was refused");
    }

    pub(super) fn counts(&self) -> Vec<(&'static str, &'static str, u64)> {
        let counts = self.0.lock();
        let all = counts.by_word.iter();
        all.map(|((place, why), count)| (*place, *why, *count))
            .collect()
    }
}

/// The word for a reason.
#[must_use]
pub fn word(error: SignInError) -> &'static str {
    match error {
        SignInError::Needed => "needed",
        SignInError::BadName => "bad_name",
        SignInError::BadToken => "bad_token",
        SignInError::Expired => "expired",
        SignInError::NotYet => "not_yet",
        SignInError::Revoked => "revoked",
        SignInError::Unavailable => "unavailable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_by_place_and_reason() {
        let refusals = Refusals::default();
        for _ in 0..1_000 {
            refusals.note(Place::Connect, word(SignInError::BadToken), None, 1_000);
        }
        refusals.note(Place::Http, "bad_key", None, 1_000);
        assert_eq!(
            refusals.counts(),
            [("connect", "bad_token", 1_000), ("http", "bad_key", 1)]
        );
        // Those that were not logged are told with the next that is.
        assert_eq!(refusals.0.lock().unlogged, 991);
        refusals.note(Place::Http, "bad_key", None, 3_000);
        assert_eq!(refusals.0.lock().unlogged, 0);
    }
}
