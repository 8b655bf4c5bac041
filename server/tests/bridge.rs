//! Sources and sinks of the binary: entries of a broker reach clients, and what clients say reaches a broker, over the end of
//! the server and of the broker.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::HashSet;
use std::net::SocketAddr;

use lakh_testkit::redis::Redis;
use lakh_testkit::{BOUND, SocketClient, WsClient, get};
use serde_json::{Value, json};
use support::{Server, lakh, output};
use tempfile::TempDir;

const PATH: &str = "/socket.io/?EIO=4&transport=websocket";

fn configure(folder: &TempDir, url: &str) {
    let text = format!(
        r#"
[recovery]
log = "store"

[drain]
window_ms = 0

[[bridge.sources]]
name = "orders"
kind = "redis"
url = "{url}"
stream = "orders"
dead_letter = "orders:dead"
window_entries = 10

[[bridge.sinks]]
name = "said"
kind = "redis"
url = "{url}"
stream = "said:{{event}}"
types = "message"
rooms = "r*"
"#
    );
    std::fs::write(folder.path().join("lakh.toml"), text).unwrap();
}

fn serve(folder: &TempDir, bind: &str) -> Server {
    let args = [
        "serve",
        "--config",
        "lakh.toml",
        "--bind",
        bind,
        "--log-format",
        "json",
    ];
    Server::run(&mut lakh(folder.path(), &args))
}

fn redis() -> Redis {
    Redis::start(&["--appendonly", "yes", "--appendfsync", "always"]).unwrap()
}

fn add(redis: &Redis, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let added = redis.ask(&format!("XADD orders * room r event order data {number}"));
        assert!(added.unwrap().starts_with('$'));
    }
}

