//! Rights over real sockets, in production: who may do what, and where a token may come from.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use lakh_testkit::{SocketClient, WsClient};
use serde_json::{Value, json};
use support::{SECRET, Server, output};
use tempfile::TempDir;

const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

fn start(folder: &Path, config: &str) -> Server {
    std::fs::write(folder.join("lakh.toml"), config).unwrap();
    Server::start(folder, &[])
}

fn token(folder: &Path, args: &[&str]) -> String {
    let (code, out, err) = output(folder, &[&["token"], args].concat());
    assert_eq!(code, 0, "{err}");
    out.trim().to_owned()
}

fn connect(server: &Server, namespace: &str, token: Option<&str>) -> SocketClient {
    let auth = token.map_or(json!({}), |token| json!({ "token": token }));
    SocketClient::connect(server.address, namespace, &auth).unwrap()
}

/// `y`, or `.` where it's forbidden.
fn may(socket: &mut SocketClient, event: &str, request: Value) -> char {
    let answer = socket.call(event, &[request]).unwrap();
    match answer["error"]["code"].as_str() {
        Some("forbidden") => '.',
        None => 'y',
        Some(_) => panic!("{event}: {answer}"),
    }
}

const RULES: &str = r#"
anonymous = true
rules = [
  { who = "name:banned", deny = "*:*:*" },
  { who = "anyone", allow = "rooms:join:news" },
  { who = ["role:editor", "role:chief"], allow = ["rooms:join,emit:board:*", "rooms:emit:news"] },
  { who = "signed-in", deny = "chat:send:announcements" },
  { who = "signed-in", allow = ["chat:join,create,list,history:*", "chat:send:lobby", "*:join,emit:inbox:{user}"] },
  { who = "role:chief", allow = "chat:*:*" },
]
"#;

#[test]
fn rights_are_as_the_table_says() {
    let folder = TempDir::new().unwrap();
    let config = format!("[auth]\nsecret = {SECRET:?}\n{RULES}");
    let server = start(folder.path(), &config);
    let make = |args: &[&str]| Some(token(folder.path(), args));
    // In rooms: join and emit in each; in chat: each request in two of them.
    let rooms = ["news", "board:7", "inbox:ada", "other"];
    for (who, token, in_rooms, in_chat) in [
        ("nobody", None, "y.......", ""),
        ("ada", make(&["--sub", "ada"]), "y...yy..", "yyy..y yy...y"),
        (
            "an editor",
            make(&["--sub", "eve", "--role", "editor"]),
            "yyyy....",
            "yyy..y yy...y",
        ),
        (
            "a chief",
            make(&["--sub", "cy", "--role", "chief"]),
            "yyyy....",
            "yyyyyy yy.yyy",
        ),
        (
            "one with grants",
            make(&[
                "--sub",
                "gus",
                "--grant",
                "rooms:join:other",
                "--grant",
                "chat:send,typing:*",
            ]),
            "y.....y.",
            "yyyy.y yy.y.y",
        ),
        (
            "an admin",
            make(&["--admin", "--sub", "root"]),
            "yyyyyyyy",
            "yyyyyy yy.yyy",
        ),
        (
            "banned",
            make(&["--sub", "banned"]),
            "........",
            "...... ......",
        ),
    ] {
        let mut socket = connect(&server, "/", token.as_deref());
        let mut decided = String::new();
        for room in rooms {
            decided.push(may(&mut socket, "room:join", json!({ "room": room })));
            let event = json!({"room": room, "event": "e", "data": 1});
            let answer = socket.call("room:emit", &[event]).unwrap();
            // Whoever isn't in a room hears that, which is not what is asked here.
            let code = answer["error"]["code"].as_str();
            decided.push(match code {
                None => 'y',
                Some("forbidden" | "not_member") => '.',
                Some(_) => panic!("{answer}"),
            });
        }
        assert_eq!(decided, in_rooms, "{who} in rooms");
        if token.is_some() {
            let mut socket = connect(&server, "/chat", token.as_deref());
            assert_eq!(chat(&mut socket), in_chat, "{who} in chat");
        }
    }
}

