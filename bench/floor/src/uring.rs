//! The sends of one turn, handed to io_uring at once.
//!
//! The sockets don't block, so the kernel completes each send while it takes it in, with `EAGAIN` if there is no room:
//! when [`Ring::go`] returns, nothing is on its way any more. That is what makes the one `unsafe` call here sound.
#![allow(unsafe_code)] // Pushing to the submission queue: the kernel reads the buffers until the request completes.

use std::io;
use std::os::fd::AsRawFd;

use io_uring::{IoUring, opcode, types};

use crate::conn::Conn;

const ENTRIES: u32 = 4096;
/// From <sys/socket.h>: no signal when the other end is gone.
const MSG_NOSIGNAL: i32 = 0x4000;

/// A ring.
pub(crate) struct Ring {
    ring: IoUring,
}

impl Ring {
    /// # Errors
    /// The kernel refuses: containers often forbid io_uring, and `kernel.io_uring_disabled` may.
    pub(crate) fn new() -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_coop_taskrun()
            .build(ENTRIES)
            .or_else(|_| IoUring::new(ENTRIES))?;
        Ok(Self { ring })
    }

    /// Sends the first waiting frame of each of these connections, and calls `done` with each one's place and result:
    /// bytes sent, or a negative error number.
    pub(crate) fn go(
        &mut self,
        conns: &[Option<Conn>],
        slots: &[u32],
        mut done: impl FnMut(u32, i32),
    ) -> io::Result<()> {
        for some in slots.chunks(ENTRIES as usize) {
            let mut pushed = 0;
            for &slot in some {
                let Some(conn) = &conns[slot as usize] else {
                    continue;
                };
                let Some(frame) = conn.queue.front() else {
                    continue;
                };
                let rest = &frame[conn.written..];
                let fd = types::Fd(conn.fd.as_raw_fd());
                let send = opcode::Send::new(fd, rest.as_ptr(), rest.len() as u32)
                    .flags(MSG_NOSIGNAL)
                    .build()
                    .user_data(slot.into());
                // SAFETY: the frame stays in the connection's queue, and the connection in `conns`, which is borrowed
                // until this function returns; it returns after all of these have completed.
                let taken = unsafe { self.ring.submission().push(&send) };
                if taken.is_err() {
                    return Err(io::Error::other(
                        "the submission queue is smaller than asked for",
                    ));
                }
                pushed += 1;
            }
            self.complete(pushed, &mut done)?;
        }
        Ok(())
    }

    fn complete(&mut self, mut left: usize, done: &mut impl FnMut(u32, i32)) -> io::Result<()> {
        while left > 0 {
            match self.ring.submit_and_wait(left) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for completion in self.ring.completion() {
                left -= 1;
                done(completion.user_data() as u32, completion.result());
            }
        }
        Ok(())
    }
}
