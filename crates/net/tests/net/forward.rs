//! Requests that reach a node which doesn't have their session: several servers, and a directory of the test's own.

#![allow(unreachable_pub)]

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use lakh_hub::Settings;
use lakh_net::trust::TrustedProxies;
use lakh_net::{Fleet, Node, Options, Peers, Secret};

use crate::loops::{talk_over_polling, upgrade};
use crate::support::{
    Certified, Conn, POLL, TestServer, WS, loops, poll_path, start, until, ws_path,
};

/// All nodes know what stands here, and what is to come after the next look.
#[derive(Debug, Default)]
pub struct Directory {
    known: Mutex<HashMap<String, Node>>,
    coming: Mutex<HashMap<String, Node>>,
    pub looks: AtomicUsize,
}

impl Directory {
    pub fn put(&self, tag: &str, node: Node) {
        self.known.lock().unwrap().insert(tag.to_owned(), node);
    }
}

impl Peers for Directory {
    fn find(&self, tag: &str) -> Option<Node> {
        self.known.lock().unwrap().get(tag).cloned()
    }

    fn read_again(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            self.looks.fetch_add(1, Ordering::Relaxed);
            let coming = std::mem::take(&mut *self.coming.lock().unwrap());
            self.known.lock().unwrap().extend(coming);
        })
    }
}

pub fn named(name: &str, shards: usize) -> Settings {
    Settings {
        node: name.to_owned(),
        ..loops(shards)
    }
}

pub fn secret_of(name: &str) -> Secret {
    Secret::new(&format!("{name}SecretOfTheTest")).unwrap()
}

pub fn options(directory: &Arc<Directory>, name: &str) -> Options {
    Options {
        fleet: Some(Fleet {
            peers: Arc::clone(directory) as Arc<dyn Peers>,
            secret: secret_of(name),
            listen: None,
        }),
        ..Options::default()
    }
}

pub fn join(directory: &Directory, name: &str, server: &TestServer) {
    let node = Node {
        address: server.address,
        secret: secret_of(name),
    };
    directory.put(&format!("{name}-"), node);
}

/// Nodes `n1` and `n2` that know each other, with two loops each.
pub fn two() -> (TestServer, TestServer, Arc<Directory>) {
    let directory = Arc::new(Directory::default());
    let [one, two] = ["n1", "n2"].map(|name| {
        let server = start(named(name, 2), options(&directory, name));
        join(&directory, name, &server);
        server
    });
    (one, two, directory)
}

/// How often a server has forwarded requests of this kind with this result.
pub fn count(server: &TestServer, kind: &str, result: &str) -> u64 {
    let stats = server.running.as_ref().unwrap().observer().stats();
    let mut all = stats.forwarded.iter();
    let one = all.find(|count| (count.kind, count.result) == (kind, result));
    one.unwrap().count
}

pub fn open(server: &TestServer) -> usize {
    let stats = server.running.as_ref().unwrap().observer().stats();
    stats.forwarding.iter().map(|(_, open)| open).sum()
}

