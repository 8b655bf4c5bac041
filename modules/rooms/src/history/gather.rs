//! Which events an answer has: picked one by one in the order asked for, up to its bounds.
//!
//! Clocks of nodes differ, so times of a room's events don't quite grow with their numbers. Who asks for what was said since
//! a time gets all from the first event on that is as new, so that no number is missing between.

use std::collections::VecDeque;
use std::sync::Arc;

use lakh_hub::Failure;
use serde_json::value::RawValue;

use crate::filter::{self, Filter};
use crate::server_side::HistoryRange;
use crate::tail::Kept;

/// Events in an answer, where none is told.
const EVENTS: usize = 100;
/// Events in an answer at most.
pub(crate) const MAX_EVENTS: usize = 1_000;
/// Binary values of one page. Stock JavaScript clients break the connection over a packet with more
/// (`maxAttachments` of socket.io-parser).
const MAX_ATTACHMENTS: usize = 10;
/// Bytes of an answer, past which it ends.
const MAX_BYTES: usize = 1 << 20;
/// Events looked at for one answer, where most don't fit.
const MAX_LOOKED_AT: usize = 10_000;
/// What the clocks of two nodes may differ by, in milliseconds: so far is looked back behind an event that is too old.
const SKEW_MS: u64 = 10_000;

/// Which events are wanted.
#[derive(Clone, Debug)]
pub(crate) struct Want {
    pub(crate) after: u64,
    pub(crate) before: u64,
    pub(crate) since_ms: u64,
    pub(crate) event: Option<String>,
    pub(crate) filter: Option<Arc<Filter>>,
    pub(crate) oldest_first: bool,
    pub(crate) limit: usize,
}

impl Want {
    pub(crate) fn new(range: HistoryRange) -> Result<Self, Failure> {
        let limit = if range.limit == 0 {
            EVENTS
        } else {
            range.limit
        };
        if limit > MAX_EVENTS {
            return Err(Failure::bad_request(format!("limit is 1 to {MAX_EVENTS}")));
        }
        Ok(Self {
            after: range.after.unwrap_or(0),
            before: range.before.unwrap_or(u64::MAX),
            since_ms: range.since_ms.unwrap_or(0),
            event: range.event,
            filter: None,
            oldest_first: range.oldest_first,
            limit,
        })
    }

    fn fits(&self, kept: &Kept) -> bool {
        if let Some(event) = &self.event
            && event_name(&kept.text).as_ref() != Some(event)
        {
            return false;
        }
        let filter = self.filter.as_ref();
        filter.is_none_or(|filter| filter.fits(&filter::tags_of(&kept.text)))
    }
}

fn event_name(text: &str) -> Option<String> {
    serde_json::from_str::<(String, &RawValue, &RawValue)>(text)
        .ok()
        .map(|(name, ..)| name)
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// In the order of their numbers.
    pub(crate) events: VecDeque<Arc<Kept>>,
    /// Number of the room's last event at that moment.
    pub(crate) seq: u64,
    /// Where to go on: `before` this number, or `after` it if the oldest came first.
    pub(crate) next: Option<u64>,
    /// Nothing that was asked for is missing up to there.
    pub(crate) complete: bool,
}

/// Goes through events in the order asked for, and takes those that fit.
pub(super) struct Gather<'a> {
    want: &'a Want,
    found: Found,
    bytes: usize,
    attachments: usize,
    looked_at: usize,
    /// The number looked at last.
    seen: Option<u64>,
    /// The number of which it was decided last whether it's in the answer: a next page begins there.
    at: Option<u64>,
    /// From the newest back: events that are too old, unless one behind them isn't.
    old: Vec<Arc<Kept>>,
    /// From the oldest on: one was new enough.
    begun: bool,
    /// Nothing more is wanted.
    pub(super) done: bool,
    holes: bool,
}

impl<'a> Gather<'a> {
    pub(super) fn new(want: &'a Want) -> Self {
        Self {
            want,
            found: Found::default(),
            bytes: 0,
            attachments: 0,
            looked_at: 0,
            seen: None,
            at: None,
            old: Vec::new(),
            begun: false,
            done: false,
            holes: false,
        }
    }

    /// The same for all that there is up to a number: if the events of the last ones aren't there, that's a hole.
    pub(super) fn up_to(want: &'a Want, last: u64) -> Self {
        Self {
            seen: (!want.oldest_first).then(|| want.before.min(last + 1)),
            ..Self::new(want)
        }
    }

    /// Looks at one more event.
    pub(super) fn look(&mut self, kept: &Arc<Kept>) {
        let (want, seq) = (self.want, kept.seq);
        let (behind, beyond) = match want.oldest_first {
            true => (seq <= want.after, seq >= want.before),
            false => (seq >= want.before, seq <= want.after),
        };
        if self.done || behind {
            return;
        }
        if beyond {
            self.done = true;
            return;
        }
        if self.looked_at >= MAX_LOOKED_AT {
            self.found.next = self.at.or(self.seen);
            self.done = true;
            return;
        }
        self.holes |= self.seen.is_some_and(|seen| seen.abs_diff(seq) != 1);
        self.seen = Some(seq);
        self.looked_at += 1;
        self.begun |= kept.time_ms >= want.since_ms;
        if kept.time_ms < want.since_ms && !want.oldest_first {
            self.old.push(Arc::clone(kept));
            self.done = kept.time_ms.saturating_add(SKEW_MS) < want.since_ms;
            return;
        }
        for old in std::mem::take(&mut self.old) {
            self.take(&old);
        }
        self.take(kept);
    }

