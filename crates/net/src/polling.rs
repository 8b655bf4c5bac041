//! Requests on the engine's path that came through the HTTP library: long polling, and upgrades on a connection
//! that was used for something else before.

use std::rc::Rc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use lakh_hub::Id;
use lakh_hub::shard::App;
use lakh_wire::engine::handshake::Query;
use lakh_wire::engine::payload::ContentType;
use lakh_wire::engine::{HandshakeError, Transport, jsonp};
use lakh_wire::{engine, ws};
use tokio::sync::oneshot;

use crate::admission::Reject;
use crate::cors::polling_origin_allowed;
use crate::event_loop::EventLoop;
use crate::forward::{Forwarding, switch};
use crate::forwarded::Client;
use crate::head::Head;
use crate::http::{Held, Watch, plain, upgraded};
use crate::shared::Message;
use crate::slow::BodyProgress;
use crate::ws::WsConn;

/// What a long poll is answered with.
#[derive(Debug)]
pub(crate) enum PollAnswer {
    Payload(Vec<u8>, ContentType),
    Refused(HandshakeError),
}

/// Why the body of a POST was refused.
#[derive(Debug)]
pub(crate) enum PostRefused {
    /// No such session.
    Unknown,
    /// The session has another transport.
    Mismatch,
    /// The body is no payload; the session is closed.
    Bad(String),
    /// Larger than it may be.
    TooLarge,
    /// It came too slowly, or broke off.
    Broken,
}

/// A request on the engine's path.
struct EngineRequest<'a> {
    lp: &'a Rc<EventLoop>,
    app: App,
    client: Client,
    /// From no other node.
    direct: bool,
    held: &'a Rc<Held>,
    parts: Parts,
    query: Query,
}

/// Answers a request on the engine's path.
pub(crate) async fn answer(
    lp: &Rc<EventLoop>,
    app: App,
    (client, direct): (Client, bool),
    held: &Rc<Held>,
    mut request: Request<Incoming>,
) -> Response<Body> {
    if let (&Method::OPTIONS, Some(cors)) = (request.method(), &lp.shared.options.cors) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        cors.apply_preflight(request.headers(), response.headers_mut());
        return response;
    }
    let upgrade = request
        .headers()
        .contains_key(header::UPGRADE)
        .then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    if let Err(rejected) = lp.shared.may_pass(Some(&parts)) {
        return reject(lp, rejected, &parts);
    }
    let (query, transport) = match lp.shared.query(parts.uri.query().unwrap_or_default()) {
        Ok(query) => query,
        Err(error) => return reject(lp, error.into(), &parts),
    };
    let request = EngineRequest {
        lp,
        app,
        client,
        direct,
        held,
        parts,
        query,
    };
    let answered = match (transport, upgrade) {
        (Transport::WebSocket, Some(upgrade)) => request.upgrade(upgrade).await,
        (Transport::WebSocket, None) => Err(HandshakeError::BadRequest.into()),
        (Transport::Polling, _) => request.poll_or_post(body).await,
    };
    answered.unwrap_or_else(|rejected| reject(lp, rejected, &request.parts))
}

