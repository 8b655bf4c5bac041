//! A connection's first bytes: PROXY header, TLS, the first request. A WebSocket handshake is answered here, from the
//! buffer it was read into; everything else goes on to the HTTP library, with the bytes already read in front.
//!
//! Every wait has a deadline, so a connection that says nothing costs a task for some seconds and no more.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderValue, Request, header};
use lakh_hub::Id;
use lakh_hub::shard::App;
use lakh_wire::engine::handshake::Query;
use lakh_wire::engine::{HandshakeError, Side, Transport};
use lakh_wire::ws;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use crate::accept::Accepted;
use crate::admission::Reject;
use crate::event_loop::EventLoop;
use crate::forwarded::{Client, Peer, resolve_client};
use crate::head::{Head, HeadReader, ParsedHead, header_slots};
use crate::proxy::{ProxyHeader, parse_proxy_header};
use crate::response::{After, write_head_error, write_response, write_switching_protocols};
use crate::shared::{Attach, Handed, Message};
use crate::stream::{Detached, Guard, Stream};
use crate::ws::WsConn;

/// Starts serving an accepted connection.
pub(crate) fn start(lp: &Rc<EventLoop>, accepted: Accepted, guard: Guard) {
    match Stream::new(accepted, guard) {
        Ok(stream) => {
            tokio::task::spawn_local(greet(Rc::clone(lp), stream));
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be registered with its event loop")
        }
    }
}

/// Boxed where it's large, so that the task that outlives the greeting doesn't carry its size.
async fn greet(lp: Rc<EventLoop>, stream: Stream) {
    let greeted: Pin<Box<dyn Future<Output = io::Result<()>>>> =
        Box::pin(read_first_request(Rc::clone(&lp), stream));
    // Resets and time-outs before the first request are everyday's noise.
    if let Err(error) = greeted.await {
        tracing::trace!(%error, "a connection ended before its first request");
    }
}

