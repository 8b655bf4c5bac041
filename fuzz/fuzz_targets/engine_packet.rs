//! One Engine.IO packet, in text and in binary, in both revisions.
#![no_main]

use lakh_wire::engine::{Message, Packet, Version, decode_binary, decode_text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for version in [Version::V3, Version::V4] {
        let _ = decode_binary(version, data);
        let Ok(text) = std::str::from_utf8(data) else {
            continue;
        };
        match decode_text(version, text) {
            Ok(Packet::Message(Message::Text(message))) => assert_eq!(text, format!("4{message}")),
            Ok(Packet::Message(Message::Binary(bytes))) => assert!(bytes.len() < text.len()),
            Ok(Packet::Ping(data)) if text.starts_with('2') => assert_eq!(data, &text[1..]),
            _ => {}
        }
    }
});
