//! Random bytes on every phase of the port: before HTTP, within a request's head, as WebSocket frames, as Engine.IO
//! packets, as Socket.IO packets, and as the body of a poll. Each case has a seed, which its failure names.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use lakh_abuse::{MIB, Newcomers, Target, joined_poller, joined_websocket};
use lakh_testkit::{Noise, Opcode, WsClient, connect};

/// Cases of each phase.
const SEEDS: u64 = 2000;
/// Most bytes of one case. Longer noise dies at the same place as shorter noise.
const MOST_BYTES: usize = 4096;
const MEMORY_BOUND: u64 = 64 * MIB;
const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

/// Socket.IO packets of every kind that noise is made of by changing a few bytes.
const PACKETS: [&str; 14] = [
    "40",
    "40{\"name\":\"x\"}",
    "40/chat,{\"name\":\"x\"}",
    "41",
    "41/chat,",
    "42[\"room:join\",{\"room\":\"r\"}]",
    "4217[\"room:emit\",{\"room\":\"r\",\"event\":\"e\",\"data\":{\"a\":[1,2,\"é\"]}}]",
    "42/chat,3[\"message:send\",{\"room\":\"r\",\"key\":\"k\",\"text\":\"t\"}]",
    "430[1]",
    "451-[\"room:emit\",{\"room\":\"r\",\"event\":\"e\",\"data\":{\"_placeholder\":true,\"num\":0}}]",
    "461-0[{\"_placeholder\":true,\"num\":0}]",
    "2probe",
    "5",
    "44{\"message\":\"m\"}",
];

/// Runs `case` for each seed while newcomers come, and checks the server afterwards.
fn for_each_seed(case: impl Fn(SocketAddr, &mut Noise) -> io::Result<()>) -> io::Result<()> {
    let mut target = Target::start(&[])?;
    let address = target.address();
    let newcomers = Newcomers::start(address);
    for seed in 0..SEEDS {
        case(address, &mut Noise::new(seed)).map_err(|error| in_case(seed, &error))?;
    }
    newcomers.stop()?;
    target.check(MEMORY_BOUND)?;
    target.await_descriptors(64)
}

fn in_case(seed: u64, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("seed {seed}: {error}"))
}

fn noise(noise: &mut Noise) -> Vec<u8> {
    let length = 1 + noise.below(MOST_BYTES);
    noise.bytes(length)
}

/// Says that nothing more comes, and reads until the server closes. What it answers is its own business; that it closes
/// is what must be seen.
fn finish(mut stream: &TcpStream) -> io::Result<()> {
    if stream.shutdown(Shutdown::Write).is_err() {
        return Ok(());
    }
    let mut rest = [0; 4096];
    loop {
        match stream.read(&mut rest) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if hung(&error) => return Err(error),
            // Reset: the server closed without reading the rest of the noise.
            Err(_) => return Ok(()),
        }
    }
}

/// Whether the time ran out, as opposed to a connection that the server ended.
fn hung(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// A write may fail because the server has closed already; that it hangs may not be.
fn tolerate(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if hung(&error) { Err(error) } else { Ok(()) })
}

fn changed(packet: &str, noise: &mut Noise) -> Vec<u8> {
    let mut bytes = packet.as_bytes().to_vec();
    for _ in 0..=noise.below(4) {
        let at = noise.below(bytes.len() + 1);
        let byte = (noise.next_u64() >> 56) as u8;
        match noise.below(3) {
            0 => bytes.insert(at, byte),
            1 if at < bytes.len() => bytes[at] = byte,
            _ => bytes.truncate(at),
        }
    }
    bytes
}

#[test]
fn instead_of_a_request() -> io::Result<()> {
    for_each_seed(|server, seeded| {
        let mut stream = connect(server)?;
        tolerate(stream.write_all(&noise(seeded)))?;
        finish(&stream)
    })
}

