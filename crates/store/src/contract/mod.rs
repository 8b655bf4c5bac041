//! The suite that every backend passes: the contract as behaviours with names.
//!
//! A behaviour gets a store of its own, empty, and panics where the store breaks the contract. The suite needs no runtime.

#![allow(clippy::unwrap_used, reason = "a behaviour fails by panicking")]

mod amendments;
mod batches;
mod concurrency;
mod documents;
mod logs;
mod notes;
mod rankings;
mod searches;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use crate::{Document, Entry, LogEntry, Ranked, Store};

/// A time to begin with, milliseconds since 1970.
const NOW: u64 = 1_700_000_000_000;

/// A named part of the contract.
pub struct Behaviour {
    /// A sentence.
    pub name: &'static str,
    check: fn(Store) -> Pin<Box<dyn Future<Output = ()>>>,
}

impl Behaviour {
    /// Tries it on an empty store.
    ///
    /// # Panics
    /// If the store breaks it.
    pub fn check(&self, store: Store) {
        block_on((self.check)(store));
    }
}

macro_rules! behaviours {
    ($($name:ident),* $(,)?) => {
        pub(super) const BEHAVIOURS: &[crate::contract::Behaviour] = &[$(crate::contract::Behaviour {
            name: stringify!($name),
            check: |store| Box::pin($name(store)),
        }),*];
    };
}
use behaviours;

/// All behaviours.
pub fn all() -> impl Iterator<Item = &'static Behaviour> {
    let parts = [
        documents::BEHAVIOURS,
        logs::BEHAVIOURS,
        amendments::BEHAVIOURS,
        notes::BEHAVIOURS,
        rankings::BEHAVIOURS,
        searches::BEHAVIOURS,
        batches::BEHAVIOURS,
        concurrency::BEHAVIOURS,
    ];
    parts.into_iter().flatten()
}

/// Tries every behaviour on a store of its own. `make` gives an empty store, and what shall be dropped after it.
///
/// # Panics
/// If any behaviour is broken; all are tried first, and the message names them.
pub fn run<T>(make: impl Fn() -> (Store, T)) {
    let mut broken = Vec::new();
    for behaviour in all() {
        let tried = catch_unwind(AssertUnwindSafe(|| {
            let (store, kept) = make();
            behaviour.check(store.clone());
            block_on(store.close()).unwrap();
            drop(kept);
        }));
        println!(
            "{} {}",
            if tried.is_ok() { "ok    " } else { "BROKEN" },
            behaviour.name
        );
        if tried.is_err() {
            broken.push(behaviour.name);
        }
    }
    assert!(broken.is_empty(), "broken: {broken:#?}");
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn entry(value: &str) -> Entry {
    Entry::new(NOW, value.to_owned())
}

fn entries(count: usize) -> Vec<Entry> {
    (1..=count).map(|n| entry(&format!("e{n}"))).collect()
}

fn seqs(entries: &[LogEntry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.seq).collect()
}

fn keys(items: &[(String, Document)]) -> Vec<&str> {
    items.iter().map(|(key, _)| key.as_str()).collect()
}

fn members(ranked: &[Ranked]) -> Vec<&str> {
    ranked.iter().map(|ranked| ranked.member.as_str()).collect()
}
