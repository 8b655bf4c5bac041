//! WebSocket: the opening and closing handshakes, frames that are wrong, compression, floods.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use lakh_net::Options;

use crate::support::{Conn, WS, frame, loops, start};

#[test]
fn a_ping_is_answered_with_its_payload_even_within_a_fragmented_message() {
    let server = start(loops(1), Options::default());
    let mut ws = server.joined();
    ws.frame(0x01, b"427[\"echo\",");
    ws.frame(0x89, b"are you there?");
    ws.frame(0x80, b"\"whole\"]");
    assert_eq!(ws.receive().unwrap(), (0x8a, b"are you there?".to_vec()));
    assert_eq!(ws.text(), r#"437["whole"]"#);
}

#[test]
fn the_close_frames_code_comes_back_and_then_the_connection_ends() {
    let server = start(loops(1), Options::default());
    let mut ws = server.joined();
    ws.frame(0x88, &[&4321_u16.to_be_bytes()[..], b"bye"].concat());
    let (first, payload) = ws.receive().unwrap();
    assert_eq!((first, &payload[..2]), (0x88, &4321_u16.to_be_bytes()[..]));
    assert!(ws.is_closed());
    assert_eq!(server.next_gone(), "transport close");
}

#[test]
fn a_connection_that_just_ends_is_a_transport_close() {
    let server = start(loops(1), Options::default());
    drop(server.joined());
    assert_eq!(server.next_gone(), "transport close");
}

/// The code of the close frame that these bytes lead to.
fn code_after(bytes: &[u8]) -> u16 {
    let mut settings = loops(1);
    settings.limits.max_payload_bytes = 1_000;
    let server = start(settings, Options::default());
    let mut ws = server.joined();
    ws.write(bytes);
    let (first, payload) = ws.receive().unwrap();
    assert_eq!(first, 0x88, "{payload:?}");
    assert_eq!(server.next_gone(), "transport error");
    u16::from_be_bytes([payload[0], payload[1]])
}

#[test]
fn frames_that_are_wrong_are_answered_with_the_codes_of_the_rfc() {
    assert_eq!(code_after(&[0x81, 0x02, b'h', b'i']), 1002, "no mask");
    assert_eq!(code_after(&frame(0xc1, b"x")), 1002, "a reserved bit");
    assert_eq!(code_after(&frame(0x83, b"x")), 1002, "an unknown opcode");
    assert_eq!(code_after(&frame(0x09, b"x")), 1002, "a fragmented ping");
    assert_eq!(code_after(&frame(0x80, b"x")), 1002, "nothing to continue");
    assert_eq!(code_after(&frame(0x89, &[0; 126])), 1002, "a long ping");
    assert_eq!(code_after(&frame(0x81, b"4\xff")), 1007, "not UTF-8");
    assert_eq!(code_after(&frame(0x81, &[b'4'; 1_001])), 1009, "too long");
}

#[test]
fn bytes_may_arrive_one_by_one_and_many_frames_at_once() {
    let server = start(loops(1), Options::default());
    let mut ws = server.joined();
    for byte in frame(0x81, br#"427["echo","slowly"]"#) {
        ws.write(&[byte]);
    }
    assert_eq!(ws.text(), r#"437["slowly"]"#);
    let mut many = Vec::new();
    for n in 0..500 {
        many.extend(frame(0x81, format!(r#"42{n}["echo","{n}"]"#).as_bytes()));
    }
    ws.write(&many);
    for n in 0..500 {
        assert_eq!(ws.text(), format!(r#"43{n}["{n}"]"#));
    }
}

#[test]
fn what_comes_right_behind_the_handshake_is_not_lost() {
    let server = start(loops(2), Options::default());
    let mut ws = server.connect();
    let mut bytes = format!(
        "GET {WS} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes();
    bytes.extend(frame(0x81, b"40"));
    bytes.extend(frame(0x81, br#"427["echo","eager"]"#));
    ws.write(&bytes);
    assert_eq!(ws.response().unwrap().status, 101);
    assert!(ws.text().starts_with('0'));
    assert!(ws.text().starts_with("40{"));
    assert_eq!(ws.text(), r#"437["eager"]"#);
}

/// RFC 7692 section 7.2.1, each message for itself.
fn deflated(text: &[u8]) -> Vec<u8> {
    let mut deflate = Compress::new(Compression::default(), false);
    let mut out = Vec::with_capacity(text.len() + 64);
    deflate
        .compress_vec(text, &mut out, FlushCompress::Sync)
        .unwrap();
    assert_eq!(out.split_off(out.len() - 4), [0, 0, 0xff, 0xff]);
    out
}

fn inflated(mut data: Vec<u8>) -> String {
    data.extend([0, 0, 0xff, 0xff]);
    let mut out = Vec::with_capacity(1 << 20);
    let mut inflate = Decompress::new(false);
    inflate
        .decompress_vec(&data, &mut out, FlushDecompress::Sync)
        .unwrap();
    String::from_utf8(out).unwrap()
}

fn compressing() -> Options {
    Options {
        compression: true,
        ..Options::default()
    }
}

fn next_message(ws: &mut Conn) -> (bool, String, usize) {
    let (first, payload) = ws.receive().unwrap();
    let length = payload.len();
    match first {
        0x81 => (false, String::from_utf8(payload).unwrap(), length),
        0xc1 => (true, inflated(payload), length),
        other => panic!("{other:#x}"),
    }
}

#[test]
fn messages_are_compressed_both_ways_when_it_was_negotiated() {
    let server = start(loops(1), compressing());
    let mut ws = server.connect();
    let offer = [(
        "Sec-WebSocket-Extensions",
        "permessage-deflate; client_max_window_bits",
    )];
    let accepted = ws.upgrade_with(WS, &offer).unwrap();
    let agreed = accepted
        .header("sec-websocket-extensions")
        .unwrap()
        .to_owned();
    assert!(agreed.contains("permessage-deflate"), "{agreed}");
    assert!(agreed.contains("server_no_context_takeover"), "{agreed}");
    assert!(next_message(&mut ws).1.starts_with('0'));
    ws.frame(0xc1, &deflated(b"40"));
    assert!(next_message(&mut ws).1.starts_with("40{"));
    let text = "compress me ".repeat(2_000);
    for _ in 0..3 {
        ws.frame(
            0xc1,
            &deflated(format!(r#"427["echo","{text}"]"#).as_bytes()),
        );
        let (compressed, answer, length) = next_message(&mut ws);
        assert_eq!(answer, format!(r#"437["{text}"]"#));
        assert!(compressed && length < text.len() / 10, "{length} bytes");
    }
    // An event can be kept out of it.
    ws.send(&format!(r#"42["plain","{text}"]"#));
    let (compressed, answer, _) = next_message(&mut ws);
    assert!(!compressed && answer.starts_with(r#"42["plain","compress"#));
    assert!(next_message(&mut ws).0);
    // A plain frame is as good.
    ws.send(r#"428["echo","plain"]"#);
    assert_eq!(next_message(&mut ws).1, r#"438["plain"]"#);
}

#[test]
fn what_inflates_beyond_the_limit_ends_the_connection() {
    let server = start(loops(1), compressing());
    let mut ws = server.connect();
    let offer = [("Sec-WebSocket-Extensions", "permessage-deflate")];
    ws.upgrade_with(WS, &offer).unwrap();
    next_message(&mut ws);
    ws.frame(0xc1, &deflated(&[b'4'; 2_000_000]));
    let (first, payload) = ws.receive().unwrap();
    assert_eq!((first, &payload[..2]), (0x88, &1009_u16.to_be_bytes()[..]));
}

#[test]
fn without_compression_an_offer_is_passed_over() {
    let server = start(loops(1), Options::default());
    let mut ws = server.connect();
    let offer = [("Sec-WebSocket-Extensions", "permessage-deflate")];
    let accepted = ws.upgrade_with(WS, &offer).unwrap();
    assert_eq!(accepted.header("sec-websocket-extensions"), None);
    ws.join();
}

#[test]
fn a_flood_of_pings_that_are_not_answered_for_is_bounded() {
    let server = start(loops(1), Options::default());
    let mut ws = server.joined();
    // Far more than the buffers of two kernels: pongs that nobody reads. The client never blocks, since the server
    // reads on; what it keeps for this client is the question.
    let ping = frame(0x89, &[b'p'; 125]);
    let burst: Vec<u8> = ping
        .iter()
        .copied()
        .cycle()
        .take(ping.len() * 500)
        .collect();
    for _ in 0..400 {
        if !ws.try_write(&burst) {
            break;
        }
    }
    ws.try_write(&frame(0x81, br#"427["echo","after"]"#));
    let mut pongs = 0;
    while let Some((first, payload)) = ws.receive() {
        match first {
            0x8a => pongs += 1,
            _ => {
                assert_eq!(payload, br#"437["after"]"#);
                break;
            }
        }
    }
    assert!(pongs < 200_000, "every pong was kept: {pongs}");
    // Others are served all the while.
    assert_eq!(
        server.joined().ask(r#"["echo","other"]"#),
        r#"437["other"]"#
    );
}

#[test]
fn a_reader_that_never_reads_is_closed_and_others_are_not_held_up() {
    let mut settings = loops(2);
    settings.hub_limits.outbox_bytes = 1 << 20;
    let server = start(settings, Options::default());
    let (_slow, mut quick) = (server.joined(), server.joined());
    let ns = server.hub.of("/");
    let text = "x".repeat(100_000);
    let mut sent = 0;
    while server.gone.try_recv().is_err() {
        ns.emit("flood", &text).unwrap();
        sent += 1;
        assert!(quick.text().len() > text.len());
        assert!(sent < 2_000, "200 MB are kept for one client");
    }
    assert_eq!(server.hub.stats().sockets, 1);
    assert_eq!(quick.ask(r#"["echo","on"]"#), r#"437["on"]"#);
}
