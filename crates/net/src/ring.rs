//! The sends of one turn, handed to io_uring with one system call.
//!
//! The requests say that they don't wait, so the kernel completes each send while it takes the request in, with `EAGAIN`
//! where there is no room. When [`Ring::send`] returns, nothing is under way any more.
#![allow(unsafe_code)] // One call: the kernel reads the buffers of requests until they complete.

use std::io;

use io_uring::{IoUring, opcode, types};

use crate::batch::{MOST_SENDS, Send};
use crate::ws::SEND_FLAGS;

/// A ring of the calling thread.
pub(crate) struct Ring(IoUring);

impl Ring {
    /// # Errors
    /// The kernel refuses. Containers often forbid io_uring, and `kernel.io_uring_disabled` may.
    pub(crate) fn new() -> io::Result<Self> {
        let entries = MOST_SENDS as u32;
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_coop_taskrun()
            .build(entries)
            // Kernels before 6.0 don't know these two.
            .or_else(|_| IoUring::new(entries))?;
        let mut probe = io_uring::Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        if !probe.is_supported(opcode::Send::CODE) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(Self(ring))
    }

    /// Sends each one's bytes and notes its result. After an error some are still untried, and the ring is of no more
    /// use.
    pub(crate) fn send(&mut self, sends: &mut [Send], joined: &[u8]) -> io::Result<()> {
        let mut left = 0;
        for (index, send) in sends.iter().enumerate() {
            let Some(fd) = send.conn().raw_fd() else {
                continue;
            };
            let bytes = send.bytes(joined);
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let request = opcode::Send::new(types::Fd(fd), bytes.as_ptr(), length)
                .flags(SEND_FLAGS.bits().cast_signed())
                .build()
                .user_data(index as u64);
            // SAFETY: the bytes lie in a packet that the `Send` owns or in `joined`, and the descriptor is kept open by
            // the connection that the `Send` owns. All are borrowed until this function returns, and it returns when
            // each request has completed. On an error the kernel has not seen what did not complete, and never will:
            // the caller drops the ring.
            let pushed = unsafe { self.0.submission().push(&request) };
            if pushed.is_err() {
                break;
            }
            left += 1;
        }
        while left > 0 {
            match self.0.submit_and_wait(left) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for completion in self.0.completion() {
                left -= 1;
                if let Some(send) = sends.get_mut(completion.user_data() as usize) {
                    send.result = completion.result();
                }
            }
        }
        Ok(())
    }
}
