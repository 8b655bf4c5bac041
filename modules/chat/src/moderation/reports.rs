//! `report:send`, `report:list`, `report:close`.
//!
//! A report stands once, under its id, which begins with its time; what lists and finds it are documents without content
//! beside it, written in one batch with it.

use std::collections::BTreeMap;

use lakh_hub::store::{Answer, Batch, Condition, Order, Query, Scan, ScoreRange, WriteError};
use lakh_hub::{Failure, Person};
use serde::{Deserialize, Serialize};

use super::{Deed, log};
use crate::asker::Asker;
use crate::messages::{excerpt, pace, read_some};
use crate::permissions::Right;
use crate::{Chat, names, records, standing, stored};

/// Reports in a page.
const PAGE: usize = 50;
/// Reports that are looked at for a page over all rooms.
const LOOKED_AT: usize = 500;
/// Longest reason and note, in characters.
const MAX_TEXT_CHARS: usize = 1_000;
/// Longest outcome, in characters.
const MAX_OUTCOME_CHARS: usize = 64;
/// Moderators who are told of a report.
const TOLD: usize = 100;
/// Reports taken away in one step.
const ERASED_AT_ONCE: usize = 100;

/// Whether somebody has looked after a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    #[default]
    Open,
    Closed,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// A message that was reported: as it's stored, and as moderators see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    #[serde(default)]
    pub id: String,
    pub state: State,
    pub room: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<u64>,
    pub seq: u64,
    /// Who wrote the message.
    pub author: Person,
    /// How the message began when it was reported.
    pub text: String,
    pub reason: String,
    /// Who reported it.
    pub by: Person,
    pub time: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
}

/// Who has closed a report, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Closed {
    pub by: Person,
    pub at: u64,
}

impl Report {
    /// Under which keys it's found, each with its collection.
    fn places(&self) -> [(String, String); 4] {
        let key = format!("{}\n{}", self.state.name(), self.id);
        [
            (names::REPORTS_BY_STATE.to_owned(), key.clone()),
            (names::reports_of(&self.room), key),
            (names::reports_by(&self.by.id), self.id.clone()),
            (names::reports_on(&self.author.id), self.id.clone()),
        ]
    }

    /// Holds that one person reports one message once.
    fn once(&self) -> (String, String) {
        let at = names::in_room(&self.room, self.thread) + &names::seq_key(self.seq);
        (names::REPORTING.to_owned(), format!("{at}\n{}", self.by.id))
    }

    fn put(&self, batch: Batch, condition: Condition) -> Result<Batch, Failure> {
        let value = records::to_bytes(self)?;
        let batch = batch.put(names::REPORTS, &self.id, value, condition, None);
        let places = self.places().into_iter();
        Ok(places.fold(batch, |batch, (collection, key)| {
            batch.put(&collection, &key, "{}", Condition::Any, None)
        }))
    }

    fn take_out(&self, batch: Batch) -> Batch {
        let places = self.places().into_iter();
        places.fold(batch, |batch, (collection, key)| {
            batch.delete(&collection, &key, Condition::Any)
        })
    }
}

#[derive(Deserialize)]
pub(crate) struct SendReport {
    room: String,
    seq: u64,
    thread: Option<u64>,
    reason: String,
}

#[derive(Serialize)]
pub(crate) struct Sent {
    id: String,
}

pub(crate) async fn send(chat: &Chat, asker: &Asker, request: SendReport) -> Result<Sent, Failure> {
    let room = request.room.as_str();
    names::check_room(room)?;
    check_text("reason", &request.reason, 1, MAX_TEXT_CHARS)?;
    asker.allow("report", room)?;
    let standing = standing::of(chat, asker, room).await?;
    standing.need_sight(chat)?;
    standing.need(chat, Right::Report)?;
    pace(chat, asker, room)?;
    let which = [(request.thread, request.seq)];
    let found = read_some(chat, room, &which).await?.pop();
    let message = found
        .filter(|message| message.overlay.deleted.is_none())
        .ok_or_else(|| {
            Failure::new(
                "not_found",
                format!("there is no message {} here, or none any more", request.seq),
            )
        })?;
    let now_ms = chat.now_ms();
    let hub = chat.0.namespace.hub();
    let report = Report {
        id: format!("{now_ms:016}-{:08x}{:08x}", hub.random(), hub.random()),
        state: State::Open,
        room: request.room.clone(),
        thread: request.thread,
        seq: request.seq,
        author: message.said.from,
        text: excerpt(&message.said.text),
        reason: request.reason,
        by: Person::clone(asker.who()),
        time: now_ms,
        outcome: None,
        note: None,
        closed: None,
    };
    let (collection, key) = report.once();
    let id = records::to_bytes(&report.id)?;
    let batch = Batch::new(now_ms).put(&collection, &key, id, Condition::Absent, None);
    match chat
        .0
        .store
        .write(report.put(batch, Condition::Absent)?)
        .await
    {
        Ok(_) => {}
        Err(WriteError::Conflict { .. }) => {
            return Err(Failure::new(
                "conflict",
                "you have reported this message already; somebody will look at it",
            ));
        }
        Err(error) => return Err(stored::not_written(&error)),
    }
    tell(chat, &report).await;
    Ok(Sent { id: report.id })
}

