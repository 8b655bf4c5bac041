//! permessage-deflate: what is compressed comes back, and no compressed bytes pass the bound or cause a panic.
#![no_main]

use lakh_wire::ws::{Decoder, Event, Opcode, WsError, client, write_header};
use lakh_wire::{Encoded, engine::Version};
use libfuzzer_sys::fuzz_target;

const MAX: usize = 20_000;

fuzz_target!(|data: &[u8]| {
    round_trip(data);
    let mut frame = client::encode(Opcode::Binary, data, [0; 4]);
    frame[0] |= 0x40;
    let mut decoder = Decoder::new(MAX, true);
    match decoder.decode(&mut frame) {
        Ok((_, Some(Event::Binary(inflated)))) => assert!(inflated.len() <= MAX),
        Ok(other) => panic!("a whole frame gave {other:?}"),
        Err(error) => assert!(matches!(error, WsError::BadDeflate | WsError::TooLarge)),
    }
});

fn round_trip(data: &[u8]) {
    let mut frame = client::encode_compressed(Opcode::Binary, data, [1, 2, 3, 4]);
    let mut decoder = Decoder::new(data.len(), true);
    let (_, event) = decoder
        .decode(&mut frame)
        .expect("the client's own frame is refused");
    assert_eq!(event, Some(Event::Binary(data)));

    let encoded = Encoded::binary(data);
    let mut plain = Vec::new();
    write_header(&mut plain, Opcode::Binary, data.len(), false);
    plain.extend_from_slice(data);
    assert_eq!(encoded.ws(Version::V4), &plain);
    let mut deflated = encoded.ws_deflated(Version::V4).to_vec();
    let mut decoder = client::Decoder::new(data.len(), true);
    let (_, event) = decoder
        .decode(&mut deflated)
        .expect("the server's own frame is refused");
    assert_eq!(event, Some(Event::Binary(data)));
}
