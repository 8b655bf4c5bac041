//! Hooks of the real binary: what it stored survives its end, and of a fleet one node sends.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../crates/bridge/tests/hooks/receiver.rs"]
mod receiver;
mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use lakh_testkit::{BOUND, SocketClient, get};
use receiver::{Reaction, Receiver};
use serde_json::{Value, json};
use support::redis::Redis;
use support::{Server, lakh, output};
use tempfile::TempDir;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Writes the settings that a server in this folder finds.
fn configure(folder: &Path, hooks: &str) {
    let text = format!("[drain]\nwindow_ms = 0\n[chat]\nmessages_per_second = 100000\n{hooks}");
    std::fs::write(folder.join("lakh.toml"), text).unwrap();
}

fn endpoint(url: &str) -> String {
    format!(
        "[[hooks.endpoints]]\nname = \"crm\"\nurl = \"{url}\"\nsecret = \"{SECRET}\"\nevents = [\"message\"]\n\
         batch_events = 7\nretry_first_ms = 50\nretry_longest_ms = 500\nmax_attempts = 100000\ntimeout_ms = 2000\n"
    )
}

struct Chat(SocketClient);

impl Chat {
    fn join(server: &Server, room: &str) -> Self {
        let auth = json!({"name": "Ada"});
        let mut chat = SocketClient::connect(server.address, "/chat", &auth).unwrap();
        let joined = chat.call("room:join", &[json!({"room": room})]).unwrap();
        assert_eq!(joined["ok"], true, "{joined}");
        Self(chat)
    }

    fn send(&mut self, room: &str, text: &str) -> Value {
        let message = json!({"room": room, "key": text, "text": text});
        self.0.call("message:send", &[message]).unwrap()
    }

    /// The number that it got.
    fn say(&mut self, room: &str, text: &str) -> u64 {
        let sent = self.send(room, text);
        assert_eq!(sent["ok"], true, "{sent}");
        sent["message"]["seq"].as_u64().unwrap()
    }
}

/// A number of the metrics.
fn metric(server: &Server, name: &str) -> Option<f64> {
    let response = get(server.address, "/metrics").unwrap();
    let text = String::from_utf8(response.body).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|value| value.trim().parse().ok())
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < BOUND, "waited for {what}");
        std::thread::yield_now();
    }
}

fn serve(folder: &TempDir) -> Server {
    let args = ["serve", "--bind", "127.0.0.1:0", "--log-format", "json"];
    Server::run(&mut lakh(folder.path(), &args))
}

#[test]
fn what_was_stored_is_sent_after_kills_and_stops_and_nothing_is_lost() {
    let is_well = Arc::new(AtomicBool::new(false));
    let own = Arc::clone(&is_well);
    let receiver = Receiver::start(move |_| match own.load(Ordering::Relaxed) {
        true => Reaction::ok(),
        false => Reaction::status(500),
    });
    let folder = TempDir::new().unwrap();
    configure(folder.path(), &endpoint(&receiver.url()));
    let mut last = 0;
    for signal in ["-KILL", "-TERM", "-KILL"] {
        let mut server = serve(&folder);
        let mut chat = Chat::join(&server, "a");
        for number in 0..40 {
            last = chat.say("a", &format!("{signal} {last} {number}"));
        }
        // What was acknowledged is in the store, however soon after that it ends.
        server.signal(signal);
        server.wait();
    }
    assert_eq!(last, 120);
    is_well.store(true, Ordering::Relaxed);
    let server = serve(&folder);
    receiver.wait("all messages", |seen| seen.numbers("a").len() == 120);
    let expected: Vec<u64> = (1..=120).collect();
    assert_eq!(receiver.look(|seen| seen.numbers("a")), expected);
    until("an empty store", || {
        metric(&server, "lakh_hooks_waiting{hook=\"crm\"}") == Some(0.0)
    });
    assert_eq!(
        metric(&server, "lakh_hooks_dead_total{hook=\"crm\"}"),
        Some(0.0)
    );
}

#[test]
fn of_three_nodes_one_sends_for_all_and_another_when_it_is_killed() {
    let receiver = Receiver::start(|_| Reaction::ok());
    let redis = Redis::start();
    let folders = [(); 3].map(|()| TempDir::new().unwrap());
    let mut nodes: Vec<Server> = Vec::new();
    for (folder, name) in folders.iter().zip(["one", "two", "tri"]) {
        configure(folder.path(), &endpoint(&receiver.url()));
        let args = [
            "serve",
            "--bind",
            "127.0.0.1:0",
            "--log-format",
            "json",
            "--node",
            name,
        ];
        let mut command = lakh(folder.path(), &args);
        command.env("LAKH_REDIS", redis.url());
        nodes.push(Server::run(&mut command));
    }
    let leads = |node: &Server| metric(node, "lakh_hooks_leads{hook=\"crm\"}") == Some(1.0);
    until("one that sends", || nodes.iter().any(leads));
    let mut chats: Vec<Chat> = nodes.iter().map(|node| Chat::join(node, "a")).collect();
    let mut last = 0;
    for number in 0..60 {
        last = chats[number % 3].say("a", &number.to_string());
    }
    receiver.wait("all messages", |seen| {
        seen.numbers("a").len() as u64 == last
    });
    receiver.look(|seen| {
        assert_eq!(seen.taken.len(), 60, "each once");
        assert_eq!(seen.numbers("a"), (1..=60).collect::<Vec<_>>());
    });
    let leading = nodes.iter().position(leads).unwrap();
    let mut dead = nodes.remove(leading);
    chats.remove(leading);
    dead.signal("-KILL");
    dead.wait();
    for number in 60..120 {
        last = chats[number % 2].say("a", &number.to_string());
    }
    receiver.wait("the rest", |seen| seen.numbers("a").len() as u64 == last);
    // In order of their numbers, although two nodes stored them.
    assert_eq!(
        receiver.look(|seen| seen.numbers("a")),
        (1..=120).collect::<Vec<_>>()
    );
    assert_eq!(nodes.iter().filter(|node| leads(node)).count(), 1);
}

