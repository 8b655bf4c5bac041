//! A member that never reads, while its room is sent 100 MB. The others get everything, in order; the server's memory
//! stays bounded; the slow one is sent away.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::thread;

use lakh_abuse::{MIB, Newcomers, Target, expect_ok, joined_poller};
use lakh_testkit::{SocketClient, get};
use serde_json::json;

const MESSAGES: usize = 2000;
const MESSAGE_BYTES: usize = 50_000;
/// The outbox of the slow one (8 MiB), what is kept for recovery (8 MB here), the buffers of the others and of the
/// program itself. A server that kept the room's 100 MB for anyone would be past it.
const MEMORY_BOUND: u64 = 100 * MIB;
const SETTINGS: [(&str, &str); 1] = [("LAKH_RECOVERY__MAX_BYTES", "8000000")];

fn member(server: SocketAddr, name: &str) -> io::Result<SocketClient> {
    let mut client = SocketClient::connect(server, "/", &json!({ "name": name }))?;
    expect_ok(&client.call("room:join", &[json!({ "room": "flood" })])?)?;
    Ok(client)
}

/// Reads the whole flood and fails at the first event that is missing, doubled or out of order.
fn read_flood(mut client: SocketClient) -> io::Result<()> {
    for seq in 1..=MESSAGES {
        let event = client.next_named("data")?;
        if event.args.get(1).map(|meta| &meta["seq"]) != Some(&json!(seq)) {
            let what = format!("expected number {seq}, got {:?}", event.args.get(1));
            return Err(io::Error::other(what));
        }
    }
    Ok(())
}

/// Sends the flood, each event acknowledged before the next but one: a sender that the server can hold back.
fn flood(server: SocketAddr) -> io::Result<()> {
    let mut sender = member(server, "sender")?;
    let text = "x".repeat(MESSAGE_BYTES);
    for _ in 0..MESSAGES {
        let emit = json!({ "room": "flood", "event": "data", "data": text, "echo": false });
        expect_ok(&sender.call("room:emit", &[emit])?)?;
    }
    Ok(())
}

fn flood_past(mut target: Target) -> io::Result<Target> {
    let address = target.address();
    let newcomers = Newcomers::start(address);
    let mut readers = Vec::new();
    for name in ["one", "two", "three"] {
        let client = member(address, name)?;
        readers.push(thread::spawn(move || read_flood(client)));
    }
    flood(address)?;
    for reader in readers {
        reader
            .join()
            .map_err(|_| io::Error::other("a reader panicked"))??;
    }
    newcomers.stop()?;
    target.check(MEMORY_BOUND)?;
    Ok(target)
}

#[test]
fn a_websocket_that_never_reads_is_sent_away_and_nobody_else_notices() -> io::Result<()> {
    let target = Target::start(&SETTINGS)?;
    let slow = member(target.address(), "slow")?;
    let _target = flood_past(target)?;
    // Now it reads: first what was on the way, then the end. Far less than the flood was kept for it.
    let mut left = Vec::new();
    let end = slow.into_ws().stream().try_clone()?.read_to_end(&mut left);
    assert!(
        end.is_ok() || end.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset),
        "the slow reader's connection is still open"
    );
    assert!(
        left.len() < MESSAGES * MESSAGE_BYTES / 2,
        "{} bytes were kept for a reader that never read",
        left.len()
    );
    Ok(())
}

#[test]
fn a_poller_that_never_polls_is_sent_away_and_nobody_else_notices() -> io::Result<()> {
    let target = Target::start(&SETTINGS)?;
    let mut slow = joined_poller(target.address())?;
    slow.send(&["420[\"room:join\",{\"room\":\"flood\"}]"])?;
    slow.poll_until(|packet| packet.starts_with("430["))?;
    let target = flood_past(target)?;
    let path = format!("/socket.io/?EIO=4&transport=polling&sid={}", slow.sid);
    let mut polls = 0;
    // It may be given what was queued and a goodbye; then its session is unknown.
    loop {
        let response = get(target.address(), &path)?;
        if response.status == 400 {
            assert!(
                response.text().contains("\"code\":1"),
                "{}",
                response.text()
            );
            return Ok(());
        }
        polls += 1;
        assert!(
            polls < 50,
            "the session of a poller that never polled is still there"
        );
    }
}
