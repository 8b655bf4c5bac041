//! `live:react`: reactions that float by. Nothing of them is stored; a node sums up what it is sent, and tells the room
//! four times a second at most.

use std::collections::{BTreeMap, HashMap};

use lakh_hub::Failure;
use lakh_hub::presence::Ms;
use serde::{Deserialize, Serialize};

use crate::asker::Asker;
use crate::permissions::Right;
use crate::reactions::check_emoji;
use crate::shapes::Nothing;
use crate::{Chat, messages, names, standing, sweep};

/// How long reactions are summed up.
const TICK: Ms = 250;
/// Different ones in a room that are summed up at once.
const MOST_KINDS: usize = 50;
/// Rooms in which reactions float by at once.
const MOST_ROOMS: usize = 10_000;

/// What has floated by since rooms were told, by room.
#[derive(Default)]
pub(crate) struct Floating(HashMap<Box<str>, BTreeMap<Box<str>, u64>>);

impl Floating {
    /// Counts one. Whether it's the first since the room was told; `None` if there is no room for more.
    fn add(&mut self, room: &str, emoji: &str) -> Option<bool> {
        let is_full = self.0.len() >= MOST_ROOMS;
        match self.0.get_mut(room) {
            Some(counts) => {
                if counts.len() >= MOST_KINDS && !counts.contains_key(emoji) {
                    return None;
                }
                *counts.entry(emoji.into()).or_default() += 1;
                Some(false)
            }
            None if is_full => None,
            None => {
                self.0
                    .insert(room.into(), BTreeMap::from([(emoji.into(), 1)]));
                Some(true)
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct React {
    room: String,
    emoji: String,
}

/// The argument of `live:reactions`.
#[derive(Serialize)]
struct LiveReactions<'a> {
    room: &'a str,
    counts: BTreeMap<Box<str>, u64>,
}

pub(crate) async fn react(chat: &Chat, asker: &Asker, request: React) -> Result<Nothing, Failure> {
    let room = request.room.as_str();
    names::check_room(room)?;
    check_emoji(&request.emoji)?;
    asker.allow("send", room)?;
    let standing = standing::of(chat, asker, room).await?;
    standing.need_to_write(chat, Right::Live)?;
    messages::pace(chat, asker, room)?;
    let now = chat.clock_ms();
    {
        let mut table = chat.0.table.lock();
        match table.floating.add(room, &request.emoji) {
            None => {
                return Err(Failure::new(
                    "rate_limited",
                    format!(
                        "more than {MOST_KINDS} different reactions float by now; wait a moment"
                    ),
                ));
            }
            Some(true) => table.later(now + TICK, room, None),
            Some(false) => return Ok(Nothing {}),
        }
    }
    sweep::watch(chat);
    Ok(Nothing {})
}

/// Tells a room what has floated by, if anything has. What the server is too busy to tell is gone.
pub(crate) fn tell(chat: &Chat, room: &str) {
    let counts = chat.0.table.lock().floating.0.remove(room);
    let Some(counts) = counts else { return };
    let told = LiveReactions { room, counts };
    let to = chat.0.namespace.to(names::hub_room(room)).volatile();
    if let Err(error) = to.emit("live:reactions", &told) {
        tracing::debug!(room, %error, "reactions that floated by were not told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reactions_are_summed_within_bounds() {
        let mut floating = Floating::default();
        assert_eq!(floating.add("r", "👍"), Some(true));
        assert_eq!(floating.add("r", "👍"), Some(false));
        for number in 1..MOST_KINDS {
            assert_eq!(floating.add("r", &number.to_string()), Some(false));
        }
        assert_eq!(floating.add("r", "one more"), None);
        assert_eq!(floating.add("r", "👍"), Some(false));
        assert_eq!(floating.0["r"]["👍"], 3);
        for number in 1..MOST_ROOMS {
            assert_eq!(floating.add(&number.to_string(), "👍"), Some(true));
        }
        assert_eq!(floating.add("one more", "👍"), None);
    }
}
