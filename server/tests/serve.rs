//! The running binary: who comes in, what it says about itself, what a signal does.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::ErrorKind;
use std::path::Path;

use lakh_testkit::{Response, SocketClient, WsClient};
use serde_json::{Value, json};
use support::{SECRET, Server, lakh, output};
use tempfile::TempDir;

const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

fn get(server: &Server, path: &str) -> Response {
    lakh_testkit::get(server.address, path).unwrap()
}

fn json_of(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap()
}

fn refusal(server: &Server, namespace: &str, auth: &Value) -> Value {
    let error = SocketClient::connect(server.address, namespace, auth).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    serde_json::from_str(&error.to_string()).unwrap()
}

/// Sessions enough that draining takes almost all of its window.
fn sessions(server: &Server) -> Vec<WsClient> {
    let open = |_| WsClient::open(server.address, WEBSOCKET).unwrap();
    (0..8).map(open).collect()
}

fn with_env(folder: &Path, name: &str, value: &str) -> Server {
    let args = ["serve", "--bind", "127.0.0.1:0", "--log-format", "json"];
    Server::run(lakh(folder, &args).env(name, value))
}

#[test]
fn it_says_that_it_is_ready_and_what_it_is_and_keeps_its_data_in_the_folder() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &[]);
    let bind = server.address.to_string();
    let (code, out, _) = output(folder.path(), &["healthcheck", "--bind", &bind]);
    assert_eq!(code, 0, "{out}");
    assert_eq!(get(&server, "/live").status, 200);
    let ready = json_of(&get(&server, "/ready"));
    assert_eq!(ready["status"], "ready");
    for name in ["store", "loops"] {
        let checks = ready["checks"].as_array().unwrap();
        assert!(checks.iter().any(|check| check["name"] == name), "{ready}");
    }
    assert!(folder.path().join("lakh-data/lakh.db").is_file());

    let mut socket = SocketClient::connect(server.address, "/", &json!({})).unwrap();
    socket.call("room:join", &[json!({"room": "r"})]).unwrap();
    let stats = json_of(&get(&server, "/api/v1/stats"));
    assert_eq!(stats["mode"], "development");
    assert_eq!(
        stats["connections"],
        json!({"total": 1, "websocket": 1, "polling": 0})
    );
    assert_eq!(
        stats["namespaces"],
        json!([
            {"name": "/", "sockets": 1, "rooms": 1},
            {"name": "/chat", "sockets": 0, "rooms": 0},
            {"name": "/world", "sockets": 0, "rooms": 0},
        ])
    );
    assert!(stats["bytes_in"].as_u64().unwrap() > 0);
    let metrics = get(&server, "/metrics").text();
    for line in [
        "lakh_connections{transport=\"websocket\"} 1",
        "lakh_sessions_opened_total 1",
        "lakh_store_ok 1",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line} in\n{metrics}"
        );
    }
}

#[test]
fn on_sigterm_it_is_not_ready_closes_its_sessions_with_a_reason_and_ends_with_0() {
    let folder = TempDir::new().unwrap();
    let mut server = with_env(folder.path(), "LAKH_DRAIN__WINDOW_MS", "2000");
    let mut open = sessions(&server);
    assert_eq!(get(&server, "/ready").status, 200);

    server.signal("-TERM");
    server.wait_for("draining");
    // It says so before it does so.
    let ready = loop {
        let ready = get(&server, "/ready");
        if ready.status != 200 {
            break ready;
        }
    };
    assert_eq!(ready.status, 503);
    assert_eq!(json_of(&ready)["status"], "draining");
    let refused = WsClient::open(server.address, WEBSOCKET).unwrap_err();
    assert!(refused.to_string().contains("503"), "{refused}");

    for session in &mut open {
        session.receive_close().unwrap();
        let ended = server.wait_for("session ended");
        assert_eq!(ended["reason"], "server shutting down");
        assert_eq!(ended["transport"], "websocket");
        assert!(
            ended["address"].as_str().unwrap().starts_with("127.0.0.1:"),
            "{ended}"
        );
        assert!(ended["duration_ms"].is_u64(), "{ended}");
    }
    server.wait_for("drained");
    assert_eq!(server.wait().code(), Some(0));
    let bind = server.address.to_string();
    let (code, out, _) = output(folder.path(), &["healthcheck", "--bind", &bind]);
    assert_eq!(code, 1, "{out}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let folder = TempDir::new().unwrap();
        let mut server = with_env(folder.path(), "LAKH_DRAIN__WINDOW_MS", "3600000");
        let _open = sessions(&server);
        server.signal("-TERM");
        server.wait_for("draining");
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(code));
    }
}

