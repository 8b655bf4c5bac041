//! A client's life, cut where it was told that it's new.

use std::collections::HashMap;

use crate::compare::{Kind, Violation, at};
use crate::records::{Lived, Name};

/// What a client saw of a room in one stretch.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// When the join was acknowledged.
    pub(crate) joined: Option<u64>,
    /// What was seen, with times.
    pub(crate) seen: Vec<(u64, Name)>,
    /// As the server counts them.
    pub(crate) counts: HashMap<Name, u64>,
}

/// A client's life from being told that it's new to being told so again.
#[derive(Debug)]
pub(crate) struct Stretch {
    /// Whose life it is.
    pub(crate) client: usize,
    /// When it was recovered.
    pub(crate) recovered: Vec<u64>,
    /// Whether it goes on to the end of the run.
    pub(crate) last: bool,
    /// What it saw, by room.
    pub(crate) rooms: HashMap<u32, View>,
}

/// The stretches of a client's life. What is wrong with its connections goes to `found`.
pub(crate) fn of(client: usize, life: &[(u64, Lived)], found: &mut Vec<Violation>) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut id = "";
    let mut tell = |kind, time, words| {
        found.push(Violation {
            kind,
            client: Some(client),
            count: 1,
            time: (time, time),
            words,
        });
    };
    for (time, lived) in life {
        if let Lived::Connected { recovered, sid, .. } = lived {
            if *recovered && sid != id && !stretches.is_empty() {
                let words = format!("recovered as {sid}, was {id}");
                tell(Kind::OtherId, *time, words);
            }
            id = sid;
        }
        if stretches.is_empty()
            || matches!(
                lived,
                Lived::Connected {
                    recovered: false,
                    ..
                }
            )
        {
            stretches.push(Stretch {
                client,
                recovered: Vec::new(),
                last: false,
                rooms: HashMap::new(),
            });
        }
        let Some(stretch) = stretches.last_mut() else {
            continue;
        };
        match lived {
            Lived::Connected { recovered, .. } => {
                stretch.recovered.extend(recovered.then_some(*time));
            }
            Lived::Joined(room) => {
                let joined = &mut stretch.rooms.entry(*room).or_default().joined;
                *joined = joined.or(Some(*time));
            }
            Lived::Saw(room, name, count) => {
                let view = stretch.rooms.entry(*room).or_default();
                view.seen.push((*time, *name));
                view.counts.insert(*name, *count);
            }
            Lived::Refused(room, why) if why == "not_member" => {
                let view = stretch.rooms.get(room);
                if let Some(joined) = view.and_then(|view| view.joined) {
                    let words = format!("r{room}: not a member any more, joined at {}", at(joined));
                    tell(Kind::LostRoom, *time, words);
                }
            }
            Lived::Refused(..) | Lived::Lost(_) => {}
        }
    }
    let end = life.iter().rev().find_map(|(time, lived)| match lived {
        Lived::Connected { .. } => Some((*time, true)),
        Lived::Lost(_) => Some((*time, false)),
        _ => None,
    });
    match (end, stretches.last_mut()) {
        (Some((_, true)), Some(stretch)) => stretch.last = true,
        (end, _) => {
            let time = end.map_or(0, |(time, _)| time);
            tell(Kind::Stuck, time, "was not connected at the end".to_owned());
        }
    }
    stretches
}
