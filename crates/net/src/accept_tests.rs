//! Tests of listeners over real sockets, and of the decisions about errors and loops.
#![allow(clippy::unwrap_used)] // A panic is how a test fails.

use super::*;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

const WRITE_MS: u64 = 30_000;

fn bind(address: &str) -> Result<Listener, ListenError> {
    Listener::bind(
        &ListenAddress::Tcp(address.parse().unwrap()),
        Port::Alone,
        DEFAULT_BACKLOG,
        WRITE_MS,
    )
}

#[tokio::test]
async fn connections_are_taken_without_nagle_and_without_blocking() {
    let listener = bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = tokio::net::TcpStream::connect(address);
    let (client, accepted) = tokio::join!(client, listener.accept());
    let Accepted::Tcp(stream, peer) = accepted.unwrap() else {
        panic!("not TCP");
    };
    let mut client = client.unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    assert!(stream.nodelay().unwrap());
    #[cfg(target_os = "linux")]
    assert_eq!(
        socket2::SockRef::from(&stream).tcp_user_timeout().unwrap(),
        Some(Duration::from_millis(WRITE_MS))
    );
    let read = io::Read::read(&mut &stream, &mut [0]);
    assert_eq!(read.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    // Another runtime's loop takes it from here; this one does as well.
    let mut stream = tokio::net::TcpStream::from_std(stream).unwrap();
    client.write_all(b"hello").await.unwrap();
    let mut got = [0; 5];
    stream.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"hello");
}

#[tokio::test]
async fn the_queue_is_emptied_without_waiting() {
    let listener = bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The kernel finishes the handshakes by itself.
    let clients: Vec<_> = (0..20)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    listener.accept().await.unwrap();
    for _ in 1..clients.len() {
        listener.try_accept().unwrap();
    }
    let empty = listener.try_accept().unwrap_err();
    assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
    // And the listener still wakes for the next.
    let (late, accepted) = tokio::join!(tokio::net::TcpStream::connect(address), listener.accept());
    assert!(late.is_ok() && accepted.is_ok());
}

#[tokio::test]
async fn the_ipv6_wildcard_takes_ipv4_too() {
    // Machines without IPv6 can't show this.
    let Ok(listener) = bind("[::]:0") else {
        return;
    };
    let port = listener.local_addr().unwrap().port();
    let client = tokio::net::TcpStream::connect(("127.0.0.1", port));
    let (client, accepted) = tokio::join!(client, listener.accept());
    assert!(client.is_ok());
    let Accepted::Tcp(_, peer) = accepted.unwrap() else {
        panic!("not TCP");
    };
    assert_eq!(peer.ip().to_canonical().to_string(), "127.0.0.1");
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let first = bind("127.0.0.1:0").unwrap();
    let address = first.local_addr().unwrap().to_string();
    let error = bind(&address).unwrap_err();
    assert!(
        matches!(&error, ListenError::InUse(named) if *named == address),
        "{error}"
    );
    drop(first);
    assert!(bind(&address).is_ok());
}

#[tokio::test]
async fn an_address_of_another_machine_is_refused() {
    assert!(matches!(
        bind("192.0.2.1:0"),
        Err(ListenError::Other { .. })
    ));
}

#[tokio::test]
async fn a_unix_socket_is_taken_over_from_the_dead_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lakh.sock");
    let address = ListenAddress::Unix(path.clone());
    let bind = || Listener::bind(&address, Port::Alone, 16, WRITE_MS);

    // Left behind by a process that was killed.
    drop(UnixListener::bind(&path).unwrap());
    let listener = bind().unwrap();
    let client = tokio::net::UnixStream::connect(&path);
    let (client, accepted) = tokio::join!(client, listener.accept());
    assert!(client.is_ok());
    assert!(matches!(accepted, Ok(Accepted::Unix(_))));

    assert!(matches!(bind(), Err(ListenError::InUse(_))));
    drop(listener);
    assert!(!path.exists());

    std::fs::write(&path, "a file").unwrap();
    assert!(matches!(bind(), Err(ListenError::InUse(_))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a file");
}

#[tokio::test]
async fn an_inherited_socket_is_shared_and_stays_open_for_the_others() {
    let inherited = Inherited::Tcp(TcpListener::bind("127.0.0.1:0").unwrap());
    let address = inherited.local_addr().unwrap();
    let old = Listener::adopt(&inherited, WRITE_MS).unwrap();
    let new = Listener::adopt(&inherited, WRITE_MS).unwrap();
    assert_eq!(old.local_addr(), Some(address));
    // Made while both listen, taken by the one that is left.
    let client = TcpStream::connect(address).unwrap();
    drop(old);
    let Accepted::Tcp(stream, peer) = new.accept().await.unwrap() else {
        panic!("not TCP");
    };
    assert_eq!(peer, client.local_addr().unwrap());
    assert!(stream.nodelay().unwrap());
    drop((new, inherited));
    assert!(TcpStream::connect(address).is_err());
}

#[tokio::test]
async fn a_socket_file_that_was_inherited_is_not_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lakh.sock");
    let inherited = Inherited::Unix(UnixListener::bind(&path).unwrap());
    let listener = Listener::adopt(&inherited, WRITE_MS).unwrap();
    let client = tokio::net::UnixStream::connect(&path);
    let (client, accepted) = tokio::join!(client, listener.accept());
    assert!(client.is_ok() && accepted.is_ok());
    drop(listener);
    assert!(path.exists());
}

