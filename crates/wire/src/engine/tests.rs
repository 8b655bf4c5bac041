//! Packets, the handshake and JSONP: the examples of the protocol pages, and Node's refusals.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::borrow::Cow;

use super::handshake::{HandshakeError, Query, open_packet, params};
use super::*;

fn binary(data: &[u8]) -> Packet<'_> {
    Packet::Message(Message::Binary(Cow::Borrowed(data)))
}

#[test]
fn every_type_digit_is_read_in_both_revisions() {
    for version in [Version::V3, Version::V4] {
        let read = |text| decode_text(version, text).unwrap();
        assert_eq!(read("0{}"), Packet::Open("{}"));
        assert_eq!(read("1"), Packet::Close);
        assert_eq!(read("2"), Packet::Ping(""));
        assert_eq!(read("2probe"), Packet::Ping("probe"));
        assert_eq!(read("3probe"), Packet::Pong("probe"));
        assert_eq!(read("4hello"), Packet::Message(Message::Text("hello")));
        assert_eq!(read("4€"), Packet::Message(Message::Text("€")));
        assert_eq!(read("4"), Packet::Message(Message::Text("")));
        assert_eq!(read("5"), Packet::Upgrade);
        assert_eq!(read("6"), Packet::Noop);
        for (text, error) in [
            ("", PacketError::Empty),
            ("7", PacketError::UnknownType),
            ("abc", PacketError::UnknownType),
            ("é", PacketError::UnknownType),
            ("-1", PacketError::UnknownType),
        ] {
            assert_eq!(decode_text(version, text), Err(error), "{text}");
        }
    }
}

#[test]
fn binary_messages_are_raw_in_v4_and_typed_in_v3() {
    assert_eq!(decode_binary(Version::V4, &[1, 2]), Ok(binary(&[1, 2])));
    assert_eq!(decode_binary(Version::V4, &[]), Ok(binary(&[])));
    assert_eq!(decode_binary(Version::V3, &[4, 0, 1]), Ok(binary(&[0, 1])));
    assert_eq!(decode_binary(Version::V3, &[2, 9]), Ok(Packet::Ping("")));
    assert_eq!(decode_binary(Version::V3, &[]), Err(PacketError::Empty));
    assert_eq!(
        decode_binary(Version::V3, &[7]),
        Err(PacketError::UnknownType)
    );
}

#[test]
fn base64_has_a_type_in_v3_and_none_in_v4() {
    assert_eq!(
        decode_text(Version::V4, "bAQIDBA=="),
        Ok(binary(&[1, 2, 3, 4]))
    );
    assert_eq!(
        decode_text(Version::V3, "b4AQIDBA=="),
        Ok(binary(&[1, 2, 3, 4]))
    );
    assert_eq!(
        decode_text(Version::V4, "bAQIDBA"),
        Ok(binary(&[1, 2, 3, 4]))
    );
    assert_eq!(decode_text(Version::V4, "b"), Ok(binary(&[])));
    assert_eq!(decode_text(Version::V4, "bA*"), Err(PacketError::BadBase64));
    assert_eq!(decode_text(Version::V3, "b"), Err(PacketError::Empty));
    assert_eq!(
        decode_text(Version::V3, "b9AQ=="),
        Err(PacketError::UnknownType)
    );
}

#[test]
fn a_query_is_read() {
    let query = Query::parse("EIO=4&transport=polling&t=N8hyd7H&sid=lv_VI97HAXpY6yYWAAAC").unwrap();
    assert_eq!(
        query,
        Query {
            version: Some(Version::V4),
            transport: Some(Transport::Polling),
            sid: Some("lv_VI97HAXpY6yYWAAAC".into()),
            b64: false,
            jsonp: None,
        }
    );
    let query = Query::parse("EIO=3&transport=websocket&b64=1&j=1%3B2x&sid=").unwrap();
    assert_eq!(query.version, Some(Version::V3));
    assert_eq!(query.transport, Some(Transport::WebSocket));
    assert!(query.b64);
    assert_eq!(query.sid, None);
    assert_eq!(query.jsonp.as_deref(), Some("12"));
    assert_eq!(Query::parse(""), Ok(Query::default()));
}

