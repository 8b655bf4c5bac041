//! `data:export`: all that is kept of a person, as lines of JSON, read a page at a time.

use std::collections::BTreeMap;
use std::fmt;

use lakh_hub::Failure;
use lakh_hub::store::{Answer, Condition, Document, Query, Scan, WriteError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::place;
use crate::asker::Asker;
use crate::messages::{fill_quotes, pace, read_some};
use crate::records;
use crate::{Chat, moderation, names, stored};

/// How long a ticket is good.
const TICKET_MS: u64 = 300_000;
/// Documents in a page.
const PAGE: usize = 100;

#[derive(Serialize, Deserialize)]
struct TicketRecord {
    person: String,
}

#[derive(Deserialize)]
pub(crate) struct AskExport {}

#[derive(Serialize)]
pub(crate) struct Ticket {
    /// Where the document is, on this server.
    url: String,
    expires_at: u64,
}

pub(crate) async fn export(chat: &Chat, asker: &Asker, _: AskExport) -> Result<Ticket, Failure> {
    if asker.is_system() {
        return Err(Failure::bad_request("say as whom you ask"));
    }
    names::check_person(asker.id())?;
    asker.allow("data", asker.id())?;
    pace(chat, asker, asker.id())?;
    let hub = chat.0.namespace.hub();
    let ticket: String = (0..4).map(|_| format!("{:08x}", hub.random())).collect();
    let now_ms = chat.now_ms();
    let expires_at = now_ms + TICKET_MS;
    let record = records::to_bytes(&TicketRecord {
        person: asker.id().to_owned(),
    })?;
    let putting = chat.0.store.put(
        now_ms,
        names::EXPORTS,
        &ticket,
        record.into(),
        Condition::Absent,
        Some(expires_at),
    );
    putting.await.map_err(|error| stored::not_written(&error))?;
    Ok(Ticket {
        url: format!("/api/v1/chat/exports/{ticket}"),
        expires_at,
    })
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Profile,
    Memberships,
    Blocks,
    Messages,
    Scheduled,
    Reactions,
    Files,
    Reports,
    End,
}

impl Part {
    fn next(self) -> Self {
        match self {
            Self::Profile => Self::Memberships,
            Self::Memberships => Self::Blocks,
            Self::Blocks => Self::Messages,
            Self::Messages => Self::Scheduled,
            Self::Scheduled => Self::Reactions,
            Self::Reactions => Self::Files,
            Self::Files => Self::Reports,
            Self::Reports | Self::End => Self::End,
        }
    }
}

/// All that is kept of a person, in pages.
pub struct Export {
    chat: Chat,
    person: String,
    part: Part,
    after: Option<String>,
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export").field("part", &self.part).finish()
    }
}

impl Chat {
    /// What a ticket of `data:export` stands for. It's used up by that.
    ///
    /// # Errors
    /// `not_found` if there is none, or none any more; `unavailable`.
    pub async fn open_export(&self, ticket: &str) -> Result<Export, Failure> {
        let none = || {
            Failure::new(
                "not_found",
                "this ticket was used, or is too old: ask for data:export again",
            )
        };
        let is_one = ticket.len() == 32 && ticket.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_one {
            return Err(none());
        }
        let now_ms = self.now_ms();
        let getting = self.0.store.get(now_ms, names::EXPORTS, ticket);
        let found = getting.await.map_err(|error| stored::not_read(&error))?;
        let found = found.ok_or_else(none)?;
        let record: TicketRecord = records::read(&found)?;
        let condition = Condition::Version(found.version);
        let deleting = self
            .0
            .store
            .delete(now_ms, names::EXPORTS, ticket, condition);
        match deleting.await {
            Ok(_) => Ok(Export {
                chat: self.clone(),
                person: record.person,
                part: Part::Profile,
                after: None,
            }),
            Err(WriteError::Conflict { .. }) => Err(none()),
            Err(error) => Err(stored::not_written(&error)),
        }
    }
}