/// Each request of chat in two rooms: join, history, send, typing, presence; and whether each is listed.
fn chat(socket: &mut SocketClient) -> String {
    let mut decided = String::new();
    for room in ["lobby", "announcements"] {
        if !decided.is_empty() {
            decided.push(' ');
        }
        let joined = may(socket, "room:join", json!({ "room": room }));
        decided.push(joined);
        let of_member = [
            ("message:history", json!({ "room": room })),
            (
                "message:send",
                json!({"room": room, "key": "k", "text": "t"}),
            ),
            ("typing:set", json!({"room": room, "typing": true})),
            ("presence:list", json!({ "room": room })),
        ];
        for (event, request) in of_member {
            decided.push(match joined {
                'y' => may(socket, event, request),
                _ => '.',
            });
        }
        let listed = socket.call("room:list", &[json!({})]).unwrap();
        let rooms = listed["rooms"].as_array().unwrap();
        let is_there = rooms.iter().any(|found| found["id"] == room);
        decided.push(if is_there { 'y' } else { '.' });
    }
    decided
}

#[test]
fn without_rules_only_grants_count_and_both_sides_are_told_what_to_do() {
    let folder = TempDir::new().unwrap();
    let secret = ["--auth-secret", SECRET];
    let mut command = support::lakh(
        folder.path(),
        &[
            &["serve", "--bind", "127.0.0.1:0", "--log-format", "json"],
            &secret[..],
        ]
        .concat(),
    );
    let mut server = Server::spawn(&mut command);
    server.wait_for("there are no rules: a client may do only what its token grants");
    server.serves();
    let make = |args: &[&str]| token(folder.path(), &[args, &secret].concat());
    let mut ada = connect(&server, "/", Some(&make(&["--sub", "ada"])));
    let answer = ada.call("room:join", &[json!({"room": "a"})]).unwrap();
    assert_eq!(answer["error"]["code"], "forbidden");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("a token that grants `rooms:join:<room>`"),
        "{message}"
    );
    let line = server.wait_for("an act was refused");
    assert_eq!(
        (&line["user"], &line["act"], &line["room"]),
        (&json!("ada"), &json!("join"), &json!("a")),
        "{line}"
    );
    let granted = make(&["--sub", "eve", "--grant", "rooms:join:*"]);
    let mut eve = connect(&server, "/", Some(&granted));
    assert_eq!(may(&mut eve, "room:join", json!({"room": "a"})), 'y');
}

/// The value of a line of the metrics.
fn metric(server: &Server, name: &str) -> u64 {
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    let text = lakh_testkit::exchange(server.address, request.as_bytes()).unwrap();
    let text = text.text();
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.map_or(0, |value| value.trim().parse().unwrap())
}

#[test]
fn who_is_refused_is_counted_and_logged_without_what_was_shown() {
    let folder = TempDir::new().unwrap();
    let config = format!("[auth]\nsecret = {SECRET:?}\n[metrics]\nenabled = true\n");
    let mut server = start(folder.path(), &config);
    let good = token(folder.path(), &["--sub", "ada"]);
    let forged = format!("{}x", &good[..good.len() - 2]);
    let mut ada = connect(&server, "/", Some(&good));
    for (shown, why) in [
        (json!({}), "needed"),
        (json!({ "token": forged }), "bad_token"),
        (json!({ "token": "a.b.c\nforged" }), "bad_token"),
    ] {
        SocketClient::connect(server.address, "/", &shown).unwrap_err();
        let line = server.wait_for("a sign-in was refused");
        let told = (&line["place"], &line["why"], &line["address"]);
        assert_eq!(told, (&json!("connect"), &json!(why), &json!("127.0.0.1")));
        assert!(!line.to_string().contains(&forged[..40]), "{line}");
    }
    for (header, why) in [
        (format!("Authorization: Bearer {forged}"), "bad_token"),
        ("X-Api-Key: lakh_unknown_0123456789".to_owned(), "bad_key"),
    ] {
        let host = server.address;
        let request = format!("GET /api/v1/rooms HTTP/1.1\r\nHost: {host}\r\n{header}\r\n\r\n");
        let answer = lakh_testkit::exchange(host, request.as_bytes()).unwrap();
        assert_eq!(answer.status, 401);
        let line = server.wait_for("a sign-in was refused");
        assert_eq!(
            (&line["place"], &line["why"]),
            (&json!("http"), &json!(why))
        );
        assert!(!line.to_string().contains("0123456789"), "{line}");
    }
    let answer = ada.call("auth:refresh", &[json!({ "token": forged })]);
    assert_eq!(answer.unwrap()["error"]["code"], "unauthorized");
    assert_eq!(server.wait_for("a sign-in was refused")["place"], "refresh");
    for event in ["room:join", "room:join", "room:emit"] {
        let request = json!({"room": "x", "event": "e", "data": 1});
        let answer = ada.call(event, &[request]).unwrap();
        assert_eq!(answer["ok"], false);
    }
    server.wait_for("an act was refused");
    for (name, count) in [
        ("lakh_acts_refused_total{module=\"rooms\",act=\"join\"}", 2),
        (
            "lakh_sign_ins_refused_total{place=\"connect\",why=\"needed\"}",
            1,
        ),
        (
            "lakh_sign_ins_refused_total{place=\"connect\",why=\"bad_token\"}",
            2,
        ),
        (
            "lakh_sign_ins_refused_total{place=\"http\",why=\"bad_token\"}",
            1,
        ),
        (
            "lakh_sign_ins_refused_total{place=\"http\",why=\"bad_key\"}",
            1,
        ),
        (
            "lakh_sign_ins_refused_total{place=\"refresh\",why=\"bad_token\"}",
            1,
        ),
    ] {
        assert_eq!(metric(&server, name), count, "{name}");
    }
}

