//! Attempts to become somebody else, over raw sockets: sessions chosen for a victim, pages of other origins that let a
//! browser send its cookies, and line breaks in what is echoed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use lakh_testkit::{Response, SocketClient, exchange};
use serde_json::{Value, json};
use support::{SECRET, Server, lakh, output};
use tempfile::TempDir;

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

/// A server that knows people by a cookie, and lets pages of one other origin in.
fn with_cookies(folder: &Path) -> Server {
    let args = ["serve", "--bind", "127.0.0.1:0", "--log-format", "json"];
    Server::run(
        lakh(folder, &args)
            .env("LAKH_AUTH__SECRET", SECRET)
            .env("LAKH_AUTH__COOKIE", "session")
            .env("LAKH_CORS__ORIGINS", "https://friend.example")
            .env("LAKH_CORS__CREDENTIALS", "true")
            .env("LAKH_ENGINE__COOKIE_NAME", "io"),
    )
}

fn token(folder: &Path, person: &str) -> String {
    let args = ["token", "--sub", person, "--ttl", "1h"];
    let made = lakh(folder, &args)
        .env("LAKH_AUTH__SECRET", SECRET)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

fn request(
    server: &Server,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", server.address);
    for (name, value) in headers {
        write!(text, "{name}: {value}\r\n").unwrap();
    }
    write!(text, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    exchange(server.address, text.as_bytes()).unwrap()
}

fn get(server: &Server, path: &str, headers: &[(&str, &str)]) -> Response {
    request(server, "GET", path, headers, "")
}

/// The session that an answer opens.
fn opened(response: &Response) -> Value {
    assert_eq!(response.status, 200, "{response:?}");
    serde_json::from_str(response.text().strip_prefix('0').unwrap()).unwrap()
}

fn upgrade(server: &Server, headers: &[(&str, &str)]) -> Response {
    let handshake = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let all: Vec<_> = handshake.iter().chain(headers).copied().collect();
    get(server, "/socket.io/?EIO=4&transport=websocket", &all)
}

#[test]
fn a_page_of_another_origin_gets_nowhere_with_its_visitor_s_cookie() {
    let folder = TempDir::new().unwrap();
    let server = with_cookies(folder.path());
    let cookie = format!("session={}", token(folder.path(), "ada"));
    let cookie = ("Cookie", cookie.as_str());
    let own = format!("http://{}", server.address);
    let evil = ("Origin", "https://evil.example");
    for (headers, allowed) in [
        (vec![cookie, ("Origin", own.as_str())], true),
        (vec![cookie, ("Origin", "https://friend.example")], true),
        (vec![cookie], true),
        (vec![cookie, evil], false),
        (vec![cookie, ("Origin", "null")], false),
        // The name of this server within another's.
        (
            vec![cookie, ("Origin", "https://friend.example.evil.example")],
            false,
        ),
        (
            vec![
                cookie,
                ("Origin", "https://evil.example/?https://friend.example"),
            ],
            false,
        ),
    ] {
        let expected = if allowed { (101, 200) } else { (403, 403) };
        let websocket = upgrade(&server, &headers).status;
        let polling = get(&server, POLLING, &headers).status;
        assert_eq!((websocket, polling), expected, "{headers:?}");
    }
    // JSONP is a script, without an origin; a form posts without asking.
    let script = [cookie, ("Sec-Fetch-Site", "cross-site")];
    assert_eq!(get(&server, &format!("{POLLING}&j=0"), &script).status, 403);
    let own_session = opened(&get(&server, POLLING, &[cookie]));
    let path = format!("{POLLING}&sid={}", own_session["sid"].as_str().unwrap());
    assert_eq!(
        request(&server, "POST", &path, &[cookie, evil], "40").status,
        403
    );
    assert_eq!(get(&server, &path, &[cookie, evil]).status, 403);
    // The session goes on for its own page, which comes in by the cookie alone.
    assert_eq!(request(&server, "POST", &path, &[cookie], "40").status, 200);
    let answer = get(&server, &path, &[cookie]).text();
    assert!(answer.starts_with("40{"), "{answer}");
}

#[test]
fn nobody_chooses_the_session_of_somebody_else() {
    let folder = TempDir::new().unwrap();
    let server = with_cookies(folder.path());
    let (ada, eve) = (token(folder.path(), "ada"), token(folder.path(), "eve"));
    let chosen = "n1-AAAAAAAAAAAAAAAAA";
    let cookies = format!("io={chosen}; session={ada}");
    let fresh = get(&server, POLLING, &[("Cookie", &cookies)]);
    assert_ne!(opened(&fresh)["sid"], chosen);
    assert!(!fresh.header("set-cookie").unwrap().contains(chosen));
    for method in ["GET", "POST"] {
        let path = format!("{POLLING}&sid={chosen}");
        assert_eq!(request(&server, method, &path, &[], "40").status, 400);
    }
    // What everybody may see of a socket opens nothing: not as a session, not as a recovery id.
    let mut victim = SocketClient::connect(server.address, "/", &json!({ "token": ada })).unwrap();
    let path = format!("{POLLING}&sid={}", victim.id);
    assert_eq!(get(&server, &path, &[]).status, 400);
    for pid in [chosen, &victim.id, "", "x"] {
        let auth = json!({ "token": eve, "pid": pid, "sid": victim.id });
        let thief = SocketClient::connect(server.address, "/", &auth).unwrap();
        assert_ne!(thief.id, victim.id);
    }
    let still = victim.call("room:leave", &[json!({"room": "x"})]).unwrap();
    assert_eq!(still, json!({"ok": true}));
}

#[test]
fn the_id_of_a_session_has_96_bits_that_nobody_guesses() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &[]);
    let mut places = vec![HashSet::new(); 20];
    let mut ids = HashSet::new();
    for _ in 0..300 {
        let session = opened(&get(&server, POLLING, &[]));
        let id = session["sid"].as_str().unwrap().to_owned();
        assert_eq!(id.len(), 20);
        for (place, letter) in places.iter_mut().zip(id.chars()) {
            place.insert(letter);
        }
        ids.insert(id);
    }
    assert_eq!(ids.len(), 300);
    // Of 64 letters 300 draws find nearly all; fewer than 50 happen once in far more than 10^9 runs.
    let random = places.iter().filter(|seen| seen.len() >= 50).count();
    assert_eq!(random, 16, "sixteen letters of six bits");
}

