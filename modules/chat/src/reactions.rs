//! `reaction:add`, `reaction:remove`, `reaction:list`.
//!
//! A message's overlay says what was given how often, and names the first who gave it. What each person gave stands in a
//! document of its own, and who gave what in which order in an index; all three are written in one step, on condition that
//! the overlay is as it was read, so counts and names agree whoever reacts at the same time.

use lakh_hub::store::{Answer, Condition, Document, Op, Order, Query, Scan};
use lakh_hub::{Attempts, Beside, Failure, Person};
use serde::{Deserialize, Serialize};

use crate::asker::Asker;
use crate::messages::{At, Plan, Present, change, fill_mine, need_message, order, pace};
use crate::permissions::Right;
use crate::records::{self, Given, GivenRecord, ReactorRecord};
use crate::shapes::{OfMessage, Reaction, Reactions};
use crate::standing::{self, Standing};
use crate::{Chat, names, stored};

/// Different reactions to one message at most.
const MOST_KINDS: usize = 50;
/// People who are named beside a reaction's count.
const MOST_NAMED: usize = 10;
/// Keys of one person's reaction that are known: a retry comes soon, or not at all.
const MOST_KEYS: usize = 16;
/// Longest reaction, in characters.
const MAX_CHARS: usize = 32;
/// Most that one request adds where reactions are counted.
const MAX_COUNT: u64 = 100;
/// People in a page of who reacted, when the client names no number, and at most.
const PAGE: usize = 50;
const MAX_PAGE: usize = 200;

pub(crate) fn check_emoji(emoji: &str) -> Result<(), Failure> {
    let fits = !emoji.is_empty() && emoji.chars().nth(MAX_CHARS).is_none();
    if fits && !emoji.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Failure::bad_request(format!(
        "emoji is 1 to {MAX_CHARS} characters without control characters"
    )))
}

#[derive(Deserialize)]
pub(crate) struct AddReaction {
    emoji: String,
    count: Option<u64>,
    key: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct RemoveReaction {
    emoji: String,
}

/// The reactions to a message as they are now, with those of whoever asks.
#[derive(Serialize)]
pub(crate) struct Reacted {
    reactions: Vec<Reaction>,
}

pub(crate) async fn add(
    chat: &Chat,
    asker: &Asker,
    Beside(of, request): Beside<OfMessage, AddReaction>,
) -> Result<Reacted, Failure> {
    check_emoji(&request.emoji)?;
    if let Some(key) = &request.key {
        names::check_key(key)?;
    }
    let order = order(asker, &of.room);
    let _order = chat.0.sending.take(&order).await?;
    let standing = check(chat, asker, &of.room).await?;
    let kind = standing.room.settings.reactions;
    let count = request.count.unwrap_or(1);
    let most = match kind {
        Reactions::Counted => MAX_COUNT,
        Reactions::Each | Reactions::One => 1,
    };
    if !(1..=most).contains(&count) {
        return Err(Failure::bad_request(format!(
            "count is 1 to {MAX_COUNT} where reactions are counted, and 1 elsewhere"
        )));
    }
    react(chat, asker, &of, |mine| {
        match kind {
            Reactions::Counted => {
                return mine.give(&request.emoji, count, request.key.as_deref());
            }
            Reactions::Each => {}
            Reactions::One => mine.take_all_but(&request.emoji)?,
        }
        match mine.has(&request.emoji) {
            true => Ok(()),
            false => mine.give(&request.emoji, 1, None),
        }
    })
    .await
}

pub(crate) async fn remove(
    chat: &Chat,
    asker: &Asker,
    Beside(of, request): Beside<OfMessage, RemoveReaction>,
) -> Result<Reacted, Failure> {
    check_emoji(&request.emoji)?;
    let order = order(asker, &of.room);
    let _order = chat.0.sending.take(&order).await?;
    check(chat, asker, &of.room).await?;
    react(chat, asker, &of, |mine| mine.take(&request.emoji)).await
}

async fn check(chat: &Chat, asker: &Asker, room: &str) -> Result<Standing, Failure> {
    names::check_room(room)?;
    asker.allow("send", room)?;
    let standing = standing::of(chat, asker, room).await?;
    standing.need(chat, Right::Read)?;
    standing.need_to_write(chat, Right::React)?;
    pace(chat, asker, room)?;
    Ok(standing)
}

/// What a person gives and takes, on a message as it was read.
struct Mine<'a> {
    at: At<'a>,
    person: &'a Person,
    given: GivenRecord,
    reactions: Vec<Reaction>,
    /// Of the message: see [`records::OverlayRecord`].
    places: u64,
    /// The first who gave something, of those reactions that may be taken away here.
    first: &'a [(String, Vec<Person>)],
    ops: Vec<Op>,
}