/// A handshake with one more header.
fn with_header(server: &Server, path: &str, header: &str) -> WsClient {
    let path = format!("{path} HTTP/1.1\r\n{header}\r\nX-Rest: x");
    WsClient::open(server.address, &path).unwrap()
}

/// What a bare CONNECT is answered on this connection.
fn connected(mut ws: WsClient) -> String {
    ws.receive().unwrap();
    ws.send_text("40/chat,").unwrap();
    let text = ws.receive().unwrap().text();
    text[..3].to_owned()
}

#[test]
fn a_token_may_come_by_header_and_by_the_cookie_that_is_named() {
    let folder = TempDir::new().unwrap();
    let auth = format!("[auth]\nsecret = {SECRET:?}\n");
    let rules = "rules = [{ who = \"signed-in\", allow = \"*:*:*\" }]\n";
    let with_cookie = start(
        folder.path(),
        &format!("{auth}{rules}cookie = \"sign-in\"\n"),
    );
    let ada = token(folder.path(), &["--sub", "ada"]);
    let (yes, no) = ("40/", "44/");
    let bearer = format!("Authorization: Bearer {ada}");
    let cookie = format!("Cookie: a=b; sign-in={ada}");
    let try_all = |server: &Server, expected: [&str; 4]| {
        let opened = [
            with_header(server, WEBSOCKET, &bearer),
            with_header(server, WEBSOCKET, &cookie),
            with_header(server, WEBSOCKET, "Cookie: sign-in=x.y.z"),
            with_header(server, WEBSOCKET, "X-Nothing: 1"),
        ];
        assert_eq!(opened.map(connected), expected);
    };
    try_all(&with_cookie, [yes, yes, no, no]);
    let other = TempDir::new().unwrap();
    let without = start(other.path(), &format!("{auth}{rules}"));
    try_all(&without, [yes, no, no, no]);
    // A page of another origin, whose browser sends the cookie along, doesn't get as far.
    let evil = format!("{cookie}\r\nOrigin: https://evil.example");
    let path = format!("{WEBSOCKET} HTTP/1.1\r\n{evil}\r\nX-Rest: x");
    let refused = WsClient::open(with_cookie.address, &path).unwrap_err();
    assert!(refused.to_string().contains("403"), "{refused}");
}

/// A provider's keys at an address, and what it says by now.
fn provider() -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    let keys = Arc::new(Mutex::new(String::new()));
    let says = Arc::clone(&keys);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let body = says.lock().unwrap().clone();
            let head = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\nconnection: close";
            let length = body.len();
            write!(stream, "{head}\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
        }
    });
    (url, keys)
}