/// Begins a connect. On loopback the kernel carries a SYN to its listener, and the answer back, within this call.
#[cfg(target_os = "linux")]
fn begin_connect(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    // It is under way.
    let _ = socket.connect(&address.into());
    socket
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_shared_port_is_left_without_a_connect_being_refused_or_reset() {
    let any = ListenAddress::Tcp(([127, 0, 0, 1], 0).into());
    let shared = |address: &ListenAddress| {
        Listener::bind(address, Port::Shared, DEFAULT_BACKLOG, WRITE_MS).unwrap()
    };
    let leaves = shared(&any);
    let address = leaves.local_addr().unwrap();
    let stays = shared(&ListenAddress::Tcp(address));
    // The kernel deals by a hash of the addresses: of so many, some come to each.
    let mut clients: Vec<_> = (0..64).map(|_| begin_connect(address)).collect();
    leaves.refuse_newcomers().unwrap();
    clients.extend((0..64).map(|_| begin_connect(address)));
    // Those from before the filter can all be taken.
    let mut taken = 0;
    while leaves.try_accept().is_ok() {
        taken += 1;
    }
    assert!((1..64).contains(&taken), "{taken} of 64");
    drop(leaves);
    // The dropped SYNs come again, and find the other listener.
    while taken < clients.len() {
        stays.accept().await.unwrap();
        taken += 1;
    }
    for client in clients {
        assert!(client.take_error().unwrap().is_none());
        assert!(client.peer_addr().is_ok());
    }
}

#[test]
fn each_error_has_its_action() {
    let decide = |code| AcceptErrors::default().decide(&io::Error::from_raw_os_error(code), 0);
    let rest = AcceptAction::BackOff {
        ms: BACK_OFF_MS,
        log: Some(0),
    };
    // The last is no error of accept at all: what isn't known may last.
    for code in [
        libc::EMFILE,
        libc::ENFILE,
        libc::ENOBUFS,
        libc::ENOMEM,
        libc::EXDEV,
    ] {
        assert_eq!(decide(code), rest);
    }
    for code in [
        libc::ECONNABORTED,
        libc::EPROTO,
        libc::EPERM,
        libc::EINTR,
        libc::EHOSTUNREACH,
    ] {
        assert_eq!(decide(code), AcceptAction::Next);
    }
    for code in [libc::EBADF, libc::EINVAL, libc::ENOTSOCK] {
        assert_eq!(decide(code), AcceptAction::Fatal);
    }
    let lost = lost(io::Error::from_raw_os_error(libc::EINVAL));
    assert_eq!(AcceptErrors::default().decide(&lost, 0), AcceptAction::Next);
}

#[test]
fn a_lasting_error_is_logged_once_a_period() {
    let full = io::Error::from_raw_os_error(libc::EMFILE);
    let mut errors = AcceptErrors::default();
    let logged: Vec<_> = (0..30_000)
        .step_by(100)
        .filter_map(|now| match errors.decide(&full, now) {
            AcceptAction::BackOff { log, .. } => log.map(|unlogged| (now, unlogged)),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(logged, [(0, 0), (10_000, 99), (20_000, 99)]);
}

#[test]
fn connections_go_to_the_loop_that_holds_the_fewest() {
    let loads = LoopLoads::new(3);
    let mut places: Vec<_> = (0..30).map(|_| loads.assign()).collect();
    assert_eq!([0, 1, 2].map(|index| loads.held(index)), [10, 10, 10]);
    // Five leave loop 1: the next five go there.
    let mut left = 5;
    places.retain(|place| {
        let leaves = place.index() == 1 && left > 0;
        left -= usize::from(leaves);
        !leaves
    });
    assert_eq!(loads.held(1), 5);
    let next: Vec<_> = (0..5).map(|_| loads.assign()).collect();
    assert!(next.iter().all(|place| place.index() == 1));
    drop((places, next));
    assert_eq!([0, 1, 2].map(|index| loads.held(index)), [0, 0, 0]);
}

#[test]
fn equally_loaded_loops_take_turns() {
    let loads = LoopLoads::new(2);
    // Each goes before the next comes: all counts are 0 each time.
    let taken: Vec<_> = (0..4).map(|_| loads.assign().index()).collect();
    assert_eq!(taken, [0, 1, 0, 1]);
}
