//! Messages larger than allowed, and those that only say so. Each ends with a refusal, and none makes the server set
//! memory aside for what has not come.

use std::io::{self, BufReader, Write};

use lakh_abuse::{MIB, Newcomers, Target, expect_ok, joined_poller, joined_websocket};
use lakh_testkit::{
    Opcode, PollingClient, SocketClient, WsClient, connect, exchange, read_response,
};
use serde_json::json;

const MEMORY_BOUND: u64 = 64 * MIB;
const LIMIT: usize = 1_000_000;

/// Runs `abuse` while newcomers come, and checks the server afterwards.
fn under(abuse: impl Fn(&Target) -> io::Result<()>) -> io::Result<()> {
    let mut target = Target::start(&[])?;
    let newcomers = Newcomers::start(target.address());
    abuse(&target)?;
    newcomers.stop()?;
    target.check(MEMORY_BOUND)
}

fn joined(target: &Target) -> io::Result<WsClient> {
    joined_websocket(target.address())
}

#[test]
fn a_frame_that_announces_more_than_the_limit_is_refused_before_it_comes() -> io::Result<()> {
    under(|target| {
        for length in [LIMIT as u64 + 1, 1 << 32, u64::MAX >> 1, u64::MAX] {
            for opcode in [1_u8, 2] {
                let mut ws = joined(target)?;
                let mut head = vec![0x80 | opcode, 0xff];
                head.extend(length.to_be_bytes());
                head.extend([0; 4]);
                ws.send_raw(&head)?;
                // 1009: message too big; 1002 for a length with its highest bit set (RFC 6455 sections 5.2, 7.4.1).
                let code = ws.receive_close()?;
                assert!(
                    matches!(code, None | Some(1009 | 1002)),
                    "{length}: {code:?}"
                );
            }
        }
        Ok(())
    })
}

#[test]
fn a_message_of_fragments_counts_as_one() -> io::Result<()> {
    under(|target| {
        let mut ws = joined(target)?;
        let part = [b'x'; 10_000];
        let mut first = true;
        // Two hundred parts are twice the limit; the server may close on the way.
        for _ in 0..200 {
            let opcode = if first {
                Opcode::Text
            } else {
                Opcode::Continuation
            };
            first = false;
            if ws.send(false, opcode, &part).is_err() {
                break;
            }
        }
        let code = ws.receive_close()?;
        assert!(matches!(code, None | Some(1009)), "{code:?}");
        Ok(())
    })
}

#[test]
fn a_million_empty_fragments_take_no_memory() -> io::Result<()> {
    under(|target| {
        let mut ws = joined(target)?;
        ws.send(false, Opcode::Text, b"42[")?;
        let empty = [0x00, 0x80, 0, 0, 0, 0].repeat(1000);
        for _ in 0..1000 {
            if ws.send_raw(&empty).is_err() {
                break;
            }
        }
        let _ = ws.send(true, Opcode::Close, &[]);
        ws.receive_close().map(drop)
    })
}

#[test]
fn attachments_beyond_the_limit_or_that_never_come_take_no_memory() -> io::Result<()> {
    under(|target| {
        let mut ws = joined(target)?;
        ws.send_text("4511-[\"eleven\"]")?;
        ws.receive_close()?;
        // Ten are allowed, each below the limit of a message; more bytes than that in all are not kept for long.
        let places: Vec<String> = (0..10)
            .map(|n| format!("{{\"_placeholder\":true,\"num\":{n}}}"))
            .collect();
        let mut waiting = Vec::new();
        for _ in 0..20 {
            let mut ws = joined(target)?;
            ws.send_text(&format!("4510-[\"ten\",{}]", places.join(",")))?;
            for _ in 0..9 {
                if ws.send_binary(&vec![7; 900_000]).is_err() {
                    break;
                }
            }
            waiting.push(ws);
        }
        // A text in between attachments breaks the protocol.
        let mut ws = joined(target)?;
        ws.send_text("452-[\"two\"]")?;
        ws.send_text("42[\"in between\"]")?;
        ws.receive_close()?;
        // A binary message that nobody announced does so too.
        let mut ws = joined(target)?;
        ws.send_binary(&[0xc1; 10])?;
        ws.receive_close().map(drop)
    })
}

