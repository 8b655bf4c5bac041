//! What is taken back: on the node that was told, on the others, over a restart, and from who comes back by a session's id.
//! Nodes of this test live in its process, so that they can be told; sockets, Redis and files are real.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use lakh_auth::{Principal, Revoked};
use lakh_hub::{Clock as _, Hub};
use lakh_net::{Server, SystemClock};
use lakh_server::config::Settings;
use lakh_server::config::load::{ConfigFile, Sources, load};
use lakh_server::node::{self, Backing, Prepared, Revocations, RevokeError};
use lakh_server::sign_in::SignIn;
use lakh_testkit::{Opcode, SocketClient, WsClient};
use serde_json::{Value, json};
use support::SECRET;
use support::redis::Redis;
use tempfile::TempDir;

fn now_ms() -> u64 {
    SystemClock::default().wall_ms()
}

fn now_s() -> u64 {
    now_ms() / 1_000
}

/// Settings in TOML, with tokens.
fn settings(more: &str) -> Settings {
    let text = format!(
        "[server]\nbind = \"127.0.0.1:0\"\n[auth]\nsecret = \"{SECRET}\"\n[drain]\nwindow_ms = 1\n{more}"
    );
    let sources = Sources {
        file: Some(ConfigFile {
            path: "lakh.toml".into(),
            text,
        }),
        env: Vec::new(),
        flags: Vec::new(),
        read_file: &|_| panic!("no file is named"),
    };
    load(&sources).unwrap().settings
}

fn redis(redis: &Redis, more: &str) -> Settings {
    settings(&format!("[redis]\nurl = \"{}\"\n{more}", redis.url()))
}

/// A node on a thread of its own, ended when it's dropped.
struct Node {
    address: SocketAddr,
    hub: Hub,
    revocations: Arc<Revocations>,
    sign_in: SignIn,
    runtime: tokio::runtime::Handle,
    end: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Node {
    fn start(settings: &Settings, folder: &Path, name: &str) -> Self {
        let (send, receive) = mpsc::channel();
        let (end, ended) = tokio::sync::oneshot::channel();
        let (settings, folder, name) = (settings.clone(), folder.to_owned(), name.to_owned());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut prepared = Prepared::new(&settings, name.clone(), 1).unwrap();
                let plan = prepared.fleet.take();
                let backing = Backing::open(plan.as_ref(), &folder, name, now_ms).await;
                let mut backing = backing.unwrap();
                let hub = Hub::new(prepared.hub, SystemClock::default());
                backing.join(plan.as_ref(), &hub).unwrap();
                if prepared.keeps_log {
                    backing.keep_log(&hub).unwrap();
                }
                let sign_in = SignIn::new(&settings.auth, now_s).unwrap();
                let revocations = backing.make_revocations(&hub, &settings, now_ms);
                node::guard(&hub, &sign_in, &revocations, None, &settings, now_ms);
                node::install(&hub, backing.store(), &settings, &sign_in, &revocations);
                backing.settle().await.unwrap();
                backing.hear_revocations().await.unwrap();
                let running = Server::new(hub.clone(), prepared.options).start().unwrap();
                let address = running.local_addr().unwrap();
                let runtime = tokio::runtime::Handle::current();
                send.send((address, hub, revocations, sign_in, runtime))
                    .unwrap();
                let _ = ended.await;
                running.stop().await;
                backing.close().await.unwrap();
            });
        });
        let (address, hub, revocations, sign_in, runtime) = receive.recv().unwrap();
        Self {
            address,
            hub,
            revocations,
            sign_in,
            runtime,
            end: Some(end),
            thread: Some(thread),
        }
    }

    fn token(&self, person: &str, token: &str, session: &str) -> String {
        let principal = Principal {
            token: Some(token.into()),
            session: Some(session.into()),
            ..Principal::person(person, person)
        };
        self.sign_in.issue(&principal, None, 3_600).unwrap()
    }

    fn connect(&self, token: &str) -> std::io::Result<SocketClient> {
        SocketClient::connect(self.address, "/", &json!({ "token": token }))
    }

    fn revoke(&self, what: Revoked, until_s: Option<u64>) -> Result<(), RevokeError> {
        let (send, receive) = mpsc::channel();
        let revocations = Arc::clone(&self.revocations);
        self.runtime.spawn(async move {
            let done = revocations.revoke(what, until_s).await;
            send.send(done.map(drop)).unwrap();
        });
        receive.recv().unwrap()
    }

    /// Waits until it has seen that all connections broke.
    fn is_left(&self) {
        let begun = std::time::Instant::now();
        while self.hub.stats().sockets > 0 {
            assert!(begun.elapsed() < lakh_testkit::BOUND, "somebody stays");
            std::thread::yield_now();
        }
    }

    /// Waits until it has heard of so many.
    fn hears(&self, entries: usize) {
        let begun = std::time::Instant::now();
        while self.revocations.counts().0 < entries {
            assert!(begun.elapsed() < lakh_testkit::BOUND, "it hears nothing");
            std::thread::yield_now();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.end.take());
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking());
    }
}

