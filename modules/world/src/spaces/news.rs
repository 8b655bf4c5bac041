//! What members are told of each other: put together under the lock of who is where, told on this node in its order.

use std::collections::VecDeque;
use std::sync::Weak;

use lakh_hub::presence::{Agenda, Change, Ms, Present, Table, Teller as Telling, Whereabouts};
use lakh_hub::{Payload, Room};
use serde_json::{Value as Json, json};

use super::{HUB_PREFIX, Inner, Spaces};

/// News that wait to be told; past it what changes is not told, and those who want to know ask anew.
const MAX_NEWS: usize = 10_000;
/// Wait before something is told again that the server was too busy to take.
const AGAIN_MS: Ms = 100;

/// Makes news of members.
#[derive(Default)]
pub(crate) struct Teller {
    pub(super) spaces: Weak<Inner>,
    /// Each with a number of its own.
    news: VecDeque<(u64, Room, Payload)>,
    next: u64,
    /// Whose locks are to be given back, by this node; and whether they said that they have some.
    left: Vec<(Room, String, bool)>,
    /// Where somebody came who has yet to see the cursors.
    entered: Vec<Room>,
}

/// What a member says of itself, out of what nodes tell each other.
fn field(one: &Present, name: &str) -> Json {
    let data = one.data.as_ref().and_then(|data| data.get(name));
    data.cloned().unwrap_or(Json::Null)
}

/// A member as clients see it.
pub(super) fn shown(one: &Present) -> Json {
    json!({
        "session": one.id,
        "user": one.user,
        "connected": one.sockets > 0,
        "profile": field(one, "profile"),
        "location": field(one, "location"),
    })
}

fn event(name: &str, value: &Json) -> Payload {
    Payload::from_raw(json!([name, value]).to_string(), Vec::new())
}

impl Teller {
    fn push(&mut self, room: &Room, payload: Payload) {
        if self.news.len() >= MAX_NEWS {
            return tracing::warn!(%room, "news of members are not told: too many wait");
        }
        self.next += 1;
        self.news.push_back((self.next, Room::clone(room), payload));
    }

    fn members(&mut self, room: &Room, what: &str, member: Json) {
        let mut told = json!({"space": room.strip_prefix(HUB_PREFIX)});
        told[what] = Json::Array(vec![member]);
        self.push(room, event("space:members", &told));
    }
}

impl Telling for Teller {
    fn minds(&self, place: &Room) -> bool {
        place.starts_with(HUB_PREFIX)
    }

    fn changed(&mut self, _: &Table, _: &mut Agenda, change: Change) {
        let room = &change.place;
        match (change.before, change.after) {
            (None, Some(member)) => {
                self.entered.push(Room::clone(room));
                self.members(room, "entered", shown(&member));
            }
            (Some(member), None) => {
                if change.is_ours {
                    let has_locked = field(&member, "locked") == true;
                    self.left
                        .push((Room::clone(room), member.id.clone(), has_locked));
                }
                self.members(room, "left", shown(&member));
            }
            (Some(before), Some(after)) => {
                let (from, to) = (field(&before, "location"), field(&after, "location"));
                if from != to {
                    let told = json!({
                        "space": room.strip_prefix(HUB_PREFIX), "session": after.id,
                        "user": after.user, "location": to, "previous": from,
                    });
                    self.push(room, event("space:location", &told));
                }
                let (before, mut after) = (shown(&before), shown(&after));
                after["location"] = before["location"].clone();
                if before != after {
                    after["location"] = to;
                    self.members(room, "updated", after);
                }
            }
            (None, None) => {}
        }
    }

    fn due(&mut self, _: &Table, _: &mut Agenda, _: Room, _: Ms) {}

    fn tell(whereabouts: &Whereabouts<Self>) {
        flush(whereabouts);
        let (spaces, left, entered) = {
            let mut known = whereabouts.lock();
            let teller = &mut known.teller;
            if teller.left.is_empty() && teller.entered.is_empty() {
                return;
            }
            let left = std::mem::take(&mut teller.left);
            (
                teller.spaces.upgrade(),
                left,
                std::mem::take(&mut teller.entered),
            )
        };
        let Some(spaces) = spaces.map(Spaces) else {
            return;
        };
        for room in entered {
            if let Some(space) = room.strip_prefix(HUB_PREFIX) {
                spaces.show_cursors(space);
            }
        }
        for (room, session, has_locked) in left {
            if let Some(space) = room.strip_prefix(HUB_PREFIX)
                && (has_locked || spaces.knows_locks_of(space, &session))
            {
                spaces.give_back(space, &session);
            }
        }
    }
}

/// Tells the news to this node's members, in their order.
fn flush(whereabouts: &Whereabouts<Teller>) {
    loop {
        let next = {
            let known = whereabouts.lock();
            let next = known.teller.news.front();
            next.map(|(number, room, _)| (*number, Room::clone(room)))
        };
        let Some((number, room)) = next else { return };
        let to = whereabouts.namespace().to(Room::clone(&room)).unlogged();
        let told = to.emit_ordered(|| {
            let mut known = whereabouts.lock();
            // Another loop may have told it meanwhile.
            let first = known.teller.news.front();
            first.filter(|(first, ..)| *first == number)?;
            let (_, _, payload) = known.teller.news.pop_front()?;
            Some((payload, known))
        });
        if let Err(error) = told {
            tracing::debug!(%error, "news of members are told a little later");
            let at = whereabouts.namespace().hub().clock_ms() + AGAIN_MS;
            return whereabouts.lock().agenda.later(at, room);
        }
    }
}
