//! Tests of reading request heads.
#![allow(clippy::unwrap_used)] // A panic is how a test fails.

use super::*;
use proptest::prelude::*;

fn with_head<R>(text: &str, look: impl FnOnce(Head<'_>, usize) -> R) -> R {
    match parse_head(text.as_bytes(), &mut header_slots(), DEFAULT_MAX_HEAD_BYTES) {
        ParsedHead::Complete { head, len } => look(head, len),
        other => panic!("{other:?} of {text:?}"),
    }
}

fn status(bytes: &[u8], max: usize) -> StatusCode {
    match parse_head(bytes, &mut header_slots(), max) {
        ParsedHead::Invalid(error) => error.status,
        other => panic!("{other:?} of {:?}", bytes.escape_ascii().to_string()),
    }
}

const REQUEST: &str = "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n\
    Host: example.com:3000\r\nX-One: 1\r\nx-one: two\r\nConnection: keep-alive, Upgrade\r\n\r\n";

#[test]
fn a_whole_head_gives_its_parts() {
    with_head(&format!("{REQUEST}body"), |head, len| {
        assert_eq!(len, REQUEST.len());
        assert_eq!((head.method, head.minor_version), ("GET", 1));
        assert_eq!(head.path(), "/socket.io/");
        assert_eq!(head.query(), Some("EIO=4&transport=polling"));
        assert_eq!(head.host(), Ok(Some("example.com:3000")));
        assert_eq!(head.header_str("X-ONE"), Some("1"));
        let all: Vec<_> = head.header_values("x-one").collect();
        assert_eq!(all, [&b"1"[..], b"two"]);
        assert!(head.list_has("connection", "upgrade"));
        assert!(!head.list_has("connection", "close"));
        assert_eq!(head.header("x-none"), None);
    });
}

#[test]
fn every_prefix_is_partial() {
    for end in 0..REQUEST.len() {
        let mut slots = header_slots();
        let parsed = parse_head(&REQUEST.as_bytes()[..end], &mut slots, 1_000);
        assert!(matches!(parsed, ParsedHead::Partial), "prefix of {end}");
    }
}

#[test]
fn targets_of_every_form_are_split() {
    for (target, path, query) in [
        ("/", "/", None),
        ("/a?", "/a", Some("")),
        ("/a?b?c", "/a", Some("b?c")),
        ("/a#b?c", "/a", None),
        ("//a", "//a", None),
        ("http://h:1/a?b", "/a", Some("b")),
        ("http://h", "/", None),
        ("http://h?b", "/", Some("b")),
        ("*", "", None),
        ("h:443", "", None),
    ] {
        with_head(&format!("GET {target} HTTP/1.1\r\n\r\n"), |head, _| {
            assert_eq!((head.path(), head.query()), (path, query), "{target}");
        });
    }
}

#[test]
fn a_head_past_its_limit_is_refused() {
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(1_000));
    assert_eq!(status(long.as_bytes(), 500), 431);
    assert_eq!(status(&long.as_bytes()[..501], 500), 431);
    let mut slots = header_slots();
    let parsed = parse_head(&long.as_bytes()[..500], &mut slots, 500);
    assert!(matches!(parsed, ParsedHead::Partial));
    let target = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(1_000));
    assert_eq!(status(target.as_bytes(), 500), 414);
    // Exactly at the limit it is taken, with more behind it.
    let mut slots = header_slots();
    let at_limit = parse_head(REQUEST.as_bytes(), &mut slots, REQUEST.len());
    assert!(matches!(at_limit, ParsedHead::Complete { .. }));
    let more = format!("{REQUEST}{REQUEST}");
    let mut slots = header_slots();
    let at_limit = parse_head(more.as_bytes(), &mut slots, REQUEST.len());
    assert!(matches!(at_limit, ParsedHead::Complete { .. }));
}

#[test]
fn more_fields_than_the_limit_are_refused() {
    let of = |n| format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(n));
    with_head(&of(MAX_HEADERS), |head, _| {
        assert_eq!(head.headers().len(), MAX_HEADERS);
    });
    assert_eq!(status(of(MAX_HEADERS + 1).as_bytes(), 16_384), 431);
}

