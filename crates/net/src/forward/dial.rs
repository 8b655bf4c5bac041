//! Connections to other nodes. Each takes a place among this process's connections, since it takes a descriptor.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower::Service;

use crate::limits::ConnectionPermit;
use crate::shared::Shared;

/// Nodes stand near each other: one that takes longer is away.
const CONNECT: Duration = Duration::from_millis(1_500);
/// After so much silence a machine is asked whether it is still there. One that vanished without a word gets as long to
/// answer as for any other byte (`write_ms`).
const SILENCE: Duration = Duration::from_secs(10);
const PROBE: Duration = Duration::from_secs(5);

/// A connection to another node.
#[derive(Debug)]
pub(crate) struct PeerStream {
    tcp: TcpStream,
    _permit: ConnectionPermit,
}

/// Connects to nodes, for the HTTP library.
#[derive(Clone)]
pub(crate) struct Dial(pub(crate) Arc<Shared>);

impl Service<Uri> for Dial {
    type Response = TokioIo<PeerStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move { Ok(TokioIo::new(connect(&shared, &to).await?)) })
    }
}

async fn connect(shared: &Shared, to: &Uri) -> io::Result<PeerStream> {
    let address = to.authority().and_then(|at| at.as_str().parse().ok());
    let address: SocketAddr = address.ok_or(io::ErrorKind::AddrNotAvailable)?;
    let permit = shared.cap.try_open().map_err(io::Error::other)?;
    let tcp = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await??;
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(&tcp);
    let keep_alive = TcpKeepalive::new().with_time(SILENCE).with_interval(PROBE);
    socket.set_tcp_keepalive(&keep_alive.with_retries(3))?;
    #[cfg(target_os = "linux")]
    {
        let write_ms = shared.options.timeouts.write_ms;
        socket.set_tcp_user_timeout(Some(Duration::from_millis(write_ms)))?;
    }
    Ok(PeerStream {
        tcp,
        _permit: permit,
    })
}

impl Connection for PeerStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for PeerStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}
