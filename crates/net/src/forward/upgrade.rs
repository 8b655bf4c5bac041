//! WebSockets for sessions of other nodes: the owner is asked, and when it has agreed the two connections are made one.

use std::rc::Rc;
use std::time::Duration;

use axum::body::Body;
use bytes::BytesMut;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use lakh_hub::Id;
use lakh_wire::engine::HandshakeError;

use super::dial::PeerStream;
use super::splice::splice;
use super::{Kind, Open, Passed, answered, heads, pass};
use crate::admission::Reject;
use crate::drain::LifePhase;
use crate::event_loop::EventLoop;
use crate::forwarded::Client;
use crate::response::{After, write_response, write_switched};
use crate::stream::Stream;

/// An owner agrees to a WebSocket, or doesn't, without waiting for anybody.
const ANSWER: Duration = Duration::from_secs(5);
/// The body of a refusal is a line of text.
const MAX_REFUSAL_BYTES: usize = 4096;

/// A WebSocket that is to be forwarded.
pub(crate) struct Forwarding {
    pub id: Id,
    pub client: Client,
    pub parts: Parts,
}

impl Forwarding {
    async fn ask(&self, lp: &EventLoop) -> Result<(Response<Incoming>, Open), Reject> {
        let passed = Passed {
            id: self.id,
            client: self.client,
            parts: &self.parts,
            body: Default::default(),
            kind: Kind::WebSocket,
            wait: ANSWER,
        };
        Ok(pass(lp, passed).await?)
    }
}

/// A connection to the owner that has agreed, and what its client is to get first.
pub(crate) struct Agreed {
    owner: PeerStream,
    first: Vec<u8>,
    open: Open,
}

/// Asks the owner about a WebSocket whose handshake was read here.
///
/// # Errors
/// The answer that the client gets instead: the owner's, or one of this node's own.
pub(crate) async fn agree(
    lp: &EventLoop,
    forwarding: &Forwarding,
) -> Result<Agreed, Result<BytesMut, Reject>> {
    let (mut answer, open) = forwarding.ask(lp).await.map_err(Err)?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(Ok(refusal(answer).await));
    }
    let mut first = BytesMut::new();
    write_switched(&mut first, &switched(&answer));
    let lost = Reject::from(HandshakeError::UnknownSid);
    let (owner, rest) = peer(&mut answer).await.ok_or(Err(lost))?;
    first.extend_from_slice(&rest);
    Ok(Agreed {
        owner,
        first: first.into(),
        open,
    })
}

/// Passes on what the client and the owner say. `early` came behind the client's handshake.
pub(crate) async fn connect(lp: &EventLoop, client: Stream, early: Vec<u8>, agreed: Agreed) {
    let Agreed { owner, first, open } = agreed;
    run(lp, (client, early), (owner, first), open).await;
}

/// Forwards a WebSocket on a connection that the HTTP library has. `client` gives it, once the 101 is written.
pub(crate) async fn switch(
    lp: &Rc<EventLoop>,
    forwarding: &Forwarding,
    client: impl Future<Output = Option<(Stream, Vec<u8>)>> + 'static,
) -> Result<Response<Body>, Reject> {
    let (mut answer, open) = forwarding.ask(lp).await?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(answered(answer, open));
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = switched(&answer);
    let lp = Rc::clone(lp);
    tokio::task::spawn_local(async move {
        let (Some((owner, rest)), Some(client)) = (peer(&mut answer).await, client.await) else {
            return;
        };
        run(&lp, client, (owner, rest), open).await;
    });
    Ok(response)
}

/// The fields of a 101.
fn switched(answer: &Response<Incoming>) -> http::HeaderMap {
    let mut headers = heads::answer(answer.headers());
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers
}

/// The connection to the owner, and what came behind its 101.
async fn peer(answer: &mut Response<Incoming>) -> Option<(PeerStream, Vec<u8>)> {
    let upgraded = hyper::upgrade::on(answer).await.ok()?;
    let parts = upgraded.downcast::<TokioIo<PeerStream>>().ok()?;
    Some((parts.io.into_inner(), parts.read_buf.into()))
}

/// The owner's refusal, as it is.
async fn refusal(answer: Response<Incoming>) -> BytesMut {
    let (head, body) = answer.into_parts();
    let body = tokio::time::timeout(ANSWER, Limited::new(body, MAX_REFUSAL_BYTES).collect()).await;
    // A text that is broken off says no less than none.
    let body = body.ok().and_then(Result::ok).map(|body| body.to_bytes());
    let mut headers = heads::answer(&head.headers);
    headers.remove(header::CONTENT_LENGTH);
    let mut written = BytesMut::new();
    let body = body.unwrap_or_default();
    write_response(
        &mut written,
        head.status,
        &[],
        &headers,
        &body,
        After::Close,
    );
    written
}

/// Until one end closes, or this node drains: then each goes at a time of its own, as this node's sessions do.
async fn run(lp: &EventLoop, client: (Stream, Vec<u8>), owner: (PeerStream, Vec<u8>), open: Open) {
    let linger = Duration::from_millis(lp.shared.options.timeouts.close_ms);
    let joined = splice(&lp.scratch, client, owner, linger);
    let ended = tokio::select! {
        ended = joined => ended,
        () = drained(lp) => Ok(()),
    };
    drop(open);
    if let Err(error) = ended {
        tracing::trace!(%error, "a forwarded connection ended badly");
    }
}

async fn drained(lp: &EventLoop) {
    lp.shared.lifecycle.reached(LifePhase::Draining).await;
    let window_ms = lp.shared.options.drain_window_ms.max(1);
    let after_ms = u64::from(lp.shared.hub.random()) % window_ms;
    tokio::time::sleep(Duration::from_millis(after_ms)).await;
}
