//! A sink at work: what happened, out of the queue in the store, to a broker.
//!
//! One node of a cluster sends for a sink at a time. What was sent and confirmed is taken out of the queue with a write that
//! is refused to a node that has lost its lease. What the node dies between is sent again by the next one, under the same
//! ids and in the same order: NATS and Redis take it once, of the others the receiver tells it by its id.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lakh_hub::store::{Batch, LogEntry, Range, Trim};
use serde::Deserialize;
use tokio::time::timeout;

use super::drivers::{Message, Writer};
use super::intake::{Intake, log};
use super::settings::{SinkSettings, To};
use super::stats::{Counts, State};
use super::trouble::Backoff;
use super::work::{Ended, Job};
use crate::lease::{Held, LeaseError, Leases};

/// How often the queue is looked at for what other nodes have put in.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often where there are no others, and the broker is looked at.
const CHECK_EVERY: Duration = Duration::from_secs(2);

/// A sink.
pub(super) struct Sink {
    pub(super) settings: Arc<SinkSettings>,
    pub(super) leases: Leases,
    pub(super) intake: Arc<Intake>,
    pub(super) counts: Arc<Counts>,
}

/// What of an event decides where it goes.
#[derive(Deserialize, Default)]
struct Head {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    namespace: String,
    room: Option<String>,
    event: Option<String>,
    seq: Option<u64>,
}

impl Job for Sink {
    const KIND: &'static str = "sink";
    type Open = Writer;

    fn name(&self) -> &str {
        &self.settings.name
    }

    fn leases(&self) -> &Leases {
        &self.leases
    }

    fn counts(&self) -> &Counts {
        &self.counts
    }

    async fn session(
        &self,
        held: &mut Held,
        open: &mut Option<Writer>,
        backoff: &mut Backoff,
    ) -> Result<Infallible, Ended> {
        let store = self.leases.store();
        let log = log(&self.settings.name);
        let writer = open.insert(Writer::open(&self.settings.to).await?);
        self.counts.tell("sink", &self.settings.name, State::Up);
        let patience = match self.leases.is_shared() {
            true => LOOK_EVERY,
            false => CHECK_EVERY,
        };
        loop {
            let stored = self.intake.stored();
            let page = store
                .range(&log, Range::from(0, self.settings.batch))
                .await?;
            self.counts
                .lag
                .store(page.info.entries(), Ordering::Relaxed);
            self.counts
                .lag_bytes
                .store(page.info.bytes, Ordering::Relaxed);
            let Some(last) = page.entries.last().map(|last| last.seq) else {
                // Nothing to send: is there still somebody to send it to?
                if timeout(patience, stored).await.is_err() {
                    writer.check().await?;
                }
                continue;
            };
            let (messages, count) = (self.messages(&page.entries), page.entries.len());
            if !held.is_held() {
                return Err(LeaseError::Lost.into());
            }
            let unfit = writer.send(&messages).await?;
            backoff.reset();
            let sent = Trim {
                before_seq: Some(last + 1),
                ..Trim::default()
            };
            held.write(Batch::new(self.leases.now_ms()).trim(&log, sent))
                .await?;
            Counts::add(&self.counts.published, count - unfit);
            Counts::add(&self.counts.dead, unfit);
        }
    }

    async fn close(_: Writer) {}
}

impl Sink {
    /// The messages for entries, those of a room in the order of their numbers: two nodes may store what they publish in
    /// one room the other way round.
    fn messages(&self, entries: &[LogEntry]) -> Vec<Message> {
        let read = entries.iter().map(|entry| {
            let head: Head = serde_json::from_slice(&entry.value).unwrap_or_default();
            (head, entry)
        });
        let mut read: Vec<_> = read.collect();
        in_order(&mut read);
        let messages = read.into_iter().map(|(head, entry)| Message {
            id: entry
                .dedupe
                .clone()
                .unwrap_or_else(|| entry.seq.to_string()),
            target: self.target(&head),
            room: head.room.clone().unwrap_or_default(),
            kind: kind(&head.kind),
            body: entry.value.clone(),
        });
        messages.collect()
    }

    fn target(&self, head: &Head) -> String {
        match &self.settings.to {
            To::Redis { stream, .. } => filled(stream, head, |text| text.to_owned()),
            To::Nats { subject, .. } => filled(subject, head, |text| token(text, true)),
            To::Rabbit { routing_key, .. } => {
                let mut key = filled(routing_key, head, |text| token(text, false));
                // What AMQP allows; cut at a character's boundary.
                let end = (0..=key.len().min(255)).rfind(|at| key.is_char_boundary(*at));
                key.truncate(end.unwrap_or(0));
                key
            }
            To::Kafka { topic, .. } => topic.clone(),
        }
    }
}

