//! Who may open a session: the checks that both ways in share, and the headers of their answers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use lakh_hub::shard::App;
use lakh_hub::{Handshake, Id};
use lakh_wire::engine::handshake::Query;
use lakh_wire::engine::{HandshakeError, Transport, Version};
use lakh_wire::ws;

use crate::cors::websocket_origin_allowed;
use crate::drain::LifePhase;
use crate::forwarded::{Client, HeaderSource};
use crate::head::Head;
use crate::limits::Refusal;
use crate::shared::Shared;
use crate::stream::Guard;
use crate::upgrade::WebSocketUpgrade;

/// Why a handshake is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reject {
    /// By the protocol.
    Protocol(HandshakeError),
    /// By a limit.
    Limit(Refusal),
    /// The server is going down.
    Draining,
}

impl From<HandshakeError> for Reject {
    fn from(error: HandshakeError) -> Self {
        Self::Protocol(error)
    }
}

impl From<Refusal> for Reject {
    fn from(refusal: Refusal) -> Self {
        Self::Limit(refusal)
    }
}

/// An answer that refuses.
pub(crate) struct Refused {
    pub status: StatusCode,
    pub body: &'static str,
    pub is_json: bool,
    pub retry_after_s: Option<u64>,
}

impl Reject {
    pub(crate) fn answer(self, random: u32) -> Refused {
        match self {
            Self::Protocol(error) => Refused {
                status: StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST),
                body: error.body(),
                is_json: true,
                retry_after_s: None,
            },
            Self::Limit(refusal) => Refused {
                status: refusal.status(),
                body: "Server busy, try again later",
                is_json: false,
                retry_after_s: Some(refusal.retry_after_s(random)),
            },
            Self::Draining => Refused {
                status: StatusCode::SERVICE_UNAVAILABLE,
                body: "Server is shutting down, try again later",
                is_json: false,
                retry_after_s: Some(1 + u64::from(random % 5)),
            },
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Protocol(HandshakeError::Forbidden) => "forbidden",
            Self::Protocol(_) => "bad_request",
            Self::Limit(Refusal::ProcessFull) => "full",
            Self::Limit(Refusal::AddressFull) => "address_full",
            Self::Limit(Refusal::ProcessRate { .. }) => "rate",
            Self::Limit(Refusal::AddressRate { .. }) => "address_rate",
            Self::Draining => "draining",
        }
    }
}

impl Shared {
    /// Which application a path belongs to. As in Node, what follows the path does not matter.
    pub(crate) fn app(&self, path: &str) -> Option<App> {
        let options = &self.options;
        if is_at(path, &options.path) {
            return Some(App::SocketIo);
        }
        options
            .engine_path
            .as_deref()
            .is_some_and(|engine| is_at(path, engine))
            .then_some(App::EngineIo)
    }

    /// The query of a request, its transport being served here.
    pub(crate) fn query(&self, query: &str) -> Result<(Query, Transport), HandshakeError> {
        let query = Query::parse(query)?;
        let transport = query.transport.ok_or(HandshakeError::UnknownTransport)?;
        let served = match transport {
            Transport::Polling => self.options.polling,
            Transport::WebSocket => self.options.websocket,
        };
        if served {
            Ok((query, transport))
        } else {
            Err(HandshakeError::UnknownTransport)
        }
    }

    /// Admits a new session.
    pub(crate) fn admit(
        &self,
        query: &Query,
        client: Client,
        guard: Option<&mut Guard>,
    ) -> Result<Version, Reject> {
        if self.lifecycle.phase() >= LifePhase::Draining {
            return Err(Reject::Draining);
        }
        let now = self.hub.clock_ms();
        if let Some(guard) = &guard {
            self.has_time(guard.loop_index(), now)?;
        }
        if let Some(address) = client.address {
            if let Some(guard) = guard {
                guard.permit.set_address(address)?;
            }
            self.rate.admit_address(address, now)?;
        }
        self.rate.admit(now)?;
        let version = match query.version {
            Some(Version::V4) => Version::V4,
            Some(Version::V3) if self.options.allow_eio3 => Version::V3,
            _ => return Err(HandshakeError::UnsupportedVersion.into()),
        };
        Ok(version)
    }

    /// Whether the loop is not too far behind to take one more.
    fn has_time(&self, index: usize, now_ms: u64) -> Result<(), Refusal> {
        if self.pressure.ask(index, now_ms) {
            let (pressure, hub) = (Arc::clone(&self.pressure), self.hub.clone());
            let asked = self
                .hub
                .run_on(index, move |_| pressure.answer(index, hub.clock_ms()));
            if asked.is_err() {
                self.pressure.unasked(index);
            }
        }
        self.pressure.admit(index, now_ms)
    }