#[test]
fn the_end_of_a_session_is_one_line_without_its_secret_id() {
    let folder = TempDir::new().unwrap();
    let mut server = Server::start(folder.path(), &[]);
    let mut session = WsClient::open(server.address, WEBSOCKET).unwrap();
    let opened = session.receive().unwrap().text();
    let opened: Value = serde_json::from_str(opened.trim_start_matches('0')).unwrap();
    let id = opened["sid"].as_str().unwrap();
    session.send_text("no packet of the protocol").unwrap();
    let ended = server.wait_for("session ended");
    assert_eq!(ended["reason"], "parse error");
    assert!(!ended.to_string().contains(id), "{ended}");
}

#[test]
fn in_development_rooms_ask_for_nothing_and_chat_for_a_name() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &[]);
    SocketClient::connect(server.address, "/", &json!({})).unwrap();
    let refused = refusal(&server, "/chat", &json!({}));
    assert_eq!(
        refused,
        json!({"message": "Sign-in needed", "data": {"code": "unauthorized"}})
    );
    let ada = json!({"name": "Ada"});
    let mut chat = SocketClient::connect(server.address, "/chat", &ada).unwrap();
    let joined = chat.call("room:join", &[json!({"room": "lobby"})]).unwrap();
    assert_eq!(
        joined["members"],
        json!([{"id": "dev:ada", "name": "Ada", "online": true}])
    );
    assert_eq!(
        refusal(&server, "/other", &ada)["message"],
        "Invalid namespace"
    );
}

