//! `unread:changed`: members hear of new messages in rooms that they don't watch, at most once a second and room; and those
//! who are away are reminded later ([`offline`]).
//!
//! One task of the node does so, room by room: if there is more to tell than it can, people are told later, not more at
//! once. In crowds nobody is told, since each message would be work for every member.

use std::collections::BTreeSet;
use std::time::Duration;

use lakh_hub::store::{Answer, LogInfo, Page, Query, Scan};
use lakh_hub::store::{Document, ScoreRange};
use lakh_hub::{Failure, Payload, Person};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::permissions::Role;
use crate::receipts::{self, Tally, Throttle};
use crate::records::{self, MemberRecord, MembershipRecord, Notify};
use crate::shapes::{Message, event};
use crate::{Chat, names, offline, stored};

/// How often members are told of a room.
const EVERY: Duration = Duration::from_secs(1);
/// Rooms of which something is told within a second; of more nobody is told.
const MOST: usize = 2_000;
/// Members that are looked at in one step.
const PAGE: usize = 100;
/// People whose mentions in a crowd are remembered until they are told.
const MOST_MENTIONED: usize = 1_000;

/// What has come to a room since its members were told.
#[derive(Clone, Debug)]
pub(crate) struct News {
    last: Message,
    /// Whom it mentions.
    mentioned: BTreeSet<String>,
    /// There is a message of which those who are away may be told.
    is_loud: bool,
}

impl News {
    fn of(message: &Message) -> Self {
        Self {
            last: message.clone(),
            mentioned: message.said.mentions.iter().cloned().collect(),
            is_loud: !message.said.silent,
        }
    }

    fn add(&mut self, newer: Self) {
        if newer.last.seq > self.last.seq {
            self.last = newer.last;
        }
        let free = MOST_MENTIONED.saturating_sub(self.mentioned.len());
        self.mentioned
            .extend(newer.mentioned.into_iter().take(free));
        self.is_loud |= newer.is_loud;
    }
}

pub(crate) type Rooms = Throttle<String, News>;

pub(crate) fn new() -> Rooms {
    Throttle::new(EVERY, MOST)
}

/// A message was stored in a room.
pub(crate) fn note(chat: &Chat, message: &Message) {
    let room = message.room.clone();
    let taken = chat.0.unread.put(room, News::of(message), News::add);
    if !taken {
        tracing::debug!(
            room = message.room,
            "too many rooms have news: members hear of these later"
        );
    }
}

/// Works for as long as the loop does.
pub(crate) async fn run(chat: Chat) {
    let unread = &chat.0.unread;
    unread
        .run(async |room, news| {
            if let Err(failure) = tell(&chat, room, &news).await {
                tracing::debug!(room, %failure.message, "members were not told of new messages");
            }
        })
        .await;
}

/// Somebody to be told.
pub(crate) struct Reader {
    pub person: Person,
    pub notify: Notify,
    pub tally: Tally,
    /// They are to be reminded already.
    pub is_reminded: bool,
}

