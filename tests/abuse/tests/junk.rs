//! A million packets that mean nothing: events nobody handles, acknowledgements nobody asked for, packets that break the
//! protocol. The junk is sent as fast as the server takes it.

use std::io;
use std::net::SocketAddr;
use std::thread;

use lakh_abuse::{MIB, Newcomers, Target, joined_poller, joined_websocket};
use lakh_testkit::{Opcode, WsClient};

/// Packets of all senders together.
const PACKETS: usize = 1_000_000;
const SENDERS: usize = 4;
const MEMORY_BOUND: u64 = 64 * MIB;

/// What a session survives.
const HARMLESS: [&str; 6] = [
    "42[\"nobody-handles-this\",1,2,3]",
    "42[\"room:emit\"]",
    "4399999[\"nobody asked\"]",
    "42[\"room:leave\",{\"room\":\"where I never was\"}]",
    "3",
    "6",
];

/// What ends a session.
const FATAL: [&str; 6] = [
    "4",
    "49[]",
    "42{\"not\":\"an array\"}",
    "42[\"unfinished",
    "459999-[\"too many attachments\"]",
    "\u{7f}",
];

/// A frame as a client writes it. The mask is zero, which the RFC allows and which leaves the text as it is.
fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![
        0x80 | Opcode::Text as u8,
        0x80 | text.len() as u8,
        0,
        0,
        0,
        0,
    ];
    frame.extend_from_slice(text.as_bytes());
    frame
}

/// Reads until the server acknowledges request 7: it has taken all that was sent before.
fn await_acknowledgement(ws: &mut WsClient) -> io::Result<()> {
    loop {
        let frame = ws.receive()?;
        if frame.opcode == Opcode::Close {
            return Err(io::Error::other(format!(
                "harmless junk ended the session: {frame:?}"
            )));
        }
        if frame.text().starts_with("437[") {
            return Ok(());
        }
    }
}

/// Sends harmless junk in large writes; every now and then something fatal, and it comes back.
fn send_junk(server: SocketAddr, packets: usize) -> io::Result<()> {
    const BATCH: usize = 1000;
    let mut batch: Vec<u8> = (0..BATCH)
        .flat_map(|n| frame(HARMLESS[n % HARMLESS.len()]))
        .collect();
    batch.extend(frame("427[\"room:join\",{\"room\":\"junk\"}]"));
    let mut ws = joined_websocket(server)?;
    for sent in 0..packets / BATCH {
        ws.send_raw(&batch)?;
        await_acknowledgement(&mut ws)?;
        if sent % 10 == 9 {
            let fatal = FATAL[sent / 10 % FATAL.len()];
            ws.send_raw(&frame(fatal))?;
            ws.receive_close().map_err(|error| {
                io::Error::new(error.kind(), format!("after {fatal:?}: {error}"))
            })?;
            ws = joined_websocket(server)?;
        }
    }
    Ok(())
}

#[test]
fn a_million_junk_packets_over_websocket() -> io::Result<()> {
    let mut target = Target::start(&[])?;
    let address = target.address();
    let newcomers = Newcomers::start(address);
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| thread::spawn(move || send_junk(address, PACKETS / SENDERS)))
        .collect();
    for sender in senders {
        sender
            .join()
            .map_err(|_| io::Error::other("a sender panicked"))??;
    }
    newcomers.stop()?;
    target.check(MEMORY_BOUND)
}

#[test]
fn a_hundred_thousand_junk_packets_over_polling() -> io::Result<()> {
    let mut target = Target::start(&[])?;
    let newcomers = Newcomers::start(target.address());
    let mut client = joined_poller(target.address())?;
    for _ in 0..100 {
        let mut payload: Vec<&str> = HARMLESS.iter().copied().cycle().take(1000).collect();
        payload.push("427[\"room:join\",{\"room\":\"junk\"}]");
        let response = client.send(&payload)?;
        assert_eq!(response.status, 200, "{}", response.text());
        client.poll_until(|packet| packet.starts_with("437["))?;
    }
    for fatal in FATAL {
        let mut client = joined_poller(target.address())?;
        client.send(&[fatal])?;
        assert!(client.poll_until(|_| false).is_err());
    }
    newcomers.stop()?;
    target.check(MEMORY_BOUND)
}
