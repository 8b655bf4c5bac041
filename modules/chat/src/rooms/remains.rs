//! What people and the server have elsewhere because of a room that is deleted: by which messages and reactions of a person
//! are found, whom messages mention, when they expire, reports. It's found by the messages themselves, so those go with it,
//! some in each step; whoever goes on with the deletion begins where the last one was.

use lakh_hub::Failure;
use lakh_hub::store::{Answer, Batch, Condition, Op, Query, Range, Scan, Trim};

use super::delete::Steps;
use crate::messages::of_entry;
use crate::records::DueRecord;
use crate::shapes::Message;
use crate::{moderation, names, stored};

/// Messages, reactions or reports in one step at most.
const AT_ONCE: usize = 500;
/// Operations of a step, about: a message may mention many.
const OPS: usize = 2_000;
/// Threads looked up at once.
const THREADS: usize = 200;

impl Steps<'_> {
    /// Takes the messages away, those of threads first, with what leads to them; the logs themselves stay, empty. `false` if
    /// another node has gone on with it.
    pub(super) async fn messages(&mut self) -> Result<bool, Failure> {
        let prefix = format!("{}\n", names::log(self.room));
        let mut after = None;
        loop {
            let scan = Scan::prefix(&prefix).limit(THREADS).after(after);
            let answer = self.read(Query::Logs { scan }).await?;
            let Answer::Logs(page) = answer else {
                return Err(stored::unexpected(Some(&answer)));
            };
            let roots = page.items.iter();
            let roots = roots.filter_map(|(log, _)| log.strip_prefix(&prefix)?.parse().ok());
            for root in roots {
                if !(self.reactions(Some(root)).await? && self.log(Some(root)).await?) {
                    return Ok(false);
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(self.reactions(None).await? && self.log(None).await?);
            }
        }
    }

    async fn read(&self, query: Query) -> Result<Answer, Failure> {
        let answers = stored::read(self.chat, vec![query]).await?;
        let answer = answers.into_iter().next();
        answer.ok_or_else(|| stored::unexpected(None))
    }

    async fn log(&mut self, thread: Option<u64>) -> Result<bool, Failure> {
        let log = names::log_of(self.room, thread);
        loop {
            let range = Range::from(0, AT_ONCE);
            let reading = self.chat.0.store.range(&log, range);
            let page = reading.await.map_err(|error| stored::not_read(&error))?;
            if page.entries.is_empty() {
                return Ok(true);
            }
            let (mut batch, mut end) = (self.begin()?, 0);
            for entry in page.entries.iter() {
                if batch.ops().len() >= OPS {
                    break;
                }
                end = entry.seq + 1;
                // What only a later version can read has its index entries left, which lead nowhere.
                if let Ok(message) = of_entry(self.room, thread, entry) {
                    batch = forget(batch, &message);
                }
            }
            let trim = Trim {
                before_seq: Some(end),
                ..Trim::default()
            };
            let log = log.clone();
            if self.step(batch.op(Op::Trim { log, trim })).await?.is_none() {
                return Ok(false);
            }
            tokio::task::yield_now().await;
        }
    }

    async fn reactions(&mut self, thread: Option<u64>) -> Result<bool, Failure> {
        let collection = names::reactions(self.room, thread);
        loop {
            let scan = Scan::default().limit(AT_ONCE);
            let page = stored::scan(self.chat, &collection, scan).await?;
            if page.items.is_empty() {
                return Ok(true);
            }
            let mut batch = self.begin()?;
            for (key, _) in &page.items {
                batch = batch.delete(&collection, key, Condition::Any);
                if let Some((seq, person)) = key.split_once('\n') {
                    let index = names::in_room(self.room, thread) + seq;
                    batch = batch.delete(&names::reacted(person), &index, Condition::Any);
                }
            }
            if self.step(batch).await?.is_none() {
                return Ok(false);
            }
        }
    }

    /// Takes the reports on messages of the room away.
    pub(super) async fn reports(&mut self) -> Result<bool, Failure> {
        loop {
            let batch = moderation::forget_reports(self.chat, self.room, self.begin()?).await?;
            let Some(batch) = batch else {
                return Ok(true);
            };
            if self.step(batch).await?.is_none() {
                return Ok(false);
            }
        }
    }
}

/// Takes away what leads to a message.
fn forget(batch: Batch, message: &Message) -> Batch {
    let place = names::in_room(&message.room, message.thread);
    let key = place.clone() + &names::seq_key(message.seq);
    let said = &message.said;
    let batch = batch.delete(&names::written(&said.from.id), &key, Condition::Any);
    let mentions = said.mentions.iter();
    let batch = mentions.fold(batch, |batch, id| {
        batch.delete(&names::mentions_of(id), &key, Condition::Any)
    });
    match said.expires_at {
        Some(at_ms) => {
            let due = DueRecord::prefix(at_ms, &place) + &names::seq_key(message.seq);
            batch.delete(names::DUE, &due, Condition::Any)
        }
        None => batch,
    }
}
