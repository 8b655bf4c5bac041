//! The opening handshake of a WebSocket, as the server checks it: RFC 6455 section 4.2.1.
//!
//! Invariants: a request that passes is answered with 101 and nothing else, so it has no body; fields that must be
//! there once are, since a proxy in front may have read another one of two. Each refusal says what is wrong, because
//! the usual reason is a proxy that was set up by half.

use http::{Method, StatusCode};
use httparse::Header;

use crate::head::{Head, HeadError, line_has};

/// A request that may be answered with 101.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebSocketUpgrade<'a> {
    /// `Sec-WebSocket-Key`: 24 bytes of base64.
    pub key: &'a str,
    /// `Host`.
    pub host: &'a str,
    /// `Origin`; pages always have one, programs seldom.
    pub origin: Option<&'a str>,
}

/// The version of RFC 6455.
const VERSION: &[u8] = b"13";

impl<'a> Head<'a> {
    /// Whether the request asks for a WebSocket, well or badly. Others go to the HTTP side; one that has this and
    /// fails [`Self::websocket_upgrade`] is best answered with what is wrong.
    #[must_use]
    pub fn wants_websocket(&self) -> bool {
        self.list_has("upgrade", "websocket")
    }

    /// Checks the opening handshake. The order of checks is from "not ours" to details.
    ///
    /// # Errors
    /// 400 with a message; 405 for another method; 426 for another version, to which the answer needs the header
    /// `Sec-WebSocket-Version: 13`; 505 for HTTP/1.0.
    pub fn websocket_upgrade(&self) -> Result<WebSocketUpgrade<'a>, HeadError> {
        if self.method != Method::GET.as_str() {
            return Err(HeadError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "A WebSocket is opened with GET",
            ));
        }
        if self.minor_version == 0 {
            return Err(HeadError::new(
                StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                "A WebSocket needs HTTP/1.1; set proxy_http_version 1.1 in a proxy like nginx",
            ));
        }
        let fields = Fields::of(self.headers);
        if !fields.upgrade {
            return Err(HeadError::bad_request(
                "Missing Upgrade: websocket; a proxy must pass this header on",
            ));
        }
        if !fields.connection {
            return Err(HeadError::bad_request(
                "Missing Connection: Upgrade; a proxy must pass this header on",
            ));
        }
        let host = self.checked_host(fields.host.single("More than one Host header")?)?;
        fields.check_version()?;
        let key = fields.key()?;
        fields.check_bodiless()?;
        Ok(WebSocketUpgrade {
            key,
            host: host.unwrap_or_default(),
            origin: fields.origin()?,
        })
    }
}

/// The fields of a handshake, found in one pass: a head is looked through once, not once for each.
#[derive(Default)]
struct Fields<'a> {
    upgrade: bool,
    connection: bool,
    has_encoding: bool,
    host: Single<'a>,
    version: Single<'a>,
    key: Single<'a>,
    length: Single<'a>,
    origin: Single<'a>,
}

/// A field that may be there once: its value, and whether there was another one.
#[derive(Clone, Copy, Default)]
struct Single<'a> {
    value: Option<&'a [u8]>,
    twice: bool,
}

impl<'a> Single<'a> {
    fn see(&mut self, value: &'a [u8]) {
        self.twice = self.value.is_some();
        self.value = self.value.or(Some(value));
    }

    fn single(self, twice: &'static str) -> Result<Option<&'a [u8]>, HeadError> {
        if self.twice {
            return Err(HeadError::bad_request(twice));
        }
        Ok(self.value)
    }
}

impl<'a> Fields<'a> {
    fn of(headers: &'a [Header<'a>]) -> Self {
        let mut fields = Self::default();
        for Header { name, value } in headers {
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            // By length first: then hardly any name is compared with more than one.
            match name.len() {
                4 if is("host") => fields.host.see(value),
                6 if is("origin") => fields.origin.see(value),
                7 if is("upgrade") => fields.upgrade |= line_has(value, "websocket"),
                10 if is("connection") => fields.connection |= line_has(value, "upgrade"),
                14 if is("content-length") => fields.length.see(value),
                17 if is("sec-websocket-key") => fields.key.see(value),
                17 if is("transfer-encoding") => fields.has_encoding = true,
                21 if is("sec-websocket-version") => fields.version.see(value),
                _ => {}
            }
        }
        fields
    }

    fn check_version(&self) -> Result<(), HeadError> {
        match self
            .version
            .single("More than one Sec-WebSocket-Version header")?
        {
            Some(VERSION) => Ok(()),
            Some(_) => Err(HeadError::new(
                StatusCode::UPGRADE_REQUIRED,
                "Only version 13 of WebSocket is spoken here",
            )),
            None => Err(HeadError::bad_request(
                "Missing Sec-WebSocket-Version header",
            )),
        }
    }

    fn key(&self) -> Result<&'a str, HeadError> {
        let key = self
            .key
            .single("More than one Sec-WebSocket-Key header")?
            .ok_or(HeadError::bad_request("Missing Sec-WebSocket-Key header"))?;
        std::str::from_utf8(key)
            .ok()
            .filter(|text| is_key(text.as_bytes()))
            .ok_or(HeadError::bad_request(
                "Sec-WebSocket-Key is not 16 bytes in base64",
            ))
    }

    /// An upgrade with a body is a trap: what we would read as frames, a proxy may take for a body, or the next
    /// request.
    fn check_bodiless(&self) -> Result<(), HeadError> {
        if self.has_encoding {
            return Err(HeadError::bad_request(
                "A WebSocket upgrade has no Transfer-Encoding",
            ));
        }
        match self.length.single("More than one Content-Length header")? {
            None | Some(b"0") => Ok(()),
            Some(_) => Err(HeadError::bad_request("A WebSocket upgrade has no body")),
        }
    }

    fn origin(&self) -> Result<Option<&'a str>, HeadError> {
        let Some(origin) = self.origin.single("More than one Origin header")? else {
            return Ok(None);
        };
        std::str::from_utf8(origin)
            .map(Some)
            .map_err(|_| HeadError::bad_request("Malformed Origin header"))
    }
}

