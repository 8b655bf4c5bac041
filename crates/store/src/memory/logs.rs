//! Logs as queues of entries.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use bytes::Bytes;

use super::Undo;
use super::documents::within;
use crate::documents::{Gather, Order, Page, Scan};
use crate::limits::{self, REMOVE_AT_ONCE};
use crate::logs::{
    Appended, Entry, LogEntry, LogInfo, LogPage, Placed, Range, Trim, Trimmed, entry_bytes,
};
use crate::query::{FoundPage, SearchCursor};
use crate::search;

/// An entry, and the words by which it can be found.
#[derive(Clone)]
pub(crate) struct Kept {
    entry: LogEntry,
    text: Option<String>,
}

pub(crate) struct Log {
    info: LogInfo,
    entries: VecDeque<Kept>,
    seqs: HashMap<String, u64>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            info: LogInfo::EMPTY,
            entries: VecDeque::new(),
            seqs: HashMap::new(),
        }
    }
}

fn bytes(entry: &LogEntry) -> u64 {
    entry_bytes(
        entry.value.len() as u64,
        entry.dedupe.as_ref().map_or(0, String::len) as u64,
    )
}

impl Log {
    fn append(&mut self, entry: &Entry) -> Placed {
        if let Some(seq) = entry
            .dedupe
            .as_ref()
            .and_then(|dedupe| self.seqs.get(dedupe))
        {
            return Placed {
                seq: *seq,
                duplicate: true,
            };
        }
        let seq = self.info.last_seq + 1;
        let text = entry.text.clone();
        let entry = LogEntry {
            seq,
            time_ms: entry.time_ms,
            dedupe: entry.dedupe.clone(),
            value: entry.value.clone(),
        };
        self.info.last_seq = seq;
        self.know(&entry);
        self.entries.push_back(Kept { entry, text });
        Placed {
            seq,
            duplicate: false,
        }
    }

    fn index(&self, seq: u64) -> Option<usize> {
        usize::try_from(seq.checked_sub(self.info.first_seq)?).ok()
    }

    fn kept(&self, seq: u64) -> Option<&Kept> {
        self.entries.get(self.index(seq)?)
    }

    fn replace(&mut self, kept: Kept) {
        let place = self.index(kept.entry.seq);
        if let Some(old) = place.and_then(|index| self.entries.get_mut(index)) {
            self.info.bytes = self.info.bytes + bytes(&kept.entry) - bytes(&old.entry);
            *old = kept;
        }
    }

    fn know(&mut self, entry: &LogEntry) {
        self.info.bytes += bytes(entry);
        if let Some(dedupe) = &entry.dedupe {
            self.seqs.insert(dedupe.clone(), entry.seq);
        }
    }

    fn forget(&mut self, entry: &LogEntry) {
        self.info.bytes -= bytes(entry);
        if let Some(dedupe) = &entry.dedupe {
            self.seqs.remove(dedupe);
        }
    }
}

#[derive(Default)]
pub(crate) struct Logs(BTreeMap<String, Log>);

impl Logs {
    pub(crate) fn find(&self, log: &str, dedupe: &str) -> Option<u64> {
        self.0.get(log)?.seqs.get(dedupe).copied()
    }

    pub(crate) fn info(&self, log: &str) -> LogInfo {
        self.0.get(log).map_or(LogInfo::EMPTY, |log| log.info)
    }

    pub(crate) fn append(
        &mut self,
        name: &str,
        entries: &[Entry],
        undo: &mut Vec<Undo>,
    ) -> Appended {
        if !self.0.contains_key(name) {
            undo.push(Undo::Log(name.to_owned(), None));
        }
        let log = self.0.entry(name.to_owned()).or_default();
        let placed: Vec<Placed> = entries.iter().map(|entry| log.append(entry)).collect();
        let added = placed.iter().filter(|placed| !placed.duplicate).count();
        undo.push(Undo::Appended(name.to_owned(), added));
        Appended { entries: placed }
    }

    pub(crate) fn unappend(&mut self, name: &str, entries: usize) {
        let Some(log) = self.0.get_mut(name) else {
            return;
        };
        for _ in 0..entries {
            if let Some(kept) = log.entries.pop_back() {
                log.forget(&kept.entry);
                log.info.last_seq -= 1;
            }
        }
    }

