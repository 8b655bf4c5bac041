//! What waits to be written to one connection.
//!
//! An idle connection's outbox holds no heap memory: the first item lies inline, further ones in a queue that comes
//! from the shard's pool and goes back to it, so that a connection under load allocates nothing a message. The outbox
//! is bounded in bytes; the shard applies the policy for slow readers when it's full.

use std::collections::VecDeque;
use std::num::{NonZeroU16, NonZeroU64};

use lakh_wire::engine::Control;
use lakh_wire::{CloseReason, Encoded};

/// One thing to write.
#[derive(Clone, Debug)]
pub enum Item {
    /// A Socket.IO packet, or a message of a bare Engine.IO session.
    Packet(Encoded),
    /// A packet of the engine itself, for the main transport.
    Control(Control),
    /// The engine's first packet, with the session's id.
    Open(Box<str>),
}

/// What the transport must do besides writing. Each is raised once and taken once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// The WebSocket has become the main transport.
    pub upgraded: bool,
    /// The probing WebSocket is to be closed.
    pub close_probe: bool,
    /// A `pong` with the data `probe` goes out on the probing WebSocket.
    pub pong_probe: bool,
    /// A noop answers the pending poll, if there is one and nothing else to answer it with.
    pub answer_poll: bool,
    /// The session is over, and why: write what is left, close the transport, then `Shard::release`.
    pub closed: Option<CloseReason>,
    /// The connection may be read again.
    pub resume: bool,
    /// The kernel is to take no more than 2 to this power bytes beyond what is on its way; 0: nothing was said.
    pub unsent_bits: u8,
}

/// A queue that the shard lends to outboxes.
pub(crate) type Spare = Box<Waiting>;

/// What waits behind the first item.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    items: VecDeque<Item>,
    /// The key of each item, 0 for none. Empty, as long as no item had one.
    keys: VecDeque<u64>,
}

impl Waiting {
    fn push_back(&mut self, item: Item) {
        self.items.push_back(item);
        if !self.keys.is_empty() {
            self.keys.push_back(0);
        }
    }

    fn push_front(&mut self, item: Item) {
        self.items.push_front(item);
        if !self.keys.is_empty() {
            self.keys.push_front(0);
        }
    }

    fn push_keyed(&mut self, item: Item, key: NonZeroU64) {
        self.keys.resize(self.items.len(), 0);
        self.keys.push_back(key.get());
        self.items.push_back(item);
    }

    fn pop_front(&mut self) -> Option<Item> {
        self.keys.pop_front();
        self.items.pop_front()
    }

    /// Takes out what has this key. The newest are looked at first: what is told often stands there.
    fn take(&mut self, key: NonZeroU64) -> Option<Item> {
        let at = self.keys.iter().rposition(|other| *other == key.get())?;
        self.keys.remove(at);
        self.items.remove(at)
    }

    fn clear(&mut self) {
        self.items.clear();
        self.keys.clear();
    }
}

/// What waits for one connection.
#[derive(Debug, Default)]
pub struct Outbox {
    first: Option<Item>,
    rest: Option<Spare>,
    /// Bytes of the first item that are written already. Packets are bounded far below 4 GiB.
    written: u32,
    bytes: usize,
    /// The kernel took less than was offered; it will say when it takes more.
    pub blocked: bool,
    /// A long poll waits for an answer.
    pub poll_pending: bool,
    /// What to do besides writing.
    pub signals: Signals,
    /// When it was last written together with many others, on the clock of whoever writes, which begins anew now and then.
    pub crowd: Option<NonZeroU16>,
}

impl Outbox {
    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Bytes that wait, as they will lie on the WebSocket.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of the first item that were written by an earlier call.
    #[must_use]
    pub fn written(&self) -> usize {
        self.written as usize
    }

    /// What waits, first to last.
    pub fn iter(&self) -> impl Iterator<Item = &Item> {
        self.first
            .iter()
            .chain(self.rest.iter().flat_map(|rest| rest.items.iter()))
    }

