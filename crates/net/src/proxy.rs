//! The PROXY protocol, versions 1 and 2: how a TCP proxy tells whose connection it passes on.
//!
//! Invariants: nothing is copied and nothing is kept; a header is refused as soon as a byte of it is wrong and is
//! never longer than its bound. Only a trusted peer may be asked for one: the header is as good as its sender.
//! Source: haproxy, `doc/proxy-protocol.txt`, sections 2.1 and 2.2.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest version 1 header, with its CR LF (section 2.1).
pub const MAX_V1_BYTES: usize = 107;
/// The longest version 2 header that is taken (section 2.2 asks for no less than this).
pub const MAX_V2_BYTES: usize = 536;

const V1_START: &[u8] = b"PROXY ";
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_FIXED_BYTES: usize = 16;

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proxied {
    /// The client and the address it connected to, in this order. `None` when the proxy speaks for itself
    /// (LOCAL: a health check) or can't tell (UNKNOWN, a Unix socket): the peer's own address counts then.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    /// How many bytes of the buffer the header took.
    pub consumed: usize,
}

/// What was made of the bytes at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeader {
    /// So far it can be a header; ask again with more bytes.
    NeedMore,
    /// A whole header; the client's own bytes follow it.
    Complete(Proxied),
    /// Not a header. Close the connection: the protocol has no answer to this.
    Invalid(ProxyError),
}

/// Why the bytes are no PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Neither version begins like this.
    #[error("no PROXY header: have the proxy send one, or take it off the list of those that do")]
    Missing,
    /// It begins like a header, but breaks its grammar.
    #[error("malformed PROXY header: {0}")]
    Malformed(&'static str),
    /// Longer than the bound.
    #[error("PROXY header longer than {MAX_V2_BYTES} bytes (version 1: {MAX_V1_BYTES})")]
    TooLong,
}

/// Reads a header from the start of `buf`, which holds all bytes of the connection so far.
#[must_use]
pub fn parse_proxy_header(buf: &[u8]) -> ProxyHeader {
    let parsed = if agrees(buf, V1_START) {
        parse_v1(buf)
    } else if agrees(buf, V2_SIGNATURE) {
        parse_v2(buf)
    } else {
        Err(ProxyError::Missing)
    };
    match parsed {
        Ok(Some(proxied)) => ProxyHeader::Complete(proxied),
        Ok(None) => ProxyHeader::NeedMore,
        Err(error) => ProxyHeader::Invalid(error),
    }
}

/// Whether `buf` and `start` are the same as far as both go.
fn agrees(buf: &[u8], start: &[u8]) -> bool {
    let both = buf.len().min(start.len());
    buf[..both] == start[..both]
}

type Parsed<T> = Result<Option<T>, ProxyError>;

fn parse_v1(buf: &[u8]) -> Parsed<Proxied> {
    let window = &buf[..buf.len().min(MAX_V1_BYTES)];
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        return if buf.len() >= MAX_V1_BYTES {
            Err(ProxyError::TooLong)
        } else {
            Ok(None)
        };
    };
    let line = std::str::from_utf8(&buf[..end])
        .map_err(|_| ProxyError::Malformed("the line is not ASCII"))?;
    // "\r\n" can't lie within "PROXY ", so the start was seen whole.
    let mut words = line.split(' ').skip(1);
    let addresses = match words.next() {
        // What follows UNKNOWN is to be ignored.
        Some("UNKNOWN") => None,
        Some("TCP4") => Some(v1_addresses::<Ipv4Addr>(words)?),
        Some("TCP6") => Some(v1_addresses::<Ipv6Addr>(words)?),
        _ => {
            return Err(ProxyError::Malformed(
                "the protocol is not TCP4, TCP6 or UNKNOWN",
            ));
        }
    };
    Ok(Some(Proxied {
        addresses,
        consumed: end + 2,
    }))
}

fn v1_addresses<'a, A>(
    mut words: impl Iterator<Item = &'a str>,
) -> Result<(SocketAddr, SocketAddr), ProxyError>
where
    A: std::str::FromStr + Into<IpAddr>,
{
    let mut ip = || words.next().and_then(|word| word.parse::<A>().ok());
    let (source, destination) = (ip(), ip());
    let mut port = || words.next().and_then(v1_port);
    let (source_port, destination_port) = (port(), port());
    let (Some(source), Some(destination)) = (source, destination) else {
        return Err(ProxyError::Malformed("an address does not parse"));
    };
    let (Some(source_port), Some(destination_port)) = (source_port, destination_port) else {
        return Err(ProxyError::Malformed("a port does not parse"));
    };
    if words.next().is_some() {
        return Err(ProxyError::Malformed("more than six words"));
    }
    Ok((
        SocketAddr::new(source.into(), source_port),
        SocketAddr::new(destination.into(), destination_port),
    ))
}

/// Digits only: `u16::from_str` would also take a plus sign.
fn v1_port(word: &str) -> Option<u16> {
    word.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| word.parse().ok())
        .flatten()
}

fn parse_v2(buf: &[u8]) -> Parsed<Proxied> {
    // Each fixed byte is judged as soon as it is there.
    let is_local = match buf.get(12) {
        None => return Ok(None),
        Some(0x20) => true,
        Some(0x21) => false,
        Some(_) => {
            return Err(ProxyError::Malformed(
                "version 2 with the command LOCAL or PROXY is needed",
            ));
        }
    };
    let Some(&family) = buf.get(13) else {
        return Ok(None);
    };
    let address_bytes = v2_address_bytes(family)?;
    let Some(&[high, low]) = buf.get(14..V2_FIXED_BYTES) else {
        return Ok(None);
    };
    let body_bytes = usize::from(u16::from_be_bytes([high, low]));
    let consumed = V2_FIXED_BYTES + body_bytes;
    if consumed > MAX_V2_BYTES {
        return Err(ProxyError::TooLong);
    }
    // A LOCAL header may leave the addresses out; whatever it holds is to be ignored.
    if !is_local && body_bytes < address_bytes {
        return Err(ProxyError::Malformed("shorter than its addresses"));
    }
    let Some(body) = buf.get(V2_FIXED_BYTES..consumed) else {
        return Ok(None);
    };
    // The type-length-value fields after the addresses are skipped: nothing here looks at them.
    let addresses = if is_local {
        None
    } else {
        v2_addresses(family, body)
    };
    Ok(Some(Proxied {
        addresses,
        consumed,
    }))
}

/// Length of both addresses and ports. Datagrams are refused: they can't arrive over a stream.
fn v2_address_bytes(family: u8) -> Result<usize, ProxyError> {
    match family {
        0x00 => Ok(0),
        0x11 => Ok(12),
        0x21 => Ok(36),
        0x31 => Ok(216),
        _ => Err(ProxyError::Malformed(
            "the address family is not one of a stream",
        )),
    }
}

fn v2_addresses(family: u8, body: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    match family {
        0x11 => v2_pair::<4>(body),
        0x21 => v2_pair::<16>(body),
        _ => None,
    }
}

/// Two addresses of `N` bytes and then two ports, all big endian.
fn v2_pair<const N: usize>(body: &[u8]) -> Option<(SocketAddr, SocketAddr)>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = body.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let (source_port, rest) = rest.split_first_chunk::<2>()?;
    let destination_port = rest.first_chunk::<2>()?;
    let end = |ip: [u8; N], port| SocketAddr::new(ip.into(), u16::from_be_bytes(port));
    Some((
        end(*source, *source_port),
        end(*destination, *destination_port),
    ))
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