#[test]
fn other_protocols_are_refused_at_once() {
    assert_eq!(status(b"\x16\x03\x01\x02\x00\x01", 100), 400);
    assert_eq!(status(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 100), 505);
    assert_eq!(status(b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 100), 400);
    assert_eq!(
        status(b"GET / HTTP/1.1\r\na: b\r\n folded\r\n\r\n", 100),
        400
    );
    assert_eq!(status(b"GET / HTTP/1.1\r\na : b\r\n\r\n", 100), 400);
    assert_eq!(status(b"GET / HTTP/1.1\r\na: b\0c\r\n\r\n", 100), 400);
}

#[test]
fn host_must_be_there_once_and_be_a_host() {
    let host = |fields: &str, version| {
        with_head(
            &format!("GET / HTTP/1.{version}\r\n{fields}\r\n"),
            |head, _| head.host().map(|host| host.map(str::to_owned)).is_ok(),
        )
    };
    assert!(host("Host: a\r\n", 1));
    assert!(host("Host: [::1]:3000\r\n", 1));
    assert!(!host("", 1));
    assert!(host("", 0));
    assert!(!host("Host: a\r\nHost: a\r\n", 1));
    assert!(!host("Host: a b\r\n", 1));
    assert!(!host("Host: user@a\r\n", 1));
    assert!(!host("Host: a/b\r\n", 1));
}

#[test]
fn keep_alive_follows_version_and_connection() {
    let keeps = |start: &str| with_head(&format!("GET / {start}\r\n\r\n"), |h, _| h.keep_alive());
    assert!(keeps("HTTP/1.1"));
    assert!(!keeps("HTTP/1.1\r\nConnection: foo, Close"));
    assert!(!keeps("HTTP/1.0"));
    assert!(keeps("HTTP/1.0\r\nConnection: Keep-Alive"));
}

/// Feeds `bytes` in pieces and gives the length of the head, or the status it was refused with.
fn read_in_pieces(bytes: &[u8], piece: usize, max: usize) -> Result<usize, Option<u16>> {
    let mut reader = HeadReader::default();
    let mut end = 0;
    while end < bytes.len() {
        end = (end + piece).min(bytes.len());
        match reader.parse(&bytes[..end], &mut header_slots(), max) {
            ParsedHead::Partial => {}
            ParsedHead::Complete { len, .. } => return Ok(len),
            ParsedHead::Invalid(error) => return Err(Some(error.status.as_u16())),
        }
    }
    Err(None)
}

#[test]
fn a_head_in_pieces_is_found_whatever_the_pieces() {
    let mut long = format!("GET / HTTP/1.1\r\n{}\r\n", "name: value\r\n".repeat(90));
    long.push_str("body");
    for text in [
        REQUEST,
        &long,
        "GET / HTTP/1.1\n\n",
        "\r\nGET / HTTP/1.1\n\r\n",
    ] {
        let whole = read_in_pieces(text.as_bytes(), usize::MAX / 2, 16_384).unwrap();
        for piece in 1..20 {
            assert_eq!(read_in_pieces(text.as_bytes(), piece, 16_384), Ok(whole));
        }
    }
    let endless = "a".repeat(200);
    assert_eq!(read_in_pieces(endless.as_bytes(), 1, 100), Err(Some(414)));
}

proptest! {
    #[test]
    fn pieces_and_whole_agree(
        start in prop::sample::select(vec!["", "GET / HTTP/1.1\r\n", "POST /x HTTP/1.0\n"]),
        rest in proptest::collection::vec(
            prop::sample::select(b"\r\n:a \0\xff".to_vec()), 0..60),
        piece in 1..9usize,
    ) {
        let mut bytes = start.as_bytes().to_vec();
        bytes.extend(rest);
        // A head that is whole in the buffer is found in pieces too, with the same length.
        let whole = read_in_pieces(&bytes, usize::MAX / 2, 1_000);
        let pieces = read_in_pieces(&bytes, piece, 1_000);
        if whole.is_ok() || pieces.is_ok() {
            prop_assert_eq!(whole, pieces);
        }
    }
}