    /// Items that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.as_ref().map_or(0, |rest| rest.items.len())
    }

    pub(crate) fn push(&mut self, item: Item, pool: &mut Vec<Spare>) {
        self.bytes += weight(&item);
        if self.first.is_none() {
            self.first = Some(item);
            return;
        }
        self.rest
            .get_or_insert_with(|| pool.pop().unwrap_or_default())
            .push_back(item);
    }

    /// The same for what has a key, by which newer news of the same takes its place while it waits.
    #[cold]
    #[inline(never)]
    pub(crate) fn push_keyed(&mut self, item: Item, key: NonZeroU64, pool: &mut Vec<Spare>) {
        if self.first.is_none() {
            // It may be half written before the next one comes, so it is never replaced.
            return self.push(item, pool);
        }
        self.bytes += weight(&item);
        self.rest
            .get_or_insert_with(|| pool.pop().unwrap_or_default())
            .push_keyed(item, key);
    }

    /// Takes out what waits under a key, unless it's the first. `false`: nothing does.
    #[cold]
    #[inline(never)]
    pub(crate) fn supersede(&mut self, key: NonZeroU64) -> bool {
        let old = self.rest.as_mut().and_then(|rest| rest.take(key));
        self.bytes = self.bytes.saturating_sub(old.as_ref().map_or(0, weight));
        old.is_some()
    }

    /// Takes the first item out.
    pub fn pop(&mut self) -> Option<Item> {
        let item = self.first.take()?;
        self.bytes = self.bytes.saturating_sub(weight(&item));
        self.written = 0;
        self.first = self.rest.as_mut().and_then(|rest| rest.pop_front());
        Some(item)
    }

    /// Takes out what waits if that is one packet, whole: the usual case, and the writer then owns what it writes.
    pub fn take_single(&mut self) -> Option<Encoded> {
        let alone =
            self.written == 0 && self.rest.as_ref().is_none_or(|rest| rest.items.is_empty());
        match self.first.take() {
            Some(Item::Packet(packet)) if alone => {
                self.bytes = 0;
                Some(packet)
            }
            other => {
                self.first = other;
                None
            }
        }
    }

    /// Puts back in front what [`Outbox::take_single`] gave and was written in part only.
    pub fn put_back(&mut self, packet: Encoded, written: usize) {
        let item = Item::Packet(packet);
        self.bytes += weight(&item);
        self.written = written as u32;
        if let Some(next) = self.first.replace(item) {
            self.rest.get_or_insert_default().push_front(next);
        }
    }

    /// All that waits was written.
    pub fn written_all(&mut self) {
        self.first = None;
        // The queue itself stays, for the pool.
        if let Some(rest) = &mut self.rest {
            rest.clear();
        }
        self.bytes = 0;
        self.written = 0;
    }

    /// Takes `count` written bytes off the front; `len_of` tells how long an item is in this transport's form.
    pub fn advance(&mut self, mut count: usize, mut len_of: impl FnMut(&Item) -> usize) {
        while let Some(item) = &self.first {
            let left = len_of(item) - self.written();
            if count < left {
                self.written += count as u32;
                return;
            }
            count -= left;
            self.pop();
        }
    }

    /// Gives the queue back to the pool if it's empty.
    pub(crate) fn give_back(&mut self, pool: &mut Vec<Spare>) {
        /// More than this many spare queues, or queues larger than this, are freed instead.
        const SPARES: usize = 1024;
        const SPARE_ITEMS: usize = 256;
        if self.rest.as_ref().is_some_and(|rest| rest.items.is_empty())
            && let Some(rest) = self.rest.take()
            && pool.len() < SPARES
            && rest.items.capacity().max(rest.keys.capacity()) <= SPARE_ITEMS
        {
            pool.push(rest);
        }
    }

    /// For an outbox that is used no more.
    pub(crate) fn clear(&mut self) {
        self.written_all();
        self.rest = None;
    }
}

