//! Which processes listen at an address of this machine, so that nobody has to look for a number.
//!
//! `/proc/net/tcp` names the socket that listens, and the processes that hold it have it among their descriptors. Those of
//! other users can't be looked into, and a server elsewhere has none here: then there is nothing to find.

use std::fs;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;

/// The state LISTEN in /proc/net/tcp.
const LISTEN: &str = "0A";

/// The processes that hold the socket listening there.
pub(crate) fn listeners(server: SocketAddr) -> Vec<u32> {
    // Only an own address can be bound. Without this, a process here that has the same port would be taken for one there.
    if UdpSocket::bind((server.ip(), 0)).is_err() {
        return Vec::new();
    }
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let mut found: Vec<_> = tables
        .iter()
        .flatten()
        .flat_map(|table| table.lines().skip(1))
        .filter_map(listening)
        .filter(|(address, _)| {
            address.port() == server.port()
                && (address.ip().is_unspecified() || address.ip() == server.ip())
        })
        .collect();
    // One that listens there and nowhere else gets the connection, before one that listens everywhere.
    found.sort_by_key(|(address, _)| address.ip().is_unspecified());
    // With SO_REUSEPORT several sockets share one address.
    let first = found.first().map(|(address, _)| *address);
    let sockets: Vec<_> = found
        .iter()
        .filter(|(address, _)| Some(*address) == first)
        .map(|(_, inode)| format!("socket:[{inode}]"))
        .collect();
    holders(&sockets)
}

/// Address and inode of a line, if that socket listens.
fn listening(line: &str) -> Option<(SocketAddr, &str)> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let local = fields.next()?;
    let state = fields.nth(1)?;
    // The inode is the tenth field.
    let inode = fields.nth(5)?;
    let (ip, port) = local.split_once(':')?;
    let address = SocketAddr::new(ip_of(ip)?, u16::from_str_radix(port, 16).ok()?);
    (state == LISTEN).then_some((address, inode))
}

/// Words of four bytes, each in the machine's order.
fn ip_of(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok();
    let mut bytes = [0; 16];
    match hex.len() {
        8 => Some(IpAddr::from(word(0)?.to_ne_bytes())),
        32 => {
            for (at, four) in bytes.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&word(at)?.to_ne_bytes());
            }
            Some(IpAddr::from(Ipv6Addr::from(bytes)).to_canonical())
        }
        _ => None,
    }
}

fn holders(sockets: &[String]) -> Vec<u32> {
    if sockets.is_empty() {
        return Vec::new();
    }
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut pids: Vec<u32> = processes
        .flatten()
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let descriptors = fs::read_dir(entry.path().join("fd")).ok()?;
            let holds = |path: &Path| {
                fs::read_link(path)
                    .is_ok_and(|to| sockets.iter().any(|socket| to == Path::new(socket)))
            };
            descriptors
                .flatten()
                .any(|descriptor| holds(&descriptor.path()))
                .then_some(pid)
        })
        .collect();
    pids.sort_unstable();
    pids
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_listener_of_this_process_is_found_on_both_families_and_on_all_addresses() {
        for bind in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0"] {
            // Not every machine has the newer addresses.
            let Ok(listener) = TcpListener::bind(bind) else {
                continue;
            };
            let port = listener.local_addr().unwrap().port();
            let ip = if bind.starts_with('[') {
                "[::1]"
            } else {
                "127.0.0.1"
            };
            let server = format!("{ip}:{port}").parse().unwrap();
            assert_eq!(listeners(server), [std::process::id()], "{bind}");
            drop(listener);
            assert!(listeners(server).is_empty(), "{bind}");
        }
    }

    #[test]
    fn an_address_elsewhere_has_no_process_here() {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(listeners(SocketAddr::from(([192, 0, 2, 1], port))).is_empty());
    }
}