#[test]
fn within_the_head_of_a_request() -> io::Result<()> {
    let starts: [&[u8]; 6] = [
        b"GET ",
        b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n",
        b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nCookie: ",
        b"POST /socket.io/?EIO=4&transport=polling&sid=",
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ",
        b"OPTIONS /socket.io/ HTTP/1.1\r\nOrigin: ",
    ];
    for_each_seed(|server, seeded| {
        let mut stream = connect(server)?;
        tolerate(stream.write_all(seeded.pick(&starts)))?;
        tolerate(stream.write_all(&noise(seeded)))?;
        // Half of them end the head properly.
        if seeded.below(2) == 0 {
            tolerate(stream.write_all(b"\r\n\r\n"))?;
        }
        finish(&stream)
    })
}

#[test]
fn instead_of_frames() -> io::Result<()> {
    for_each_seed(|server, seeded| {
        let mut ws = WsClient::open(server, WEBSOCKET)?;
        tolerate(ws.send_raw(&noise(seeded)))?;
        finish(ws.stream())
    })
}

#[test]
fn frames_with_wrong_heads() -> io::Result<()> {
    for_each_seed(|server, seeded| {
        let mut ws = WsClient::open(server, WEBSOCKET)?;
        for _ in 0..8 {
            // Any opcode, any reserved bits, with and without a mask, lengths that may lie.
            let mut frame = seeded.bytes(2);
            let length = seeded.below(200);
            frame.extend(seeded.bytes(length));
            tolerate(ws.send_raw(&frame))?;
        }
        finish(ws.stream())
    })
}

#[test]
fn as_packets_of_engine_io() -> io::Result<()> {
    for_each_seed(|server, seeded| {
        let mut ws = WsClient::open(server, WEBSOCKET)?;
        for _ in 0..8 {
            let opcode = seeded.pick(&[Opcode::Text, Opcode::Binary, Opcode::Continuation]);
            let fin = seeded.below(4) != 0;
            tolerate(ws.send(fin, opcode, &noise(seeded)))?;
        }
        finish(ws.stream())
    })
}

#[test]
fn as_packets_of_socket_io() -> io::Result<()> {
    for_each_seed(|server, seeded| {
        let mut ws = joined_websocket(server)?;
        for _ in 0..16 {
            let packet = changed(seeded.pick(&PACKETS), seeded);
            tolerate(ws.send(true, Opcode::Text, &packet))?;
            if seeded.below(4) == 0 {
                tolerate(ws.send_binary(&noise(seeded)))?;
            }
        }
        finish(ws.stream())
    })
}

#[test]
fn as_packets_of_msgpack() -> io::Result<()> {
    // {"type":0,"nsp":"/","data":{"name":"x"}} and {"type":2,"nsp":"/","data":["e",1]}
    let packets: [&[u8]; 2] = [
        b"\x83\xa4type\x00\xa3nsp\xa1/\xa4data\x81\xa4name\xa1x",
        b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa1e\x01",
    ];
    for_each_seed(|server, seeded| {
        let mut ws = WsClient::open(server, WEBSOCKET)?;
        ws.send_binary(packets[0])?;
        // The handshake, then the answer to CONNECT.
        while ws.receive()?.opcode != Opcode::Binary {}
        for _ in 0..8 {
            let mut packet = seeded.pick(&packets).to_vec();
            for _ in 0..=seeded.below(3) {
                let at = seeded.below(packet.len());
                packet[at] = (seeded.next_u64() >> 56) as u8;
            }
            if seeded.below(2) == 0 {
                packet.extend(noise(seeded));
            }
            tolerate(ws.send_binary(&packet))?;
        }
        finish(ws.stream())
    })
}

#[test]
fn as_the_body_of_a_poll() -> io::Result<()> {
    for_each_seed(|server, seeded| {
        let mut client = joined_poller(server)?;
        let body = if seeded.below(2) == 0 {
            noise(seeded)
        } else {
            changed(seeded.pick(&PACKETS), seeded)
        };
        let response = client.post(&body)?;
        if matches!(response.status, 200 | 400 | 413) {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "{} {}",
            response.status,
            response.text()
        )))
    })
}
