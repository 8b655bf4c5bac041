//! Tests of the PROXY protocol: whole headers, every prefix of them, and what must be refused.
#![allow(clippy::unwrap_used)] // A panic is how a test fails.

use super::*;
use proptest::prelude::*;

fn complete(buf: &[u8]) -> Proxied {
    match parse_proxy_header(buf) {
        ProxyHeader::Complete(proxied) => proxied,
        other => panic!("{other:?} of {:?}", buf.escape_ascii().to_string()),
    }
}

fn error(buf: &[u8]) -> ProxyError {
    match parse_proxy_header(buf) {
        ProxyHeader::Invalid(error) => error,
        other => panic!("{other:?} of {:?}", buf.escape_ascii().to_string()),
    }
}

fn pair(source: &str, destination: &str) -> Option<(SocketAddr, SocketAddr)> {
    Some((source.parse().unwrap(), destination.parse().unwrap()))
}

fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut header = V2_SIGNATURE.to_vec();
    header.extend([command, family]);
    header.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    header.extend(body);
    header
}

const V4_BODY: [u8; 12] = [10, 0, 0, 1, 10, 0, 0, 2, 0x1f, 0x90, 0x01, 0xbb];

/// Every prefix waits for more, and what follows the header is left alone.
fn check_every_prefix(header: &[u8]) {
    for end in 0..header.len() {
        assert_eq!(
            parse_proxy_header(&header[..end]),
            ProxyHeader::NeedMore,
            "prefix of {end}"
        );
    }
    let mut longer = header.to_vec();
    longer.extend(b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(complete(&longer).consumed, header.len());
}

#[test]
fn version_1_tells_both_addresses() {
    let header = b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n";
    assert_eq!(
        complete(header).addresses,
        pair("192.0.2.1:56324", "192.0.2.2:443")
    );
    check_every_prefix(header);
    let header = b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n";
    assert_eq!(
        complete(header).addresses,
        pair("[2001:db8::1]:1", "[::1]:65535")
    );
    check_every_prefix(header);
}

#[test]
fn version_1_unknown_has_no_addresses_whatever_follows_it() {
    for header in [
        &b"PROXY UNKNOWN\r\n"[..],
        b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n",
    ] {
        assert_eq!(complete(header).addresses, None);
        check_every_prefix(header);
    }
}

#[test]
fn version_1_lines_that_break_the_grammar_are_refused() {
    for line in [
        "PROXY TCP4 192.0.2.1 192.0.2.2 56324\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443 1\r\n",
        "PROXY TCP4  192.0.2.1 192.0.2.2 56324 443\r\n",
        "PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
        "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY \r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 \u{663}\r\n",
    ] {
        assert!(
            matches!(error(line.as_bytes()), ProxyError::Malformed(_)),
            "{line:?}"
        );
    }
}

#[test]
fn a_version_1_line_without_end_is_refused_at_its_bound() {
    let mut line = b"PROXY UNKNOWN ".to_vec();
    line.resize(MAX_V1_BYTES - 1, b'x');
    assert_eq!(parse_proxy_header(&line), ProxyHeader::NeedMore);
    line.push(b'x');
    assert_eq!(error(&line), ProxyError::TooLong);
    // The longest that is allowed.
    line.truncate(MAX_V1_BYTES - 2);
    line.extend(b"\r\n");
    assert_eq!(complete(&line).consumed, MAX_V1_BYTES);
}

#[test]
fn version_2_tells_both_addresses() {
    let header = v2(0x21, 0x11, &V4_BODY);
    assert_eq!(
        complete(&header).addresses,
        pair("10.0.0.1:8080", "10.0.0.2:443")
    );
    check_every_prefix(&header);

    let mut body = [0; 36];
    (body[15], body[31], body[33], body[35]) = (1, 2, 3, 4);
    let header = v2(0x21, 0x21, &body);
    assert_eq!(complete(&header).addresses, pair("[::1]:3", "[::2]:4"));
    check_every_prefix(&header);
}

#[test]
fn version_2_fields_after_the_addresses_are_skipped() {
    let mut body = V4_BODY.to_vec();
    body.extend([0x04, 0x00, 0x03, 0, 0, 0]);
    let header = v2(0x21, 0x11, &body);
    assert_eq!(
        complete(&header),
        Proxied {
            addresses: pair("10.0.0.1:8080", "10.0.0.2:443"),
            consumed: header.len(),
        }
    );
}

#[test]
fn version_2_local_and_unspecified_have_no_addresses() {
    for header in [
        v2(0x20, 0x00, &[]),
        v2(0x20, 0x11, &V4_BODY),
        v2(0x21, 0x00, &[1, 2, 3]),
        v2(0x21, 0x31, &[0; 216]),
    ] {
        assert_eq!(complete(&header).addresses, None);
        check_every_prefix(&header);
    }
}

#[test]
fn version_2_headers_that_break_the_grammar_are_refused() {
    assert!(matches!(
        error(&v2(0x21, 0x11, &V4_BODY[..11])),
        ProxyError::Malformed(_)
    ));
    assert!(matches!(
        error(&v2(0x21, 0x12, &V4_BODY)),
        ProxyError::Malformed(_)
    ));
    assert!(matches!(
        error(&v2(0x31, 0x11, &V4_BODY)),
        ProxyError::Malformed(_)
    ));
    assert!(matches!(
        error(&v2(0x22, 0x11, &V4_BODY)),
        ProxyError::Malformed(_)
    ));
    assert_eq!(error(&v2(0x21, 0x11, &[0; 521])), ProxyError::TooLong);
    assert_eq!(complete(&v2(0x21, 0x11, &[0; 520])).consumed, MAX_V2_BYTES);
}

#[test]
fn a_too_long_version_2_header_is_refused_before_its_body_comes() {
    let header = v2(0x21, 0x11, &[0; 60_000]);
    assert_eq!(error(&header[..16]), ProxyError::TooLong);
}

#[test]
fn plain_requests_are_refused_at_the_first_wrong_byte() {
    assert_eq!(error(b"G"), ProxyError::Missing);
    assert_eq!(error(b"PROXX"), ProxyError::Missing);
    assert_eq!(error(b"\r\n\r\nG"), ProxyError::Missing);
    assert_eq!(error(b"\x16\x03\x01"), ProxyError::Missing);
}

proptest! {
    #[test]
    fn any_bytes_end_within_the_bound(start in 0..3usize, tail in proptest::collection::vec(any::<u8>(), 0..700)) {
        let mut buf = [&b""[..], V1_START, V2_SIGNATURE][start].to_vec();
        buf.extend(tail);
        match parse_proxy_header(&buf) {
            ProxyHeader::NeedMore => prop_assert!(buf.len() < MAX_V2_BYTES),
            ProxyHeader::Complete(proxied) => prop_assert!(proxied.consumed <= buf.len().min(MAX_V2_BYTES)),
            ProxyHeader::Invalid(_) => {}
        }
    }
}
