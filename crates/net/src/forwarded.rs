//! Who the client is and which scheme it spoke, as told by the headers of trusted proxies.
//!
//! Invariants: without a trusted peer the headers count for nothing; each address is believed only as far as the
//! one that reported it is trusted, walking from the right (the nearest proxy) to the left; one header is read,
//! the configured one, because a proxy passes on the others as the client wrote them. At most [`MAX_HOPS`] entries
//! are looked at. Sources: RFC 7239 (Forwarded), and MDN for the X-Forwarded headers, which have no standard.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

use crate::trust::TrustedProxies;

/// Proxies in a row that are followed. Entries further left are not looked at.
pub const MAX_HOPS: usize = 16;

/// The header by which the proxies tell the client's address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedBy {
    /// `X-Forwarded-For`, and `X-Forwarded-Proto` for the scheme.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239), for both.
    Forwarded,
    /// `X-Real-IP`, which nginx sets to one address, and `X-Forwarded-Proto` for the scheme.
    XRealIp,
}

/// Where the values of a header are read from: a request head of ours, or one of the HTTP library.
pub trait HeaderSource {
    /// All values of a header, in order. `name` is lower case.
    fn values<'s>(&'s self, name: &'s str) -> impl DoubleEndedIterator<Item = &'s [u8]>;
}

impl HeaderSource for HeaderMap {
    fn values<'s>(&'s self, name: &'s str) -> impl DoubleEndedIterator<Item = &'s [u8]> {
        self.get_all(name).into_iter().map(|value| value.as_bytes())
    }
}

/// The first value of a header, if it's text.
pub(crate) fn first_value<'s>(headers: &'s impl HeaderSource, name: &'s str) -> Option<&'s str> {
    headers
        .values(name)
        .next()
        .and_then(|value| std::str::from_utf8(value).ok())
}

/// What is known of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address, or that of the nearest hop that can be believed. `None` on a Unix socket that told none.
    pub address: Option<IpAddr>,
    /// Its port, where that is told.
    pub port: Option<u16>,
    /// Whether it came over TLS.
    pub secure: bool,
}

/// The peer of a connection, before any header is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The other end of the socket (or of the PROXY header). `None` on a Unix socket.
    pub address: Option<SocketAddr>,
    /// Whether this connection is TLS.
    pub secure: bool,
}

impl Peer {
    fn client(self) -> Client {
        Client {
            address: self.address.map(|address| address.ip().to_canonical()),
            port: self.address.map(|address| address.port()),
            secure: self.secure,
        }
    }

    fn is_trusted(self, trusted: &TrustedProxies) -> bool {
        match self.address {
            Some(address) => trusted.contains(address.ip()),
            None => trusted.contains_unix(),
        }
    }
}

/// Finds the client of a request that came from `peer`.
#[must_use]
pub fn resolve_client(
    peer: Peer,
    by: ForwardedBy,
    trusted: &TrustedProxies,
    headers: &impl HeaderSource,
) -> Client {
    if !peer.is_trusted(trusted) {
        return peer.client();
    }
    match by {
        ForwardedBy::XForwardedFor => {
            let hops = list_from_right(headers, "x-forwarded-for").map(|entry| Hop {
                node: parse_node(entry),
                secure: None,
            });
            let (client, depth) = walk(peer, trusted, hops);
            with_scheme(client, depth, headers)
        }
        ForwardedBy::XRealIp => {
            let hop = list_from_right(headers, "x-real-ip")
                .next()
                .map(|entry| Hop {
                    node: parse_node(entry),
                    secure: None,
                });
            let (client, depth) = walk(peer, trusted, hop.into_iter());
            with_scheme(client, depth, headers)
        }
        ForwardedBy::Forwarded => {
            let lines = headers.values("forwarded").rev();
            walk(peer, trusted, lines.flat_map(forwarded_from_right)).0
        }
    }
}

/// One entry of a list: what one proxy says of the one before it.
#[derive(Clone, Copy, Debug, Default)]
struct Hop {
    node: Option<(IpAddr, Option<u16>)>,
    secure: Option<bool>,
}

/// Follows the hops from the nearest as long as the one that reports is trusted. Also gives how many were taken.
fn walk(peer: Peer, trusted: &TrustedProxies, hops: impl Iterator<Item = Hop>) -> (Client, usize) {
    let (mut client, mut depth) = (peer.client(), 0);
    for hop in hops.take(MAX_HOPS) {
        // The scheme is told by a trusted one even where the address is hidden.
        client.secure = hop.secure.unwrap_or(client.secure);
        // "unknown", an obfuscated name or junk: nothing beyond it can be believed.
        let Some((address, port)) = hop.node else {
            break;
        };
        (client.address, client.port) = (Some(address), port);
        depth += 1;
        if !trusted.contains(address) {
            break;
        }
    }
    (client, depth)
}

