//! `message:delete` and `message:purge`, and messages that expire.
//!
//! A deleted message keeps its number, key, author and time, so that the numbers stay without holes; what it said is gone
//! from the log's entry itself.

use lakh_hub::store::{Applied, Batch, Condition, DeleteRange, DeletedRange, Document, Op, Query};
use lakh_hub::{Failure, Person};

use super::change::{At, Plan, Present, change};
use super::{Answer, mention, order};
use crate::asker::Asker;
use crate::permissions::Right;
use crate::records::{self, PinsRecord};
use crate::shapes::{Deleted, OfMessage, Overlay, Said};
use crate::standing::{self, Standing};
use crate::{Chat, attachments, names, stored};

pub(crate) async fn delete(
    chat: &Chat,
    asker: &Asker,
    request: OfMessage,
) -> Result<Answer, Failure> {
    remove(chat, asker, request, false).await
}

pub(crate) async fn purge(
    chat: &Chat,
    asker: &Asker,
    request: OfMessage,
) -> Result<Answer, Failure> {
    remove(chat, asker, request, true).await
}

async fn remove(
    chat: &Chat,
    asker: &Asker,
    request: OfMessage,
    purged: bool,
) -> Result<Answer, Failure> {
    let room = request.room.as_str();
    names::check_room(room)?;
    asker.allow("send", room)?;
    let at = At {
        room,
        thread: request.thread,
        seq: request.seq,
    };
    let order = order(asker, room);
    let _order = chat.0.sending.take(&order).await?;
    let standing = standing::of(chat, asker, room).await?;
    standing.need(chat, Right::Read)?;
    let deleted = Deleted {
        by: Some(Person::clone(asker.who())),
        at: chat.now_ms(),
        purged,
    };
    let what = if purged { "purge" } else { "delete" };
    let pins = pins_of(room);
    let done = change(chat, at, what, Some(asker.who()), &pins, |present| {
        check(chat, asker, &standing, present, purged)?;
        tombstone(at, present, deleted.clone())
    })
    .await?;
    clear(chat, at, &done.applied).await?;
    Ok(Answer {
        message: done.message,
    })
}

/// A message's time is over. What says so among what is due goes in the same step: `due` is its key.
///
/// # Errors
/// `unavailable`; then it's to be tried again.
pub(crate) async fn expire(chat: &Chat, at: At<'_>, due: &str) -> Result<(), Failure> {
    let done = Op::Delete {
        collection: names::DUE.to_owned(),
        key: due.to_owned(),
        condition: Condition::Any,
    };
    let deleted = Deleted {
        by: None,
        at: chat.now_ms(),
        purged: true,
    };
    let pins = pins_of(at.room);
    let is_over = |present: &Present| {
        let time = due.get(..16).and_then(|time| time.parse::<u64>().ok());
        let expires_at = present.said.expires_at;
        expires_at.is_some_and(|expires_at| time.is_some_and(|time| expires_at <= time))
    };
    let expired = change(chat, at, "expire", None, &pins, |present| {
        if !is_over(present) {
            // It's another message, in a room that has the name of one that is gone.
            return Ok(None);
        }
        let mut plan = tombstone(at, present, deleted.clone())?;
        if let Some(plan) = &mut plan {
            plan.ops.push(done.clone());
        }
        Ok(plan)
    })
    .await;
    match expired {
        Ok(expired) if !expired.applied.is_empty() => clear(chat, at, &expired.applied).await,
        Err(failure) if failure.code != "not_found" => Err(failure),
        // It is gone already, for whatever reason.
        _ => {
            let batch = Batch::new(chat.now_ms()).op(done);
            stored::write(chat, batch).await?;
            Ok(())
        }
    }
}

