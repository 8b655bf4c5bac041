//! Bodies of both revisions, byte for byte as engine.io-parser 2 and 5 write them, and what must be refused.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::borrow::Cow;
use std::ops::ControlFlow;

use proptest::prelude::*;

use super::{ContentType, PayloadError, Writer, decode};
use crate::Limits;
use crate::engine::{Message, Packet, PacketError, Version};

/// A packet that owns what it has.
#[derive(Clone, Debug, PartialEq)]
enum Owned {
    Text(String),
    Binary(Vec<u8>),
    Other(String),
}

fn own(packet: &Packet<'_>) -> Owned {
    match packet {
        Packet::Message(Message::Text(text)) => Owned::Text((*text).to_owned()),
        Packet::Message(Message::Binary(data)) => Owned::Binary(data.to_vec()),
        other => Owned::Other(format!("{other:?}")),
    }
}

fn read(version: Version, body: &[u8], binary: bool) -> (Vec<Owned>, Result<(), PayloadError>) {
    let mut packets = Vec::new();
    let result = decode(version, body, binary, &Limits::default(), |packet| {
        packets.push(own(&packet));
        ControlFlow::Continue(())
    });
    (packets, result)
}

fn text(text: &str) -> Owned {
    Owned::Text(text.to_owned())
}

#[test]
fn the_v4_examples_are_read() {
    let (packets, result) = read(Version::V4, b"4hello\x1e2\x1e4world", false);
    assert_eq!(result, Ok(()));
    assert_eq!(
        packets,
        [
            text("hello"),
            Owned::Other("Ping(\"\")".into()),
            text("world")
        ]
    );
    let (packets, result) = read(Version::V4, b"4hello\x1ebAQIDBA==", false);
    assert_eq!(result, Ok(()));
    assert_eq!(packets, [text("hello"), Owned::Binary(vec![1, 2, 3, 4])]);
}

#[test]
fn the_v4_writer_writes_what_engine_io_parser_5_writes() {
    let mut writer = Writer::new(Version::V4, true);
    assert!(writer.is_empty());
    writer.push_text(b"4hello");
    writer.push_text(b"2");
    writer.push_binary(&[1, 2, 3, 4]);
    writer.push_text("4€".as_bytes());
    let expected = "4hello\u{1e}2\u{1e}bAQIDBA==\u{1e}4€";
    assert_eq!(writer.len(), expected.len());
    assert_eq!(writer.finish(), (expected.into(), ContentType::TextPlain));
}

#[test]
fn the_v3_writer_writes_what_engine_io_parser_2_writes() {
    let mut writer = Writer::new(Version::V3, true);
    for packet in ["4hello", "4€", "2probe", "4😀é"] {
        writer.push_text(packet.as_bytes());
    }
    assert_eq!(
        writer.finish(),
        ("6:4hello2:4€6:2probe4:4😀é".into(), ContentType::TextPlain)
    );

    let packets = |supports_binary| {
        let mut writer = Writer::new(Version::V3, supports_binary);
        writer.push_text("4€".as_bytes());
        writer.push_binary(&[1, 2, 3, 4]);
        writer.push_text(b"2");
        writer.finish()
    };
    let binary = b"\x00\x04\xff4\xe2\x82\xac\x01\x05\xff\x04\x01\x02\x03\x04\x00\x01\xff2";
    assert_eq!(packets(true), (binary.to_vec(), ContentType::OctetStream));
    assert_eq!(
        packets(false),
        ("2:4€10:b4AQIDBA==1:2".into(), ContentType::TextPlain)
    );
    assert_eq!(Writer::new(Version::V3, true).finish().0, b"0:");
}

#[test]
fn a_v3_length_has_a_byte_a_digit_in_the_binary_form() {
    let mut writer = Writer::new(Version::V3, true);
    writer.push_binary(&[7; 130]);
    let (body, _) = writer.finish();
    assert_eq!(body[..6], [1, 1, 3, 1, 0xff, 4]);
    assert_eq!(
        read(Version::V3, &body, true).0,
        [Owned::Binary(vec![7; 130])]
    );
}

#[test]
fn the_v3_examples_are_read() {
    let (packets, result) = read(Version::V3, "6:4hello2:4€4:4😀é".as_bytes(), false);
    assert_eq!(result, Ok(()));
    assert_eq!(packets, [text("hello"), text("€"), text("😀é")]);
    let (packets, result) = read(Version::V3, "2:4€10:b4AQIDBA==".as_bytes(), false);
    assert_eq!(result, Ok(()));
    assert_eq!(packets, [text("€"), Owned::Binary(vec![1, 2, 3, 4])]);
    let body = b"\x00\x04\xff4\xe2\x82\xac\x01\x05\xff\x04\x01\x02\x03\x04";
    let (packets, result) = read(Version::V3, body, true);
    assert_eq!(result, Ok(()));
    assert_eq!(packets, [text("€"), Owned::Binary(vec![1, 2, 3, 4])]);
}

#[test]
fn an_empty_v3_packet_is_skipped_and_an_empty_binary_body_holds_nothing() {
    assert_eq!(
        read(Version::V3, b"0:2:4a", false),
        (vec![text("a")], Ok(()))
    );
    assert_eq!(read(Version::V3, b"", true), (vec![], Ok(())));
}

