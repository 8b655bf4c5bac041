//! Who may come in: limits, proxies, the end of a server.

use lakh_net::Options;
use lakh_net::limits::{ConnectionLimits, Rate, RateLimits};
use lakh_net::trust::TrustedProxies;

use crate::support::{POLL, WS, block_on, loops, poll_path, start, until};

#[test]
fn beyond_the_cap_there_is_503_with_retry_after_until_somebody_leaves() {
    let options = Options {
        connections: ConnectionLimits {
            total: Some(2),
            ..ConnectionLimits::default()
        },
        ..Options::default()
    };
    let server = start(loops(2), options);
    let (one, mut two) = (server.joined(), server.joined());
    let mut third = server.connect();
    let refused = third.response().unwrap();
    assert_eq!(refused.status, 503);
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds > 0);
    assert_eq!(two.ask(r#"["echo","still here"]"#), r#"437["still here"]"#);
    drop(one);
    server.next_gone();
    let observer = server.running.as_ref().unwrap().observer();
    until("a free place", || observer.stats().connections == 1);
    server.joined();
}

#[test]
fn handshakes_beyond_the_rate_are_refused_and_sessions_go_on() {
    let options = Options {
        handshakes: RateLimits {
            per_address: Some(Rate {
                per_second: 1,
                burst: 2,
            }),
            ..RateLimits::default()
        },
        ..Options::default()
    };
    let server = start(loops(1), options);
    let mut conn = server.connect();
    let sid = conn.open();
    conn.open();
    let refused = conn.get(POLL);
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(server.connect().upgrade(WS).unwrap_err().status, 429);
    assert_eq!(conn.post(&poll_path(&sid), b"40").status, 200);
}

fn behind_a_proxy(trusted: &str) -> Options {
    Options {
        proxy_protocol: true,
        trusted: TrustedProxies::parse([trusted]).unwrap(),
        ..Options::default()
    }
}

#[test]
fn a_trusted_proxys_header_names_the_client() {
    let server = start(loops(2), behind_a_proxy("127.0.0.0/8"));
    let mut second = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    second.extend([198, 51, 100, 7, 127, 0, 0, 1, 0x12, 0x34, 0, 80]);
    let headers: [(&[u8], &str); 2] = [
        (
            b"PROXY TCP4 203.0.113.9 127.0.0.1 5555 80\r\n",
            "203.0.113.9:5555",
        ),
        (&second, "198.51.100.7:4660"),
    ];
    for (header, client) in headers {
        let mut ws = server.connect();
        ws.write(header);
        ws.upgrade(WS).unwrap();
        ws.join();
        let who = ws.ask(r#"["who"]"#);
        assert!(who.contains(client), "{who}");
        let mut polling = server.connect();
        polling.write(header);
        assert_eq!(polling.get(POLL).status, 200);
    }
    let mut without = server.connect();
    without.write(format!("GET {POLL} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
    assert!(without.response().is_none(), "a header was due");
}

#[test]
fn a_proxy_that_nobody_trusts_is_not_believed() {
    let server = start(loops(1), behind_a_proxy("192.0.2.0/24"));
    let mut conn = server.connect();
    conn.try_write(b"PROXY TCP4 203.0.113.9 127.0.0.1 5555 80\r\n");
    conn.try_write(format!("GET {POLL} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
    assert!(conn.response().is_none());
}

#[test]
fn forwarded_addresses_are_believed_from_trusted_peers_only() {
    for (trusted, expected) in [(Some("127.0.0.1"), "203.0.113.5"), (None, "127.0.0.1")] {
        let options = Options {
            trusted: trusted.map_or_else(TrustedProxies::none, |peer| {
                TrustedProxies::parse([peer]).unwrap()
            }),
            ..Options::default()
        };
        let server = start(loops(1), options);
        let mut ws = server.connect();
        let header = ("X-Forwarded-For", "10.9.9.9, 203.0.113.5");
        ws.upgrade_with(WS, &[header]).unwrap();
        ws.join();
        let who = ws.ask(r#"["who"]"#);
        assert!(who.contains(expected), "{who}");
    }
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    let mut options = Options::default();
    options.timeouts.head_ms = 50;
    let server = start(loops(1), options);
    let mut silent = server.connect();
    while silent.response().is_some() {}
    assert!(silent.is_closed());
    let mut half = server.connect();
    half.write(b"GET /socket.io/?EIO=4&tr");
    while half.response().is_some() {}
    assert!(half.is_closed());
}

#[test]
fn a_draining_server_takes_nobody_and_closes_sessions_over_the_window() {
    let options = Options {
        drain_window_ms: 600,
        ..Options::default()
    };
    let mut server = start(loops(2), options);
    let mut sessions: Vec<_> = (0..20).map(|_| server.joined()).collect();
    // A session over polling, between two polls: it's told at the next.
    let mut polling = server.connect();
    let sid = polling.open();
    let running = server.running.take().unwrap();
    let observer = running.observer();
    assert!(observer.is_ready());
    let draining = std::thread::spawn(move || block_on(running.drain()));
    until("the drain", || !observer.is_ready());
    let refused = server.connect().get(POLL);
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some());
    for ws in &mut sessions {
        // What was under way is not cut off: a close frame comes.
        let (first, _) = ws.receive().unwrap();
        assert_eq!(first, 0x88);
    }
    for _ in 0..20 {
        assert_eq!(server.next_gone(), "server shutting down");
    }
    let told = server.connect().get(&poll_path(&sid));
    assert_eq!((told.status, told.text().as_str()), (200, "1"));
    draining.join().unwrap();
    assert_eq!(server.hub.stats().sessions, 0);
}