impl Mine<'_> {
    fn has(&self, emoji: &str) -> bool {
        self.given.0.contains_key(emoji)
    }

    fn give(&mut self, emoji: &str, count: u64, key: Option<&str>) -> Result<(), Failure> {
        let before = self.given.0.get(emoji);
        let is_known = |key| before.is_some_and(|own| own.keys.iter().any(|other| other == key));
        if key.is_some_and(is_known) {
            return Ok(());
        }
        let index = self.reactions.iter().position(|one| one.emoji == emoji);
        let index = match index {
            Some(index) => index,
            None if self.reactions.len() >= MOST_KINDS => {
                return Err(Failure::new(
                    "too_many",
                    format!("a message takes {MOST_KINDS} different reactions; give one of these"),
                ));
            }
            None => {
                self.reactions.push(Reaction {
                    emoji: emoji.to_owned(),
                    count: 0,
                    people: Vec::new(),
                    mine: None,
                });
                self.reactions.len() - 1
            }
        };
        let reaction = &mut self.reactions[index];
        reaction.count = reaction.count.saturating_add(count);
        let own = match self.given.0.get_mut(emoji) {
            Some(own) => {
                own.count = own.count.saturating_add(count);
                own
            }
            None => {
                self.places += 1;
                // As long as fewer are named, all are.
                if reaction.people.len() < MOST_NAMED {
                    reaction.people.push(self.person.clone());
                }
                let own = Given {
                    count,
                    place: self.places,
                    keys: Vec::new(),
                };
                self.given.0.entry(emoji.to_owned()).or_insert(own)
            }
        };
        own.keys.extend(key.map(str::to_owned));
        let old = own.keys.len().saturating_sub(MOST_KEYS);
        own.keys.drain(..old);
        let own = (own.count, own.place);
        let value = records::to_bytes(&ReactorRecord {
            user: self.person.clone(),
            count: own.0,
        })?;
        self.ops.push(Op::Put {
            collection: names::reactors(self.at.room, self.at.thread),
            key: self.key(emoji, own.1),
            value: value.into(),
            condition: Condition::Any,
            expires_at_ms: None,
        });
        Ok(())
    }

    fn take(&mut self, emoji: &str) -> Result<(), Failure> {
        let Some(own) = self.given.0.remove(emoji) else {
            return Ok(());
        };
        self.ops.push(Op::Delete {
            collection: names::reactors(self.at.room, self.at.thread),
            key: self.key(emoji, own.place),
            condition: Condition::Any,
        });
        let Some(index) = self.reactions.iter().position(|one| one.emoji == emoji) else {
            return Ok(());
        };
        let reaction = &mut self.reactions[index];
        reaction.count = reaction.count.saturating_sub(own.count);
        if reaction.count == 0 {
            self.reactions.remove(index);
            return Ok(());
        }
        let is_own = |person: &Person| person.id == self.person.id;
        if !reaction.people.iter().any(is_own) {
            return Ok(());
        }
        if reaction.people.len() < MOST_NAMED {
            reaction.people.retain(|person| !is_own(person));
            return Ok(());
        }
        // Somebody who isn't named yet moves up.
        let first = self.first.iter().find(|(of, _)| of == emoji);
        let (_, first) = first.ok_or_else(changed_meanwhile)?;
        let others = first.iter().filter(|person| !is_own(person));
        reaction.people = others.take(MOST_NAMED).cloned().collect();
        Ok(())
    }

    fn take_all_but(&mut self, emoji: &str) -> Result<(), Failure> {
        let others = self.given.0.keys().filter(|other| *other != emoji);
        let others: Vec<String> = others.cloned().collect();
        others.iter().try_for_each(|other| self.take(other))
    }

    fn key(&self, emoji: &str, place: u64) -> String {
        format!("{}{emoji}\n{place:016}", prefix(self.at.seq))
    }
}

