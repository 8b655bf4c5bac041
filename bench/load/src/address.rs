//! From a URL to a socket address, a host and a path; and the addresses that connections come from.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

use crate::error::LoadError;
use crate::options::Target;

/// Where Socket.IO is when the URL names no path.
const DEFAULT_PATH: &str = "/socket.io/";
/// Connections for each source address, by default. Far below the 28,000 ports that an address has: the kernel's
/// search for a free one gets slow when most are taken.
const CONNECTIONS_A_SOURCE: usize = 1000;

/// Where the server is, and where we come from.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub server: SocketAddr,
    /// For the header `Host`.
    pub host: String,
    /// Starts and ends with a slash.
    pub path: String,
    /// Source addresses; 0 leaves the choice to the kernel.
    sources: u32,
    first_source: Ipv4Addr,
}

impl Address {
    /// The target's nodes, at least one. `connections` are those to all of them together.
    pub(crate) fn all(target: &Target, connections: usize) -> Result<Vec<Self>, LoadError> {
        let each = target.urls().map(|url| Self::new(target, url, connections));
        each.collect()
    }

    pub(crate) fn new(target: &Target, url: &str, connections: usize) -> Result<Self, LoadError> {
        let wrong = |reason: &str| LoadError::Url {
            url: url.to_owned(),
            reason: reason.to_owned(),
        };
        let rest = url.strip_prefix("http://").ok_or_else(|| {
            wrong("it must start with http:// (TLS is not measured; go to the server behind it)")
        })?;
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let path = match path.trim_end_matches('/') {
            "" => DEFAULT_PATH.to_owned(),
            path => format!("{path}/"),
        };
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| {
            !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
        });
        let name = if has_port {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        let found = name.to_socket_addrs();
        let found = found.map_err(|error| wrong(&error.to_string()))?;
        // A name like localhost has two addresses; the other sources of 127.0.0.0/8 need the older one.
        let mut found: Vec<_> = found.collect();
        found.sort_by_key(SocketAddr::is_ipv6);
        let server = *found.first().ok_or_else(|| wrong("the name is unknown"))?;
        let sources = match server.ip() {
            IpAddr::V4(address) if address.is_loopback() => target
                .sources
                .unwrap_or(1 + (connections / CONNECTIONS_A_SOURCE) as u32),
            _ => 0,
        };
        Ok(Self {
            server,
            host: host.to_owned(),
            path,
            sources,
            first_source: target.first_source,
        })
    }

    /// The request that opens a WebSocket.
    pub(crate) fn upgrade(&self) -> Vec<u8> {
        self.upgrade_at(&format!("{}?EIO=4&transport=websocket", self.path))
    }

    /// The same somewhere else on the same server.
    pub(crate) fn upgrade_at(&self, path: &str) -> Vec<u8> {
        format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: bGFraCBsYWtoIGxha2ggIQ==\r\n\
             Sec-WebSocket-Version: 13\r\n\r\n",
            self.host
        )
        .into()
    }

    /// Where this connection comes from, if that isn't the kernel's choice.
    pub(crate) fn source(&self, index: u32) -> Option<SocketAddr> {
        let offset = index.checked_rem(self.sources)?;
        let source = u32::from(self.first_source).wrapping_add(offset);
        Some(SocketAddr::new(Ipv4Addr::from(source).into(), 0))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use super::*;

    #[test]
    fn a_url_without_a_path_means_the_usual_one() {
        for (url, server, path) in [
            ("http://127.0.0.1:3000", "127.0.0.1:3000", "/socket.io/"),
            ("http://127.0.0.1/", "127.0.0.1:80", "/socket.io/"),
            ("http://127.0.0.1:1/ws", "127.0.0.1:1", "/ws/"),
            ("http://[::1]:7/ws/", "[::1]:7", "/ws/"),
            ("http://[::1]/ws/", "[::1]:80", "/ws/"),
        ] {
            let address = Address::new(&Target::at(url), url, 1).unwrap();
            assert_eq!(address.server.to_string(), server, "{url}");
            assert_eq!(address.path, path, "{url}");
        }
    }

    #[test]
    fn other_schemes_are_refused_with_the_reason() {
        let error = Address::all(&Target::at("https://127.0.0.1:1/"), 1).unwrap_err();
        assert!(error.to_string().contains("http://"), "{error}");
    }

    #[test]
    fn many_connections_on_loopback_come_from_many_addresses() {
        let url = "http://127.0.0.1:1";
        let mut target = Target::at(url);
        target.first_source = Ipv4Addr::new(127, 0, 9, 255);
        let address = Address::new(&target, url, 2500).unwrap();
        let sources: std::collections::BTreeSet<_> = (0..2500)
            .map(|index| address.source(index).unwrap().ip().to_string())
            .collect();
        let expected = ["127.0.10.0", "127.0.10.1", "127.0.9.255"];
        assert!(sources.iter().eq(&expected), "{sources:?}");
    }

    #[test]
    fn nodes_are_parted_by_commas() {
        let target = Target::at("http://127.0.0.1:1,http://127.0.0.2:2/ws");
        let nodes = Address::all(&target, 1).unwrap();
        let at: Vec<_> = nodes.iter().map(|node| node.server.to_string()).collect();
        assert_eq!(at, ["127.0.0.1:1", "127.0.0.2:2"]);
        assert_eq!(nodes[1].path, "/ws/");
    }
}