    /// What the server's own rule says of a new session that was admitted. It may take its time: the server may have
    /// begun to drain meanwhile.
    pub(crate) async fn allowed(&self, parts: Option<&Parts>) -> Result<(), Reject> {
        let (Some(allow), Some(parts)) = (&self.options.hooks.allow_request, parts) else {
            return Ok(());
        };
        let allowed = allow(parts).await;
        if self.lifecycle.phase() >= LifePhase::Draining {
            return Err(Reject::Draining);
        }
        Ok(allowed.map_err(|reason| forbidden(&reason))?)
    }

    /// What the server's own rule says of any request.
    pub(crate) fn may_pass(&self, parts: Option<&Parts>) -> Result<(), Reject> {
        match (&self.options.hooks.use_request, parts) {
            (Some(hook), Some(parts)) => Ok(hook(parts).map_err(|reason| forbidden(&reason))?),
            _ => Ok(()),
        }
    }

    /// What a WebSocket's handshake is answered with: the accept key, and the extension if one is agreed on. Pages of
    /// other origins may be refused.
    pub(crate) fn agree(
        &self,
        head: &Head<'_>,
        upgrade: &WebSocketUpgrade<'_>,
    ) -> Result<(String, Option<&'static str>), HandshakeError> {
        let options = &self.options;
        if options.check_origin
            && !websocket_origin_allowed(options.cors.as_ref(), upgrade.origin, upgrade.host)
        {
            return Err(HandshakeError::Forbidden);
        }
        let deflate = match head.header_str("sec-websocket-extensions") {
            Some(offer) if options.compression => ws::extensions::negotiate(offer)
                .map_err(|_| HandshakeError::BadRequest)?
                .map(|deflate| deflate.response()),
            _ => None,
        };
        Ok((ws::accept_key(upgrade.key), deflate))
    }

    /// Whether hooks want to see requests; only then is one made for them from a native handshake.
    pub(crate) fn has_hooks(&self) -> bool {
        let hooks = &self.options.hooks;
        hooks.use_request.is_some()
            || hooks.allow_request.is_some()
            || hooks.headers.is_some()
            || hooks.initial_headers.is_some()
    }

    /// The headers of an answer on the engine's path. `opened` is the session that it opens.
    pub(crate) fn headers(
        &self,
        parts: Option<&Parts>,
        origin: Option<&HeaderValue>,
        opened: Option<&Id>,
    ) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(cors) = &self.options.cors {
            cors.apply(origin, &mut headers);
        }
        if let (Some(cookie), Some(id)) = (&self.options.cookie, opened) {
            headers.append(header::SET_COOKIE, cookie.set_cookie(id.as_str()));
        }
        if let Some(parts) = parts {
            let hooks = &self.options.hooks;
            if let (Some(hook), true) = (&hooks.initial_headers, opened.is_some()) {
                hook(parts, &mut headers);
            }
            if let Some(hook) = &hooks.headers {
                hook(parts, &mut headers);
            }
        }
        headers
    }

    /// What the hub keeps of a request.
    pub(crate) fn handshake(
        &self,
        client: Client,
        query: &str,
        headers: &impl HeaderSource,
    ) -> Handshake {
        let address = client.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let keep = &self.hub.settings().keep_headers;
        let kept = keep.iter().filter_map(|name| {
            let value = crate::forwarded::first_value(headers, name)?;
            Some((name.as_str().into(), value.into()))
        });
        Handshake {
            address: SocketAddr::new(address, client.port.unwrap_or(0)),
            secure: client.secure,
            time_ms: self.hub.wall_ms(),
            query: query.into(),
            headers: kept.collect(),
        }
    }
}

fn forbidden(reason: &str) -> HandshakeError {
    tracing::debug!(reason, "a request was refused by the server's own rule");
    HandshakeError::Forbidden
}

/// `/socket.io/` serves `/socket.io` and everything below, but for the client's own files (`/socket.io/socket.io.js`),
/// which pages load from there: those are the router's.
fn is_at(path: &str, base: &str) -> bool {
    let base = base.trim_end_matches('/');
    let is_file = |rest: &str| rest.ends_with(".js") || rest.ends_with(".js.map");
    path.strip_prefix(base)
        .is_some_and(|rest| rest.is_empty() || (rest.starts_with('/') && !is_file(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_serves_itself_and_what_is_below() {
        for path in ["/socket.io", "/socket.io/", "/socket.io/x"] {
            assert!(is_at(path, "/socket.io/"), "{path}");
        }
        for path in [
            "/",
            "/socket.iox",
            "/other/socket.io/",
            "/socket.io/socket.io.esm.min.js",
        ] {
            assert!(!is_at(path, "/socket.io/"), "{path}");
        }
    }
}
