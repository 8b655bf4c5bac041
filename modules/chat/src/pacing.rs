//! How much one person may do, from all their sockets together.

use std::collections::HashMap;

use lakh_hub::{Failure, Pace};

use crate::Config;

/// Seconds' worth of messages that may come at once: what was written while a connection was away.
const MESSAGE_BURST_S: u32 = 3;
/// Fewer people than this are not worth looking through.
const LOOK_FROM: usize = 1_024;

#[derive(Default)]
struct Paces {
    messages: Pace,
    new_rooms: Pace,
}

/// The allowances of people who did something lately.
#[derive(Default)]
pub(crate) struct Pacing {
    rooms: HashMap<Box<str>, Pace>,
    /// Rooms there may be before those with full allowances are forgotten.
    look_at_rooms: usize,
    people: HashMap<Box<str>, Paces>,
    /// People there may be before those with full allowances are forgotten.
    look_at: usize,
}

impl Pacing {
    pub(crate) fn message(
        &mut self,
        config: &Config,
        person: &str,
        now_ms: u64,
    ) -> Result<(), Failure> {
        let most = config.messages_per_second;
        let taken = self.of(person, now_ms).messages.take(
            now_ms,
            most,
            most.saturating_mul(MESSAGE_BURST_S),
        );
        taken.map_err(|wait_ms| {
            Failure::new(
                "rate_limited",
                format!("{most} messages a second are allowed; wait {wait_ms} ms"),
            )
        })
    }

    /// A message in a room, whoever sends it.
    pub(crate) fn room(&mut self, config: &Config, room: &str, now_ms: u64) -> Result<(), Failure> {
        let most = config.room_messages_per_second;
        if self.rooms.len() >= self.look_at_rooms.max(LOOK_FROM) {
            self.rooms.retain(|_, pace| !pace.is_full(now_ms));
            self.look_at_rooms = self.rooms.len() * 2;
        }
        let pace = self.rooms.entry(room.into()).or_default();
        let taken = pace.take(now_ms, most, most.saturating_mul(MESSAGE_BURST_S));
        taken.map_err(|wait_ms| {
            Failure::new(
                "rate_limited",
                format!("{most} messages a second are allowed in this room; wait {wait_ms} ms"),
            )
        })
    }

    pub(crate) fn new_room(
        &mut self,
        config: &Config,
        person: &str,
        now_ms: u64,
    ) -> Result<(), Failure> {
        let taken = self
            .of(person, now_ms)
            .new_rooms
            .take(now_ms, 1, config.new_rooms_at_once);
        taken.map_err(|wait_ms| {
            Failure::new(
                "rate_limited",
                format!("you have made many rooms; wait {wait_ms} ms before the next"),
            )
        })
    }

    fn of(&mut self, person: &str, now_ms: u64) -> &mut Paces {
        if self.people.len() >= self.look_at.max(LOOK_FROM) {
            self.people.retain(|_, paces| {
                !(paces.messages.is_full(now_ms) && paces.new_rooms.is_full(now_ms))
            });
            // Looked through again when twice as many are there: each entry pays for a look or two.
            self.look_at = self.people.len() * 2;
        }
        self.people.entry(person.into()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_person_has_an_allowance() {
        let (mut pacing, config) = (
            Pacing::default(),
            Config {
                messages_per_second: 2,
                ..Config::default()
            },
        );
        let passed = |pacing: &mut Pacing, person: &str, now_ms| {
            (0..10)
                .filter(|_| pacing.message(&config, person, now_ms).is_ok())
                .count()
        };
        assert_eq!(passed(&mut pacing, "ada", 1_000), 6);
        assert_eq!(passed(&mut pacing, "ben", 1_000), 6);
        assert_eq!(passed(&mut pacing, "ada", 2_000), 2);
    }

    #[test]
    fn people_who_do_nothing_are_forgotten() {
        let (mut pacing, config) = (Pacing::default(), Config::default());
        for number in 0..20_000_u64 {
            assert!(
                pacing
                    .message(&config, &number.to_string(), number * 1_000)
                    .is_ok()
            );
        }
        assert!(pacing.people.len() <= LOOK_FROM);
    }
}