/// Whoever wrote a message is erased: it becomes a tombstone by nobody, and the thread that it stands in names them no longer.
///
/// # Errors
/// `unavailable`; then it's to be tried again.
pub(crate) async fn erase(
    chat: &Chat,
    at: At<'_>,
    person: &str,
    now: &Person,
) -> Result<(), Failure> {
    let deleted = Deleted {
        by: None,
        at: chat.now_ms(),
        purged: true,
    };
    let pins = pins_of(at.room);
    let erased = change(chat, at, "erase", None, &pins, |present| {
        if present.said.from.id != person {
            return Ok(None);
        }
        let plan = tombstone(at, present, deleted.clone())?;
        let mut plan = plan.unwrap_or_else(|| Plan {
            kept: present.kept.clone(),
            said: None,
            ops: Vec::new(),
        });
        if let Some(deleted) = &mut plan.kept.overlay.deleted
            && deleted.by.as_ref().is_some_and(|by| by.id == person)
        {
            deleted.by = Some(now.clone());
        }
        plan.said = Some(Said::nothing(present.said.key.clone(), now.clone()));
        Ok(Some(plan))
    })
    .await;
    match erased {
        Ok(erased) => clear(chat, at, &erased.applied).await?,
        // It's gone with its time.
        Err(failure) if failure.code == "not_found" => {}
        Err(failure) => return Err(failure),
    }
    match at.thread {
        Some(root) => forget_replier(chat, at.room, root, person, now).await,
        None => Ok(()),
    }
}

async fn forget_replier(
    chat: &Chat,
    room: &str,
    root: u64,
    person: &str,
    now: &Person,
) -> Result<(), Failure> {
    let at = At {
        room,
        thread: None,
        seq: root,
    };
    let changed = change(chat, at, "erase", None, &[], |present| {
        let mut kept = present.kept.clone();
        let replies = kept.overlay.replies.as_mut();
        let named = replies.and_then(|replies| {
            let mut people = replies.people.iter_mut();
            people.find(|other| other.id == person)
        });
        let Some(named) = named else { return Ok(None) };
        *named = now.clone();
        Ok(Some(Plan {
            kept,
            said: None,
            ops: Vec::new(),
        }))
    })
    .await;
    match changed {
        Err(failure) if failure.code != "not_found" => Err(failure),
        _ => Ok(()),
    }
}

fn check(
    chat: &Chat,
    asker: &Asker,
    standing: &Standing,
    present: &Present,
    purged: bool,
) -> Result<(), Failure> {
    if !asker.is_system() {
        let is_own = present.said.from.id == asker.id();
        let right = match (purged, is_own) {
            (true, _) => Right::Purge,
            (false, true) if standing.may(chat, Right::DeleteOwn) => Right::DeleteOwn,
            (false, true) if !standing.may(chat, Right::DeleteAny) => Right::DeleteOwn,
            (false, _) => Right::DeleteAny,
        };
        standing.need(chat, right)?;
    }
    standing.need_open()
}

fn pins_of(room: &str) -> [Query; 1] {
    [Query::get(names::PINS, room)]
}

/// What is left of a message, and what goes with it. `None`: there is nothing more to take away.
fn tombstone(at: At<'_>, present: &Present, deleted: Deleted) -> Result<Option<Plan>, Failure> {
    let before = present.kept.overlay.deleted.as_ref();
    if before.is_some_and(|before| before.purged || !deleted.purged) {
        return Ok(None);
    }
    let mut ops = Vec::new();
    if deleted.purged {
        ops.push(Op::Delete {
            collection: names::edits(at.room, at.thread),
            key: names::seq_key(at.seq),
            condition: Condition::Any,
        });
    }
    let deleted = match before {
        Some(before) => Deleted {
            purged: true,
            ..before.clone()
        },
        None => {
            ops.extend(reactions(at));
            let said = &present.said;
            ops.extend(said.mentions.iter().map(|id| mention::remove(at, id)));
            if present.kept.overlay.pinned.is_some() {
                ops.extend(unpin(at, present.document())?);
            }
            let batch = attachments::release(&said.attachments, Batch::new(deleted.at));
            ops.extend(batch.ops().iter().cloned());
            deleted
        }
    };
    let mut kept = present.kept.clone();
    kept.overlay = Overlay {
        deleted: Some(deleted),
        // The thread is still there to be read.
        replies: kept.overlay.replies,
        ..Overlay::default()
    };
    let said = before
        .is_none()
        .then(|| Said::nothing(present.said.key.clone(), present.said.from.clone()));
    Ok(Some(Plan { kept, said, ops }))
}