/// No line of a head that was not meant to be there.
fn is_clean(response: &Response, what: &str) {
    for (name, value) in &response.headers {
        let injected = name.contains("x-injected") || value.contains("X-Injected");
        assert!(!injected, "{what}: {name}: {value}");
        assert!(!value.contains(['\r', '\n']), "{what}: {name}");
    }
}

#[test]
fn line_breaks_in_what_is_echoed_make_no_headers() {
    let folder = TempDir::new().unwrap();
    let server = with_cookies(folder.path());
    let encoded = "%0d%0aX-Injected:%201%0d%0a%0d%0a";
    for path in [
        format!("/socket.io/?EIO=4&transport=polling{encoded}"),
        format!("{POLLING}&sid={encoded}"),
        format!("{POLLING}&t={encoded}"),
        format!("{POLLING}&b64=1{encoded}"),
        format!("/{encoded}"),
        format!("/api/v1/{encoded}"),
    ] {
        is_clean(&get(&server, &path, &[]), &path);
    }
    // The name of the function of JSONP is a number, and nothing else gets into the script.
    let script = get(&server, &format!("{POLLING}&j=0;alert(1)//{encoded}"), &[]);
    is_clean(&script, "jsonp");
    assert!(!script.text().contains("alert"), "{}", script.text());
    // Raw bytes that some take for the end of a line.
    for broken in [
        "https://friend.example\rX-Injected: 1",
        "https://friend.example\nX-Injected: 1",
    ] {
        let raw = format!(
            "GET {POLLING} HTTP/1.1\r\nHost: {}\r\nOrigin: {broken}\r\nConnection: close\r\n\r\n",
            server.address
        );
        if let Ok(response) = exchange(server.address, raw.as_bytes()) {
            let origin = response.header("access-control-allow-origin");
            assert!(origin.is_none_or(|origin| origin == "https://friend.example"));
            is_clean(&response, broken);
        }
    }
    let long = "x".repeat(4_000);
    for (name, value) in [
        ("Origin", "https://evil.example%0d%0aX-Injected:1"),
        ("Access-Control-Request-Headers", "a, X-Injected%0d%0a"),
        ("Sec-WebSocket-Protocol", "a%0d%0aX-Injected: 1"),
        ("X-Request-Id", long.as_str()),
    ] {
        is_clean(&get(&server, POLLING, &[(name, value)]), name);
        is_clean(&upgrade(&server, &[(name, value)]), name);
    }
    let (code, ..) = output(
        folder.path(),
        &["healthcheck", "--bind", &server.address.to_string()],
    );
    assert_eq!(code, 0, "and it lives");
}

