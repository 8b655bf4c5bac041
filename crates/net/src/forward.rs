//! Requests for sessions of other nodes: passed on to the owner, and its answer passed back.
//!
//! Where a balancer sends each request anywhere, most of a client's requests meet a node that doesn't have its session.
//! The beginning of the session's id names the node that has. Invariants: what was forwarded to this node is not forwarded
//! again; all connections to other nodes are among those that `limits` bound; whose owner is unknown, away or silent is
//! answered as for an unknown session, so that its client comes back with a new one.

mod dial;
mod heads;
mod splice;
mod upgrade;

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_util::client::legacy::{Client as HttpClient, Error as HttpError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use lakh_hub::Id;
use lakh_wire::engine::HandshakeError;

use crate::admission::Reject;
use crate::event_loop::EventLoop;
use crate::forwarded::{Client, HeaderSource, Peer, resolve_client};
use crate::limits::Refusal;
use crate::options::Options;
use crate::peers::{Came, HEADER, Node};
use crate::shared::Shared;

pub(crate) use upgrade::{Forwarding, agree, connect, switch};

/// A loop's client of the other nodes.
pub(crate) type Upstream = HttpClient<dial::Dial, Full<Bytes>>;

/// Unused connections that are kept to each node, by each loop.
const KEPT: usize = 64;
/// How long. The other node must not be the first to close one.
const KEPT_FOR: Duration = Duration::from_secs(30);
/// An unknown node may have come just now. Its client waits for another look at most so long.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What was forwarded, in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Polling,
    WebSocket,
}

/// How that ended, in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The owner has answered, whatever it says.
    Answered,
    /// No node has that tag.
    NoOwner,
    /// The owner could not be connected to.
    Unreachable,
    /// Its connection broke, or it was silent for too long.
    Broken,
    /// This process has as many connections as it may.
    Full,
}

const KINDS: [&str; 2] = ["polling", "websocket"];
const OUTCOMES: [&str; 5] = ["answered", "no_owner", "unreachable", "broken", "full"];

/// Counts what is forwarded.
#[derive(Debug, Default)]
pub(crate) struct Forwards {
    requests: [[AtomicU64; OUTCOMES.len()]; KINDS.len()],
    open: [AtomicUsize; KINDS.len()],
}

/// Requests that were forwarded to other nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardCount {
    /// `polling` or `websocket`.
    pub kind: &'static str,
    /// `answered`, `no_owner`, `unreachable`, `broken` or `full`.
    pub result: &'static str,
    /// How many.
    pub count: u64,
}

impl Forwards {
    fn count(&self, kind: Kind, outcome: Outcome) {
        self.requests[kind as usize][outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// All counts.
    pub(crate) fn counts(&self) -> Vec<ForwardCount> {
        let kinds = KINDS.iter().zip(&self.requests);
        let all = kinds.flat_map(|(kind, counts)| {
            let results = OUTCOMES.iter().zip(counts);
            results.map(|(result, count)| ForwardCount {
                kind,
                result,
                count: count.load(Ordering::Relaxed),
            })
        });
        all.collect()
    }

    /// Forwarded requests and WebSockets that are open now.
    pub(crate) fn open(&self) -> [(&'static str, usize); KINDS.len()] {
        [0, 1].map(|kind| (KINDS[kind], self.open[kind].load(Ordering::Relaxed)))
    }

    pub(crate) fn open_websockets(&self) -> usize {
        self.open[Kind::WebSocket as usize].load(Ordering::Relaxed)
    }
}

/// Counts one that is open.
pub(crate) struct Open(Arc<Shared>, Kind);

impl Open {
    fn new(shared: &Arc<Shared>, kind: Kind) -> Self {
        shared.counters.forwards.open[kind as usize].fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shared), kind)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.counters.forwards.open[self.1 as usize].fetch_sub(1, Ordering::Relaxed);
    }
}

impl From<Outcome> for Reject {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Full => Refusal::ProcessFull.into(),
            _ => HandshakeError::UnknownSid.into(),
        }
    }
}

impl Shared {
    /// How a request came.
    pub(crate) fn came(&self, headers: &impl HeaderSource) -> Came {
        let fleet = self.options.fleet.as_ref();
        fleet.map_or(Came::Directly, |fleet| fleet.came(headers))
    }

    /// The client behind a request.
    pub(crate) fn client(&self, peer: Peer, came: Came, headers: &impl HeaderSource) -> Client {
        let options = &self.options;
        match came {
            Came::From(client) => client,
            _ => resolve_client(peer, options.forwarded_by, &options.trusted, headers),
        }
    }

    /// The id of a session that another node has, if this request may be forwarded there: one that came `direct`ly.
    pub(crate) fn elsewhere(&self, direct: bool, sid: &str) -> Option<Id> {
        if self.options.fleet.is_none() || !direct {
            return None;
        }
        Id::parse(sid).filter(|id| id.node() != self.hub.node_tag().as_str())
    }

