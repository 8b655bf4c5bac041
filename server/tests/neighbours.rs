//! Nodes of a fleet pass requests on to the one that has the session: each a process, with a Redis of the test's own.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::SocketAddr;
use std::process::Command;

use lakh_testkit::{Response, WsClient};
use support::redis::Redis;
use support::{Server, lakh};
use tempfile::TempDir;

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

/// A node of a fleet, not started yet.
fn command(folder: &TempDir, redis: &Redis, args: &[&str]) -> Command {
    let mut command = lakh(folder.path(), &["serve", "--log-format", "json"]);
    command
        .args(args)
        .env("LAKH_REDIS", redis.url())
        .env("LAKH_DRAIN__WINDOW_MS", "0");
    command
}

fn node(folder: &TempDir, redis: &Redis, name: &str) -> Server {
    let args = ["--bind", "127.0.0.1:0", "--node", name];
    Server::run(&mut command(folder, redis, &args))
}

/// Opens a session by long polling and gives its id.
fn open(at: SocketAddr) -> String {
    let answer = lakh_testkit::get(at, POLLING).unwrap().text();
    let open: serde_json::Value = serde_json::from_str(&answer[1..]).unwrap();
    open["sid"].as_str().unwrap().to_owned()
}

fn poll(at: SocketAddr, sid: &str) -> Response {
    lakh_testkit::get(at, &format!("{POLLING}&sid={sid}")).unwrap()
}

fn post(at: SocketAddr, sid: &str, body: &str) -> Response {
    let length = body.len();
    let request = format!(
        "POST {POLLING}&sid={sid} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    lakh_testkit::exchange(at, request.as_bytes()).unwrap()
}

/// Connects to `/` and asks for an answer, over connections of their own.
fn talk(at: SocketAddr, sid: &str) {
    assert_eq!(post(at, sid, "40").status, 200);
    assert!(poll(at, sid).text().starts_with("40{"));
    let asked = r#"421["room:join",{"room":"r"}]"#;
    assert_eq!(post(at, sid, asked).status, 200);
    let answer = poll(at, sid).text();
    assert!(answer.starts_with(r#"431[{"ok":true"#), "{answer}");
}

fn forwarded(server: &Server, kind: &str, result: &str) -> u64 {
    let metrics = lakh_testkit::get(server.address, "/metrics")
        .unwrap()
        .text();
    let name = format!("lakh_forwarded_requests_total{{kind=\"{kind}\",result=\"{result}\"}} ");
    let mut lines = metrics.lines();
    let count = lines.find_map(|line| line.strip_prefix(&name)).unwrap();
    count.parse().unwrap()
}

#[test]
fn a_session_is_reached_through_any_node_until_its_own_is_gone() {
    let (folders, redis) = (
        [TempDir::new().unwrap(), TempDir::new().unwrap()],
        Redis::start(),
    );
    let mut one = node(&folders[0], &redis, "n01");
    let two = node(&folders[1], &redis, "n02");
    let sid = open(one.address);
    assert!(sid.starts_with("n01"));
    talk(two.address, &sid);
    assert_eq!(forwarded(&two, "polling", "answered"), 4);
    assert_eq!(forwarded(&one, "polling", "answered"), 0);
    let path = format!("/socket.io/?EIO=4&transport=websocket&sid={sid}");
    let mut ws = WsClient::open(two.address, &path).unwrap();
    ws.send_text("2probe").unwrap();
    assert_eq!(ws.receive().unwrap().text(), "3probe");
    assert_eq!(forwarded(&two, "websocket", "answered"), 1);
    one.signal("-TERM");
    assert!(one.wait().success());
    let told = poll(two.address, &sid);
    let unknown = r#"{"code":1,"message":"Session ID unknown"}"#;
    assert_eq!((told.status, told.text().as_str()), (400, unknown));
}

#[test]
fn processes_that_share_a_port_pass_on_what_is_each_others() {
    let (folders, redis) = (
        [TempDir::new().unwrap(), TempDir::new().unwrap()],
        Redis::start(),
    );
    let share = |folder: &TempDir, name: &str, bind: &str| {
        let args = ["--bind", bind, "--node", name];
        let mut command = command(folder, &redis, &args);
        command
            .env("LAKH_SERVER__REUSE_PORT", "true")
            .env("LAKH_SERVER__NODES_BIND", "127.0.0.1:0");
        Server::run(&mut command)
    };
    let old = share(&folders[0], "old", "127.0.0.1:0");
    let address = old.address;
    let sid = open(address);
    let _new = share(&folders[1], "new", &address.to_string());
    // Each request is a connection of its own, and the kernel deals them out to both.
    let mut tags = std::collections::BTreeSet::new();
    for _ in 0..64 {
        tags.insert(open(address)[..3].to_owned());
        assert_eq!(post(address, &sid, "3").status, 200);
    }
    assert_eq!(tags.len(), 2, "all connections reached one process");
    talk(address, &sid);
}

#[test]
fn a_node_that_others_can_not_reach_says_so_and_what_to_do() {
    let (folder, redis) = (TempDir::new().unwrap(), Redis::start());
    let cases = [
        // Redis is on a socket file, which says nothing of networks.
        ("0.0.0.0:0", "LAKH_SERVER__OPEN", "set server.advertise"),
        (
            "127.0.0.1:0",
            "LAKH_SERVER__REUSE_PORT",
            "set server.nodes_bind",
        ),
    ];
    for (bind, key, told) in cases {
        let mut command = command(&folder, &redis, &["--bind", bind, "--node", "n01"]);
        let mut server = Server::spawn(command.env(key, "true"));
        server.wait_for(told);
        server.wait_for("listening on");
        server.signal("-TERM");
        assert!(server.wait().success());
    }
}
