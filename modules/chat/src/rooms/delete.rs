//! `room:delete`: first the room is marked, and gone for everybody; then what belongs to it is removed, in bounded steps.
//!
//! Each step puts the deletion's document anew on condition that nobody else has, in the same batch as what it removes. So
//! one node is at it at a time, a node that has died is followed by another, and nobody goes on with a deletion that is
//! over, when there may be a new room of the same name.

use lakh_hub::store::{
    Answer, Applied, Batch, Condition, DeleteRange, Op, Query, REMOVE_AT_ONCE, Scan, WriteError,
};
use lakh_hub::{Attempts, Failure, Person, ServerEvent};
use serde_json::json;

use crate::asker::Asker;
use crate::moderation::{self, Deed};
use crate::permissions::Right;
use crate::records::{self, DeletionRecord, RoomRecord};
use crate::rooms::busy;
use crate::shapes::{InRoom, Nothing};
use crate::{Chat, attachments, names, standing, stored, told};

/// Members taken out in a step; each takes three operations.
const MEMBERS: usize = 500;
/// Threads removed in a step.
const THREADS: usize = 200;
/// A deletion without a step for so long has lost its node.
const LOST_MS: u64 = 30_000;
/// Deletions that are gone on with at a time.
const AT_ONCE: usize = 20;

/// The event between servers by which they learn that a room is gone.
const GONE: &str = "chat:gone";

/// What a room has under its name, beside its log: every collection `<prefix><room>` stands here.
const COLLECTIONS: [&str; 11] = [
    "chat_slow:",
    "chat_reports_of:",
    "chat_overlay:",
    "chat_edits:",
    "chat_marks:",
    "chat_away:",
    "chat_reminded:",
    "chat_reactions:",
    "chat_reactors:",
    "chat_bans:",
    "chat_members:",
];
/// What each thread has, under the room's name, a line feed and its root's number.
const OF_THREADS: [&str; 4] = [
    "chat_overlay:",
    "chat_edits:",
    "chat_reactions:",
    "chat_reactors:",
];

pub(crate) async fn delete(
    chat: &Chat,
    asker: &Asker,
    request: InRoom,
) -> Result<Nothing, Failure> {
    let room = request.room.as_str();
    names::check_room(room)?;
    asker.allow("join", room)?;
    let version = mark(chat, asker, room).await?;
    tell(chat, room);
    told::deleted(chat, asker, room);
    let (chat, room) = (chat.clone(), room.to_owned());
    // As a task of its own: it goes on when whoever asked is gone.
    let removing = tokio::spawn(async move { remove(&chat, &room, version).await });
    match removing.await {
        Ok(done) => done.map(|()| Nothing {}),
        Err(error) => {
            tracing::warn!(%error, "the deletion of a room was cut off; it is gone on with later");
            Ok(Nothing {})
        }
    }
}

/// Marks the room; gives the version of the deletion's document.
async fn mark(chat: &Chat, asker: &Asker, room: &str) -> Result<u64, Failure> {
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let standing = standing::checked(chat, asker, room, |standing| {
            standing.need_sight(chat)?;
            standing.need(chat, Right::DeleteRoom)
        })
        .await?;
        let record = RoomRecord {
            deleted: true,
            ..RoomRecord::clone(&standing.room)
        };
        let at = chat.now_ms();
        let deletion = records::to_bytes(&DeletionRecord { at })?;
        let condition = Condition::Version(standing.version);
        let value = records::to_bytes(&record)?;
        let batch = Batch::new(at)
            .put(names::DELETIONS, room, deletion, Condition::Any, None)
            .put(names::ROOMS, room, value, condition, None);
        let deed = Deed::new("delete_room", asker.who());
        let batch = moderation::log(batch, room, &deed)?;
        let written = chat.0.store.write(batch).await;
        standing::changed(chat, room, None);
        match written {
            Ok(applied) => return version(applied.first()),
            Err(WriteError::Conflict { .. }) => {}
            Err(error) => return Err(stored::not_written(&error)),
        }
    }
    Err(busy())
}