    async fn owner(&self, id: &Id) -> Result<Node, Outcome> {
        let fleet = self.options.fleet.as_ref().ok_or(Outcome::NoOwner)?;
        if let Some(node) = fleet.peers.find(id.node()) {
            return Ok(node);
        }
        // That it took too long shows in what is found.
        let _ = tokio::time::timeout(LOOK_AGAIN, fleet.peers.read_again()).await;
        fleet.peers.find(id.node()).ok_or(Outcome::NoOwner)
    }
}

/// A client for the loop of the calling thread.
pub(crate) fn upstream(shared: &Arc<Shared>) -> Upstream {
    HttpClient::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(kept_for(&shared.options))
        .pool_max_idle_per_host(KEPT)
        .build(dial::Dial(Arc::clone(shared)))
}

/// The other nodes have the same settings as this one, more or less.
fn kept_for(options: &Options) -> Duration {
    Duration::from_millis(options.timeouts.keep_alive_idle_ms / 2).min(KEPT_FOR)
}

/// What is passed on.
pub(crate) struct Passed<'a> {
    pub id: Id,
    pub client: Client,
    pub parts: &'a Parts,
    pub body: Bytes,
    pub kind: Kind,
    /// For the owner to begin its answer.
    pub wait: Duration,
}

/// Sends a request to the owner of its session. What is counted is how this ended.
pub(crate) async fn pass(
    lp: &EventLoop,
    passed: Passed<'_>,
) -> Result<(Response<Incoming>, Open), Outcome> {
    let (kind, shared) = (passed.kind, &lp.shared);
    let open = Open::new(shared, kind);
    let answer = ask(lp, passed).await;
    let outcome = answer.as_ref().err().copied();
    let forwards = &shared.counters.forwards;
    forwards.count(kind, outcome.unwrap_or(Outcome::Answered));
    Ok((answer?, open))
}

async fn ask(lp: &EventLoop, passed: Passed<'_>) -> Result<Response<Incoming>, Outcome> {
    let node = lp.shared.owner(&passed.id).await?;
    let wait = passed.wait;
    // What the client wrote into its request must be a request for the owner, too.
    let request = request_to(lp, &node, passed).ok_or(Outcome::Broken)?;
    match tokio::time::timeout(wait, lp.upstream().request(request)).await {
        Ok(answer) => answer.map_err(|error| {
            let outcome = outcome_of(&error);
            tracing::debug!(address = %node.address, %error, "a request could not be forwarded");
            outcome
        }),
        Err(_) => Err(Outcome::Broken),
    }
}

fn outcome_of(error: &HttpError) -> Outcome {
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.downcast_ref::<std::io::Error>();
        if inner.is_some_and(|error| error.get_ref().is_some_and(|error| error.is::<Refusal>())) {
            return Outcome::Full;
        }
        cause = error.source();
    }
    match error.is_connect() {
        true => Outcome::Unreachable,
        false => Outcome::Broken,
    }
}

fn request_to(lp: &EventLoop, node: &Node, passed: Passed<'_>) -> Option<Request<Full<Bytes>>> {
    let parts = passed.parts;
    let uri = Uri::builder()
        .scheme("http")
        .authority(node.address.to_string())
        .path_and_query(parts.uri.path_and_query()?.clone())
        .build()
        .ok()?;
    let mut request = Request::new(Full::new(passed.body));
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = uri;
    let mut headers = heads::request(&parts.headers);
    heads::tell(&mut headers, lp.shared.options.forwarded_by, passed.client);
    let tag = lp.shared.hub.node_tag();
    headers.insert(HEADER, node.vouch(tag.as_str(), passed.client)?);
    if passed.kind == Kind::WebSocket {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
    *request.headers_mut() = headers;
    Some(request)
}

/// Passes on a long poll, or a POST whose body has come.
pub(crate) async fn polling(
    lp: &EventLoop,
    id: Id,
    client: Client,
    parts: &Parts,
    body: Bytes,
) -> Result<Response<Body>, Reject> {
    let engine = &lp.shared.hub.settings().engine;
    let passed = Passed {
        id,
        client,
        parts,
        body,
        kind: Kind::Polling,
        // After this the client itself takes the session for lost.
        wait: Duration::from_millis(engine.ping_interval.0 + engine.ping_timeout.0),
    };
    let (answer, open) = pass(lp, passed).await?;
    Ok(answered(answer, open))
}

/// The owner's answer, as it is.
pub(crate) fn answered(answer: Response<Incoming>, open: Open) -> Response<Body> {
    let (head, body) = answer.into_parts();
    let mut answer = Response::new(Body::new(Carried { body, _open: open }));
    *answer.status_mut() = head.status;
    *answer.headers_mut() = heads::answer(&head.headers);
    answer
}

/// A body on its way from the owner to the client; read as the client takes it.
struct Carried {
    body: Incoming,
    _open: Open,
}

impl hyper::body::Body for Carried {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
