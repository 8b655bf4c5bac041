//! One process after the other on the same folder and port, with the recovery log in the store: clients come back to what they
//! missed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::SocketAddr;

use lakh_testkit::{SocketClient, WsClient};
use serde_json::{Value, json};
use support::{Server, lakh, output};
use tempfile::TempDir;

const PATH: &str = "/socket.io/?EIO=4&transport=websocket";

fn serve(folder: &TempDir, bind: &str) -> Server {
    let args = ["serve", "--bind", bind, "--log-format", "json"];
    let mut command = lakh(folder.path(), &args);
    command.env("LAKH_RECOVERY__LOG", "store");
    Server::run(command.env("LAKH_DRAIN__WINDOW_MS", "0"))
}

/// What a stock client remembers.
struct Recovering {
    ws: WsClient,
    pid: String,
    id: String,
    offset: Option<String>,
    /// Numbers of the events that it was given, in that order.
    seen: Vec<u64>,
}

impl Recovering {
    fn connect(server: SocketAddr, auth: &Value) -> Self {
        let mut ws = WsClient::open(server, PATH).unwrap();
        ws.send_text(&format!("40{auth}")).unwrap();
        let mut client = Self {
            ws,
            pid: String::new(),
            id: String::new(),
            offset: None,
            seen: Vec::new(),
        };
        client.until(|client| !client.id.is_empty());
        client
    }

    /// As the stock client does: with its private id, and the last offset.
    fn come_back(&self, server: SocketAddr, name: &str) -> Self {
        let mut auth = json!({"name": name, "pid": self.pid});
        if let Some(offset) = &self.offset {
            auth["offset"] = offset.as_str().into();
        }
        Self::connect(server, &auth)
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
                self.id = body["sid"].as_str().unwrap().to_owned();
            } else if let Some(event) = text.strip_prefix("42") {
                let event: Value = serde_json::from_str(event).unwrap();
                self.offset = event
                    .as_array()
                    .unwrap()
                    .last()
                    .unwrap()
                    .as_str()
                    .map(Into::into);
                self.seen.push(event[1].as_u64().unwrap());
            }
        }
    }

    fn join(&mut self, room: &str) {
        let ask = json!(["room:join", {"room": room}]);
        self.ws.send_text(&format!("4299{ask}")).unwrap();
        loop {
            let text = self.ws.receive().unwrap().text();
            if text.starts_with("4399") {
                assert!(text.contains("\"ok\":true"), "{text}");
                return;
            }
        }
    }
}

fn say(writer: &mut SocketClient, number: u64) -> u64 {
    let event = json!({"room": "r", "event": "said", "data": number});
    let answer = writer.call("room:emit", &[event]).unwrap();
    assert_eq!(answer["ok"], true, "{answer}");
    answer["seq"].as_u64().unwrap()
}

fn writer(server: &Server) -> SocketClient {
    let auth = json!({"name": "Grace"});
    let mut writer = SocketClient::connect(server.address, "/", &auth).unwrap();
    let joined = writer.call("room:join", &[json!({"room": "r"})]).unwrap();
    assert_eq!(joined["ok"], true, "{joined}");
    writer
}

#[test]
fn what_was_acknowledged_reaches_who_comes_back_after_a_kill_and_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let mut server = serve(&folder, "127.0.0.1:0");
    let bind = server.address.to_string();
    let mut client = Recovering::connect(server.address, &json!({"name": "Ada"}));
    client.join("r");
    let (mut said, mut seen) = (0, 0);
    for end in ["-KILL", "-TERM", "-KILL"] {
        let mut writer = writer(&server);
        said += 1;
        assert_eq!(say(&mut writer, said), said, "numbers go on");
        seen += 1;
        client.until(|client| client.seen.len() == seen);
        // It is away, and these are answered.
        let away = Recovering {
            seen: Vec::new(),
            ..client
        };
        for _ in 0..10 {
            said += 1;
            assert_eq!(say(&mut writer, said), said);
        }
        server.signal(end);
        assert_eq!(server.wait().success(), end == "-TERM");
        drop(server);
        server = serve(&folder, &bind);
        client = away.come_back(server.address, "Ada");
        assert_eq!((&client.id, &client.pid), (&away.id, &away.pid), "{end}");
        assert_eq!(
            client.seen,
            (said - 9..=said).collect::<Vec<u64>>(),
            "{end}"
        );
        seen = 10;
    }
    let metrics = lakh_testkit::get(server.address, "/metrics").unwrap();
    let metrics = String::from_utf8(metrics.body).unwrap();
    assert!(
        !metrics.contains("lakh_broker_"),
        "there is no broker: {metrics}"
    );
    let ready = lakh_testkit::get(server.address, "/ready").unwrap();
    assert_eq!(ready.status, 200);
    assert!(!String::from_utf8(ready.body).unwrap().contains("Redis"));
}

#[test]
fn with_a_broker_or_a_shared_store_the_log_has_its_place_already() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("lakh.toml");
    for rest in ["", "broker = \"local\"", "store = \"sqlite\""] {
        let text = format!("[recovery]\nlog = \"store\"\n[redis]\nurl = \"redis://a\"\n{rest}\n");
        std::fs::write(&file, text).unwrap();
        let (code, _, err) = output(folder.path(), &["check-config"]);
        assert_ne!(code, 0);
        assert!(
            err.contains("recovery.log") && err.contains("alone"),
            "{err}"
        );
    }
    let both = "[recovery]\nlog = \"store\"\n[redis]\nurl = \"redis://a\"\nbroker = \"local\"\nstore = \"sqlite\"\n";
    std::fs::write(&file, both).unwrap();
    let (code, _, err) = output(folder.path(), &["check-config"]);
    assert_eq!(code, 0, "{err}");
}
