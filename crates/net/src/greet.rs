//! A connection's first bytes: PROXY header, TLS, the first request. A WebSocket handshake is answered here, from the
//! buffer it was read into; everything else goes on to the HTTP library, with the bytes already read in front.
//!
//! Every wait has a deadline, so a connection that says nothing costs a task for some seconds and no more.

mod proxied;

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use http::request::Parts;
use http::{HeaderValue, Request, header};
use lakh_hub::Id;
use lakh_hub::shard::{App, SessionKey};
use lakh_wire::engine::{HandshakeError, Side, Transport, Version};
use lakh_wire::ws;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

use proxied::read_proxy_header;

use crate::accept::Accepted;
use crate::admission::Reject;
use crate::event_loop::EventLoop;
use crate::forward::{Forwarding, agree, connect};
use crate::forwarded::Peer;
use crate::head::{Head, HeadReader, ParsedHead, header_slots};
use crate::peers::{Came, NODES_ONLY};
use crate::response::{After, write_head_error, write_response, write_switching_protocols};
use crate::shared::Door;
use crate::stream::{Guard, Stream};
use crate::takeover::{ask_to_probe, attach};
use crate::ws::WsConn;

/// Starts serving an accepted connection.
pub(crate) fn start(lp: &Rc<EventLoop>, accepted: Accepted, guard: Guard, door: Door) {
    let peer = accepted.peer();
    match Stream::new(accepted, guard) {
        Ok(stream) => {
            let greeting = Box::pin(read_first_request(Rc::clone(lp), stream, peer, door));
            tokio::task::spawn_local(Life::Greeting { greeting });
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be registered with its event loop")
        }
    }
}

pin_project! {
    /// All that a connection's one task does. What comes first is boxed, so that a WebSocket doesn't carry its size along;
    /// as an `async` block this would hold the later future twice.
    #[project = LifeNow]
    enum Life<G, S> {
        Greeting { greeting: Pin<Box<G>> },
        Serving { #[pin] serving: S },
    }
}

impl<G, S> Future for Life<G, S>
where
    G: Future<Output = io::Result<Option<S>>>,
    S: Future<Output = ()>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let greeted = match self.as_mut().project() {
                LifeNow::Greeting { greeting } => ready!(greeting.as_mut().poll(cx)),
                LifeNow::Serving { serving } => return serving.poll(cx),
            };
            match greeted {
                Ok(Some(serving)) => self.set(Self::Serving { serving }),
                Ok(None) => return Poll::Ready(()),
                Err(error) => {
                    // Resets and time-outs before the first request are everyday's noise.
                    tracing::trace!(%error, "a connection ended before its first request");
                    return Poll::Ready(());
                }
            }
        }
    }
}

