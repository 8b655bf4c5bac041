//! Requests whose owner is unknown, away, silent, or another one than was thought; and nodes that go down.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use lakh_hub::Millis;
use lakh_net::Node;

use crate::forward::{Directory, count, join, named, open, options, secret_of, two};
use crate::loops::{talk_over_polling, upgrade};
use crate::support::{Conn, TestServer, block_on, poll_path, start, until, ws_path};

const UNKNOWN: &str = r#"{"code":1,"message":"Session ID unknown"}"#;

/// All three kinds of requests are told that the session is unknown.
fn is_unknown(server: &TestServer, sid: &str) {
    let answers = [
        server.connect().get(&poll_path(sid)),
        server.connect().post(&poll_path(sid), b"3"),
        server.connect().upgrade(&ws_path(sid)).unwrap_err(),
    ];
    for answer in answers {
        assert_eq!((answer.status, answer.text().as_str()), (400, UNKNOWN));
    }
}

fn put(directory: &Directory, tag: &str, listener: &TcpListener) {
    let node = Node {
        address: listener.local_addr().unwrap(),
        secret: secret_of("xx"),
    };
    directory.put(tag, node);
}

#[test]
fn who_has_no_owner_is_told_that_the_session_is_unknown() {
    let (_one, two, directory) = two();
    is_unknown(&two, "xx-A0000000000000000");
    is_unknown(&two, "n1-A0000000000000000");
    is_unknown(&two, "n2-A0000000000000000");
    is_unknown(&two, "no-id-at-all");
    assert_eq!(directory.looks.load(Ordering::Relaxed), 3);
    assert_eq!(count(&two, "polling", "no_owner"), 2);
    assert_eq!(count(&two, "polling", "answered"), 2);
    assert_eq!(count(&two, "websocket", "no_owner"), 1);
}

