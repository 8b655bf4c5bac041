//! From an address to a connection that is in its namespace and rooms: TCP, the WebSocket handshake, the engine's open
//! packet, CONNECT, and a request with ack for each room. Each step waits for the one before, as real clients do.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

use super::{Conn, Sink, State, Swarm};
use crate::error::LoadError;
use crate::options::Target;

/// Room requests written at once, so that a connection with thousands of rooms doesn't overrun the server's bounds.
const JOINS_AT_ONCE: u32 = 64;

/// How fast connections are opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Connections a second; 0 is without bound.
    pub rate: u32,
    /// Connections that are being opened at the same time.
    pub in_flight: usize,
}

impl Pace {
    pub(crate) fn of(target: &Target) -> Self {
        Self {
            rate: target.connect_rate,
            in_flight: target.in_flight.max(1),
        }
    }
}

impl Swarm {
    /// Opens these connections and waits until each is ready or has failed.
    pub(crate) fn connect(
        &mut self,
        range: std::ops::Range<usize>,
        pace: Pace,
        sink: &mut impl Sink,
    ) -> Result<(), LoadError> {
        let start = self.clock.now_ns();
        let mut next = range.start;
        let settled = self.settled();
        let mut last = (settled, start);
        while self.settled() - settled < range.len() {
            let now = self.clock.now_ns();
            let allowed = match pace.rate {
                0 => range.len(),
                rate => ((now - start) as f64 * f64::from(rate) / 1e9) as usize + 1,
            };
            while next < range.end
                && self.in_flight < pace.in_flight
                && next - range.start < allowed
            {
                self.open(next as u32);
                next += 1;
            }
            if self.settled() != last.0 {
                last = (self.settled(), now);
            } else if now - last.1 > self.patience_ns {
                self.give_up(range);
                break;
            }
            self.turn(now + 200_000, sink)?;
        }
        Ok(())
    }

    /// Connections that are ready, or never will be.
    fn settled(&self) -> usize {
        let ready = if self.join_at_once {
            self.counts.joined
        } else {
            self.counts.connected
        };
        ready + self.counts.failed
    }

    fn give_up(&mut self, range: std::ops::Range<usize>) {
        for index in range {
            let state = self.conns[index].state;
            if !matches!(state, State::Ready | State::None) {
                self.lost(index as u32, &format!("no answer while {state:?}"));
            }
        }
    }

    /// Fails unless all of `wanted` connections came up.
    pub(crate) fn all_connected(&self, wanted: usize) -> Result<(), LoadError> {
        if self.counts.failed == 0 {
            return Ok(());
        }
        Err(LoadError::Connect {
            failed: self.counts.failed,
            wanted,
            first: self.counts.first_failure.clone().unwrap_or_default(),
        })
    }

    /// Opens one; it's `arrived` when it has joined its rooms, if that is to be at once.
    pub(crate) fn open(&mut self, index: u32) {
        self.in_flight += 1;
        let started_ns = self.clock.now_ns();
        let conn = &mut self.conns[index as usize];
        *conn = Conn {
            state: State::Connecting,
            started_ns,
            node: conn.node,
            rooms: conn.rooms,
            ..Conn::default()
        };
        if let Err(error) = self.begin(index) {
            self.lost(index, &std::io::Error::from(error).to_string());
        }
    }