fn reactions(at: At<'_>) -> [Op; 2] {
    let of = |collection| Op::DeleteRange {
        collection,
        range: DeleteRange::prefix(&format!("{}\n", names::seq_key(at.seq))),
    };
    [
        of(names::reactions(at.room, at.thread)),
        of(names::reactors(at.room, at.thread)),
    ]
}

/// Takes a message out of what is pinned.
fn unpin(at: At<'_>, pins: Option<&Document>) -> Result<Option<Op>, Failure> {
    pins_without(at.room, pins, |thread, seq| {
        (thread, seq) == (at.thread, at.seq)
    })
}

/// Takes messages, named by thread and number, out of what is pinned; `None` if none of them is.
pub(crate) fn pins_without(
    room: &str,
    pins: Option<&Document>,
    is_gone: impl Fn(Option<u64>, u64) -> bool,
) -> Result<Option<Op>, Failure> {
    let Some(document) = pins else {
        return Ok(None);
    };
    let mut record: PinsRecord = records::read(document)?;
    let before = record.pins.len();
    record.pins.retain(|pin| !is_gone(pin.thread, pin.seq));
    if record.pins.len() == before {
        return Ok(None);
    }
    Ok(Some(Op::Put {
        collection: names::PINS.to_owned(),
        key: room.to_owned(),
        value: records::to_bytes(&record)?.into(),
        condition: Condition::Version(document.version),
        expires_at_ms: None,
    }))
}

/// Takes away the reactions that one step didn't reach. Nobody can give new ones: the message is deleted.
async fn clear(chat: &Chat, at: At<'_>, applied: &[Applied]) -> Result<(), Failure> {
    let is_more = |applied: &Applied| {
        matches!(
            applied,
            Applied::DeletedRange(DeletedRange { more: true, .. })
        )
    };
    let mut more = applied.iter().any(is_more);
    while more {
        let batch = reactions(at)
            .into_iter()
            .fold(Batch::new(chat.now_ms()), Batch::op);
        let applied = stored::write(chat, batch).await?;
        more = applied.iter().any(is_more);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use lakh_hub::store::{Scan, Store};
    use lakh_hub::{Clock, Hub, Millis, Settings, Shard};
    use serde_json::{Value, json};

    use super::*;
    use crate::Config;
    use crate::records::DueRecord;

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Millis {
            Millis(0)
        }

        fn wall_ms(&self) -> u64 {
            1_000
        }
    }

    async fn call(chat: &Chat, name: &str, request: Value) -> Value {
        let (system, request) = (Asker::system(), request.to_string());
        let answer = chat.call(&system, name, &request).await.expect("granted");
        serde_json::from_str(answer.get()).expect("JSON")
    }

    async fn play() {
        let store = Store::memory();
        let hub = Hub::new(Settings::default(), Still);
        let _shard = Shard::enter(&hub, 0);
        let chat = crate::install(&hub, store.clone(), Config::default());
        call(&chat, "room:join", json!({"room": "r"})).await;
        for key in ["expires", "expires and is deleted"] {
            let request = json!({"room": "r", "key": key, "text": "secret", "expires_in_s": 5});
            call(&chat, "message:send", request).await;
        }
        call(&chat, "message:delete", json!({"room": "r", "seq": 2})).await;
        let due = || async {
            let scanning = store.scan(1_000, names::DUE, Scan::default());
            scanning.await.expect("read").items
        };
        for (key, document) in due().await {
            let DueRecord::Expire { room, thread, seq } = records::read(&document).expect("fits")
            else {
                panic!("something else is due");
            };
            assert_eq!(seq, None, "it was written with the message");
            let seq = DueRecord::seq_of(&key).expect("a number");
            let room = room.as_str();
            let at = At { room, thread, seq };
            expire(&chat, at, &key).await.expect("done");
        }
        assert!(due().await.is_empty());
        let history = call(&chat, "message:history", json!({"room": "r"})).await;
        assert_eq!(
            history["messages"][0]["deleted"],
            json!({"at": 1_000, "purged": true})
        );
        assert_eq!(history["messages"][0]["text"], "");
        assert_eq!(history["messages"][1]["deleted"]["by"]["id"], "system");
    }

    #[test]
    fn what_is_due_expires_and_is_due_no_more() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, play());
        Shard::exit();
    }
}