/// The person has reacted in another way since it was read what they gave. Told apart by its code, which nobody is answered.
const CHANGED: &str = "changed";

fn changed_meanwhile() -> Failure {
    Failure::new(CHANGED, "this is being changed; try again")
}

async fn react(
    chat: &Chat,
    asker: &Asker,
    of: &OfMessage,
    act: impl Fn(&mut Mine<'_>) -> Result<(), Failure> + Sync + Send,
) -> Result<Reacted, Failure> {
    let at = At {
        room: &of.room,
        thread: of.thread,
        seq: of.seq,
    };
    let mut attempts = Attempts::default();
    while attempts.another().await {
        match react_once(chat, asker, at, &act).await {
            Err(failure) if failure.code == CHANGED => {}
            outcome => return outcome,
        }
    }
    Err(Failure::new("unavailable", changed_meanwhile().message))
}

async fn react_once(
    chat: &Chat,
    asker: &Asker,
    at: At<'_>,
    act: &(impl Fn(&mut Mine<'_>) -> Result<(), Failure> + Sync + Send),
) -> Result<Reacted, Failure> {
    let own = (
        names::reactions(at.room, at.thread),
        format!("{}{}", prefix(at.seq), asker.id()),
    );
    let get = Query::get(own.0.clone(), own.1.clone());
    // Who moves up if a name goes: it depends on what they gave, so that is asked before.
    let answers = stored::read(chat, vec![get.clone()]).await?;
    let before = given(answers.first())?;
    let mut more = vec![get];
    more.extend(before.0.keys().map(|emoji| Query::Scan {
        collection: names::reactors(at.room, at.thread),
        scan: Scan::prefix(&format!("{}{emoji}\n", prefix(at.seq))).limit(MOST_NAMED + 1),
    }));
    let changed = change(chat, at, "reaction", Some(asker.who()), &more, |present| {
        plan(at, asker.who(), present, &before, &own, act)
    })
    .await?;
    let mut message = changed.message;
    fill_mine(chat, asker, [&mut message]).await?;
    Ok(Reacted {
        reactions: message.overlay.reactions,
    })
}

fn plan(
    at: At<'_>,
    person: &Person,
    present: &Present,
    before: &GivenRecord,
    own: &(String, String),
    act: &impl Fn(&mut Mine<'_>) -> Result<(), Failure>,
) -> Result<Option<Plan>, Failure> {
    if present.is_deleted() {
        return Err(Failure::new(
            "not_found",
            format!("message {} was deleted", at.seq),
        ));
    }
    let mut first = Vec::new();
    for (emoji, answer) in before.0.keys().zip(present.more.iter().skip(1)) {
        let Answer::Documents(page) = answer else {
            return Err(stored::unexpected(Some(answer)));
        };
        let people = page.items.iter().map(|(_, document)| {
            records::read(document).map(|reactor: ReactorRecord| reactor.user)
        });
        first.push((emoji.clone(), people.collect::<Result<Vec<_>, _>>()?));
    }
    let was = given(present.more.first())?;
    let mut mine = Mine {
        at,
        person,
        given: was.clone(),
        reactions: present.kept.overlay.reactions.clone(),
        places: present.kept.given,
        first: &first,
        ops: Vec::new(),
    };
    act(&mut mine)?;
    if mine.given == was {
        return Ok(None);
    }
    let mut ops = mine.ops;
    // By which it's found what a person has reacted to.
    let index = (
        names::reacted(&person.id),
        names::in_room(at.room, at.thread) + &names::seq_key(at.seq),
    );
    ops.push(put_or_delete(
        index,
        (!mine.given.0.is_empty()).then(Vec::new),
    ));
    let value = match mine.given.0.is_empty() {
        true => None,
        false => Some(records::to_bytes(&mine.given)?),
    };
    ops.push(put_or_delete(own.clone(), value));
    let mut kept = present.kept.clone();
    kept.overlay.reactions = mine.reactions;
    kept.given = mine.places;
    Ok(Some(Plan {
        kept,
        said: None,
        ops,
    }))
}

fn put_or_delete((collection, key): (String, String), value: Option<Vec<u8>>) -> Op {
    match value {
        Some(value) => Op::Put {
            collection,
            key,
            value: value.into(),
            condition: Condition::Any,
            expires_at_ms: None,
        },
        None => Op::Delete {
            collection,
            key,
            condition: Condition::Any,
        },
    }
}

/// Takes back all that somebody has given to a message, if it's still there.
pub(crate) async fn take_back(chat: &Chat, asker: &Asker, at: At<'_>) -> Result<(), Failure> {
    let of = OfMessage {
        room: at.room.to_owned(),
        thread: at.thread,
        seq: at.seq,
    };
    // No reaction is empty.
    match react(chat, asker, &of, |mine| mine.take_all_but("")).await {
        Err(failure) if failure.code != "not_found" => Err(failure),
        _ => Ok(()),
    }
}

fn given(answer: Option<&Answer>) -> Result<GivenRecord, Failure> {
    match answer {
        Some(Answer::Document(Some(document))) => records::read(document),
        Some(Answer::Document(None)) => Ok(GivenRecord::default()),
        other => Err(stored::unexpected(other)),
    }
}

/// What the keys of a message's reactions begin with.
fn prefix(seq: u64) -> String {
    format!("{}\n", names::seq_key(seq))
}

#[derive(Deserialize)]
pub(crate) struct ListReactions {
    emoji: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

/// Who gave what, each reaction in the order in which people came to it.
#[derive(Serialize)]
pub(crate) struct Reactors {
    reactions: Vec<Reactor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

#[derive(Serialize)]
struct Reactor {
    emoji: String,
    #[serde(flatten)]
    of: ReactorRecord,
}

pub(crate) async fn list(
    chat: &Chat,
    asker: &Asker,
    Beside(of, request): Beside<OfMessage, ListReactions>,
) -> Result<Reactors, Failure> {
    let room = of.room.as_str();
    names::check_room(room)?;
    asker.allow("history", room)?;
    let standing = standing::of(chat, asker, room).await?;
    standing.need(chat, Right::Read)?;
    let limit = match request.limit.unwrap_or(PAGE) {
        0 => return Err(Failure::bad_request(format!("limit is 1 to {MAX_PAGE}"))),
        limit => limit.min(MAX_PAGE),
    };
    let all = prefix(of.seq);
    let wanted = match &request.emoji {
        Some(emoji) => {
            check_emoji(emoji)?;
            format!("{all}{emoji}\n")
        }
        None => all.clone(),
    };
    names::check_cursor(request.cursor.as_ref())?;
    let scan = Scan::prefix(&wanted)
        .limit(limit)
        .order(Order::Ascending)
        .after(request.cursor.map(|cursor| all.clone() + &cursor));
    let collection = names::reactors(room, of.thread);
    let page = stored::scan(chat, &collection, scan).await?;
    if page.items.is_empty() {
        need_message(chat, room, (of.thread, of.seq)).await?;
    }
    let reactor = |(key, document): &(String, Document)| {
        let emoji = key.split('\n').nth(1).unwrap_or_default().to_owned();
        let of = records::read(document)?;
        Ok(Reactor { emoji, of })
    };
    Ok(Reactors {
        reactions: page
            .items
            .iter()
            .map(reactor)
            .collect::<Result<_, Failure>>()?,
        cursor: page
            .next
            .and_then(|next| next.strip_prefix(&*all).map(str::to_owned)),
    })
}