#[test]
fn a_body_beyond_the_limit_is_refused() -> io::Result<()> {
    under(|target| {
        let mut client = joined_poller(target.address())?;
        let body = format!("42[\"{}\"]", "x".repeat(LIMIT));
        let response = client.post(body.as_bytes())?;
        assert_eq!(response.status, 413, "{}", response.text());
        Ok(())
    })
}

#[test]
fn a_body_that_announces_more_than_the_limit_is_refused_before_it_comes() -> io::Result<()> {
    under(|target| {
        for length in [
            "1000001",
            "10000000000",
            "18446744073709551616",
            "-1",
            "1e3",
        ] {
            let client = PollingClient::open(target.address(), "/socket.io/")?;
            let request = format!(
                "POST /socket.io/?EIO=4&transport=polling&sid={} HTTP/1.1\r\nHost: x\r\n\
                 Content-Type: text/plain\r\nContent-Length: {length}\r\n\r\n4",
                client.sid
            );
            let response = exchange(target.address(), request.as_bytes())?;
            assert!(
                matches!(response.status, 400 | 413),
                "{length}: {} {}",
                response.status,
                response.text()
            );
        }
        Ok(())
    })
}

#[test]
fn a_body_in_chunks_without_end_is_refused() -> io::Result<()> {
    under(|target| {
        let client = PollingClient::open(target.address(), "/socket.io/")?;
        let mut stream = connect(target.address())?;
        write!(
            stream,
            "POST /socket.io/?EIO=4&transport=polling&sid={} HTTP/1.1\r\nHost: x\r\n\
             Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n",
            client.sid
        )?;
        let chunk = format!("2710\r\n{}\r\n", "x".repeat(10_000));
        for _ in 0..1000 {
            if stream.write_all(chunk.as_bytes()).is_err() {
                break;
            }
        }
        match read_response(&mut BufReader::new(stream)) {
            Ok(response) => assert!(
                matches!(response.status, 400 | 411 | 413 | 501),
                "{response:?}"
            ),
            // Closed while the chunks were still coming: the answer was lost with the connection.
            Err(error) => assert_ne!(error.kind(), io::ErrorKind::WouldBlock, "{error}"),
        }
        Ok(())
    })
}

#[test]
fn a_head_without_end_is_refused() -> io::Result<()> {
    under(|target| {
        let line = "X-Long: ".to_owned() + &"x".repeat(1000) + "\r\n";
        let many = "X: y\r\n".repeat(500_000);
        let long_target = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(2_000_000));
        let long_headers = format!("GET / HTTP/1.1\r\n{}\r\n", line.repeat(2000));
        let many_headers = format!("GET /socket.io/ HTTP/1.1\r\n{many}\r\n");
        for head in [long_target, long_headers, many_headers] {
            let mut stream = connect(target.address())?;
            let written = stream.write_all(head.as_bytes());
            match read_response(&mut BufReader::new(stream)) {
                Ok(response) => assert!(matches!(response.status, 400 | 414 | 431), "{response:?}"),
                Err(error) => {
                    assert_ne!(
                        error.kind(),
                        io::ErrorKind::WouldBlock,
                        "{error}; {written:?}"
                    );
                }
            }
        }
        Ok(())
    })
}

#[test]
fn too_many_packets_in_one_payload_end_the_session() -> io::Result<()> {
    under(|target| {
        let mut client = joined_poller(target.address())?;
        // Four hundred thousand pongs: far below the limit in bytes.
        let response = client.send(&vec!["3"; 400_000])?;
        assert!(matches!(response.status, 400 | 413), "{}", response.status);
        assert!(client.poll_until(|_| false).is_err());
        Ok(())
    })
}

#[test]
fn rooms_and_namespaces_without_end_are_refused() -> io::Result<()> {
    under(|target| {
        let auth = json!({ "name": "collector" });
        let mut client = SocketClient::connect(target.address(), "/", &auth)?;
        let mut refused = 0;
        for n in 0..12_000 {
            let answer = client.call("room:join", &[json!({ "room": format!("room {n}") })])?;
            if expect_ok(&answer).is_err() {
                refused += 1;
            }
        }
        assert!(refused > 0, "one socket joined 12,000 rooms");
        let mut ws = joined(target)?;
        for n in 0..20_000 {
            if ws.send_text(&format!("40/room-{n},")).is_err() {
                break;
            }
        }
        let _ = ws.send(true, Opcode::Close, &[]);
        ws.receive_close().map(drop)
    })
}
