//! rust_socketio against the library's example server and against the binary, over each of its transports.

use bytes::Bytes;
use lakh_rust_client::{Failure, TRANSPORTS, Talker, values};
use lakh_testkit::{Program, Server};
use rust_socketio::{Payload, TransportType};
use serde_json::json;

fn url(server: &Server) -> String {
    format!("http://{}", server.address())
}

#[test]
fn text_comes_back_as_it_was_sent() -> Result<(), Failure> {
    let server = Program::example("kitchen_sink")?.start()?;
    for transport in TRANSPORTS {
        let talker = Talker::connect(&url(&server), "/", json!({ "n": 1 }), transport)?;
        assert_eq!(values(&talker.next("auth")?), [json!({ "n": 1 })]);
        talker.emit(
            "message",
            json!({ "text": "é日本語🦀", "list": [1, -2.5, null] }),
        )?;
        assert_eq!(
            values(&talker.next("message-back")?),
            [json!({ "text": "é日本語🦀", "list": [1, -2.5, null] })]
        );
    }
    Ok(())
}

// Over polling only: over WebSocket this client (0.6.0) fails on a binary event of Node's own server as well.
#[test]
fn binary_comes_back_as_it_was_sent() -> Result<(), Failure> {
    let server = Program::example("kitchen_sink")?.start()?;
    let talker = Talker::connect(&url(&server), "/", json!({}), TransportType::Polling)?;
    let bytes = Bytes::from_iter(0..=255_u8);
    talker.emit("message", Payload::Binary(bytes.clone()))?;
    assert_eq!(talker.next("message-back")?, Payload::Binary(bytes));
    Ok(())
}

#[test]
fn a_request_is_acknowledged() -> Result<(), Failure> {
    let server = Program::example("kitchen_sink")?.start()?;
    for transport in TRANSPORTS {
        let talker = Talker::connect(&url(&server), "/", json!({}), transport)?;
        let answer = talker.call("message-with-ack", json!("hello"))?;
        assert!(format!("{answer:?}").contains("hello"), "{answer:?}");
    }
    Ok(())
}

#[test]
fn two_clients_chat_through_the_binary() -> Result<(), Failure> {
    let data = tempfile::TempDir::new()?;
    let server = Program::lakh(&data.path().to_string_lossy())?.start()?;
    for (n, transport) in TRANSPORTS.into_iter().enumerate() {
        let room = format!("rust {n}");
        let connect = |name: &str| {
            Talker::connect(
                &url(&server),
                "/chat",
                json!({ "name": name }),
                transport.clone(),
            )
        };
        let (ada, grace) = (connect("Ada")?, connect("Grace")?);
        for talker in [&ada, &grace] {
            talker.request("room:join", json!({ "room": room }))?;
        }
        let text = "Hello from Rust";
        let sent = json!({ "room": room, "key": "k", "text": text });
        let answer = ada.request("message:send", sent)?;
        assert_eq!(values(&grace.next("message:new")?)[0], answer["message"]);
        let history = grace.request("message:history", json!({ "room": room }))?;
        assert_eq!(history["messages"], json!([answer["message"]]));
    }
    Ok(())
}
