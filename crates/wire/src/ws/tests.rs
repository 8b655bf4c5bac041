//! Frames: the examples of RFC 6455 and RFC 7692, every fault with its close code, and any split.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;

use super::*;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const MAX: usize = 100_000;

/// An event that owns what it has.
#[derive(Clone, Debug, PartialEq)]
enum Owned {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

fn own(event: &Event<'_>) -> Owned {
    match event {
        Event::Text(text) => Owned::Text((*text).to_owned()),
        Event::Binary(data) => Owned::Binary(data.to_vec()),
        Event::Ping(data) => Owned::Ping(data.to_vec()),
        Event::Pong(data) => Owned::Pong(data.to_vec()),
        Event::Close { code, reason } => Owned::Close(*code, (*reason).to_owned()),
    }
}

/// Feeds `bytes` in pieces of `step`, and returns what came and how it ended.
fn feed(decoder: &mut Decoder, bytes: &[u8], step: usize) -> (Vec<Owned>, Result<(), WsError>) {
    let mut events = Vec::new();
    for piece in bytes.chunks(step.max(1)) {
        let mut piece = piece.to_vec();
        let mut rest = &mut piece[..];
        loop {
            match decoder.decode(rest) {
                Err(error) => return (events, Err(error)),
                Ok((used, event)) => {
                    let more = event.is_some();
                    events.extend(event.as_ref().map(own));
                    if !more {
                        assert_eq!(used, rest.len(), "bytes were left without an event");
                        break;
                    }
                    rest = &mut rest[used..];
                }
            }
        }
    }
    (events, Ok(()))
}

/// Feeds whole and byte by byte, which must agree.
fn read_with(bytes: &[u8], max: usize, deflate: bool) -> (Vec<Owned>, Result<(), WsError>) {
    let whole = feed(&mut Decoder::new(max, deflate), bytes, usize::MAX);
    for step in [1, 2, 3, 7] {
        assert_eq!(feed(&mut Decoder::new(max, deflate), bytes, step), whole);
    }
    whole
}

fn read(bytes: &[u8]) -> Vec<Owned> {
    let (events, end) = read_with(bytes, MAX, false);
    assert_eq!(end, Ok(()));
    events
}

fn error(bytes: &[u8]) -> WsError {
    read_with(bytes, MAX, false).1.unwrap_err()
}

fn masked(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    client::encode(opcode, payload, MASK)
}

fn text(text: &str) -> Owned {
    Owned::Text(text.to_owned())
}

#[test]
fn the_accept_key_is_the_rfcs() {
    assert_eq!(
        accept_key("dGhlIHNhbXBsZSBub25jZQ=="),
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
}

#[test]
fn an_idle_decoder_is_small_and_holds_nothing() {
    assert!(size_of::<Decoder>() <= 16, "{}", size_of::<Decoder>());
    assert_eq!(Decoder::new(MAX, false).buffered_bytes(), 0);
}

#[test]
fn the_rfcs_masked_hello_is_read_and_written() {
    let frame = [
        0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    assert_eq!(read(&frame), [text("Hello")]);
    assert_eq!(masked(Opcode::Text, b"Hello"), frame);
}

#[test]
fn the_rfcs_unmasked_frames_are_written() {
    assert_eq!(text_frame("Hello"), b"\x81\x05Hello");
    assert_eq!(pong_frame(b"Hello"), b"\x8a\x05Hello");
    assert_eq!(close_frame(None, ""), [0x88, 0]);
    assert_eq!(close_frame(1000, "bye"), b"\x88\x05\x03\xe8bye");
    for (length, header) in [
        (125, &[0x82, 125][..]),
        (126, &[0x82, 0x7e, 0, 126]),
        (256, &[0x82, 0x7e, 0x01, 0x00]),
        (65535, &[0x82, 0x7e, 0xff, 0xff]),
        (65536, &[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]),
    ] {
        let mut out = Vec::new();
        write_header(&mut out, Opcode::Binary, length, false);
        assert_eq!(out, header);
        assert_eq!(out.len(), header_len(length));
    }
}

#[test]
fn close_reasons_are_cut_between_characters() {
    let frame = close_frame(1001, &"é".repeat(100));
    assert_eq!(frame.len(), 2 + 2 + 122);
    assert_eq!(pong_frame(&[0; 200]).len(), 127);
}

#[test]
fn a_fragmented_message_is_put_together_around_control_frames() {
    let bytes = [
        client::encode_fragment(Opcode::Text, b"Hel", MASK, false),
        masked(Opcode::Ping, b"p"),
        client::encode_fragment(Opcode::Continuation, b"", MASK, false),
        masked(Opcode::Pong, b""),
        client::encode_fragment(Opcode::Continuation, b"lo", MASK, true),
        masked(Opcode::Binary, &[1, 2]),
    ]
    .concat();
    assert_eq!(
        read(&bytes),
        [
            Owned::Ping(b"p".to_vec()),
            Owned::Pong(vec![]),
            text("Hello"),
            Owned::Binary(vec![1, 2])
        ]
    );
}

#[test]
fn a_character_may_be_split_between_fragments() {
    let euro = "€".as_bytes();
    let bytes = [
        client::encode_fragment(Opcode::Text, &euro[..1], MASK, false),
        client::encode_fragment(Opcode::Continuation, &euro[1..], MASK, true),
    ]
    .concat();
    assert_eq!(read(&bytes), [text("€")]);
}

#[test]
fn a_whole_frame_is_handed_out_without_a_copy() {
    let mut frame = masked(Opcode::Text, b"hello");
    let range = frame.as_ptr_range();
    let mut decoder = Decoder::new(MAX, false);
    let (used, event) = decoder.decode(&mut frame).unwrap();
    let Some(Event::Text(text)) = event else {
        panic!("no text");
    };
    assert!(range.contains(&text.as_ptr()));
    assert_eq!(used, 11);
    assert_eq!(decoder.buffered_bytes(), 0);
}

#[test]
fn the_buffer_of_a_split_message_is_freed_by_the_next_call() {
    let mut decoder = Decoder::new(MAX, false);
    let mut frame = masked(Opcode::Binary, &[9; 50_000]);
    let (first, second) = frame.split_at_mut(20_000);
    assert_eq!(decoder.decode(first).unwrap(), (20_000, None));
    assert!(decoder.buffered_bytes() >= 19_000);
    let (used, event) = decoder.decode(second).unwrap();
    assert!(matches!(event, Some(Event::Binary(data)) if data == [9; 50_000]));
    assert_eq!(used, second.len());
    assert_eq!(decoder.decode(&mut []).unwrap(), (0, None));
    assert_eq!(decoder.buffered_bytes(), 0);
}

#[test]
fn a_huge_length_allocates_nothing() {
    let mut decoder = Decoder::new(usize::MAX, false);
    let mut header = vec![0x82, 0xff, 0, 0, 0, 0, 0xff, 0, 0, 0, 1, 2, 3, 4, 5];
    assert_eq!(decoder.decode(&mut header).unwrap(), (15, None));
    assert!(
        decoder.buffered_bytes() < 1000,
        "{}",
        decoder.buffered_bytes()
    );
    assert_eq!(error(&header), WsError::TooLarge);
}

#[test]
fn messages_are_bounded_whole_and_in_fragments() {
    let exact = masked(Opcode::Binary, &[0; 200]);
    assert_eq!(read_with(&exact, 200, false).1, Ok(()));
    assert_eq!(read_with(&exact, 199, false).1, Err(WsError::TooLarge));
    let fragments = [
        client::encode_fragment(Opcode::Binary, &[0; 150], MASK, false),
        client::encode_fragment(Opcode::Continuation, &[0; 51], MASK, true),
    ]
    .concat();
    assert_eq!(read_with(&fragments, 201, false).1, Ok(()));
    assert_eq!(read_with(&fragments, 200, false).1, Err(WsError::TooLarge));
    // Control frames in between have their own bound.
    let with_ping = [
        client::encode_fragment(Opcode::Binary, &[0; 150], MASK, false),
        masked(Opcode::Ping, &[0; 125]),
        client::encode_fragment(Opcode::Continuation, &[0; 50], MASK, true),
    ]
    .concat();
    assert_eq!(read_with(&with_ping, 200, false).1, Ok(()));
}

#[test]
fn every_fault_has_its_close_code() {
    let cases: [(&[u8], WsError, u16); 21] = [
        (&[0x83, 0x80], WsError::ReservedOpcode, 1002),
        (&[0x87, 0x80], WsError::ReservedOpcode, 1002),
        (&[0x8b, 0x80], WsError::ReservedOpcode, 1002),
        (&[0x8f, 0x80], WsError::ReservedOpcode, 1002),
        (&[0xc1, 0x80], WsError::ReservedBits, 1002),
        (&[0xa1, 0x80], WsError::ReservedBits, 1002),
        (&[0x91, 0x80], WsError::ReservedBits, 1002),
        (&[0x81, 0x05], WsError::WrongMask, 1002),
        (&[0x89, 0xfe, 0, 126], WsError::BadControlFrame, 1002),
        (&[0x09, 0x80], WsError::BadControlFrame, 1002),
        (&[0x82, 0xfe, 0, 125], WsError::LongLength, 1002),
        (
            &[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
            WsError::LongLength,
            1002,
        ),
        (
            &[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0],
            WsError::LongLength,
            1002,
        ),
        (
            &[0x80, 0x80, 0, 0, 0, 0],
            WsError::UnexpectedContinuation,
            1002,
        ),
        (
            &[0x01, 0x80, 0, 0, 0, 0, 0x81, 0x80, 0, 0, 0, 0],
            WsError::UnfinishedMessage,
            1002,
        ),
        (&[0x88, 0x81, 0, 0, 0, 0, 3], WsError::BadCloseCode, 1002),
        (
            &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xed],
            WsError::BadCloseCode,
            1002,
        ),
        (
            &[0x88, 0x83, 0, 0, 0, 0, 0x03, 0xe8, 0xff],
            WsError::NotUtf8,
            1007,
        ),
        (&[0x81, 0x81, 0, 0, 0, 0, 0xc3], WsError::NotUtf8, 1007),
        (
            &[0x81, 0x83, 0, 0, 0, 0, 0xed, 0xa0, 0x80],
            WsError::NotUtf8,
            1007,
        ),
        (
            &[0x82, 0xff, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0],
            WsError::TooLarge,
            1009,
        ),
    ];
    for (bytes, expected, code) in cases {
        assert_eq!(error(bytes), expected, "{bytes:x?}");
        assert_eq!(expected.close_code(), code);
    }
}

#[test]
fn text_that_breaks_across_fragments_is_refused() {
    let bytes = [
        client::encode_fragment(Opcode::Text, &[0xe2, 0x82], MASK, false),
        client::encode_fragment(Opcode::Continuation, b"x", MASK, true),
    ]
    .concat();
    assert_eq!(error(&bytes), WsError::NotUtf8);
}

#[test]
fn only_codes_that_may_be_sent_are_taken() {
    let good = [
        1000, 1001, 1002, 1003, 1007, 1008, 1011, 1012, 1014, 3000, 4999,
    ];
    for code in good {
        let frame = client::close_frame(Some(code), "é", MASK);
        assert_eq!(read(&frame), [Owned::Close(Some(code), "é".into())]);
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
        assert_eq!(
            error(&client::close_frame(Some(code), "", MASK)),
            WsError::BadCloseCode
        );
    }
    assert_eq!(
        read(&client::close_frame(None, "", MASK)),
        [Owned::Close(None, String::new())]
    );
}

#[test]
fn the_client_reads_what_the_server_writes_and_refuses_masks() {
    let mut decoder = client::Decoder::new(MAX, false);
    let mut bytes = [text_frame("hello"), close_frame(1001, "")].concat();
    let (used, event) = decoder.decode(&mut bytes).unwrap();
    assert_eq!(event, Some(Event::Text("hello")));
    let (_, event) = decoder.decode(&mut bytes[used..]).unwrap();
    assert_eq!(
        event,
        Some(Event::Close {
            code: Some(1001),
            reason: ""
        })
    );
    let mut bytes = masked(Opcode::Text, b"x");
    let error = client::Decoder::new(MAX, false)
        .decode(&mut bytes)
        .unwrap_err();
    assert_eq!(error, WsError::WrongMask);
}

/// Puts a masked frame with RSV1 around compressed bytes, with the mask zero.
fn compressed_frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xc1, 0x80 | payload.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

#[test]
fn the_compressed_examples_of_rfc_7692_are_read() {
    let examples: [&[u8]; 5] = [
        // 7.2.3.1: one block; 7.2.3.2 is about shared context, which is never negotiated.
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        // 7.2.3.3: no compression.
        &[
            0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
        ],
        // 7.2.3.4: a final block.
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
        // 7.2.3.5: two blocks.
        &[
            0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
        ],
        // With the tail that should have been taken off.
        &[
            0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00, 0xff, 0xff,
        ],
    ];
    for example in examples {
        let (events, end) = read_with(&compressed_frame(example), MAX, true);
        assert_eq!((events, end), (vec![text("Hello")], Ok(())), "{example:x?}");
    }
}

#[test]
fn a_compressed_message_may_be_fragmented() {
    let bytes = [
        vec![0x41, 0x83, 0, 0, 0, 0, 0xf2, 0x48, 0xcd],
        masked(Opcode::Ping, b""),
        vec![0x80, 0x84, 0, 0, 0, 0, 0xc9, 0xc9, 0x07, 0x00],
    ]
    .concat();
    let (events, end) = read_with(&bytes, MAX, true);
    assert_eq!(
        (events, end),
        (vec![Owned::Ping(vec![]), text("Hello")], Ok(()))
    );
}

#[test]
fn the_compressed_bit_belongs_on_first_frames_only() {
    let continuation = [0x41, 0x80, 0, 0, 0, 0, 0xc0, 0x80, 0, 0, 0, 0];
    assert_eq!(
        read_with(&continuation, MAX, true).1,
        Err(WsError::ReservedBits)
    );
    assert_eq!(
        read_with(&[0xc9, 0x80], MAX, true).1,
        Err(WsError::ReservedBits)
    );
}

#[test]
fn a_bomb_stops_at_the_limit() {
    let bomb = client::encode_compressed(Opcode::Binary, &vec![0; 1_000_000], MASK);
    assert!(bomb.len() < 20_000);
    assert_eq!(read_with(&bomb, 1_000_000, true).1, Ok(()));
    assert_eq!(read_with(&bomb, 999_999, true).1, Err(WsError::TooLarge));
    assert_eq!(read_with(&bomb, 20_000, true).1, Err(WsError::TooLarge));
}

#[test]
fn garbage_is_no_deflate_data() {
    let error = read_with(&compressed_frame(&[0xff, 0xff, 0xff]), MAX, true)
        .1
        .unwrap_err();
    assert_eq!((error, error.close_code()), (WsError::BadDeflate, 1007));
}

#[test]
fn inflated_text_must_be_utf8() {
    let frame = client::encode_compressed(Opcode::Text, &[0xff; 100], MASK);
    assert_eq!(read_with(&frame, MAX, true).1, Err(WsError::NotUtf8));
}

#[test]
fn what_does_not_get_shorter_is_not_compressed() {
    assert_eq!(deflate(&[b"ab"]), None);
    assert_eq!(deflate(&[]), None);
    assert!(deflate(&[&[b'a'; 100], &[b'a'; 100]]).is_some_and(|out| out.len() < 20));
}

fn events() -> impl Strategy<Value = Vec<(u8, Vec<u8>, usize)>> {
    let payload = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..140),
        1 => prop::collection::vec(0u8..3, 65_000..66_000),
    ];
    prop::collection::vec((0u8..5, payload, 0usize..4), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_split_gives_the_same_events(
        parts in events(), mask in any::<[u8; 4]>(), step in 1usize..5000, deflate in any::<bool>(),
    ) {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for (kind, payload, cut) in parts {
            let small = &payload[..payload.len().min(125)];
            match kind {
                0 => {
                    let text = String::from_utf8_lossy(&payload).into_owned();
                    bytes.extend(client::encode(Opcode::Text, text.as_bytes(), mask));
                    expected.push(Owned::Text(text));
                }
                1 => {
                    let (head, tail) = payload.split_at(payload.len() * cut / 4);
                    bytes.extend(client::encode_fragment(Opcode::Binary, head, mask, false));
                    bytes.extend(client::encode_fragment(Opcode::Continuation, tail, mask, true));
                    expected.push(Owned::Binary(payload));
                }
                2 if deflate => {
                    bytes.extend(client::encode_compressed(Opcode::Binary, &payload, mask));
                    expected.push(Owned::Binary(payload));
                }
                3 => {
                    bytes.extend(client::encode(Opcode::Pong, small, mask));
                    expected.push(Owned::Pong(small.to_vec()));
                }
                _ => {
                    bytes.extend(client::encode(Opcode::Ping, small, mask));
                    expected.push(Owned::Ping(small.to_vec()));
                }
            }
        }
        let mut decoder = Decoder::new(MAX, deflate);
        let (events, end) = feed(&mut decoder, &bytes, step);
        prop_assert_eq!(end, Ok(()));
        prop_assert_eq!(events, expected);
        let _ = decoder.decode(&mut []);
        prop_assert_eq!(decoder.buffered_bytes(), 0);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), step in 1usize..9) {
        let whole = feed(&mut Decoder::new(1000, true), &bytes, usize::MAX);
        prop_assert_eq!(feed(&mut Decoder::new(1000, true), &bytes, step), whole);
    }

    #[test]
    fn deflating_is_undone_by_inflating(data in prop::collection::vec(0u8..4, 0..3000), cut in 0usize..3000) {
        let (head, tail) = data.split_at(cut.min(data.len()));
        if let Some(small) = deflate(&[head, tail]) {
            prop_assert!(small.len() < data.len());
            prop_assert_eq!(super::deflate::inflate(&small, data.len()), Ok(data));
        }
    }
}