async fn tell(chat: &Chat, room: &str, news: &News) -> Result<(), Failure> {
    let members = names::members(room);
    let counting = chat.0.store.count(&members, ScoreRange::ALL);
    let count = counting.await.map_err(|error| stored::not_read(&error))?;
    let reminds = news.is_loud && offline::is_wanted(chat);
    if count > chat.0.config.unread_max_members {
        if reminds {
            let mut people = Vec::with_capacity(news.mentioned.len());
            for id in &news.mentioned {
                people.push(id.clone());
            }
            let readers = readers_of(chat, room, people).await?;
            offline::plan(chat, room, &readers, true).await?;
        }
        return Ok(());
    }
    let Ok(last) = serde_json::value::to_raw_value(&news.last) else {
        return Ok(());
    };
    let mut after = None;
    loop {
        let scan = Scan::default().limit(PAGE).after(after);
        let scanning = chat.0.store.scan(chat.now_ms(), &members, scan);
        let page = scanning.await.map_err(|error| stored::not_read(&error))?;
        let readers = read_page(chat, room, &page).await?;
        for reader in &readers {
            tell_one(chat, room, reader, &last);
        }
        if reminds {
            offline::plan(chat, room, &readers, false).await?;
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// The argument of `unread:changed`.
#[derive(Serialize)]
struct Changed<'a> {
    room: &'a str,
    unread: u64,
    mentions: u64,
    last: &'a RawValue,
}

/// Tells the devices of somebody that don't watch the room.
fn tell_one(chat: &Chat, room: &str, reader: &Reader, last: &RawValue) {
    let changed = Changed {
        room,
        unread: reader.tally.unread,
        mentions: reader.tally.mentions,
        last,
    };
    let Some(payload): Option<Payload> = event("unread:changed", &changed) else {
        return;
    };
    let to = chat.0.namespace.to(Person::room_of(&reader.person.id));
    if let Err(error) = to.except(names::hub_room(room)).emit_raw(payload) {
        tracing::warn!(room, %error, "the server was too busy to tell of unread messages");
    }
}

/// Some of the members by their ids.
async fn readers_of(chat: &Chat, room: &str, ids: Vec<String>) -> Result<Vec<Reader>, Failure> {
    let mut readers = Vec::new();
    for ids in ids.chunks(PAGE) {
        let get = |id: &String| Query::Get {
            collection: names::members(room),
            key: id.clone(),
        };
        let reading = chat
            .0
            .store
            .read(chat.now_ms(), ids.iter().map(get).collect());
        let answers = reading.await.map_err(|error| stored::not_read(&error))?;
        let found = ids.iter().zip(answers);
        let items = found.filter_map(|(id, answer)| match answer {
            Answer::Document(document) => Some((id.clone(), document?)),
            _ => None,
        });
        let page = Page {
            items: items.collect(),
            next: None,
        };
        readers.extend(read_page(chat, room, &page).await?);
    }
    Ok(readers)
}

/// How far a page of members is.
async fn read_page(
    chat: &Chat,
    room: &str,
    page: &Page<(String, Document)>,
) -> Result<Vec<Reader>, Failure> {
    let mut people = Vec::with_capacity(page.items.len());
    for (id, document) in &page.items {
        let member: MemberRecord = records::read(document)?;
        if member.role > Role::Guest {
            let (id, name) = (id.clone(), member.name);
            people.push(Person { id, name });
        }
    }
    let mut queries = vec![
        Query::Log {
            log: names::log(room),
        },
        receipts::mentions_query(room, names::MENTIONS_OF_ALL),
    ];
    for person in &people {
        queries.push(receipts::marks_query(room, &person.id));
        queries.push(receipts::mentions_query(room, &names::mentions(&person.id)));
        queries.push(Query::Get {
            collection: names::memberships(&person.id),
            key: room.to_owned(),
        });
        queries.push(offline::query(room, &person.id));
    }
    let reading = chat.0.store.read(chat.now_ms(), queries);
    let answers = reading.await.map_err(|error| stored::not_read(&error))?;
    let mut answers = answers.into_iter();
    let (Some(Answer::Log(log)), Some(Answer::Documents(of_all))) =
        (answers.next(), answers.next())
    else {
        return Err(stored::unexpected(None));
    };
    let of_all = receipts::seqs(&of_all);
    let mut readers = Vec::with_capacity(people.len());
    for person in people {
        let reader = reader(chat, room, person, (&log, &of_all), &mut answers)?;
        readers.push(reader);
    }
    Ok(readers)
}

fn reader(
    chat: &Chat,
    room: &str,
    person: Person,
    (log, of_all): (&LogInfo, &[u64]),
    answers: &mut impl Iterator<Item = Answer>,
) -> Result<Reader, Failure> {
    let all = (
        answers.next(),
        answers.next(),
        answers.next(),
        answers.next(),
    );
    let (
        Some(Answer::Document(marks)),
        Some(Answer::Documents(mentions)),
        Some(Answer::Document(membership)),
        Some(Answer::Document(reminder)),
    ) = all
    else {
        return Err(stored::unexpected(None));
    };
    let (marks, _) = receipts::marks_of(marks.as_ref())?;
    let marks = receipts::with_sent(chat, room, &person.id, marks, log.last_seq);
    let membership: Option<MembershipRecord> =
        membership.as_ref().map(records::read).transpose()?;
    Ok(Reader {
        notify: membership.map_or(Notify::default(), |membership| membership.notify),
        tally: receipts::tally(marks, &receipts::seqs(&mentions), of_all, log),
        is_reminded: reminder.is_some(),
        person,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shapes::{Overlay, Said};

    fn message(seq: u64, mentions: &[&str], silent: bool) -> Message {
        let from = Person {
            id: "ada".into(),
            name: "Ada".into(),
        };
        Message {
            room: "r".into(),
            thread: None,
            seq,
            said: Said {
                mentions: mentions.iter().map(|id| (*id).to_owned()).collect(),
                silent,
                ..Said::nothing("k".into(), from)
            },
            time: 0,
            overlay: Overlay::default(),
        }
    }

    #[test]
    fn news_of_a_room_become_one_with_the_newest_message_and_all_mentions() {
        let mut news = News::of(&message(5, &["ben"], true));
        news.add(News::of(&message(4, &["cy"], true)));
        assert_eq!((news.last.seq, news.is_loud), (5, false));
        news.add(News::of(&message(6, &["ben"], false)));
        assert_eq!((news.last.seq, news.is_loud), (6, true));
        assert_eq!(news.mentioned.len(), 2);
        for seq in 7..2_000 {
            news.add(News::of(&message(seq, &[&seq.to_string()], false)));
        }
        assert_eq!(news.mentioned.len(), MOST_MENTIONED);
    }
}
