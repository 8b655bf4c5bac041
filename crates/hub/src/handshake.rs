//! What is known of a connection from its first request.

use std::net::SocketAddr;
use std::sync::Arc;

/// The first request of a connection, as far as it's kept.
#[derive(Debug, Clone)]
pub struct Handshake {
    /// The client's address: that of the TCP connection, or what a trusted proxy said.
    pub address: SocketAddr,
    /// Whether the client reached us over TLS, here or at a trusted proxy.
    pub secure: bool,
    /// Milliseconds since 1970.
    pub time_ms: u64,
    /// The query string as it came, without `?`. Connections of a shard that say the same in turn, as most do, share it.
    pub query: Arc<str>,
    /// The headers that the settings asked to keep, names in lower case.
    pub headers: Box<[(Box<str>, Box<str>)]>,
}

impl Handshake {
    /// A header that was kept (`Settings::keep_headers`).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(kept, _)| kept.eq_ignore_ascii_case(name))
            .map(|(_, value)| &**value)
    }

    /// The first value of a query parameter, percent-decoded.
    #[must_use]
    pub fn query_param(&self, name: &str) -> Option<String> {
        self.query_params()
            .find_map(|(key, value)| (key == name).then_some(value))
    }

    /// All query parameters in their order, percent-decoded; the engine's own (`EIO`, `transport`, …) among them.
    pub fn query_params(&self) -> impl Iterator<Item = (String, String)> {
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        })
    }
}

/// Percent-decoding of one part of a query string; `+` is a space. Broken escapes stay as they are.
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| tail.get(..2)).flatten();
        let value = escaped
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match value {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_parameters_are_decoded() {
        let handshake = Handshake {
            address: ([127, 0, 0, 1], 1).into(),
            secure: false,
            time_ms: 0,
            query: "EIO=4&na%6De=J%C3%BCrgen+K&empty&broken=%zz".into(),
            headers: Box::new([("user-agent".into(), "x".into())]),
        };
        assert_eq!(handshake.query_param("name").as_deref(), Some("Jürgen K"));
        assert_eq!(handshake.query_param("empty").as_deref(), Some(""));
        assert_eq!(handshake.query_param("broken").as_deref(), Some("%zz"));
        assert_eq!(handshake.query_param("absent"), None);
        let names: Vec<String> = handshake.query_params().map(|(name, _)| name).collect();
        assert_eq!(names, ["EIO", "name", "empty", "broken"]);
        assert_eq!(handshake.header("User-Agent"), Some("x"));
    }
}
