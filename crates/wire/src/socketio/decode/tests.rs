//! What the decoder refuses, and what it has to take.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::test_bytes::bytes;

fn decode_text(text: &str) -> Result<Option<Packet<'_>>, DecodeError> {
    Decoder::new(None).text(text, &Limits::default())
}

fn decode_msgpack(data: &[u8]) -> Result<Packet<'_>, DecodeError> {
    Decoder::new(None)
        .binary(data, &Limits::default())
        .map(Option::unwrap)
}

#[test]
fn malformed_texts_are_refused() {
    use DecodeError::*;
    for (text, error) in [
        ("", UnknownType),
        ("abc", UnknownType),
        ("7", UnknownType),
        ("é", UnknownType),
        ("5", BadAttachmentCount),
        ("5[\"a\"]", BadAttachmentCount),
        ("5-[\"a\"]", BadAttachmentCount),
        ("5x-[\"a\"]", BadAttachmentCount),
        ("5+1-[\"a\"]", BadAttachmentCount),
        ("511-[\"a\"]", TooManyAttachments),
        ("599999999999999999999-[\"a\"]", TooManyAttachments),
        ("299999999999999999999[\"a\"]", BadId),
        ("0[]", BadPayload),
        ("0\"a\"", BadPayload),
        ("0null", BadPayload),
        ("0{\"a\":}", Malformed),
        ("0{}x", Malformed),
        ("1{}", BadPayload),
        ("1\"a\"", BadPayload),
        ("2", BadPayload),
        ("2/admin,", BadPayload),
        ("2{}", BadPayload),
        ("2[]", BadPayload),
        ("2[{}]", BadPayload),
        ("2[null]", BadPayload),
        ("2[true]", BadPayload),
        ("2abc[\"message-with-ack\"]", Malformed),
        ("2[\"a\"", Malformed),
        ("2[\"a\"]]", Malformed),
        ("2[\"a\",01]", Malformed),
        ("2[\"connect\"]", ReservedEvent),
        ("2[\"connect_error\"]", ReservedEvent),
        ("2[\"disconnect\"]", ReservedEvent),
        ("2[\"disconnecting\"]", ReservedEvent),
        ("2[\"newListener\"]", ReservedEvent),
        ("2[\"removeListener\"]", ReservedEvent),
        ("2[\"\\u0063onnect\"]", ReservedEvent),
        ("51-[\"connect\"]", ReservedEvent),
        ("3", BadPayload),
        ("31{}", BadPayload),
        ("4", BadPayload),
        ("4[]", BadPayload),
        ("41", BadPayload),
    ] {
        assert_eq!(decode_text(text), Err(error), "{text}");
    }
}

#[test]
fn unusual_packets_that_the_default_parser_takes_are_taken() {
    for text in [
        "2[1]",
        "2[-0.5,{}]",
        "2[\"\"]",
        "3[]",
        "4\"no\"",
        "4{}",
        "2 [ \"a\" ] ",
        "2[\"Connect\"]",
    ] {
        assert!(decode_text(text).unwrap().is_some(), "{text}");
    }
}

#[test]
fn a_binary_packet_without_attachments_is_complete() {
    let mut decoder = Decoder::new(None);
    let packet = decoder
        .text("50-[\"a\"]", &Limits::default())
        .unwrap()
        .unwrap();
    assert_eq!(packet.kind, Kind::Event);
    assert!(
        decoder
            .text("2[\"b\"]", &Limits::default())
            .unwrap()
            .is_some()
    );
}