/// Lines that a stranger would like to have in the log.
const FORGED: &str = "x\r\n2030-01-01T00:00:00Z  INFO signed in at the console id=root\n";

#[test]
fn nobody_writes_lines_of_their_own_into_the_log() {
    let folder = TempDir::new().unwrap();
    let args = ["serve", "--bind", "127.0.0.1:0", "--log-format", "text"];
    let mut command = lakh(folder.path(), &args);
    command.env("LAKH_LOG", "debug").stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut lines = Vec::new();
    let address = loop {
        let line = log.next().unwrap().unwrap();
        let found = line.split_once("listening on http://");
        let found = found.map(|(_, rest)| rest.split(' ').next().unwrap().parse().unwrap());
        lines.push(line);
        if let Some(address) = found {
            break address;
        }
    };
    let started = lines.join("\n");
    assert!(started.contains("development"), "{started}");
    assert!(started.contains("a name is enough"), "{started}");

    let mut ada = SocketClient::connect(address, "/", &json!({"name": "Ada"})).unwrap();
    for (event, request) in [
        ("room:join", json!({ "room": FORGED })),
        (
            "room:join",
            json!({ "room": "a\u{2028}b\u{1b}[2J", "token": FORGED }),
        ),
        (
            "room:emit",
            json!({"room": FORGED, "event": FORGED, "data": FORGED}),
        ),
        ("auth:refresh", json!({ "token": FORGED })),
        (FORGED, json!({ FORGED: FORGED })),
    ] {
        // Whether it's answered is not what is asked here.
        let _ = ada.emit(event, &[request]);
    }
    assert!(ada.call("room:leave", &[json!({"room": "x"})]).is_ok());
    for auth in [
        json!({ "name": FORGED }),
        json!({ "name": 5, "token": FORGED }),
    ] {
        let _ = SocketClient::connect(address, "/chat", &auth);
    }
    let _ = SocketClient::connect(address, &format!("/{}", FORGED.trim_end()), &json!({}));
    let encoded = "%0d%0a2030-01-01T00:00:00Z%20%20INFO%20forged";
    for path in [format!("/{encoded}"), format!("{POLLING}&sid={encoded}")] {
        let raw =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nOrigin: http://x{encoded}\r\n\r\n");
        exchange(address, raw.as_bytes()).unwrap();
    }
    let status = Command::new("kill").arg(child.id().to_string()).status();
    assert!(status.unwrap().success());
    lines.extend(log.map(Result::unwrap));
    child.wait().unwrap();
    for line in &lines {
        let time = line.split(' ').next().unwrap();
        assert!(time.starts_with("20") && time.ends_with('Z'), "{line:?}");
        assert!(!time.starts_with("2030"), "{line:?}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}
