//! The head of an HTTP/1.1 request, read where it lies.
//!
//! Invariants: nothing is copied or allocated; a head is never longer than its limit and never has more than
//! [`MAX_HEADERS`] fields; work grows with the bytes that came, not with how many pieces they came in
//! ([`HeadReader`]). Sources: RFC 9112 (messages), RFC 9110 section 7.8 (Upgrade).

use std::mem::MaybeUninit;

use http::StatusCode;
use httparse::Header;

use crate::forwarded::HeaderSource;

/// More fields than this are refused with 431.
pub const MAX_HEADERS: usize = 100;
/// The default limit of a head, as Node has it.
pub const DEFAULT_MAX_HEAD_BYTES: usize = 16 * 1024;

/// Room for the fields of one head: put one on the stack before parsing.
pub type HeaderSlots<'b> = [MaybeUninit<Header<'b>>; MAX_HEADERS];

/// Empty [`HeaderSlots`]. Costs nothing: the memory isn't touched.
#[must_use]
pub fn header_slots<'b>() -> HeaderSlots<'b> {
    [const { MaybeUninit::uninit() }; MAX_HEADERS]
}

/// What was made of the bytes at hand.
#[derive(Debug)]
pub enum ParsedHead<'a> {
    /// So far it can be a head; ask again with more bytes.
    Partial,
    /// A whole head.
    Complete {
        /// Its parts.
        head: Head<'a>,
        /// How many bytes it took; the body or the next request follows.
        len: usize,
    },
    /// Not a head that is taken. Answer with this and close.
    Invalid(HeadError),
}

/// Why a request is refused before anybody looked at what it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {message}")]
pub struct HeadError {
    /// What to answer.
    pub status: StatusCode,
    /// For the one who reads the answer; plain ASCII.
    pub message: &'static str,
}

impl HeadError {
    pub(crate) const fn new(status: StatusCode, message: &'static str) -> Self {
        Self { status, message }
    }

    pub(crate) const fn bad_request(message: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }
}

/// A request's head. Borrows from the read buffer and the slots.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// As sent: methods are case-sensitive.
    pub method: &'a str,
    /// The request target as sent.
    pub target: &'a str,
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub minor_version: u8,
    pub(crate) headers: &'a [Header<'a>],
}

/// Reads a head from the start of `buf`.
///
/// Call it through a [`HeadReader`] while bytes still come in.
pub fn parse_head<'h, 'b: 'h>(
    buf: &'b [u8],
    slots: &'h mut HeaderSlots<'b>,
    max_head_bytes: usize,
) -> ParsedHead<'h> {
    // One byte past the limit is enough to know that it's too long.
    let window = &buf[..buf.len().min(max_head_bytes)];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(window, slots) {
        Ok(httparse::Status::Complete(len)) => complete(request, len),
        Ok(httparse::Status::Partial) if buf.len() > max_head_bytes => {
            ParsedHead::Invalid(too_long(request.version.is_some()))
        }
        Ok(httparse::Status::Partial) => ParsedHead::Partial,
        Err(error) => ParsedHead::Invalid(refusal(error)),
    }
}

fn complete<'h, 'b: 'h>(request: httparse::Request<'h, 'b>, len: usize) -> ParsedHead<'h> {
    let httparse::Request {
        method: Some(method),
        path: Some(target),
        version: Some(minor_version),
        headers,
    } = request
    else {
        // A complete request has all three.
        return ParsedHead::Invalid(HeadError::bad_request("Malformed request line"));
    };
    ParsedHead::Complete {
        head: Head {
            method,
            target,
            minor_version,
            headers,
        },
        len,
    }
}

fn too_long(has_request_line: bool) -> HeadError {
    if has_request_line {
        HeadError::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "Request header fields too large",
        )
    } else {
        HeadError::new(StatusCode::URI_TOO_LONG, "Request target too long")
    }
}

fn refusal(error: httparse::Error) -> HeadError {
    match error {
        httparse::Error::TooManyHeaders => HeadError::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "Too many request header fields",
        ),
        httparse::Error::Version => HeadError::new(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "Only HTTP/1.0 and HTTP/1.1 are spoken here",
        ),
        httparse::Error::HeaderName | httparse::Error::HeaderValue => {
            HeadError::bad_request("Malformed header field")
        }
        httparse::Error::NewLine | httparse::Error::Status | httparse::Error::Token => {
            HeadError::bad_request("Malformed request line")
        }
    }
}

/// Reads one head that comes in pieces, without parsing all of it again for each piece: a head that is sent byte
/// by byte would otherwise cost the square of its length. Keep one a request; it is four bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadReader {
    seen: u32,
}

