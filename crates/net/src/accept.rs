//! Taking connections: the listening socket, and which loop gets a connection.
//!
//! Invariant: a loop's count is raised when a connection is given to it (not when it gets around to it), so a burst is
//! spread evenly.
//!
//! A port may have several listeners: a socket that a service manager keeps is shared by the old process and the new,
//! and its one queue loses nothing when either goes; with SO_REUSEPORT each has a queue of its own, and what waits in it
//! is reset when its owner closes it. [`Listener::refuse_newcomers`] is what makes that end gentle.
//!
//! Sources: accept(2), listen(2), tcp(7), socket(7); Linux `Documentation/networking/filter.rst`.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[cfg(target_os = "linux")]
use socket2::SockFilter;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

mod errors;
pub use errors::{AcceptAction, AcceptErrors, BACK_OFF_MS};

/// Connections that finished the kernel's handshake and wait to be taken. The kernel lowers this silently to
/// `net.core.somaxconn` (4096 since Linux 5.4; containers have their own). Raise both for storms of reconnects:
/// what doesn't fit is dropped, and the client tries again after a second.
pub const DEFAULT_BACKLOG: u32 = 4096;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address and port; port 0 takes a free one. `[::]` takes IPv4 too.
    Tcp(SocketAddr),
    /// A socket file. One that nobody listens on any more is replaced.
    Unix(PathBuf),
}

/// A socket that listens already, handed over by whoever started the process.
#[derive(Debug)]
pub enum Inherited {
    /// TCP.
    Tcp(TcpListener),
    /// A socket file, which stays whoever's it was.
    Unix(UnixListener),
}

impl Inherited {
    /// Where it listens; `None` on a Unix socket.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }
}

/// Whether other processes may listen on the same port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Port {
    /// One process at a time.
    #[default]
    Alone,
    /// Several (SO_REUSEPORT), all of one user: the kernel deals connections out among them.
    Shared,
}

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else is there.
    #[error(
        "can't listen on {0}: the address is in use; stop the other process or choose another address"
    )]
    InUse(String),
    /// A low port, or a directory that isn't ours.
    #[error(
        "can't listen on {0}: not permitted; choose a port from 1024 up, or grant CAP_NET_BIND_SERVICE"
    )]
    NotPermitted(String),
    /// Not an address of this machine, a path that doesn't exist, …
    #[error("can't listen on {address}: {error}")]
    Other {
        /// As configured.
        address: String,
        /// What the system says.
        error: io::Error,
    },
}

impl ListenError {
    fn of(address: &ListenAddress, error: io::Error) -> Self {
        let address = match address {
            ListenAddress::Tcp(address) => address.to_string(),
            ListenAddress::Unix(path) => path.display().to_string(),
        };
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::InUse(address),
            io::ErrorKind::PermissionDenied => Self::NotPermitted(address),
            _ => Self::Other { address, error },
        }
    }
}

/// A connection just taken: non-blocking, closed on exec, and on TCP without Nagle's delay.
#[derive(Debug)]
pub enum Accepted {
    /// With the peer's address.
    Tcp(TcpStream, SocketAddr),
    /// Peers on a Unix socket have no address.
    Unix(UnixStream),
}

impl Accepted {
    /// The other end of a TCP connection.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(_, peer) => Some(*peer),
            Self::Unix(_) => None,
        }
    }
}

/// A listening socket, registered with the runtime that it was made in.
///
/// Gives standard streams, not tokio's: those would be registered with this loop's epoll, only to be taken out
/// again for the loop that serves them.
#[derive(Debug)]
pub struct Listener {
    socket: ListenSocket,
}

#[derive(Debug)]
enum ListenSocket {
    Tcp(AsyncFd<TcpListener>),
    Unix {
        socket: AsyncFd<UnixListener>,
        _file: Option<SocketFile>,
    },
}

