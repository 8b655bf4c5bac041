//! Several event loops: connections are dealt out in turn, and sessions are reached wherever their requests arrive.

#![allow(unreachable_pub)]

use std::sync::Arc;

use lakh_net::Options;

use crate::support::{Certified, Conn, TestServer, loops, poll_path, start, ws_path};

/// The shard tag in an id.
fn home(sid: &str) -> u8 {
    sid.as_bytes()[3]
}

/// Two connections that were dealt to different loops, the first with a session of its own.
fn apart(server: &TestServer, connect: impl Fn(&TestServer) -> Conn) -> (Conn, String, Conn) {
    let mut here = connect(server);
    let sid = here.open();
    let mut there = connect(server);
    let other = there.open();
    assert_ne!(home(&sid), home(&other), "the connections are on one loop");
    (here, sid, there)
}

pub fn talk_over_polling(conn: &mut Conn, sid: &str) {
    assert_eq!(conn.post(&poll_path(sid), b"40").text(), "ok");
    conn.poll_for(sid, |packet| packet.starts_with("40{"));
    assert_eq!(
        conn.post(&poll_path(sid), br#"421["echo","hi"]"#).status,
        200
    );
    assert_eq!(
        conn.poll_for(sid, |packet| packet.starts_with("43")),
        r#"431["hi"]"#
    );
}

/// Moves a polling session to a WebSocket on this connection, as stock clients do.
pub fn upgrade(polling: &mut Conn, ws: &mut Conn, sid: &str) {
    ws.upgrade(&ws_path(sid)).unwrap();
    ws.send("2probe");
    assert_eq!(ws.text(), "3probe");
    assert_eq!(
        polling.get(&poll_path(sid)).text(),
        "6",
        "a pending poll is answered"
    );
    ws.send("5");
    assert_eq!(ws.ask(r#"["echo","moved"]"#), r#"437["moved"]"#);
}

#[test]
fn a_polling_session_is_served_over_connections_of_the_other_loop() {
    let server = start(loops(2), Options::default());
    let (mut here, sid, mut there) = apart(&server, TestServer::connect);
    talk_over_polling(&mut there, &sid);
    // A poll waits on one connection while a POST comes over the other.
    here.write(format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", poll_path(&sid)).as_bytes());
    there.post(&poll_path(&sid), br#"422["echo","across"]"#);
    assert_eq!(here.response().unwrap().text(), r#"432["across"]"#);
}

#[test]
fn a_session_is_upgraded_by_a_websocket_on_either_loop() {
    for which in 0..2 {
        let server = start(loops(2), Options::default());
        let (mut here, sid, _there) = apart(&server, TestServer::connect);
        talk_over_polling(&mut here, &sid);
        // One on each loop.
        let mut sockets = [server.connect(), server.connect()];
        upgrade(&mut here, &mut sockets[which], &sid);
        assert_eq!(server.hub.stats().websocket, 1);
        // What was the session's polling side is over.
        assert_eq!(here.get(&poll_path(&sid)).status, 400);
        drop(sockets);
        assert_eq!(server.next_gone(), "transport close");
    }
}

#[test]
fn a_websocket_may_come_through_a_connection_that_was_used_for_polling() {
    let server = start(loops(2), Options::default());
    for _ in 0..2 {
        let (mut here, sid, mut there) = apart(&server, TestServer::connect);
        talk_over_polling(&mut here, &sid);
        upgrade(&mut here, &mut there, &sid);
        here.upgrade(crate::support::WS).unwrap();
        here.join();
        assert_eq!(here.ask(r#"["echo","fresh"]"#), r#"437["fresh"]"#);
    }
}

#[test]
fn loops_take_connections_in_turn_and_give_their_places_back() {
    let server = start(loops(2), Options::default());
    for _ in 0..3 {
        let mut conns: Vec<(Conn, u8)> = (0..10)
            .map(|_| {
                let mut conn = server.connect();
                let sid = conn.open();
                (conn, home(&sid))
            })
            .collect();
        let on_first = conns.iter().filter(|(_, home)| *home == b'A').count();
        assert_eq!(on_first, 5);
        conns.clear();
        let observer = server.running.as_ref().unwrap().observer();
        crate::support::until("the end of connections", || {
            observer.stats().connections == 0
        });
    }
}

/// A server with two loops, and what its clients trust.
fn over_tls() -> (TestServer, Certified) {
    let certified = Certified::new();
    let options = Options {
        tls: Some(Arc::clone(&certified.tls)),
        ..Options::default()
    };
    (start(loops(2), options), certified)
}

#[test]
fn websockets_and_polling_go_over_tls() {
    let (server, Certified { client, .. }) = over_tls();
    let mut ws = server.connect_tls(&client);
    ws.upgrade(crate::support::WS).unwrap();
    ws.join();
    let who = ws.ask(r#"["who"]"#);
    assert!(who.contains(",true,"), "secure: {who}");
    let long = "x".repeat(300_000);
    let answer = ws.ask(&format!(r#"["echo","{long}"]"#));
    assert_eq!(answer.len(), long.len() + 7);
    let (mut here, sid, mut there) = apart(&server, |server| server.connect_tls(&client));
    talk_over_polling(&mut there, &sid);
    assert_eq!(here.get("/socket.io/?EIO=4&transport=nothing").status, 400);
}

#[test]
fn a_session_over_tls_is_upgraded_by_a_websocket_on_either_loop() {
    let (server, Certified { client, .. }) = over_tls();
    for _ in 0..2 {
        let (mut here, sid, there) = apart(&server, |server| server.connect_tls(&client));
        talk_over_polling(&mut here, &sid);
        let mut ws = server.connect_tls(&client);
        upgrade(&mut here, &mut ws, &sid);
        let long = "y".repeat(200_000);
        let answer = ws.ask(&format!(r#"["echo","{long}"]"#));
        assert_eq!(answer.len(), long.len() + 7);
        ws.frame(0x88, &1000_u16.to_be_bytes());
        assert_eq!(
            ws.receive().unwrap(),
            (0x88, 1000_u16.to_be_bytes().to_vec())
        );
        drop((here, there, ws));
        // Or those that are just going would decide where the next ones go.
        let observer = server.running.as_ref().unwrap().observer();
        crate::support::until("the end of connections", || {
            observer.stats().connections == 0
        });
    }
}