fn version(applied: Option<&Applied>) -> Result<u64, Failure> {
    match applied {
        Some(Applied::Put { version }) => Ok(*version),
        _ => Err(stored::unexpected(None)),
    }
}

/// Tells those who watch, on all nodes, who do so no longer.
fn tell(chat: &Chat, room: &str) {
    if let Err(error) = chat.0.namespace.server_side_emit(GONE, &(room,)) {
        tracing::warn!(room, %error, "other nodes were not told that a room is gone");
    }
    tell_here(chat, room);
}

/// The same on this node. Past the log, and so in the order of the call behind it, by which they hear the room no more:
/// members who are away find it in theirs as `room:removed`.
fn tell_here(chat: &Chat, room: &str) {
    let hub_room = names::hub_room(room);
    let namespace = &chat.0.namespace;
    let told = namespace
        .to(hub_room.clone())
        .unlogged()
        .emit("room:deleted", &json!({ "room": room }));
    if let Err(error) = told {
        tracing::warn!(room, %error, "the server was too busy to tell that a room is gone");
    }
    let here = namespace.in_(hub_room.clone()).local();
    here.sockets_leave([hub_room]);
}

pub(super) fn install(chat: &Chat) {
    let module = chat.clone();
    let namespace = &chat.0.namespace;
    namespace.on_server_event(GONE, async move |event: ServerEvent| {
        match event.args::<(String,)>() {
            Ok((room,)) => tell_here(&module, &room),
            Err(error) => tracing::warn!(%error, "which room is gone was not understood"),
        }
    });
}

/// A deletion that is this node's for as long as its steps meet no other's.
pub(super) struct Steps<'a> {
    pub(super) chat: &'a Chat,
    pub(super) room: &'a str,
    version: u64,
}

