//! `[limits]`: what one client, one address and the node may use. Nothing here can be switched off by accident:
//! 0 is refused where it would mean "none at all".

use crate::config::section::{above_zero, section};
use crate::config::value::words;

words! {
    /// What becomes of a connection whose outgoing queue is full.
    SlowReader {
        /// It is closed with a reason.
        Disconnect = "disconnect",
        /// What doesn't fit is dropped and counted.
        Drop = "drop",
    }
}

words! {
    /// What happens past a rate.
    Past {
        /// What is too much is refused with a code.
        Refuse = "refuse",
        /// It's done, and the connection read no further until there is room for more.
        Slow = "slow",
        /// The connection is closed, after a word why.
        Disconnect = "disconnect",
    }
}

words! {
    /// What happens to a connection too many.
    PastConnections {
        /// Its namespace refuses it with a code.
        Refuse = "refuse",
        /// It is closed then, too.
        Disconnect = "disconnect",
    }
}

section! {
    /// What one client, one address and the whole node may use.
    Limits as "limits" {
        /// Longest message of a client, on WebSocket and on polling alike.
        max_payload_bytes: u64 = 1_000_000;
        /// Connections this node holds. Past it: 503 with Retry-After.
        max_connections: u64 = 100_000;
        /// Connections from one address. Unset: no bound of its own (many people may share one address).
        max_connections_per_address: Option<u64> = None;
        /// New connections a second that this node takes. Unset: as many as it can.
        handshakes_per_second: Option<u32> = None;
        /// New connections a second from one address.
        handshakes_per_second_per_address: Option<u32> = None;
        /// Connections of one person to this node, whatever they come from. Past it: `connect_error` with the code
        /// `too_many_connections`. Unset: no bound, as with all that follows of a person, an address and the node.
        max_connections_per_person: Option<u32> = None;
        /// What happens past that: "refuse" (its other namespaces go on) or "disconnect".
        past_connections: PastConnections = PastConnections::Refuse;
        /// Rooms that one person may be in at the same time, over all connections to this node.
        max_rooms_per_person: Option<u32> = None;
        /// Events a second of one person; as many as a second brings may come at once, here and below.
        events_per_second_per_person: Option<u32> = None;
        /// Events a second from one address (IPv6: one /64).
        events_per_second_per_address: Option<u32> = None;
        /// Events a second that this node takes.
        events_per_second: Option<u32> = None;
        /// What happens past these: "refuse" (code `rate_limited`), "slow" (the connection is read slower) or "disconnect".
        past_events: Past = Past::Refuse;
        /// Rooms that one person may join a second.
        joins_per_second_per_person: Option<u32> = None;
        /// Joins a second from one address.
        joins_per_second_per_address: Option<u32> = None;
        /// Joins a second on this node.
        joins_per_second: Option<u32> = None;
        /// What happens past these, and past the rooms of a person: "refuse", "slow" or "disconnect".
        past_joins: Past = Past::Refuse;
        /// Bytes a second that one person may send.
        bytes_per_second_per_person: Option<u32> = None;
        /// Bytes a second from one address.
        bytes_per_second_per_address: Option<u32> = None;
        /// Bytes a second that this node takes from its clients.
        bytes_per_second: Option<u32> = None;
        /// What happens past these: "slow", "refuse" (events are, until the bytes that came are made up for) or "disconnect".
        past_bytes: Past = Past::Slow;
        /// How far an event loop may be behind. Past it new sessions get 503 with Retry-After until it has caught up; those
        /// that are there go on. So a storm of returning clients is taken at the rate that this node can serve.
        max_lag_ms: u64 = 500;
        /// Namespaces one connection may be in at the same time.
        max_namespaces: u32 = 64;
        /// Rooms one socket may be in at the same time.
        max_rooms_per_socket: u32 = 10_000;
        /// Acknowledgements the server waits for, per socket.
        max_pending_acks: u32 = 10_000;
        /// Handlers of one socket that may be waiting at the same time. Past it the connection is read no further.
        max_running_handlers: u32 = 256;
        /// Binary attachments of one packet.
        max_attachments: u32 = 10;
        /// Nesting of arrays and objects in one packet.
        max_depth: u32 = 100;
        /// Packets in one request of long polling.
        max_packets_per_payload: u32 = 20_000;
        /// Bytes that may wait for a client that reads too slowly. Volatile events are dropped long before.
        outbox_bytes: u64 = 8_388_608;
        /// What happens past that: "disconnect" (a recoverable client comes back and gets what it missed) or "drop".
        slow_reader: SlowReader = SlowReader::Disconnect;
        /// Bytes that may wait between two event loops. Past it the publishers are read no further for a while.
        mailbox_bytes: u64 = 16_777_216;
        /// Longest head of an HTTP request.
        max_head_bytes: u64 = 16_384;
        /// Time a client has to send the head of a request.
        head_timeout_ms: u64 = 10_000;
        /// Time a client has to send the body of a request.
        body_timeout_ms: u64 = 60_000;
        /// Least speed of the body of a request, after 5 s of grace.
        body_min_bytes_per_second: u32 = 240;
        /// Time an answer may wait without any of it being taken.
        write_timeout_ms: u64 = 30_000;
        /// Time the TLS handshake may take.
        tls_timeout_ms: u64 = 10_000;
        /// Time an HTTP connection may idle between two requests.
        keep_alive_ms: u64 = 75_000;
    }
    check |limits, wrong| {
        above_zero(wrong, &[
            ("max_payload_bytes", limits.max_payload_bytes),
            ("max_connections", limits.max_connections),
            ("max_lag_ms", limits.max_lag_ms),
            ("max_namespaces", limits.max_namespaces.into()),
            ("max_rooms_per_socket", limits.max_rooms_per_socket.into()),
            ("max_depth", limits.max_depth.into()),
            ("max_packets_per_payload", limits.max_packets_per_payload.into()),
            ("max_running_handlers", limits.max_running_handlers.into()),
            ("outbox_bytes", limits.outbox_bytes),
            ("mailbox_bytes", limits.mailbox_bytes),
            ("write_timeout_ms", limits.write_timeout_ms),
            ("tls_timeout_ms", limits.tls_timeout_ms),
            ("head_timeout_ms", limits.head_timeout_ms),
            ("body_timeout_ms", limits.body_timeout_ms),
            ("keep_alive_ms", limits.keep_alive_ms),
        ]);
        let optional = [
            ("max_connections_per_address", limits.max_connections_per_address),
            ("handshakes_per_second", limits.handshakes_per_second.map(u64::from)),
            (
                "handshakes_per_second_per_address",
                limits.handshakes_per_second_per_address.map(u64::from),
            ),
        ];
        let rates = [
            ("max_connections_per_person", limits.max_connections_per_person),
            ("max_rooms_per_person", limits.max_rooms_per_person),
            ("events_per_second_per_person", limits.events_per_second_per_person),
            ("events_per_second_per_address", limits.events_per_second_per_address),
            ("events_per_second", limits.events_per_second),
            ("joins_per_second_per_person", limits.joins_per_second_per_person),
            ("joins_per_second_per_address", limits.joins_per_second_per_address),
            ("joins_per_second", limits.joins_per_second),
            ("bytes_per_second_per_person", limits.bytes_per_second_per_person),
            ("bytes_per_second_per_address", limits.bytes_per_second_per_address),
            ("bytes_per_second", limits.bytes_per_second),
        ];
        let rates = rates.map(|(key, value)| (key, value.map(u64::from)));
        for (key, value) in optional.into_iter().chain(rates) {
            if value == Some(0) {
                wrong.push((key, "must be more than 0; leave it out for no bound".into()));
            }
        }
        if limits.max_depth > 1_024 {
            wrong.push(("max_depth", "must be at most 1024".into()));
        }
        if limits.max_head_bytes < 1_024 {
            wrong.push(("max_head_bytes", "must be at least 1024".into()));
        }
    };
}
