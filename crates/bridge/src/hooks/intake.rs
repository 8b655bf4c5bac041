//! What happened, on its way to the store: a queue in memory that loops put into and never wait for.

use std::collections::VecDeque;
use std::sync::Arc;

use lakh_hub::{Bytes, Keeping, Occurrence, Watcher, What};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::config::Endpoint;
use super::counts::Counts;
use crate::told::until;

/// Bytes that may wait for the store, nearly. Past it what happens is dropped, and counted.
const MAX_BYTES: usize = 32 << 20;
/// What an occurrence counts besides its data.
const OVERHEAD: usize = 512;

/// Something that at least one endpoint wants.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    /// Which endpoints, as bits.
    pub wanted: u32,
    /// What happened.
    pub occurrence: Arc<Occurrence>,
    /// How many were noted before, on this node since its start.
    pub number: u64,
}

#[derive(Default)]
struct Waiting {
    notes: VecDeque<Note>,
    bytes: usize,
    number: u64,
    is_closed: bool,
}

/// The queue.
pub(crate) struct Intake {
    endpoints: Vec<(Endpoint, Arc<Counts>)>,
    waiting: Mutex<Waiting>,
    more: Notify,
    /// The number up to which notes stand in the store. `None`: nobody is to wait for that.
    stored: Option<watch::Sender<u64>>,
}

impl Intake {
    pub(crate) fn new(endpoints: Vec<(Endpoint, Arc<Counts>)>, durable: bool) -> Self {
        Self {
            endpoints,
            waiting: Mutex::default(),
            more: Notify::new(),
            stored: durable.then(|| watch::Sender::new(0)),
        }
    }

    /// All notes up to this number stand in the store, or are given up.
    pub(crate) fn stored(&self, number: u64) {
        if let Some(stored) = &self.stored {
            stored.send_replace(number);
        }
    }

    fn note(&self, occurrence: &Arc<Occurrence>) {
        let mut wanted = 0;
        for (index, (endpoint, _)) in self.endpoints.iter().enumerate() {
            wanted |= u32::from(endpoint.wants(occurrence)) << index;
        }
        if wanted == 0 {
            return;
        }
        let bytes = weight(occurrence);
        let mut waiting = self.waiting.lock();
        // One is always taken, however large it is.
        let has_room = waiting.bytes + bytes <= MAX_BYTES || waiting.notes.is_empty();
        if waiting.is_closed || !has_room {
            drop(waiting);
            return self.dropped(wanted);
        }
        waiting.bytes += bytes;
        waiting.number += 1;
        let number = waiting.number;
        waiting.notes.push_back(Note {
            wanted,
            occurrence: Arc::clone(occurrence),
            number,
        });
        let is_first = waiting.notes.len() == 1;
        drop(waiting);
        if is_first {
            self.more.notify_one();
        }
    }

    /// Counts what is lost.
    fn dropped(&self, wanted: u32) {
        for (index, (_, counts)) in self.endpoints.iter().enumerate() {
            if wanted >> index & 1 == 1 {
                counts.dropped.add(1);
            }
        }
    }

    /// Waits for something and takes it, so many and nearly so many bytes at most. `None`: it was closed, and is empty.
    pub(crate) async fn take(&self, most: usize, most_bytes: usize) -> Option<Vec<Note>> {
        loop {
            let more = self.more.notified();
            {
                let mut waiting = self.waiting.lock();
                if !waiting.notes.is_empty() {
                    return Some(waiting.take(most, most_bytes));
                }
                if waiting.is_closed {
                    return None;
                }
            }
            more.await;
        }
    }

    /// Takes nothing in any more.
    pub(crate) fn close(&self) {
        self.waiting.lock().is_closed = true;
        self.more.notify_one();
    }

    /// Bytes that wait, nearly.
    pub(crate) fn bytes(&self) -> usize {
        self.waiting.lock().bytes
    }
}

impl Waiting {
    fn take(&mut self, most: usize, most_bytes: usize) -> Vec<Note> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(note) = self.notes.front() {
            let own = weight(&note.occurrence);
            if taken.len() >= most || (bytes + own > most_bytes && !taken.is_empty()) {
                break;
            }
            bytes += own;
            taken.extend(self.notes.pop_front());
        }
        self.bytes -= bytes;
        taken
    }
}

