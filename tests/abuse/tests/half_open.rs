//! Ten thousand handshakes that are begun and never finished, from two hundred addresses, in every way of stopping
//! half-way. Newcomers are served meanwhile, and the server lets go of each of them in time.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};

use lakh_abuse::{MIB, Newcomers, Target};
use lakh_testkit::{WsClient, connect_from, raise_descriptor_limit, source_address};

const CONNECTIONS: u16 = 10_000;
const ADDRESSES: u16 = 200;
/// What 10,000 connections may take, the server itself included: 16 KiB each, several times what one needs.
const MEMORY_BOUND: u64 = 160 * MIB;
const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

/// Opens the `n`-th connection and stops half-way.
fn half_open(server: SocketAddr, n: u16) -> io::Result<TcpStream> {
    let mut stream = connect_from(source_address(2000 + n % ADDRESSES), server)?;
    let head = "Host: x\r\nContent-Type: text/plain\r\n";
    match n % 6 {
        0 => {}
        1 => stream.write_all(b"GET /socket.io/?EI")?,
        2 => write!(stream, "GET {WEBSOCKET} HTTP/1.1\r\n{head}")?,
        // A request whose body never comes.
        3 => write!(
            stream,
            "POST /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n{head}Content-Length: 900000\r\n\r\n4"
        )?,
        // A WebSocket whose client joins no namespace.
        4 => {
            return WsClient::open_on(stream, server, WEBSOCKET)?
                .stream()
                .try_clone();
        }
        // A WebSocket with half of a frame.
        _ => {
            let mut ws = WsClient::open_on(stream, server, WEBSOCKET)?;
            ws.send_raw(&[0x81, 0xfe, 0xff, 0xff, 1, 2, 3, 4, 0x35])?;
            return ws.stream().try_clone();
        }
    }
    Ok(stream)
}

#[test]
fn ten_thousand_half_open_handshakes_keep_nobody_out_and_are_let_go() -> io::Result<()> {
    let limit = raise_descriptor_limit()?;
    assert!(
        limit >= u64::from(CONNECTIONS) + 1000,
        "this test needs {CONNECTIONS} descriptors and some; the system allows {limit} (ulimit -Hn)"
    );
    let mut target = Target::start(&[
        ("LAKH_LIMITS__HEAD_TIMEOUT_MS", "15000"),
        ("LAKH_LIMITS__BODY_TIMEOUT_MS", "15000"),
        ("LAKH_ENGINE__CONNECT_TIMEOUT_MS", "15000"),
    ])?;
    let address = target.address();
    let newcomers = Newcomers::start(address);
    // Held, not read: this side never closes.
    let mut held = Vec::with_capacity(usize::from(CONNECTIONS));
    for n in 0..CONNECTIONS {
        held.push(half_open(address, n)?);
    }
    target.check(MEMORY_BOUND)?;
    // Each phase has its own bound; past it the server closes by itself.
    target.await_descriptors(128)?;
    assert!(newcomers.stop()? > 0);
    target.check(MEMORY_BOUND)?;
    drop(held);
    Ok(())
}
