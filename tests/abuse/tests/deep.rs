//! Values nested as deep as a packet can hold. A parser that calls itself for each level would overflow its stack and
//! take the whole process with it.

use std::io;

use lakh_abuse::{MIB, Newcomers, Target, joined_poller, joined_websocket};
use lakh_testkit::{Opcode, PollingClient, WsClient};

const MEMORY_BOUND: u64 = 64 * MIB;
const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";
/// As deep as the payload's limit of a million bytes allows.
const LEVELS: usize = 400_000;

fn arrays(levels: usize) -> String {
    format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
}

fn objects(levels: usize) -> String {
    format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels))
}

/// Packets that carry `value` at each place where a value may stand.
fn packets_with(value: &str) -> Vec<String> {
    vec![
        format!("40{value}"),
        format!("40/chat,{value}"),
        format!("42[\"room:emit\",{{\"room\":\"r\",\"event\":\"e\",\"data\":{value}}}]"),
        format!("427[\"nobody\",{value}]"),
        format!("430[{value}]"),
        format!("451-[\"e\",{value},{{\"_placeholder\":true,\"num\":0}}]"),
        format!("44{value}"),
        format!("42{value}"),
        format!("4{value}"),
    ]
}

fn deep_json() -> Vec<String> {
    let closed = [arrays(LEVELS), objects(LEVELS / 3)];
    let open = ["[".repeat(2 * LEVELS), "{\"a\":".repeat(LEVELS / 3)];
    let values = closed.iter().chain(&open);
    values.flat_map(|value| packets_with(value)).collect()
}

#[test]
fn deep_json_over_websocket() -> io::Result<()> {
    let mut target = Target::start(&[])?;
    let newcomers = Newcomers::start(target.address());
    for packet in deep_json() {
        // The first of them are themselves the CONNECT.
        let mut ws = if packet.starts_with("40") {
            WsClient::open(target.address(), WEBSOCKET)?
        } else {
            joined_websocket(target.address())?
        };
        ws.send_text(&packet)?;
        // The server may close on it, or answer with an error and go on: then the close is ours.
        let _ = ws.send(true, Opcode::Close, &[]);
        ws.receive_close()
            .map_err(|error| io::Error::new(error.kind(), format!("{:.40}: {error}", packet)))?;
    }
    newcomers.stop()?;
    target.check(MEMORY_BOUND)
}

#[test]
fn deep_json_over_polling() -> io::Result<()> {
    let mut target = Target::start(&[])?;
    let newcomers = Newcomers::start(target.address());
    for packet in deep_json() {
        let mut client = if packet.starts_with("40") {
            PollingClient::open(target.address(), "/socket.io/")?
        } else {
            joined_poller(target.address())?
        };
        let response = client.send(&[&packet])?;
        assert!(
            matches!(response.status, 200 | 400 | 413),
            "{packet:.40}: {}",
            response.status
        );
    }
    newcomers.stop()?;
    target.check(MEMORY_BOUND)
}

/// A msgpack packet of socket.io-msgpack-parser, `{"type":…,"nsp":"/","data":…}`, with `data` as it is.
fn msgpack(kind: u8, data: &[u8]) -> Vec<u8> {
    let mut packet = b"\x83\xa4type\x00\xa3nsp\xa1/\xa4data".to_vec();
    packet[6] = kind;
    packet.extend_from_slice(data);
    packet
}

#[test]
fn deep_msgpack() -> io::Result<()> {
    let mut target = Target::start(&[])?;
    let newcomers = Newcomers::start(target.address());
    let deep_array = [vec![0x91; 2 * LEVELS], vec![1]].concat();
    let deep_map = [b"\x81\xa1a".repeat(LEVELS / 2), vec![1]].concat();
    // Announces four thousand million elements, and has none.
    let endless_array = vec![0xdd, 0xff, 0xff, 0xff, 0xff];
    let endless_map = vec![0xdf, 0xff, 0xff, 0xff, 0xff];
    let endless_text = vec![0xdb, 0xff, 0xff, 0xff, 0xff];
    for data in [
        deep_array,
        deep_map,
        endless_array,
        endless_map,
        endless_text,
    ] {
        for kind in [0, 2, 3, 4, 5] {
            let mut ws = WsClient::open(target.address(), WEBSOCKET)?;
            if kind != 0 {
                ws.send_binary(&msgpack(0, b"\x81\xa4name\xa1x"))?;
                // The handshake, then the answer to CONNECT.
                while ws.receive()?.opcode != Opcode::Binary {}
            }
            let event = [b"\x92\xa1e".as_slice(), &data].concat();
            ws.send_binary(&msgpack(kind, if kind == 2 { &event } else { &data }))?;
            let _ = ws.send(true, Opcode::Close, &[]);
            ws.receive_close()?;
        }
    }
    newcomers.stop()?;
    target.check(MEMORY_BOUND)
}

#[test]
fn a_value_of_decent_depth_passes() -> io::Result<()> {
    let target = Target::start(&[])?;
    let mut ws = joined_websocket(target.address())?;
    ws.send_text("420[\"room:join\",{\"room\":\"r\"}]")?;
    let value = arrays(50);
    ws.send_text(&format!(
        "421[\"room:emit\",{{\"room\":\"r\",\"event\":\"e\",\"data\":{value}}}]"
    ))?;
    loop {
        let text = ws.receive()?.text();
        if text.starts_with("42[\"e\",") {
            assert!(text.contains(&value), "{text}");
            return Ok(());
        }
    }
}
