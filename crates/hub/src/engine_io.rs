//! Engine.IO sessions as users see them: those of a server without Socket.IO on top, and those below sockets.

use std::sync::Arc;

use lakh_wire::engine::{Message, Transport};
use lakh_wire::{CloseReason, Encoded};

use crate::handshake::Handshake;
use crate::hub::Hub;
use crate::ids::Id;
use crate::shard::SessionKey;

type OnOpen = dyn Fn(&EngineSocket) + Send + Sync;
type OnMessage = dyn Fn(&EngineSocket, Message<'_>) + Send + Sync;
type OnClose = dyn Fn(&EngineSocket, CloseReason) + Send + Sync;

/// What an Engine.IO endpoint does with its sessions. Handlers run on the session's loop and must not block.
#[derive(Clone, Default)]
pub struct EngineHandlers {
    pub(crate) open: Option<Arc<OnOpen>>,
    pub(crate) message: Option<Arc<OnMessage>>,
    pub(crate) close: Option<Arc<OnClose>>,
}

impl std::fmt::Debug for EngineHandlers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EngineHandlers")
    }
}

impl EngineHandlers {
    /// Runs when a session has opened.
    #[must_use]
    pub fn on_open(mut self, handler: impl Fn(&EngineSocket) + Send + Sync + 'static) -> Self {
        self.open = Some(Arc::new(handler));
        self
    }

    /// Runs for each message.
    #[must_use]
    pub fn on_message(
        mut self,
        handler: impl Fn(&EngineSocket, Message<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.message = Some(Arc::new(handler));
        self
    }

    /// Runs when a session has closed.
    #[must_use]
    pub fn on_close(
        mut self,
        handler: impl Fn(&EngineSocket, CloseReason) + Send + Sync + 'static,
    ) -> Self {
        self.close = Some(Arc::new(handler));
        self
    }
}

/// One Engine.IO session. Cheap to clone; any thread may use it.
#[derive(Clone)]
pub struct EngineSocket {
    pub(crate) hub: Hub,
    pub(crate) shard: usize,
    pub(crate) key: SessionKey,
    pub(crate) id: Id,
    pub(crate) handshake: Arc<Handshake>,
}

impl std::fmt::Debug for EngineSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EngineSocket(shard {})", self.shard)
    }
}

impl EngineSocket {
    /// The session's id: a secret between this client and the server.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// The connection's first request.
    #[must_use]
    pub fn handshake(&self) -> &Handshake {
        &self.handshake
    }

    /// The transport that it uses now; a session that began with long polling is upgraded when the client wants it.
    /// For its handlers: `None` on any other thread than its loop, and when the session is gone.
    #[must_use]
    pub fn transport(&self) -> Option<Transport> {
        let shard = self.hub.current_shard(self.shard)?;
        Some(shard.kind(self.key)?.1)
    }

    /// Sends text.
    pub fn send_text(&self, text: &str) {
        self.send(&Message::Text(text));
    }

    /// Sends bytes.
    pub fn send_binary(&self, data: &[u8]) {
        self.send(&Message::Binary(data.into()));
    }

    /// Sends a message. What is sent to a session that has closed is dropped.
    pub fn send(&self, message: &Message<'_>) {
        let encoded = match message {
            Message::Text(text) => Encoded::text(&[text.as_bytes()], true),
            Message::Binary(data) => Encoded::binary(data),
        };
        let key = self.key;
        self.act(move |shard| shard.send_message(key, &encoded));
    }

    /// Closes the session.
    pub fn close(&self) {
        let key = self.key;
        self.act(move |shard| shard.close(key, CloseReason::ForcedClose));
    }

    fn act(&self, work: impl FnOnce(&crate::shard::Shard) + Send + 'static) {
        match self.hub.current_shard(self.shard) {
            Some(shard) => work(&shard),
            None => {
                if let Err(full) = self.hub.run_on(self.shard, work) {
                    tracing::warn!(%full, "a message to an Engine.IO session was dropped");
                }
            }
        }
    }
}
