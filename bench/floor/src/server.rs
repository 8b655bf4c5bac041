//! The loop: accept, read, answer, write.
//!
//! Epoll is edge-triggered, one registration a connection. Past a bound on waiting bytes, nobody is read until half of it
//! has gone: without that, an overload would end in the machine's memory instead of in a figure.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::codec::{self, Request};
use crate::conn::Conn;
use crate::hello;
use crate::uring::Ring;
use crate::{Form, Options};

const LISTENER: u64 = u64::MAX;
const BACKLOG: i32 = 4096;
/// Bytes that may wait in all queues together before nobody is read.
const MOST_WAITING: usize = 256 << 20;

#[derive(Default)]
struct Room {
    members: Vec<u32>,
}

struct Ticks {
    every: Duration,
    next: Instant,
    number: u32,
    bytes: usize,
    receivers: Vec<(u32, u32)>,
}

struct Server {
    form: Form,
    ping: Duration,
    epoll: OwnedFd,
    listener: OwnedFd,
    ring: Option<Ring>,
    conns: Vec<Option<Conn>>,
    free: Vec<u32>,
    /// Closed in this turn; their places are free from the next one on, so that `dirty` names nobody else.
    closed: Vec<u32>,
    generation: u32,
    names: HashMap<Box<[u8]>, u32>,
    rooms: Vec<Room>,
    dirty: Vec<u32>,
    /// Connections that aren't read while too much waits.
    held: Vec<(u32, u32)>,
    waiting: usize,
    pings: VecDeque<(Instant, u32, u32)>,
    ticks: Option<Ticks>,
    buffer: Vec<u8>,
}

/// Runs until it is killed.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    raise_descriptors();
    let listener = net::socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
        None,
    )?;
    sockopt::set_socket_reuseaddr(&listener, true)?;
    net::bind(&listener, &options.listen)?;
    net::listen(&listener, BACKLOG)?;
    // Port 0 is any that is free; whoever started this learns here which one it is.
    if let Ok(address) = SocketAddr::try_from(net::getsockname(&listener)?) {
        println!("listening on {address}");
    }
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let data = epoll::EventData::new_u64(LISTENER);
    epoll::add(&epoll, &listener, data, epoll::EventFlags::IN)?;
    let ring =
        match options.form {
            Form::Uring => Some(Ring::new().map_err(|error| {
                io::Error::other(format!("this kernel refuses io_uring: {error}"))
            })?),
            _ => None,
        };
    let mut server = Server {
        form: options.form,
        ping: Duration::from_millis(options.ping_ms),
        epoll,
        listener,
        ring,
        conns: Vec::new(),
        free: Vec::new(),
        closed: Vec::new(),
        generation: 0,
        names: HashMap::new(),
        rooms: Vec::new(),
        dirty: Vec::new(),
        held: Vec::new(),
        waiting: 0,
        pings: VecDeque::new(),
        ticks: None,
        buffer: vec![0; 64 * 1024],
    };
    server.serve()
}

/// As many descriptors as the system lets us have: as root there may be more than the hard limit.
fn raise_descriptors() {
    let most = getrlimit(Resource::Nofile).maximum;
    let ask = |limit| Rlimit {
        current: limit,
        maximum: limit,
    };
    let _ = setrlimit(Resource::Nofile, ask(Some(1 << 20)))
        .or_else(|_| setrlimit(Resource::Nofile, ask(most)));
}