#[test]
fn a_gate_refuses_and_changes_what_clients_of_chat_say() {
    let receiver = Receiver::start(|request| {
        let body = &request.body;
        match (body["type"].as_str(), body["data"]["text"].as_str()) {
            (Some("connect"), _) if body["user"]["name"] == "Eve" => {
                Reaction::json(json!({"refuse": {"code": "banned", "message": "Not you"}}))
            }
            (Some("subscribe"), _) if body["room"] == "secret" => {
                Reaction::json(json!({"refuse": {"code": "closed", "message": "Nobody comes in"}}))
            }
            (Some("publish"), Some("shout")) => {
                Reaction::json(json!({"change": {"data": {"text": "whisper"}}}))
            }
            (Some("publish"), Some("bad")) => {
                Reaction::json(json!({"refuse": {"code": "rude", "message": "Be nice"}}))
            }
            _ => Reaction::json(json!({"allow": true})),
        }
    });
    let folder = TempDir::new().unwrap();
    let gate = format!(
        "[[hooks.gates]]\nname = \"guard\"\nurl = \"{}\"\nsecret = \"{SECRET}\"\ntimeout_ms = 30000\n",
        receiver.url()
    );
    configure(folder.path(), &gate);
    let server = serve(&folder);
    let mut chat = Chat::join(&server, "a");
    assert_eq!(chat.send("a", "hello")["message"]["text"], "hello");
    assert_eq!(chat.send("a", "shout")["message"]["text"], "whisper");
    assert_eq!(chat.send("a", "bad")["error"]["code"], "rude");
    let refused = chat
        .0
        .call("room:join", &[json!({"room": "secret"})])
        .unwrap();
    assert_eq!(refused["error"]["code"], "closed");
    let eve = SocketClient::connect(server.address, "/chat", &json!({"name": "Eve"}));
    let refused = eve.err().unwrap().to_string();
    assert!(refused.contains("Not you"), "{refused}");
    let answers = |answer: &str| {
        let name = format!("lakh_hooks_gate_answers_total{{hook=\"guard\",answer=\"{answer}\"}}");
        metric(&server, &name)
    };
    assert_eq!(
        (answers("refused"), answers("changed")),
        (Some(3.0), Some(1.0))
    );
}

#[test]
fn what_is_wrong_with_hooks_is_told_without_starting() {
    let folder = TempDir::new().unwrap();
    let check = |hooks: &str| {
        configure(folder.path(), hooks);
        let (code, out, told) = output(folder.path(), &["check-config"]);
        (code, format!("{out}{told}"))
    };
    let secret = format!("secret = \"{SECRET}\"");
    let (code, told) = check(&endpoint("https://crm.example"));
    assert_eq!(code, 0, "{told}");
    for (from, to, message) in [
        (
            "https://crm.example",
            "crm.example",
            "must begin with https://",
        ),
        ("\"crm\"", "\"C R M\"", "is no name for a hook"),
        (SECRET, "short", "is no secret for signatures"),
        ("\"message\"", "\"mesage\"", "did you mean `message`"),
        (
            "batch_events = 7",
            "batch_event = 7",
            "did you mean `batch_events`",
        ),
        (
            "timeout_ms = 2000",
            "timeout_ms = 0",
            "`timeout_ms` must be more than 0",
        ),
        (&secret, "secret_file = \"missing\"", "can't be read"),
        (
            "timeout_ms = 2000",
            "order = \"rooms\"",
            "did you mean `room`",
        ),
    ] {
        let hooks = endpoint("https://crm.example").replace(from, to);
        let (code, told) = check(&hooks);
        assert_ne!(code, 0, "{to}");
        assert!(told.contains(message), "{to}: {told}");
        assert!(!told.contains("MfKQ9r8G"), "a secret is told: {told}");
    }
    let (code, told) = check("[[hooks.gates]]\nname = \"g\"\nurl = \"https://g.example\"\n");
    assert_ne!(code, 0);
    assert!(told.contains("needs a secret"), "{told}");
}

#[test]
fn settings_in_force_are_shown_without_the_secret() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("key"), format!("{SECRET}\n")).unwrap();
    let hooks = endpoint("https://crm.example")
        .replace(&format!("secret = \"{SECRET}\""), "secret_file = \"key\"");
    configure(folder.path(), &hooks);
    let (code, shown, told) = output(folder.path(), &["print-config"]);
    assert_eq!(code, 0, "{told}");
    assert!(shown.contains("https://crm.example"), "{shown}");
    assert!(!shown.contains("MfKQ9r8G"), "{shown}");
}
