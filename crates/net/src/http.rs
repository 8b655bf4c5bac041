//! Everything that isn't a WebSocket from the start: long polling, the page, the API, metrics; over HTTP/1.1 with
//! keep-alive. The library reads requests and writes answers; what is not on the engine's path goes to the router.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tower::ServiceExt;

use crate::drain::LifePhase;
use crate::event_loop::EventLoop;
use crate::forwarded::Peer;
use crate::peers::{Came, NODES_ONLY};
use crate::rewind::{Rewind, SharedStream};
use crate::shared::Door;
use crate::stream::{Guard, Stream};

/// A connection as the HTTP library holds it.
type HttpIo = TokioIo<SharedStream>;

/// What the requests of a connection see of it.
pub(crate) struct Held {
    /// The connection's place in the counts: requests tell whose it is, and an upgrade takes it along.
    pub guard: RefCell<Option<Guard>>,
    /// A long poll waits, and its session wants to know when the client goes away.
    pub polled: Cell<bool>,
}

impl Held {
    /// Watches for the client going away, until what is given is dropped.
    pub(crate) fn watch(&self) -> Watch<'_> {
        self.polled.set(true);
        Watch(self)
    }
}

/// While it's there, the connection's task looks whether the client is.
pub(crate) struct Watch<'a>(&'a Held);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.0.polled.set(false);
    }
}

/// Serves a connection whose first bytes were read already.
pub(crate) async fn serve(
    lp: Rc<EventLoop>,
    mut stream: Stream,
    (address, door): (Option<SocketAddr>, Door),
    early: Bytes,
) {
    let peer = Peer {
        address,
        secure: stream.is_tls(),
    };
    let held = Rc::new(Held {
        guard: RefCell::new(stream.guard.take()),
        polled: Cell::new(false),
    });
    let stream = SharedStream::new(Rewind::new(early, stream));
    let options = &lp.shared.options;
    let service = {
        let (lp, held) = (Rc::clone(&lp), Rc::clone(&held));
        service_fn(move |request| answer(Rc::clone(&lp), Rc::clone(&held), (peer, door), request))
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Between requests, too: the library starts this clock when it begins to wait for a head.
        .header_read_timeout(Duration::from_millis(options.timeouts.keep_alive_idle_ms))
        .max_buf_size(options.max_head_bytes.max(8192))
        // Else it would read on while a poll waits, to see whether the client is still there, and hold 16 KiB for that.
        .half_close(true)
        .serve_connection(TokioIo::new(stream.clone()), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let lifecycle = lp.shared.lifecycle.clone();
    let mut drains = pin!(lifecycle.reached(LifePhase::Draining));
    let mut draining = false;
    let ended = poll_fn(|cx| {
        // The connection goes first: its first request is there, and is answered while the server drains, too.
        let mut ended = connection.as_mut().poll(cx);
        if ended.is_pending() && !draining && drains.as_mut().poll(cx).is_ready() {
            draining = true;
            connection.as_mut().graceful_shutdown();
            ended = connection.as_mut().poll(cx);
        }
        if ended.is_pending() && held.polled.get() {
            // Dropped with the connection, the request tells its session.
            return stream.poll_gone(cx, &mut lp.scratch.borrow_mut()).map(Ok);
        }
        ended
    })
    .await;
    if let Err(error) = ended {
        tracing::trace!(%error, "an HTTP connection ended badly");
    }
}

async fn answer(
    lp: Rc<EventLoop>,
    held: Rc<Held>,
    (peer, door): (Peer, Door),
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let came = lp.shared.came(request.headers());
    if door == Door::Nodes && !matches!(came, Came::From(_)) {
        lp.shared.counters.refused("forbidden");
        return Ok(plain(NODES_ONLY.status, NODES_ONLY.message));
    }
    let client = lp.shared.client(peer, came, request.headers());
    let direct = came == Came::Directly;
    if let Some(app) = lp.shared.app(request.uri().path()) {
        return Ok(crate::polling::answer(&lp, app, (client, direct), &held, request).await);
    }
    let Some(router) = lp.shared.router.clone() else {
        return Ok(plain(StatusCode::NOT_FOUND, "Not found"));
    };
    let address = client.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let info = ConnectInfo(SocketAddr::new(address, client.port.unwrap_or(0)));
    request.extensions_mut().insert(info);
    router.oneshot(request.map(Body::new)).await
}

/// The connection itself, once the 101 is written, and what came behind the request.
pub(crate) async fn upgraded(
    upgrade: hyper::upgrade::OnUpgrade,
    held: &Held,
) -> Option<(Stream, Vec<u8>)> {
    let parts = upgrade.await.ok()?.downcast::<HttpIo>().ok()?;
    let (ahead, mut stream) = parts.io.into_inner().take()?.into_parts();
    stream.guard = held.guard.borrow_mut().take();
    // What the library has read came before what it has not.
    let early = [&parts.read_buf[..], &ahead[..]].concat();
    Some((stream, early))
}

pub(crate) fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let content_type = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, content_type);
    response
}
