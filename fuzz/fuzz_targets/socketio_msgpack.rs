//! Socket.IO packets with the msgpack parser: what is taken can be told to clients with the JSON parser.
#![no_main]

use lakh_wire::Limits;
use lakh_wire::engine::Version;
use lakh_wire::socketio::transcode::msgpack_to_json;
use lakh_wire::socketio::{Data, Decoder, Kind, Outgoing, Parser, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let limits = Limits {
        max_attachments: usize::MAX,
        ..Limits::default()
    };
    let Ok(Some(packet)) = Decoder::new(Some(Parser::Msgpack)).binary(data, &limits) else {
        return;
    };
    let Data::Msgpack(raw) = &packet.data else {
        assert!(matches!(packet.kind, Kind::Connect | Kind::Disconnect));
        return;
    };
    let Ok((text, attachments)) = msgpack_to_json(raw, &limits) else {
        return;
    };
    let out = Outgoing {
        kind: packet.kind,
        nsp: &packet.nsp,
        id: packet.id,
        args: Some(&text),
        attachments: &attachments,
        offset: None,
        compress: false,
    };
    let again = encode(Parser::Msgpack, &out);
    let frame = again.ws(Version::V4);
    let header = match frame[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    let mut decoder = Decoder::new(None);
    let packed = decoder
        .binary(&frame[header..], &limits)
        .expect("our own packet is refused");
    let packed = packed.expect("a packet is waited for");
    let nsp = if packet.nsp.is_empty() {
        "/"
    } else {
        &*packet.nsp
    };
    assert_eq!(
        (packed.kind, &*packed.nsp, packed.id),
        (packet.kind, nsp, packet.id)
    );
});