/// Removes the socket's file when the listener goes.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Binds and listens. Call it within a tokio runtime. A TCP peer that takes no byte for `write_ms` is cut off.
    ///
    /// # Errors
    /// [`ListenError`], which names the address and what to do.
    pub fn bind(
        address: &ListenAddress,
        port: Port,
        backlog: u32,
        write_ms: u64,
    ) -> Result<Self, ListenError> {
        let socket = match address {
            ListenAddress::Tcp(tcp) => bind_tcp(*tcp, port, backlog, write_ms)
                .and_then(|socket| Ok(ListenSocket::Tcp(register(socket)?))),
            ListenAddress::Unix(path) => bind_unix(path, backlog).and_then(|socket| {
                let file = SocketFile(path.clone());
                Ok(ListenSocket::Unix {
                    socket: register(socket)?,
                    _file: Some(file),
                })
            }),
        };
        Ok(Self {
            socket: socket.map_err(|error| ListenError::of(address, error))?,
        })
    }

    /// Takes from a socket that listens already. Call it within a tokio runtime. The socket stays open for others who
    /// hold it.
    ///
    /// # Errors
    /// What the system says.
    pub fn adopt(inherited: &Inherited, write_ms: u64) -> io::Result<Self> {
        let socket = match inherited {
            Inherited::Tcp(tcp) => {
                let tcp = tcp.try_clone()?;
                handed_down(&SockRef::from(&tcp), write_ms)?;
                tcp.set_nonblocking(true)?;
                ListenSocket::Tcp(register(tcp)?)
            }
            Inherited::Unix(unix) => {
                let unix = unix.try_clone()?;
                unix.set_nonblocking(true)?;
                ListenSocket::Unix {
                    socket: register(unix)?,
                    _file: None,
                }
            }
        };
        Ok(Self { socket })
    }

    /// From now on no SYN reaches this socket: the kernel drops it, the client sends it again after a second, and by then
    /// the socket is closed and another of the same port answers. Handshakes under way are finished and can be accepted.
    /// Without this, whatever is in the queue or in mid-handshake at the time of close is reset.
    ///
    /// # Errors
    /// What the system says; always, where there are no such filters.
    pub fn refuse_newcomers(&self) -> io::Result<()> {
        match &self.socket {
            #[cfg(target_os = "linux")]
            ListenSocket::Tcp(socket) => SockRef::from(socket.get_ref()).attach_filter(&NO_SYN),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// The address with the port that was chosen; `None` on a Unix socket.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.socket {
            ListenSocket::Tcp(socket) => socket.get_ref().local_addr().ok(),
            ListenSocket::Unix { .. } => None,
        }
    }

    /// Waits for the next connection. Safe to cancel.
    ///
    /// # Errors
    /// Those of accept(2): ask [`AcceptErrors`] what to do.
    pub async fn accept(&self) -> io::Result<Accepted> {
        match &self.socket {
            ListenSocket::Tcp(socket) => accept_with(socket, accept_tcp).await,
            ListenSocket::Unix { socket, .. } => accept_with(socket, accept_unix).await,
        }
    }

    /// Takes a connection if one waits. After [`Self::accept`] gave one, this empties the rest of the queue
    /// without going through the runtime for each.
    ///
    /// # Errors
    /// `WouldBlock` when none waits; else as [`Self::accept`].
    pub fn try_accept(&self) -> io::Result<Accepted> {
        match &self.socket {
            ListenSocket::Tcp(socket) => accept_tcp(socket.get_ref()),
            ListenSocket::Unix { socket, .. } => accept_unix(socket.get_ref()),
        }
    }
}