#[test]
fn the_last_of_a_doubled_parameter_counts() {
    let query = Query::parse("transport=abc&transport=polling&EIO=9&EIO=4&sid=a&sid=b").unwrap();
    assert_eq!(query.transport, Some(Transport::Polling));
    assert_eq!(query.sid.as_deref(), Some("b"));
}

#[test]
fn unknown_transports_and_revisions_are_refused_in_nodes_order() {
    assert_eq!(
        Query::parse("EIO=4&transport=abc"),
        Err(HandshakeError::UnknownTransport)
    );
    assert_eq!(
        Query::parse("EIO=abc&transport=abc"),
        Err(HandshakeError::UnknownTransport)
    );
    assert_eq!(
        Query::parse("EIO=abc&transport=polling"),
        Err(HandshakeError::UnsupportedVersion)
    );
    assert_eq!(
        Query::parse("EIO=2&transport=polling"),
        Err(HandshakeError::UnsupportedVersion)
    );
}

#[test]
fn parameters_are_percent_decoded() {
    let all: Vec<_> = params("a=1&b=%C3%A9+x&&c&d=%zz%4&%65=%ff").collect();
    let expected = [
        ("a", "1"),
        ("b", "é x"),
        ("c", ""),
        ("d", "%zz%4"),
        ("e", "\u{fffd}"),
    ];
    assert_eq!(all, expected.map(|(k, v)| (Cow::from(k), Cow::from(v))));
}

#[test]
fn the_open_packet_is_the_one_of_the_protocol_page() {
    assert_eq!(
        open_packet(
            "lv_VI97HAXpY6yYWAAAC",
            &["websocket"],
            25000,
            20000,
            1_000_000
        ),
        r#"0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#
    );
    assert_eq!(
        open_packet("a", &[], 300, 200, None),
        r#"0{"sid":"a","upgrades":[],"pingInterval":300,"pingTimeout":200}"#
    );
}

#[test]
fn refusals_have_nodes_codes_and_messages() {
    let all = [
        HandshakeError::UnknownTransport,
        HandshakeError::UnknownSid,
        HandshakeError::BadMethod,
        HandshakeError::BadRequest,
        HandshakeError::Forbidden,
        HandshakeError::UnsupportedVersion,
    ];
    for (code, error) in all.into_iter().enumerate() {
        assert_eq!(usize::from(error.code()), code);
        assert_eq!(
            error.body(),
            format!(r#"{{"code":{code},"message":"{error}"}}"#)
        );
        assert_eq!(error.status(), if code == 4 { 403 } else { 400 });
    }
    assert_eq!(HandshakeError::UnknownSid.to_string(), "Session ID unknown");
}

#[test]
fn jsonp_answers_are_valid_javascript() {
    assert_eq!(
        jsonp::wrap("4", "packet data"),
        r#"___eio[4]("packet data");"#
    );
    assert_eq!(
        jsonp::wrap("4);alert(1", "a\"b\\\n\u{2028}\u{2028}x\u{2029}"),
        r#"___eio[41]("a\"b\\\n\u2028\u2028x\u2029");"#
    );
}

#[test]
fn jsonp_forms_are_read_with_their_line_feeds() {
    assert_eq!(jsonp::unwrap_form("d=1%3A2").as_deref(), Some("1:2"));
    // The client sends a line feed as \n, a \n as \\n, and leaves other backslashes.
    assert_eq!(
        jsonp::unwrap_form(r"x=1&d=a%5Cnb%5C%5Cnc%5Cd%5C").as_deref(),
        Some("a\nb\\nc\\d\\")
    );
    assert_eq!(jsonp::unwrap_form("e=1"), None);
}

#[test]
fn control_packets_are_the_same_in_both_revisions() {
    for (control, text) in [
        (Control::Ping, "2"),
        (Control::Pong, "3"),
        (Control::PongProbe, "3probe"),
        (Control::Noop, "6"),
        (Control::Close, "1"),
    ] {
        assert_eq!(control.as_text(Version::V3), text);
        assert_eq!(control.as_text(Version::V4), text);
    }
}
