//! A message in a thread. It changes the message under which the thread stands, in the same step.

use lakh_hub::store::Batch;
use lakh_hub::{Attempts, Failure, Person};

use super::change::{self, At, difference};
use super::gone;
use super::post::{Ahead, Post, Posted, again, news, place};
use crate::asker::Asker;
use crate::changes::{self, Change};
use crate::rooms::busy;
use crate::shapes::{Message, Replies};
use crate::{Chat, names, records, stored};

/// People who are shown to take part in a thread.
const MOST_PEOPLE: usize = 5;

/// Writes a message into the thread under a message of the room.
pub(super) async fn in_thread(
    chat: &Chat,
    asker: &Asker,
    post: Post,
    root: u64,
    reached: &[String],
    ahead: Ahead<'_>,
) -> Result<Posted, Failure> {
    let room = post.room.clone();
    let at = At {
        room: &room,
        thread: None,
        seq: root,
    };
    let key = at.turn();
    let _turn = chat.0.turns.take(&key).await?;
    // Held until it has its place.
    let _ahead = ahead;
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let above = change::read(chat, at, &[]).await?;
        if above.is_deleted() {
            return Err(gone(root));
        }
        let time = chat.now_ms();
        let mut kept = above.kept.clone();
        kept.overlay.replies = Some(with_reply(kept.overlay.replies, asker.who(), time));
        let whole = |overlay| Message {
            overlay,
            ..Post::message(post.clone(), root, above.time)
        };
        // Only what came to the root differs, whatever else these two say.
        let set = difference(
            &whole(above.kept.overlay.clone()),
            &whole(kept.overlay.clone()),
        )?;
        let change = Change::of_message("replies", (None, root), set, Some(asker.who()));
        let batch = Batch::new(time)
            .append(
                &names::log_of(&room, Some(root)),
                vec![post.entry(chat, asker, time, reached)?],
            )
            .put(
                &names::overlay(&room, None),
                &names::seq_key(root),
                records::to_bytes(&kept)?,
                above.unchanged(),
                None,
            )
            .unless_duplicate();
        let batch = post.also.iter().cloned().fold(batch, Batch::op);
        let told = |applied: &[_]| {
            let seq = place(applied).map_or(0, |(seq, _)| seq);
            let message = post.clone().message(seq, time);
            news(chat, asker, &message).into_iter().collect()
        };
        let Some(applied) = changes::write_with(chat, &room, batch, &change, told).await? else {
            continue;
        };
        let Some((seq, duplicate)) = place(&applied) else {
            return Err(stored::unexpected(None));
        };
        if duplicate {
            return again(chat, asker, &room, Some(root), seq).await;
        }
        return Ok(Posted {
            message: post.message(seq, time),
            duplicate: false,
        });
    }
    Err(busy())
}

/// A thread's summary with one reply more; whoever replied last stands first.
fn with_reply(replies: Option<Replies>, person: &Person, time: u64) -> Replies {
    let mut replies = replies.unwrap_or(Replies {
        count: 0,
        last_at: 0,
        people: Vec::new(),
    });
    replies.count += 1;
    replies.last_at = replies.last_at.max(time);
    replies.people.retain(|other| other.id != person.id);
    replies.people.insert(0, person.clone());
    replies.people.truncate(MOST_PEOPLE);
    replies
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_replied_last_stands_first_and_once() {
        let person = |id: &str| Person {
            id: id.into(),
            name: id.into(),
        };
        let mut replies = None;
        for (time, id) in ["a", "b", "a", "c", "d", "e", "f"].iter().enumerate() {
            replies = Some(with_reply(replies, &person(id), time as u64));
        }
        let replies = replies.expect("some");
        let ids: Vec<_> = replies.people.iter().map(|person| &*person.id).collect();
        assert_eq!(ids, ["f", "e", "d", "c", "a"]);
        assert_eq!((replies.count, replies.last_at), (7, 6));
    }
}
