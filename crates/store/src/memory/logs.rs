//! Logs as queues of entries.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::Bytes;

use super::Undo;
use super::documents::within;
use crate::documents::{Gather, Order, Page, Scan};
use crate::limits::REMOVE_AT_ONCE;
use crate::logs::{
    Appended, Entry, LogEntry, LogInfo, LogPage, Placed, Range, Trim, Trimmed, entry_bytes,
};

pub(crate) struct Log {
    info: LogInfo,
    entries: VecDeque<LogEntry>,
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
        let entry = LogEntry {
            seq,
            time_ms: entry.time_ms,
            dedupe: entry.dedupe.clone(),
            value: entry.value.clone(),
        };
        self.info.last_seq = seq;
        self.know(&entry);
        self.entries.push_back(entry);
        Placed {
            seq,
            duplicate: false,
        }
    }

    fn index(&self, seq: u64) -> Option<usize> {
        usize::try_from(seq.checked_sub(self.info.first_seq)?).ok()
    }

    fn entry(&self, seq: u64) -> Option<&LogEntry> {
        self.entries.get(self.index(seq)?)
    }

    fn replace(&mut self, entry: LogEntry) {
        let place = self.index(entry.seq);
        if let Some(old) = place.and_then(|index| self.entries.get_mut(index)) {
            self.info.bytes = self.info.bytes + bytes(&entry) - bytes(old);
            *old = entry;
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
            if let Some(entry) = log.entries.pop_back() {
                log.forget(&entry);
                log.info.last_seq -= 1;
            }
        }
    }

    pub(crate) fn amend(
        &mut self,
        name: &str,
        seq: u64,
        value: &Bytes,
        undo: &mut Vec<Undo>,
    ) -> bool {
        let Some(log) = self.0.get_mut(name) else {
            return false;
        };
        let Some(before) = log.entry(seq).cloned() else {
            return false;
        };
        log.replace(LogEntry {
            value: value.clone(),
            ..before.clone()
        });
        undo.push(Undo::Amended(name.to_owned(), before));
        true
    }

    pub(crate) fn unamend(&mut self, name: &str, before: LogEntry) {
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
            if !trim.takes(&log.info, oldest.time_ms) {
                break;
            }
            if removed.len() == REMOVE_AT_ONCE {
                more = true;
                break;
            }
            if let Some(entry) = log.entries.pop_front() {
                log.forget(&entry);
                log.info.first_seq += 1;
                removed.push(entry);
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

    pub(crate) fn untrim(&mut self, name: &str, entries: Vec<LogEntry>) {
        let Some(log) = self.0.get_mut(name) else {
            return;
        };
        for entry in entries.into_iter().rev() {
            log.know(&entry);
            log.info.first_seq -= 1;
            log.entries.push_front(entry);
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
            let entries: Box<dyn Iterator<Item = &LogEntry>> = match range.order {
                Order::Ascending => Box::new(log.entries.iter().filter(wanted)),
                Order::Descending => Box::new(log.entries.iter().rev().filter(wanted)),
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
