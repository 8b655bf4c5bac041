//! One packet, all its forms.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::engine::payload::{ContentType, Writer};
use crate::ws::{Event, client};

fn polling(encoded: &Encoded, version: Version, supports_binary: bool) -> (Vec<u8>, ContentType) {
    let mut writer = Writer::new(version, supports_binary);
    encoded.write_polling(&mut writer);
    writer.finish()
}

/// The messages in frames that may be compressed.
fn messages(frames: &[u8]) -> Vec<Vec<u8>> {
    let mut decoder = client::Decoder::new(10_000_000, true);
    let mut frames = frames.to_vec();
    let mut rest = &mut frames[..];
    let mut messages = Vec::new();
    loop {
        match decoder.decode(rest).unwrap() {
            (used, Some(event)) => {
                messages.push(match event {
                    Event::Text(text) => text.as_bytes().to_vec(),
                    Event::Binary(data) => data.to_vec(),
                    other => panic!("{other:?}"),
                });
                rest = &mut rest[used..];
            }
            (_, None) => return messages,
        }
    }
}

#[test]
fn text_is_one_frame_in_both_revisions() {
    let encoded = Encoded::text(&[b"2", b"[\"foo\"]"], true);
    let frame = b"\x81\x0942[\"foo\"]";
    assert_eq!(&encoded.ws(Version::V4)[..], frame);
    assert_eq!(
        encoded.ws(Version::V3).as_ptr(),
        encoded.ws(Version::V4).as_ptr()
    );
    assert_eq!(
        encoded.ws_deflated(Version::V4).as_ptr(),
        encoded.ws(Version::V4).as_ptr()
    );
    assert_eq!((encoded.len(), encoded.messages()), (frame.len(), 1));
    assert_eq!(
        polling(&encoded, Version::V4, true),
        (b"42[\"foo\"]".to_vec(), ContentType::TextPlain)
    );
    assert_eq!(polling(&encoded, Version::V3, true).0, b"9:42[\"foo\"]");
}

#[test]
fn attachments_follow_as_binary_frames_typed_in_revision_3() {
    let attachments = [Bytes::from_static(&[1, 2]), Bytes::new()];
    let encoded = Encoded::message(&[b"52-[\"a\"]"], &attachments, true);
    assert_eq!(
        &encoded.ws(Version::V4)[..],
        b"\x81\x09452-[\"a\"]\x82\x02\x01\x02\x82\x00"
    );
    assert_eq!(
        &encoded.ws(Version::V3)[..],
        b"\x81\x09452-[\"a\"]\x82\x03\x04\x01\x02\x82\x01\x04"
    );
    assert_eq!(
        polling(&encoded, Version::V4, true).0,
        b"452-[\"a\"]\x1ebAQI=\x1eb"
    );
    assert_eq!(
        polling(&encoded, Version::V3, true),
        (
            b"\x00\x09\xff452-[\"a\"]\x01\x03\xff\x04\x01\x02\x01\x01\xff\x04".to_vec(),
            ContentType::OctetStream
        )
    );
    assert_eq!(
        polling(&encoded, Version::V3, false).0,
        b"9:452-[\"a\"]6:b4AQI=2:b4"
    );
}

#[test]
fn a_binary_message_stands_alone() {
    let encoded = Encoded::binary(&[1, 2, 3]);
    assert_eq!(&encoded.ws(Version::V4)[..], [0x82, 3, 1, 2, 3]);
    assert_eq!(&encoded.ws(Version::V3)[..], [0x82, 4, 4, 1, 2, 3]);
}

#[test]
fn long_headers_are_right() {
    for length in [124, 125, 126, 65_534, 65_535, 65_536] {
        let encoded = Encoded::text(&[&vec![b'x'; length - 1]], false);
        assert_eq!(
            messages(encoded.ws(Version::V4)),
            [[b"4", &vec![b'x'; length - 1][..]].concat()]
        );
        assert_eq!(encoded.len(), header_len(length) + length);
    }
}

#[test]
fn large_messages_are_compressed_once_and_small_ones_never() {
    let large = vec![b'x'; 5000];
    let attachments = [Bytes::from(vec![7; 3000]), Bytes::from_static(b"small")];
    let encoded = Encoded::message(&[&large], &attachments, true);
    let deflated = encoded.ws_deflated(Version::V4);
    assert!(deflated.len() < 200);
    assert_eq!(deflated[0], 0xc1);
    assert!(deflated.ends_with(b"\x82\x05small"));
    assert_eq!(messages(deflated), messages(encoded.ws(Version::V4)));
    assert_eq!(
        encoded.clone().ws_deflated(Version::V4).as_ptr(),
        deflated.as_ptr()
    );
    let deflated = encoded.ws_deflated(Version::V3);
    assert_eq!(messages(deflated), messages(encoded.ws(Version::V3)));
    assert_eq!(messages(deflated)[1][0], 4);
}

#[test]
fn nothing_is_compressed_below_1024_bytes_or_against_the_senders_wish() {
    let is_plain = |encoded: &Encoded| {
        encoded.ws_deflated(Version::V4).as_ptr() == encoded.ws(Version::V4).as_ptr()
    };
    assert!(is_plain(&Encoded::text(&[&[b'x'; 1022]], true)));
    assert!(!is_plain(&Encoded::text(&[&[b'x'; 1023]], true)));
    assert!(is_plain(&Encoded::text(&[&[b'x'; 5000]], false)));
}

#[test]
fn what_does_not_get_shorter_stays_as_it_is() {
    // Bytes of a xorshift generator do not compress.
    let mut state = 88_172_645_463_325_252_u64;
    let noise: Vec<u8> = (0..4000)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect();
    let encoded = Encoded::binary(&noise);
    assert_eq!(encoded.ws_deflated(Version::V4), encoded.ws(Version::V4));
}

#[test]
fn a_queued_packet_costs_a_pointer() {
    assert_eq!(size_of::<Encoded>(), size_of::<usize>());
    assert!(size_of::<Inner>() <= 96, "{}", size_of::<Inner>());
}

#[test]
fn control_frames_hold_their_packets() {
    for control in [
        Control::Ping,
        Control::Pong,
        Control::PongProbe,
        Control::Noop,
        Control::Close,
    ] {
        for version in [Version::V3, Version::V4] {
            let expected = control.as_text(version).as_bytes().to_vec();
            assert_eq!(messages(control_frame(control, version)), [expected]);
        }
    }
}
