//! What a stranger may cost: the bounds that every decoder here takes.

/// Bounds on what one peer may send. Every decoder of this crate refuses what lies beyond them, before it
/// allocates for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one polling body, of one WebSocket message, and of one Socket.IO packet with its attachments.
    pub max_payload_bytes: usize,
    /// Binary attachments of one Socket.IO packet.
    pub max_attachments: usize,
    /// Nesting of arrays and objects in JSON and msgpack. Values above 1024 count as 1024.
    pub max_depth: usize,
    /// Engine.IO packets in one polling body.
    pub max_packets_per_payload: usize,
}

impl Default for Limits {
    /// Node's defaults (`maxHttpBufferSize` 1e6, `maxAttachments` 10), and bounds of our own where Node has none.
    fn default() -> Self {
        Limits {
            max_payload_bytes: 1_000_000,
            max_attachments: 10,
            max_depth: 100,
            max_packets_per_payload: 20_000,
        }
    }
}