#[test]
fn tokens_of_a_provider_are_checked_with_the_keys_that_it_publishes() {
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/auth/src/test_keys");
    let published = std::fs::read_to_string(format!("{keys}/jwks.json")).unwrap();
    let (url, says) = provider();
    *says.lock().unwrap() = published;
    let folder = TempDir::new().unwrap();
    let config = format!(
        "[auth]\njwks_url = [{url:?}]\nissuer = \"https://id.example\"\naudience = [\"lakh\", \"other\"]\n\
         rules = [{{ who = \"role:staff\", allow = \"rooms:*:*\" }}]\nclaim_roles = \"realm_access.roles\"\n"
    );
    let server = start(folder.path(), &config);
    let sign = |algorithm: &str, file: &str, id: &str, issuer: &str, args: &[&str]| {
        let folder = TempDir::new().unwrap();
        let config = format!(
            "[auth]\nkeys = [{{ algorithm = {algorithm:?}, private_key = \"{keys}/{file}.pem\", id = {id:?} }}]\n\
             issuer = {issuer:?}\nclaim_roles = \"realm_access.roles\"\n"
        );
        std::fs::write(folder.path().join("lakh.toml"), config).unwrap();
        token(
            folder.path(),
            &[&["--sub", "u1", "--role", "staff"], args].concat(),
        )
    };
    let (own, lakh) = ("https://id.example", ["--audience", "lakh"]);
    for (what, token, good) in [
        ("RS256", sign("RS256", "rsa", "r", own, &lakh), true),
        ("ES256", sign("ES256", "p256", "e", own, &lakh), true),
        ("EdDSA", sign("EdDSA", "ed25519", "d", own, &lakh), true),
        (
            "second audience",
            sign("RS256", "rsa", "r", own, &["--audience", "other"]),
            true,
        ),
        (
            "PS256 by a key for RS256",
            sign("PS256", "rsa", "r", own, &lakh),
            false,
        ),
        ("another key", sign("RS256", "rsa2", "r", own, &lakh), false),
        (
            "another curve",
            sign("ES384", "p384", "e", own, &lakh),
            false,
        ),
        (
            "another issuer",
            sign("RS256", "rsa", "r", "https://evil.example", &lakh),
            false,
        ),
        (
            "another audience",
            sign("RS256", "rsa", "r", own, &["--audience", "x"]),
            false,
        ),
    ] {
        let auth = json!({ "token": token });
        match (SocketClient::connect(server.address, "/", &auth), good) {
            (Ok(mut socket), true) => {
                assert_eq!(
                    may(&mut socket, "room:join", json!({"room": "a"})),
                    'y',
                    "{what}"
                );
            }
            (Err(refused), false) => {
                assert!(
                    refused.to_string().contains("The token is not valid"),
                    "{what}"
                );
            }
            (connected, _) => panic!("{what}: {:?}", connected.map(|_| ())),
        }
    }
}

#[test]
fn a_rule_on_what_is_not_there_stops_the_server_before_it_starts() {
    let folder = TempDir::new().unwrap();
    for (rule, text) in [
        (
            "{ who = \"anyone\", deny = \"rooms:emmit:*\" }",
            "did you mean `emit`?",
        ),
        (
            "{ who = \"anyone\", deny = \"room:emit:*\" }",
            "did you mean `rooms`?",
        ),
        (
            "{ who = \"rol:x\", deny = \"rooms:emit:*\" }",
            "unknown word `rol:x`",
        ),
        (
            "{ who = \"anyone\", deny = \"rooms\" }",
            "`rooms` is no grant",
        ),
        ("{ who = \"anyone\" }", "either `allow` or `deny`"),
        ("{ allow = \"rooms:*:*\" }", "needs a `who`"),
    ] {
        let config = format!("[auth]\nsecret = {SECRET:?}\nrules = [{rule}]\n");
        std::fs::write(folder.path().join("lakh.toml"), config).unwrap();
        for command in ["check-config", "serve"] {
            let (code, _, err) = output(folder.path(), &[command]);
            assert_eq!(code, 2, "{rule}");
            assert!(err.contains(text), "{err}");
        }
    }
}

#[test]
fn keys_and_passwords_are_made_on_the_command_line() {
    let folder = TempDir::new().unwrap();
    let args = [
        "key",
        "--name",
        "billing",
        "--grant",
        "rooms:emit:*",
        "--signing",
    ];
    let (code, out, err) = output(folder.path(), &args);
    assert_eq!(code, 0, "{err}");
    let table: toml::Table = out.parse().unwrap();
    let kept = &table["api"]["keys"][0];
    let text = |name: &str| kept[name].as_str().unwrap();
    let key = table["key"].as_str().unwrap();
    assert!(key.starts_with(&format!("lakh_{}_", text("id"))), "{out}");
    assert!(text("hash").starts_with("sha256:"), "{out}");
    assert_eq!(text("signing_secret").len(), 64);
    assert_eq!(table["signing_secret"], kept["signing_secret"]);
    let (_, settings) = out.split_once("\n\n").unwrap();
    std::fs::write(folder.path().join("lakh.toml"), settings).unwrap();
    let (code, _, err) = output(folder.path(), &["check-config"]);
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = output(
        folder.path(),
        &["key", "--name", "x", "--grant", "api:emitt:*"],
    );
    assert_eq!(code, 2);
    assert!(err.contains("did you mean `emit`?"), "{err}");

    let hash = |password: &str| {
        let mut command = support::lakh(folder.path(), &["password"]);
        let mut child = command
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
        let out = child.wait_with_output().unwrap();
        (out.status.code(), String::from_utf8(out.stdout).unwrap())
    };
    let (code, hashed) = hash("correct horse battery");
    assert_eq!(code, Some(0));
    assert!(lakh_auth::password::verify(
        "correct horse battery",
        hashed.trim()
    ));
    assert_eq!(hash("short").0, Some(2));
}
