//! `unread:changed`: members hear of new messages in rooms that they don't watch, at most once a second and room; and those
//! who are away are reminded later ([`offline`]).
//!
//! One task of the node does so, room by room: if there is more to tell than it can, people are told later, not more at
//! once. In crowds nobody is told, since each message would be work for every member.

use std::collections::{BTreeMap, BTreeSet};

use lakh_hub::presence::Ms;
use lakh_hub::store::{Answer, LogInfo, Page, Query, Scan};
use lakh_hub::store::{Document, ScoreRange};
use lakh_hub::{Failure, Payload, Person};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::permissions::Role;
use crate::receipts::{self, Tally, Throttle};
use crate::records::{self, MemberRecord, MembershipRecord, Notify};
use crate::shapes::{Message, event};
use crate::{Chat, names, offline, presence, stored};

/// How often members are told of a room.
const EVERY: Ms = 1_000;
/// Rooms of which something is told within a second; of more nobody is told.
const MOST: usize = 2_000;
/// Members that are looked at in one step.
const PAGE: usize = 100;
/// People whose mentions in a crowd are remembered until they are told.
const MOST_MENTIONED: usize = 1_000;

/// What has come to a room since its members were told.
#[derive(Clone, Debug)]
pub(crate) struct News {
    last: Option<Message>,
    /// Whom they mention.
    mentioned: BTreeSet<String>,
    /// Who is mentioned by replies, and the newest of those: thread and number.
    by_replies: BTreeMap<String, (u64, u64)>,
    /// There is a message of which those who are away may be told.
    is_loud: bool,
}

impl News {
    fn of(message: &Message) -> Self {
        let mut news = Self {
            last: None,
            mentioned: BTreeSet::new(),
            by_replies: BTreeMap::new(),
            is_loud: !message.said.silent,
        };
        let mentions = message.said.mentions.iter();
        match message.thread {
            None => {
                news.mentioned = mentions.cloned().collect();
                news.last = Some(message.clone());
            }
            Some(root) if news.is_loud => {
                let at = (root, message.seq);
                let mentions = mentions.filter(|id| **id != message.said.from.id);
                news.by_replies = mentions.map(|id| (id.clone(), at)).collect();
                news.is_loud = false;
            }
            Some(_) => {}
        }
        news
    }

    fn is_nothing(&self) -> bool {
        self.last.is_none() && self.by_replies.is_empty()
    }

    fn add(&mut self, newer: Self) {
        let seq = |last: &Option<Message>| last.as_ref().map_or(0, |last| last.seq);
        if seq(&newer.last) > seq(&self.last) {
            self.last = newer.last;
        }
        let free = MOST_MENTIONED.saturating_sub(self.mentioned.len());
        self.mentioned
            .extend(newer.mentioned.into_iter().take(free));
        let free = MOST_MENTIONED.saturating_sub(self.by_replies.len());
        self.by_replies
            .extend(newer.by_replies.into_iter().take(free));
        self.is_loud |= newer.is_loud;
    }
}

pub(crate) type Rooms = Throttle<String, News>;

pub(crate) fn new() -> Rooms {
    Throttle::new(EVERY, MOST)
}

/// A message was stored in a room.
pub(crate) fn note(chat: &Chat, message: &Message) {
    let news = News::of(message);
    if news.is_nothing() {
        return;
    }
    let now = chat.clock_ms();
    let taken = chat
        .0
        .unread
        .put(now, message.room.clone(), news, News::add);
    if !taken {
        tracing::debug!(
            room = message.room,
            "too many rooms have news: members hear of these later"
        );
    }
}

/// Works for as long as the loop does.
pub(crate) async fn run(chat: Chat) {
    let (unread, hub) = (&chat.0.unread, chat.0.namespace.hub());
    unread
        .run(hub, async |room, news| {
            if let Err(failure) = tell(&chat, room, &news).await {
                tracing::debug!(room, %failure.message, "members are told of new messages later");
                if failure.code == "unavailable" {
                    unread.put(hub.clock_ms(), room.clone(), news, News::add);
                }
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
    if !news.by_replies.is_empty() && offline::is_wanted(chat) {
        let ids = news.by_replies.keys().cloned().collect();
        let readers = readers_of(chat, room, ids).await?;
        offline::plan_replies(chat, room, &readers, &news.by_replies).await?;
    }
    let Some(last) = &news.last else {
        return Ok(());
    };
    let members = names::members(room);
    let counting = chat.0.store.count(&members, ScoreRange::ALL);
    let count = counting.await.map_err(|error| stored::not_read(&error))?;
    let reminds = news.is_loud && offline::is_wanted(chat);
    if count > chat.0.config.unread_max_members {
        if reminds {
            let ids = news.mentioned.iter().cloned().collect();
            let readers = readers_of(chat, room, ids).await?;
            offline::plan(chat, room, &readers, true).await?;
        }
        return Ok(());
    }
    let Ok(last) = serde_json::value::to_raw_value(last) else {
        return Ok(());
    };
    let mut after = None;
    loop {
        let scan = Scan::default().limit(PAGE).after(after);
        let mut page = stored::scan(chat, &members, scan).await?;
        // In a lively room nearly everybody watches, and nothing has to be read for them.
        presence::leave_out_watchers(chat, room, &mut page.items).await;
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
        let get = |id: &String| Query::get(names::members(room), id.clone());
        let answers = stored::read(chat, ids.iter().map(get).collect()).await?;
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
    if page.items.is_empty() {
        return Ok(Vec::new());
    }
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
        queries.push(Query::get(names::memberships(&person.id), room));
        queries.push(offline::query(room, &person.id));
    }
    let answers = stored::read(chat, queries).await?;
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
        let last = |news: &News| news.last.as_ref().map(|last| last.seq);
        news.add(News::of(&message(4, &["cy"], true)));
        assert_eq!((last(&news), news.is_loud), (Some(5), false));
        news.add(News::of(&message(6, &["ben"], false)));
        assert_eq!((last(&news), news.is_loud), (Some(6), true));
        assert_eq!(news.mentioned.len(), 2);
        for seq in 7..2_000 {
            news.add(News::of(&message(seq, &[&seq.to_string()], false)));
        }
        assert_eq!(news.mentioned.len(), MOST_MENTIONED);
    }

    #[test]
    fn of_replies_only_mentions_of_others_are_news() {
        let reply = |seq, mentions: &[&str], silent| Message {
            thread: Some(7),
            ..message(seq, mentions, silent)
        };
        assert!(News::of(&reply(1, &[], false)).is_nothing());
        assert!(News::of(&reply(1, &["ada"], false)).is_nothing());
        assert!(News::of(&reply(1, &["ben"], true)).is_nothing());
        let mut news = News::of(&reply(1, &["ben", "cy"], false));
        news.add(News::of(&reply(2, &["ben"], false)));
        assert!(news.last.is_none() && !news.is_loud);
        let all = [("ben".to_owned(), (7, 2)), ("cy".to_owned(), (7, 1))];
        assert_eq!(news.by_replies, BTreeMap::from(all));
    }
}