impl Steps<'_> {
    /// What each step begins with.
    pub(super) fn begin(&self) -> Result<Batch, Failure> {
        let at = self.chat.now_ms();
        let value = records::to_bytes(&DeletionRecord { at })?;
        let condition = Condition::Version(self.version);
        Ok(Batch::new(at).put(names::DELETIONS, self.room, value, condition, None))
    }

    /// Makes a step; `None` if another node has gone on with it.
    pub(super) async fn step(&mut self, batch: Batch) -> Result<Option<Vec<Applied>>, Failure> {
        match self.chat.0.store.write(batch).await {
            Ok(applied) => {
                self.version = version(applied.first())?;
                Ok(Some(applied))
            }
            Err(WriteError::Conflict { .. }) => Ok(None),
            Err(error) => Err(stored::not_written(&error)),
        }
    }

    /// Removes documents, each given as collection and beginning of the key, until there is none; `false` if another
    /// node has gone on with it.
    async fn clear(&mut self, mut left: Vec<(String, String)>) -> Result<bool, Failure> {
        while !left.is_empty() {
            let limit = (REMOVE_AT_ONCE / left.len()).max(1);
            let batch = left
                .iter()
                .fold(self.begin()?, |batch, (collection, begins)| {
                    let range = DeleteRange {
                        limit,
                        ..DeleteRange::prefix(begins)
                    };
                    batch.delete_range(collection, range)
                });
            let Some(applied) = self.step(batch).await? else {
                return Ok(false);
            };
            let mut done = applied.iter().skip(1);
            left.retain(|_| matches!(done.next(), Some(Applied::DeletedRange(gone)) if gone.more));
        }
        Ok(true)
    }

    /// Takes everybody out, and tells them.
    async fn members(&mut self) -> Result<bool, Failure> {
        let members = names::members(self.room);
        loop {
            let scan = Scan::default().limit(MEMBERS);
            let page = stored::scan(self.chat, &members, scan).await?;
            if page.items.is_empty() {
                return Ok(true);
            }
            let mut batch = self.begin()?;
            for (person, _) in &page.items {
                batch = batch
                    .delete(&members, person, Condition::Any)
                    .delete(&names::memberships(person), self.room, Condition::Any)
                    .remove_member(&members, person);
            }
            if self.step(batch).await?.is_none() {
                return Ok(false);
            }
            for (person, _) in &page.items {
                let to = self.chat.0.namespace.to(Person::room_of(person));
                let removed = json!({ "room": self.room, "why": "deleted" });
                if let Err(error) = to.emit("room:removed", &removed) {
                    tracing::debug!(%error, "somebody finds out later that a room is gone");
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// Lets go of the files.
    async fn files(&mut self) -> Result<bool, Failure> {
        while let Some(batch) =
            attachments::release_of_room(self.chat, self.room, self.begin()?).await?
        {
            if self.step(batch).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Removes the threads.
    async fn threads(&mut self) -> Result<bool, Failure> {
        loop {
            let prefix = format!("{}\n", names::log(self.room));
            let logs = Query::Logs {
                scan: Scan::prefix(&prefix).limit(THREADS),
            };
            let answers = stored::read(self.chat, vec![logs]).await?;
            let Some(Answer::Logs(page)) = answers.first() else {
                return Err(stored::unexpected(answers.first()));
            };
            if page.items.is_empty() {
                return Ok(true);
            }
            let roots = page.items.iter();
            let roots = roots.filter_map(|(log, _)| log.strip_prefix(&prefix));
            let theirs = roots.flat_map(|root| {
                OF_THREADS.map(|kind| (format!("{kind}{}\n{root}", self.room), String::new()))
            });
            // The logs go last: by them the rest is found again.
            if !self.clear(theirs.collect()).await? {
                return Ok(false);
            }
            let batch = page
                .items
                .iter()
                .fold(self.begin()?, |batch, (log, _)| batch.remove_log(log));
            if self.step(batch).await?.is_none() {
                return Ok(false);
            }
        }
    }
}

/// Removes what belongs to a room.
async fn remove(chat: &Chat, room: &str, version: u64) -> Result<(), Failure> {
    let mut steps = Steps {
        chat,
        room,
        version,
    };
    let collections = COLLECTIONS.map(|prefix| (format!("{prefix}{room}"), String::new()));
    let mut collections = Vec::from(collections);
    collections.push((names::MENTIONS_OF_ALL.to_owned(), format!("{room}\n")));
    let is_ours = steps.members().await?
        && steps.files().await?
        && steps.reports().await?
        && steps.messages().await?
        && steps.threads().await?
        && steps.clear(collections).await?;
    if !is_ours {
        return Ok(());
    }
    // Whoever deleted it stays written down; what was done in it before does not.
    let log = names::moderation(room);
    let last = chat.0.store.last_seq(&log);
    let last = last.await.map_err(|error| stored::not_read(&error))?;
    let trim = lakh_hub::store::Trim {
        before_seq: Some(last),
        ..Default::default()
    };
    let remove_ranking = |ranking| Op::RemoveRanking { ranking };
    let batch = Batch::new(chat.now_ms())
        .delete(names::DELETIONS, room, Condition::Version(steps.version))
        .delete(names::ROOMS, room, Condition::Any)
        .delete(names::PINS, room, Condition::Any)
        .op(remove_ranking(names::members(room)))
        .op(remove_ranking(names::roles(room)))
        .remove_log(&names::log(room))
        .remove_log(&names::changes(room))
        .trim(&log, trim);
    stored::try_write(chat, batch).await.map(drop)
}

/// Goes on with deletions whose node is gone.
pub(crate) async fn go_on(chat: &Chat) -> Result<(), Failure> {
    let now_ms = chat.now_ms();
    let scan = Scan::default().limit(AT_ONCE);
    let scanning = chat.0.store.scan(now_ms, names::DELETIONS, scan);
    let page = scanning.await.map_err(|error| stored::not_read(&error))?;
    for (room, document) in page.items {
        let deletion: DeletionRecord = records::read(&document)?;
        if deletion.at.saturating_add(LOST_MS) <= now_ms {
            tracing::info!(room, "going on with a deletion whose node is gone");
            tell(chat, &room);
            remove(chat, &room, document.version).await?;
        }
    }
    Ok(())
}