#[test]
fn whose_owner_is_gone_is_told_so_and_comes_back() {
    let (mut one, two, directory) = two();
    let sid = one.connect().open();
    let mut there = two.connect();
    talk_over_polling(&mut there, &sid);
    let mut waits = two.connect();
    waits.write(format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", poll_path(&sid)).as_bytes());
    until("the poll's way", || open(&two) == 1);
    let answered = count(&two, "polling", "answered");
    block_on(one.running.take().unwrap().stop());
    let cut = waits.response().unwrap();
    assert_eq!((cut.status, cut.text().as_str()), (400, UNKNOWN));
    is_unknown(&two, &sid);
    // The poll that waited may still be answered by its owner, be cut, or have been on its way there; the two requests
    // that followed reach nobody.
    let told = count(&two, "polling", "answered") - answered;
    let broken = count(&two, "polling", "broken");
    let unreachable = count(&two, "polling", "unreachable");
    assert_eq!(told + broken + unreachable, 3);
    assert!(unreachable >= 2);
    // Another process of that name may have taken its place.
    let one = start(named("n1", 1), options(&directory, "n1"));
    join(&directory, "n1", &one);
    is_unknown(&two, &sid);
    let again = one.connect().open();
    talk_over_polling(&mut there, &again);
}

#[test]
fn an_owner_that_says_nothing_is_given_up() {
    let directory = Arc::new(Directory::default());
    let mut settings = named("n2", 1);
    settings.engine.ping_interval = Millis(50);
    settings.engine.ping_timeout = Millis(50);
    let two = start(settings, options(&directory, "n2"));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    put(&directory, "xx-", &silent);
    let answer = two.connect().get(&poll_path("xx-A0000000000000000"));
    assert_eq!((answer.status, answer.text().as_str()), (400, UNKNOWN));
    assert_eq!(count(&two, "polling", "broken"), 1);
    let stats = || two.running.as_ref().unwrap().observer().stats();
    until("the end of its connection", || stats().connections == 0);
}

#[test]
fn an_owner_that_breaks_off_breaks_its_clients_connection_off() {
    use std::io::{Read, Write};
    let directory = Arc::new(Directory::default());
    let two = start(named("n2", 1), options(&directory, "n2"));
    let liar = TcpListener::bind("127.0.0.1:0").unwrap();
    put(&directory, "xx-", &liar);
    let lies = std::thread::spawn(move || {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
            "not HTTP\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x01\x02",
        ] {
            let (mut stream, _) = liar.accept().unwrap();
            let mut head = [0; 4096];
            assert!(stream.read(&mut head).unwrap() > 0);
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let path = poll_path("xx-A0000000000000000");
    let mut half = two.connect();
    half.write(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
    let head = "content-length: 100\r\n";
    let read = read_all(half);
    assert!(read.contains(head) && read.ends_with("half"), "{read}");
    assert_eq!(two.connect().get(&path).text(), UNKNOWN);
    let mut ws = two.connect();
    ws.upgrade(&ws_path("xx-A0000000000000000")).unwrap();
    // A frame of two bytes, of which none come.
    assert_eq!(ws.take(2).unwrap(), [1, 2]);
    assert!(ws.is_closed());
    lies.join().unwrap();
    until("the end of what was forwarded", || open(&two) == 0);
}

/// All that still comes.
fn read_all(mut conn: Conn) -> String {
    let mut all = Vec::new();
    while let Some(byte) = conn.take(1) {
        all.extend(byte);
    }
    String::from_utf8(all).unwrap()
}

#[test]
fn nothing_is_forwarded_twice_and_nothing_goes_around() {
    let (one, two, directory) = two();
    let sid = one.connect().open();
    // Whoever claims to be a node is not forwarded for, with a secret or without.
    for claim in ["n9- n2SecretOfTheTest 192.0.2.7:1 http", "x"] {
        let header = ("Lakh-Forwarded", claim);
        let answer = two
            .connect()
            .request("GET", &poll_path(&sid), &[header], b"");
        assert_eq!(answer.text(), UNKNOWN, "{claim}");
        let answer = two.connect().upgrade_with(&ws_path(&sid), &[header]);
        assert_eq!(answer.unwrap_err().text(), UNKNOWN, "{claim}");
    }
    assert_eq!(count(&two, "polling", "answered"), 0);
    // A tag that leads to a node which isn't the owner, and one that leads back to the asker.
    for (address, secret) in [
        (one.address, "n1"),
        (two.address, "n2"),
        (two.address, "n1"),
    ] {
        let secret = secret_of(secret);
        directory.put("xx-", Node { address, secret });
        is_unknown(&two, "xx-A0000000000000000");
    }
    assert_eq!(count(&one, "polling", "answered"), 0);
    assert_eq!(count(&two, "polling", "answered"), 6);
}

#[test]
fn connections_to_nodes_are_among_those_that_are_bounded() {
    let directory = Arc::new(Directory::default());
    let mut bounded = options(&directory, "n2");
    bounded.connections.total = Some(1);
    let two = start(named("n2", 1), bounded);
    let one = start(named("n1", 1), options(&directory, "n1"));
    join(&directory, "n1", &one);
    let sid = one.connect().open();
    let refused = two.connect().get(&poll_path(&sid));
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(count(&two, "polling", "full"), 1);
}

#[test]
fn a_node_that_drains_lets_go_of_what_it_forwards() {
    let (one, mut two, _) = two();
    let mut all = Vec::new();
    for _ in 0..10 {
        let sid = one.connect().open();
        let (mut polling, mut ws) = (two.connect(), two.connect());
        talk_over_polling(&mut polling, &sid);
        upgrade(&mut polling, &mut ws, &sid);
        all.push(ws);
    }
    assert_eq!(open(&two), 10);
    block_on(two.running.take().unwrap().drain());
    for ws in &mut all {
        assert!(ws.is_closed());
        assert_eq!(one.next_gone(), "transport close");
    }
}

#[test]
fn a_node_that_drains_still_answers_for_its_sessions() {
    let directory = Arc::new(Directory::default());
    let [mut one, two] = ["n1", "n2"].map(|name| {
        let server = start(named(name, 2), options(&directory, name));
        join(&directory, name, &server);
        server
    });
    let sid = one.connect().open();
    let mut there = two.connect();
    talk_over_polling(&mut there, &sid);
    let running = one.running.take().unwrap();
    let observer = running.observer();
    let drained = std::thread::spawn(move || block_on(running.drain()));
    until("the drain", || !observer.is_ready());
    assert_eq!(one.next_gone(), "server shutting down");
    // The client's next poll is told, through the other node.
    let told = there.get(&poll_path(&sid));
    assert_eq!((told.status, told.text().as_str()), (200, "1"));
    drained.join().unwrap();
}
