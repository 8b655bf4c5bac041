//! Places in the log, which clients name, over the lives of a node.
//!
//! The store numbers entries 1, 2, 3, …; a place is such a number plus what the life that wrote it adds. Each life adds more
//! than the one before, by the clock: so a store that was put back to an earlier state doesn't give out places again that
//! clients have seen for something else, and a place that is of no life that the store knows of is recognised.

use lakh_broker::cluster::streams::StreamId;

/// Lives that are remembered. A node that was started more often within its recovery window has other worries.
const MAX_LIVES: usize = 256;

/// One life of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Life {
    /// Number of its first entry.
    first: u64,
    /// The place before that one.
    before: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lives {
    /// Oldest first.
    lives: Vec<Life>,
    /// Number of the newest entry.
    last: u64,
}

impl Lives {
    /// What an earlier life has written; nothing of it if it can't be read.
    pub(super) fn decode(bytes: &[u8]) -> Self {
        let lives: Vec<(u64, u64)> = serde_json::from_slice(bytes).unwrap_or_default();
        let life = |(first, before)| Life { first, before };
        Self {
            lives: lives.into_iter().map(life).collect(),
            last: 0,
        }
    }

    pub(super) fn encode(&self) -> String {
        let each = self.lives.iter();
        let each: Vec<(u64, u64)> = each.map(|life| (life.first, life.before)).collect();
        // Numbers only: this can't fail.
        serde_json::to_string(&each).unwrap_or_default()
    }

    /// A new life begins behind the entry `last`, at `now_ms` milliseconds since 1970.
    pub(super) fn begin(&mut self, last: u64, now_ms: u64) {
        // What is of entries that are not there any more was never written, as far as the store knows.
        self.lives.retain(|life| life.first <= last + 1);
        let behind = self
            .lives
            .last()
            .map(|life| life.before + (last + 1 - life.first) + 1);
        let now = StreamId { ms: now_ms, seq: 0 }.packed();
        let before = behind.unwrap_or(1).max(now.unwrap_or_default());
        self.lives.push(Life {
            first: last + 1,
            before,
        });
        let surplus = self.lives.len().saturating_sub(MAX_LIVES);
        self.lives.drain(..surplus);
        self.last = last;
    }

    /// The entry `last` is written.
    pub(super) fn reach(&mut self, last: u64) {
        self.last = last;
    }

    /// The place of the newest entry, or where this life began.
    pub(super) fn newest(&self) -> StreamId {
        match self.lives.last() {
            Some(life) => StreamId::unpack(life.before + (self.last + 1 - life.first)),
            None => StreamId::default(),
        }
    }

    /// The place where this life began: what tells it from all others.
    pub(super) fn origin(&self) -> u64 {
        self.lives.last().map_or(0, |life| life.before)
    }

    /// The place of an entry; of one older than all lives, the place before those.
    pub(super) fn place_of(&self, number: u64) -> StreamId {
        let after = self.lives.partition_point(|life| life.first <= number);
        let place = match after.checked_sub(1).map(|index| self.lives[index]) {
            Some(life) => life.before + (number + 1 - life.first),
            None => self.lives.first().map_or(0, |life| life.before),
        };
        StreamId::unpack(place)
    }

    /// The number of the entry at a place, or of the one before a life that begins there. `None`: nobody was ever given this
    /// place by the log as it is.
    pub(super) fn number_at(&self, place: StreamId) -> Option<u64> {
        let place = place.packed()?;
        let after = self.lives.partition_point(|life| life.before <= place);
        let life = self.lives[after.checked_sub(1)?];
        let end = self
            .lives
            .get(after)
            .map_or(self.last + 1, |next| next.first);
        let number = life.first - 1 + (place - life.before);
        (number < end).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_790_000_000_000;

    fn packed(id: StreamId) -> u64 {
        id.packed().unwrap_or_default()
    }

    #[test]
    fn places_rise_over_lives_and_lead_back_to_their_entries() {
        let mut lives = Lives::default();
        let mut last = 0;
        let mut before = 0;
        // The clock stands still, and goes back.
        for (entries, now_ms) in [(3, NOW), (0, NOW), (2, NOW), (0, NOW - 9), (4, NOW + 1)] {
            lives = Lives::decode(lives.encode().as_bytes());
            lives.begin(last, now_ms);
            assert!(lives.origin() > before);
            assert_eq!(
                lives.number_at(StreamId::unpack(lives.origin())),
                Some(last)
            );
            before = lives.origin();
            for _ in 0..entries {
                last += 1;
                lives.reach(last);
                let place = lives.place_of(last);
                assert!(packed(place) > before);
                before = packed(place);
                assert_eq!(lives.number_at(place), Some(last));
            }
            let next = StreamId::unpack(before + 1);
            assert_eq!(lives.number_at(next), None, "nobody was given it");
        }
        let places: Vec<u64> = (1..=last).map(|one| packed(lives.place_of(one))).collect();
        assert!(places.is_sorted(), "{places:?}");
        assert_eq!(lives.number_at(StreamId::default()), None);
    }

    #[test]
    fn a_store_that_was_put_back_gives_no_place_twice() {
        let mut lives = Lives::default();
        lives.begin(0, NOW);
        lives.reach(5);
        let backup = lives.encode();
        lives.reach(9);
        let seen = lives.place_of(9);
        let mut lives = Lives::decode(backup.as_bytes());
        lives.begin(5, NOW + 1_000);
        for last in 6..20 {
            lives.reach(last);
            assert_ne!(lives.place_of(last), seen);
            assert_eq!(lives.number_at(seen), None);
        }
        assert_eq!(lives.number_at(lives.place_of(5)), Some(5));
    }

    #[test]
    fn lives_are_bounded_and_what_is_older_is_before_them() {
        let mut lives = Lives::default();
        for life in 0..300 {
            lives.begin(life, NOW + life);
        }
        assert_eq!(lives.lives.len(), MAX_LIVES);
        assert_eq!(packed(lives.place_of(1)), lives.lives[0].before);
    }
}
