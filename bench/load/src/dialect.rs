//! What is said to the server: how a client joins, publishes and asks for an echo, and where the payload lies in what
//! comes back.
//!
//! Two dialects: the little protocol of `bench/README.md`, that any server can be taught in ten lines, and that of
//! Lakh's own rooms. Both send an event `m` with the payload as its first argument, so one scan reads both.

use crate::options::{Dialect, Target};

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
    /// What the answer to it starts with.
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
            connected: format!("40{prefix}").into(),
            refused: format!("44{prefix}").into(),
            prefix,
        }
    }

    /// The text of a request to join a room, with an ack's number.
    pub(crate) fn join(&self, ack: u32, room: u32) -> String {
        let prefix = &self.prefix;
        match self.dialect {
            Dialect::Bench => format!("42{prefix}{ack}[\"join\",\"r{room:06x}\"]"),
            Dialect::Rooms => {
                format!("42{prefix}{ack}[\"room:join\",{{\"room\":\"r{room:06x}\"}}]")
            }
        }
    }

    /// What stands before and after the payload of a broadcast to a room.
    pub(crate) fn publish(&self, room: u32) -> (String, &'static str) {
        let prefix = &self.prefix;
        match self.dialect {
            Dialect::Bench => (format!("42{prefix}[\"pub\",\"r{room:06x}\",\""), "\"]"),
            Dialect::Rooms => (
                format!(
                    "42{prefix}[\"room:emit\",{{\"room\":\"r{room:06x}\",\"event\":\"m\",\"data\":\""
                ),
                "\"}]",
            ),
        }
    }

    /// The text of a request for an echo, with an ack's number.
    pub(crate) fn echo(&self, ack: u32) -> (String, &'static str) {
        (format!("42{}{ack}[\"echo\",\"", self.prefix), "\"]")
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
        let rest = text.strip_prefix(self.ack.as_slice())?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        Some(&rest[digits..])
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
    }
}
