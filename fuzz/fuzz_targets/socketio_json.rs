//! Socket.IO packets with the JSON parser: what is taken is valid JSON of the right shape, and encodes to the same.
#![no_main]

use arbitrary::Arbitrary;
use lakh_wire::engine::Version;
use lakh_wire::socketio::{
    Data, Decoder, Kind, Outgoing, Packet, Parser, encode, event_name, is_reserved_event,
    split_args,
};
use lakh_wire::{Bytes, Limits};
use libfuzzer_sys::fuzz_target;
use serde_json::value::Value;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    attachments: Vec<&'a [u8]>,
    text: &'a str,
}

fuzz_target!(|input: Input<'_>| {
    let _ = (event_name(input.text), split_args(input.text));
    let limits = Limits::default();
    let mut decoder = Decoder::new(None);
    let Ok(mut packet) = decoder.text(input.text, &limits) else {
        return;
    };
    for attachment in input.attachments {
        if packet.is_some() {
            break;
        }
        match decoder.binary(attachment, &limits) {
            Ok(next) => packet = next,
            Err(_) => return,
        }
    }
    if let Some(packet) = packet {
        assert!(!decoder.is_waiting());
        check(&packet);
    }
});

fn check(packet: &Packet<'_>) {
    let (text, attachments) = match &packet.data {
        Data::None => (None, &[][..]),
        Data::Json { text, attachments } => (Some(&**text), &attachments[..]),
        Data::Msgpack(_) => panic!("msgpack out of JSON"),
    };
    if let Some(text) = text {
        // Halves of surrogate pairs are JSON, but serde_json can't hold them.
        if !text.contains("\\u") && !text.contains(['e', 'E']) {
            check_shape(packet.kind, text);
        }
    }
    let encoded = encode(
        Parser::Json,
        &Outgoing {
            kind: packet.kind,
            nsp: &packet.nsp,
            id: packet.id,
            args: text,
            attachments,
            offset: None,
            compress: false,
        },
    );
    let again = decode_frames(&encoded.ws(Version::V4)[..]);
    assert_eq!(&again.nsp, &packet.nsp);
    assert_eq!(
        (again.kind, again.id, &again.data),
        (packet.kind, packet.id, &packet.data)
    );
}

fn check_shape(kind: Kind, text: &str) {
    let value: Value = serde_json::from_str(text).expect("not JSON");
    match (kind, value) {
        (Kind::Connect, Value::Object(_))
        | (Kind::ConnectError, Value::Object(_) | Value::String(_)) => {}
        (Kind::Event, Value::Array(args)) => {
            assert_eq!(split_args(text).len(), args.len());
            assert_eq!(event_name(text).as_deref(), args[0].as_str());
            assert!(!args[0].as_str().is_some_and(is_reserved_event));
            assert!(args[0].is_string() || args[0].is_number());
        }
        (Kind::Ack, Value::Array(args)) => assert_eq!(split_args(text).len(), args.len()),
        (kind, value) => panic!("{kind:?} with {value}"),
    }
}

fn decode_frames(frames: &[u8]) -> Packet<'static> {
    use lakh_wire::ws::{Event, client};
    let mut frames = frames.to_vec();
    let mut rest = &mut frames[..];
    let mut wire = client::Decoder::new(10_000_000, false);
    let mut decoder = Decoder::new(Some(Parser::Json));
    let limits = Limits {
        max_payload_bytes: 10_000_000,
        ..Limits::default()
    };
    loop {
        let (used, event) = wire.decode(rest).expect("a bad frame");
        let packet = match event {
            Some(Event::Text(text)) => decoder.text(&text[1..], &limits).map(own),
            Some(Event::Binary(data)) => decoder.binary(data, &limits).map(own),
            other => panic!("{other:?}"),
        };
        rest = &mut rest[used..];
        if let Some(packet) = packet.expect("a bad packet") {
            return packet;
        }
    }
}

fn own(packet: Option<Packet<'_>>) -> Option<Packet<'static>> {
    packet.map(|packet| Packet {
        kind: packet.kind,
        nsp: packet.nsp.into_owned().into(),
        id: packet.id,
        event: packet.event.map(|name| name.into_owned().into()),
        data: match packet.data {
            Data::None => Data::None,
            Data::Json { text, attachments } => Data::Json {
                text: text.into_owned().into(),
                attachments: attachments
                    .iter()
                    .map(|a| Bytes::copy_from_slice(a))
                    .collect(),
            },
            Data::Msgpack(raw) => Data::Msgpack(raw.into_owned().into()),
        },
    })
}
