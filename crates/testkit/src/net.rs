//! TCP connections with bounds on every wait, from any address of the loopback network.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::BOUND;

/// Connects to `server`. Reads and writes that take longer than [`BOUND`] fail.
///
/// # Errors
/// What the system says.
pub fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    bounded(TcpStream::connect_timeout(&server, BOUND)?)
}

/// Connects to `server` from the local address `source`, so that the server sees many clients, not one.
///
/// # Errors
/// What the system says.
pub fn connect_from(source: IpAddr, server: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(source, 0).into())?;
    socket.connect_timeout(&server.into(), BOUND)?;
    bounded(socket.into())
}

fn bounded(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_read_timeout(Some(BOUND))?;
    stream.set_write_timeout(Some(BOUND))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The `n`-th source address out of 127.1.0.0/16: all of 127.0.0.0/8 is loopback on Linux (RFC 1122 section 3.2.1.3).
#[must_use]
pub fn source_address(n: u16) -> IpAddr {
    let [high, low] = n.to_be_bytes();
    // .0 would be taken for a network by some tools, so the last part stays within 1..=255.
    IpAddr::V4(Ipv4Addr::new(127, 1, high, low.max(1)))
}

/// Lets this process, and the children that it starts, hold as many descriptors as the system allows. Returns how many.
///
/// # Errors
/// What the system says.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )?;
    Ok(maximum.unwrap_or(u64::MAX))
}