/// It's told, and thrown out.
fn thrown_out(mut socket: SocketClient) {
    let told = socket.next_named("auth:revoked").unwrap();
    assert_eq!(told.args[0]["code"], "revoked");
    assert!(socket.next_event().is_err(), "and nothing comes after it");
}

fn is_refused(node: &Node, token: &str) {
    let refused = node.connect(token).unwrap_err().to_string();
    assert!(refused.contains("unauthorized"), "{refused}");
}

fn is_in(socket: &mut SocketClient) {
    let answer = socket.call("room:leave", &[json!({"room": "x"})]).unwrap();
    assert_eq!(answer, json!({"ok": true}));
}

/// Each kind, on the node that is told and on another one.
fn holds_on_both(settings: [&Settings; 2]) {
    let folders = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let one = Node::start(settings[0], folders[0].path(), "n01");
    let two = Node::start(settings[1], folders[1].path(), "n02");
    let eve = one.token("eve", "e1", "es");
    let mut others = [one.connect(&eve).unwrap(), two.connect(&eve).unwrap()];
    let token: fn() -> Revoked = || Revoked::Token("t token".into());
    let session: fn() -> Revoked = || Revoked::Session("s session".into());
    let person: fn() -> Revoked = || Revoked::person("p person", now_s());
    for (kind, what) in [("token", token), ("session", session), ("person", person)] {
        let token = one.token(
            &format!("p {kind}"),
            &format!("t {kind}"),
            &format!("s {kind}"),
        );
        let sockets = [one.connect(&token).unwrap(), two.connect(&token).unwrap()];
        let begun = std::time::Instant::now();
        one.revoke(what(), None).unwrap();
        let [here, there] = sockets;
        thrown_out(here);
        let here = begun.elapsed();
        thrown_out(there);
        let (here, there) = (here.as_millis(), begun.elapsed().as_millis());
        println!("{kind}: thrown out after {here} ms here and {there} ms there");
        is_refused(&one, &token);
        is_refused(&two, &token);
    }
    others.iter_mut().for_each(is_in);
    assert_eq!(two.revocations.list().len(), 3);
}

#[test]
fn what_is_taken_back_on_one_node_is_so_on_those_that_hear_of_it() {
    let server = Redis::start();
    let settings = redis(&server, "");
    holds_on_both([&settings, &settings]);
}

#[test]
fn who_is_in_a_room_by_a_token_that_another_node_takes_back_is_out() {
    let server = Redis::start();
    let private = "[[rooms.options]]\npattern = \"deal:*\"\nprivate = true\n";
    let settings = redis(&server, private);
    let folders = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let one = Node::start(&settings, folders[0].path(), "n01");
    let two = Node::start(&settings, folders[1].path(), "n02");
    let pass = |token: &str| {
        let principal = Principal {
            token: Some(token.into()),
            grants: vec!["rooms:*:deal:*".parse().unwrap()],
            ..Principal::person("eve", "eve")
        };
        let issued = one.sign_in.issue(&principal, Some("lakh:rooms"), 3_600);
        json!({"room": "deal:1", "token": issued.unwrap()})
    };
    let mut eve = two.connect(&one.token("eve", "e1", "es")).unwrap();
    let join = |eve: &mut SocketClient, pass: &Value| {
        eve.call("room:join", std::slice::from_ref(pass)).unwrap()
    };
    let bad = pass("bad");
    assert_eq!(join(&mut eve, &bad)["ok"], true);
    one.revoke(Revoked::Token("bad".into()), None).unwrap();
    let told = eve.next_named("room:revoked").unwrap();
    assert_eq!(told.args[0], json!({"room": "deal:1"}));
    assert_eq!(join(&mut eve, &bad)["error"]["code"], "token_revoked");
    let emit = json!({"room": "deal:1", "event": "e"});
    let refused = eve.call("room:emit", &[emit]).unwrap();
    assert_eq!(refused["error"]["code"], "not_member");
    // The sign-in holds, and so does another token.
    assert_eq!(join(&mut eve, &pass("good"))["ok"], true);
}