#[test]
fn in_production_a_token_of_the_command_line_lets_in_and_names_its_owner() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("secret"), SECRET).unwrap();
    let secret = ["--auth-secret-file", "secret"];
    let rules = r#"[{ who = "signed-in", allow = "chat:*:*" }]"#;
    let args = ["serve", "--bind", "127.0.0.1:0", "--log-format", "json"];
    let mut command = lakh(folder.path(), &[&args[..], &secret].concat());
    let server = Server::run(command.env("LAKH_AUTH__RULES", rules));
    let token = |args: &[&str]| {
        let (code, out, err) = output(folder.path(), &[&["token"], args, &secret].concat());
        assert_eq!(code, 0, "{err}");
        out.trim().to_owned()
    };
    for namespace in ["/", "/chat"] {
        for auth in [json!({}), json!({"name": "Ada"})] {
            let refused = refusal(&server, namespace, &auth);
            assert_eq!(refused["message"], "Sign-in needed");
            assert_eq!(refused["data"]["code"], "unauthorized");
        }
        let forged =
            json!({"token": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1MSIsImV4cCI6OTk5OTk5OTk5OX0."});
        let refused = refusal(&server, namespace, &forged);
        assert_eq!(refused["message"], "The token is not valid");
    }
    let ada = token(&["--sub", "u1", "--name", "Ada"]);
    let auth = json!({"token": ada, "name": "Eve"});
    let mut chat = SocketClient::connect(server.address, "/chat", &auth).unwrap();
    let joined = chat.call("room:join", &[json!({"room": "lobby"})]).unwrap();
    assert_eq!(
        joined["members"],
        json!([{"id": "u1", "name": "Ada", "online": true}])
    );

    let stats = |bearer: &str| {
        let request = format!(
            "GET /api/v1/stats HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {bearer}\r\nconnection: close\r\n\r\n"
        );
        lakh_testkit::exchange(server.address, request.as_bytes()).unwrap()
    };
    assert_eq!(get(&server, "/api/v1/stats").status, 401);
    assert_eq!(stats(&ada).status, 403);
    let answer = stats(&token(&["--admin"]));
    assert_eq!(json_of(&answer)["mode"], "production");
}

#[test]
fn old_clients_sign_in_by_their_query_where_they_are_let_in() {
    let folder = TempDir::new().unwrap();
    let args = ["--auth-secret", SECRET];
    let (_, token, _) = output(
        folder.path(),
        &[&["token", "--sub", "u1"][..], &args].concat(),
    );
    let serve = ["serve", "--bind", "127.0.0.1:0", "--log-format", "json"];
    let mut command = lakh(folder.path(), &[&serve[..], &args].concat());
    let server = Server::run(command.env("LAKH_ENGINE__ALLOW_EIO3", "true"));
    let old = "/socket.io/?EIO=3&transport=websocket";
    let mut ws = WsClient::open(server.address, &format!("{old}&token={}", token.trim())).unwrap();
    assert!(ws.receive().unwrap().text().starts_with("0{"));
    assert_eq!(ws.receive().unwrap().text(), "40");
    let mut ws = WsClient::open(server.address, old).unwrap();
    ws.receive().unwrap();
    assert_eq!(ws.receive().unwrap().text(), r#"44{"code":"unauthorized"}"#);
}

#[test]
fn what_was_acknowledged_is_there_after_the_server_was_killed() {
    let folder = TempDir::new().unwrap();
    let mut server = Server::start(folder.path(), &[]);
    let ada = json!({"name": "Ada"});
    let lobby = json!({"room": "lobby"});
    let mut chat = SocketClient::connect(server.address, "/chat", &ada).unwrap();
    chat.call("room:join", std::slice::from_ref(&lobby))
        .unwrap();
    let message = json!({"room": "lobby", "key": "k1", "text": "still here"});
    let sent = chat.call("message:send", &[message]).unwrap();
    assert_eq!(sent["ok"], true, "{sent}");
    server.signal("-KILL");
    server.wait();

    let server = Server::start(folder.path(), &[]);
    let mut chat = SocketClient::connect(server.address, "/chat", &ada).unwrap();
    chat.call("room:join", std::slice::from_ref(&lobby))
        .unwrap();
    let history = chat
        .call("message:history", std::slice::from_ref(&lobby))
        .unwrap();
    assert_eq!(history["messages"], json!([sent["message"]]), "{history}");
}

#[test]
fn one_module_alone_is_a_service_with_a_path_of_its_own() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &["chat", "--path", "/rt/"]);
    let mut ws = WsClient::open(server.address, "/rt/?EIO=4&transport=websocket").unwrap();
    assert!(ws.receive().unwrap().text().starts_with("0{"));
    ws.send_text("40").unwrap();
    let refused = ws.receive().unwrap().text();
    assert_eq!(refused, r#"44{"message":"Invalid namespace"}"#);
    ws.send_text(r#"40/chat,{"name":"Ada"}"#).unwrap();
    assert!(ws.receive().unwrap().text().starts_with("40/chat,{"));
    // A client at the usual path hears that nothing is there, and gets no page.
    let polling = get(&server, "/socket.io/?EIO=4&transport=polling");
    assert_eq!(polling.status, 404);
}

#[test]
fn a_second_server_in_the_same_folder_does_not_start() {
    let folder = TempDir::new().unwrap();
    let _first = Server::start(folder.path(), &[]);
    let (code, _, err) = output(folder.path(), &["serve", "--bind", "127.0.0.1:0"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("in use by another process"), "{err}");
}

#[test]
fn an_engine_alone_sends_messages_back_at_its_path() {
    let folder = TempDir::new().unwrap();
    let server = with_env(folder.path(), "LAKH_ENGINE__ENGINE_PATH", "/engine.io/");
    let mut ws = WsClient::open(server.address, "/engine.io/?EIO=4&transport=websocket").unwrap();
    ws.receive().unwrap();
    ws.send_text("4hello").unwrap();
    assert_eq!(ws.receive().unwrap().text(), "4hello");
    ws.send_binary(&[1, 2, 3]).unwrap();
    assert_eq!(ws.receive().unwrap().payload, [1, 2, 3]);
}

#[test]
fn pages_of_other_origins_come_in_where_they_are_named() {
    let folder = TempDir::new().unwrap();
    let origin = "https://app.example.org";
    let handshake = |server: &Server, origin: &str| {
        let request = format!(
            "GET {WEBSOCKET} HTTP/1.1\r\nhost: {}\r\norigin: {origin}\r\nconnection: upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            server.address
        );
        lakh_testkit::exchange(server.address, request.as_bytes()).unwrap()
    };
    let closed = Server::start(folder.path(), &[]);
    assert_eq!(handshake(&closed, origin).status, 403);
    let own = format!("http://{}", closed.address);
    assert_eq!(handshake(&closed, &own).status, 101);
    drop(closed);
    let open = with_env(folder.path(), "LAKH_CORS__ORIGINS", origin);
    let answer = handshake(&open, origin);
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
    assert_eq!(handshake(&open, "https://evil.example.org").status, 403);
}

#[test]
fn sighup_reads_new_certificates_and_keeps_the_old_where_they_are_broken() {
    let folder = TempDir::new().unwrap();
    let renew = || {
        let made = rcgen::generate_simple_self_signed(["lakh.example".to_owned()]).unwrap();
        std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(
            folder.path().join("key.pem"),
            made.signing_key.serialize_pem(),
        )
        .unwrap();
    };
    renew();
    let config = "[tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n";
    std::fs::write(folder.path().join("lakh.toml"), config).unwrap();
    let mut server = Server::start(folder.path(), &[]);
    let bind = server.address.to_string();
    // The check takes the very certificate that lies in the file.
    let healthy = || output(folder.path(), &["healthcheck", "--bind", &bind]);
    assert_eq!(healthy().0, 0);
    renew();
    assert_eq!(healthy().0, 1, "the old one is still in use");
    server.signal("-HUP");
    server.wait_for("certificates read again");
    assert_eq!(healthy(), (0, healthy().1, String::new()));

    std::fs::write(folder.path().join("key.pem"), "broken").unwrap();
    server.signal("-HUP");
    let line = server.wait_for("could not be read again");
    assert!(
        line["error"].as_str().unwrap().contains("key.pem"),
        "{line}"
    );
    assert_eq!(healthy().0, 0);
}
