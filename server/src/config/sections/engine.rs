//! `[engine]`: Engine.IO beneath Socket.IO. The defaults are those of Node's server, because clients rely on them.

use super::server::{is_path, path_message};
use crate::config::section::{above_zero, section};
use crate::config::value::words;

words! {
    /// A way for a client to reach the server.
    Transport {
        /// HTTP long polling.
        Polling = "polling",
        /// WebSocket.
        Websocket = "websocket",
    }
}

words! {
    /// The attribute `SameSite` of a cookie.
    SameSite {
        /// Sent only to requests that start at the same site.
        Strict = "strict",
        /// Sent also when a person follows a link.
        Lax = "lax",
        /// Sent always; browsers want TLS for it.
        None = "none",
    }
}

section! {
    /// Engine.IO: heartbeats, transports, cookie. The defaults are those of Node's server.
    Engine as "engine" {
        /// Time between two pings.
        ping_interval_ms: u64 = 25_000;
        /// Time a client has to answer a ping.
        ping_timeout_ms: u64 = 20_000;
        /// Time an upgrade from polling to WebSocket may take.
        upgrade_timeout_ms: u64 = 10_000;
        /// Time a new connection has to join a namespace.
        connect_timeout_ms: u64 = 45_000;
        /// Transports that are offered.
        transports: Vec<Transport> = vec![Transport::Polling, Transport::Websocket];
        /// Whether polling may be upgraded to WebSocket.
        allow_upgrades: bool = true;
        /// Whether clients of version 2 (Engine.IO 3) are let in.
        allow_eio3: bool = false;
        /// permessage-deflate on WebSocket, for messages from 1024 bytes up. It saves bytes and costs processor time; Node
        /// leaves it off too.
        compression: bool = false;
        /// Path of an endpoint for Engine.IO alone, without Socket.IO on top and without sign-in. It sends each message back,
        /// so that ways through proxies can be tried and measured. Unset: there is none.
        engine_path: Option<String> = None;
        /// Name of a cookie that carries the session's id, for balancers that route by cookie. Unset: no cookie.
        cookie_name: Option<String> = None;
        /// Path of that cookie.
        cookie_path: String = "/".into();
        /// Whether scripts in the page may not read that cookie.
        cookie_http_only: bool = true;
        /// Whether that cookie is sent over TLS only.
        cookie_secure: bool = false;
        /// The attribute SameSite of that cookie.
        cookie_same_site: SameSite = SameSite::Lax;
    }
    check |engine, wrong| {
        above_zero(wrong, &[
            ("ping_interval_ms", engine.ping_interval_ms),
            ("ping_timeout_ms", engine.ping_timeout_ms),
            ("upgrade_timeout_ms", engine.upgrade_timeout_ms),
            ("connect_timeout_ms", engine.connect_timeout_ms),
        ]);
        if engine.transports.is_empty() {
            wrong.push(("transports", "must name \"polling\", \"websocket\" or both".into()));
        }
        if let Some(path) = &engine.engine_path
            && !is_path(path)
        {
            wrong.push(("engine_path", path_message(path)));
        }
        // RFC 6265 section 4.1.1: a cookie's name is a token.
        if let Some(name) = &engine.cookie_name
            && (name.is_empty() || !name.bytes().all(is_token))
        {
            wrong.push(("cookie_name", "must be letters, digits, `-` or `_`".into()));
        }
        if !engine.cookie_path.starts_with('/') || engine.cookie_path.contains([';', ',']) {
            wrong.push(("cookie_path", "must start with `/` and hold no `;` or `,`".into()));
        }
        if engine.cookie_same_site == SameSite::None && !engine.cookie_secure {
            wrong.push((
                "cookie_same_site",
                "\"none\" needs `engine.cookie_secure = true`: browsers drop the cookie otherwise".into(),
            ));
        }
    };
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}
