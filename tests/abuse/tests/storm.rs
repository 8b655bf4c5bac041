//! Everybody comes back at once: three thousand handshakes lie before the server in the same moment. It takes them at its
//! rate, tells all others when to come again, spread over the time that the line takes, and holds little meanwhile.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use lakh_abuse::{MIB, Target};
use lakh_testkit::{BOUND, connect_from, raise_descriptor_limit, read_response, source_address};

const CLIENTS: u16 = 3_000;
const PER_SECOND: u16 = 600;
/// 3,000 connections at 16 KiB each, and the server itself.
const MEMORY_BOUND: u64 = 64 * MIB;

/// The handshake of the `n`-th client: every second one begins with long polling.
fn handshake(n: u16) -> &'static [u8] {
    match n % 2 {
        0 => b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\
               Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        _ => b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n",
    }
}

/// What a client heard: the status, and after how many seconds it may come again.
type Heard = (u16, Option<u64>);

fn hear(stream: &TcpStream) -> io::Result<Heard> {
    let answer = read_response(&mut BufReader::new(stream.try_clone()?))?;
    let wait = answer.header("retry-after").map(str::parse);
    Ok((answer.status, wait.transpose().map_err(io::Error::other)?))
}

/// All connect first, so that their handshakes come together.
fn storm(server: SocketAddr, clients: u16) -> io::Result<Vec<(TcpStream, Heard)>> {
    let mut streams = Vec::with_capacity(usize::from(clients));
    for n in 0..clients {
        let stream = connect_from(source_address(3000 + n % 100), server)?;
        stream.set_read_timeout(Some(BOUND))?;
        streams.push(stream);
    }
    for (n, mut stream) in (0..clients).zip(&streams) {
        stream.write_all(handshake(n))?;
    }
    streams
        .into_iter()
        .map(|stream| {
            let heard = hear(&stream)?;
            Ok((stream, heard))
        })
        .collect()
}

#[test]
fn a_storm_of_handshakes_is_taken_at_the_rate_and_the_rest_told_when_to_come() -> io::Result<()> {
    let limit = raise_descriptor_limit()?;
    assert!(
        limit >= u64::from(CLIENTS) + 1_000,
        "this test needs {CLIENTS} descriptors and some; the system allows {limit} (ulimit -Hn)"
    );
    let rate = PER_SECOND.to_string();
    let mut target = Target::start(&[("LAKH_LIMITS__HANDSHAKES_PER_SECOND", &rate)])?;
    let heard = storm(target.address(), CLIENTS)?;
    let (mut taken, mut waits) = (0_u16, BTreeMap::new());
    for (_, (status, wait)) in &heard {
        match (status, wait) {
            (101 | 200, None) => taken += 1,
            (503, Some(seconds)) => *waits.entry(*seconds).or_insert(0_u16) += 1,
            other => panic!("{other:?}"),
        }
    }
    eprintln!("{taken} of {CLIENTS} taken at once; seconds to wait, and how many: {waits:?}");
    // The burst, and what came free while the storm went by.
    assert!((PER_SECOND..CLIENTS / 2).contains(&taken), "{taken} taken");
    // Four seconds' worth of people: not all are told the same, and nobody the impossible.
    assert!(waits.len() >= 5, "{waits:?}");
    assert!(
        waits.keys().all(|wait| (1..=60).contains(wait)),
        "{waits:?}"
    );
    assert!(
        waits.values().all(|count| *count < CLIENTS / 2),
        "{waits:?}"
    );

    // Whoever comes again gets in by and by, however impatient the others are; those who are in stay.
    let mut held = Vec::new();
    let mut again = heard;
    loop {
        let (inside, outside): (Vec<_>, Vec<_>) = again
            .into_iter()
            .partition(|(_, (status, _))| *status != 503);
        held.extend(inside.into_iter().map(|(stream, _)| stream));
        let left = u16::try_from(outside.len()).map_err(io::Error::other)?;
        if left == 0 {
            break;
        }
        drop(outside);
        again = storm(target.address(), left)?;
    }
    assert_eq!(held.len(), usize::from(CLIENTS));
    // Who looks whether the server is well comes right behind the last ones, and may have to wait as well.
    loop {
        match target.check(MEMORY_BOUND) {
            Err(error) if error.to_string().contains("503") => {}
            checked => return checked,
        }
    }
}
