//! What is said to the server: how a client joins, publishes and asks for an echo, and where the payload lies in what
//! comes back.
//!
//! Two dialects: the little protocol of `bench/README.md`, that any server can be taught in ten lines, and that of
//! Lakh's own rooms. Both send an event `m` with the payload as its first argument, so one scan reads both.
//!
//! In the rooms' dialect each broadcast asks for an acknowledgement, as its clients do: it's how a refusal is heard of.

use std::fmt;

use serde_json::Value;

use crate::hints;
use crate::options::{Dialect, Target};

/// What stands around the payload of a request.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    /// Up to the ack's number, if there is one.
    head: String,
    /// Whether it asks for an ack.
    numbered: bool,
    /// From there up to the payload.
    before: String,
    pub after: &'static str,
}

impl Envelope {
    /// Writes what stands before the payload.
    pub(crate) fn open(&self, ack: u32, out: &mut String) {
        out.clear();
        out.push_str(&self.head);
        if self.numbered {
            // Writing to a string can't fail.
            let _ = fmt::write(out, format_args!("{ack}"));
        }
        out.push_str(&self.before);
    }
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    code: String,
    message: String,
}

impl Refusal {
    /// In the server's own words.
    pub(crate) fn said(&self) -> String {
        format!("{}: {}", self.code, self.message)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = hints::request(&self.code);
        write!(f, "{} ({}): {hint}", self.code, self.message)
    }
}

/// The server's words, with the namespace's prefix in place.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    dialect: Dialect,
    /// Empty for `/`, else `/name,`.
    prefix: String,
    /// What stands before the payload of a broadcast: `42["m","`.
    message: Vec<u8>,
    /// What stands before the payload of a tick: `42["t","`.
    tick: Vec<u8>,
    /// What stands before an ack's number: `43`.
    ack: Vec<u8>,
    /// The CONNECT packet: `40`.
    pub connect: Vec<u8>,
    /// The DISCONNECT packet: `41`.
    pub disconnect: Vec<u8>,
    /// What the answer to CONNECT starts with.
    pub connected: Vec<u8>,
    /// What a refusal starts with.
    pub refused: Vec<u8>,
}

impl Words {
    pub(crate) fn new(target: &Target) -> Self {
        let prefix = match target.namespace.as_str() {
            "/" => String::new(),
            name => format!("{name},"),
        };
        let auth = target.auth.as_deref().unwrap_or_default();
        Self {
            dialect: target.dialect,
            message: format!("42{prefix}[\"m\",\"").into(),
            tick: format!("42{prefix}[\"t\",\"").into(),
            ack: format!("43{prefix}").into(),
            connect: format!("40{prefix}{auth}").into(),
            disconnect: format!("41{prefix}").into(),
            connected: format!("40{prefix}").into(),
            refused: format!("44{prefix}").into(),
            prefix,
        }
    }

    /// The text of a request to join a room, with an ack's number.
    pub(crate) fn join(&self, ack: u32, room: u32) -> String {
        let prefix = &self.prefix;
        match self.dialect {
            Dialect::Auto | Dialect::Bench => format!("42{prefix}{ack}[\"join\",\"r{room:06x}\"]"),
            Dialect::Rooms => {
                format!("42{prefix}{ack}[\"room:join\",{{\"room\":\"r{room:06x}\"}}]")
            }
        }
    }

    /// The text of a request to look on in a chat room.
    pub(crate) fn watch(&self, room: u32) -> String {
        let prefix = &self.prefix;
        format!("42{prefix}0[\"room:watch\",{{\"room\":\"r{room:06x}\"}}]")
    }

    /// A message to a chat room, up to its key.
    pub(crate) fn send(&self, ack: u32, room: u32) -> String {
        let prefix = &self.prefix;
        format!("42{prefix}{ack}[\"message:send\",{{\"room\":\"r{room:06x}\",\"key\":\"")
    }

    /// What an event of this name begins with.
    pub(crate) fn event(&self, name: &str) -> Vec<u8> {
        format!("42{}[\"{name}\",", self.prefix).into()
    }

    /// The CONNECT packet of somebody with a name of their own.
    pub(crate) fn connect_as(&self, index: u32) -> Vec<u8> {
        format!("40{}{{\"name\":\"load {index}\"}}", self.prefix).into()
    }

    /// A broadcast to a room.
    pub(crate) fn publish(&self, room: u32) -> Envelope {
        let rooms = self.dialect == Dialect::Rooms;
        Envelope {
            head: format!("42{}", self.prefix),
            numbered: rooms,
            before: if rooms {
                format!("[\"room:emit\",{{\"room\":\"r{room:06x}\",\"event\":\"m\",\"data\":\"")
            } else {
                format!("[\"pub\",\"r{room:06x}\",\"")
            },
            after: if rooms { "\"}]" } else { "\"]" },
        }
    }

