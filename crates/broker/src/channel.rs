//! One namespace's stream of broadcasts, as a node sees it.
//!
//! On a single node the channel makes the order itself. In a fleet the order is that of a stream in Redis: the channel
//! follows it, and its log is a copy of the stream's newest part, so that those who come back are served from memory.

use parking_lot::Mutex;

use crate::Room;
use crate::cluster::streams::StreamId;
use crate::log::{Entry, Log, LogLimits, LogStats, ReadError};

/// Where in a channel's order a broadcast stands. As text it's the offset that clients send back: `epoch.seq`, or the
/// place in the stream, `ms-seq`, as Node has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Tells one life of the log from the next: numbers of another epoch mean nothing here.
    pub epoch: u32,
    /// Number in the channel, from 1; 0 is the position before the first. In a stream, [`StreamId::packed`].
    pub seq: u64,
}

/// The epoch of all positions in a stream: its ids rise over all its lives.
const STREAM: u32 = u32::MAX;

impl Position {
    /// A place in the stream. `None` for one that Redis would not make by itself.
    #[must_use]
    pub fn in_stream(id: StreamId) -> Option<Self> {
        let seq = id.packed()?;
        Some(Self { epoch: STREAM, seq })
    }

    /// The place in the stream, if it is one.
    #[must_use]
    pub fn stream_id(self) -> Option<StreamId> {
        (self.epoch == STREAM).then(|| StreamId::unpack(self.seq))
    }

    /// Reads an offset that a client sent.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(id) = StreamId::parse(text) {
            return Self::in_stream(id);
        }
        let (epoch, seq) = text.split_once('.')?;
        Some(Self {
            epoch: u32::from_str_radix(epoch, 16).ok()?,
            seq: u64::from_str_radix(seq, 16).ok()?,
        })
    }

    /// The text form, without an allocation: it's written for every broadcast.
    #[must_use]
    pub fn text(self) -> PositionText {
        let mut text = PositionText {
            bytes: [0; MOST_TEXT],
            start: MOST_TEXT,
        };
        match self.stream_id() {
            Some(id) => {
                text.push_number::<10>(id.seq);
                text.push(b'-');
                text.push_number::<10>(id.ms);
            }
            None => {
                text.push_number::<16>(self.seq);
                text.push(b'.');
                text.push_number::<16>(self.epoch.into());
            }
        }
        text
    }
}

/// Hexadecimal digits of an epoch and a number, and the dot between. The decimal form is shorter.
const MOST_TEXT: usize = 8 + 1 + 16;

/// The text form of a [`Position`].
#[derive(Clone, Copy, Debug)]
pub struct PositionText {
    /// Filled from its end.
    bytes: [u8; MOST_TEXT],
    start: usize,
}

impl PositionText {
    fn push(&mut self, byte: u8) {
        self.start -= 1;
        self.bytes[self.start] = byte;
    }

    fn push_number<const BASE: u64>(&mut self, mut number: u64) {
        loop {
            self.push(b"0123456789abcdef"[(number % BASE) as usize]);
            number /= BASE;
            if number == 0 {
                return;
            }
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only digits and a dot are put in, so this can't fail.
        std::str::from_utf8(&self.bytes[self.start..]).unwrap_or_default()
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text().as_str())
    }
}

/// One namespace's stream of broadcasts and its log. `T` is the broadcast as the hub keeps it; cheap to clone.
#[derive(Debug)]
pub struct Channel<T> {
    epoch: u32,
    inner: Mutex<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    log: Log<T>,
    last: u64,
    /// Something was missed behind `last`, and nothing has come since: where the hole ends isn't known yet.
    lost: bool,
}

impl<T> Inner<T> {
    /// What was missed stood before this place, or at it.
    fn end_of_hole(&mut self, seq: u64) {
        if std::mem::take(&mut self.lost) {
            self.log.begin_at(seq);
        }
    }
}

impl<T: Clone> Channel<T> {
    /// A channel of a new epoch; the number must differ from that of earlier lives (random will do).
    #[must_use]
    pub fn new(epoch: u32, limits: LogLimits) -> Self {
        Self {
            epoch,
            inner: Mutex::new(Inner {
                log: Log::new(limits),
                last: 0,
                lost: false,
            }),
        }
    }

    /// A channel that follows a stream. Nothing of it is known yet.
    #[must_use]
    pub fn following(limits: LogLimits) -> Self {
        Self::new(STREAM, limits)
    }

    /// Whether the order is made elsewhere, and [`Channel::take`] tells it.
    #[must_use]
    pub fn follows(&self) -> bool {
        self.epoch == STREAM
    }