#[test]
fn packets_before_a_fault_are_delivered() {
    let (packets, result) = read(Version::V4, b"4a\x1e9\x1e4b", false);
    assert_eq!(packets, [text("a")]);
    assert_eq!(result, Err(PayloadError::Packet(PacketError::UnknownType)));
    let (packets, result) = read(Version::V3, b"2:4a9:4b", false);
    assert_eq!(packets, [text("a")]);
    assert_eq!(result, Err(PayloadError::BadLength));
}

#[test]
fn malformed_v4_bodies_are_refused() {
    let error = |body: &[u8]| read(Version::V4, body, false).1.unwrap_err();
    assert_eq!(error(b""), PayloadError::Packet(PacketError::Empty));
    assert_eq!(error(b"4a\x1e"), PayloadError::Packet(PacketError::Empty));
    assert_eq!(
        error(b"abc"),
        PayloadError::Packet(PacketError::UnknownType)
    );
    assert_eq!(error(b"b!!"), PayloadError::Packet(PacketError::BadBase64));
    assert_eq!(error(b"4\xff"), PayloadError::NotUtf8);
    assert_eq!(
        read(Version::V4, b"4a", true).1,
        Err(PayloadError::UnexpectedBinary)
    );
}

#[test]
fn malformed_v3_bodies_are_refused() {
    for body in [
        "",
        ":",
        "2",
        "2:",
        "2:4",
        "-1:4",
        "x:4",
        "1 :4",
        "3:4é",
        "99999999999999999999999:4",
        "2:4😀",
        "2:4a1",
    ] {
        assert_eq!(
            read(Version::V3, body.as_bytes(), false).1,
            Err(PayloadError::BadLength),
            "{body}"
        );
    }
    let bodies: [&[u8]; 7] = [
        &[0],
        &[0, 0xff],
        &[0, 2, 0xff, b'4'],
        &[2, 1, 0xff, b'4'],
        &[0, 10, 0xff, b'4'],
        &[0, 1],
        &[
            1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 0xff,
        ],
    ];
    for body in bodies {
        assert_eq!(
            read(Version::V3, body, true).1,
            Err(PayloadError::BadLength),
            "{body:?}"
        );
    }
    assert_eq!(
        read(Version::V3, &[0, 1, 0xff, 0xff], true).1,
        Err(PayloadError::NotUtf8)
    );
    assert_eq!(
        read(Version::V3, &[1, 1, 0xff, 7], true).1,
        Err(PayloadError::Packet(PacketError::UnknownType))
    );
}

#[test]
fn bodies_are_bounded_in_bytes_and_packets() {
    let limits = Limits {
        max_payload_bytes: 5,
        max_packets_per_payload: 2,
        ..Limits::default()
    };
    let run = |version, body: &[u8], binary| {
        decode(
            version,
            body,
            binary,
            &limits,
            |_| ControlFlow::Continue(()),
        )
    };
    assert_eq!(run(Version::V4, b"2\x1e2", false), Ok(()));
    assert_eq!(
        run(Version::V4, b"2\x1e2\x1e2", false),
        Err(PayloadError::TooManyPackets)
    );
    assert_eq!(
        run(Version::V4, b"412345", false),
        Err(PayloadError::TooLarge)
    );
    assert_eq!(
        run(Version::V3, b"0:0:0", false),
        Err(PayloadError::TooManyPackets)
    );
}

#[test]
fn breaking_ends_the_reading_without_an_error() {
    let mut seen = 0;
    let result = decode(Version::V4, b"1\x1e???", false, &Limits::default(), |_| {
        seen += 1;
        ControlFlow::Break(())
    });
    assert_eq!((seen, result), (1, Ok(())));
}

#[test]
fn text_is_borrowed_from_the_body() {
    let body = b"4hello".as_slice();
    let _ = decode(Version::V4, body, false, &Limits::default(), |packet| {
        let Packet::Message(Message::Text(text)) = packet else {
            panic!("not a text message");
        };
        assert!(body.as_ptr_range().contains(&text.as_ptr()));
        ControlFlow::Continue(())
    });
    let _ = decode(
        Version::V3,
        &[1, 2, 0xff, 4, 9],
        true,
        &Limits::default(),
        |packet| {
            assert!(matches!(
                packet,
                Packet::Message(Message::Binary(Cow::Borrowed(&[9])))
            ));
            ControlFlow::Continue(())
        },
    );
}

fn messages() -> impl Strategy<Value = Vec<Owned>> {
    let one = prop_oneof![
        // The separator can't stand in a v4 text: JSON escapes it.
        "[^\u{1e}]{0,12}".prop_map(Owned::Text),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Owned::Binary),
    ];
    prop::collection::vec(one, 1..8)
}

proptest! {
    #[test]
    fn what_the_writer_writes_is_read_back(
        messages in messages(), v3 in any::<bool>(), supports_binary in any::<bool>(),
    ) {
        let version = if v3 { Version::V3 } else { Version::V4 };
        let mut writer = Writer::new(version, supports_binary);
        for message in &messages {
            match message {
                Owned::Text(text) => writer.push_text(format!("4{text}").as_bytes()),
                Owned::Binary(data) => writer.push_binary(data),
                Owned::Other(_) => {}
            }
        }
        let (body, content_type) = writer.finish();
        let binary = content_type == ContentType::OctetStream;
        prop_assert_eq!(read(version, &body, binary), (messages, Ok(())));
    }

    #[test]
    fn no_body_makes_the_readers_panic(body in prop::collection::vec(any::<u8>(), 0..60), binary in any::<bool>()) {
        let _ = read(Version::V3, &body, binary);
        let _ = read(Version::V4, &body, binary);
    }
}
