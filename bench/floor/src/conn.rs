//! One connection and what waits for it.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::io::Errno;
use rustix::net::{SendFlags, send};

/// Slices of one vectored write; the kernel takes no more.
const MOST_SLICES: usize = 1024;

/// One connection.
#[derive(Debug)]
pub(crate) struct Conn {
    pub fd: OwnedFd,
    /// Tells this connection from others that have had its place.
    pub generation: u32,
    /// The WebSocket is open.
    pub open: bool,
    pub dirty: bool,
    /// The kernel takes no more for now.
    pub blocked: bool,
    pub rooms: Vec<u32>,
    pub partial: Vec<u8>,
    pub queue: VecDeque<Rc<[u8]>>,
    /// Bytes of the first frame in the queue that are written.
    pub written: usize,
}

impl Conn {
    pub(crate) fn new(fd: OwnedFd, generation: u32) -> Self {
        Self {
            fd,
            generation,
            open: false,
            dirty: false,
            blocked: false,
            rooms: Vec::new(),
            partial: Vec::new(),
            queue: VecDeque::new(),
            written: 0,
        }
    }

    /// Sends one frame now; what the kernel doesn't take waits. Gives back the bytes that wait.
    pub(crate) fn send(&mut self, frame: &Rc<[u8]>) -> Result<usize, Errno> {
        if self.blocked || !self.queue.is_empty() {
            self.queue.push_back(Rc::clone(frame));
            return Ok(frame.len());
        }
        let sent = match send(&self.fd, frame, SendFlags::NOSIGNAL) {
            Ok(sent) => sent,
            Err(Errno::AGAIN) => 0,
            Err(error) => return Err(error),
        };
        if sent == frame.len() {
            return Ok(0);
        }
        self.blocked = true;
        self.queue.push_back(Rc::clone(frame));
        self.written = sent;
        Ok(frame.len() - sent)
    }

    /// Writes what waits, joined. Gives back the bytes that went out.
    pub(crate) fn flush(&mut self) -> Result<usize, Errno> {
        let mut gone = 0;
        while !self.queue.is_empty() && !self.blocked {
            let written = self.write_joined();
            match written {
                Ok(count) => {
                    gone += count;
                    self.advance(count);
                }
                Err(Errno::AGAIN) => self.blocked = true,
                Err(error) => return Err(error),
            }
        }
        Ok(gone)
    }

    fn write_joined(&self) -> Result<usize, Errno> {
        let first = &self.queue[0][self.written..];
        if self.queue.len() == 1 {
            return send(&self.fd, first, SendFlags::NOSIGNAL);
        }
        if self.queue.len() <= 16 {
            return self.write_slices::<16>(first);
        }
        self.write_slices::<MOST_SLICES>(first)
    }

    fn write_slices<const MOST: usize>(&self, first: &[u8]) -> Result<usize, Errno> {
        let mut slices = [IoSlice::new(&[]); MOST];
        let count = self.queue.len().min(MOST);
        slices[0] = IoSlice::new(first);
        for (slice, frame) in slices.iter_mut().zip(&self.queue).skip(1) {
            *slice = IoSlice::new(frame);
        }
        rustix::io::writev(&self.fd, &slices[..count])
    }

    /// Takes written bytes off the front of the queue.
    pub(crate) fn advance(&mut self, mut count: usize) {
        while let Some(first) = self.queue.front() {
            let left = first.len() - self.written;
            if count < left {
                self.written += count;
                return;
            }
            count -= left;
            self.written = 0;
            self.queue.pop_front();
        }
        // An idle connection holds no memory for a queue.
        if self.queue.capacity() > 64 {
            self.queue = VecDeque::new();
        }
    }
}
