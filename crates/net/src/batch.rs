//! The sends of one loop turn: gathered from outboxes, sent together, and settled.
//!
//! A connection with one packet to write gives it away and gets it back only if the kernel did not take all of it. With
//! several, the frames are copied behind each other: for frames of the usual size that costs less than the kernel
//! charges for a vector of as many parts (64 frames of 80 bytes: a fifth). Either way the bytes belong to the batch
//! while they are sent.

use std::io;
use std::ops::Range;
use std::rc::Rc;

use lakh_hub::shard::{Outboxes, SessionKey};
use lakh_hub::{Item, Outbox};
use lakh_wire::Encoded;
use lakh_wire::engine::Version;

use crate::ring::Ring;
use crate::ws::{WsConn, frame_of};

/// Connections of one batch.
pub(crate) const MOST_SENDS: usize = 1024;
/// A connection with more to write than this is written without a copy.
const MOST_JOINED: usize = 64 << 10;
/// Copied frames of one batch, more or less.
const MOST_COPIED: usize = 1 << 20;
/// Below this a system call each costs no more than going through the ring.
const WORTH_THE_RING: usize = 4;
/// The result of what was not tried yet.
pub(crate) const UNTRIED: i32 = i32::MIN;

/// One connection's part of the batch.
pub(crate) struct Send {
    key: SessionKey,
    conn: Rc<WsConn>,
    bytes: Bytes,
    /// Bytes sent, or a negative error number, as the kernel gives it.
    pub(crate) result: i32,
}

enum Bytes {
    Packet(Encoded, Version),
    /// What lies there in `Batch::joined`.
    Joined(Range<usize>),
}

impl Send {
    pub(crate) fn conn(&self) -> &WsConn {
        &self.conn
    }

    pub(crate) fn bytes<'a>(&'a self, joined: &'a [u8]) -> &'a [u8] {
        match &self.bytes {
            Bytes::Packet(packet, version) => self.conn.packet_frame(packet, *version),
            Bytes::Joined(range) => &joined[range.clone()],
        }
    }
}

/// The sends of one turn.
pub(crate) struct Batch {
    sends: Vec<Send>,
    joined: Vec<u8>,
    ring: Option<Ring>,
}

impl Batch {
    pub(crate) fn new(ring: Option<Ring>) -> Self {
        Self {
            sends: Vec::new(),
            joined: Vec::new(),
            ring,
        }
    }

    /// Takes on what waits for a connection. `false`: it has to be written another way.
    pub(crate) fn add(
        &mut self,
        key: SessionKey,
        conn: &Rc<WsConn>,
        outbox: &mut Outbox,
        version: Version,
    ) -> bool {
        // Who is blocked writes on by itself, once the kernel says that it may.
        if outbox.is_empty() || outbox.blocked {
            return true;
        }
        let bytes = match outbox.take_single() {
            Some(packet) => Bytes::Packet(packet, version),
            None => match self.join(conn, outbox, version) {
                Some(range) => Bytes::Joined(range),
                None => return false,
            },
        };
        self.sends.push(Send {
            key,
            conn: Rc::clone(conn),
            bytes,
            result: UNTRIED,
        });
        true
    }

    fn join(&mut self, conn: &WsConn, outbox: &Outbox, version: Version) -> Option<Range<usize>> {
        if outbox.bytes() > MOST_JOINED {
            return None;
        }
        let start = self.joined.len();
        let mut skip = outbox.written();
        for item in outbox.iter() {
            if matches!(item, Item::Open(_)) {
                self.joined.truncate(start);
                return None;
            }
            let frame = frame_of(item, version, conn.is_deflating());
            self.joined.extend_from_slice(&frame[skip..]);
            skip = 0;
        }
        Some(start..self.joined.len())
    }

    /// To be sent and settled before more is added.
    pub(crate) fn is_full(&self) -> bool {
        self.sends.len() >= MOST_SENDS || self.joined.len() >= MOST_COPIED
    }

    /// Sends all. Never waits.
    pub(crate) fn send(&mut self) {
        if self.sends.len() >= WORTH_THE_RING
            && let Some(ring) = &mut self.ring
            && let Err(error) = ring.send(&mut self.sends, &self.joined)
        {
            tracing::warn!(%error, "io_uring failed; going on with a system call a message");
            self.ring = None;
        }
        for send in self.sends.iter_mut().filter(|send| send.result == UNTRIED) {
            let sent = send.conn.send(send.bytes(&self.joined));
            send.result = match sent {
                Ok(count) => i32::try_from(count).unwrap_or(i32::MAX),
                Err(error) => -error.raw_os_error().unwrap_or(libc::EIO),
            };
        }
    }

    /// Gives the outboxes back what was not sent, and the sessions whose connections failed to `failed`. Returns the
    /// bytes sent.
    pub(crate) fn settle(
        &mut self,
        outboxes: &mut Outboxes<'_>,
        failed: &mut Vec<SessionKey>,
    ) -> usize {
        let mut total = 0;
        for send in self.sends.drain(..) {
            let wanted = send.bytes(&self.joined).len();
            let Send {
                key,
                conn,
                bytes,
                result,
            } = send;
            let Ok(sent) = usize::try_from(result) else {
                if !may_go_on(result) {
                    failed.push(key);
                    continue;
                }
                put_back(outboxes, key, &conn, bytes, 0);
                continue;
            };
            total += sent;
            match bytes {
                _ if sent < wanted => put_back(outboxes, key, &conn, bytes, sent),
                Bytes::Packet(..) => {}
                Bytes::Joined(_) => {
                    if let Some((outbox, _)) = outboxes.get(key) {
                        outbox.written_all();
                        outboxes.give_back(key);
                    }
                }
            }
        }
        self.joined.clear();
        self.joined.shrink_to(MOST_COPIED);
        total
    }
}

/// Whether a negative result only says that the kernel has no room.
fn may_go_on(result: i32) -> bool {
    let kind = io::Error::from_raw_os_error(-result).kind();
    matches!(kind, io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// The kernel took `sent` bytes and no more: the connection's own task writes on.
fn put_back(
    outboxes: &mut Outboxes<'_>,
    key: SessionKey,
    conn: &WsConn,
    bytes: Bytes,
    sent: usize,
) {
    let Some((outbox, version)) = outboxes.get(key) else {
        return;
    };
    match bytes {
        Bytes::Packet(packet, _) => outbox.put_back(packet, sent),
        Bytes::Joined(_) => outbox.advance(sent, |item| {
            frame_of(item, version, conn.is_deflating()).len()
        }),
    }
    outbox.blocked = true;
    conn.set_blocked(true);
    conn.wake();
}
