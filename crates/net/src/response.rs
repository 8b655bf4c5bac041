//! Plain HTTP/1.1 answers, written without the HTTP library: the 101 of a WebSocket, and refusals before a request
//! is worth handing on.
//!
//! Invariant: no name or value can end its line, whoever chose it, so no answer can be split in two; an answer that
//! refuses closes the connection, since what follows on it can't be told from junk. Source: RFC 9112 sections 4 to 6,
//! RFC 9110 section 15.2.2 (101).

use bytes::{BufMut, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::head::HeadError;
use crate::limits::Refusal;

/// What happens to the connection after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It waits for the next request.
    KeepAlive,
    /// It closes; the answer says so.
    Close,
}

/// Writes a whole answer with a body. `fields` are those that the caller writes itself; `more` those of hooks, CORS
/// and cookies. `Content-Length` and `Connection` are added here and dropped from both.
pub fn write_response(
    out: &mut BytesMut,
    status: StatusCode,
    fields: &[(&str, &str)],
    more: &HeaderMap,
    body: &[u8],
    after: After,
) {
    // Room for the usual few fields: one allocation an answer.
    out.reserve(128 + body.len());
    write_status_line(out, status);
    for (name, value) in fields {
        write_field(out, name.as_bytes(), value.as_bytes());
    }
    write_map(out, more);
    // 204 and 304 have no body, and 204 must not have the field (RFC 9110 section 8.6).
    let bodiless = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
    if !bodiless {
        write_field(out, b"Content-Length", body.len().to_string().as_bytes());
    }
    if after == After::Close {
        write_field(out, b"Connection", b"close");
    }
    out.put_slice(b"\r\n");
    if !bodiless {
        out.put_slice(body);
    }
}

/// Writes the 101 that turns the connection into a WebSocket. `accept` is made from the request's key
/// (RFC 6455 section 4.2.2), `extensions` and `protocol` are those chosen from the request's.
pub fn write_switching_protocols(
    out: &mut BytesMut,
    accept: &str,
    protocol: Option<&str>,
    extensions: Option<&str>,
    more: &HeaderMap,
) {
    out.reserve(160);
    write_status_line(out, StatusCode::SWITCHING_PROTOCOLS);
    out.put_slice(b"Upgrade: websocket\r\nConnection: Upgrade\r\n");
    write_field(out, b"Sec-WebSocket-Accept", accept.as_bytes());
    if let Some(protocol) = protocol {
        write_field(out, b"Sec-WebSocket-Protocol", protocol.as_bytes());
    }
    if let Some(extensions) = extensions {
        write_field(out, b"Sec-WebSocket-Extensions", extensions.as_bytes());
    }
    write_map(out, more);
    out.put_slice(b"\r\n");
}

/// Writes the 101 of another node. Its fields are passed on as they are.
pub(crate) fn write_switched(out: &mut BytesMut, headers: &HeaderMap) {
    write_status_line(out, StatusCode::SWITCHING_PROTOCOLS);
    for (name, value) in headers {
        write_field(out, name.as_str().as_bytes(), value.as_bytes());
    }
    out.put_slice(b"\r\n");
}

/// Writes the answer to a request that can't be taken, as plain text, and closes.
pub fn write_head_error(out: &mut BytesMut, error: HeadError) {
    let mut fields = vec![("Content-Type", "text/plain; charset=utf-8")];
    match error.status {
        // RFC 6455 section 4.4 and RFC 9110 section 15.5.22.
        StatusCode::UPGRADE_REQUIRED => {
            fields.extend([("Sec-WebSocket-Version", "13"), ("Upgrade", "websocket")]);
        }
        StatusCode::METHOD_NOT_ALLOWED => fields.push(("Allow", "GET")),
        _ => {}
    }
    let body = error.message.as_bytes();
    write_response(
        out,
        error.status,
        &fields,
        &HeaderMap::new(),
        body,
        After::Close,
    );
}

/// Writes the answer to a connection past a limit, and closes. `random` (any 32 random bits) spreads the
/// `Retry-After`.
pub fn write_refusal(out: &mut BytesMut, refusal: Refusal, random: u32) {
    let seconds = refusal.retry_after_s(random);
    let mut more = HeaderMap::with_capacity(1);
    more.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    // The limits themselves are nobody's business.
    let body: &[u8] = match refusal {
        Refusal::ProcessFull | Refusal::ProcessRate { .. } => b"Server busy, try again later",
        Refusal::AddressFull | Refusal::AddressRate { .. } => {
            b"Too many connections from your address, try again later"
        }
    };
    let fields = [("Content-Type", "text/plain; charset=utf-8")];
    write_response(out, refusal.status(), &fields, &more, body, After::Close);
}