/// Drops segments with SYN and without ACK, and lets all others pass. The filter sees a segment from its TCP header on;
/// accepted connections inherit it, and no further SYN comes there.
#[cfg(target_os = "linux")]
const NO_SYN: [SockFilter; 5] = {
    const FLAGS: u32 = 13;
    const SYN_AND_ACK: u32 = 0x12;
    const SYN: u32 = 0x02;
    const BYTE_AT: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
    const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
    const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    [
        SockFilter::new(BYTE_AT, 0, 0, FLAGS),
        SockFilter::new(AND, 0, 0, SYN_AND_ACK),
        SockFilter::new(IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ]
};

/// The newer `AsyncFd::register` is unsafe because a type might lie about its descriptor; the standard library's
/// own types, the only ones that come here, don't.
#[allow(deprecated)]
pub(crate) fn register<T: std::os::fd::AsRawFd>(socket: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(socket, Interest::READABLE)
}

async fn accept_with<T: std::os::fd::AsRawFd>(
    socket: &AsyncFd<T>,
    accept: impl Fn(&T) -> io::Result<Accepted>,
) -> io::Result<Accepted> {
    loop {
        let mut ready = socket.readable().await?;
        if let Ok(result) = ready.try_io(|inner| accept(inner.get_ref())) {
            return result;
        }
    }
}

/// One system call takes a connection and makes it non-blocking; the standard library's accept needs two.
#[cfg(target_os = "linux")]
fn accept_tcp(socket: &TcpListener) -> io::Result<Accepted> {
    let (stream, peer) = rustix::net::acceptfrom_with(socket, READY)?;
    // A TCP listener has no peers but those with an address.
    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
    let peer = peer.ok_or_else(|| lost(io::ErrorKind::AddrNotAvailable.into()))?;
    // Nagle's delay is off already: Linux hands the listener's option down.
    Ok(Accepted::Tcp(stream.into(), peer))
}

#[cfg(target_os = "linux")]
fn accept_unix(socket: &UnixListener) -> io::Result<Accepted> {
    let stream = rustix::net::accept_with(socket, READY)?;
    Ok(Accepted::Unix(stream.into()))
}

#[cfg(target_os = "linux")]
const READY: rustix::net::SocketFlags =
    rustix::net::SocketFlags::NONBLOCK.union(rustix::net::SocketFlags::CLOEXEC);

#[cfg(not(target_os = "linux"))]
fn accept_tcp(socket: &TcpListener) -> io::Result<Accepted> {
    let (stream, peer) = socket.accept()?;
    stream.set_nonblocking(true).map_err(lost)?;
    stream.set_nodelay(true).map_err(lost)?;
    Ok(Accepted::Tcp(stream, peer))
}

#[cfg(not(target_os = "linux"))]
fn accept_unix(socket: &UnixListener) -> io::Result<Accepted> {
    let (stream, _) = socket.accept()?;
    stream.set_nonblocking(true).map_err(lost)?;
    Ok(Accepted::Unix(stream))
}

/// An error of the new connection must not be taken for one of the listener.
fn lost(error: io::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, error)
}

fn bind_tcp(
    address: SocketAddr,
    port: Port,
    backlog: u32,
    write_ms: u64,
) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A restart must not wait for the old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    if port == Port::Shared {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        // Said aloud, since the system's default can be changed.
        socket.set_only_v6(false)?;
    }
    handed_down(&SockRef::from(&socket), write_ms)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Options that each accepted connection inherits: without Nagle's delay, and a peer that takes nothing for so long is
/// cut off by the kernel, whatever protocol is spoken on top. Without that an HTTP client that never reads its answer
/// would hold that answer for ever.
fn handed_down(socket: &SockRef<'_>, write_ms: u64) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(Duration::from_millis(write_ms)))?;
    Ok(())
}

fn bind_unix(path: &Path, backlog: u32) -> io::Result<UnixListener> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&socket2::SockAddr::unix(path)?)?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// A process that was killed leaves its socket's file, and bind would fail. Only a socket is removed, and only
/// when nobody answers on it.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// How many connections each loop holds.
#[derive(Debug)]
pub struct LoopLoads {
    held: Box<[AtomicUsize]>,
    /// Where the search begins, so that loops with equal load take turns.
    next: AtomicUsize,
}

impl LoopLoads {
    /// Counters for this many loops, at least one.
    #[must_use]
    pub fn new(loops: usize) -> Arc<Self> {
        Arc::new(Self {
            held: (0..loops.max(1)).map(|_| AtomicUsize::new(0)).collect(),
            next: AtomicUsize::new(0),
        })
    }

    /// Takes a place on the loop that holds the fewest connections.
    #[must_use]
    pub fn assign(self: &Arc<Self>) -> LoopPlace {
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let loops = self.held.len();
        let index = (0..loops)
            .map(|offset| start.wrapping_add(offset) % loops)
            .min_by_key(|index| self.held(*index))
            // There is at least one loop.
            .unwrap_or(0);
        self.held[index].fetch_add(1, Ordering::Relaxed);
        LoopPlace {
            loads: Arc::clone(self),
            index,
        }
    }

    /// Connections that a loop holds. 0 for a loop that doesn't exist.
    #[must_use]
    pub fn held(&self, index: usize) -> usize {
        self.held
            .get(index)
            .map_or(0, |held| held.load(Ordering::Relaxed))
    }
}

/// A connection's place on its loop; dropping it lowers the loop's count.
#[derive(Debug)]
pub struct LoopPlace {
    loads: Arc<LoopLoads>,
    index: usize,
}

impl LoopPlace {
    /// Which loop.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }
}

impl Drop for LoopPlace {
    fn drop(&mut self) {
        self.loads.held[self.index].fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[path = "accept_tests.rs"]
mod tests;