    /// An event of the time asked for: it's in the answer, if it fits and there is room.
    fn take(&mut self, kept: &Arc<Kept>) {
        let want = self.want;
        if self.done {
            return;
        }
        let full = self.found.events.len() >= want.limit;
        let heavy = self.bytes > 0
            && (self.bytes + kept.bytes() > MAX_BYTES
                || self.attachments + kept.attachments.len() > MAX_ATTACHMENTS);
        if full || heavy {
            self.found.next = self.at;
            self.done = true;
            return;
        }
        self.at = Some(kept.seq);
        if !self.begun || !want.fits(kept) {
            return;
        }
        self.bytes += kept.bytes();
        self.attachments += kept.attachments.len();
        match want.oldest_first {
            true => self.found.events.push_back(Arc::clone(kept)),
            false => self.found.events.push_front(Arc::clone(kept)),
        }
    }

    /// All that there is was looked at. `first`: the oldest that is kept.
    pub(super) fn end(mut self, seq: u64, first: Option<u64>) -> Found {
        let want = self.want;
        let last = want.before.saturating_sub(1).min(seq);
        self.holes |= want.oldest_first && !self.done && self.seen.is_some_and(|seen| seen < last);
        let from_there = first.is_some_and(|first| first <= want.after.saturating_add(1));
        let past_it = self.done || !self.old.is_empty();
        let begun_after = want.since_ms > 0 && past_it && !want.oldest_first;
        let whole = match (self.found.next, self.done) {
            // It ends where the page ends, and the rest is another question.
            (Some(_), _) if !want.oldest_first => true,
            _ => from_there || begun_after || want.after == seq || seq == 0 && want.after == 0,
        };
        self.found.seq = seq;
        self.found.complete = whole && !self.holes && want.after <= seq;
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(seq: u64, time_ms: u64) -> Arc<Kept> {
        Arc::new(Kept {
            seq,
            time_ms,
            text: r#"["e",null,{}]"#.into(),
            attachments: Vec::new(),
        })
    }

    fn told(times: &[u64], want: &Want) -> Found {
        let kept: Vec<Arc<Kept>> = (1..)
            .zip(times)
            .map(|(seq, time_ms)| kept(seq, *time_ms))
            .collect();
        let mut gather = Gather::new(want);
        match want.oldest_first {
            true => kept.iter().for_each(|kept| gather.look(kept)),
            false => kept.iter().rev().for_each(|kept| gather.look(kept)),
        }
        gather.end(times.len() as u64, Some(1))
    }

    fn numbers(found: &Found) -> Vec<u64> {
        found.events.iter().map(|kept| kept.seq).collect()
    }

    fn since(since_ms: u64, oldest_first: bool, limit: usize) -> Want {
        Want::new(HistoryRange {
            since_ms: Some(since_ms),
            oldest_first,
            limit,
            ..HistoryRange::default()
        })
        .expect("a range")
    }

    #[test]
    fn since_a_time_no_number_is_missing_where_clocks_differ() {
        // The node of the third and the last event is five seconds behind.
        let times = [90_000, 100_000, 96_000, 101_000, 102_000, 97_500];
        for oldest_first in [false, true] {
            let found = told(&times, &since(99_000, oldest_first, 100));
            assert_eq!(numbers(&found), [2, 3, 4, 5, 6], "{oldest_first}");
            assert!(found.complete);
            let none = told(&times, &since(103_000, oldest_first, 100));
            assert_eq!((numbers(&none), none.complete), (vec![], true));
        }
    }

    #[test]
    fn an_event_that_is_too_old_says_that_none_is_missing_behind_it() {
        let want = since(99_000, false, 100);
        for (oldest, complete) in [(98_000, true), (99_500, false)] {
            let mut gather = Gather::new(&want);
            gather.look(&kept(8, 100_000));
            gather.look(&kept(7, oldest));
            let found = gather.end(8, Some(7));
            assert_eq!(found.complete, complete, "{oldest}");
        }
    }

    #[test]
    fn the_last_events_are_missed_too() {
        for oldest_first in [false, true] {
            for (last, before, complete) in [(3, None, true), (5, None, false), (5, Some(4), true)]
            {
                let want = Want::new(HistoryRange {
                    before,
                    oldest_first,
                    ..HistoryRange::default()
                })
                .expect("a range");
                let mut gather = Gather::up_to(&want, last);
                let mut numbers = [1, 2, 3];
                if !oldest_first {
                    numbers.reverse();
                }
                for seq in numbers {
                    gather.look(&kept(seq, 1));
                }
                let found = gather.end(last, Some(1));
                let what = format!("{oldest_first}, {last}, {before:?}");
                assert_eq!(
                    (found.events.len(), found.complete),
                    (3, complete),
                    "{what}"
                );
            }
        }
    }

    #[test]
    fn pages_of_a_time_lose_nothing_between_them() {
        let times = [90_000, 100_000, 96_000, 101_000, 102_000, 97_500];
        let mut want = since(99_000, false, 2);
        let mut all = Vec::new();
        loop {
            let found = told(&times, &want);
            all.splice(0..0, numbers(&found));
            match found.next {
                Some(next) => want.before = next,
                None => break,
            }
        }
        assert_eq!(all, [2, 3, 4, 5, 6]);
    }
}
