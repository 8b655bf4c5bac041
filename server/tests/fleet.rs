//! Nodes that share a Redis, each a process: what they share, what they say while it is away, and that they end all the same.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use lakh_testkit::{BOUND, SocketClient};
use serde_json::{Value, json};
use support::redis::Redis;
use support::{Server, lakh};
use tempfile::TempDir;

/// A node of a fleet, not started yet.
fn command(folder: &TempDir, redis: &Redis, args: &[&str]) -> Command {
    let all = ["serve", "--bind", "127.0.0.1:0", "--log-format", "json"];
    let mut command = lakh(folder.path(), &all);
    command
        .args(args)
        .env("LAKH_REDIS", redis.url())
        .env("LAKH_DRAIN__WINDOW_MS", "0");
    command
}

/// The same, with a Redis of that URL.
fn node_at(folder: &TempDir, url: &str, args: &[&str], certificates: &Path) -> Server {
    let mut command = command(folder, &Redis::away(), args);
    command
        .env("LAKH_REDIS", url)
        .env("SSL_CERT_FILE", certificates);
    Server::run(&mut command)
}

fn node(folder: &TempDir, redis: &Redis, name: &str) -> Server {
    Server::run(&mut command(folder, redis, &["--node", name]))
}

fn chat(server: &Server, name: &str) -> SocketClient {
    let auth = json!({"name": name});
    let mut chat = SocketClient::connect(server.address, "/chat", &auth).unwrap();
    let joined = chat.call("room:join", &[json!({"room": "lobby"})]).unwrap();
    assert_eq!(joined["ok"], true, "{joined}");
    chat
}

fn send(chat: &mut SocketClient, key: &str) -> Value {
    let message = json!({"room": "lobby", "key": key, "text": format!("text of {key}")});
    chat.call("message:send", &[message]).unwrap()
}

fn history(chat: &mut SocketClient) -> Vec<Value> {
    let asked = json!({"room": "lobby", "limit": 200});
    let history = chat.call("message:history", &[asked]).unwrap();
    assert_eq!(history["ok"], true, "{history}");
    history["messages"].as_array().unwrap().clone()
}

/// The HTTP status and the body of `/ready`.
fn ready(server: &Server) -> (u16, Value) {
    let response = lakh_testkit::get(server.address, "/ready").unwrap();
    (
        response.status,
        serde_json::from_slice(&response.body).unwrap(),
    )
}

fn check(body: &Value, name: &str) -> Value {
    let checks = body["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["name"] == name);
    found.unwrap_or(&Value::Null).clone()
}

/// Asks until the node says so of each of these.
fn until_ready_says(server: &Server, ok: bool, names: &[&str]) -> (u16, Value) {
    let begun = Instant::now();
    loop {
        let (status, body) = ready(server);
        if names.iter().all(|name| check(&body, name)["ok"] == ok) {
            return (status, body);
        }
        assert!(begun.elapsed() < BOUND, "{body}");
        std::thread::yield_now();
    }
}

fn metric(server: &Server, name: &str) -> f64 {
    let text = lakh_testkit::get(server.address, "/metrics")
        .unwrap()
        .text();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} in\n{text}"))
        .parse()
        .unwrap()
}

#[test]
fn chat_has_one_history_on_all_nodes_and_a_key_stands_for_one_message() {
    let (redis, folder) = (Redis::start(), TempDir::new().unwrap());
    let nodes = [node(&folder, &redis, "n01"), node(&folder, &redis, "n02")];
    let [mut first, mut second] = [chat(&nodes[0], "Ada"), chat(&nodes[1], "Ada")];
    let sent = send(&mut first, "k1");
    assert_eq!(sent["ok"], true, "{sent}");
    assert_eq!(history(&mut second), [sent["message"].clone()]);
    // Sent again to the other node it is the same message, and not a second one.
    let again = send(&mut second, "k1");
    assert_eq!(again["duplicate"], true, "{again}");
    assert_eq!(again["message"], sent["message"]);
    assert_eq!(history(&mut first).len(), 1);
    assert!(
        !folder.path().join("lakh-data").exists(),
        "nothing is in files"
    );
}

