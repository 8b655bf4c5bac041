//! All connections of the generator, on one epoll loop.
//!
//! [`Swarm::turn`] waits, reads what came and hands each message to a [`Sink`]; what is queued meanwhile goes out at
//! the end of the turn, each connection with one call. Epoll is edge-triggered with one registration a connection, and
//! a read that returns less than was asked for ends the reading: two system calls less for each message that comes alone.
//! All connections read into one buffer; only half a frame is kept aside.

mod conn;
mod connect;
mod polling;

use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::io::Errno;
use std::os::fd::OwnedFd;

use crate::address::Address;
use crate::clock::{Clock, Timer};
use crate::dialect::Words;
use crate::error::LoadError;
use crate::frame;
use crate::histogram::Histogram;
use crate::options::Target;
pub(crate) use conn::{Conn, State};
pub(crate) use connect::Pace;

/// Events taken from the kernel at once.
const EVENTS: usize = 1024;
/// What connections read into; small enough to stay in the cache.
const BUFFER_BYTES: usize = 128 * 1024;
/// The event of the timer.
const TIMER: u64 = u64::MAX;
/// Bytes that may wait for one connection before publishing on it is refused.
const QUEUE_BYTES: usize = 256 << 20;

/// Hears what arrives. It can't send from here; scenarios send between turns.
pub(crate) trait Sink {
    /// A Socket.IO packet for a connection that is through its handshake.
    fn message(&mut self, conn: u32, text: &[u8], now_ns: u64);

    /// A binary message: what a packet before it announced.
    fn binary(&mut self, _conn: u32, _bytes: &[u8], _now_ns: u64) {}
}

/// For phases in which nothing but the swarm's own business should arrive.
#[derive(Debug, Default)]
pub(crate) struct Ignore;

impl Sink for Ignore {
    fn message(&mut self, _: u32, _: &[u8], _: u64) {}
}

/// What happened to the connections so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Through the handshake, CONNECT answered.
    pub connected: usize,
    /// Through joining their rooms.
    pub joined: usize,
    /// Didn't get through, and what the first one met.
    pub failed: usize,
    pub first_failure: Option<String>,
    /// Closed by the server or lost, after they were connected.
    pub closed: usize,
    pub pings: u64,
    /// Bytes that came on all connections.
    pub bytes_read: u64,
    /// Publishing refused because too much waits already.
    pub refused: u64,
}

/// All connections of the generator.
pub(crate) struct Swarm {
    pub clock: Clock,
    pub words: Words,
    pub counts: Counts,
    /// From the first packet to CONNECT answered.
    pub connect_us: Histogram,
    pub conns: Vec<Conn>,
    /// Join the rooms as soon as the server has answered CONNECT.
    pub join_at_once: bool,
    /// Each connection comes under a name of its own, instead of all with the same sign-in.
    pub named: bool,
    /// Those that have done so since this was last looked at.
    pub arrived: Vec<u32>,
    /// Connect by long polling. A client sends only in answer to what it got then, so rooms are to be joined at once.
    pub by_polling: bool,
    /// For a server that doesn't speak Socket.IO: where each connection's WebSocket is. It's ready as soon as that is open.
    pub paths: Vec<String>,
    /// The target's nodes, and what opens a WebSocket there.
    nodes: Vec<(Address, Vec<u8>)>,
    patience_ns: u64,
    in_flight: usize,
    epoll: OwnedFd,
    timer: Timer,
    events: Vec<epoll::Event>,
    buffer: Vec<u8>,
    dirty: Vec<u32>,
}

impl Swarm {
    /// With room for `capacity` connections, none of them open.
    pub(crate) fn new(target: &Target, capacity: usize) -> Result<Self, LoadError> {
        crate::limits::allow_descriptors(capacity)?;
        let addresses = Address::all(target, capacity)?;
        let with_request = |address: Address| {
            let request = address.upgrade();
            (address, request)
        };
        let nodes: Vec<_> = addresses.into_iter().map(with_request).collect();
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(LoadError::system("making an epoll"))?;
        let timer = Timer::new()?;
        epoll::add(
            &epoll,
            &timer.fd,
            epoll::EventData::new_u64(TIMER),
            epoll::EventFlags::IN,
        )
        .map_err(LoadError::system("waiting for the timer"))?;
        Ok(Self {
            clock: Clock::start(),
            words: Words::new(target),
            counts: Counts::default(),
            connect_us: Histogram::default(),
            conns: (0..capacity)
                .map(|index| Conn {
                    node: index % nodes.len(),
                    ..Conn::default()
                })
                .collect(),
            join_at_once: false,
            named: false,
            arrived: Vec::new(),
            by_polling: false,
            paths: Vec::new(),
            nodes,
            patience_ns: target.patience * 1_000_000_000,
            in_flight: 0,
            epoll,
            timer,
            events: Vec::with_capacity(EVENTS),
            buffer: vec![0; BUFFER_BYTES],
            dirty: Vec::new(),
        })
    }