/// 16 bytes in base64 are 22 characters and two signs of padding. The four bits of the last character that carry
/// nothing may be anything: `ws` doesn't look at them either.
fn is_key(key: &[u8]) -> bool {
    let alphabet = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    matches!(key.split_at_checked(22), Some((data, b"==")) if data.iter().all(alphabet))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use super::*;
    use crate::head::{DEFAULT_MAX_HEAD_BYTES, ParsedHead, header_slots, parse_head};

    /// The example of RFC 6455 section 1.3.
    const FIELDS: [&str; 6] = [
        "Host: server.example.com",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Origin: http://example.com",
        "Sec-WebSocket-Version: 13",
    ];

    fn check(start: &str, fields: &[&str]) -> Result<(), HeadError> {
        let text = format!("{start}\r\n{}\r\n\r\n", fields.join("\r\n"));
        let mut slots = header_slots();
        match parse_head(text.as_bytes(), &mut slots, DEFAULT_MAX_HEAD_BYTES) {
            ParsedHead::Complete { head, .. } => head.websocket_upgrade().map(drop),
            other => panic!("{other:?}"),
        }
    }

    /// The RFC's request with the field of the same name replaced (or left out), or else added.
    fn with(name: &str, field: Option<&str>) -> Result<(), HeadError> {
        let mut fields: Vec<_> = FIELDS
            .into_iter()
            .filter(|old| !old.starts_with(&format!("{name}:")))
            .collect();
        fields.extend(field);
        check("GET /chat HTTP/1.1", &fields)
    }

    fn refused(name: &str, field: Option<&str>) -> u16 {
        with(name, field).unwrap_err().status.as_u16()
    }

    #[test]
    fn the_request_of_the_rfc_is_taken() {
        let text = format!("GET /chat HTTP/1.1\r\n{}\r\n\r\n", FIELDS.join("\r\n"));
        let mut slots = header_slots();
        let ParsedHead::Complete { head, .. } = parse_head(text.as_bytes(), &mut slots, 1_000)
        else {
            panic!("not complete");
        };
        assert!(head.wants_websocket());
        assert_eq!(
            head.websocket_upgrade(),
            Ok(WebSocketUpgrade {
                key: "dGhlIHNhbXBsZSBub25jZQ==",
                host: "server.example.com",
                origin: Some("http://example.com"),
            })
        );
    }

    #[test]
    fn lists_and_cases_of_tokens_are_understood() {
        assert_eq!(
            with("Connection", Some("connection: keep-alive, UPGRADE")),
            Ok(())
        );
        assert_eq!(with("Upgrade", Some("UPGRADE: h2c, WebSocket")), Ok(()));
        assert_eq!(with("Content-Length", Some("content-length: 0")), Ok(()));
        assert_eq!(with("Origin", None), Ok(()));
    }

    #[test]
    fn each_missing_field_is_refused() {
        for name in [
            "Host",
            "Upgrade",
            "Connection",
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Version",
        ] {
            assert_eq!(refused(name, None), 400, "{name}");
        }
    }

    #[test]
    fn a_token_that_is_only_part_of_another_does_not_count() {
        assert_eq!(refused("Upgrade", Some("Upgrade: websockets")), 400);
        assert_eq!(refused("Connection", Some("Connection: no-upgrade")), 400);
    }

    #[test]
    fn other_methods_and_versions_are_refused() {
        assert_eq!(check("POST / HTTP/1.1", &FIELDS).unwrap_err().status, 405);
        assert_eq!(check("GET / HTTP/1.0", &FIELDS).unwrap_err().status, 505);
        for version in ["8", "14", "013", "13, 8", ""] {
            let field = format!("Sec-WebSocket-Version: {version}");
            assert_eq!(
                refused("Sec-WebSocket-Version", Some(&field)),
                426,
                "{version}"
            );
        }
    }

    #[test]
    fn keys_that_are_not_16_bytes_are_refused() {
        for key in [
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQ===",
        ]
        .into_iter()
        .chain([
            "dGhlIHNhbXBsZSBub25jZQAA",
            "dGhlIHNhbXBsZSBub25j====",
            "dGhlIHNhbXBsZSBub2*jZQ==",
        ]) {
            let field = format!("Sec-WebSocket-Key: {key}");
            assert_eq!(refused("Sec-WebSocket-Key", Some(&field)), 400, "{key}");
        }
    }

    #[test]
    fn doubled_fields_are_refused() {
        for field in [
            "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
            "sec-websocket-version: 13",
            "host: server.example.com",
            "origin: http://example.com",
        ] {
            assert_eq!(refused("-", Some(field)), 400, "{field}");
        }
    }

    #[test]
    fn an_upgrade_with_a_body_is_refused() {
        for field in [
            "Content-Length: 5",
            "Content-Length: 00",
            "Content-Length: 0\r\nContent-Length: 0",
            "Transfer-Encoding: chunked",
            "Content-Length: 0\r\nTransfer-Encoding: chunked",
        ] {
            assert_eq!(refused("-", Some(field)), 400, "{field}");
        }
    }
}