/// Waits until something holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + BOUND;
    while !holds() {
        assert!(
            std::time::Instant::now() < end,
            "it did not come to this: {what}"
        );
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// A client that recovers, and gets nothing twice of what sources bring.
struct Client {
    ws: WsClient,
    pid: String,
    offset: Option<String>,
    ids: HashSet<String>,
    seen: Vec<u64>,
}

impl Client {
    fn connect(server: SocketAddr) -> Self {
        let mut client = Self {
            ws: WsClient::open(server, PATH).unwrap(),
            pid: String::new(),
            offset: None,
            ids: HashSet::new(),
            seen: Vec::new(),
        };
        client.ws.send_text(r#"40{"name":"Ada"}"#).unwrap();
        client.until(|client| !client.pid.is_empty());
        client
    }

    fn come_back(&mut self, server: SocketAddr) {
        self.ws = WsClient::open(server, PATH).unwrap();
        let mut auth = json!({"name": "Ada", "pid": self.pid});
        if let Some(offset) = &self.offset {
            auth["offset"] = offset.as_str().into();
        }
        self.ws.send_text(&format!("40{auth}")).unwrap();
        let before = std::mem::take(&mut self.pid);
        self.until(|client| !client.pid.is_empty());
        assert_eq!(self.pid, before, "it was recovered");
    }

    fn join(&mut self) {
        let ask = json!(["room:join", {"room": "r"}]);
        self.ws.send_text(&format!("4299{ask}")).unwrap();
        while !self.ws.receive().unwrap().text().starts_with("4399") {}
    }

    fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        while !holds(self) {
            let frame = self.ws.receive().unwrap();
            let text = frame.text();
            if text == "2" {
                self.ws.send_text("3").unwrap();
            } else if let Some(body) = text.strip_prefix("40") {
                let body: Value = serde_json::from_str(body).unwrap();
                self.pid = body["pid"].as_str().unwrap().to_owned();
            } else if let Some(event) = text.strip_prefix("42") {
                self.event(&serde_json::from_str(event).unwrap());
            }
        }
    }

    fn event(&mut self, event: &Value) {
        self.offset = event
            .as_array()
            .unwrap()
            .last()
            .unwrap()
            .as_str()
            .map(Into::into);
        assert_eq!(
            (&event[0], &event[2]["from"]),
            (&json!("order"), &json!("source:orders"))
        );
        let id = event[2]["id"].as_str().unwrap();
        assert!(self.ids.insert(id.to_owned()), "{event} came twice");
        self.seen.push(event[1].as_u64().unwrap());
    }
}

#[test]
fn entries_of_a_stream_reach_a_client_over_kills_of_the_server() {
    let (folder, redis) = (TempDir::new().unwrap(), redis());
    configure(&folder, &redis.url());
    let mut server = serve(&folder, "127.0.0.1:0");
    let bind = server.address.to_string();
    let mut client = Client::connect(server.address);
    client.join();
    add(&redis, 0..300);
    for life in 1..=12 {
        // In the middle of a window: some of it is published, and nothing of it noted.
        let goal = 20 * life + 5;
        client.until(|client| client.seen.len() >= goal);
        server.signal("-KILL");
        server.wait();
        server = serve(&folder, &bind);
        client.come_back(server.address);
    }
    client.until(|client| client.seen.len() == 300);
    assert_eq!(client.seen, (0..300).collect::<Vec<_>>());
    // What nobody can read lies aside, and holds nothing up.
    redis
        .ask("XADD orders * room r event order data {broken")
        .unwrap();
    add(&redis, 300..301);
    client.until(|client| client.seen.len() == 301);
    // It's put there at the end of its window, beside what is published: it may be on its way yet.
    let waited = redis.ask("XREAD BLOCK 20000 STREAMS orders:dead 0");
    assert!(waited.unwrap().contains("{broken"));
    assert!(redis.ask("XLEN orders:dead").unwrap().starts_with(":1"));
    // Counted behind that.
    let dead = "lakh_source_dead_total{source=\"orders\"} 1";
    let mut looks = (0..1_000).map(|_| get(server.address, "/metrics").unwrap().text());
    let metrics = looks.find(|metrics| metrics.contains(dead));
    let metrics = metrics.expect("it is counted");
    for line in [
        "lakh_source_state{source=\"orders\",state=\"up\"} 1",
        "lakh_sink_state{sink=\"said\",state=\"up\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

/// Without a log that outlives the process, a history in the store is what is left of an event: each stands there once.
#[test]
fn a_history_in_the_store_has_each_entry_once_over_kills_of_the_server() {
    let (folder, redis) = (TempDir::new().unwrap(), redis());
    configure(&folder, &redis.url());
    let path = folder.path().join("lakh.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("log = \"store\"", "log = \"memory\"")
        + "\n[[rooms.options]]\npattern = \"r\"\nhistory = \"store\"\n";
    std::fs::write(path, text).unwrap();
    let mut server = serve(&folder, "127.0.0.1:0");
    let bind = server.address.to_string();
    for life in 0..12 {
        let mut client = Client::connect(server.address);
        client.join();
        add(&redis, life * 25..(life + 1) * 25);
        client.until(|client| client.seen.len() >= 5);
        server.signal("-KILL");
        server.wait();
        server = serve(&folder, &bind);
    }
    let mut client = Client::connect(server.address);
    client.join();
    add(&redis, 300..301);
    client.until(|client| client.seen.last() == Some(&300));
    let auth = json!({"name": "Grace"});
    let mut reader = SocketClient::connect(server.address, "/", &auth).unwrap();
    let ask = json!({"room": "r", "limit": 1000, "oldest_first": true});
    reader.call("room:join", &[json!({"room": "r"})]).unwrap();
    let told = reader.call("history:get", &[ask]).unwrap();
    let numbers = told["events"].as_array().unwrap().iter();
    let numbers: Vec<_> = numbers
        .map(|event| event["data"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..=300).collect::<Vec<_>>());
}

#[test]
fn what_was_said_while_the_broker_was_away_is_sent_by_the_next_life() {
    let (folder, mut redis) = (TempDir::new().unwrap(), redis());
    configure(&folder, &redis.url());
    let mut server = serve(&folder, "127.0.0.1:0");
    let status = |server: &Server| {
        let ready = get(server.address, "/ready").unwrap();
        let body: Value = serde_json::from_str(&ready.text()).unwrap();
        (ready.status, body["status"].clone())
    };
    until("it is well", || status(&server) == (200, json!("ready")));
    redis.kill().unwrap();
    until("it says so", || status(&server) == (200, json!("impaired")));
    let auth = json!({"name": "Grace"});
    let mut writer = SocketClient::connect(server.address, "/", &auth).unwrap();
    for room in ["r1", "other"] {
        writer
            .call("room:join", &[json!({ "room": room })])
            .unwrap();
    }
    for number in 0..30 {
        for room in ["r1", "other"] {
            let event = json!({"room": room, "event": "note", "data": number});
            assert_eq!(writer.call("room:emit", &[event]).unwrap()["ok"], true);
        }
    }
    server.signal("-TERM");
    assert!(server.wait().success());
    let _server = serve(&folder, "127.0.0.1:0");
    redis.restart().unwrap();
    until("all have come", || {
        redis.ask("XLEN said:note").unwrap().starts_with(":30")
    });
    let client = |command: &str| redis.ask(command).unwrap();
    let (first, last) = (
        client("XRANGE said:note - + COUNT 1"),
        client("XREVRANGE said:note + - COUNT 1"),
    );
    for (entry, number) in [(first, 0), (last, 29)] {
        assert!(
            entry.contains(&format!("\"data\":{number},\"seq\":{}}}", number + 1)),
            "{entry}"
        );
        assert!(entry.contains("\"name\":\"Grace\""), "{entry}");
    }
}

#[test]
fn addresses_are_not_shown_and_mistakes_are_told_before_anything_is_bound() {
    let folder = TempDir::new().unwrap();
    configure(&folder, "redis://:geheim@localhost");
    let (code, shown, _) = output(folder.path(), &["print-config", "--config", "lakh.toml"]);
    assert_eq!(code, 0);
    assert!(
        shown.contains("name = \"orders\"") && !shown.contains("geheim"),
        "{shown}"
    );
    for (wrong, told) in [
        ("kind = \"redis\"\nstream = \"s\"", "needs a `url`"),
        ("kind = \"radis\"\nurl = \"redis://a\"", "did you mean"),
        ("kind = \"redis\"\nurl = \"redis://a\"", "needs a `stream`"),
        (
            "kind = \"redis\"\nurl = \"redis://a\"\nsubject = \"s\"",
            "means nothing to redis",
        ),
        (
            "kind = \"redis\"\nurl = \"redis://a\"\nstream = \"s\"\nroom = \"field:\"",
            "say field:NAME",
        ),
        (
            "kind = \"redis\"\nurl = \"redis://a\"\nstream = \"s\"\nwindow = 1",
            "unknown key `window`",
        ),
    ] {
        let text = format!("[[bridge.sources]]\nname = \"a\"\n{wrong}\n");
        std::fs::write(folder.path().join("lakh.toml"), text).unwrap();
        let (code, _, errors) = output(folder.path(), &["check-config", "--config", "lakh.toml"]);
        assert_ne!(code, 0);
        assert!(errors.contains(told), "{told} is not in {errors}");
    }
}