    /// How many nodes the server has.
    pub(crate) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Where this connection goes.
    fn address(&self, index: u32) -> &Address {
        &self.nodes[self.conns[index as usize].node].0
    }

    /// Sends what is queued, waits until something arrives or `until_ns` is there, and reads what arrived.
    pub(crate) fn turn(&mut self, until_ns: u64, sink: &mut impl Sink) -> Result<(), LoadError> {
        self.flush();
        let left = until_ns.saturating_sub(self.clock.now_ns());
        let poll = Timespec0::default();
        let timeout = if left == 0 {
            Some(&poll.0)
        } else {
            self.timer.arm(Duration::from_nanos(left))?;
            None
        };
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(LoadError::system("waiting for events")(error)),
        }
        let events = std::mem::take(&mut self.events);
        for event in &events {
            match event.data.u64() {
                TIMER => self.timer.clear(),
                conn => self.event(conn as u32, event.flags, sink),
            }
        }
        self.events = events;
        self.flush();
        Ok(())
    }

    /// Turns until `done`, or until nothing has moved for the target's patience: `false`. `progress` is what has to move.
    pub(crate) fn turn_until<S: Sink>(
        &mut self,
        sink: &mut S,
        mut done: impl FnMut(&Self, &S) -> bool,
        mut progress: impl FnMut(&Self, &S) -> u64,
    ) -> Result<bool, LoadError> {
        let mut last = progress(self, sink);
        let mut moved_ns = self.clock.now_ns();
        while !done(self, sink) {
            let now = self.clock.now_ns();
            let current = progress(self, sink);
            if current != last {
                (last, moved_ns) = (current, now);
            } else if now - moved_ns > self.patience_ns {
                return Ok(false);
            }
            self.turn(now + 20_000_000, sink)?;
        }
        Ok(true)
    }

    fn event(&mut self, index: u32, flags: epoll::EventFlags, sink: &mut impl Sink) {
        use epoll::EventFlags as F;
        let over = flags.intersects(F::ERR | F::HUP | F::RDHUP);
        let state = self.conns[index as usize].state;
        match state {
            State::None => return,
            State::Connecting if !self.established(index) => return,
            _ => {}
        }
        if flags.contains(F::OUT) {
            let conn = &mut self.conns[index as usize];
            conn.blocked = false;
            if !conn.out.is_empty() && !conn.dirty {
                conn.dirty = true;
                self.dirty.push(index);
            }
        }
        if (over || flags.contains(F::IN)) && !self.conns[index as usize].paused {
            self.read(index, over, sink);
        }
    }

    /// Reads until there is no more.
    fn read(&mut self, index: u32, over: bool, sink: &mut impl Sink) {
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            let conn = &mut self.conns[index as usize];
            let Some(fd) = &conn.fd else { break };
            let kept = conn.partial.len();
            if buffer.len() < 2 * kept {
                buffer.resize(2 * kept, 0);
            }
            buffer[..kept].copy_from_slice(&conn.partial);
            let space = buffer.len() - kept;
            match rustix::io::read(fd, &mut buffer[kept..]) {
                Ok(0) => {
                    self.lost(index, "the server closed the connection");
                    break;
                }
                Ok(read) => {
                    self.counts.bytes_read += read as u64;
                    let end = kept + read;
                    let used = self.feed(index, &buffer[..end], sink);
                    let conn = &mut self.conns[index as usize];
                    conn.partial.clear();
                    conn.partial.extend_from_slice(&buffer[used..end]);
                    if conn.partial.is_empty() && kept > 4096 {
                        conn.partial = Vec::new();
                    }
                    // The end of the stream was told in this same event, and won't be again.
                    if read < space && !over {
                        break;
                    }
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => {
                    self.lost(index, &std::io::Error::from(error).to_string());
                    break;
                }
            }
        }
        self.buffer = buffer;
    }

    /// Takes the frames out of what was read; says how much of it was whole.
    fn feed(&mut self, index: u32, bytes: &[u8], sink: &mut impl Sink) -> usize {
        let mut at = 0;
        if self.conns[index as usize].polling.is_some() {
            return self.feed_polling(index, bytes, sink);
        }
        if self.conns[index as usize].state == State::Upgrading {
            match self.upgraded(index, bytes) {
                Some(used) => at = used,
                None => return 0,
            }
        }
        let now = self.clock.now_ns();
        while let Some(found) = frame::scan(&bytes[at..]) {
            let payload = &bytes[at + found.start..at + found.end];
            at += found.end;
            match found.opcode {
                frame::TEXT => self.packet(index, payload, sink, now),
                frame::BINARY if self.conns[index as usize].state == State::Ready => {
                    sink.binary(index, payload, now);
                }
                frame::PING => self.queue(index, |out| {
                    frame::append_payload(out, frame::PONG, payload);
                }),
                frame::CLOSE => self.lost(index, "the server sent a close frame"),
                _ => {}
            }
            if self.conns[index as usize].fd.is_none() {
                return bytes.len();
            }
        }
        at
    }

    /// One packet of Engine.IO, however it came.
    #[inline]
    fn packet(&mut self, index: u32, text: &[u8], sink: &mut impl Sink, now: u64) {
        if self.conns[index as usize].state != State::Ready {
            self.greeted(index, text, sink, now);
        } else if text == b"2" {
            self.pong(index);
        } else {
            sink.message(index, text, now);
        }
    }

    pub(super) fn pong(&mut self, index: u32) {
        self.counts.pings += 1;
        self.say(index, b"3");
    }

    /// Queues a packet of Engine.IO.
    pub(crate) fn say(&mut self, index: u32, text: &[u8]) {
        match &mut self.conns[index as usize].polling {
            Some(polling) => polling.say(text),
            None => self.queue(index, |out| {
                frame::append_payload(out, frame::TEXT, text);
            }),
        }
    }

    /// Says farewell and leaves it to the server to close; what comes of that is nobody's failure.
    pub(crate) fn leave(&mut self, index: u32) {
        let disconnect = std::mem::take(&mut self.words.disconnect);
        self.say(index, &disconnect);
        self.words.disconnect = disconnect;
        self.queue(index, |out| {
            // 1000, a normal closure.
            frame::append_payload(out, frame::CLOSE, &1000u16.to_be_bytes());
        });
        self.conns[index as usize].state = State::Leaving;
    }

    /// Closes without a word, as networks do. Says whether it was still open.
    pub(crate) fn drop_one(&mut self, index: u32) -> bool {
        let conn = &mut self.conns[index as usize];
        let was_open = conn.fd.take().is_some();
        conn.out = Vec::new();
        conn.partial = Vec::new();
        match std::mem::take(&mut conn.state) {
            State::None | State::Ready | State::Leaving => {}
            state => {
                self.in_flight -= 1;
                self.counts.failed += 1;
                let first = || format!("no answer while {state:?}");
                self.counts.first_failure.get_or_insert_with(first);
            }
        }
        was_open
    }

    /// Queues frames that `fill` appends; they go out with the next turn.
    pub(crate) fn queue(&mut self, index: u32, fill: impl FnOnce(&mut Vec<u8>)) {
        let conn = &mut self.conns[index as usize];
        if conn.fd.is_none() || conn.out.len() > QUEUE_BYTES {
            self.counts.refused += 1;
            return;
        }
        fill(&mut conn.out);
        if !conn.dirty && !conn.blocked {
            conn.dirty = true;
            self.dirty.push(index);
        }
    }

    /// Writes out what is queued.
    pub(crate) fn flush(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for index in dirty.drain(..) {
            let conn = &mut self.conns[index as usize];
            conn.dirty = false;
            if let Err(error) = conn.flush() {
                self.lost(index, &std::io::Error::from(error).to_string());
            }
        }
        self.dirty = dirty;
    }

    /// Stops reading a connection. Its kernel's buffer shrinks to the least, so that the server soon feels it.
    pub(crate) fn pause(&mut self, index: u32) {
        let conn = &mut self.conns[index as usize];
        conn.paused = true;
        if let Some(fd) = &conn.fd {
            // Refused, it takes longer until the server feels it.
            let _ = rustix::net::sockopt::set_socket_recv_buffer_size(fd, 4096);
        }
    }

    /// Reads on.
    pub(crate) fn resume(&mut self, index: u32, sink: &mut impl Sink) {
        self.conns[index as usize].paused = false;
        // What came meanwhile raised its edge already.
        self.read(index, true, sink);
    }
}

/// A time-out of zero: look, and don't wait.
struct Timespec0(rustix::event::Timespec);

impl Default for Timespec0 {
    fn default() -> Self {
        Self(rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        })
    }
}