    fn begin(&mut self, index: u32) -> Result<(), Errno> {
        let address = self.address(index);
        let family = match address.server {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let fd = net::socket_with(family, SocketType::STREAM, flags, None)?;
        sockopt::set_tcp_nodelay(&fd, true)?;
        // Closing resets: ports aren't left waiting for a minute, and a cut looks like one.
        sockopt::set_socket_linger(&fd, Some(Duration::ZERO))?;
        if let Some(source) = address.source(index) {
            net::bind(&fd, &source)?;
        }
        use epoll::EventFlags as F;
        match net::connect(&fd, &address.server) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error),
        }
        let data = epoll::EventData::new_u64(u64::from(index));
        let flags = F::IN | F::OUT | F::RDHUP | F::ET;
        epoll::add(&self.epoll, &fd, data, flags)?;
        self.conns[index as usize].fd = Some(fd);
        Ok(())
    }

    /// The kernel has connected, or given up: `false`.
    pub(super) fn established(&mut self, index: u32) -> bool {
        let conn = &mut self.conns[index as usize];
        let Some(fd) = &conn.fd else { return false };
        match sockopt::socket_error(fd) {
            Ok(Ok(())) => {}
            Ok(Err(error)) | Err(error) => {
                self.lost(index, &std::io::Error::from(error).to_string());
                return false;
            }
        }
        if self.by_polling {
            self.start_polling(index);
            return true;
        }
        conn.state = State::Upgrading;
        let node = conn.node;
        if let Some(path) = self.paths.get(index as usize) {
            let request = self.nodes[node].0.upgrade_at(path);
            self.queue(index, |out| out.extend_from_slice(&request));
            return true;
        }
        let request = std::mem::take(&mut self.nodes[node].1);
        self.queue(index, |out| out.extend_from_slice(&request));
        self.nodes[node].1 = request;
        true
    }

    /// The answer to the handshake. `None`: it isn't all there, or it is no.
    pub(super) fn upgraded(&mut self, index: u32, bytes: &[u8]) -> Option<usize> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        if !bytes.starts_with(b"HTTP/1.1 101") {
            let line = bytes.split(|byte| *byte == b'\r').next();
            let line = String::from_utf8_lossy(line.unwrap_or_default()).into_owned();
            self.lost(index, &format!("the server answered {line}"));
            return None;
        }
        self.conns[index as usize].state = State::Opening;
        if !self.paths.is_empty() {
            let now = self.clock.now_ns();
            self.entered(index, now);
        }
        Some(end)
    }

    /// A packet for a connection that isn't ready.
    pub(super) fn greeted(&mut self, index: u32, text: &[u8], sink: &mut impl Sink, now: u64) {
        match self.conns[index as usize].state {
            _ if text == b"2" => self.pong(index),
            State::Opening if text.starts_with(b"0") => {
                self.conns[index as usize].state = State::Entering;
                if self.named {
                    let connect = self.words.connect_as(index);
                    return self.say(index, &connect);
                }
                let connect = std::mem::take(&mut self.words.connect);
                self.say(index, &connect);
                self.words.connect = connect;
            }
            State::Entering if text.starts_with(&self.words.connected) => self.entered(index, now),
            State::Entering if text.starts_with(&self.words.refused) => {
                self.lost(index, &String::from_utf8_lossy(text));
            }
            State::Joining => match self.words.ack(text) {
                Some(arguments) => self.room_joined(index, arguments),
                None => sink.message(index, text, now),
            },
            // What a server says to newcomers on its own.
            _ => {}
        }
    }

    fn entered(&mut self, index: u32, now: u64) {
        let conn = &mut self.conns[index as usize];
        conn.state = State::Ready;
        self.counts.connected += 1;
        self.connect_us.record((now - conn.started_ns) / 1000);
        if self.join_at_once {
            self.join(index);
        } else {
            self.in_flight -= 1;
        }
    }

    /// Asks for the connection's rooms. When all are acknowledged, the connection is ready again.
    fn join(&mut self, index: u32) {
        let conn = &mut self.conns[index as usize];
        if conn.rooms.1 == 0 {
            return self.all_joined(index);
        }
        conn.state = State::Joining;
        self.ask_rooms(index, 0);
    }

    fn ask_rooms(&mut self, index: u32, from: u32) {
        let (first, count) = self.conns[index as usize].rooms;
        for at in from..count.min(from + JOINS_AT_ONCE) {
            let text = self.words.join(at, first + at);
            self.say(index, text.as_bytes());
        }
    }

    fn room_joined(&mut self, index: u32, arguments: &[u8]) {
        if let Some(refusal) = self.words.refusal(arguments) {
            return self.lost(index, &format!("joining was refused, {refusal}"));
        }
        let conn = &mut self.conns[index as usize];
        conn.joined += 1;
        let (joined, all) = (conn.joined, conn.rooms.1);
        if joined == all {
            self.all_joined(index);
        } else if joined.is_multiple_of(JOINS_AT_ONCE) {
            self.ask_rooms(index, joined);
        }
    }

    fn all_joined(&mut self, index: u32) {
        self.conns[index as usize].state = State::Ready;
        self.counts.joined += 1;
        if self.join_at_once {
            self.in_flight -= 1;
            self.arrived.push(index);
        }
    }

    /// Lets all connected ones join their rooms, some at a time, and waits for it.
    pub(crate) fn join_all(&mut self, sink: &mut impl Sink) -> Result<(), LoadError> {
        const AT_A_TIME: usize = 256;
        let all = self.conns.len();
        for start in (0..all).step_by(AT_A_TIME) {
            let end = all.min(start + AT_A_TIME);
            for index in start..end {
                if self.conns[index].state == State::Ready {
                    self.join(index as u32);
                }
            }
            let done = self.turn_until(
                sink,
                |swarm, _| {
                    !swarm.conns[start..end]
                        .iter()
                        .any(|c| c.state == State::Joining)
                },
                |swarm, _| {
                    swarm.conns[start..end]
                        .iter()
                        .map(|c| u64::from(c.joined))
                        .sum()
                },
            )?;
            if !done {
                let what = self.counts.first_failure.clone();
                return Err(LoadError::Join(what.unwrap_or("no answer".to_owned())));
            }
        }
        match &self.counts.first_failure {
            Some(first) => Err(LoadError::Join(first.clone())),
            None => Ok(()),
        }
    }

    /// The connection is no more. Before it was ready that is a failure.
    pub(super) fn lost(&mut self, index: u32, reason: &str) {
        let conn = &mut self.conns[index as usize];
        let state = std::mem::take(&mut conn.state);
        conn.fd = None;
        conn.polling = None;
        conn.out = Vec::new();
        conn.partial = Vec::new();
        match state {
            State::None | State::Leaving => {}
            State::Ready => self.counts.closed += 1,
            state => {
                if state != State::Joining || self.join_at_once {
                    self.in_flight -= 1;
                }
                self.counts.failed += 1;
                self.counts
                    .first_failure
                    .get_or_insert_with(|| format!("{reason}, while {state:?}"));
            }
        }
    }

    /// Cuts all connections, and forgets what was counted about them.
    pub(crate) fn cut(&mut self) {
        for conn in &mut self.conns {
            conn.fd = None;
            conn.state = State::None;
            conn.out = Vec::new();
            conn.partial = Vec::new();
        }
        self.in_flight = 0;
        self.arrived.clear();
        self.counts = super::Counts::default();
        self.connect_us.clear();
    }
}