impl Server {
    fn serve(&mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(1024);
        loop {
            let timeout = self.timeout();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    key => self.event(key as u32, (key >> 32) as u32, event.flags),
                }
            }
            self.due();
            self.flush()?;
            self.release();
        }
    }

    /// Until the next ping or tick; whole milliseconds, as `epoll_wait` has them.
    fn timeout(&self) -> Option<Timespec> {
        let ping = self.pings.front().map(|(at, ..)| *at);
        let tick = self.ticks.as_ref().map(|ticks| ticks.next);
        let next = ping.into_iter().chain(tick).min()?;
        let left = next.saturating_duration_since(Instant::now());
        Some(Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        })
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let fd = match net::accept_with(&self.listener, flags) {
                Ok(fd) => fd,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(error) => return Err(error.into()),
            };
            sockopt::set_tcp_nodelay(&fd, true)?;
            let slot = self.free.pop().unwrap_or_else(|| {
                self.conns.push(None);
                self.conns.len() as u32 - 1
            });
            self.generation = self.generation.wrapping_add(1);
            use epoll::EventFlags as F;
            let data = u64::from(self.generation) << 32 | u64::from(slot);
            let flags = F::IN | F::OUT | F::RDHUP | F::ET;
            epoll::add(&self.epoll, &fd, epoll::EventData::new_u64(data), flags)?;
            self.conns[slot as usize] = Some(Conn::new(fd, self.generation));
        }
    }

    fn conn(&mut self, slot: u32, generation: u32) -> Option<&mut Conn> {
        let conn = self.conns.get_mut(slot as usize)?.as_mut();
        conn.filter(|conn| conn.generation == generation)
    }

    fn event(&mut self, slot: u32, generation: u32, flags: epoll::EventFlags) {
        use epoll::EventFlags as F;
        let Some(conn) = self.conn(slot, generation) else {
            return;
        };
        if flags.contains(F::OUT) && conn.blocked {
            conn.blocked = false;
            if !conn.dirty {
                conn.dirty = true;
                self.dirty.push(slot);
            }
        }
        let over = flags.intersects(F::ERR | F::HUP | F::RDHUP);
        if over || flags.contains(F::IN) {
            if self.waiting > MOST_WAITING && !over {
                self.held.push((slot, generation));
            } else {
                self.read(slot, over);
            }
        }
    }

    /// Reads on with those who were held back.
    fn release(&mut self) {
        if self.waiting > MOST_WAITING / 2 {
            return;
        }
        for (slot, generation) in std::mem::take(&mut self.held) {
            if self.conn(slot, generation).is_none() {
                continue;
            }
            if self.waiting > MOST_WAITING {
                self.held.push((slot, generation));
            } else {
                self.read(slot, true);
            }
        }
    }

    fn read(&mut self, slot: u32, over: bool) {
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some(conn) = &mut self.conns[slot as usize] {
            let kept = conn.partial.len();
            if buffer.len() < 2 * kept {
                buffer.resize(2 * kept, 0);
            }
            buffer[..kept].copy_from_slice(&conn.partial);
            let space = buffer.len() - kept;
            match rustix::io::read(&conn.fd, &mut buffer[kept..]) {
                Ok(0) => self.close(slot),
                Ok(read) => {
                    let end = kept + read;
                    let used = self.feed(slot, &mut buffer[..end]);
                    let Some(conn) = &mut self.conns[slot as usize] else {
                        break;
                    };
                    conn.partial.clear();
                    conn.partial.extend_from_slice(&buffer[used..end]);
                    if conn.partial.is_empty() {
                        conn.partial = Vec::new();
                    }
                    if read < space && !over {
                        break;
                    }
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(_) => self.close(slot),
            }
        }
        self.buffer = buffer;
    }

    /// Works through what was read; says how much of it was whole.
    fn feed(&mut self, slot: u32, bytes: &mut [u8]) -> usize {
        let mut at = 0;
        let Some(conn) = &mut self.conns[slot as usize] else {
            return 0;
        };
        if !conn.open {
            let generation = conn.generation;
            match hello::answer(bytes, generation.into(), self.ping.as_millis() as u64) {
                None => return 0,
                Some(Err(())) => {
                    self.close(slot);
                    return 0;
                }
                Some(Ok((used, answer))) => {
                    conn.open = true;
                    at = used;
                    self.pings
                        .push_back((Instant::now() + self.ping, slot, generation));
                    self.send(slot, &answer.into());
                }
            }
        }
        while let Some(found) = codec::take(&mut bytes[at..]) {
            let payload = &bytes[at + found.start..at + found.end];
            match found.opcode {
                1 => self.request(slot, payload),
                8 => {
                    self.close(slot);
                    return bytes.len();
                }
                _ => {}
            }
            at += found.end;
        }
        at
    }

    fn request(&mut self, slot: u32, text: &[u8]) {
        match codec::request(text) {
            Request::Publish { room, payload } => {
                let frame = codec::text(&[b"42[\"m\",", payload, b"]"]);
                let Some(&room) = self.names.get(room) else {
                    return;
                };
                let members = std::mem::take(&mut self.rooms[room as usize].members);
                for &member in &members {
                    self.send(member, &frame);
                }
                self.rooms[room as usize].members = members;
            }
            Request::Echo { ack, payload } => {
                self.send(slot, &codec::text(&[b"43", ack, b"[", payload, b"]"]));
            }
            Request::Join { ack, room } => {
                self.join(slot, room);
                self.send(slot, &codec::text(&[b"43", ack, b"[]"]));
            }
            Request::Connect => {
                let sid = format!("40{{\"sid\":\"{slot:020}\"}}");
                self.send(slot, &codec::text(&[sid.as_bytes()]));
            }
            Request::Tick { ack, hz, bytes } => {
                self.send(slot, &codec::text(&[b"43", ack, b"[]"]));
                let ticks = self.ticks.get_or_insert_with(|| Ticks {
                    every: Duration::from_secs(1) / hz.max(1),
                    next: Instant::now(),
                    number: 0,
                    bytes,
                    receivers: Vec::new(),
                });
                if let Some(conn) = &self.conns[slot as usize] {
                    ticks.receivers.push((slot, conn.generation));
                }
            }
            Request::Nothing => {}
        }
    }

    fn join(&mut self, slot: u32, room: &[u8]) {
        let next = self.rooms.len() as u32;
        let index = match self.names.get(room) {
            Some(index) => *index,
            None => {
                self.names.insert(room.into(), next);
                self.rooms.push(Room::default());
                next
            }
        };
        if let Some(conn) = &mut self.conns[slot as usize]
            && !conn.rooms.contains(&index)
        {
            conn.rooms.push(index);
            self.rooms[index as usize].members.push(slot);
        }
    }

    /// Sends, or queues until the turn's end, as the form has it.
    fn send(&mut self, slot: u32, frame: &Rc<[u8]>) {
        let Some(conn) = &mut self.conns[slot as usize] else {
            return;
        };
        if self.form == Form::Send {
            match conn.send(frame) {
                Ok(waits) => self.waiting += waits,
                // The loop hears of it by an event.
                Err(_) => conn.blocked = true,
            }
            return;
        }
        conn.queue.push_back(Rc::clone(frame));
        self.waiting += frame.len();
        if !conn.dirty && !conn.blocked {
            conn.dirty = true;
            self.dirty.push(slot);
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut dirty = std::mem::take(&mut self.dirty);
        if let Some(mut ring) = self.ring.take() {
            let mut results = Vec::new();
            while !dirty.is_empty() {
                ring.go(&self.conns, &dirty, |slot, result| {
                    results.push((slot, result));
                })?;
                for slot in dirty.drain(..) {
                    if let Some(conn) = &mut self.conns[slot as usize] {
                        conn.dirty = false;
                    }
                }
                for (slot, result) in results.drain(..) {
                    self.sent(slot, result, &mut dirty);
                }
            }
            self.ring = Some(ring);
        }
        for slot in dirty.drain(..) {
            if let Some(conn) = &mut self.conns[slot as usize] {
                conn.dirty = false;
                // An error is followed by an event, and closes there.
                self.waiting -= conn.flush().unwrap_or_default();
            }
        }
        self.dirty = dirty;
        self.free.append(&mut self.closed);
        Ok(())
    }

    /// The result of a send through the ring.
    fn sent(&mut self, slot: u32, result: i32, again: &mut Vec<u32>) {
        let Some(conn) = &mut self.conns[slot as usize] else {
            return;
        };
        match usize::try_from(result) {
            Ok(count) => {
                conn.advance(count);
                self.waiting -= count;
            }
            Err(_) => conn.blocked = true,
        }
        conn.dirty = !conn.blocked && !conn.queue.is_empty();
        if conn.dirty {
            again.push(slot);
        }
    }

    /// Pings and ticks.
    fn due(&mut self) {
        let now = Instant::now();
        while let Some(&(at, slot, generation)) = self.pings.front()
            && at <= now
        {
            self.pings.pop_front();
            if self.conn(slot, generation).is_some() {
                self.send(slot, &codec::text(&[b"2"]));
                self.pings.push_back((now + self.ping, slot, generation));
            }
        }
        let Some(mut ticks) = self.ticks.take() else {
            return;
        };
        if ticks.next <= now {
            ticks
                .receivers
                .retain(|(slot, generation)| self.conn(*slot, *generation).is_some());
            for &(slot, generation) in &ticks.receivers {
                // Volatile: who can't take it now goes without.
                if self
                    .conn(slot, generation)
                    .is_some_and(|conn| !conn.blocked)
                {
                    self.send(slot, &tick(&ticks, slot));
                }
            }
            ticks.number += 1;
            ticks.next += ticks.every;
        }
        if ticks.receivers.is_empty() {
            return;
        }
        self.ticks = Some(ticks);
    }

    fn close(&mut self, slot: u32) {
        let Some(conn) = self.conns[slot as usize].take() else {
            return;
        };
        for room in &conn.rooms {
            let members = &mut self.rooms[*room as usize].members;
            if let Some(at) = members.iter().position(|member| *member == slot) {
                members.swap_remove(at);
            }
        }
        let waits: usize = conn.queue.iter().map(|frame| frame.len()).sum();
        self.waiting -= waits - conn.written;
        self.closed.push(slot);
    }
}

/// A payload that nobody else gets: the tick's number, then the receiver's own filler.
fn tick(ticks: &Ticks, slot: u32) -> Rc<[u8]> {
    let mut payload = format!("{:08x}", ticks.number).into_bytes();
    let own = format!("{slot:020x}");
    payload.reserve(ticks.bytes + own.len());
    while payload.len() < ticks.bytes {
        payload.extend_from_slice(own.as_bytes());
    }
    payload.truncate(ticks.bytes);
    codec::text(&[b"42[\"t\",\"", &payload, b"\"]"])
}
