//! Frames from a stranger: any split of the bytes gives the same events and the same end as all at once, and memory
//! stays within the bound.
#![no_main]

use arbitrary::Arbitrary;
use lakh_wire::ws::{Decoder, WsError};
use libfuzzer_sys::fuzz_target;

const MAX: usize = 5000;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    deflate: bool,
    cuts: Vec<u8>,
    bytes: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let whole = run(&input, &[input.bytes]);
    let mut pieces = Vec::new();
    let mut rest = input.bytes;
    for cut in &input.cuts {
        let (head, tail) = rest.split_at(usize::from(*cut).min(rest.len()));
        pieces.push(head);
        rest = tail;
    }
    pieces.push(rest);
    assert_eq!(run(&input, &pieces), whole);
});

fn run(input: &Input<'_>, pieces: &[&[u8]]) -> (Vec<String>, Option<WsError>) {
    let mut decoder = Decoder::new(MAX, input.deflate);
    let mut events = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut rest = &mut piece[..];
        loop {
            let (used, more) = match decoder.decode(rest) {
                Err(error) => return (events, Some(error)),
                Ok((used, event)) => {
                    events.extend(event.as_ref().map(|event| format!("{event:?}")));
                    (used, event.is_some())
                }
            };
            assert!(decoder.buffered_bytes() <= 3 * MAX + 1000);
            rest = &mut rest[used..];
            if !more {
                assert!(rest.is_empty());
                break;
            }
        }
    }
    (events, None)
}