/// A page of lines, and after what the next one begins.
type Page = (Vec<Value>, Option<String>);

impl Export {
    /// The next lines, each a JSON object and a line feed; `None` after the last.
    ///
    /// # Errors
    /// `unavailable`; what was given so far isn't all.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        while self.part != Part::End {
            let after = self.after.take();
            let (lines, next) = match self.part {
                Part::Profile => (vec![self.profile().await?], None),
                Part::Memberships => self.memberships(after).await?,
                Part::Blocks => self.blocks(after).await?,
                Part::Messages => self.messages(after).await?,
                Part::Scheduled => self.scheduled(after).await?,
                Part::Reactions => self.reactions(after).await?,
                Part::Files => self.files(after).await?,
                Part::Reports => self.reports(after).await?,
                Part::End => break,
            };
            if next.is_none() {
                self.part = self.part.next();
            }
            self.after = next;
            if !lines.is_empty() {
                let mut page = Vec::new();
                for line in lines {
                    page.extend_from_slice(line.to_string().as_bytes());
                    page.push(b'\n');
                }
                return Ok(Some(page));
            }
        }
        Ok(None)
    }

    async fn profile(&self) -> Result<Value, Failure> {
        let profile = self.get(vec![(names::PEOPLE.to_owned(), self.person.clone())]);
        let mut line = line("person", profile.await?.pop().flatten().as_ref())?;
        line.insert("id".to_owned(), self.person.as_str().into());
        Ok(Value::Object(line))
    }

    async fn memberships(&self, after: Option<String>) -> Result<Page, Failure> {
        let (rooms, next) = self.scan(&names::memberships(&self.person), after).await?;
        let keys = rooms
            .iter()
            .map(|(room, _)| (names::marks(room), self.person.clone()));
        let marks = self.get(keys.collect()).await?;
        let mut lines = Vec::new();
        for ((room, membership), mark) in rooms.iter().zip(marks) {
            let mut of = line("membership", Some(membership))?;
            of.insert("room".to_owned(), room.as_str().into());
            lines.push(Value::Object(of));
            if let Some(mark) = mark {
                let mut of = line("mark", Some(&mark))?;
                of.insert("room".to_owned(), room.as_str().into());
                lines.push(Value::Object(of));
            }
        }
        Ok((lines, next))
    }

    async fn blocks(&self, after: Option<String>) -> Result<Page, Failure> {
        let (blocked, next) = self.scan(&names::blocks(&self.person), after).await?;
        let lines = blocked.iter().map(|(id, block)| {
            let mut of = line("block", Some(block))?;
            of.insert("person".to_owned(), id.as_str().into());
            Ok(Value::Object(of))
        });
        Ok((lines.collect::<Result<_, Failure>>()?, next))
    }

    async fn messages(&self, after: Option<String>) -> Result<Page, Failure> {
        let (written, next) = self.scan(&names::written(&self.person), after).await?;
        let mut of_rooms: BTreeMap<&str, Vec<(Option<u64>, u64)>> = BTreeMap::new();
        for (room, thread, seq) in written.iter().filter_map(|(key, _)| place(key)) {
            of_rooms.entry(room).or_default().push((thread, seq));
        }
        let mut lines = Vec::new();
        for (room, which) in of_rooms {
            let mut messages = read_some(&self.chat, room, &which).await?;
            fill_quotes(&self.chat, &mut messages).await?;
            for message in messages {
                if message.said.from.id != self.person || message.overlay.deleted.is_some() {
                    continue;
                }
                let value = serde_json::to_value(&message);
                let value = value.map_err(|error| stored::unreadable(&error))?;
                let mut of = line("message", None)?;
                if let Value::Object(fields) = value {
                    of.extend(fields);
                }
                lines.push(Value::Object(of));
            }
        }
        Ok((lines, next))
    }

    async fn scheduled(&self, after: Option<String>) -> Result<Page, Failure> {
        let (waiting, next) = self.scan(&names::scheduled(&self.person), after).await?;
        let lines = waiting.iter().map(|(id, document)| {
            let mut of = line("scheduled", Some(document))?;
            of.insert("id".to_owned(), id.as_str().into());
            Ok(Value::Object(of))
        });
        Ok((lines.collect::<Result<_, Failure>>()?, next))
    }

    async fn reactions(&self, after: Option<String>) -> Result<Page, Failure> {
        let (reacted, next) = self.scan(&names::reacted(&self.person), after).await?;
        let places: Vec<_> = reacted.iter().filter_map(|(key, _)| place(key)).collect();
        let keys = places.iter().map(|(room, thread, seq)| {
            let key = format!("{}\n{}", names::seq_key(*seq), self.person);
            (names::reactions(room, *thread), key)
        });
        let given = self.get(keys.collect()).await?;
        let mut lines = Vec::new();
        for ((room, thread, seq), given) in places.into_iter().zip(given) {
            let Some(given) = given else { continue };
            let given: records::GivenRecord = records::read(&given)?;
            let given = given.0.iter();
            let given: Map<String, Value> = given
                .map(|(emoji, given)| (emoji.clone(), given.count.into()))
                .collect();
            let mut of = json!({"kind": "reaction", "room": room, "seq": seq, "given": given});
            if let Some(root) = thread {
                of["thread"] = root.into();
            }
            lines.push(of);
        }
        Ok((lines, next))
    }

    async fn files(&self, after: Option<String>) -> Result<Page, Failure> {
        let (own, next) = self.scan(&names::files_of(&self.person), after).await?;
        let keys = own
            .iter()
            .map(|(id, _)| (names::FILES.to_owned(), id.clone()));
        let metas = self.get(keys.collect()).await?;
        let mut lines = Vec::new();
        for ((id, own), meta) in own.iter().zip(metas) {
            let mut of = line("file", meta.as_ref().or(Some(own)))?;
            of.insert("id".to_owned(), id.as_str().into());
            lines.push(Value::Object(of));
        }
        Ok((lines, next))
    }

    async fn reports(&self, after: Option<String>) -> Result<Page, Failure> {
        let (reports, next) = moderation::made_by(&self.chat, &self.person, after).await?;
        let lines = reports.into_iter().map(|report| {
            json!({
                "kind": "report", "id": report.id, "room": report.room, "thread": report.thread,
                "seq": report.seq, "reason": report.reason, "time": report.time,
                "state": report.state, "outcome": report.outcome,
            })
        });
        Ok((lines.collect(), next))
    }

    async fn scan(
        &self,
        collection: &str,
        after: Option<String>,
    ) -> Result<(Vec<(String, Document)>, Option<String>), Failure> {
        let scan = Scan::default().limit(PAGE).after(after);
        let page = stored::scan(&self.chat, collection, scan).await?;
        Ok((page.items, page.next))
    }

    async fn get(&self, keys: Vec<(String, String)>) -> Result<Vec<Option<Document>>, Failure> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let queries = keys
            .into_iter()
            .map(|(collection, key)| Query::Get { collection, key });
        let answers = stored::read(&self.chat, queries.collect()).await?;
        let documents = answers.into_iter().map(|answer| match answer {
            Answer::Document(document) => Ok(document),
            other => Err(stored::unexpected(Some(&other))),
        });
        documents.collect()
    }
}

/// A line with what a document says.
fn line(kind: &str, document: Option<&Document>) -> Result<Map<String, Value>, Failure> {
    let mut fields = Map::new();
    fields.insert("kind".to_owned(), kind.into());
    if let Some(document) = document {
        let said = serde_json::from_slice(&document.value);
        let said: Map<String, Value> = said.map_err(|error| stored::unreadable(&error))?;
        fields.extend(said);
    }
    Ok(fields)
}
