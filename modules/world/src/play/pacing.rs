//! How often one person may make, change and remove entities, from all their sockets together.

use std::collections::HashMap;

use lakh_hub::{Failure, Pace};

use super::acts::Actor;
use crate::Worlds;
use crate::asker::Asker;

/// Fewer people than this are not worth looking through.
const LOOK_FROM: usize = 1_024;
/// Seconds' worth that may come at once.
const BURST_S: u32 = 4;

/// The allowances of people who did something lately.
#[derive(Debug, Default)]
pub(crate) struct Pacing {
    people: HashMap<Box<str>, Pace>,
    /// People there may be before those with full allowances are forgotten.
    look_at: usize,
}

impl Pacing {
    fn take(&mut self, who: &str, now_ms: u64, most: u32) -> Result<(), u64> {
        if self.people.len() >= self.look_at.max(LOOK_FROM) {
            self.people.retain(|_, pace| !pace.is_full(now_ms));
            // Looked through again when twice as many are there: each entry pays for a look or two.
            self.look_at = self.people.len() * 2;
        }
        let pace = self.people.entry(who.into()).or_default();
        pace.take(now_ms, most, most.saturating_mul(BURST_S))
    }
}

impl Worlds {
    /// One more act of somebody. Backends that speak for themselves are not held up.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(super) fn pace(&self, asker: &Asker, actor: &Actor) -> Result<(), Failure> {
        if asker.is_system() {
            return Ok(());
        }
        let most = self.0.config.builds_per_second;
        let socket = asker.socket().map(|socket| socket.id().to_owned());
        let who = actor.person.clone().or(socket).unwrap_or_default();
        let now_ms = self.hub().clock_ms();
        let taken = self.0.pacing.lock().take(&who, now_ms, most);
        taken.map_err(|wait_ms| {
            Failure::new(
                "rate_limited",
                format!("{most} changes a second are allowed; wait {wait_ms} ms"),
            )
        })
    }
}