/// Takes the scheme from `X-Forwarded-Proto`: the entry of the same hop as the address, or the leftmost where the
/// list is shorter (most proxies replace it by one value).
fn with_scheme(mut client: Client, depth: usize, headers: &impl HeaderSource) -> Client {
    let scheme = list_from_right(headers, "x-forwarded-proto")
        .take(depth.max(1))
        .last();
    if let Some(secure) = scheme.and_then(is_secure) {
        client.secure = secure;
    }
    client
}

fn is_secure(scheme: &[u8]) -> Option<bool> {
    let one_of = |names: [&str; 2]| {
        names
            .iter()
            .any(|name| scheme.eq_ignore_ascii_case(name.as_bytes()))
    };
    if one_of(["https", "wss"]) {
        Some(true)
    } else if one_of(["http", "ws"]) {
        Some(false)
    } else {
        None
    }
}

/// The entries of a comma-separated header from right to left, over all its lines.
fn list_from_right<'h>(
    headers: &'h impl HeaderSource,
    name: &'static str,
) -> impl Iterator<Item = &'h [u8]> {
    headers
        .values(name)
        .rev()
        .flat_map(|line| line.rsplit(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
}

/// An address with or without port: `1.2.3.4`, `1.2.3.4:5`, `[::1]`, `[::1]:5`, `::1`.
pub(crate) fn parse_node(text: &[u8]) -> Option<(IpAddr, Option<u16>)> {
    let text = std::str::from_utf8(text).ok()?;
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some((address.ip().to_canonical(), Some(address.port())));
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .filter(|inner| inner.contains(':'))
        .unwrap_or(text);
    let address = bare.parse::<IpAddr>().ok()?;
    Some((address.to_canonical(), None))
}

/// The elements of one `Forwarded` line from right to left.
///
/// A quote that a client left open swallows what the proxy wrote behind it. In a line whose quotes don't pair only
/// the text after the last comma is read, which is the nearest proxy's, and nothing further left is believed.
fn forwarded_from_right(line: &[u8]) -> impl Iterator<Item = Hop> + '_ {
    let pairs = quotes_pair(line);
    let mut rest = Some(line);
    let mut broken = (!pairs).then(Hop::default);
    std::iter::from_fn(move || {
        let Some(line) = rest else {
            return broken.take();
        };
        let (cut, left) = if pairs {
            let cut = last_comma(line);
            (cut, cut.map(|at| &line[..at]))
        } else {
            (line.iter().rposition(|byte| *byte == b','), None)
        };
        rest = left;
        Some(parse_element(&line[cut.map_or(0, |at| at + 1)..]))
    })
}

/// Walks over a line and tells each byte that stands outside of quotes.
fn outside_quotes(line: &[u8]) -> impl Iterator<Item = (usize, u8)> + '_ {
    let (mut quoted, mut escaped) = (false, false);
    line.iter().enumerate().filter_map(move |(at, &byte)| {
        let plain = !quoted && byte != b'"';
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        plain.then_some((at, byte))
    })
}

fn quotes_pair(line: &[u8]) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    for &byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
    }
    !quoted
}

fn last_comma(line: &[u8]) -> Option<usize> {
    outside_quotes(line)
        .filter(|(_, byte)| *byte == b',')
        .map(|(at, _)| at)
        .last()
}

/// One element: `for=192.0.2.60;proto=http;by=203.0.113.43`. A parameter given twice says nothing.
fn parse_element(element: &[u8]) -> Hop {
    let (mut node, mut scheme) = (Seen::default(), Seen::default());
    let mut rest = Some(element);
    while let Some(pairs) = rest {
        let cut = outside_quotes(pairs).find(|(_, byte)| *byte == b';');
        rest = cut.map(|(at, _)| &pairs[at + 1..]);
        let pair = pairs[..cut.map_or(pairs.len(), |(at, _)| at)].trim_ascii();
        let Some(equals) = pair.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        let (name, value) = (&pair[..equals], unquote(&pair[equals + 1..]));
        if name.eq_ignore_ascii_case(b"for") {
            node.see(value);
        } else if name.eq_ignore_ascii_case(b"proto") {
            scheme.see(value);
        }
    }
    Hop {
        node: node.once().and_then(parse_node),
        secure: scheme.once().and_then(is_secure),
    }
}

/// A parameter's value, and how often it was given.
#[derive(Default)]
struct Seen<'a> {
    value: Option<&'a [u8]>,
    times: usize,
}

impl<'a> Seen<'a> {
    fn see(&mut self, value: &'a [u8]) {
        (self.value, self.times) = (Some(value), self.times + 1);
    }

    fn once(self) -> Option<&'a [u8]> {
        self.value.filter(|_| self.times == 1)
    }
}

/// Addresses and schemes need no escapes, so a value with one simply fails to parse.
fn unquote(value: &[u8]) -> &[u8] {
    value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
        .unwrap_or(value)
}

#[cfg(test)]
#[path = "forwarded_tests.rs"]
mod tests;