/// Bytes that an occurrence holds in memory, nearly.
fn weight(occurrence: &Occurrence) -> usize {
    let data = occurrence.data.as_ref().map_or(0, |data| data.get().len());
    let binary: usize = occurrence.attachments.iter().map(Bytes::len).sum();
    OVERHEAD + data + binary + occurrence.room.as_ref().map_or(0, |room| room.len())
}

/// Notes for the hub.
pub(crate) struct Notes(pub Arc<Intake>);

impl Watcher for Notes {
    fn wants(&self, what: What, namespace: &str) -> bool {
        let endpoints = self.0.endpoints.iter();
        endpoints
            .map(|(endpoint, _)| endpoint)
            .any(|endpoint| endpoint.may_want(what, namespace))
    }

    fn saw(&self, occurrence: &Arc<Occurrence>) {
        self.0.note(occurrence);
    }

    fn kept(&self) -> Option<Keeping> {
        let stored = self.0.stored.as_ref()?;
        let number = self.0.waiting.lock().number;
        until(stored, number)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::hooks::filter::Kind;

    fn intake() -> (Intake, Vec<Arc<Counts>>) {
        let counts = [Arc::default(), Arc::default()];
        let mut messages = Endpoint::new("a", "https://a.example", Vec::new());
        messages.events = vec![Kind::Of(What::Message)];
        let all = Endpoint::new("b", "https://b.example", Vec::new());
        let endpoints = vec![
            (messages, Arc::clone(&counts[0])),
            (all, Arc::clone(&counts[1])),
        ];
        (Intake::new(endpoints, true), counts.into())
    }

    fn with_data(what: What, bytes: usize) -> Arc<Occurrence> {
        let occurrence = Occurrence::new(what, "/", "rooms", 0);
        Arc::new(occurrence.with_data(&"x".repeat(bytes)))
    }

    /// Tells whether it is done, whenever it is asked.
    fn ready(mut keeping: Keeping) -> impl FnMut() -> bool {
        move || (&mut keeping).now_or_never().is_some()
    }

    #[tokio::test]
    async fn each_note_says_who_wants_it() {
        let (intake, _) = intake();
        intake.note(&with_data(What::Message, 1));
        intake.note(&with_data(What::Join, 1));
        let taken = intake.take(10, 10_000).await.unwrap();
        let found: Vec<_> = taken
            .iter()
            .map(|note| (note.number, note.wanted))
            .collect();
        assert_eq!(found, [(1, 0b11), (2, 0b10)]);
        assert_eq!(intake.bytes(), 0);
        intake.close();
        assert!(intake.take(10, 10_000).await.is_none());
    }

    #[tokio::test]
    async fn who_answers_waits_for_what_was_noted_so_far_and_no_longer() {
        let (intake, _) = intake();
        let notes = Notes(Arc::new(intake));
        assert!(notes.kept().is_none());
        notes.saw(&with_data(What::Message, 1));
        let first = notes.kept().unwrap();
        notes.saw(&with_data(What::Message, 1));
        let mut second = ready(notes.kept().unwrap());
        notes.0.stored(1);
        first.await;
        assert!(!second());
        notes.0.stored(2);
        assert!(second());
        assert!(notes.kept().is_none());
    }

    #[tokio::test]
    async fn what_waits_is_bounded_in_bytes_and_what_is_dropped_is_counted() {
        let (intake, counts) = intake();
        let large = with_data(What::Join, 1 << 20);
        for _ in 0..40 {
            intake.note(&large);
        }
        assert!(intake.bytes() <= MAX_BYTES);
        let dropped = counts[1].dropped.get();
        assert_eq!(dropped, 40 - 31);
        assert_eq!(counts[0].dropped.get(), 0);
        let mut taken = 0;
        while intake.bytes() > 0 {
            taken += intake.take(10, 4 << 20).await.unwrap().len();
        }
        assert_eq!(taken, 31);
        // Larger than all that may wait, and alone.
        intake.note(&with_data(What::Join, MAX_BYTES));
        assert_eq!(intake.take(1, 1).await.unwrap().len(), 1);
    }
}