    /// A request for an echo. The rooms' dialect has none: a broadcast to a room of one stands for it.
    pub(crate) fn echo(&self, conn: u32) -> Envelope {
        if self.dialect == Dialect::Rooms {
            return self.publish(conn);
        }
        Envelope {
            head: format!("42{}", self.prefix),
            numbered: true,
            before: "[\"echo\",\"".to_owned(),
            after: "\"]",
        }
    }

    /// The text that leaves a room, where that is a request of its own.
    pub(crate) fn leave(&self, room: u32) -> Option<String> {
        let prefix = &self.prefix;
        (self.dialect == Dialect::Rooms)
            .then(|| format!("42{prefix}[\"room:leave\",{{\"room\":\"r{room:06x}\"}}]"))
    }

    /// Whether it's the dialect of Lakh's rooms.
    pub(crate) fn is_rooms(&self) -> bool {
        self.dialect == Dialect::Rooms
    }

    /// The text that asks for ticks.
    pub(crate) fn ticks(&self, ack: u32, hz: u32, bytes: usize) -> String {
        format!("42{}{ack}[\"tick\",{hz},{bytes}]", self.prefix)
    }

    /// The payload of a broadcast, from its first byte to the packet's last.
    #[inline]
    pub(crate) fn message<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        text.strip_prefix(self.message.as_slice())
    }

    /// The payload of a tick.
    #[inline]
    pub(crate) fn tick<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        text.strip_prefix(self.tick.as_slice())
    }

    /// An ack's arguments, from the opening bracket on.
    #[inline]
    pub(crate) fn ack<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        self.numbered_ack(text).map(|(_, arguments)| arguments)
    }

    /// An ack's number and arguments.
    #[inline]
    pub(crate) fn numbered_ack<'a>(&self, text: &'a [u8]) -> Option<(u32, &'a [u8])> {
        let rest = text.strip_prefix(self.ack.as_slice())?;
        let mut number = 0u32;
        let mut digits = 0;
        while let Some(digit) = rest.get(digits).filter(|byte| byte.is_ascii_digit()) {
            number = number
                .wrapping_mul(10)
                .wrapping_add(u32::from(digit - b'0'));
            digits += 1;
        }
        Some((number, &rest[digits..]))
    }

    /// What an ack's arguments refuse, if they do.
    pub(crate) fn refusal(&self, arguments: &[u8]) -> Option<Refusal> {
        if !self.is_rooms() || !arguments.starts_with(b"[{\"ok\":false") {
            return None;
        }
        let value: Value = serde_json::from_slice(arguments).unwrap_or_default();
        let text = |name: &str| {
            let text = value[0]["error"][name].as_str();
            text.unwrap_or("no reason given").to_owned()
        };
        Some(Refusal {
            code: text("code"),
            message: text("message"),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use super::*;

    fn words(namespace: &str) -> Words {
        let mut target = Target::at("http://127.0.0.1:1/");
        target.namespace = namespace.to_owned();
        Words::new(&target)
    }

    #[test]
    fn the_main_namespace_has_no_name_and_others_have_theirs() {
        assert_eq!(words("/").join(7, 255), r#"427["join","r0000ff"]"#);
        assert_eq!(words("/x").join(7, 255), r#"42/x,7["join","r0000ff"]"#);
        assert_eq!(words("/x").connect, b"40/x,");
    }

    #[test]
    fn payloads_are_found_where_they_start() {
        let words = words("/x");
        assert_eq!(words.message(br#"42/x,["m","abc"]"#).unwrap(), br#"abc"]"#);
        assert_eq!(words.message(br#"42["m","abc"]"#), None);
        assert_eq!(words.ack(br#"43/x,12["abc"]"#).unwrap(), br#"["abc"]"#);
        let (number, arguments) = words.numbered_ack(br#"43/x,120[]"#).unwrap();
        assert_eq!((number, arguments), (120, &b"[]"[..]));
    }

    #[test]
    fn a_broadcast_asks_for_an_ack_where_it_could_be_refused() {
        let mut target = Target::at("http://127.0.0.1:1/");
        let mut text = String::new();
        Words::new(&target).publish(1).open(9, &mut text);
        assert_eq!(text, r#"42["pub","r000001",""#);
        target.dialect = Dialect::Rooms;
        let words = Words::new(&target);
        words.publish(1).open(9, &mut text);
        assert_eq!(
            text,
            r#"429["room:emit",{"room":"r000001","event":"m","data":""#
        );
        let answer = br#"[{"ok":false,"error":{"code":"rate_limited","message":"wait 5 ms"}}]"#;
        let refusal = words.refusal(answer).unwrap().to_string();
        assert!(refusal.contains("wait 5 ms"), "{refusal}");
        assert!(refusal.contains("rooms.events_per_second"), "{refusal}");
        assert_eq!(words.refusal(br#"[{"ok":true,"seq":1}]"#), None);
    }
}
