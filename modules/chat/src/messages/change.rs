//! A change to a message: what is there is read, the change is made on condition that it's still so, and made anew if somebody
//! was faster. On one node changes to a message take turns; several nodes meet at the condition.

use lakh_hub::store::{Answer, Applied, Batch, Condition, Document, Op, Query, Range};
use lakh_hub::{Attempts, Failure, Person};
use serde_json::{Map, Value};

use super::{no_message, view};
use crate::changes::{self, Change};
use crate::records::{self, OverlayRecord};
use crate::rooms::busy;
use crate::shapes::{Message, Overlay, Said};
use crate::{Chat, names, search, stored};

/// Which message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a> {
    pub room: &'a str,
    pub thread: Option<u64>,
    pub seq: u64,
}

impl At<'_> {
    /// Names it among all that take turns.
    pub(super) fn turn(&self) -> String {
        let (room, seq) = (self.room, self.seq);
        match self.thread {
            Some(root) => format!("{room}\n{root}\n{seq}"),
            None => format!("{room}\n{seq}"),
        }
    }
}

/// A message as it was read, to be changed.
#[derive(Debug)]
pub(crate) struct Present {
    pub said: Said,
    pub time: u64,
    pub kept: OverlayRecord,
    /// The overlay's version, if there is one.
    version: Option<u64>,
    /// What else was asked for, of the same snapshot.
    pub more: Vec<Answer>,
}

impl Present {
    pub(crate) fn is_deleted(&self) -> bool {
        self.kept.overlay.deleted.is_some()
    }

    /// The document that was asked for besides, if there is one.
    pub(super) fn document(&self) -> Option<&Document> {
        match self.more.first() {
            Some(Answer::Document(document)) => document.as_ref(),
            _ => None,
        }
    }

    /// The condition that nothing has come to the message since.
    pub(super) fn unchanged(&self) -> Condition {
        self.version.map_or(Condition::Absent, Condition::Version)
    }

    fn message(&self, at: At<'_>) -> Message {
        message(at, self.time, self.said.clone(), self.kept.overlay.clone())
    }
}

fn message(at: At<'_>, time: u64, said: Said, overlay: Overlay) -> Message {
    Message {
        room: at.room.to_owned(),
        thread: at.thread,
        seq: at.seq,
        said,
        time,
        overlay,
    }
}

/// What is to become of a message.
pub(crate) struct Plan {
    pub kept: OverlayRecord,
    /// What it says from now on, if that changes.
    pub said: Option<Said>,
    /// What else is written in the same step.
    pub ops: Vec<Op>,
}

/// What became of it.
pub(crate) struct Changed {
    pub message: Message,
    /// What the plan's further operations did; empty if there was nothing to change.
    pub applied: Vec<Applied>,
}

/// Changes a message. `decide` is asked again whenever somebody was faster; `None` leaves the message as it is.
///
/// # Errors
/// `not_found` if it isn't there; what `decide` refuses; `unavailable`.
pub(crate) async fn change(
    chat: &Chat,
    at: At<'_>,
    what: &str,
    by: Option<&Person>,
    more: &[Query],
    mut decide: impl FnMut(&Present) -> Result<Option<Plan>, Failure> + Send,
) -> Result<Changed, Failure> {
    let key = at.turn();
    let _turn = chat.0.turns.take(&key).await?;
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let present = read(chat, at, more).await?;
        let before = present.message(at);
        let Some(plan) = decide(&present)? else {
            return Ok(Changed {
                message: before,
                applied: Vec::new(),
            });
        };
        let said = plan.said.as_ref().unwrap_or(&present.said).clone();
        let after = message(at, present.time, said, plan.kept.overlay.clone());
        let set = difference(&before, &after)?;
        let mut batch = Batch::new(chat.now_ms()).put(
            &names::overlay(at.room, at.thread),
            &names::seq_key(at.seq),
            records::to_bytes(&plan.kept)?,
            present.unchanged(),
            None,
        );
        let mut own = 1;
        if let Some(said) = &plan.said {
            let log = names::log_of(at.room, at.thread);
            batch = batch.amend(
                &log,
                at.seq,
                records::to_bytes(said)?,
                search::text_of(said),
            );
            own += 1;
        }
        batch = plan.ops.into_iter().fold(batch, Batch::op);
        let change = Change::of_message(what, (at.thread, at.seq), set, by);
        if let Some(mut applied) = changes::write(chat, at.room, batch, &change).await? {
            return Ok(Changed {
                message: after,
                applied: applied.split_off(own),
            });
        }
    }
    Err(busy())
}

/// Reads a message and other documents, all from one snapshot.
pub(super) async fn read(chat: &Chat, at: At<'_>, more: &[Query]) -> Result<Present, Failure> {
    let range = Range {
        to: at.seq,
        ..Range::from(at.seq, 1)
    };
    let mut queries = vec![
        Query::Range {
            log: names::log_of(at.room, at.thread),
            range,
        },
        Query::get(names::overlay(at.room, at.thread), names::seq_key(at.seq)),
    ];
    queries.extend(more.iter().cloned());
    let mut answers = stored::read(chat, queries).await?.into_iter();
    let (page, overlay) = match (answers.next(), answers.next()) {
        (Some(Answer::Entries(page)), Some(Answer::Document(overlay))) => (page, overlay),
        (other, _) => return Err(stored::unexpected(other.as_ref())),
    };
    let entry = page.entries.first().ok_or_else(|| no_message(at.seq))?;
    let read = view::of_entry(at.room, at.thread, entry)?;
    Ok(Present {
        said: read.said,
        time: read.time,
        version: overlay.as_ref().map(|document| document.version),
        kept: overlay
            .as_ref()
            .map(records::read)
            .transpose()?
            .unwrap_or_default(),
        more: answers.collect(),
    })
}

/// The fields that make one message of another; null takes one out.
pub(super) fn difference(before: &Message, after: &Message) -> Result<Map<String, Value>, Failure> {
    let fields = |message: &Message| match serde_json::to_value(message) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(stored::unexpected(None)),
        Err(error) => Err(stored::unreadable(&error)),
    };
    let (before, after) = (fields(before)?, fields(after)?);
    let mut set: Map<_, _> = before
        .keys()
        .filter(|name| !after.contains_key(*name))
        .map(|name| (name.clone(), Value::Null))
        .collect();
    set.extend(
        after
            .into_iter()
            .filter(|(name, value)| before.get(name) != Some(value)),
    );
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shapes::Done;

    #[test]
    fn a_change_names_what_is_new_and_what_is_gone() {
        let ada = Person {
            id: "ada".into(),
            name: "Ada".into(),
        };
        let said: Said = serde_json::from_value(serde_json::json!({
            "key": "k", "from": ada, "text": "old", "data": {"a": 1}
        }))
        .expect("fits");
        let at = At {
            room: "r",
            thread: None,
            seq: 1,
        };
        let before = message(at, 7, said.clone(), Overlay::default());
        let pinned = Overlay {
            pinned: Some(Done { by: ada, at: 9 }),
            ..Overlay::default()
        };
        let said = Said {
            text: "new".into(),
            data: None,
            ..said
        };
        let after = message(at, 7, said, pinned);
        let expected = serde_json::json!({
            "text": "new", "data": null, "pinned": {"by": {"id": "ada", "name": "Ada"}, "at": 9}
        });
        assert_eq!(
            Value::Object(difference(&before, &after).expect("objects")),
            expected
        );
        assert!(difference(&after, &after).expect("objects").is_empty());
    }
}