fn weight(item: &Item) -> usize {
    match item {
        Item::Packet(packet) => packet.len(),
        // As much as the item itself takes here: there may be many.
        Item::Control(_) => size_of::<Item>(),
        Item::Open(text) => text.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(text: &str) -> Item {
        Item::Packet(Encoded::text(&[text.as_bytes()], false))
    }

    fn len_of(item: &Item) -> usize {
        weight(item)
    }

    #[test]
    fn partial_writes_leave_the_rest_in_place() {
        let (mut outbox, mut pool) = (Outbox::default(), Vec::new());
        for text in ["one", "two", "three"] {
            outbox.push(packet(text), &mut pool);
        }
        let all = outbox.bytes();
        outbox.advance(8, len_of);
        assert_eq!((outbox.len(), outbox.written()), (2, 2));
        outbox.advance(all - 8, len_of);
        assert_eq!((outbox.len(), outbox.bytes(), outbox.written()), (0, 0, 0));
    }

    #[test]
    fn a_single_packet_is_taken_whole_and_put_back_in_part() {
        let (mut outbox, mut pool) = (Outbox::default(), Vec::new());
        outbox.push(packet("one"), &mut pool);
        let weight = outbox.bytes();
        let taken = outbox.take_single();
        assert_eq!((outbox.len(), outbox.bytes()), (0, 0));
        if let Some(taken) = taken {
            outbox.put_back(taken, 2);
        }
        assert_eq!(
            (outbox.len(), outbox.bytes(), outbox.written()),
            (1, weight, 2)
        );
        assert!(outbox.take_single().is_none(), "half of it is gone already");
        outbox.push(packet("two"), &mut pool);
        outbox.written_all();
        assert_eq!((outbox.len(), outbox.bytes(), outbox.written()), (0, 0, 0));
        outbox.push(packet("three"), &mut pool);
        outbox.push(packet("four"), &mut pool);
        assert!(outbox.take_single().is_none(), "there are two");
    }

    fn texts(outbox: &Outbox) -> Vec<String> {
        let text = |item: &Item| match item {
            Item::Packet(packet) => {
                String::from_utf8_lossy(packet.ws(lakh_wire::engine::Version::V4)).into_owned()
            }
            other => format!("{other:?}"),
        };
        // Without the frame's head and the engine's type.
        let last = |text: String| text.split_at(text.len() - 2).1.to_owned();
        outbox.iter().map(|item| last(text(item))).collect()
    }

    #[test]
    fn newer_news_takes_the_place_of_what_waits_under_its_key() {
        let (mut outbox, mut pool) = (Outbox::default(), Vec::new());
        let (a, b) = (NonZeroU64::MIN, NonZeroU64::MAX);
        let mut put = |outbox: &mut Outbox, text: &str, key: NonZeroU64| {
            let superseded = outbox.supersede(key);
            outbox.push_keyed(packet(text), key, &mut pool);
            superseded
        };
        assert!(!put(&mut outbox, "a1", a), "nothing waits");
        assert!(!put(&mut outbox, "a2", a), "the first may be on its way");
        assert!(!put(&mut outbox, "b1", b));
        assert!(put(&mut outbox, "a3", a));
        assert!(put(&mut outbox, "b2", b));
        assert_eq!(texts(&outbox), ["a1", "a3", "b2"]);
        let three = 3 * weight(&packet("xx"));
        assert_eq!(outbox.bytes(), three);
        outbox.push(packet("x1"), &mut Vec::new());
        assert!(put(&mut outbox, "a4", a));
        assert_eq!(texts(&outbox), ["a1", "b2", "x1", "a4"]);
        // Keys go along when the front moves.
        outbox.advance(weight(&packet("xx")) + 1, len_of);
        assert_eq!(texts(&outbox), ["b2", "x1", "a4"]);
        assert!(!put(&mut outbox, "b3", b), "half of b2 is gone already");
        assert!(put(&mut outbox, "a5", a));
        assert_eq!(texts(&outbox), ["b2", "x1", "b3", "a5"]);
        outbox.written_all();
        assert_eq!((outbox.len(), outbox.bytes()), (0, 0));
    }

    #[test]
    fn what_waits_under_keys_is_as_much_as_there_are_keys() {
        let (mut outbox, mut pool) = (Outbox::default(), Vec::new());
        for round in 0..1_000_u64 {
            for key in 1..=10 {
                let key = NonZeroU64::MIN.saturating_add(key);
                outbox.supersede(key);
                outbox.push_keyed(packet(&format!("{round:04}")), key, &mut pool);
            }
        }
        assert_eq!(outbox.len(), 11);
        let mut left = outbox.bytes();
        while let Some(item) = outbox.pop() {
            left -= weight(&item);
        }
        assert_eq!((left, outbox.bytes()), (0, 0));
    }

    #[test]
    fn an_empty_queue_goes_back_to_the_pool_and_is_used_again() {
        let (mut outbox, mut pool) = (Outbox::default(), Vec::new());
        for _ in 0..3 {
            outbox.push(packet("x"), &mut pool);
        }
        while outbox.pop().is_some() {}
        outbox.give_back(&mut pool);
        assert_eq!(pool.len(), 1);
        outbox.push(packet("x"), &mut pool);
        outbox.push(packet("x"), &mut pool);
        assert_eq!(pool.len(), 0);
    }
}