#[test]
fn placeholders_need_their_attachments() {
    for text in [
        r#"51-["a",{"_placeholder":true,"num":1}]"#,
        r#"51-["a",{"_placeholder":true,"num":-1}]"#,
        r#"51-["a",{"_placeholder":true,"num":0.5}]"#,
        r#"51-["a",{"_placeholder":true,"num":"splice"}]"#,
        r#"51-["a",{"_placeholder":true}]"#,
        r#"51-["a",[{"b":{"x":1,"\u005fplaceholder":true,"num":9}}]]"#,
        r#"61-1[{"_placeholder":true,"num":2}]"#,
    ] {
        assert_eq!(
            decode_text(text),
            Err(DecodeError::BadPlaceholder),
            "{text}"
        );
    }
    let unused = decode_text(r#"51-["a",{"_placeholder":false,"num":7}]"#);
    assert_eq!(unused, Ok(None));
    // In a packet without attachments they are objects like others, as for the default parser.
    assert!(
        decode_text(r#"2["a",{"_placeholder":true,"num":7}]"#)
            .unwrap()
            .is_some()
    );
}

#[test]
fn attachments_and_packets_must_not_be_mixed_up() {
    let limits = Limits::default();
    let mut decoder = Decoder::new(None);
    assert_eq!(decoder.text("51-[\"a\"]", &limits), Ok(None));
    assert_eq!(
        decoder.text("2[\"b\"]", &limits),
        Err(DecodeError::UnexpectedText)
    );
    let mut decoder = Decoder::new(None);
    decoder.text("0", &limits).unwrap();
    assert_eq!(
        decoder.binary(&[1], &limits),
        Err(DecodeError::UnexpectedBinary)
    );
    let mut decoder = Decoder::new(Some(Parser::Json));
    assert_eq!(
        decoder.binary(&[1], &limits),
        Err(DecodeError::UnexpectedBinary)
    );
    let mut decoder = Decoder::new(Some(Parser::Msgpack));
    assert_eq!(decoder.text("0", &limits), Err(DecodeError::UnexpectedText));
}

#[test]
fn a_packet_is_bounded_with_its_attachments() {
    let limits = Limits {
        max_payload_bytes: 20,
        ..Limits::default()
    };
    let mut decoder = Decoder::new(None);
    assert_eq!(decoder.text("52-[\"a\"]", &limits), Ok(None));
    assert_eq!(decoder.binary(&[0; 6], &limits), Ok(None));
    assert!(decoder.binary(&[0; 6], &limits).unwrap().is_some());
    let mut decoder = Decoder::new(None);
    assert_eq!(decoder.text("52-[\"a\"]", &limits), Ok(None));
    assert_eq!(decoder.binary(&[0; 6], &limits), Ok(None));
    assert_eq!(decoder.binary(&[0; 7], &limits), Err(DecodeError::TooLarge));
    let long = "2[\"aaaaaaaaaaaaaaaaaaaa\"]";
    assert_eq!(
        Decoder::new(None).text(long, &limits),
        Err(DecodeError::TooLarge)
    );
    assert_eq!(
        Decoder::new(None).binary(&[0; 21], &limits),
        Err(DecodeError::TooLarge)
    );
}

#[test]
fn nesting_is_bounded_in_both_parsers() {
    let deep = format!("2[\"a\",{}{}]", "[".repeat(99), "]".repeat(99));
    assert!(decode_text(&deep).is_ok());
    let deeper = format!("2[\"a\",{}{}]", "[".repeat(100), "]".repeat(100));
    assert_eq!(decode_text(&deeper), Err(DecodeError::TooDeep));
    let msgpack = |depth: usize| {
        let inner = [vec![0x91; depth], vec![0xc0]].concat();
        [
            &bytes("83a47479706502a36e7370a12fa46461746192a161")[..],
            &inner,
        ]
        .concat()
    };
    assert!(decode_msgpack(&msgpack(99)).is_ok());
    assert_eq!(decode_msgpack(&msgpack(100)), Err(DecodeError::TooDeep));
}

#[test]
fn malformed_msgpack_is_refused() {
    use DecodeError::*;
    for (hex, error) in [
        ("", Malformed),
        ("c0", Malformed),
        ("c1", Malformed),
        ("91a0", Malformed),
        ("80", UnknownType),
        ("81a47479706500", BadNamespace),
        ("81a36e7370a12f", UnknownType),
        ("82a47479706500a36e737001", BadNamespace),
        ("82a47479706505a36e7370a12f", UnknownType),
        ("82a474797065ffa36e7370a12f", UnknownType),
        ("82a474797065a130a36e7370a12f", UnknownType),
        ("82a47479706500a36e7370a12f00", Malformed),
        ("82a47479706500a36e7370a1ff", Malformed),
        ("82a47479706500a36e7370", Malformed),
        ("820000a36e7370a12f", Malformed),
        ("83a47479706500a36e7370a12fa46461746190", BadPayload),
        ("83a47479706501a36e7370a12fa46461746180", BadPayload),
        ("82a47479706502a36e7370a12f", BadPayload),
        ("83a47479706502a36e7370a12fa46461746190", BadPayload),
        ("83a47479706502a36e7370a12fa46461746191c0", BadPayload),
        (
            "83a47479706502a36e7370a12fa46461746191a7636f6e6e656374",
            ReservedEvent,
        ),
        (
            "83a47479706502a36e7370a12fa46461746191dfffffffff",
            Malformed,
        ),
        (
            "83a47479706502a36e7370a12fa46461746192a161819001",
            Malformed,
        ),
        ("82a47479706503a36e7370a12f", BadPayload),
        ("82a47479706504a36e7370a12f", BadPayload),
        ("83a47479706500a36e7370a12fa26964ff", BadId),
        ("83a47479706500a36e7370a12fa26964a131", BadId),
    ] {
        assert_eq!(decode_msgpack(&bytes(hex)), Err(error), "{hex}");
    }
}

#[test]
fn an_idle_decoder_is_small() {
    assert!(size_of::<Decoder>() <= 16, "{}", size_of::<Decoder>());
}

#[test]
fn a_packet_without_attachments_is_borrowed() {
    let packet = decode_text("2/admin,7[\"foo\"]").unwrap().unwrap();
    assert!(matches!(packet.nsp, Cow::Borrowed("/admin")));
    assert!(matches!(
        packet.data,
        Data::Json {
            text: Cow::Borrowed("[\"foo\"]"),
            ..
        }
    ));
}

#[test]
fn the_namespace_may_end_with_the_packet() {
    let packet = decode_text("0/custom").unwrap().unwrap();
    assert_eq!((&*packet.nsp, packet.data), ("/custom", Data::None));
    let packet = decode_text("0/admin?token=1&x,{}").unwrap().unwrap();
    assert_eq!(&*packet.nsp, "/admin?token=1&x");
}
