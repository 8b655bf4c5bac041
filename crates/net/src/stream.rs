//! The connections that a loop serves: TCP, TLS over TCP, or a Unix socket.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::accept::{Accepted, LoopPlace};
use crate::limits::ConnectionPermit;
use crate::rewind::Rewind;

/// What a connection holds as long as it's open: its place in the counts.
#[derive(Debug)]
pub(crate) struct Guard {
    pub permit: ConnectionPermit,
    place: LoopPlace,
}

impl Guard {
    pub(crate) fn new(permit: ConnectionPermit, place: LoopPlace) -> Self {
        Self { permit, place }
    }

    /// The loop that it was dealt to.
    pub(crate) fn loop_index(&self) -> usize {
        self.place.index()
    }
}

/// A connection with its place in the counts.
#[derive(Debug)]
pub(crate) struct Stream {
    pub transport: Transport,
    /// `None` where another connection stands for this one in the counts.
    pub guard: Option<Guard>,
}

#[derive(Debug)]
pub(crate) enum Transport {
    Tcp(TcpStream),
    /// Boxed: a TLS session is a kilobyte, and most connections have none.
    Tls(Box<TlsStream<Rewind<TcpStream>>>),
    Unix(UnixStream),
}

/// A connection between two loops.
#[derive(Debug)]
pub(crate) struct Detached {
    pub accepted: Accepted,
    pub guard: Option<Guard>,
}

impl Detached {
    /// Registers the connection with the loop of the calling thread.
    pub(crate) fn attach(self) -> io::Result<Stream> {
        Stream::new(self.accepted, self.guard)
    }
}

impl Stream {
    /// Registers an accepted connection with the loop of the calling thread.
    pub(crate) fn new(accepted: Accepted, guard: impl Into<Option<Guard>>) -> io::Result<Self> {
        let guard = guard.into();
        Ok(match accepted {
            Accepted::Tcp(stream, _) => Self {
                transport: Transport::Tcp(TcpStream::from_std(stream)?),
                guard,
            },
            Accepted::Unix(stream) => Self {
                transport: Transport::Unix(UnixStream::from_std(stream)?),
                guard,
            },
        })
    }

    /// The server's side of the TLS handshake. `early` are bytes that were read already.
    pub(crate) async fn accept_tls(
        self,
        acceptor: &TlsAcceptor,
        early: Vec<u8>,
    ) -> io::Result<Self> {
        let Self { transport, guard } = self;
        let Transport::Tcp(stream) = transport else {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "TLS is spoken over TCP only",
            ));
        };
        let stream = acceptor.accept(Rewind::new(early.into(), stream)).await?;
        Ok(Self {
            transport: Transport::Tls(Box::new(stream)),
            guard,
        })
    }

    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.transport, Transport::Tls(_))
    }

    /// The socket, where what is written goes straight to it.
    pub(crate) fn tcp(&self) -> Option<&TcpStream> {
        match &self.transport {
            Transport::Tcp(stream) => Some(stream),
            Transport::Tls(_) | Transport::Unix(_) => None,
        }
    }

    /// Has the kernel take no more than so many bytes beyond what is on its way. Best effort: without it slow readers are
    /// noticed later.
    pub(crate) fn limit_unsent(&self, bytes: u32) {
        let tcp = match &self.transport {
            Transport::Tcp(stream) => stream,
            Transport::Tls(stream) => stream.get_ref().0.get_ref(),
            Transport::Unix(_) => return,
        };
        #[cfg(target_os = "linux")]
        if let Err(error) = socket2::SockRef::from(tcp).set_tcp_notsent_lowat(bytes) {
            tracing::debug!(%error, "the kernel keeps back as much as it likes");
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (tcp, bytes);
    }

    /// Takes the connection off the calling thread's loop, to be registered with another. `None` for TLS, whose
    /// library keeps its socket.
    pub(crate) fn detach(self) -> io::Result<Result<Detached, Self>> {
        let Self { transport, guard } = self;
        let accepted = match transport {
            Transport::Tcp(stream) => {
                let at = stream.peer_addr()?;
                Accepted::Tcp(stream.into_std()?, at)
            }
            Transport::Unix(stream) => Accepted::Unix(stream.into_std()?),
            tls @ Transport::Tls(_) => {
                return Ok(Err(Self {
                    transport: tls,
                    guard,
                }));
            }
        };
        Ok(Ok(Detached { accepted, guard }))
    }

    /// Writes without waiting. `WouldBlock` asks for [`Stream::poll_writable`].
    pub(crate) fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.transport {
            // One slice is what most handshakes are answered with, and send(2) is a little cheaper than writev(2).
            Transport::Tcp(stream) => match slices {
                [one] => stream.try_write(one),
                _ => stream.try_write_vectored(slices),
            },
            Transport::Unix(stream) => stream.try_write_vectored(slices),
            Transport::Tls(stream) => {
                let mut cx = Context::from_waker(Waker::noop());
                let mut stream = Pin::new(&mut **stream);
                match stream.as_mut().poll_write_vectored(&mut cx, slices) {
                    Poll::Ready(Ok(written)) => {
                        // What the library still holds back goes out with the next write or `poll_writable`.
                        match stream.poll_flush(&mut cx) {
                            Poll::Ready(Err(error)) => Err(error),
                            _ => Ok(written),
                        }
                    }
                    Poll::Ready(Err(error)) => Err(error),
                    Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
                }
            }
        }
    }

    /// Ready when a write may get somewhere.
    pub(crate) fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Tcp(stream) => stream.poll_write_ready(cx),
            Transport::Unix(stream) => stream.poll_write_ready(cx),
            Transport::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    /// Whether bytes may still wait inside the TLS library.
    pub(crate) fn holds_back(&self) -> bool {
        match &self.transport {
            Transport::Tls(stream) => stream.get_ref().1.wants_write(),
            Transport::Tcp(_) | Transport::Unix(_) => false,
        }
    }
}

macro_rules! with_transport {
    ($self:expr, $stream:ident => $call:expr) => {
        match &mut $self.get_mut().transport {
            Transport::Tcp($stream) => $call,
            Transport::Unix($stream) => $call,
            Transport::Tls(boxed) => {
                let $stream = &mut **boxed;
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        with_transport!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        with_transport!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with_transport!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with_transport!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        with_transport!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}