fn reject(lp: &EventLoop, rejected: Reject, parts: &Parts) -> Response<Body> {
    lp.shared.counters.refused(rejected.word());
    let refused = rejected.answer(lp.shared.hub.random());
    let mut response = plain(refused.status, refused.body);
    if refused.is_json {
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
    }
    if let Some(seconds) = refused.retry_after_s {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response.headers_mut().extend(lp.shared.headers(
        Some(parts),
        parts.headers.get(header::ORIGIN),
        None,
    ));
    response
}

impl EngineRequest<'_> {
    async fn poll_or_post(&self, body: Incoming) -> Result<Response<Body>, Reject> {
        let options = &self.lp.shared.options;
        if options.check_polling_origin
            && !polling_origin_allowed(options.cors.as_ref(), &self.parts.headers)
        {
            return Err(HandshakeError::Forbidden.into());
        }
        if let Some(id) = self.elsewhere()
            && [Method::GET, Method::POST].contains(&self.parts.method)
        {
            // Boxed: polls of this node's own sessions, which wait, don't carry its size along.
            return Box::pin(self.forward(id, body)).await;
        }
        match (&self.query.sid, &self.parts.method) {
            (None, &Method::GET) => self.open().await,
            (None, _) => Err(HandshakeError::BadMethod.into()),
            (Some(sid), &Method::GET) => self.poll(self.parse(sid)?, None).await,
            (Some(sid), &Method::POST) => self.post(self.parse(sid)?, body).await,
            (Some(_), _) => Err(HandshakeError::BadRequest.into()),
        }
    }

    /// The session, if another node has it.
    fn elsewhere(&self) -> Option<Id> {
        let sid = self.query.sid.as_ref()?;
        self.lp.shared.elsewhere(self.direct, sid)
    }

    /// Passes the request on to the node that has the session. Its body is read first, under the same rules as if it were
    /// for a session of this node: a client that trickles holds no connection to the other node.
    async fn forward(&self, id: Id, body: Incoming) -> Result<Response<Body>, Reject> {
        let (body, watch) = match self.parts.method {
            Method::POST => match self.read_body(body).await {
                Ok(body) => (body, None),
                Err(refused) => return self.refused(refused),
            },
            _ => (Bytes::new(), Some(self.held.watch())),
        };
        let answer = crate::forward::polling(self.lp, id, self.client, &self.parts, body).await;
        drop(watch);
        answer
    }

    fn parse(&self, sid: &str) -> Result<Id, HandshakeError> {
        Id::parse(sid)
            .filter(|sid| sid.shard() < self.lp.shared.inboxes.len())
            .ok_or(HandshakeError::UnknownSid)
    }

    /// A new session, on this loop. Its first packet is the answer, as if it had been polled for.
    async fn open(&self) -> Result<Response<Body>, Reject> {
        let shared = &self.lp.shared;
        let version = {
            let mut guard = self.held.guard.borrow_mut();
            shared.admit(&self.query, self.client, guard.as_mut())?
        };
        shared.allowed(Some(&self.parts)).await?;
        let text = self.parts.uri.query().unwrap_or_default();
        let handshake = shared.handshake(self.client, text, &self.parts.headers);
        let opened = self
            .lp
            .shard
            .open(self.app, version, Transport::Polling, handshake);
        self.lp
            .set_text_only(opened.key, self.query.b64 || self.query.jsonp.is_some());
        self.poll(opened.id, Some(opened.id)).await
    }

    async fn poll(&self, sid: Id, opened: Option<Id>) -> Result<Response<Body>, Reject> {
        let (reply, answer) = oneshot::channel();
        self.lp
            .send(sid.shard(), Message::Poll { sid, reply })
            .await;
        let mut waiting = Waiting::new(self.lp, self.held, sid);
        let answer = answer.await;
        waiting.answered = true;
        match answer {
            Ok(PollAnswer::Payload(body, content_type)) => {
                Ok(self.payload(body, content_type, opened))
            }
            Ok(PollAnswer::Refused(error)) => Err(error.into()),
            // The session went away without a word.
            Err(_) => Err(HandshakeError::UnknownSid.into()),
        }
    }

    fn payload(
        &self,
        body: Vec<u8>,
        content_type: ContentType,
        opened: Option<Id>,
    ) -> Response<Body> {
        let (body, content_type) = match &self.query.jsonp {
            // A payload is UTF-8 unless it's binary, and JSONP never asks for binary.
            Some(index) => {
                let text = String::from_utf8_lossy(&body);
                (
                    jsonp::wrap(index, &text).into(),
                    "text/javascript; charset=UTF-8",
                )
            }
            None => (Bytes::from(body), content_type.as_str()),
        };
        let mut response = Response::new(Body::from(body));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers(opened.as_ref()));
        response
    }

    fn headers(&self, opened: Option<&Id>) -> HeaderMap {
        self.lp.shared.headers(
            Some(&self.parts),
            self.parts.headers.get(header::ORIGIN),
            opened,
        )
    }

    async fn post(&self, sid: Id, body: Incoming) -> Result<Response<Body>, Reject> {
        let refused = match self.read_body(body).await {
            Ok(body) => self.give(sid, body).await,
            Err(refused) => Err(refused),
        };
        if let Err(refused) = refused {
            return self.refused(refused);
        }
        // `ok` as HTML, so that old browsers don't ask where to save it.
        let mut response = plain(StatusCode::OK, "ok");
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
        response.headers_mut().extend(self.headers(None));
        Ok(response)
    }

    fn refused(&self, refused: PostRefused) -> Result<Response<Body>, Reject> {
        let mut response = match refused {
            PostRefused::Unknown => return Err(HandshakeError::UnknownSid.into()),
            PostRefused::Mismatch => return Err(HandshakeError::BadRequest.into()),
            PostRefused::Bad(error) => {
                tracing::debug!(error, "a client posted what is no payload");
                plain(StatusCode::BAD_REQUEST, "The body is no Engine.IO payload")
            }
            // Without a word, as in Node: clients have tests that hold on to it.
            PostRefused::TooLarge => plain(StatusCode::PAYLOAD_TOO_LARGE, ""),
            PostRefused::Broken => plain(StatusCode::REQUEST_TIMEOUT, "The body did not arrive"),
        };
        response.headers_mut().extend(self.headers(None));
        Ok(response)
    }

    async fn give(&self, sid: Id, body: Bytes) -> Result<(), PostRefused> {
        let content_type = self.parts.headers.get(header::CONTENT_TYPE);
        let is_binary = content_type
            .is_some_and(|value| value.as_bytes().starts_with(b"application/octet-stream"));
        let body = match &self.query.jsonp {
            None => body,
            Some(_) => {
                let form = std::str::from_utf8(&body).ok().and_then(jsonp::unwrap_form);
                form.ok_or_else(|| PostRefused::Bad("a JSONP form without d=".to_owned()))?
                    .into()
            }
        };
        let (reply, answer) = oneshot::channel();
        self.lp
            .send(
                sid.shard(),
                Message::Post {
                    sid,
                    body,
                    is_binary,
                    reply,
                },
            )
            .await;
        answer.await.unwrap_or(Err(PostRefused::Unknown))
    }

    async fn read_body(&self, mut body: Incoming) -> Result<Bytes, PostRefused> {
        let limit = self.lp.shared.hub.settings().limits.max_payload_bytes;
        let declared = self
            .parts
            .headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok());
        if declared
            .and_then(|length| length.parse::<usize>().ok())
            .is_some_and(|length| length > limit)
        {
            return Err(PostRefused::TooLarge);
        }
        let options = &self.lp.shared.options;
        let clock = || self.lp.shared.hub.clock_ms();
        let latest = clock() + options.timeouts.body_ms;
        let mut progress = BodyProgress::new(options.body_rate, clock());
        let mut read = BytesMut::new();
        loop {
            let until = progress.deadline_ms().unwrap_or(latest).min(latest);
            let wait = Duration::from_millis(until.saturating_sub(clock()));
            let frame = match tokio::time::timeout(wait, body.frame()).await {
                Err(_) | Ok(Some(Err(_))) => return Err(PostRefused::Broken),
                Ok(None) => return Ok(read.freeze()),
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if read.len() + data.len() > limit {
                return Err(PostRefused::TooLarge);
            }
            progress.received(data.len(), clock());
            read.extend_from_slice(&data);
        }
    }

    /// A WebSocket on a connection that the HTTP library has.
    async fn upgrade(&self, upgrade: hyper::upgrade::OnUpgrade) -> Result<Response<Body>, Reject> {
        let shared = &self.lp.shared;
        let headers: Vec<httparse::Header<'_>> = self
            .parts
            .headers
            .iter()
            .map(|(name, value)| httparse::Header {
                name: name.as_str(),
                value: value.as_bytes(),
            })
            .collect();
        let target = self.parts.uri.to_string();
        let head = Head {
            method: self.parts.method.as_str(),
            target: &target,
            minor_version: u8::from(self.parts.version != http::Version::HTTP_10),
            headers: &headers,
        };
        let checked = match head.websocket_upgrade() {
            Ok(checked) => checked,
            Err(error) => {
                shared.counters.refused("bad_request");
                let mut response = plain(error.status, error.message);
                response
                    .headers_mut()
                    .insert("sec-websocket-version", HeaderValue::from_static("13"));
                return Ok(response);
            }
        };
        if let Some(id) = self.elsewhere() {
            let forwarding = Forwarding {
                id,
                client: self.client,
                parts: self.parts.clone(),
            };
            let held = Rc::clone(self.held);
            let client = async move { upgraded(upgrade, &held).await };
            return Box::pin(switch(self.lp, &forwarding, client)).await;
        }
        let (accept, deflate) = shared.agree(&head, &checked)?;
        let opened = self.begin_upgrade(upgrade, deflate.is_some()).await?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.extend(self.headers(opened.as_ref()));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        // Base64: always a valid value.
        if let Ok(accept) = HeaderValue::from_str(&accept) {
            headers.insert("sec-websocket-accept", accept);
        }
        if let Some(deflate) = deflate {
            headers.insert(
                "sec-websocket-extensions",
                HeaderValue::from_static(deflate),
            );
        }
        Ok(response)
    }

    /// Makes sure that there is a session for the WebSocket, and waits for it in the background. The session's id if
    /// it's new.
    async fn begin_upgrade(
        &self,
        upgrade: hyper::upgrade::OnUpgrade,
        deflate: bool,
    ) -> Result<Option<Id>, Reject> {
        let (lp, held) = (Rc::clone(self.lp), Rc::clone(self.held));
        if let Some(sid) = &self.query.sid {
            let sid = self.parse(sid)?;
            let probing = crate::takeover::ask_to_probe(self.lp, sid).await?;
            tokio::task::spawn_local(async move {
                let Some((mut stream, early)) = upgraded(upgrade, &held).await else {
                    return;
                };
                if !probing {
                    // Whether the client sees the close frame is its own affair.
                    return drop(
                        crate::greet::refuse(&mut stream, &ws::close_frame(1000, "")).await,
                    );
                }
                // The session notices by itself if its probe never comes.
                let _ = crate::takeover::attach(&lp, stream, sid, early, Vec::new(), deflate).await;
            });
            return Ok(None);
        }
        let version = {
            let mut guard = self.held.guard.borrow_mut();
            self.lp
                .shared
                .admit(&self.query, self.client, guard.as_mut())?
        };
        self.lp.shared.allowed(Some(&self.parts)).await?;
        let text = self.parts.uri.query().unwrap_or_default();
        let handshake = self
            .lp
            .shared
            .handshake(self.client, text, &self.parts.headers);
        let opened = self
            .lp
            .shard
            .open(self.app, version, Transport::WebSocket, handshake);
        tokio::task::spawn_local(async move {
            match upgraded(upgrade, &held).await {
                Some((stream, early)) => {
                    let conn =
                        WsConn::new(stream, opened.key, engine::Side::Main, deflate, Vec::new());
                    lp.set_main(&conn);
                    lp.send_own(&conn, &[]);
                    tokio::task::spawn_local(lp.serve(conn, early));
                }
                None => lp
                    .shard
                    .end(opened.key, engine::Side::Main, engine::End::Closed),
            }
        });
        Ok(Some(opened.id))
    }
}

/// Tells the session's loop when the client of a poll goes away.
struct Waiting<'a> {
    lp: &'a Rc<EventLoop>,
    _watch: Watch<'a>,
    sid: Id,
    answered: bool,
}

impl<'a> Waiting<'a> {
    fn new(lp: &'a Rc<EventLoop>, held: &'a Held, sid: Id) -> Self {
        Self {
            lp,
            _watch: held.watch(),
            sid,
            answered: false,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.answered {
            let (lp, sid) = (Rc::clone(self.lp), self.sid);
            tokio::task::spawn_local(
                async move { lp.send(sid.shard(), Message::PollGone(sid)).await },
            );
        }
    }
}