/// Sends a request, and gives its answer.
fn ask(ws: &mut WsClient, event: &str, request: &Value) -> Value {
    ws.send_text(&format!("420{}", json!([event, request])))
        .unwrap();
    until(ws, "430")[0].take()
}

/// The next packet that begins so.
fn until(ws: &mut WsClient, prefix: &str) -> Value {
    loop {
        let frame = ws.receive().unwrap();
        if frame.opcode == Opcode::Text
            && let Some(data) = frame.text().strip_prefix(prefix)
        {
            return serde_json::from_str(data).unwrap();
        }
    }
}

#[test]
fn who_was_in_by_a_token_is_out_where_the_token_is_not_known() {
    let server = Redis::start();
    let private =
        "broker = \"redis-streams\"\n[[rooms.options]]\npattern = \"deal:*\"\nprivate = true\n";
    let settings = redis(&server, private);
    let folders = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let one = Node::start(&settings, folders[0].path(), "n01");
    let two = Node::start(&settings, folders[1].path(), "n02");
    let granted = Principal {
        grants: vec!["rooms:*:*".parse().unwrap()],
        ..Principal::person("eve", "eve")
    };
    let pass = one.sign_in.issue(&granted, Some("lakh:rooms"), 3_600);
    let pass = pass.unwrap();
    let sign_in = one.token("eve", "e1", "es");
    let (mut ws, first) = come(&one, &json!({ "token": sign_in }));
    // Neither lets her in by the rules.
    for room in ["deal:1", "open:1"] {
        let refused = ask(&mut ws, "room:join", &json!({ "room": room }));
        assert_eq!(refused["ok"], false, "{refused}");
        let join = json!({"room": room, "token": pass, "state": true});
        let joined = ask(&mut ws, "room:join", &join);
        assert_eq!(joined["ok"], true, "{joined}");
    }
    go(ws);
    let (mut ws, back) = come(&two, &json!({ "token": sign_in, "pid": first["pid"] }));
    assert_eq!(back["pid"], first["pid"]);
    let mut out = Vec::new();
    while out.len() < 2 {
        let event = until(&mut ws, "42");
        assert_ne!(event[0], "state:snapshot", "of a room that she's not in");
        if event[0] == "room:expired" {
            out.push(event[1]["room"].as_str().unwrap().to_owned());
        }
    }
    out.sort_unstable();
    assert_eq!(out, ["deal:1", "open:1"]);
    for room in ["deal:1", "open:1"] {
        let emit = json!({"room": room, "event": "e"});
        let refused = ask(&mut ws, "room:emit", &emit);
        assert_eq!(refused["error"]["code"], "not_member");
    }
}

#[test]
fn nodes_that_share_a_store_alone_find_it_there() {
    let server = Redis::start();
    let settings = redis(&server, "broker = \"local\"\nstore = \"redis\"\n");
    holds_on_both([&settings, &settings]);
}

#[test]
fn nodes_with_stores_of_their_own_tell_each_other_and_who_comes_new() {
    let server = Redis::start();
    let settings = redis(&server, "store = \"sqlite\"\n");
    holds_on_both([&settings, &settings]);

    let folders = [(); 3].map(|()| TempDir::new().unwrap());
    let one = Node::start(&settings, folders[0].path(), "n01");
    one.revoke(Revoked::Token("t".into()), None).unwrap();
    let token = one.token("ada", "t", "s");
    let two = Node::start(&settings, folders[1].path(), "n02");
    two.hears(1);
    is_refused(&two, &token);
    // It has been kept there, too.
    drop((one, two));
    let again = Node::start(&settings, folders[1].path(), "n03");
    is_refused(&again, &token);
}