    /// What is at or before this number is not in the log, and never will be: a log that begins here, or one that has
    /// missed something.
    pub fn begin_at(&self, seq: u64) {
        let mut inner = self.inner.lock();
        inner.last = inner.last.max(seq);
        let last = inner.last;
        inner.log.begin_at(last);
    }

    /// Something was missed behind the last broadcast: whoever has seen that one may lack what came next.
    pub fn lose(&self) {
        let mut inner = self.inner.lock();
        if !self.follows() {
            // A number that nothing ever has.
            inner.last += 1;
            let last = inner.last;
            return inner.log.begin_at(last);
        }
        let last = inner.last;
        inner.log.begin_at(last + 1);
        inner.lost = true;
    }

    /// There was nothing for this channel up to here, but for what was lost.
    pub fn advance(&self, seq: u64) {
        let mut inner = self.inner.lock();
        if seq > inner.last {
            inner.end_of_hole(seq);
        }
        inner.last = inner.last.max(seq);
        let last = inner.last;
        inner.log.advance(last);
    }

    /// The position that the log reaches back to: what is behind it is complete.
    #[must_use]
    pub fn begins_at(&self) -> u64 {
        self.inner.lock().log.begins_at()
    }

    /// Gives a broadcast its position, logs it and hands it on.
    ///
    /// `make` builds the broadcast with its position in it, `rooms` tells what rooms it's for, and `deliver` puts it on
    /// its way. All run under the channel's lock and must not block: that lock is what makes the order of delivery the
    /// order of positions.
    pub fn publish<R>(
        &self,
        bytes: usize,
        now_ms: u64,
        make: impl FnOnce(Position) -> T,
        rooms: impl FnOnce(&T) -> &[Room],
        deliver: impl FnOnce(T) -> R,
    ) -> R {
        let mut inner = self.inner.lock();
        inner.last += 1;
        let position = self.at(inner.last);
        let item = make(position);
        inner
            .log
            .append(position.seq, rooms(&item), bytes, now_ms, item.clone());
        deliver(item)
    }

    /// Logs and hands on a broadcast whose position was given elsewhere. One that is not behind all others was here
    /// before, and is passed over.
    pub fn take<R>(
        &self,
        item: T,
        seq: u64,
        rooms: &[Room],
        (bytes, now_ms): (usize, u64),
        deliver: impl FnOnce(T) -> R,
    ) -> Option<R> {
        let mut inner = self.inner.lock();
        if seq <= inner.last {
            return None;
        }
        inner.end_of_hole(seq - 1);
        inner.last = seq;
        inner.log.append(seq, rooms, bytes, now_ms, item.clone());
        Some(deliver(item))
    }

    /// Hands on a broadcast that is not logged (a volatile one), between those that are. Its position is that of the
    /// last logged one: a client that saw it has been sent everything up to there.
    pub fn pass<R>(&self, deliver: impl FnOnce(Position) -> R) -> R {
        let inner = self.inner.lock();
        deliver(self.end(&inner))
    }

    fn end(&self, inner: &Inner<T>) -> Position {
        self.at(inner.last.max(inner.log.begins_at()))
    }

    /// The position of a number in this channel.
    #[must_use]
    pub fn at(&self, seq: u64) -> Position {
        Position {
            epoch: self.epoch,
            seq,
        }
    }

    /// The position of the last broadcast.
    #[must_use]
    pub fn position(&self) -> Position {
        self.end(&self.inner.lock())
    }

