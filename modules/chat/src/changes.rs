//! What is changed in a room, beside new messages: each change has a number of its own in the room (`rev`), and is kept
//! for those who were away.

use lakh_hub::store::{Applied, Batch, Entry, Placed};
use lakh_hub::{Failure, Payload, Person};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::crowd::{self, Crowd};
use crate::ordered::{self, Told};
use crate::{Chat, names, stored, told};

/// Changes kept of a room at least; who was away for more starts anew.
pub(crate) const KEPT: u64 = 5_000;

/// The event of changes to a member.
const MEMBER_CHANGED: &str = "member:changed";

/// One change: what the event says, but for room and number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// The event by which it is told: `message:changed`, `room:changed` or `member:changed`.
    pub event: String,
    /// The message that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The root of the thread in which that message stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<u64>,
    /// What was done to a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// The member that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Person>,
    /// Fields that replace those of the message, room or member; null removes one.
    #[serde(default)]
    pub set: Map<String, Value>,
    /// Who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Person>,
}

impl Change {
    /// Of a message.
    pub(crate) fn of_message(
        what: &str,
        at: (Option<u64>, u64),
        set: Map<String, Value>,
        by: Option<&Person>,
    ) -> Self {
        Self {
            seq: Some(at.1),
            thread: at.0,
            what: Some(what.to_owned()),
            ..Self::new("message:changed", set, by)
        }
    }

    /// Of a member.
    pub(crate) fn of_member(user: &Person, set: Map<String, Value>, by: Option<&Person>) -> Self {
        Self {
            user: Some(user.clone()),
            ..Self::new(MEMBER_CHANGED, set, by)
        }
    }

    /// Of the room itself.
    pub(crate) fn of_room(set: Map<String, Value>, by: Option<&Person>) -> Self {
        Self::new("room:changed", set, by)
    }

    fn new(event: &str, set: Map<String, Value>, by: Option<&Person>) -> Self {
        Self {
            event: event.to_owned(),
            seq: None,
            thread: None,
            what: None,
            user: None,
            set,
            by: by.cloned(),
        }
    }

    /// Whether a crowd hears of it: not of who becomes a member or is one no longer, and where only counts are told, of
    /// nothing that is about members.
    fn is_told_in(&self, crowd: Crowd) -> bool {
        let comes_or_goes = || self.set.contains_key("joined") || self.set.contains_key("left");
        match crowd {
            Crowd::None => true,
            Crowd::Thinned => self.event != MEMBER_CHANGED || !comes_or_goes(),
            Crowd::Counts => self.event != MEMBER_CHANGED,
        }
    }

    /// The entry of the room's log of changes.
    pub(crate) fn entry(&self, now_ms: u64) -> Result<Entry, Failure> {
        // What a message says stands in its log and nowhere else: there it can be taken back. Who was away is given whole
        // messages, and needs to know only which.
        let bare = self.seq.is_some().then(|| Self {
            seq: self.seq,
            thread: self.thread,
            what: self.what.clone(),
            ..Self::new(&self.event, Map::new(), None)
        });
        let value = serde_json::to_vec(bare.as_ref().unwrap_or(self))
            .map_err(|error| stored::unreadable(&error))?;
        Ok(Entry::new(now_ms, value))
    }