impl HeadReader {
    /// As [`parse_head`]; `buf` holds all bytes of this head so far. Parses on the first call (which finds out
    /// strangers that speak another protocol) and then when a blank line may have ended the head.
    pub fn parse<'h, 'b: 'h>(
        &mut self,
        buf: &'b [u8],
        slots: &'h mut HeaderSlots<'b>,
        max_head_bytes: usize,
    ) -> ParsedHead<'h> {
        let seen = self.seen as usize;
        self.seen = u32::try_from(buf.len()).unwrap_or(u32::MAX);
        // The three bytes before may be the start of the blank line.
        let news = &buf[seen.saturating_sub(3).min(buf.len())..];
        if seen == 0 || buf.len() > max_head_bytes || has_blank_line(news) {
            parse_head(buf, slots, max_head_bytes)
        } else {
            ParsedHead::Partial
        }
    }
}

/// Lines may end with LF alone (RFC 9112 section 2.2).
fn has_blank_line(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair == b"\n\n") || bytes.windows(3).any(|three| three == b"\n\r\n")
}

impl<'a> Head<'a> {
    /// The target's path, still percent-encoded. Empty for `*` and for the authority form of CONNECT.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.split_target().0
    }

    /// What follows the question mark, still encoded; `None` without one.
    #[must_use]
    pub fn query(&self) -> Option<&'a str> {
        self.split_target().1
    }

    fn split_target(&self) -> (&'a str, Option<&'a str>) {
        let target = self.target.split('#').next().unwrap_or_default();
        let origin_form = if target.starts_with('/') {
            target
        } else if let Some((_, rest)) = target.split_once("://") {
            // The absolute form, which a server must take (RFC 9112 section 3.2.2).
            match rest.find(['/', '?']) {
                Some(at) => &rest[at..],
                None => "/",
            }
        } else {
            return ("", None);
        };
        match origin_form.split_once('?') {
            Some(("", query)) => ("/", Some(query)),
            Some((path, query)) => (path, Some(query)),
            None => (origin_form, None),
        }
    }

    /// The fields in order, names as sent.
    #[must_use]
    pub fn headers(&self) -> &'a [Header<'a>] {
        self.headers
    }

    /// The first value of a field, whatever the case of its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.header_values(name).next()
    }

    /// The first value as text; `None` also when it isn't UTF-8.
    #[must_use]
    pub fn header_str(&self, name: &str) -> Option<&'a str> {
        std::str::from_utf8(self.header(name)?).ok()
    }

    /// All values of a field, in order.
    pub fn header_values<'s>(
        &self,
        name: &'s str,
    ) -> impl DoubleEndedIterator<Item = &'a [u8]> + use<'a, 's> {
        self.headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value)
    }

    /// The only value of a field: `Ok(None)` without one.
    ///
    /// # Errors
    /// The message, when it is there twice.
    pub(crate) fn single(
        &self,
        name: &str,
        twice: &'static str,
    ) -> Result<Option<&'a [u8]>, HeadError> {
        let mut values = self.header_values(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(HeadError::bad_request(twice));
        }
        Ok(first)
    }

    /// Whether a field that is a list (`Connection`, `Upgrade`) has this token, in any of its lines and any case.
    #[must_use]
    pub fn list_has(&self, name: &str, token: &str) -> bool {
        self.header_values(name).any(|line| line_has(line, token))
    }

    /// The `Host` field, checked: exactly one in HTTP/1.1, at most one in HTTP/1.0 (RFC 9112 section 3.2).
    ///
    /// # Errors
    /// 400 when it is missing, doubled or holds what no host can.
    pub fn host(&self) -> Result<Option<&'a str>, HeadError> {
        self.checked_host(self.single("host", "More than one Host header")?)
    }

    /// The value of the only `Host` field, checked.
    pub(crate) fn checked_host(
        &self,
        host: Option<&'a [u8]>,
    ) -> Result<Option<&'a str>, HeadError> {
        let Some(host) = host else {
            return if self.minor_version == 0 {
                Ok(None)
            } else {
                Err(HeadError::bad_request("Missing Host header"))
            };
        };
        std::str::from_utf8(host)
            .ok()
            .filter(|text| text.bytes().all(|byte| HOST_BYTES[usize::from(byte)]))
            .map(Some)
            .ok_or(HeadError::bad_request("Malformed Host header"))
    }

    /// Whether the connection stays open after the answer, as far as the client is concerned.
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        if self.minor_version == 0 {
            self.list_has("connection", "keep-alive")
        } else {
            !self.list_has("connection", "close")
        }
    }
}

/// Whether one line of a list has this token, in any case.
pub(crate) fn line_has(line: &[u8], token: &str) -> bool {
    // Most lines hold the token and nothing else.
    line.eq_ignore_ascii_case(token.as_bytes())
        || line
            .split(|byte| *byte == b',')
            .any(|entry| entry.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// What a host may be made of.
const HOST_BYTES: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        // The index is below 256.
        let is = byte as u8;
        plain[byte] = is.is_ascii_graphic()
            && !matches!(is, b'/' | b'\\' | b'@' | b'?' | b'#' | b'"' | b'<' | b'>');
        byte += 1;
    }
    plain
};

impl HeaderSource for Head<'_> {
    fn values<'s>(&'s self, name: &'s str) -> impl DoubleEndedIterator<Item = &'s [u8]> {
        self.header_values(name)
    }
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
