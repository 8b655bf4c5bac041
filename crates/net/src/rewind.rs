//! A connection that first gives back bytes which were already read from it.
//!
//! Used to hand a connection to an HTTP library after its request's head was looked at here. Invariants: the reader
//! sees every byte once and in order; the buffer of replayed bytes is freed with its last byte; writes pass through
//! untouched, vectored ones too.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::stream::Stream;

/// Bytes of a next request that are taken in while a poll waits.
const MOST_AHEAD: usize = 4096;

/// `io` with `prefix` in front of what it reads.
#[derive(Debug)]
pub struct Rewind<T> {
    prefix: Bytes,
    io: T,
}

impl<T> Rewind<T> {
    /// Puts `prefix` in front. An empty one costs nothing.
    pub fn new(prefix: Bytes, io: T) -> Self {
        Self { prefix, io }
    }

    /// The bytes not yet given back, and the connection.
    pub fn into_parts(self) -> (Bytes, T) {
        (self.prefix, self.io)
    }

    /// The connection below. Reading from it leaves out the prefix.
    pub fn get_ref(&self) -> &T {
        &self.io
    }
}

/// A connection that the HTTP library reads and writes, and its task watches.
#[derive(Clone, Debug)]
pub(crate) struct SharedStream(Arc<Mutex<Option<Rewind<Stream>>>>);

impl SharedStream {
    pub(crate) fn new(stream: Rewind<Stream>) -> Self {
        // Never contended; the library asks for types that could go to another thread.
        Self(Arc::new(Mutex::new(Some(stream))))
    }

    /// Takes the connection for good.
    pub(crate) fn take(&self) -> Option<Rewind<Stream>> {
        self.0.lock().take()
    }

    /// Ready when the other end has closed. Reads at most one buffer ahead, which the library gets when it reads.
    pub(crate) fn poll_gone(&self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<()> {
        let mut stream = self.0.lock();
        let Some(stream) = stream.as_mut().filter(|stream| stream.prefix.is_empty()) else {
            return Poll::Pending;
        };
        let most = scratch.len().min(MOST_AHEAD);
        let mut ahead = ReadBuf::new(&mut scratch[..most]);
        match Pin::new(&mut stream.io).poll_read(cx, &mut ahead) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) if !ahead.filled().is_empty() => {
                stream.prefix = Bytes::copy_from_slice(ahead.filled());
                Poll::Pending
            }
            Poll::Ready(_) => Poll::Ready(()),
        }
    }

    fn with<R>(
        &self,
        work: impl FnOnce(Pin<&mut Rewind<Stream>>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        match self.0.lock().as_mut() {
            Some(stream) => work(Pin::new(stream)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncRead for SharedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for SharedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(cx))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Rewind<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.prefix.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        // A read gives prefix or connection, never both: the prefix alone may be all that the reader needs, and
        // must not wait for a connection that has nothing more.
        let take = self.prefix.len().min(buf.remaining());
        buf.put_slice(&self.prefix[..take]);
        self.prefix.advance(take);
        if self.prefix.is_empty() {
            self.prefix = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Rewind<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    async fn socket_pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, server) = tokio::join!(client, listener.accept());
        (client.unwrap(), server.unwrap().0)
    }

    #[tokio::test]
    async fn the_prefix_comes_before_the_rest_whatever_the_read_size() {
        for size in [1, 3, 64] {
            let (mut client, server) = socket_pair().await;
            client.write_all(b" and the rest").await.unwrap();
            client.shutdown().await.unwrap();
            let mut server = Rewind::new(Bytes::from_static(b"first"), server);
            let (mut all, mut chunk) = (Vec::new(), vec![0; size]);
            loop {
                let n = server.read(&mut chunk).await.unwrap();
                if n == 0 {
                    break;
                }
                all.extend_from_slice(&chunk[..n]);
            }
            assert_eq!(all, b"first and the rest");
        }
    }

    #[tokio::test]
    async fn the_prefix_is_given_without_waiting_for_the_connection() {
        let (_client, server) = socket_pair().await;
        let mut server = Rewind::new(Bytes::from_static(b"GET /"), server);
        let mut buf = [0; 100];
        assert_eq!(server.read(&mut buf).await.unwrap(), 5);
    }

    /// Bytes that tell when they are freed.
    struct Watched(Arc<AtomicBool>);
    impl AsRef<[u8]> for Watched {
        fn as_ref(&self) -> &[u8] {
            b"abc"
        }
    }
    impl Drop for Watched {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn the_prefix_is_freed_with_its_last_byte() {
        let (_client, server) = socket_pair().await;
        let freed = Arc::new(AtomicBool::new(false));
        let mut server = Rewind::new(Bytes::from_owner(Watched(freed.clone())), server);
        let mut buf = [0; 2];
        server.read_exact(&mut buf).await.unwrap();
        assert!(!freed.load(Ordering::Relaxed));
        server.read_exact(&mut buf[..1]).await.unwrap();
        assert!(freed.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn vectored_writes_pass_through() {
        let (mut client, server) = socket_pair().await;
        let mut server = Rewind::new(Bytes::from_static(b"unread"), server);
        assert!(server.is_write_vectored());
        let parts = [IoSlice::new(b"one "), IoSlice::new(b"call")];
        assert_eq!(server.write_vectored(&parts).await.unwrap(), 8);
        server.shutdown().await.unwrap();
        let mut got = String::new();
        client.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "one call");
        assert_eq!(&server.into_parts().0[..], b"unread");
    }
}