    /// What those who watch the server call it, if it's anything to them.
    fn outside(&self) -> Option<&'static str> {
        match (self.what.as_deref(), &*self.event) {
            (Some("edit"), _) => Some("message:edit"),
            (Some("delete" | "purge" | "expire" | "erase"), _) => Some("message:delete"),
            (Some("pin"), _) => Some("message:pin"),
            (Some("reaction"), _) => Some("reaction"),
            (None, "room:changed") => Some("room:changed"),
            (None, _) if self.set.contains_key("joined") => Some("member:joined"),
            (None, _) if self.set.contains_key("left") => Some("member:left"),
            (None, MEMBER_CHANGED) => Some(MEMBER_CHANGED),
            _ => None,
        }
    }

    /// How the room hears of it, unless it's a crowd that doesn't, and those who watch the server.
    fn told(&self, chat: &Chat, room: &str, rev: u64, crowd: Crowd) -> Option<Told> {
        let is_told = self.is_told_in(crowd);
        let outside = self.outside().filter(|_| told::is_watched(chat));
        if !is_told && outside.is_none() {
            return None;
        }
        let mut argument = match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            _ => return None,
        };
        argument.remove("event");
        argument.insert("room".to_owned(), room.into());
        argument.insert("rev".to_owned(), rev.into());
        let argument = Value::Object(argument);
        let payload = || Payload::from_raw(format!(r#"["{}",{argument}]"#, self.event), Vec::new());
        let who = self.by.as_ref().or(self.user.as_ref());
        Some(Told {
            payload: is_told.then(payload),
            occurrence: outside.map(|event| told::change(chat, room, event, who, &argument)),
        })
    }
}

/// Writes a batch together with a change that it makes, and tells the room. Gives what the batch's own operations did.
///
/// `Ok(None)`: a condition of the batch did not hold, and nothing was changed.
pub(crate) async fn write(
    chat: &Chat,
    room: &str,
    batch: Batch,
    change: &Change,
) -> Result<Option<Vec<Applied>>, Failure> {
    write_with(chat, room, batch, change, |_| Vec::new()).await
}

/// The same, with news of the batch's own that are told before the change. A batch that gave way to a duplicate has changed
/// nothing, and nothing is told of it.
pub(crate) async fn write_with(
    chat: &Chat,
    room: &str,
    batch: Batch,
    change: &Change,
    news: impl FnOnce(&[Applied]) -> Vec<Told>,
) -> Result<Option<Vec<Applied>>, Failure> {
    write_all(chat, room, batch, std::slice::from_ref(change), news).await
}

/// The same with several changes, at least one.
pub(crate) async fn write_all(
    chat: &Chat,
    room: &str,
    batch: Batch,
    changes: &[Change],
    news: impl FnOnce(&[Applied]) -> Vec<Told>,
) -> Result<Option<Vec<Applied>>, Failure> {
    let now_ms = batch.now_ms();
    let entries = changes.iter().map(|change| change.entry(now_ms));
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    let batch = batch.append(&names::changes(room), entries);
    let (turn, writing) = ordered::submit(chat, room, batch)?;
    let mut applied = match writing.await {
        Ok(applied) => applied,
        Err(lakh_hub::store::WriteError::Conflict { .. }) => return Ok(None),
        Err(error) => return Err(stored::not_written(&error)),
    };
    let revs = match applied.pop() {
        Some(Applied::Appended(appended)) => appended.entries,
        Some(Applied::Skipped) => return Ok(Some(applied)),
        _ => return Err(stored::unexpected(None)),
    };
    let mut told = news(&applied);
    let crowd = crowd::of(chat, room);
    let changes = changes.iter().zip(&revs);
    told.extend(changes.filter_map(|(change, placed)| change.told(chat, room, placed.seq, crowd)));
    turn.tell(told);
    ordered::heard(chat).await?;
    let whole = revs
        .iter()
        .map(|placed| placed.seq)
        .find(|rev| rev % KEPT == 0);
    if let Some(rev) = whole {
        trim(chat, room, rev);
    }
    Ok(Some(applied))
}

/// Where the one entry of an append is.
pub(crate) fn placed(applied: Option<&Applied>) -> Option<Placed> {
    match applied {
        Some(Applied::Appended(appended)) => appended.entries.first().copied(),
        _ => None,
    }
}

/// Lets go of changes that nobody asks for any more. Nobody waits for it: what is left is trimmed the next time.
fn trim(chat: &Chat, room: &str, rev: u64) {
    let trim = lakh_hub::store::Trim {
        before_seq: Some(rev.saturating_sub(KEPT)),
        ..Default::default()
    };
    drop(chat.0.store.trim(&names::changes(room), trim));
}