#[test]
fn polls_and_posts_are_forwarded_to_the_node_that_has_the_session() {
    let (one, two, _) = two();
    let sid = one.connect().open();
    let mut there = two.connect();
    talk_over_polling(&mut there, &sid);
    // Large, both ways, and binary.
    let long = "x".repeat(900_000);
    let body = format!("42[\"bin\",\"{long}\"]");
    assert_eq!(there.post(&poll_path(&sid), body.as_bytes()).status, 200);
    let body = format!("427[\"echo\",\"{long}\"]");
    assert_eq!(there.post(&poll_path(&sid), body.as_bytes()).text(), "ok");
    let answer = there.poll_for(&sid, |packet| packet.starts_with("437"));
    assert_eq!(answer.len(), long.len() + 7);
    let binary = "451-[\"bin\",{\"_placeholder\":true,\"num\":0}]\u{1e}bAAECAw==";
    there.post(&poll_path(&sid), binary.as_bytes());
    assert_eq!(
        there.poll_for(&sid, |packet| packet.starts_with('b')),
        "bAAECAw=="
    );
    // A poll waits at the one node while a POST comes through the other.
    there.write(format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", poll_path(&sid)).as_bytes());
    one.connect()
        .post(&poll_path(&sid), br#"422["echo","across"]"#);
    assert_eq!(there.response().unwrap().text(), r#"432["across"]"#);
    // And the client says goodbye.
    assert_eq!(there.post(&poll_path(&sid), b"1").status, 200);
    assert_eq!(one.next_gone(), "transport close");
    assert!(count(&two, "polling", "answered") >= 9);
    assert_eq!(count(&one, "polling", "answered"), 0);
    until("the end of what was forwarded", || open(&two) == 0);
}

#[test]
fn connections_between_nodes_are_used_again() {
    let (one, two, _) = two();
    let sid = one.connect().open();
    let mut there = two.connect();
    for _ in 0..20 {
        assert_eq!(there.post(&poll_path(&sid), b"3").status, 200);
    }
    let accepted = one.running.as_ref().unwrap().observer().stats().accepted;
    assert!(accepted <= 3, "{accepted} connections for 20 requests");
}

#[test]
fn a_session_is_upgraded_through_another_node_and_closes_both_ways() {
    let (one, two, _) = two();
    for way in 0..3 {
        let sid = one.connect().open();
        let mut polling = two.connect();
        talk_over_polling(&mut polling, &sid);
        let mut ws = two.connect();
        upgrade(&mut polling, &mut ws, &sid);
        let long = "y".repeat(900_000);
        let answer = ws.ask(&format!(r#"["echo","{long}"]"#));
        assert_eq!(answer.len(), long.len() + 7);
        assert_eq!(open(&two), 1);
        let why = match way {
            0 => {
                drop(ws);
                "transport close"
            }
            1 => {
                ws.frame(0x88, &1000_u16.to_be_bytes());
                assert_eq!(ws.receive().unwrap().0, 0x88);
                assert!(ws.is_closed());
                "transport close"
            }
            _ => {
                ws.send(r#"42["leave",true]"#);
                while ws.receive().is_some_and(|(first, _)| first != 0x88) {}
                assert!(ws.is_closed());
                drop(ws);
                "server namespace disconnect"
            }
        };
        assert_eq!(one.next_gone(), why);
        until("the end of what was forwarded", || open(&two) == 0);
    }
    assert_eq!(count(&two, "websocket", "answered"), 3);
}

#[test]
fn a_websocket_is_forwarded_on_a_connection_that_was_used_for_polling() {
    let (one, two, _) = two();
    let sid = one.connect().open();
    let (mut polling, mut ws) = (two.connect(), two.connect());
    talk_over_polling(&mut polling, &sid);
    assert_eq!(ws.post(&poll_path(&sid), b"3").status, 200);
    upgrade(&mut polling, &mut ws, &sid);
    drop(ws);
    assert_eq!(one.next_gone(), "transport close");
    // And one for a session that is no more is refused by its owner.
    assert_eq!(polling.upgrade(&ws_path(&sid)).unwrap_err().status, 400);
    let refused = two.connect().upgrade(&ws_path(&sid)).unwrap_err();
    assert_eq!(
        refused.text(),
        r#"{"code":1,"message":"Session ID unknown"}"#
    );
    assert_eq!(count(&two, "websocket", "answered"), 3);
}

#[test]
fn a_slow_reader_of_a_forwarded_websocket_slows_its_owner_and_loses_nothing() {
    let (one, two, _) = two();
    let sid = one.connect().open();
    let mut polling = two.connect();
    talk_over_polling(&mut polling, &sid);
    let mut ws = two.connect();
    upgrade(&mut polling, &mut ws, &sid);
    let long = "z".repeat(50_000);
    for n in 0..100 {
        ws.send(&format!(r#"42{n}["echo","{long}"]"#));
    }
    for n in 0..100 {
        assert_eq!(ws.text(), format!(r#"43{n}["{long}"]"#));
    }
}

#[test]
fn a_client_that_hangs_up_on_a_forwarded_poll_is_gone_at_its_owner() {
    let (one, two, _) = two();
    let sid = one.connect().open();
    let mut there = two.connect();
    talk_over_polling(&mut there, &sid);
    there.write(format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", poll_path(&sid)).as_bytes());
    until("the poll's way", || open(&two) == 1);
    drop(there);
    assert_eq!(one.next_gone(), "transport error");
    until("the end of what was forwarded", || open(&two) == 0);
}

#[test]
fn a_node_that_is_new_is_found_with_one_more_look() {
    let directory = Arc::new(Directory::default());
    let two = start(named("n2", 1), options(&directory, "n2"));
    let one = start(named("n1", 1), options(&directory, "n1"));
    let node = Node {
        address: one.address,
        secret: secret_of("n1"),
    };
    let coming = HashMap::from([("n1-".to_owned(), node)]);
    *directory.coming.lock().unwrap() = coming;
    let sid = one.connect().open();
    talk_over_polling(&mut two.connect(), &sid);
    assert_eq!(directory.looks.load(Ordering::Relaxed), 1);
}

fn who(ws: &mut Conn) -> String {
    ws.join();
    ws.ask(r#"["who"]"#)
}

#[test]
fn the_owner_believes_a_node_about_the_client_and_nobody_else() {
    let (one, _two, _) = two();
    let good = "n2- n1SecretOfTheTest 192.0.2.7:5555 https";
    let mut ws = one.connect();
    ws.upgrade_with(WS, &[("Lakh-Forwarded", good)]).unwrap();
    assert!(who(&mut ws).contains(r#""192.0.2.7:5555",true"#));
    for forged in [
        "n2- n2SecretOfTheTest 192.0.2.7:5555 https",
        "n2- guessedSecretOfIt 192.0.2.7:5555 https",
        "192.0.2.7",
    ] {
        let mut ws = one.connect();
        let headers = [("Lakh-Forwarded", forged), ("X-Forwarded-For", "192.0.2.7")];
        ws.upgrade_with(WS, &headers).unwrap();
        let who = who(&mut ws);
        assert!(
            who.contains("127.0.0.1:") && who.contains(",false,"),
            "{who}"
        );
    }
}

#[test]
fn bounds_of_an_address_count_the_client_and_not_the_node_that_forwards() {
    let directory = Arc::new(Directory::default());
    let mut bounded = options(&directory, "n1");
    bounded.connections.per_address = Some(1);
    let one = start(named("n1", 1), bounded);
    let from = |client: &str| format!("n2- n1SecretOfTheTest {client} http");
    let open = |client: &str| {
        let mut conn = one.connect();
        let value = from(client);
        let status = conn
            .request("GET", POLL, &[("Lakh-Forwarded", &value)], b"")
            .status;
        (conn, status)
    };
    let (_kept, first) = open("192.0.2.1:1");
    let (_also, second) = open("192.0.2.2:1");
    let (_, third) = open("192.0.2.1:2");
    assert_eq!([first, second, third], [200, 200, 429]);
}

#[test]
fn rules_of_the_owner_see_the_client_that_proxies_told_and_no_forgery() {
    let directory = Arc::new(Directory::default());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut watched = options(&directory, "n1");
    watched.hooks = {
        let seen = Arc::clone(&seen);
        watched.hooks.use_request(move |parts| {
            let values = parts.headers.get_all("x-forwarded-for").into_iter();
            let values: Vec<String> = values
                .map(|value| value.to_str().unwrap().to_owned())
                .collect();
            seen.lock().unwrap().push(values.join("; "));
            Ok(())
        })
    };
    let one = start(named("n1", 1), watched);
    join(&directory, "n1", &one);
    let sid = one.connect().open();
    let trusting = Options {
        trusted: TrustedProxies::parse(["127.0.0.1"]).unwrap(),
        ..options(&directory, "n2")
    };
    let claims = [("X-Forwarded-For", "203.0.113.66, 203.0.113.5")];
    for (options, expected) in [
        (trusting, "203.0.113.5"),
        (options(&directory, "n2"), "127.0.0.1"),
    ] {
        let two = start(named("n2", 1), options);
        seen.lock().unwrap().clear();
        assert_eq!(
            two.connect()
                .request("POST", &poll_path(&sid), &claims, b"3")
                .status,
            200
        );
        assert_eq!(*seen.lock().unwrap(), [expected]);
    }
}

#[test]
fn nodes_that_serve_tls_forward_to_each_others_own_door() {
    let directory = Arc::new(Directory::default());
    let certified = Certified::new();
    let [one, two] = ["n1", "n2"].map(|name| {
        let mut options = options(&directory, name);
        options.tls = Some(Arc::clone(&certified.tls));
        if let Some(fleet) = &mut options.fleet {
            fleet.listen = Some(([127, 0, 0, 1], 0).into());
        }
        let server = start(named(name, 2), options);
        let node = Node {
            address: server.running.as_ref().unwrap().nodes_addr().unwrap(),
            secret: secret_of(name),
        };
        directory.put(&format!("{name}-"), node);
        server
    });
    let sid = one.connect_tls(&certified.client).open();
    let mut polling = two.connect_tls(&certified.client);
    talk_over_polling(&mut polling, &sid);
    let mut ws = two.connect_tls(&certified.client);
    upgrade(&mut polling, &mut ws, &sid);
    let long = "y".repeat(900_000);
    let answer = ws.ask(&format!(r#"["echo","{long}"]"#));
    assert_eq!(answer.len(), long.len() + 7);
    ws.frame(0x88, &1000_u16.to_be_bytes());
    assert_eq!(ws.receive().unwrap().0, 0x88);
    assert_eq!(one.next_gone(), "transport close");
    let door = directory.find("n1-").unwrap().address;
    let knock = || Conn::new(Box::new(std::net::TcpStream::connect(door).unwrap()));
    assert_eq!(knock().get(POLL).status, 403);
    assert_eq!(knock().get("/metrics").status, 403);
    assert_eq!(knock().upgrade(WS).unwrap_err().status, 403);
    assert_eq!(one.hub.stats().sessions, 0);
}
