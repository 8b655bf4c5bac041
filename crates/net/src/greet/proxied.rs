//! The PROXY header in front of a connection's first request.

use std::io;
use std::net::SocketAddr;

use tokio::io::AsyncReadExt;

use crate::event_loop::EventLoop;
use crate::proxy::{ProxyHeader, parse_proxy_header};
use crate::stream::Stream;

async fn read_more(stream: &mut Stream, buffer: &mut Vec<u8>) -> io::Result<usize> {
    /// A browser's handshake with cookies fits.
    const FIRST: usize = 2048;
    buffer.reserve(FIRST);
    stream.read_buf(buffer).await
}

/// Reads it, and what came with it. Only trusted proxies may send one.
pub(super) async fn read_proxy_header(
    lp: &EventLoop,
    stream: &mut Stream,
    peer: Option<SocketAddr>,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<SocketAddr>> {
    let trusted = match peer {
        Some(peer) => lp.shared.options.trusted.contains(peer.ip()),
        None => lp.shared.options.trusted.contains_unix(),
    };
    if !trusted {
        tracing::warn!(
            ?peer,
            "a connection that isn't from a trusted proxy was closed"
        );
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    loop {
        if read_more(stream, buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match parse_proxy_header(buffer) {
            ProxyHeader::NeedMore => {}
            ProxyHeader::Complete(proxied) => {
                buffer.drain(..proxied.consumed);
                return Ok(proxied.addresses.map(|(source, _)| source));
            }
            ProxyHeader::Invalid(error) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
    }
}