    /// The epoch of this life of the log.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// What went to everyone or to one of `rooms` after `from`, in order, and the position up to which that is complete.
    ///
    /// # Errors
    /// [`ReadError`] if the log no longer reaches back that far, or never was there.
    pub fn read<'a>(
        &self,
        from: Position,
        rooms: impl IntoIterator<Item = &'a str>,
    ) -> Result<(Vec<(u64, T)>, Position), ReadError> {
        if from.epoch != self.epoch {
            return Err(ReadError::Unknown { after: from.seq });
        }
        let inner = self.inner.lock();
        if inner.lost {
            return Err(ReadError::Trimmed { after: from.seq });
        }
        if self.follows() && from.seq > inner.last {
            // The reader comes from a node that is ahead of this one. What it has seen it will not be given again.
            return Ok((Vec::new(), from));
        }
        let found = inner.log.after(from.seq, rooms)?;
        let items = found
            .into_iter()
            .map(|Entry { seq, item, .. }| (*seq, item.clone()))
            .collect();
        Ok((items, self.at(inner.last)))
    }

    /// Drops what is past its age. To be called now and then, for a channel that has fallen silent.
    pub fn trim(&self, now_ms: u64) {
        self.inner.lock().log.trim(now_ms);
    }

    /// What the log holds.
    #[must_use]
    pub fn stats(&self, now_ms: u64) -> LogStats {
        self.inner.lock().log.stats(now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_survive_their_text_form() {
        for (epoch, seq) in [(0xdead_beef, 42), (0, 0), (7, u64::MAX), (0x10, 0xff)] {
            let position = Position { epoch, seq };
            assert_eq!(position.to_string(), format!("{epoch:x}.{seq:x}"));
            assert_eq!(Position::parse(&position.to_string()), Some(position));
        }
        for text in ["0-0", "1767225600000-0", "17592186044415-1048575"] {
            let position = Position::parse(text);
            assert_eq!(position.map(|at| at.to_string()).as_deref(), Some(text));
            let id = position.and_then(Position::stream_id);
            assert_eq!(id, StreamId::parse(text));
        }
        for bad in [
            "",
            ".",
            "1",
            "x.y",
            "1.",
            "123456789.1",
            "-1.1",
            "17592186044416-0",
        ] {
            assert_eq!(Position::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn delivery_happens_in_the_order_of_positions() {
        let channel = Channel::new(1, LogLimits::default());
        let seen = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let note = |seq| seen.lock().push(seq);
                        channel.publish(1, 0, |at| at.seq, |_| &[], note);
                    }
                });
            }
        });
        assert_eq!(*seen.lock(), (1..=2000).collect::<Vec<u64>>());
    }

    #[test]
    fn a_channel_that_follows_takes_each_entry_once_and_serves_those_who_are_ahead() {
        let channel = Channel::following(LogLimits::default());
        let at = |seq| Position { epoch: STREAM, seq };
        channel.begin_at(10);
        let take = |seq: u64| channel.take(seq, seq, &[], (1, 0), |item| item);
        assert_eq!(take(10), None);
        assert_eq!(take(12), Some(12));
        assert_eq!(take(12), None);
        assert_eq!(take(20), Some(20));
        assert_eq!(
            channel.read(at(10), []),
            Ok((vec![(12, 12), (20, 20)], at(20)))
        );
        assert_eq!(channel.read(at(15), []), Ok((vec![(20, 20)], at(20))));
        assert_eq!(channel.read(at(99), []), Ok((vec![], at(99))));
        assert_eq!(
            channel.read(at(9), []),
            Err(ReadError::Trimmed { after: 9 })
        );
        channel.begin_at(0);
        assert_eq!(
            channel.read(at(12), []),
            Err(ReadError::Trimmed { after: 12 })
        );
        assert_eq!(channel.read(at(20), []), Ok((vec![], at(20))));
    }

    #[test]
    fn whoever_stands_in_a_hole_or_before_it_is_refused() {
        let channel = Channel::following(LogLimits::default());
        let at = |seq| Position { epoch: STREAM, seq };
        let take = |seq: u64| channel.take(seq, seq, &[], (1, 0), |item| item);
        let refused = |seq| channel.read(at(seq), []) == Err(ReadError::Trimmed { after: seq });
        take(20);
        channel.lose();
        // Another node may have been in the hole, and ahead of this one; where it ends nobody knows yet.
        assert!(refused(19) && refused(20) && refused(25) && refused(40));
        take(30);
        assert!(refused(20) && refused(25) && refused(28));
        assert_eq!(channel.read(at(29), []), Ok((vec![(30, 30)], at(30))));
        assert_eq!(channel.read(at(40), []), Ok((vec![], at(40))));
        channel.lose();
        channel.advance(30);
        assert!(refused(30) && refused(35));
        channel.advance(50);
        assert!(refused(49));
        assert_eq!(channel.read(at(50), []), Ok((vec![], at(50))));
    }

    #[test]
    fn after_a_loss_those_before_it_are_refused_and_those_after_it_miss_nothing() {
        let channel = Channel::new(7, LogLimits::default());
        let say = || channel.publish(1, 0, |at| at.seq, |_| &[], |seq| seq);
        say();
        let before = channel.position();
        channel.lose();
        let after = channel.position();
        let said = say();
        assert!(channel.read(before, []).is_err());
        let read = channel.read(after, []).map(|(items, _)| items);
        assert_eq!(read, Ok(vec![(said, said)]));
    }

    #[test]
    fn an_offset_of_another_life_is_refused() {
        let channel: Channel<u64> = Channel::new(7, LogLimits::default());
        let foreign = Position { epoch: 8, seq: 0 };
        assert_eq!(
            channel.read(foreign, []).map(|_| ()),
            Err(ReadError::Unknown { after: 0 })
        );
    }
}
