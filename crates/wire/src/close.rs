//! Why a connection or a socket ended, in Node's words where Node has one.
//!
//! Source: `DisconnectReason` of the Socket.IO server and `onClose` of the Engine.IO server. Users match on these
//! strings, so they must not change.

/// Why a connection (Engine.IO session) or one socket on it (Socket.IO) ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The peer was silent for too long.
    PingTimeout,
    /// The peer closed the transport, or it broke off in an orderly way.
    TransportClose,
    /// The transport failed: a read or write error, overlapping requests, a ping in the wrong direction.
    TransportError,
    /// The peer sent something that is not Engine.IO or not Socket.IO.
    ParseError,
    /// The server closed the Engine.IO session.
    ForcedClose,
    /// The server closed the connection below a socket (`socket.disconnect(true)`).
    ForcedServerClose,
    /// The server is going down.
    ServerShuttingDown,
    /// The client left the namespace.
    ClientNamespaceDisconnect,
    /// The server made the socket leave the namespace.
    ServerNamespaceDisconnect,
    /// The client joined no namespace in time. Our own word; Node reports a forced close.
    ConnectTimeout,
    /// The client read too slowly, and its queue was full. Our own word.
    SlowReader,
    /// The same client came back on a new connection, which took over. Our own word.
    Replaced,
}

impl CloseReason {
    /// The word that `disconnect` handlers get.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            CloseReason::PingTimeout => "ping timeout",
            CloseReason::TransportClose => "transport close",
            CloseReason::TransportError => "transport error",
            CloseReason::ParseError => "parse error",
            CloseReason::ForcedClose => "forced close",
            CloseReason::ForcedServerClose => "forced server close",
            CloseReason::ServerShuttingDown => "server shutting down",
            CloseReason::ClientNamespaceDisconnect => "client namespace disconnect",
            CloseReason::ServerNamespaceDisconnect => "server namespace disconnect",
            CloseReason::ConnectTimeout => "connect timeout",
            CloseReason::SlowReader => "slow reader",
            CloseReason::Replaced => "replaced",
        }
    }

    /// Whether a session that ended so may be recovered: the client did not mean to leave, and what it sent was
    /// well formed. The same set as Node's, and slow readers, whose queue was dropped and who can catch up.
    #[must_use]
    pub const fn is_recoverable(self) -> bool {
        matches!(
            self,
            CloseReason::PingTimeout
                | CloseReason::TransportClose
                | CloseReason::TransportError
                | CloseReason::ForcedClose
                | CloseReason::ForcedServerClose
                | CloseReason::ServerShuttingDown
                | CloseReason::SlowReader
        )
    }
}

impl std::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
