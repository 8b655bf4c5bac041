//! The handshake: what the query says, the open packet, and refusals in Node's words.
//!
//! Source: "Handshake" and "Query parameters" of the protocol page, `verify` of Node's engine.io server.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::{Transport, Version};
use crate::json;

/// What the query of an Engine.IO request says. Of a parameter that comes twice, the last counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// `EIO`: the revision; `None` if absent.
    pub version: Option<Version>,
    /// `transport`; `None` if absent, which is [`HandshakeError::UnknownTransport`] to a client.
    pub transport: Option<Transport>,
    /// `sid`: the session, once there is one; an empty one counts as absent.
    pub sid: Option<String>,
    /// `b64`: a v3 client that can't read binary polling bodies.
    pub b64: bool,
    /// `j`: a JSONP request and its index, digits only.
    pub jsonp: Option<String>,
}

/// Why a handshake or a request is refused. Codes and messages are Node's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// Code 0: no `transport`, one that is unknown, or one that is off.
    #[error("Transport unknown")]
    UnknownTransport,
    /// Code 1: no session has this `sid`.
    #[error("Session ID unknown")]
    UnknownSid,
    /// Code 2: a handshake that is not a GET.
    #[error("Bad handshake method")]
    BadMethod,
    /// Code 3: anything else that makes no sense here.
    #[error("Bad request")]
    BadRequest,
    /// Code 4: the server's own rules refuse.
    #[error("Forbidden")]
    Forbidden,
    /// Code 5: no `EIO`, or a revision that is unknown or off.
    #[error("Unsupported protocol version")]
    UnsupportedVersion,
}

impl HandshakeError {
    /// Node's code, 0 to 5.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            HandshakeError::UnknownTransport => 0,
            HandshakeError::UnknownSid => 1,
            HandshakeError::BadMethod => 2,
            HandshakeError::BadRequest => 3,
            HandshakeError::Forbidden => 4,
            HandshakeError::UnsupportedVersion => 5,
        }
    }

    /// The HTTP status: 403 if forbidden, else 400.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            HandshakeError::Forbidden => 403,
            _ => 400,
        }
    }

    /// The body of the answer, JSON: `{"code":0,"message":"Transport unknown"}`.
    #[must_use]
    pub const fn body(self) -> &'static str {
        match self {
            HandshakeError::UnknownTransport => r#"{"code":0,"message":"Transport unknown"}"#,
            HandshakeError::UnknownSid => r#"{"code":1,"message":"Session ID unknown"}"#,
            HandshakeError::BadMethod => r#"{"code":2,"message":"Bad handshake method"}"#,
            HandshakeError::BadRequest => r#"{"code":3,"message":"Bad request"}"#,
            HandshakeError::Forbidden => r#"{"code":4,"message":"Forbidden"}"#,
            HandshakeError::UnsupportedVersion => {
                r#"{"code":5,"message":"Unsupported protocol version"}"#
            }
        }
    }
}

impl Query {
    /// Parses the query of a request, without the `?`.
    ///
    /// # Errors
    /// [`HandshakeError::UnknownTransport`] or [`HandshakeError::UnsupportedVersion`], in Node's order of checks,
    /// when a parameter is there and not understood.
    pub fn parse(query: &str) -> Result<Query, HandshakeError> {
        let mut parsed = Query::default();
        let mut bad_transport = false;
        let mut bad_version = false;
        for (key, value) in params(query) {
            match &*key {
                "EIO" => {
                    parsed.version = match &*value {
                        "3" => Some(Version::V3),
                        "4" => Some(Version::V4),
                        _ => None,
                    };
                    bad_version = parsed.version.is_none();
                }
                "transport" => {
                    parsed.transport = match &*value {
                        "polling" => Some(Transport::Polling),
                        "websocket" => Some(Transport::WebSocket),
                        _ => None,
                    };
                    bad_transport = parsed.transport.is_none();
                }
                "sid" => parsed.sid = (!value.is_empty()).then(|| value.into_owned()),
                "b64" => parsed.b64 = !value.is_empty(),
                // The index goes into a script, so nothing but digits may survive.
                "j" => parsed.jsonp = Some(value.chars().filter(char::is_ascii_digit).collect()),
                _ => {}
            }
        }
        if bad_transport {
            return Err(HandshakeError::UnknownTransport);
        }
        if bad_version {
            return Err(HandshakeError::UnsupportedVersion);
        }
        Ok(parsed)
    }
}

/// The parameters of a query (or of a form), decoded, in order.
pub fn params(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(key), percent_decode(value))
        })
}

/// Undoes `%XX` and `+`. A `%` that no two hex digits follow stays; bytes that are not UTF-8 become U+FFFD, as
/// with the URL parser of browsers.
pub(super) fn percent_decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|b| b == b'%' || b == b'+') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |i: usize| {
            bytes
                .get(i)
                .and_then(|b| char::from(*b).to_digit(16))
                .map(|d| d as u8)
        };
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                at += 2;
            }
            (b'+', ..) => out.push(b' '),
            (byte, ..) => out.push(byte),
        }
        at += 1;
    }
    Cow::Owned(match String::from_utf8(out) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// The open packet: `0` and the JSON of the handshake, in Node's order of keys. Clients of revision 3 know no
/// `maxPayload`: pass `None` for them.
#[must_use]
pub fn open_packet(
    sid: &str,
    upgrades: &[&str],
    ping_interval_ms: u64,
    ping_timeout_ms: u64,
    max_payload: impl Into<Option<usize>>,
) -> String {
    let mut out = String::with_capacity(128);
    out.push_str("0{\"sid\":\"");
    json::escape(&mut out, sid);
    out.push_str("\",\"upgrades\":[");
    for (i, upgrade) in upgrades.iter().enumerate() {
        out.push_str(if i == 0 { "\"" } else { ",\"" });
        json::escape(&mut out, upgrade);
        out.push('"');
    }
    // Writing to a String can't fail.
    let _ = write!(
        out,
        "],\"pingInterval\":{ping_interval_ms},\"pingTimeout\":{ping_timeout_ms}"
    );
    if let Some(bytes) = max_payload.into() {
        let _ = write!(out, ",\"maxPayload\":{bytes}");
    }
    out.push('}');
    out
}
