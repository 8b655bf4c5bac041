//! One connection.

use std::os::fd::OwnedFd;

use super::polling::Polling;
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

/// How far a connection has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// Not open (any more).
    #[default]
    None,
    /// The kernel connects.
    Connecting,
    /// The WebSocket handshake is asked for.
    Upgrading,
    /// The engine's open packet is awaited.
    Opening,
    /// CONNECT is asked for.
    Entering,
    /// Rooms are asked for.
    Joining,
    /// Everything is there.
    Ready,
    /// Has said farewell; the server is to close.
    Leaving,
}

/// One connection.
#[derive(Debug, Default)]
pub(crate) struct Conn {
    pub fd: Option<OwnedFd>,
    pub state: State,
    /// Which of the target's nodes it goes to.
    pub node: usize,
    /// Rooms to join: the first one's number, and how many from there on.
    pub rooms: (u32, u32),
    /// Rooms that the server has acknowledged.
    pub joined: u32,
    pub started_ns: u64,
    /// The front of a frame of which the rest hasn't come.
    pub partial: Vec<u8>,
    /// Frames to send.
    pub out: Vec<u8>,
    /// In the list of those that have something to send.
    pub dirty: bool,
    /// The kernel takes no more for now.
    pub blocked: bool,
    /// Isn't read.
    pub paused: bool,
    /// How far its long polling is; `None` for a WebSocket.
    pub polling: Option<Box<Polling>>,
}

impl Conn {
    /// Sends what the kernel takes.
    pub(super) fn flush(&mut self) -> Result<(), Errno> {
        let Some(fd) = &self.fd else { return Ok(()) };
        let mut sent = 0;
        while sent < self.out.len() {
            match send(fd, &self.out[sent..], SendFlags::NOSIGNAL) {
                Ok(count) => sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.blocked = true;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        self.out.drain(..sent);
        Ok(())
    }
}