#[test]
fn nodes_that_write_at_the_same_time_number_their_messages_without_holes_or_doubles() {
    const EACH: usize = 40;
    let (redis, folder) = (Redis::start(), TempDir::new().unwrap());
    let nodes = [node(&folder, &redis, "n01"), node(&folder, &redis, "n02")];
    std::thread::scope(|scope| {
        for (index, node) in nodes.iter().enumerate() {
            // Four people a node: one alone is held to ten messages a second.
            for person in 0..4 {
                scope.spawn(move || {
                    let name = format!("Ann {index} {person}");
                    let mut chat = chat(node, &name);
                    for number in 0..EACH / 4 {
                        let sent = send(&mut chat, &format!("{name} {number}"));
                        assert_eq!(sent["ok"], true, "{sent}");
                    }
                });
            }
        }
    });
    let seen = nodes.each_ref().map(|node| history(&mut chat(node, "Eve")));
    assert_eq!(seen[0], seen[1]);
    let numbers: Vec<u64> = seen[0]
        .iter()
        .map(|one| one["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (1..=2 * EACH as u64).collect::<Vec<_>>());
    let mut keys: Vec<&str> = seen[0]
        .iter()
        .map(|one| one["key"].as_str().unwrap())
        .collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 2 * EACH);
}

#[test]
fn a_node_says_that_redis_is_away_serves_on_and_comes_back_by_itself() {
    let (mut redis, folder) = (Redis::start(), TempDir::new().unwrap());
    let server = node(&folder, &redis, "n01");
    let shared = ["store", "broker"];
    let (status, body) = until_ready_says(&server, true, &shared);
    assert_eq!((status, &body["status"]), (200, &json!("ready")));
    assert_eq!(metric(&server, "lakh_broker_up"), 1.0);
    assert_eq!(metric(&server, "lakh_broker_connects_total"), 1.0);
    assert_eq!(metric(&server, "lakh_broker_other_nodes"), 0.0);
    let mut lobby = chat(&server, "Ada");
    assert_eq!(send(&mut lobby, "k1")["ok"], true);

    redis.kill();
    let (status, body) = until_ready_says(&server, false, &shared);
    assert_eq!(
        (status, &body["status"]),
        (200, &json!("impaired")),
        "{body}"
    );
    for (name, word) in [
        ("store", "Redis does not serve it now"),
        ("broker", "Redis is away"),
    ] {
        let check = check(&body, name);
        assert!(check["detail"].as_str().unwrap().contains(word), "{check}");
    }
    assert_eq!(metric(&server, "lakh_broker_up"), 0.0);
    assert_eq!(metric(&server, "lakh_store_ok"), 0.0);
    assert_eq!(metric(&server, "lakh_ready"), 1.0);
    // What needs the store is refused at once and in words.
    let refused = send(&mut lobby, "k2");
    assert_eq!(refused["error"]["code"], "unavailable", "{refused}");

    redis.restart();
    let (status, body) = until_ready_says(&server, true, &["store", "broker", "name", "loops"]);
    assert_eq!((status, &body["status"]), (200, &json!("ready")));
    assert_eq!(metric(&server, "lakh_broker_up"), 1.0);
    assert_eq!(metric(&server, "lakh_broker_connects_total"), 2.0);
    assert_eq!(send(&mut lobby, "k2")["ok"], true);
    assert_eq!(history(&mut lobby).len(), 2);
}

/// In the room `r` of the module rooms.
fn in_room(server: &Server) -> SocketClient {
    let mut rooms = SocketClient::connect(server.address, "/", &json!({})).unwrap();
    let joined = rooms.call("room:join", &[json!({"room": "r"})]).unwrap();
    assert_eq!(joined["ok"], true, "{joined}");
    rooms
}

fn like(number: u64) -> Value {
    json!({"room": "r", "event": "like", "data": number})
}

#[test]
fn with_pub_sub_a_nodes_own_clients_go_on_while_redis_is_away() {
    let (mut redis, folder) = (Redis::start(), TempDir::new().unwrap());
    let of = |name| {
        let args = ["--node", name, "--broker", "redis"];
        Server::run(&mut command(&folder, &redis, &args))
    };
    let nodes = [of("n01"), of("n02")];
    let mut there = in_room(&nodes[1]);
    redis.kill();
    until_ready_says(&nodes[0], false, &["broker"]);
    let [mut one, mut other] = [in_room(&nodes[0]), in_room(&nodes[0])];
    assert_eq!(one.call("room:emit", &[like(1)]).unwrap()["ok"], true);
    assert_eq!(other.next_named("like").unwrap().args[0], 1);
    redis.restart();
    for node in &nodes {
        until_ready_says(node, true, &["broker"]);
    }
    assert_eq!(one.call("room:emit", &[like(2)]).unwrap()["ok"], true);
    // What was said meanwhile is kept nowhere.
    assert_eq!(there.next_named("like").unwrap().args[0], 2);
}

#[test]
fn with_streams_broadcasts_wait_until_redis_is_back_and_reach_all_nodes_in_order() {
    let (mut redis, folder) = (Redis::start(), TempDir::new().unwrap());
    let nodes = [node(&folder, &redis, "n01"), node(&folder, &redis, "n02")];
    let [mut here, mut there] = [in_room(&nodes[0]), in_room(&nodes[1])];
    redis.kill();
    until_ready_says(&nodes[0], false, &["broker"]);
    for number in 1..=20 {
        here.emit("room:emit", &[like(number)]).unwrap();
    }
    redis.restart();
    here.emit("room:emit", &[like(21)]).unwrap();
    for receiver in [&mut here, &mut there] {
        for number in 1..=21 {
            assert_eq!(receiver.next_named("like").unwrap().args[0], number);
        }
    }
}

#[test]
fn a_node_ends_on_sigterm_while_redis_is_away_or_silent() {
    let folder = TempDir::new().unwrap();
    for silent in [false, true] {
        let mut redis = Redis::start();
        let mut server = node(&folder, &redis, "n01");
        let mut lobby = chat(&server, "Ada");
        if silent {
            redis.signal("-STOP");
        } else {
            redis.kill();
        }
        until_ready_says(&server, false, &["store"]);
        assert_eq!(send(&mut lobby, "k")["ok"], false);
        server.signal("-TERM");
        server.wait_for("drained, all is written");
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn a_node_waits_for_redis_at_its_start_and_ends_if_it_does_not_come() {
    let (mut redis, folder) = (Redis::away(), TempDir::new().unwrap());
    let mut server = Server::spawn(&mut command(&folder, &redis, &["--node", "n01"]));
    server.wait_for("waiting for Redis");
    redis.restart();
    server.serves();
    assert_eq!(ready(&server).0, 200);
    drop(server);

    redis.kill();
    let mut late = command(&folder, &redis, &["--node", "n02"]);
    let output = late
        .env("LAKH_REDIS__START_TIMEOUT_MS", "700")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("redis.sock can't be used"), "{text}");
    assert!(!text.contains("listening"), "{text}");

    let mut ended = Server::spawn(&mut command(&folder, &redis, &["--node", "n03"]));
    ended.wait_for("waiting for Redis");
    ended.signal("-TERM");
    ended.wait_for("ended before it served");
    assert_eq!(ended.wait().code(), Some(0));
}

#[test]
fn two_nodes_whose_names_begin_alike_do_not_run_together() {
    let (redis, folder) = (Redis::start(), TempDir::new().unwrap());
    let mut first = node(&folder, &redis, "n01-a");
    let output = command(&folder, &redis, &["--node", "n01-b"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("the node `n01-a` runs"), "{text}");
    assert!(text.contains("(--node)"), "{text}");
    assert_eq!(ready(&first).1["status"], "ready");
    // One that ended gave it back, and one without a name makes a free one.
    first.signal("-TERM");
    let told = first.messages_up_to("drained, all is written");
    assert!(!told.iter().any(|line| line.contains("away")), "{told:?}");
    assert_eq!(first.wait().code(), Some(0));
    let second = node(&folder, &redis, "n01-b");
    assert_eq!(ready(&second).1["status"], "ready");
    // One that was killed could not, so its successor looks first.
    second.signal("-KILL");
    let mut third = Server::spawn(&mut command(&folder, &redis, &["--node", "n01-c"]));
    let line = third.wait_for("waiting to see whether it still runs");
    assert_eq!(line["name"], "n01-b");
    third.serves();
    let mut unnamed = Server::spawn(&mut command(&folder, &redis, &[]));
    unnamed.wait_for("has no name");
    unnamed.serves();
    assert_eq!(ready(&unnamed).1["status"], "ready");
}

#[test]
fn a_fleet_may_share_rooms_and_keep_its_stores_apart_or_the_other_way_round() {
    let (redis, folder) = (Redis::start(), TempDir::new().unwrap());
    let args = ["--node", "n01", "--store", "sqlite", "--broker", "redis"];
    let own = Server::run(&mut command(&folder, &redis, &args));
    assert!(folder.path().join("lakh-data/lakh.db").is_file());
    until_ready_says(&own, true, &["store", "broker", "name"]);
    let args = ["--node", "n02", "--broker", "local"];
    let other = Server::run(&mut command(&folder, &redis, &args));
    let (_, body) = until_ready_says(&other, true, &["store", "name"]);
    assert_eq!(check(&body, "broker"), Value::Null, "{body}");
    assert_eq!(send(&mut chat(&own, "Ada"), "k")["message"]["seq"], 1);
    assert_eq!(history(&mut chat(&other, "Ada")).len(), 0);
}

#[test]
fn a_fleet_may_reach_its_redis_over_tls() {
    let folder = TempDir::new().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let [cert, key] = [&certificate, &key].map(|path| path.to_str().unwrap());
    let (_redis, port) = Redis::on_a_port(&[
        "--port",
        "0",
        "--tls-auth-clients",
        "no",
        "--tls-ca-cert-file",
        cert,
        "--tls-cert-file",
        cert,
        "--tls-key-file",
        key,
        "--tls-port",
    ]);
    let url = format!("rediss://localhost:{port}");
    let nodes = ["n01", "n02"].map(|name| node_at(&folder, &url, &["--node", name], &certificate));
    let [mut here, mut there] = [in_room(&nodes[0]), in_room(&nodes[1])];
    assert_eq!(here.call("room:emit", &[like(1)]).unwrap()["ok"], true);
    assert_eq!(there.next_named("like").unwrap().args[0], 1);
}

#[test]
fn sentinels_that_ask_for_a_password_say_where_redis_is() {
    let folder = TempDir::new().unwrap();
    let (_primary, port) = Redis::on_a_port(&["--requirepass", "primary-word", "--port"]);
    let file = folder.path().join("sentinel.conf");
    let settings = format!(
        "requirepass sentinel-word\nsentinel monitor main 127.0.0.1 {port} 1\nsentinel auth-pass main primary-word\n"
    );
    std::fs::write(&file, settings).unwrap();
    let (_sentinel, port) = Redis::on_a_port(&[file.to_str().unwrap(), "--sentinel", "--port"]);
    let url = format!(
        "redis+sentinel://:primary-word@127.0.0.1:{port}/main?sentinel_password=sentinel-word"
    );
    let file = folder.path().join("url");
    std::fs::write(&file, &url).unwrap();
    let nodes = ["n01", "n02"].map(|name| {
        let args = ["--node", name, "--redis-file", file.to_str().unwrap()];
        let mut command = command(&folder, &Redis::away(), &args);
        Server::run(command.env_remove("LAKH_REDIS"))
    });
    let [mut here, mut there] = [in_room(&nodes[0]), in_room(&nodes[1])];
    assert_eq!(here.call("room:emit", &[like(1)]).unwrap()["ok"], true);
    assert_eq!(there.next_named("like").unwrap().args[0], 1);
}