/// Tells the room's moderators, wherever they are. Who isn't reached finds it in the list.
async fn tell(chat: &Chat, report: &Report) {
    let ranking = names::roles(&report.room);
    let store = &chat.0.store;
    let ranked = store.by_score(&ranking, ScoreRange::ALL, 0, TOLD, Order::Descending);
    let Ok(ranked) = ranked.await else { return };
    let people = ranked.into_iter().map(|ranked| ranked.member);
    let mut to: Option<lakh_hub::Operator> = None;
    for id in people.filter(|id| *id != report.by.id) {
        let own = Person::room_of(&id);
        to = Some(match to {
            None => chat.0.namespace.to(own),
            Some(to) => to.to(own),
        });
    }
    if let Some(to) = to
        && let Err(error) = to.emit("report:new", report)
    {
        tracing::warn!(%error, "the server was too busy to tell moderators of a report");
    }
}

fn check_text(name: &str, text: &str, least: usize, most: usize) -> Result<(), Failure> {
    let count = text.chars().take(most + 1).count();
    match (least..=most).contains(&count) {
        true => Ok(()),
        false => Err(Failure::bad_request(format!(
            "{name} is {least} to {most} characters"
        ))),
    }
}

#[derive(Deserialize)]
pub(crate) struct ListReports {
    room: Option<String>,
    #[serde(default, deserialize_with = "lakh_hub::or_default")]
    state: State,
    cursor: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Reports {
    /// The newest first.
    reports: Vec<Report>,
    cursor: Option<String>,
}

pub(crate) async fn list(
    chat: &Chat,
    asker: &Asker,
    request: ListReports,
) -> Result<Reports, Failure> {
    if let Some(room) = &request.room {
        names::check_room(room)?;
        asker.allow("report", room)?;
        let standing = standing::of(chat, asker, room).await?;
        standing.need_sight(chat)?;
        standing.need(chat, Right::SeeReports)?;
    }
    let prefix = format!("{}\n", request.state.name());
    let collection = match &request.room {
        Some(room) => names::reports_of(room),
        None => names::REPORTS_BY_STATE.to_owned(),
    };
    names::check_cursor(request.cursor.as_ref())?;
    let mut after = request.cursor.map(|cursor| prefix.clone() + &cursor);
    let mut reports = Vec::new();
    // Since when there is each room of which they may see reports: a former one of its name was another.
    let mut rooms: BTreeMap<String, Option<u64>> = BTreeMap::new();
    for _ in 0..LOOKED_AT / PAGE {
        let scan = Scan::prefix(&prefix).limit(PAGE).order(Order::Descending);
        let page = stored::scan(chat, &collection, scan.after(after.take())).await?;
        let ids = page.items.iter();
        let ids = ids.filter_map(|(key, _)| key.strip_prefix(&prefix).map(str::to_owned));
        for report in read(chat, ids.collect()).await? {
            let since = seen_since(chat, asker, &report.room, &mut rooms).await?;
            if since.is_some_and(|since| since <= report.time) {
                reports.push(report);
            }
        }
        after = page.next;
        if after.is_none() || !reports.is_empty() {
            break;
        }
    }
    Ok(Reports {
        reports,
        cursor: after.and_then(|after| after.strip_prefix(&prefix).map(str::to_owned)),
    })
}

/// Since when there is a room, if whoever asks may see its reports: asked once for each.
async fn seen_since(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    known: &mut BTreeMap<String, Option<u64>>,
) -> Result<Option<u64>, Failure> {
    if let Some(since) = known.get(room) {
        return Ok(*since);
    }
    let standing = match asker.may("report", room) {
        true => standing::find(chat, asker, room).await?,
        false => None,
    };
    let seen = standing.filter(|standing| standing.may(chat, Right::SeeReports));
    let since = seen.map(|standing| standing.room.created_at);
    known.insert(room.to_owned(), since);
    Ok(since)
}

/// Reports by id. Those that are gone are left out.
async fn read(chat: &Chat, ids: Vec<String>) -> Result<Vec<Report>, Failure> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let queries = ids.into_iter().map(|key| Query::Get {
        collection: names::REPORTS.to_owned(),
        key,
    });
    let answers = stored::read(chat, queries.collect()).await?;
    let mut reports = Vec::with_capacity(answers.len());
    for answer in answers {
        match answer {
            Answer::Document(Some(document)) => {
                reports.push(records::read(&document)?);
            }
            Answer::Document(None) => {}
            other => return Err(stored::unexpected(Some(&other))),
        }
    }
    Ok(reports)
}