    pub(crate) fn amend(
        &mut self,
        name: &str,
        seq: u64,
        (value, text): (&Bytes, &Option<String>),
        undo: &mut Vec<Undo>,
    ) -> bool {
        let Some(log) = self.0.get_mut(name) else {
            return false;
        };
        let Some(before) = log.kept(seq).cloned() else {
            return false;
        };
        let mut entry = before.entry.clone();
        entry.value = value.clone();
        let text = text.clone();
        log.replace(Kept { entry, text });
        undo.push(Undo::Amended(name.to_owned(), before));
        true
    }

    pub(crate) fn unamend(&mut self, name: &str, before: Kept) {
        if let Some(log) = self.0.get_mut(name) {
            log.replace(before);
        }
    }

    pub(crate) fn trim(&mut self, name: &str, trim: &Trim, undo: &mut Vec<Undo>) -> Trimmed {
        let mut removed = Vec::new();
        let Some(log) = self.0.get_mut(name) else {
            return Trimmed {
                removed: 0,
                first_seq: LogInfo::EMPTY.first_seq,
                more: false,
            };
        };
        let mut more = false;
        while let Some(oldest) = log.entries.front() {
            if !trim.takes(&log.info, oldest.entry.time_ms) {
                break;
            }
            if removed.len() == REMOVE_AT_ONCE {
                more = true;
                break;
            }
            if let Some(kept) = log.entries.pop_front() {
                log.forget(&kept.entry);
                log.info.first_seq += 1;
                removed.push(kept);
            }
        }
        let trimmed = Trimmed {
            removed: removed.len() as u64,
            first_seq: log.info.first_seq,
            more,
        };
        undo.push(Undo::Trimmed(name.to_owned(), removed));
        trimmed
    }

    pub(crate) fn untrim(&mut self, name: &str, entries: Vec<Kept>) {
        let Some(log) = self.0.get_mut(name) else {
            return;
        };
        for kept in entries.into_iter().rev() {
            log.know(&kept.entry);
            log.info.first_seq -= 1;
            log.entries.push_front(kept);
        }
    }

    pub(crate) fn remove(&mut self, name: &str, undo: &mut Vec<Undo>) -> bool {
        let before = self.0.remove(name);
        let existed = before.is_some();
        undo.push(Undo::Log(name.to_owned(), before));
        existed
    }

    pub(crate) fn restore(&mut self, name: String, before: Option<Log>) {
        match before {
            Some(log) => self.0.insert(name, log),
            None => self.0.remove(&name),
        };
    }

    pub(crate) fn range(&self, name: &str, range: &Range) -> LogPage {
        let mut page = Gather::new(range.limit);
        let info = self.info(name);
        if let Some(log) = self.0.get(name) {
            let wanted = |entry: &&LogEntry| range.from <= entry.seq && entry.seq <= range.to;
            let all = log.entries.iter().map(|kept| &kept.entry);
            let entries: Box<dyn Iterator<Item = &LogEntry>> = match range.order {
                Order::Ascending => Box::new(all.filter(wanted)),
                Order::Descending => Box::new(all.rev().filter(wanted)),
            };
            for entry in entries {
                if !page.has_room(entry.value.len()) {
                    break;
                }
                page.add(entry.clone(), entry.value.len());
            }
        }
        let (entries, more) = page.into_items();
        LogPage {
            entries,
            more,
            info,
        }
    }

    /// Looks through all of it.
    pub(crate) fn search(
        &self,
        logs: &[String],
        words: &str,
        before: Option<&SearchCursor>,
        limit: usize,
    ) -> FoundPage {
        // What makes no terms was refused before.
        let terms = search::terms(words).unwrap_or_default();
        let names: BTreeSet<&String> = logs.iter().collect();
        let mut found = Vec::new();
        for name in names {
            for kept in self.0.get(name).into_iter().flat_map(|log| &log.entries) {
                let place = SearchCursor {
                    time_ms: kept.entry.time_ms,
                    log: name.clone(),
                    seq: kept.entry.seq,
                };
                let wanted = before.is_none_or(|before| place < *before);
                let text = kept.text.as_deref().filter(|_| wanted);
                if text.is_some_and(|text| search::matches(text, &terms)) {
                    found.push(place);
                }
            }
        }
        found.sort_unstable_by(|a, b| b.cmp(a));
        FoundPage::of(found, limits::page(limit))
    }

    pub(crate) fn list(&self, scan: &Scan) -> Page<(String, LogInfo)> {
        let mut page = Gather::new(scan.limit);
        for (name, log) in within(&self.0, scan) {
            if !page.has_room(0) {
                break;
            }
            page.add((name.clone(), log.info), 0);
        }
        page.into_page()
    }
}
