//! Polling bodies of revision 4: what is read can be written again, and reads the same.
#![no_main]

use std::ops::ControlFlow;

use lakh_wire::Limits;
use lakh_wire::engine::payload::{ContentType, Writer, decode};
use lakh_wire::engine::{Message, Packet, Version};
use libfuzzer_sys::fuzz_target;

const VERSION: Version = Version::V4;

#[derive(Debug, PartialEq)]
enum Owned {
    Text(String),
    Binary(Vec<u8>),
}

fuzz_target!(|data: &[u8]| {
    let Some((flags, body)) = data.split_first() else {
        return;
    };
    let (binary, supports_binary) = (flags & 1 != 0, flags & 2 != 0);
    let messages = read(body, binary);
    let mut writer = Writer::new(VERSION, supports_binary);
    for message in &messages {
        match message {
            Owned::Text(text) => writer.push_text(format!("4{text}").as_bytes()),
            Owned::Binary(data) => writer.push_binary(data),
        }
    }
    if messages.is_empty() {
        return;
    }
    let (body, content_type) = writer.finish();
    assert_eq!(
        read(&body, content_type == ContentType::OctetStream),
        messages
    );
});

/// The messages before the first fault.
fn read(body: &[u8], binary: bool) -> Vec<Owned> {
    let limits = Limits {
        max_packets_per_payload: 100,
        ..Limits::default()
    };
    let mut messages = Vec::new();
    let _ = decode(VERSION, body, binary, &limits, |packet| {
        match packet {
            Packet::Message(Message::Text(text)) => messages.push(Owned::Text(text.to_owned())),
            Packet::Message(Message::Binary(data)) => messages.push(Owned::Binary(data.into())),
            _ => {}
        }
        assert!(messages.len() <= 100);
        ControlFlow::Continue(())
    });
    messages
}
