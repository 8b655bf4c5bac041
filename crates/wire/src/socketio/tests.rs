//! Packets in and out, against the bytes of socket.io-parser 4.2.7 and socket.io-msgpack-parser 3.0.2.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;

use super::*;
use crate::engine::Version;
use crate::engine::payload::Writer;
use crate::test_bytes::bytes;
use crate::{Encoded, Limits};

/// A recorded packet: what it is, its text and attachments, and its msgpack in hex.
struct Recorded {
    kind: Kind,
    nsp: &'static str,
    id: Option<u64>,
    args: Option<&'static str>,
    attachments: Vec<Bytes>,
    text: &'static str,
    msgpack: &'static str,
}

/// Kind, namespace, id, arguments, text, msgpack.
type Row = (
    Kind,
    &'static str,
    Option<u64>,
    Option<&'static str>,
    &'static str,
    &'static str,
);

#[rustfmt::skip]
const PLAIN: [Row; 10] = [
    (Kind::Connect, "/", None, None, "0", "82a47479706500a36e7370a12f"),
    (Kind::Connect, "/admin", None, Some(r#"{"sid":"oSO0OpakMV_3jnilAAAA"}"#),
        r#"0/admin,{"sid":"oSO0OpakMV_3jnilAAAA"}"#,
        "83a47479706500a46461746181a3736964b46f534f304f70616b4d565f336a6e696c41414141a36e7370a62f61646d696e"),
    (Kind::Disconnect, "/", None, None, "1", "82a47479706501a36e7370a12f"),
    (Kind::Disconnect, "/admin", None, None, "1/admin,", "82a47479706501a36e7370a62f61646d696e"),
    (Kind::Event, "/", None, Some(r#"["foo"]"#), r#"2["foo"]"#,
        "83a47479706502a46461746191a3666f6fa36e7370a12f"),
    (Kind::Event, "/admin", None, Some(r#"["bar"]"#), r#"2/admin,["bar"]"#,
        "83a47479706502a46461746191a3626172a36e7370a62f61646d696e"),
    (Kind::Event, "/", Some(12), Some(r#"["foo"]"#), r#"212["foo"]"#,
        "84a47479706502a46461746191a3666f6fa36e7370a12fa269640c"),
    (Kind::Ack, "/admin", Some(13), Some(r#"["bar"]"#), r#"3/admin,13["bar"]"#,
        "84a47479706503a46461746191a3626172a36e7370a62f61646d696ea269640d"),
    (Kind::Ack, "/", Some(0), Some("[]"), "30[]",
        "84a47479706503a46461746190a36e7370a12fa2696400"),
    (Kind::ConnectError, "/", None, Some(r#"{"message":"Not authorized"}"#),
        r#"4{"message":"Not authorized"}"#,
        "83a47479706504a46461746181a76d657373616765ae4e6f7420617574686f72697a6564a36e7370a12f"),
];

/// With the attachments.
#[rustfmt::skip]
const BINARY: [(Row, &[&[u8]]); 3] = [
    ((Kind::Event, "/", None, Some(r#"["baz",{"_placeholder":true,"num":0}]"#),
        r#"51-["baz",{"_placeholder":true,"num":0}]"#,
        "83a47479706502a46461746192a362617ac40401020304a36e7370a12f"), &[&[1, 2, 3, 4]]),
    ((Kind::Event, "/admin", None,
        Some(r#"["baz",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#),
        r#"52-/admin,["baz",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#,
        "83a47479706502a46461746193a362617ac4020102c4020304a36e7370a62f61646d696e"), &[&[1, 2], &[3, 4]]),
    ((Kind::Ack, "/", Some(15), Some(r#"["bar",{"_placeholder":true,"num":0}]"#),
        r#"61-15["bar",{"_placeholder":true,"num":0}]"#,
        "84a47479706503a46461746192a3626172c40401020304a36e7370a12fa269640f"), &[&[1, 2, 3, 4]]),
];

fn recorded() -> Vec<Recorded> {
    let plain = PLAIN.into_iter().map(|row| (row, &[][..]));
    plain
        .chain(BINARY)
        .map(
            |((kind, nsp, id, args, text, msgpack), attachments)| Recorded {
                kind,
                nsp,
                id,
                args,
                attachments: attachments.iter().map(|a| Bytes::from_static(a)).collect(),
                text,
                msgpack,
            },
        )
        .collect()
}

impl Recorded {
    fn outgoing(&self) -> Outgoing<'_> {
        Outgoing {
            kind: self.kind,
            nsp: self.nsp,
            id: self.id,
            args: self.args,
            attachments: &self.attachments,
            offset: None,
            compress: false,
        }
    }
}

/// The Engine.IO messages of an encoded packet: those of a polling answer.
fn text_of(encoded: &Encoded) -> String {
    let mut writer = Writer::new(Version::V4, true);
    encoded.write_polling(&mut writer);
    String::from_utf8(writer.finish().0).unwrap()
}

fn decode_text(text: &str) -> Result<Option<Packet<'_>>, DecodeError> {
    Decoder::new(None).text(text, &Limits::default())
}

fn decode_msgpack(data: &[u8]) -> Result<Packet<'_>, DecodeError> {
    Decoder::new(None)
        .binary(data, &Limits::default())
        .map(Option::unwrap)
}

#[test]
fn packets_are_written_as_the_default_parser_writes_them() {
    for recorded in recorded() {
        let encoded = encode(Parser::Json, &recorded.outgoing());
        assert_eq!(
            text_of(&encoded).split('\x1e').next().unwrap(),
            format!("4{}", recorded.text)
        );
        assert_eq!(encoded.messages(), 1 + recorded.attachments.len());
    }
}

#[test]
fn packets_are_written_as_the_msgpack_parser_writes_them() {
    for recorded in recorded() {
        let encoded = encode(Parser::Msgpack, &recorded.outgoing());
        assert_eq!(
            encoded.ws(Version::V4)[2..],
            bytes(recorded.msgpack),
            "{}",
            recorded.text
        );
    }
}

#[test]
fn recorded_texts_are_read() {
    for recorded in recorded() {
        let mut decoder = Decoder::new(None);
        let mut packet = decoder.text(recorded.text, &Limits::default()).unwrap();
        assert_eq!(decoder.parser(), Some(Parser::Json));
        for attachment in &recorded.attachments {
            assert_eq!(packet, None);
            assert!(decoder.is_waiting());
            packet = decoder.binary(attachment, &Limits::default()).unwrap();
        }
        assert!(!decoder.is_waiting());
        let packet = packet.unwrap();
        assert_eq!(
            (packet.kind, &*packet.nsp, packet.id),
            (recorded.kind, recorded.nsp, recorded.id)
        );
        let expected = recorded.args.map_or(Data::None, |text| Data::Json {
            text: text.into(),
            attachments: recorded.attachments.clone(),
        });
        assert_eq!(packet.data, expected);
    }
}

#[test]
fn recorded_msgpack_is_read() {
    for recorded in recorded() {
        let data = bytes(recorded.msgpack);
        let mut decoder = Decoder::new(None);
        let packet = decoder.binary(&data, &Limits::default()).unwrap().unwrap();
        assert_eq!(decoder.parser(), Some(Parser::Msgpack));
        assert_eq!(
            (packet.kind, &*packet.nsp, packet.id),
            (recorded.kind, recorded.nsp, recorded.id)
        );
        let read = match &packet.data {
            Data::None => None,
            Data::Msgpack(raw) => {
                Some(transcode::msgpack_to_json(raw, &Limits::default()).unwrap())
            }
            Data::Json { .. } => panic!("JSON out of msgpack"),
        };
        let expected = recorded
            .args
            .map(|text| (text.to_owned(), recorded.attachments.clone()));
        assert_eq!(read, expected);
    }
}

#[test]
fn what_the_node_client_sends_with_msgpack_is_read() {
    // `data` undefined, as notepack 2 writes it.
    let connect = bytes("83a47479706500a36e7370a12fa464617461d40000");
    assert_eq!(decode_msgpack(&connect).unwrap().data, Data::None);
    // With the `options` that the client leaves in the packet.
    let event = bytes(
        "85a47479706502a46461746192a2686981a16101a76f7074696f6e7381a8636f6d7072657373c3a2696403a36e7370a22f78",
    );
    let packet = decode_msgpack(&event).unwrap();
    assert_eq!(
        (packet.kind, &*packet.nsp, packet.id),
        (Kind::Event, "/x", Some(3))
    );
    assert_eq!(packet.data, Data::Msgpack(bytes("92a2686981a16101").into()));
}

#[test]
fn event_names_are_found_without_reading_on() {
    assert_eq!(event_name("[\"foo\",1"), Some(Cow::Borrowed("foo")));
    assert!(matches!(
        event_name(" [ \"foo\" ]"),
        Some(Cow::Borrowed("foo"))
    ));
    assert_eq!(event_name(r#"["f\u006fo\n"]"#).as_deref(), Some("foo\n"));
    for text in ["[1]", "[]", "{}", "", "[[\"a\"]]", "[\"a"] {
        assert_eq!(event_name(text), None, "{text}");
    }
}

#[test]
fn arguments_are_split_into_raw_slices() {
    assert_eq!(
        split_args(r#"[ "a\"]," , 1.5e3 ,{"k":[1,"]"]}, [ ] ,null,true,[[2],3],"" ]"#),
        [
            r#""a\"],""#,
            "1.5e3",
            r#"{"k":[1,"]"]}"#,
            "[ ]",
            "null",
            "true",
            "[[2],3]",
            "\"\""
        ]
    );
    assert_eq!(split_args("[]"), [""; 0]);
    assert_eq!(split_args("{}"), [""; 0]);
    assert_eq!(split_args("[1,2"), ["1", "2"]);
}

#[test]
fn an_offset_becomes_the_last_argument() {
    let with_offset = |args, attachments: &[Bytes]| {
        let out = Outgoing {
            attachments,
            offset: Some("1-0\""),
            ..Outgoing::event("/n", args)
        };
        let msgpack = encode(Parser::Msgpack, &out).ws(Version::V4)[2..].to_vec();
        let Data::Msgpack(raw) = decode_msgpack(&msgpack).unwrap().data else {
            panic!("no data");
        };
        let (json, _) = transcode::msgpack_to_json(&raw, &Limits::default()).unwrap();
        (text_of(&encode(Parser::Json, &out)), json)
    };
    assert_eq!(
        with_offset("[\"a\", 1 ] ", &[]),
        (
            "42/n,[\"a\", 1,\"1-0\\\"\"]".to_owned(),
            "[\"a\",1,\"1-0\\\"\"]".to_owned()
        )
    );
    let one = "[\"a\",{\"_placeholder\":true,\"num\":0}]";
    let (text, json) = with_offset(one, &[Bytes::from_static(&[1, 2, 3])]);
    assert_eq!(
        text,
        "451-/n,[\"a\",{\"_placeholder\":true,\"num\":0},\"1-0\\\"\"]\u{1e}bAQID"
    );
    assert_eq!(
        json,
        "[\"a\",{\"_placeholder\":true,\"num\":0},\"1-0\\\"\"]"
    );
    let empty = Outgoing {
        kind: Kind::Ack,
        id: Some(u64::MAX),
        offset: Some("o"),
        ..Outgoing::event("", "[ ]")
    };
    assert_eq!(
        text_of(&encode(Parser::Json, &empty)),
        "4318446744073709551615[\"o\"]"
    );
}

fn event() -> impl Strategy<Value = (String, Option<u64>, String, String)> {
    let args = prop::collection::vec(
        prop_oneof![
            any::<i64>().prop_map(|n| n.to_string()),
            ".{0,9}".prop_map(|s| serde_json::to_string(&s).unwrap()),
            Just("{\"a\":[null,true]}".to_owned()),
        ],
        0..5,
    );
    (
        "/[a-z?=]{1,8}",
        any::<Option<u64>>(),
        "[a-z:é]{1,9}",
        args.prop_map(|a| a.join(",")),
    )
        .prop_filter("not reserved", |(.., name, _)| !is_reserved_event(name))
}

proptest! {
    #[test]
    fn events_survive_both_parsers((nsp, id, name, rest) in event()) {
        let comma = if rest.is_empty() { "" } else { "," };
        let args = format!("[\"{name}\"{comma}{rest}]");
        let out = Outgoing { id, ..Outgoing::event(&nsp, &args) };
        let text = text_of(&encode(Parser::Json, &out));
        let packet = decode_text(&text[1..]).unwrap().unwrap();
        prop_assert_eq!((&*packet.nsp, packet.id), (&*nsp, id));
        prop_assert_eq!(packet.data, Data::Json { text: args.as_str().into(), attachments: vec![] });
        prop_assert_eq!(event_name(&args), Some(name.into()));

        let frame = encode(Parser::Msgpack, &out);
        let mut writer = Writer::new(Version::V3, true);
        frame.write_polling(&mut writer);
        let (body, _) = writer.finish();
        let start = body.iter().position(|b| *b == 0xff).unwrap() + 2;
        let packet = decode_msgpack(&body[start..]).unwrap();
        prop_assert_eq!((&*packet.nsp, packet.id), (&*nsp, id));
    }

    #[test]
    fn no_text_makes_the_decoder_panic(text in "[0-9/,\\[\\]{}\"a-f_:-]{0,40}") {
        let _ = decode_text(&text);
        let _ = split_args(&text);
        let _ = event_name(&text);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(tail in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = decode_msgpack(&tail);
        let head = bytes("83a47479706502a36e7370a12fa464617461");
        let _ = decode_msgpack(&[head, tail].concat());
    }
}