#[derive(Deserialize)]
pub(crate) struct CloseReport {
    id: String,
    outcome: String,
    note: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct ClosedReport {
    report: Report,
}

pub(crate) async fn close(
    chat: &Chat,
    asker: &Asker,
    request: CloseReport,
) -> Result<ClosedReport, Failure> {
    check_text("outcome", &request.outcome, 1, MAX_OUTCOME_CHARS)?;
    if let Some(note) = &request.note {
        check_text("note", note, 0, MAX_TEXT_CHARS)?;
    }
    let no_report = || Failure::new("not_found", "there is no such report");
    if request.id.is_empty() || request.id.len() > 64 {
        return Err(no_report());
    }
    let now_ms = chat.now_ms();
    let getting = chat.0.store.get(now_ms, names::REPORTS, &request.id);
    let found = getting.await.map_err(|error| stored::not_read(&error))?;
    let found = found.ok_or_else(no_report)?;
    let open: Report = records::read(&found)?;
    asker.allow("report", &open.room)?;
    let standing = standing::of(chat, asker, &open.room).await?;
    standing.need_sight(chat)?;
    standing.need(chat, Right::SeeReports)?;
    let closed_already = || Failure::new("conflict", "somebody has closed this report already");
    if open.state == State::Closed {
        return Err(closed_already());
    }
    let report = Report {
        state: State::Closed,
        outcome: Some(request.outcome),
        note: request.note,
        closed: Some(Closed {
            by: Person::clone(asker.who()),
            at: now_ms,
        }),
        ..open.clone()
    };
    let (collection, key) = open.once();
    let batch = open
        .take_out(Batch::new(now_ms))
        .delete(&collection, &key, Condition::Any);
    let batch = report.put(batch, Condition::Version(found.version))?;
    let deed = Deed {
        seq: Some(report.seq),
        thread: report.thread,
        reason: report.outcome.clone(),
        ..Deed::new("close_report", asker.who()).to(&report.author)
    };
    match chat.0.store.write(log(batch, &report.room, &deed)?).await {
        Ok(_) => Ok(ClosedReport { report }),
        Err(WriteError::Conflict { .. }) => Err(closed_already()),
        Err(error) => Err(stored::not_written(&error)),
    }
}

/// Takes what a person is and said out of reports, theirs and those on them, a bounded part of it. Whether there is more.
pub(crate) async fn erase_reports(
    chat: &Chat,
    person: &str,
    now: &Person,
) -> Result<bool, Failure> {
    let mut more = false;
    for collection in [names::reports_by(person), names::reports_on(person)] {
        let scan = Scan::default().limit(ERASED_AT_ONCE);
        let page = stored::scan(chat, &collection, scan).await?;
        more |= page.next.is_some();
        let ids: Vec<String> = page.items.into_iter().map(|(id, _)| id).collect();
        let mut batch = Batch::new(chat.now_ms());
        for id in &ids {
            batch = batch.delete(&collection, id, Condition::Any);
        }
        for mut report in read(chat, ids).await? {
            let (once, key) = report.once();
            if report.by.id == person {
                batch = batch.delete(&once, &key, Condition::Any);
                report.by = now.clone();
                report.reason = String::new();
            }
            if report.author.id == person {
                report.author = now.clone();
                report.text = String::new();
            }
            let value = records::to_bytes(&report)?;
            batch = batch.put(names::REPORTS, &report.id, value, Condition::Any, None);
        }
        if !batch.ops().is_empty() {
            stored::write(chat, batch).await?;
        }
    }
    Ok(more)
}

/// Adds to a batch what takes some reports of a room away. `None`: there are no more.
pub(crate) async fn forget_reports(
    chat: &Chat,
    room: &str,
    batch: Batch,
) -> Result<Option<Batch>, Failure> {
    let collection = names::reports_of(room);
    let scan = Scan::default().limit(ERASED_AT_ONCE);
    let page = stored::scan(chat, &collection, scan).await?;
    if page.items.is_empty() {
        return Ok(None);
    }
    let keys: Vec<String> = page.items.into_iter().map(|(key, _)| key).collect();
    let batch = keys.iter().fold(batch, |batch, key| {
        batch.delete(&collection, key, Condition::Any)
    });
    let ids = keys.iter().filter_map(|key| key.split_once('\n'));
    let ids = ids.map(|(_, id)| id.to_owned()).collect();
    let reports = read(chat, ids).await?;
    Ok(Some(reports.iter().fold(batch, |batch, report| {
        let (once, key) = report.once();
        report
            .take_out(batch)
            .delete(&once, &key, Condition::Any)
            .delete(names::REPORTS, &report.id, Condition::Any)
    })))
}

/// Reports that a person made, a page of them.
pub(crate) async fn made_by(
    chat: &Chat,
    person: &str,
    after: Option<String>,
) -> Result<(Vec<Report>, Option<String>), Failure> {
    let scan = Scan::default().limit(PAGE).after(after);
    let collection = names::reports_by(person);
    let page = stored::scan(chat, &collection, scan).await?;
    let ids = page.items.into_iter().map(|(id, _)| id).collect();
    Ok((read(chat, ids).await?, page.next))
}