async fn within<T>(limit_ms: u64, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(Duration::from_millis(limit_ms), work).await {
        Ok(result) => result,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn read_first_request(lp: Rc<EventLoop>, mut stream: Stream) -> io::Result<()> {
    let timeouts = lp.shared.options.timeouts;
    let mut buffer = Vec::new();
    if lp.shared.options.proxy_protocol {
        let peer = within(
            timeouts.proxy_header_ms,
            read_proxy_header(&lp, &mut stream, &mut buffer),
        )
        .await?;
        stream.peer = peer.or(stream.peer);
    }
    if let Some(tls) = &lp.shared.options.tls {
        stream = within(
            timeouts.tls_ms,
            stream.accept_tls(&tls.acceptor(), std::mem::take(&mut buffer)),
        )
        .await?;
    }
    let mut reader = HeadReader::default();
    let step = within(timeouts.head_ms, async {
        loop {
            if let Some(step) = look(&lp, &stream, &mut reader, &buffer) {
                return Ok(step);
            }
            if read_more(&mut stream, &mut buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    })
    .await?;
    match step {
        Step::Http => {
            crate::http::serve(lp, stream, Bytes::from(buffer)).await;
            Ok(())
        }
        Step::Refuse(answer) => refuse(&mut stream, &answer).await,
        Step::Open(opening) => {
            let early = buffer.split_off(opening.head_len);
            drop(buffer);
            open(&lp, stream, *opening, early).await
        }
        Step::Probe(probing) => {
            let early = buffer.split_off(probing.head_len);
            drop(buffer);
            probe(&lp, stream, *probing, early).await
        }
    }
}

async fn read_more(stream: &mut Stream, buffer: &mut Vec<u8>) -> io::Result<usize> {
    /// A browser's handshake with cookies fits.
    const FIRST: usize = 2048;
    buffer.reserve(FIRST);
    stream.read_buf(buffer).await
}

async fn read_proxy_header(
    lp: &EventLoop,
    stream: &mut Stream,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<SocketAddr>> {
    let trusted = match stream.peer {
        Some(peer) => lp.shared.options.trusted.contains(peer.ip()),
        None => lp.shared.options.trusted.contains_unix(),
    };
    if !trusted {
        tracing::warn!(peer = ?stream.peer, "a connection that isn't from a trusted proxy was closed");
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

/// What is to be done with the first request.
enum Step {
    Http,
    Refuse(BytesMut),
    Open(Box<Opening>),
    Probe(Box<Probing>),
}

/// A WebSocket that opens a session.
struct Opening {
    head_len: usize,
    app: App,
    query: Query,
    handshake: lakh_hub::Handshake,
    client: Client,
    parts: Option<Parts>,
    origin: Option<HeaderValue>,
    accept: String,
    deflate: Option<&'static str>,
}

/// A WebSocket that wants to take over a session.
struct Probing {
    head_len: usize,
    sid: Id,
    parts: Option<Parts>,
    origin: Option<HeaderValue>,
    accept: String,
    deflate: Option<&'static str>,
}

/// `None`: the head isn't complete.
fn look(lp: &EventLoop, stream: &Stream, reader: &mut HeadReader, buffer: &[u8]) -> Option<Step> {
    if buffer.is_empty() {
        return None;
    }
    let mut slots = header_slots();
    let (head, head_len) = match reader.parse(buffer, &mut slots, lp.shared.options.max_head_bytes)
    {
        ParsedHead::Partial => return None,
        ParsedHead::Complete { head, len } => (head, len),
        ParsedHead::Invalid(error) => {
            lp.shared.counters.refused("bad_request");
            let mut answer = BytesMut::new();
            write_head_error(&mut answer, error);
            return Some(Step::Refuse(answer));
        }
    };
    let Some(app) = lp
        .shared
        .app(head.path())
        .filter(|_| head.wants_websocket())
    else {
        return Some(Step::Http);
    };
    Some(match upgrade(lp, stream, app, &head, head_len) {
        Ok(step) => step,
        Err(answer) => Step::Refuse(answer),
    })
}

fn upgrade(
    lp: &EventLoop,
    stream: &Stream,
    app: App,
    head: &Head<'_>,
    head_len: usize,
) -> Result<Step, BytesMut> {
    let shared = &lp.shared;
    let upgrade = head.websocket_upgrade().map_err(|error| {
        shared.counters.refused("bad_request");
        let mut answer = BytesMut::new();
        write_head_error(&mut answer, error);
        answer
    })?;
    let text = head.query().unwrap_or_default();
    let origin = upgrade
        .origin
        .and_then(|origin| HeaderValue::from_str(origin).ok());
    let parts = shared.has_hooks().then(|| parts_of(head)).flatten();
    let reject = |reject: Reject| refusal(lp, reject, parts.as_ref(), origin.as_ref());
    shared.may_pass(parts.as_ref()).map_err(reject)?;
    let (query, transport) = shared.query(text).map_err(|error| reject(error.into()))?;
    if transport != Transport::WebSocket {
        return Err(reject(HandshakeError::BadRequest.into()));
    }
    let (accept, deflate) = shared
        .agree(head, &upgrade)
        .map_err(|error| reject(error.into()))?;
    if let Some(sid) = &query.sid {
        let sid = Id::parse(sid).ok_or_else(|| reject(HandshakeError::UnknownSid.into()))?;
        return Ok(Step::Probe(Box::new(Probing {
            head_len,
            sid,
            parts,
            origin,
            accept,
            deflate,
        })));
    }
    let peer = Peer {
        address: stream.peer,
        secure: stream.is_tls(),
    };
    let client = resolve_client(
        peer,
        shared.options.forwarded_by,
        &shared.options.trusted,
        head,
    );
    let handshake = shared.handshake(client, text, head);
    let opening = Opening {
        head_len,
        app,
        query,
        handshake,
        client,
        parts,
        origin,
        accept,
        deflate,
    };
    Ok(Step::Open(Box::new(opening)))
}

/// The request as the hooks see it.
fn parts_of(head: &Head<'_>) -> Option<Parts> {
    let mut request = Request::builder().method(head.method).uri(head.target);
    for header in head.headers() {
        request = request.header(header.name, header.value);
    }
    Some(request.body(()).ok()?.into_parts().0)
}

fn refusal(
    lp: &EventLoop,
    reject: Reject,
    parts: Option<&Parts>,
    origin: Option<&HeaderValue>,
) -> BytesMut {
    lp.shared.counters.refused(reject.word());
    let refused = reject.answer(lp.shared.hub.random());
    let mut headers = lp.shared.headers(parts, origin, None);
    if let Some(seconds) = refused.retry_after_s {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    let content_type = if refused.is_json {
        "application/json"
    } else {
        "text/plain; charset=utf-8"
    };
    let mut answer = BytesMut::new();
    let fields = [("Content-Type", content_type)];
    write_response(
        &mut answer,
        refused.status,
        &fields,
        &headers,
        refused.body.as_bytes(),
        After::Close,
    );
    answer
}

pub(crate) async fn refuse(stream: &mut Stream, answer: &[u8]) -> io::Result<()> {
    const LINGER: Duration = Duration::from_secs(2);
    stream.write_all(answer).await?;
    stream.shutdown().await?;
    // The rest of the request is read away: closing over it would reset the connection and lose the answer.
    let mut rest = [0; 1024];
    let read_away = async { while stream.read(&mut rest).await.is_ok_and(|n| n > 0) {} };
    let _ = tokio::time::timeout(LINGER, read_away).await;
    Ok(())
}

/// Opens a session on this loop.
async fn open(
    lp: &Rc<EventLoop>,
    mut stream: Stream,
    opening: Opening,
    early: Vec<u8>,
) -> io::Result<()> {
    let shared = &lp.shared;
    let mut admitted = shared.admit(&opening.query, opening.client, stream.guard.as_mut());
    if admitted.is_ok()
        && let Err(reject) = shared.allowed(opening.parts.as_ref()).await
    {
        admitted = Err(reject);
    }
    let version = match admitted {
        Ok(version) => version,
        Err(reject) => {
            let answer = refusal(lp, reject, opening.parts.as_ref(), opening.origin.as_ref());
            return refuse(&mut stream, &answer).await;
        }
    };
    let opened = lp.shard.open(
        opening.app,
        version,
        Transport::WebSocket,
        opening.handshake,
    );
    let headers = shared.headers(
        opening.parts.as_ref(),
        opening.origin.as_ref(),
        Some(&opened.id),
    );
    let mut preamble = BytesMut::new();
    write_switching_protocols(
        &mut preamble,
        &opening.accept,
        None,
        opening.deflate,
        &headers,
    );
    let deflate = opening.deflate.is_some();
    let conn = WsConn::new(stream, opened.key, Side::Main, deflate, preamble.into());
    lp.serve_main(opened.key, conn, early);
    Ok(())
}

/// Gives the connection to the loop that owns the session.
async fn probe(
    lp: &Rc<EventLoop>,
    mut stream: Stream,
    probing: Probing,
    early: Vec<u8>,
) -> io::Result<()> {
    let asked = ask_to_probe(lp, probing.sid).await;
    let probes = match asked {
        Ok(probes) => probes,
        Err(error) => {
            let answer = refusal(
                lp,
                error.into(),
                probing.parts.as_ref(),
                probing.origin.as_ref(),
            );
            return refuse(&mut stream, &answer).await;
        }
    };
    let headers = lp
        .shared
        .headers(probing.parts.as_ref(), probing.origin.as_ref(), None);
    let mut preamble = BytesMut::new();
    write_switching_protocols(
        &mut preamble,
        &probing.accept,
        None,
        probing.deflate,
        &headers,
    );
    if !probes {
        preamble.extend_from_slice(&ws::close_frame(1000, ""));
        return refuse(&mut stream, &preamble).await;
    }
    attach(
        lp,
        stream,
        probing.sid,
        early,
        preamble.into(),
        probing.deflate.is_some(),
    )
    .await
}

/// Asks the owner of a session whether a WebSocket may take it over. `false`: the session has a WebSocket already, or
/// one is on its way; as in Node, the newcomer is let in and closed again.
pub(crate) async fn ask_to_probe(lp: &Rc<EventLoop>, sid: Id) -> Result<bool, HandshakeError> {
    if sid.shard() >= lp.shared.inboxes.len() {
        return Err(HandshakeError::UnknownSid);
    }
    let (reply, answer) = oneshot::channel();
    lp.send(sid.shard(), Message::Probe { sid, reply }).await;
    match answer.await.unwrap_or(Err(HandshakeError::UnknownSid)) {
        Ok(()) => Ok(true),
        Err(HandshakeError::UnknownSid) => Err(HandshakeError::UnknownSid),
        Err(_) => Ok(false),
    }
}

/// Hands a WebSocket to the loop that owns its session.
pub(crate) async fn attach(
    lp: &Rc<EventLoop>,
    stream: Stream,
    sid: Id,
    early: Vec<u8>,
    preamble: Vec<u8>,
    deflate: bool,
) -> io::Result<()> {
    let owner = sid.shard();
    let stream = if owner == lp.index {
        Handed::Here(stream)
    } else {
        hand_over(stream)?
    };
    lp.send(
        owner,
        Message::Attach(Box::new(Attach {
            sid,
            stream,
            early,
            preamble,
            deflate,
        })),
    )
    .await;
    Ok(())
}

fn hand_over(stream: Stream) -> io::Result<Handed> {
    match stream.detach()? {
        Ok(detached) => Ok(Handed::Detached(detached)),
        Err(mut tls) => {
            // The TLS library can't be moved to another loop's epoll: this loop goes on with it, and the owner gets
            // the other end of a pair. Only upgrades over TLS with several loops come here.
            let (here, there) = tokio::net::UnixStream::pair()?;
            let peer = tls.peer;
            tokio::task::spawn_local(async move {
                let mut here = here;
                // Ends when either side does.
                let _ = tokio::io::copy_bidirectional(&mut tls, &mut here).await;
            });
            Ok(Handed::Detached(Detached {
                accepted: Accepted::Unix(there.into_std()?),
                peer,
                guard: None,
            }))
        }
    }
}