/// Puts a pattern's names in: `{namespace}`, `{room}`, `{event}`, `{type}`.
fn filled(pattern: &str, head: &Head, write: impl Fn(&str) -> String) -> String {
    if !pattern.contains('{') {
        return pattern.to_owned();
    }
    let mut filled = pattern.to_owned();
    for (name, value) in [
        ("{namespace}", head.namespace.trim_start_matches('/')),
        ("{type}", &head.kind),
        ("{event}", head.event.as_deref().unwrap_or_default()),
        // Last: a room's name may look like any of these.
        ("{room}", head.room.as_deref().unwrap_or_default()),
    ] {
        if filled.contains(name) {
            filled = filled.replace(name, &write(value));
        }
    }
    filled
}

/// A name as a part of a subject: the characters that mean something there become `_`, and so does nothing.
fn token(text: &str, nats: bool) -> String {
    if text.is_empty() {
        return "_".to_owned();
    }
    let plain = |c: char| match c {
        '.' | '*' | '#' => '_',
        '>' if nats => '_',
        c if c.is_whitespace() || c.is_control() => '_',
        c => c,
    };
    text.chars().map(plain).collect()
}

fn kind(word: &str) -> &'static str {
    use lakh_hub::What;
    let all = [
        What::Connect,
        What::Disconnect,
        What::Join,
        What::Leave,
        What::Message,
        What::RateLimit,
        What::Module,
    ];
    let found = all.iter().find(|what| what.word() == word);
    found.map_or("module", |what| what.word())
}

/// Puts what has a number in a room into the order of the numbers, among the places that it has; all else stays.
fn in_order(read: &mut Vec<(Head, &LogEntry)>) {
    let mut rooms: HashMap<(String, String), Vec<usize>> = HashMap::new();
    for (index, (head, _)) in read.iter().enumerate() {
        if let (Some(room), Some(_)) = (&head.room, head.seq) {
            let lane = (head.namespace.clone(), room.clone());
            rooms.entry(lane).or_default().push(index);
        }
    }
    let mut order: Vec<usize> = (0..read.len()).collect();
    for places in rooms.into_values() {
        let mut sorted = places.clone();
        sorted.sort_by_key(|index| read[*index].0.seq);
        for (place, from) in places.into_iter().zip(sorted) {
            order[place] = from;
        }
    }
    let mut taken: Vec<_> = std::mem::take(read).into_iter().map(Some).collect();
    read.extend(order.into_iter().filter_map(|from| taken[from].take()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_parts_of_subjects() {
        let head = Head {
            kind: "message".to_owned(),
            namespace: "/".to_owned(),
            room: Some("board 1.a*".to_owned()),
            event: Some("new".to_owned()),
            seq: None,
        };
        let subject = filled("lakh.{namespace}.{type}.{event}.{room}", &head, |text| {
            token(text, true)
        });
        assert_eq!(subject, "lakh._.message.new.board_1_a_");
        assert_eq!(filled("plain", &head, str::to_owned), "plain");
        let odd = Head {
            room: Some("{event}".to_owned()),
            ..head
        };
        assert_eq!(filled("{room}-{event}", &odd, str::to_owned), "{event}-new");
    }

    #[test]
    fn what_two_nodes_stored_the_other_way_round_is_sent_in_order() {
        let entry = LogEntry {
            seq: 1,
            time_ms: 0,
            dedupe: None,
            value: lakh_hub::Bytes::new(),
        };
        let head = |room: Option<&str>, seq| Head {
            room: room.map(str::to_owned),
            seq,
            ..Head::default()
        };
        let mut read = vec![
            (head(Some("a"), Some(2)), &entry),
            (head(None, None), &entry),
            (head(Some("b"), Some(9)), &entry),
            (head(Some("a"), Some(1)), &entry),
            (head(Some("a"), None), &entry),
            (head(Some("b"), Some(8)), &entry),
        ];
        in_order(&mut read);
        let found: Vec<_> = read
            .iter()
            .map(|(head, _)| (head.room.as_deref(), head.seq))
            .collect();
        assert_eq!(
            found,
            [
                (Some("a"), Some(1)),
                (None, None),
                (Some("b"), Some(8)),
                (Some("a"), Some(2)),
                (Some("a"), None),
                (Some("b"), Some(9)),
            ]
        );
    }
}
