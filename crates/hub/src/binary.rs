//! Events with one binary argument, of which each socket gets another: what a game or a world sends many times a second.
//!
//! All of the packet but the bytes is the same for everyone, and is encoded once. Whoever sends such events asks first
//! whether the socket can take one ([`Socket::takes`]); for one that can't nothing needs to be made.

use std::sync::Arc;

use lakh_wire::socketio::{self, Parser};
use lakh_wire::{Bytes, Encoded};

use crate::namespace::{Namespace, NamespaceInner};
use crate::outgoing::{self, Flags};
use crate::payload::Payload;
use crate::socket::Socket;

/// An event with one binary argument, ready but for its bytes.
#[derive(Clone)]
pub struct BinaryEvent {
    namespace: Arc<NamespaceInner>,
    args: Arc<str>,
    head: Encoded,
}

impl std::fmt::Debug for BinaryEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BinaryEvent({} of {})", self.args, self.namespace.name)
    }
}

impl Namespace {
    /// Prepares an event with one binary argument.
    #[must_use]
    pub fn binary_event(&self, event: &str) -> BinaryEvent {
        // A name is text, and text can always be written.
        let name = serde_json::to_string(event).unwrap_or_default();
        let args = format!(r#"[{name},{{"_placeholder":true,"num":0}}]"#);
        BinaryEvent {
            namespace: Arc::clone(&self.inner),
            head: socketio::head_of_binary_event(&self.inner.name, &args),
            args: args.into(),
        }
    }
}

impl BinaryEvent {
    fn encoded(&self, parser: Parser, data: &[u8]) -> Encoded {
        match parser {
            Parser::Json => self.head.with_attachment(data),
            Parser::Msgpack => {
                let name = &self.namespace.name;
                let payload = self.payload(data);
                outgoing::event(parser, name, &payload, None, None, true)
            }
        }
    }

    fn payload(&self, data: &[u8]) -> Payload {
        Payload::from_raw(&*self.args, vec![Bytes::copy_from_slice(data)])
    }
}

impl Socket {
    /// Whether the connection would take something now: all that was sent before is on its way, and a client that polls
    /// waits for an answer. `false` on any other thread than the socket's loop.
    #[must_use]
    pub fn takes(&self) -> bool {
        let shard = self.0.hub.current_shard(self.0.shard());
        shard.is_some_and(|shard| shard.takes(self.0.key))
    }

    /// Has the kernel keep back no more than about so many bytes for this connection: what was sent, but is not on its way
    /// yet. Otherwise it takes megabytes before it's said that a client reads slowly, and all of it is old when it comes. Heeded
    /// by TCP on Linux. For the socket's own loop; `false` where it can't be said yet, because the client polls.
    pub fn limit_unsent(&self, bytes: u32) -> bool {
        let shard = self.0.hub.current_shard(self.0.shard());
        shard.is_some_and(|shard| shard.limit_unsent(self.0.key, bytes))
    }

    /// Sends the event with these bytes, unless the client can't take it right now; whether it was sent. It's volatile:
    /// it never waits, never closes a connection that is slow, and is in no recovery log. For the socket's own loop: `false`
    /// on any other thread.
    pub fn emit_binary(&self, event: &BinaryEvent, data: &[u8]) -> bool {
        let Some(shard) = self.0.hub.current_shard(self.0.shard()) else {
            return false;
        };
        let namespace = &self.0.namespace;
        debug_assert!(Arc::ptr_eq(namespace, &event.namespace));
        let listened = !namespace.handlers.load().any_outgoing.is_empty();
        if listened || namespace.recovery.get().is_some() {
            let flags = Flags {
                volatile: true,
                ..Flags::default()
            };
            return shard.takes(self.0.key)
                && self.emit_payload(event.payload(data), flags).is_ok();
        }
        shard.emit_made(self.0.key, |parser| event.encoded(parser, data))
    }
}