fn write_status_line(out: &mut BytesMut, status: StatusCode) {
    out.put_slice(b"HTTP/1.1 ");
    out.put_slice(status.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.put_slice(b"\r\n");
}

fn write_map(out: &mut BytesMut, map: &HeaderMap) {
    for (name, value) in map {
        if is_ours(name.as_str()) {
            tracing::warn!(%name, "ignored a header set by a hook: the connection decides it");
        } else {
            write_field(out, name.as_str().as_bytes(), value.as_bytes());
        }
    }
}

/// Fields that say how the bytes after the head are to be read. A hook that set one would break the connection.
fn is_ours(name: &str) -> bool {
    matches!(
        name,
        "connection" | "content-length" | "transfer-encoding" | "upgrade"
    ) || name.starts_with("sec-websocket-")
}

/// Writes one line. Bytes that can't be in a value become spaces, so a value never ends its line.
fn write_field(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.put_slice(name);
    out.put_slice(b": ");
    let start = out.len();
    out.put_slice(value);
    for byte in &mut out[start..] {
        if (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f {
            *byte = b' ';
        }
    }
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    fn hooks(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| {
                (
                    http::HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn the_101_is_that_of_the_rfc() {
        let more = hooks(&[("set-cookie", "io=a; Path=/")]);
        let text = written(|out| {
            let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
            write_switching_protocols(out, accept, Some("chat"), None, &more);
        });
        assert_eq!(
            text,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\
             set-cookie: io=a; Path=/\r\n\r\n"
        );
    }

    #[test]
    fn an_answer_has_its_length_and_says_when_it_closes() {
        let none = HeaderMap::new();
        let answer = |status, after| {
            written(|out| write_response(out, status, &[("A", "b")], &none, b"hi", after))
        };
        assert_eq!(
            answer(StatusCode::OK, After::KeepAlive),
            "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\nhi"
        );
        assert_eq!(
            answer(StatusCode::BAD_REQUEST, After::Close),
            "HTTP/1.1 400 Bad Request\r\nA: b\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
        );
        assert_eq!(
            answer(StatusCode::NO_CONTENT, After::KeepAlive),
            "HTTP/1.1 204 No Content\r\nA: b\r\n\r\n"
        );
    }

    #[test]
    fn a_value_can_not_end_its_line() {
        let text = written(|out| {
            let fields = [("A", "b\r\nSet-Cookie: x=y\r\n\r\n<html>")];
            write_response(
                out,
                StatusCode::OK,
                &fields,
                &HeaderMap::new(),
                b"",
                After::Close,
            );
        });
        assert_eq!(text.matches("\r\n").count(), 5, "{text}");
        assert!(text.ends_with("\r\n\r\n"));
        assert!(
            text.contains("A: b  Set-Cookie: x=y    <html>\r\n"),
            "{text}"
        );
    }

    #[test]
    fn a_hook_can_not_change_how_the_rest_is_read() {
        let more = hooks(&[
            ("content-length", "1000"),
            ("transfer-encoding", "chunked"),
            ("connection", "keep-alive"),
            ("sec-websocket-accept", "x"),
            ("x-kept", "1"),
        ]);
        let text = written(|out| write_switching_protocols(out, "a", None, None, &more));
        assert_eq!(
            text,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: a\r\nx-kept: 1\r\n\r\n"
        );
    }

    #[test]
    fn another_websocket_version_is_told_the_right_one() {
        let error = HeadError::new(StatusCode::UPGRADE_REQUIRED, "no");
        let text = written(|out| write_head_error(out, error));
        assert!(
            text.starts_with("HTTP/1.1 426 Upgrade Required\r\n"),
            "{text}"
        );
        assert!(text.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{text}");
        assert!(text.ends_with("\r\nConnection: close\r\n\r\nno"), "{text}");
    }

    #[test]
    fn a_refusal_says_when_to_come_back() {
        let text = written(|out| write_refusal(out, Refusal::ProcessFull, 2));
        assert!(
            text.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
            "{text}"
        );
        assert!(text.contains("\r\nretry-after: 7\r\n"), "{text}");
        let text = written(|out| write_refusal(out, Refusal::AddressFull, 0));
        assert!(
            text.starts_with("HTTP/1.1 429 Too Many Requests\r\n"),
            "{text}"
        );
    }
}
