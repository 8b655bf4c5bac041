//! A hub with one shard, driven as `lakh-net`'s event loop drives it, with memory in the place of sockets.
//!
//! What comes in is copied into one buffer (the kernel does that otherwise) and decoded there; what goes out is taken
//! from the outboxes of the dirty sessions, in the steps of the loop's flusher, and dropped.

use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lakh_hub::shard::{App, SessionKey};
use lakh_hub::{Clock, Handshake, Hub, Item, Millis, Outbox, Settings, Shard, Signals};
use lakh_wire::engine::{End, Side, Transport, Version};
use lakh_wire::{Encoded, control_frame, ws};

/// Time that moves only when it's told to. Clones show the same.
#[derive(Clone, Debug)]
pub struct Time(Arc<AtomicU64>);

impl Default for Time {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(1_000_000)))
    }
}

impl Time {
    /// Lets time pass.
    pub fn pass(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for Time {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::Relaxed))
    }

    fn wall_ms(&self) -> u64 {
        1_700_000_000_000 + self.0.load(Ordering::Relaxed)
    }
}

/// A server without sockets. There can be one a thread.
pub struct House {
    /// Its hub.
    pub hub: Hub,
    time: Time,
    shard: Rc<Shard>,
    dirty: Vec<SessionKey>,
    others: Vec<SessionKey>,
    batch: Vec<(Encoded, Version)>,
    scratch: Box<[u8]>,
}

impl std::fmt::Debug for House {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("House").field(&self.hub).finish()
    }
}

impl Default for House {
    fn default() -> Self {
        let time = Time::default();
        let hub = Hub::new(Settings::default(), time.clone());
        Self {
            shard: Shard::enter(&hub, 0),
            hub,
            time,
            dirty: Vec::new(),
            others: Vec::new(),
            batch: Vec::new(),
            scratch: vec![0; 64 * 1024].into(),
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        Shard::exit();
    }
}

/// Longer than every timer of a session, and than a session that is gone can be taken up again. Whole turns of the
/// shard's wheel of timers, so that what comes afterwards uses the same slots again: a slot that had entries once keeps
/// a small buffer.
pub const ALL_IS_OVER_MS: u64 = 10 * 4096 * 8;

/// A frame as a client sends it.
#[must_use]
pub fn client_frame(text: &str) -> Vec<u8> {
    ws::client::encode(ws::Opcode::Text, text.as_bytes(), [7, 77, 177, 207])
}

impl House {
    /// Opens a WebSocket session.
    pub fn open(&mut self) -> SessionKey {
        let handshake = Handshake {
            address: ([192, 0, 2, 7], 4711).into(),
            secure: false,
            time_ms: 1_700_000_000_123,
            query: "EIO=4&transport=websocket".into(),
            headers: Box::new([]),
        };
        let (app, version) = (App::SocketIo, Version::V4);
        let opened = self
            .shard
            .open(app, version, Transport::WebSocket, handshake);
        opened.key
    }

    /// Opens a session that connects to a namespace by this frame, and writes out what the server answers.
    ///
    /// # Panics
    /// If it isn't let in.
    pub fn join(&mut self, connect: &[u8]) -> SessionKey {
        let before = self.hub.stats().sockets;
        let key = self.open();
        self.flush();
        self.feed(key, connect);
        self.flush();
        assert_eq!(self.hub.stats().sockets, before + 1, "no such namespace?");
        key
    }

    /// Bytes of one frame come from a client.
    ///
    /// # Panics
    /// If they are no frame.
    pub fn feed(&mut self, key: SessionKey, frame: &[u8]) {
        let read = &mut self.scratch[..frame.len()];
        read.copy_from_slice(frame);
        let mut decoder = ws::Decoder::new(1 << 20, false);
        match decoder.decode(read) {
            Ok((_, Some(ws::Event::Text(text)))) => self.shard.text(key, Side::Main, text),
            Ok((_, Some(ws::Event::Binary(data)))) => self.shard.binary(key, Side::Main, data),
            other => panic!("not a frame with a message: {other:?}"),
        }
    }

    /// Writes out the outboxes of the sessions that turned dirty, as a loop's batch does. Gives the number of frames.
    pub fn flush(&mut self) -> usize {
        self.shard.take_dirty(&mut self.dirty, usize::MAX);
        let mut frames = 0;
        let mut outboxes = self.shard.outboxes();
        for key in self.dirty.drain(..) {
            let Some((outbox, version)) = outboxes.get(key) else {
                continue;
            };
            if outbox.signals != Signals::default() {
                self.others.push(key);
            } else if let Some(packet) = outbox.take_single() {
                self.batch.push((packet, version));
            } else {
                frames += write(outbox, version);
                outboxes.give_back(key);
            }
        }
        drop(outboxes);
        frames += self.batch.len();
        for (packet, version) in self.batch.drain(..) {
            black_box(&packet.ws(version)[..]);
        }
        let mut others = std::mem::take(&mut self.others);
        frames += others.iter().map(|key| self.flush_one(*key)).sum::<usize>();
        others.clear();
        self.others = others;
        frames
    }

    fn flush_one(&self, key: SessionKey) -> usize {
        let taken = self
            .shard
            .with_outbox(key, |outbox, _| std::mem::take(&mut outbox.signals));
        let Some(signals) = taken else {
            return 0;
        };
        let frames = self.shard.with_outbox(key, write).unwrap_or(0);
        if signals.closed.is_some() {
            self.shard.release(key);
        }
        frames
    }

    /// A connection breaks.
    pub fn cut(&mut self, key: SessionKey) {
        self.shard.end(key, Side::Main, End::Closed);
    }

    /// Lets time pass, and does what falls due.
    pub fn pass(&mut self, ms: u64) {
        self.time.pass(ms);
        self.shard.advance();
        self.hub.trim_logs();
    }
}

/// What a connection's flush does, with a kernel that takes everything.
fn write(outbox: &mut Outbox, version: Version) -> usize {
    let open = match outbox.iter().next() {
        Some(Item::Open(text)) => ws::text_frame(text),
        _ => Vec::new(),
    };
    let frame_of = |item: &Item| match item {
        Item::Packet(packet) => black_box(&packet.ws(version)[..]).len(),
        Item::Control(control) => black_box(control_frame(*control, version)).len(),
        Item::Open(_) => black_box(&open[..]).len(),
    };
    let frames = outbox.len();
    black_box(outbox.iter().map(frame_of).sum::<usize>());
    outbox.written_all();
    frames
}