async fn within<T>(limit_ms: u64, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(Duration::from_millis(limit_ms), work).await {
        Ok(result) => result,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn read_first_request(
    lp: Rc<EventLoop>,
    mut stream: Stream,
    mut peer: Option<SocketAddr>,
    door: Door,
) -> io::Result<Option<impl Future<Output = ()>>> {
    let timeouts = lp.shared.options.timeouts;
    let mut buffer = Vec::new();
    if lp.shared.options.proxy_protocol && door == Door::Public {
        let reading = Box::pin(read_proxy_header(&lp, &mut stream, peer, &mut buffer));
        let proxied = within(timeouts.proxy_header_ms, reading).await?;
        peer = proxied.or(peer);
    }
    if let Some(tls) = &lp.shared.options.tls
        && door == Door::Public
    {
        let acceptor = tls.acceptor();
        let accepting = Box::pin(stream.accept_tls(&acceptor, std::mem::take(&mut buffer)));
        stream = within(timeouts.tls_ms, accepting).await?;
    }
    let mut reader = HeadReader::default();
    let at = (peer, door);
    let looking = poll_fn(|cx| poll_step(&lp, &mut stream, at, &mut reader, &mut buffer, cx));
    let step = within(timeouts.head_ms, looking).await?;
    match step {
        Step::Open(opening) => {
            let conn = open(&lp, stream, opening);
            return Ok(Some(lp.serve(conn, buffer)));
        }
        // Boxed: these are larger than all the rest, and seldom.
        Step::Http => Box::pin(crate::http::serve(lp, stream, at, buffer.into())).await,
        Step::Refuse(answer) => Box::pin(refuse(&mut stream, &answer)).await?,
        Step::Ask(asking) => {
            let asked = Box::pin(ask(&lp, stream, *asking)).await?;
            return Ok(asked.map(|conn| lp.serve(conn, buffer)));
        }
        Step::Probe(probing) => Box::pin(probe(&lp, stream, *probing, buffer)).await?,
        Step::Forward(elsewhere) => Box::pin(forward(&lp, stream, elsewhere, buffer)).await?,
    }
    Ok(None)
}

/// Reads until it's known what to do. A head that comes in one piece, as nearly all do, is taken from where the loop
/// reads to, without a buffer of its own. At the end `buffer` holds what the step leaves over.
fn poll_step(
    lp: &EventLoop,
    stream: &mut Stream,
    at: (Option<SocketAddr>, Door),
    reader: &mut HeadReader,
    buffer: &mut Vec<u8>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Step>> {
    loop {
        if !buffer.is_empty()
            && let Some((step, used)) = look(lp, stream, at, reader, buffer)
        {
            buffer.drain(..used);
            return Poll::Ready(Ok(step));
        }
        let mut scratch = lp.scratch.borrow_mut();
        let mut read = ReadBuf::new(&mut scratch);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut read))?;
        let bytes = read.filled();
        if bytes.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        if buffer.is_empty()
            && let Some((step, used)) = look(lp, stream, at, reader, bytes)
        {
            buffer.extend_from_slice(&bytes[used..]);
            return Poll::Ready(Ok(step));
        }
        buffer.extend_from_slice(bytes);
    }
}

/// What is to be done with the first request.
enum Step {
    Http,
    Refuse(BytesMut),
    /// A session was opened.
    Open(Opening),
    /// The server's own rule is to be asked first.
    Ask(Box<Asking>),
    Probe(Box<Probing>),
    /// Another node has the session.
    Forward(Box<Elsewhere>),
}

/// A WebSocket whose session is open.
struct Opening {
    key: SessionKey,
    preamble: BytesMut,
    deflate: bool,
}

/// A WebSocket that wants to open a session.
struct Asking {
    app: App,
    version: Version,
    handshake: lakh_hub::Handshake,
    agreed: Agreed,
}

/// A WebSocket that wants to take over a session.
struct Probing {
    sid: Id,
    agreed: Agreed,
}

/// A WebSocket that wants to take over a session of another node.
struct Elsewhere {
    forwarding: Forwarding,
    origin: Option<HeaderValue>,
}

/// What the answer to a handshake is made of.
struct Agreed {
    parts: Option<Box<Parts>>,
    origin: Option<HeaderValue>,
    accept: String,
    deflate: Option<&'static str>,
}

impl Agreed {
    /// The 101, for the session that it opens if it opens one.
    fn preamble(&self, lp: &EventLoop, opened: Option<&Id>) -> BytesMut {
        let headers = lp
            .shared
            .headers(self.parts.as_deref(), self.origin.as_ref(), opened);
        let mut preamble = BytesMut::new();
        write_switching_protocols(&mut preamble, &self.accept, None, self.deflate, &headers);
        preamble
    }

    fn refusal(&self, lp: &EventLoop, reject: Reject) -> BytesMut {
        refusal(lp, reject, self.parts.as_deref(), self.origin.as_ref())
    }
}

/// The step, and how many bytes it has used up. `None`: the head isn't complete.
fn look(
    lp: &EventLoop,
    stream: &mut Stream,
    at: (Option<SocketAddr>, Door),
    reader: &mut HeadReader,
    bytes: &[u8],
) -> Option<(Step, usize)> {
    let mut slots = header_slots();
    let (head, len) = match reader.parse(bytes, &mut slots, lp.shared.options.max_head_bytes) {
        ParsedHead::Partial => return None,
        ParsedHead::Complete { head, len } => (head, len),
        ParsedHead::Invalid(error) => {
            lp.shared.counters.refused("bad_request");
            let mut answer = BytesMut::new();
            write_head_error(&mut answer, error);
            return Some((Step::Refuse(answer), bytes.len()));
        }
    };
    let came = lp.shared.came(&head);
    if at.1 == Door::Nodes && !matches!(came, Came::From(_)) {
        lp.shared.counters.refused("forbidden");
        let mut answer = BytesMut::new();
        write_head_error(&mut answer, NODES_ONLY);
        return Some((Step::Refuse(answer), bytes.len()));
    }
    let Some(app) = lp
        .shared
        .app(head.path())
        .filter(|_| head.wants_websocket())
    else {
        return Some((Step::Http, 0));
    };
    Some(match upgrade(lp, stream, (at.0, came), app, &head) {
        Ok(step) => (step, len),
        Err(answer) => (Step::Refuse(answer), len),
    })
}

fn upgrade(
    lp: &EventLoop,
    stream: &mut Stream,
    (peer, came): (Option<SocketAddr>, Came),
    app: App,
    head: &Head<'_>,
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
    let parts = shared
        .has_hooks()
        .then(|| parts_of(head))
        .flatten()
        .map(Box::new);
    let reject = |reject: Reject| refusal(lp, reject, parts.as_deref(), origin.as_ref());
    shared.may_pass(parts.as_deref()).map_err(reject)?;
    let (query, transport) = shared.query(text).map_err(|error| reject(error.into()))?;
    if transport != Transport::WebSocket {
        return Err(reject(HandshakeError::BadRequest.into()));
    }
    let (accept, deflate) = shared
        .agree(head, &upgrade)
        .map_err(|error| reject(error.into()))?;
    let peer = Peer {
        address: peer,
        secure: stream.is_tls(),
    };
    if let Some(id) = query
        .sid
        .as_ref()
        .and_then(|sid| shared.elsewhere(came == Came::Directly, sid))
    {
        let parts = parts.or_else(|| parts_of(head).map(Box::new));
        let parts =
            parts.ok_or_else(|| refusal(lp, HandshakeError::BadRequest.into(), None, None))?;
        let forwarding = Forwarding {
            id,
            client: shared.client(peer, came, head),
            parts: *parts,
        };
        return Ok(Step::Forward(Box::new(Elsewhere { forwarding, origin })));
    }
    if let Some(sid) = &query.sid {
        let sid = Id::parse(sid).ok_or_else(|| reject(HandshakeError::UnknownSid.into()))?;
        let agreed = Agreed {
            parts,
            origin,
            accept,
            deflate,
        };
        return Ok(Step::Probe(Box::new(Probing { sid, agreed })));
    }
    let client = shared.client(peer, came, head);
    let version = shared
        .admit(&query, client, stream.guard.as_mut())
        .map_err(reject)?;
    let asking = Asking {
        app,
        version,
        handshake: shared.handshake(client, text, head),
        agreed: Agreed {
            parts,
            origin,
            accept,
            deflate,
        },
    };
    if shared.options.hooks.allow_request.is_some() {
        return Ok(Step::Ask(Box::new(asking)));
    }
    Ok(Step::Open(asking.open(lp)))
}

impl Asking {
    /// Opens the session on this loop.
    fn open(self, lp: &EventLoop) -> Opening {
        let opened = lp
            .shard
            .open(self.app, self.version, Transport::WebSocket, self.handshake);
        let mut preamble = self.agreed.preamble(lp, Some(&opened.id));
        lp.take_open_packet(opened.key, &mut preamble);
        Opening {
            key: opened.key,
            preamble,
            deflate: self.agreed.deflate.is_some(),
        }
    }
}

/// The request as the hooks see it.
fn parts_of(head: &Head<'_>) -> Option<Parts> {
    let mut request = Request::builder().method(head.method).uri(head.target);
    for header in head.headers() {
        request = request.header(header.name, header.value);
    }
    Some(request.body(()).ok()?.into_parts().0)
}

/// Passes the connection on to the node that has the session.
async fn forward(
    lp: &EventLoop,
    mut stream: Stream,
    elsewhere: Box<Elsewhere>,
    early: Vec<u8>,
) -> io::Result<()> {
    let forwarding = &elsewhere.forwarding;
    // Boxed, and dropped with the request: neither is to stay for as long as the connection does.
    let agreed = match Box::pin(agree(lp, forwarding)).await {
        Ok(agreed) => agreed,
        Err(refused) => {
            let (parts, origin) = (Some(&forwarding.parts), elsewhere.origin.as_ref());
            let answer = refused.unwrap_or_else(|reject| refusal(lp, reject, parts, origin));
            return Box::pin(refuse(&mut stream, &answer)).await;
        }
    };
    drop(elsewhere);
    connect(lp, stream, early, agreed).await;
    Ok(())
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

/// The transport of a session that was just opened.
fn open(lp: &EventLoop, stream: Stream, opening: Opening) -> Rc<WsConn> {
    let conn = WsConn::new(
        stream,
        opening.key,
        Side::Main,
        opening.deflate,
        opening.preamble.into(),
    );
    lp.set_main(&conn);
    conn
}

/// Asks the server's own rule about a new session.
async fn ask(
    lp: &Rc<EventLoop>,
    mut stream: Stream,
    asking: Asking,
) -> io::Result<Option<Rc<WsConn>>> {
    if let Err(reject) = lp.shared.allowed(asking.agreed.parts.as_deref()).await {
        let answer = asking.agreed.refusal(lp, reject);
        refuse(&mut stream, &answer).await?;
        return Ok(None);
    }
    let opening = asking.open(lp);
    Ok(Some(open(lp, stream, opening)))
}

/// Gives the connection to the loop that owns the session.
async fn probe(
    lp: &Rc<EventLoop>,
    mut stream: Stream,
    probing: Probing,
    early: Vec<u8>,
) -> io::Result<()> {
    let Probing { sid, agreed } = probing;
    let probes = match ask_to_probe(lp, sid).await {
        Ok(probes) => probes,
        Err(error) => {
            let answer = agreed.refusal(lp, error.into());
            return refuse(&mut stream, &answer).await;
        }
    };
    let mut preamble = agreed.preamble(lp, None);
    if !probes {
        preamble.extend_from_slice(&ws::close_frame(1000, ""));
        return refuse(&mut stream, &preamble).await;
    }
    let deflate = agreed.deflate.is_some();
    attach(lp, stream, sid, early, preamble.into(), deflate).await
}