#[test]
fn a_restart_forgets_nothing_but_what_has_ended() {
    let (settings, folder) = (settings(""), TempDir::new().unwrap());
    let node = Node::start(&settings, folder.path(), "n01");
    let (kept, over) = (node.token("ada", "t1", "s1"), node.token("eve", "t2", "s2"));
    node.revoke(Revoked::Token("t1".into()), None).unwrap();
    node.revoke(Revoked::Token("t2".into()), Some(now_s() + 1))
        .unwrap();
    let past = node.revoke(Revoked::Token("t3".into()), Some(now_s() - 1));
    assert!(matches!(past, Err(RevokeError::Past)));
    is_refused(&node, &kept);
    drop(node);
    let node = Node::start(&settings, folder.path(), "n01");
    is_refused(&node, &kept);
    let begun = std::time::Instant::now();
    while node.revocations.list().len() > 1 {
        assert!(begun.elapsed() < lakh_testkit::BOUND);
        std::thread::yield_now();
    }
    node.connect(&over).unwrap();
}

/// CONNECT with this; what comes back, and the connection.
fn come(node: &Node, auth: &Value) -> (WsClient, Value) {
    let mut ws = WsClient::open(node.address, "/socket.io/?EIO=4&transport=websocket").unwrap();
    ws.send_text(&format!("40{auth}")).unwrap();
    loop {
        let frame = ws.receive().unwrap();
        let text = frame.text();
        let data = text.strip_prefix("40").or_else(|| text.strip_prefix("44"));
        if let (Opcode::Text, Some(data)) = (frame.opcode, data) {
            let data = serde_json::from_str(data).unwrap();
            return (ws, data);
        }
    }
}

/// Goes away, and waits until the node knows: whoever is still there is thrown out for good by what is taken back.
fn go(mut ws: WsClient) {
    ws.send(true, Opcode::Close, &1_000_u16.to_be_bytes())
        .unwrap();
    ws.receive_close().unwrap();
}

/// Who comes back by a session's id is asked like everybody else.
fn nobody_slips_in_behind(one: &Node, two: &Node) {
    let (ada, eve) = (one.token("ada", "t1", "s1"), one.token("eve", "t2", "s2"));
    let (ws, first) = come(one, &json!({ "token": ada }));
    assert!(first["pid"].is_string(), "{first}");
    drop(ws);
    let back = |token: &str| json!({ "token": token, "pid": first["pid"] });
    for node in [two, one] {
        // Another person's sign-in, or none, is not what the session belongs to.
        let (_ws, data) = come(node, &back(&eve));
        assert_ne!(data["pid"], first["pid"]);
        let (_ws, data) = come(node, &json!({ "pid": first["pid"] }));
        assert_eq!(data["data"]["code"], "unauthorized", "{data}");
        let (ws, data) = come(node, &back(&ada));
        assert_eq!((&data["pid"], &data["sid"]), (&first["pid"], &first["sid"]));
        go(ws);
    }
    // Who is still there is thrown out, and a session that the server ended is nobody's any more.
    one.is_left();
    two.is_left();
    one.revoke(Revoked::Session("s1".into()), None).unwrap();
    two.hears(1);
    for node in [one, two] {
        let (_ws, data) = come(node, &back(&ada));
        assert_eq!(data["data"]["code"], "unauthorized", "{data}");
        // A newer sign-in of the same person gets it back.
        let newer = one.token("ada", "t3", "s3");
        let (_ws, data) = come(node, &back(&newer));
        assert_eq!(data["pid"], first["pid"]);
    }
}

#[test]
fn nobody_slips_in_by_a_session_s_id() {
    let folder = TempDir::new().unwrap();
    let node = Node::start(&settings(""), folder.path(), "n01");
    nobody_slips_in_behind(&node, &node);
}

#[test]
fn nobody_slips_in_by_a_session_s_id_on_another_node() {
    let server = Redis::start();
    let settings = redis(&server, "broker = \"redis-streams\"\n");
    let folders = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let one = Node::start(&settings, folders[0].path(), "n01");
    let two = Node::start(&settings, folders[1].path(), "n02");
    nobody_slips_in_behind(&one, &two);
}
