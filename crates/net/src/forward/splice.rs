//! Two connections made into one: what one end writes, the other reads.
//!
//! Invariants: at rest nothing is held but the two sockets; bytes that one end does not take yet are kept, at most
//! [`PIECE`] of them, and no more are read meanwhile. An end that has closed is told to the other, and what comes the
//! other way is still passed on; it has a while for that after the last byte that moved.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// Read at once, and so kept at most.
const PIECE: usize = 16 * 1024;
/// Pieces that are passed on before others get their turn.
const PIECES_A_TURN: usize = 4;

/// Passes on what `client` and `owner` write until both have closed, or one is broken. `up` goes to the owner first,
/// `down` to the client.
pub(crate) async fn splice(
    scratch: &RefCell<Box<[u8]>>,
    (client, up): (impl AsyncRead + AsyncWrite + Unpin, Vec<u8>),
    (owner, down): (impl AsyncRead + AsyncWrite + Unpin, Vec<u8>),
    linger: Duration,
) -> io::Result<()> {
    let (mut client, mut owner) = (client, owner);
    let (mut up, mut down) = (Way::new(up), Way::new(down));
    let mut last: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|cx| {
        let mut scratch = scratch.borrow_mut();
        let mut moved = up.pass(&mut client, &mut owner, &mut scratch, cx)?;
        moved |= down.pass(&mut owner, &mut client, &mut scratch, cx)?;
        if up.is_over && down.is_over {
            return Poll::Ready(Ok(()));
        }
        if !up.is_over && !down.is_over {
            return Poll::Pending;
        }
        if moved {
            last = None;
        }
        let last = last.get_or_insert_with(|| Box::pin(tokio::time::sleep(linger)));
        last.as_mut().poll(cx).map(Ok)
    })
    .await
}

/// One direction.
struct Way {
    /// Read, and not taken by the other end yet.
    kept: Vec<u8>,
    sent: usize,
    /// Written, and maybe still in the TLS library.
    unflushed: bool,
    /// The end that is read has closed.
    ended: bool,
    /// And the other one knows; or it takes nothing any more.
    is_over: bool,
}

impl Way {
    fn new(kept: Vec<u8>) -> Self {
        Self {
            kept,
            sent: 0,
            unflushed: false,
            ended: false,
            is_over: false,
        }
    }

    /// Passes on what can be, and says whether that was anything.
    fn pass(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        scratch: &mut [u8],
        cx: &mut Context<'_>,
    ) -> io::Result<bool> {
        let mut moved = false;
        for _ in 0..PIECES_A_TURN {
            if self.is_over {
                return Ok(moved);
            }
            match self.write_out(to, cx) {
                Poll::Pending => return Ok(moved),
                Poll::Ready(Ok(())) => {}
                // What still comes from there is worth passing on.
                Poll::Ready(Err(_)) => {
                    *self = Self::over();
                    return Ok(true);
                }
            }
            if self.ended {
                // Whether it could still be told is no matter.
                if Pin::new(&mut *to).poll_shutdown(cx).is_ready() {
                    self.is_over = true;
                    moved = true;
                }
                return Ok(moved);
            }
            let most = scratch.len().min(PIECE);
            let mut read = ReadBuf::new(&mut scratch[..most]);
            match Pin::new(&mut *from).poll_read(cx, &mut read) {
                Poll::Pending => return Ok(moved),
                Poll::Ready(read) => read?,
            }
            moved = true;
            let piece = read.filled();
            self.ended = piece.is_empty();
            let taken = match Pin::new(&mut *to).poll_write(cx, piece) {
                Poll::Ready(Ok(taken)) => taken,
                // The next round meets the error again.
                Poll::Ready(Err(_)) | Poll::Pending => 0,
            };
            self.unflushed |= taken > 0;
            self.kept.extend_from_slice(&piece[taken..]);
        }
        cx.waker().wake_by_ref();
        Ok(moved)
    }

    fn over() -> Self {
        Self {
            ended: true,
            is_over: true,
            ..Self::new(Vec::new())
        }
    }

    fn write_out(
        &mut self,
        to: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.sent < self.kept.len() {
            let rest = &self.kept[self.sent..];
            match Pin::new(&mut *to).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(taken)) => self.sent += taken,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
            self.unflushed = true;
        }
        (self.kept, self.sent) = (Vec::new(), 0);
        if self.unflushed {
            match Pin::new(&mut *to).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                other => return other,
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
#[path = "splice_tests.rs"]
mod tests;
