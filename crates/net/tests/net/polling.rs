//! Long polling: limits, misuse, old clients, and last words.

use std::io::Write as _;

use lakh_net::Options;

use crate::support::{POLL, loops, poll_path, start, ws_path};

#[test]
fn a_body_beyond_the_limit_is_413_with_and_without_a_declared_length() {
    let mut settings = loops(1);
    settings.limits.max_payload_bytes = 1_000;
    let server = start(settings, Options::default());
    let mut conn = server.connect();
    let sid = conn.open();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n",
        poll_path(&sid)
    );
    conn.write(head.as_bytes());
    assert_eq!(conn.response().unwrap().status, 413);
    let mut conn = server.connect();
    let sid = conn.open();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        poll_path(&sid)
    );
    conn.write(head.as_bytes());
    conn.write(format!("7d0\r\n{}\r\n0\r\n\r\n", "x".repeat(2_000)).as_bytes());
    assert_eq!(conn.response().unwrap().status, 413);
}

#[test]
fn a_client_that_hangs_up_on_a_poll_is_gone_with_a_transport_error() {
    let server = start(loops(2), Options::default());
    let mut conn = server.connect();
    let sid = conn.open();
    conn.post(&poll_path(&sid), b"40");
    conn.poll_for(&sid, |packet| packet.starts_with("40{"));
    conn.write(format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", poll_path(&sid)).as_bytes());
    // The POST says that the poll has arrived: both connections are served in order by the owner's loop.
    let mut other = server.connect();
    assert_eq!(other.post(&poll_path(&sid), b"3").status, 200);
    drop(conn);
    assert_eq!(server.next_gone(), "transport error");
}

#[test]
fn two_polls_at_once_end_the_session() {
    let server = start(loops(2), Options::default());
    let (mut one, mut two) = (server.connect(), server.connect());
    let sid = one.open();
    one.post(&poll_path(&sid), b"40");
    one.poll_for(&sid, |packet| packet.starts_with("40{"));
    one.write(format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", poll_path(&sid)).as_bytes());
    let mut third = server.connect();
    assert_eq!(third.post(&poll_path(&sid), b"3").status, 200);
    assert_eq!(two.get(&poll_path(&sid)).status, 400);
    let first = one.response().unwrap();
    assert!(
        first.status == 200 && first.text() == "1" || first.status == 400,
        "{first:?}"
    );
    assert_eq!(server.next_gone(), "transport error");
}

#[test]
fn what_is_no_payload_ends_the_session() {
    let server = start(loops(1), Options::default());
    let mut conn = server.connect();
    let sid = conn.open();
    conn.post(&poll_path(&sid), b"40");
    assert_eq!(conn.post(&poll_path(&sid), b"abc").status, 400);
    assert_eq!(server.next_gone(), "parse error");
}

#[test]
fn bad_requests_are_answered_with_their_code() {
    let server = start(loops(2), Options::default());
    let mut conn = server.connect();
    let cases = [
        (
            "GET",
            "/socket.io/",
            400,
            r#"{"code":0,"message":"Transport unknown"}"#,
        ),
        (
            "GET",
            "/socket.io/?EIO=4&transport=carrier-pigeon",
            400,
            r#"{"code":0,"message":"Transport unknown"}"#,
        ),
        (
            "GET",
            "/socket.io/?EIO=4&transport=polling&sid=nobody",
            400,
            r#"{"code":1,"message":"Session ID unknown"}"#,
        ),
        (
            "GET",
            "/socket.io/?EIO=4&transport=polling&sid=n1-A0000000000000000",
            400,
            r#"{"code":1,"message":"Session ID unknown"}"#,
        ),
        (
            "GET",
            "/socket.io/?EIO=4&transport=polling&sid=n1-_0000000000000000",
            400,
            r#"{"code":1,"message":"Session ID unknown"}"#,
        ),
        (
            "POST",
            POLL,
            400,
            r#"{"code":2,"message":"Bad handshake method"}"#,
        ),
        (
            "GET",
            "/socket.io/?EIO=4&transport=websocket",
            400,
            r#"{"code":3,"message":"Bad request"}"#,
        ),
        (
            "GET",
            "/socket.io/?EIO=3&transport=polling",
            400,
            r#"{"code":5,"message":"Unsupported protocol version"}"#,
        ),
    ];
    for (method, path, status, body) in cases {
        let response = conn.request(method, path, &[], b"");
        assert_eq!(
            (response.status, response.text().as_str()),
            (status, body),
            "{path}"
        );
        assert_eq!(
            response.header("content-type"),
            Some("application/json"),
            "{path}"
        );
    }
}

#[test]
fn binary_goes_over_polling_as_base64() {
    let server = start(loops(1), Options::default());
    let mut conn = server.connect();
    let sid = conn.open();
    let body = "40\u{1e}451-[\"bin\",{\"_placeholder\":true,\"num\":0}]\u{1e}bAAECAw==";
    conn.post(&poll_path(&sid), body.as_bytes());
    let text = conn.get(&poll_path(&sid)).text();
    let packets: Vec<&str> = text.split('\u{1e}').collect();
    assert_eq!(
        packets[1..],
        [r#"451-["bin",{"_placeholder":true,"num":0}]"#, "bAAECAw=="]
    );
}

#[test]
fn an_old_client_polls_binary_in_its_own_form() {
    let options = Options {
        allow_eio3: true,
        ..Options::default()
    };
    let server = start(loops(1), options);
    let mut conn = server.connect();
    let path = "/socket.io/?EIO=3&transport=polling";
    let opened = conn.get(path);
    // Text and its length in decimal digits, one a byte, with 255 behind (engine.io-protocol v3).
    let body = opened.body;
    let (open, rest) = old_packet(&body);
    let open = String::from_utf8(open).unwrap();
    let sid = crate::support::sid_of(&open);
    assert!(rest.is_empty() || old_packet(rest).0 == b"40");
    let path = format!("{path}&sid={sid}");
    if rest.is_empty() {
        assert_eq!(old_packet(&conn.get(&path).body).0, b"40");
    }
    let text = r#"451-["bin",{"_placeholder":true,"num":0}]"#;
    let mut body = vec![0];
    body.extend(text.len().to_string().bytes().map(|digit| digit - b'0'));
    body.push(255);
    body.extend(text.as_bytes());
    body.extend([1, 4, 255, 4, 0xde, 0xad, 0xbe]);
    let octets = [("Content-Type", "application/octet-stream")];
    assert_eq!(conn.request("POST", &path, &octets, &body).text(), "ok");
    let answer = conn.get(&path);
    assert_eq!(
        answer.header("content-type"),
        Some("application/octet-stream")
    );
    let (first, rest) = old_packet(&answer.body);
    assert_eq!(first, text.as_bytes());
    assert_eq!(old_packet(rest).0, [4, 0xde, 0xad, 0xbe]);
    // Strings, when the client says that it can't read binary.
    let texts = conn.request("POST", &path, &[("Content-Type", "text/plain")], b"1:2");
    assert_eq!(texts.text(), "ok");
    assert_eq!(conn.get(&path).body, b"1:3");
}

/// The first packet of a binary payload of protocol 3 (or of a text one), and what follows it.
fn old_packet(body: &[u8]) -> (Vec<u8>, &[u8]) {
    if body[0] > 1 {
        let colon = body.iter().position(|byte| *byte == b':').unwrap();
        let length: usize = std::str::from_utf8(&body[..colon])
            .unwrap()
            .parse()
            .unwrap();
        let end = colon + 1 + length;
        return (body[colon + 1..end].to_vec(), &body[end..]);
    }
    let end = body.iter().position(|byte| *byte == 255).unwrap();
    let length = body[1..end]
        .iter()
        .fold(0, |n, digit| n * 10 + usize::from(*digit));
    let (packet, rest) = body[end + 1..].split_at(length);
    (packet.to_vec(), rest)
}

#[test]
fn jsonp_wraps_what_is_polled_and_reads_forms() {
    let server = start(loops(1), Options::default());
    let mut conn = server.connect();
    let path = format!("{POLL}&j=7");
    let opened = conn.get(&path);
    let text = opened.text();
    assert!(text.starts_with("___eio[7](\"0{"), "{text}");
    let start = text.find("sid").unwrap() + 8;
    let sid = text[start..].split('\\').next().unwrap().to_owned();
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let path = format!("{path}&sid={sid}");
    assert_eq!(conn.request("POST", &path, &form, b"d=40").text(), "ok");
    assert!(conn.get(&path).text().starts_with("___eio[7](\"40{"));
}

#[test]
fn a_close_that_comes_between_two_polls_is_said_at_the_next() {
    let server = start(loops(2), Options::default());
    let (mut conn, mut other) = (server.connect(), server.connect());
    let sid = conn.open();
    conn.post(&poll_path(&sid), b"40");
    conn.poll_for(&sid, |packet| packet.starts_with("40{"));
    // No poll is pending now.
    assert_eq!(
        other.post(&poll_path(&sid), br#"42["leave",true]"#).status,
        200
    );
    assert_eq!(server.next_gone(), "server namespace disconnect");
    let last = conn.get(&poll_path(&sid));
    assert_eq!((last.status, last.text().as_str()), (200, "41"));
    // The client that has read this says goodbye, or polls on.
    assert_eq!(other.post(&poll_path(&sid), b"1").status, 200);
    assert_eq!(conn.get(&poll_path(&sid)).text(), "1");
    assert_eq!(conn.get(&poll_path(&sid)).status, 400);
    assert_eq!(other.post(&poll_path(&sid), b"1").status, 400);
}

#[test]
fn a_waiting_poll_gets_what_was_sent_and_the_next_one_the_close() {
    let server = start(loops(2), Options::default());
    let (mut conn, mut other) = (server.connect(), server.connect());
    let sid = conn.open();
    conn.post(&poll_path(&sid), b"40");
    conn.poll_for(&sid, |packet| packet.starts_with("40{"));
    let path = poll_path(&sid);
    let polled = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| conn.get(&path));
        // Whether it comes before the poll or after: the answers are the same.
        other.post(&path, br#"42["leave",true]"#);
        waiting.join().unwrap()
    });
    assert_eq!(polled.text(), "41");
    assert_eq!(conn.get(&path).text(), "1");
}

#[test]
fn a_probe_for_nothing_is_refused_and_a_second_one_is_let_in_and_closed() {
    let server = start(loops(2), Options::default());
    let mut ws = server.connect();
    let refused = ws.upgrade(&ws_path("n1-A0000000000000000")).unwrap_err();
    assert_eq!(
        refused.text(),
        r#"{"code":1,"message":"Session ID unknown"}"#
    );
    let mut conn = server.connect();
    let sid = conn.open();
    let (mut first, mut second) = (server.connect(), server.connect());
    first.upgrade(&ws_path(&sid)).unwrap();
    first.send("2probe");
    assert_eq!(first.text(), "3probe");
    second.upgrade(&ws_path(&sid)).unwrap();
    assert_eq!(second.receive().unwrap().0, 0x88);
    first.send("5");
    first.send("40");
    assert!(first.text().starts_with("40{"));
}

#[test]
fn a_post_waits_while_too_many_handlers_run() {
    let mut settings = loops(1);
    settings.hub_limits.max_running_handlers = 4;
    let server = start(settings, Options::default());
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let waits = std::sync::Arc::clone(&gate);
    let ns = server.hub.of("/");
    ns.on("work", async move |_: lakh_hub::Socket| {
        waits.acquire().await.unwrap().forget()
    });
    let mut conn = server.connect();
    let sid = conn.open();
    let work = ["42[\"work\"]"; 4].join("\u{1e}");
    conn.post(&poll_path(&sid), format!("40\u{1e}{work}").as_bytes());
    let mut held = server.connect();
    let head = format!("POST {} HTTP/1.1\r\nHost: x\r\n", poll_path(&sid));
    held.write(format!("{head}Content-Length: {}\r\n\r\n{work}", work.len()).as_bytes());
    // Others are served meanwhile.
    let mut other = server.joined();
    for n in 0..50 {
        other.ask(&format!(r#"["echo","{n}"]"#));
    }
    assert_eq!(server.hub.stats().events_in, 4 + 50);
    gate.add_permits(8);
    assert_eq!(held.response().unwrap().text(), "ok");
    assert_eq!(server.hub.stats().events_in, 8 + 50);
}

#[test]
fn a_session_ends_when_the_client_of_its_poll_goes_away_at_once_or_later() {
    let server = start(loops(2), Options::default());
    for at_once in [true, false] {
        for _ in 0..10 {
            let mut conn = server.connect();
            let sid = conn.open();
            conn.post(&poll_path(&sid), b"40");
            conn.poll_for(&sid, |packet| packet.starts_with("40{"));
            let mut tcp = server.tcp();
            let path = poll_path(&sid);
            write!(tcp, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            if !at_once {
                // Answered by the loop that owns the session, behind the poll: so that waits by now.
                conn.post(&path, br#"42["nothing"]"#);
            }
            drop(tcp);
            assert!(server.next_gone().starts_with("transport"));
        }
    }
    assert_eq!(server.hub.stats().sessions, 0);
}

/// The next request may come while a poll waits; it has its turn.
#[test]
fn what_comes_behind_a_waiting_poll_on_the_same_connection_is_not_lost() {
    let server = start(loops(1), Options::default());
    let (mut conn, mut other) = (server.connect(), server.connect());
    let sid = conn.open();
    conn.post(&poll_path(&sid), b"40");
    conn.poll_for(&sid, |packet| packet.starts_with("40{"));
    let path = poll_path(&sid);
    let request =
        |method: &str, path: &str| format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    conn.write(request("GET", &path).as_bytes());
    conn.write(request("GET", "/nowhere").as_bytes());
    other.post(&path, br#"42["echo","x"]"#);
    other.post(&path, br#"421["echo","x"]"#);
    assert_eq!(conn.response().unwrap().text(), r#"431["x"]"#);
    assert_eq!(conn.response().unwrap().status, 404);
}
