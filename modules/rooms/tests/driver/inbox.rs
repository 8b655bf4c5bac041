//! What a client has received: frames, packets and events, taken apart.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};

use lakh_hub::Bytes;
use serde_json::Value;

#[derive(Default)]
pub(super) struct Inbox {
    pub(super) events: RefCell<VecDeque<Event>>,
    pub(super) acks: RefCell<HashMap<u64, Value>>,
    /// CONNECT, or CONNECT_ERROR.
    pub(super) connected: RefCell<Option<Result<Value, Value>>>,
    pub(super) offset: RefCell<Option<String>>,
    /// The packet that still waits for attachments.
    half: RefCell<Option<(String, usize, Vec<Bytes>)>>,
}

/// An event as a client gets it, with placeholders where its attachments belong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) args: Vec<Value>,
    pub(crate) attachments: Vec<Bytes>,
}

impl Inbox {
    /// Takes unmasked frames apart (RFC 6455, 5.2).
    pub(super) fn frames(&self, mut bytes: &[u8]) {
        while bytes.len() >= 2 {
            let (opcode, short) = (bytes[0] & 0x0f, usize::from(bytes[1]));
            let (length, head) = match short {
                126 => (usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), 4),
                127 => (
                    u64::from_be_bytes(bytes[2..10].try_into().expect("8 bytes")) as usize,
                    10,
                ),
                short => (short, 2),
            };
            let payload = &bytes[head..head + length];
            match opcode {
                1 => self.text(
                    std::str::from_utf8(payload)
                        .expect("UTF-8")
                        .strip_prefix('4')
                        .expect("a message"),
                ),
                2 => self.attachment(Bytes::copy_from_slice(payload)),
                other => panic!("a frame with opcode {other}"),
            }
            bytes = &bytes[head + length..];
        }
    }

    fn text(&self, packet: &str) {
        let binary = packet.starts_with(['5', '6']);
        let count = if binary {
            packet[1..]
                .split_once('-')
                .and_then(|(count, _)| count.parse().ok())
        } else {
            None
        };
        match count {
            Some(count) if count > 0 => {
                *self.half.borrow_mut() = Some((packet.to_owned(), count, Vec::new()))
            }
            _ => self.packet(packet, Vec::new()),
        }
    }

    fn attachment(&self, bytes: Bytes) {
        let mut half = self.half.borrow_mut();
        let (_, count, attachments) = half.as_mut().expect("a packet that waits");
        attachments.push(bytes);
        if attachments.len() == *count
            && let Some((packet, _, attachments)) = half.take()
        {
            self.packet(&packet, attachments);
        }
    }

    fn packet(&self, packet: &str, attachments: Vec<Bytes>) {
        let (kind, mut rest) = packet.split_at(1);
        if matches!(kind, "5" | "6") {
            rest = rest.split_once('-').expect("a count").1;
        }
        if rest.starts_with('/') {
            rest = rest.split_once(',').map_or("", |(_, rest)| rest);
        }
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (id, data) = rest.split_at(digits);
        let data: Value = if data.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(data).expect("JSON")
        };
        match kind {
            "0" => *self.connected.borrow_mut() = Some(Ok(data)),
            "4" => *self.connected.borrow_mut() = Some(Err(data)),
            "1" => {}
            "3" | "6" => {
                self.acks
                    .borrow_mut()
                    .insert(id.parse().expect("a number"), data[0].clone());
            }
            _ => self.event(data, attachments),
        }
    }

    fn event(&self, data: Value, attachments: Vec<Bytes>) {
        let Value::Array(mut args) = data else {
            panic!("an event is a list")
        };
        // In a recoverable namespace the last argument is the offset.
        if let Some(Value::String(offset)) = args.last() {
            *self.offset.borrow_mut() = Some(offset.clone());
            args.pop();
        }
        let name = args.remove(0).as_str().expect("a name").to_owned();
        self.events.borrow_mut().push_back(Event {
            name,
            args,
            attachments,
        });
    }
}
