//! Clients of other kinds: the msgpack parser, protocol 3, long polling and upgrades.

use lakh_hub::{Ack, Binary, Bytes, CloseReason, ConnectError, Limits, Settings, Socket};
use lakh_wire::engine::{Side, Transport, Version};
use lakh_wire::socketio::transcode;
use serde_json::{Value, json};

use crate::support::{Client, Frame, Log, World, connected, event_of, run, run_with};

fn pack(value: &Value) -> Vec<u8> {
    transcode::json_to_msgpack(&value.to_string(), &[])
}

/// What a client with the msgpack parser got.
fn unpacked(client: &Client) -> Vec<Value> {
    let frames = client.frames().into_iter();
    frames
        .filter_map(|frame| match frame {
            Frame::Text(text) => {
                assert!(
                    text.starts_with(['0', '2']),
                    "text to a msgpack client: {text}"
                );
                None
            }
            Frame::Binary(data) => {
                let (text, _) = transcode::msgpack_to_json(&data, &Limits::default()).unwrap();
                Some(serde_json::from_str(&text).unwrap())
            }
        })
        .collect()
}

fn with_echo(world: &World) -> lakh_hub::Namespace {
    let ns = world.of("/");
    ns.on(
        "echo",
        async |socket: Socket, args: (Value, Value), ack: Ack| {
            socket.emit("back", &args).unwrap();
            ack.send(&args).unwrap();
        },
    );
    ns.on("bin", async |socket: Socket, data: Binary| {
        socket.emit("bin", &data).unwrap()
    });
    ns
}

#[test]
fn a_msgpack_client_is_found_out_by_its_first_packet_and_answered_in_kind() {
    run(async |world| {
        let ns = with_echo(&world);
        let client = world.client();
        client.send_binary(&pack(&json!({"type": 0, "nsp": "/", "data": {"token": 1}})));
        let got = unpacked(&client);
        assert_eq!((&got[0]["type"], &got[0]["nsp"]), (&json!(0), &json!("/")));
        assert_eq!(got[0]["data"]["sid"].as_str().unwrap().len(), 20);
        client.send_binary(&pack(&json!({
            "type": 2, "nsp": "/", "id": 9, "data": ["echo", {"a": [1, -2, 0.5]}, "é"],
        })));
        let got = unpacked(&client);
        assert_eq!(got[0]["data"], json!(["back", {"a": [1, -2, 0.5]}, "é"]));
        assert_eq!(got[1]["type"], json!(3));
        assert_eq!(got[1]["id"], json!(9));
        assert_eq!(got[1]["data"], json!([{"a": [1, -2, 0.5]}, "é"]));
        ns.disconnect_sockets(false);
        assert_eq!(unpacked(&client)[0]["type"], json!(1));
    });
}

#[test]
fn msgpack_and_json_clients_share_a_room() {
    run(async |world| {
        let ns = with_echo(&world);
        let (packed, plain) = (world.client(), world.joined());
        packed.send_binary(&pack(&json!({"type": 0, "nsp": "/"})));
        unpacked(&packed);
        ns.sockets_join(["r"]);
        ns.to("r")
            .emit("e", &(Binary(Bytes::from_static(b"\x00\xff")), 7))
            .unwrap();
        let frames = packed.frames();
        let Frame::Binary(data) = &frames[0] else {
            panic!("{frames:?}")
        };
        let (text, attachments) = transcode::msgpack_to_json(data, &Limits::default()).unwrap();
        assert!(
            text.contains(r#"["e",{"_placeholder":true,"num":0},7]"#),
            "{text}"
        );
        assert_eq!(attachments, [Bytes::from_static(b"\x00\xff")]);
        assert_eq!(
            plain.frames(),
            [
                Frame::Text(r#"451-["e",{"_placeholder":true,"num":0},7]"#.to_owned()),
                Frame::Binary(vec![0, 0xff]),
            ]
        );
        // And the other way: what a msgpack client sends can be relayed to a JSON client.
        ns.on("relay", async |socket: Socket, event: lakh_hub::Event| {
            socket
                .to("r")
                .emit_raw(event.payload().renamed("relayed"))
                .unwrap();
        });
        packed.send_binary(&pack(
            &json!({"type": 2, "nsp": "/", "data": ["relay", [1], null]}),
        ));
        assert_eq!(plain.texts(), [r#"42["relayed",[1],null]"#]);
        assert_eq!(unpacked(&packed), [Value::Null; 0]);
    });
}

#[test]
fn a_client_that_changes_its_parser_is_closed() {
    run(async |world| {
        world.of("/");
        let client = world.joined();
        client.send_binary(&pack(&json!({"type": 1, "nsp": "/"})));
        assert_eq!(client.closed(), Some(CloseReason::ParseError));
    });
}

#[test]
fn an_old_client_is_in_the_main_namespace_without_asking() {
    run(async |world| {
        let ns = with_echo(&world);
        let log = Log::default();
        let seen = log.clone();
        ns.on_connect(async move |socket: Socket| {
            seen.add(socket.id());
            socket.emit("hello", &1).unwrap();
        });
        let client = world.open(Version::V3, Transport::WebSocket);
        let texts = client.texts();
        assert!(
            texts[0].starts_with('0') && !texts[0].contains("maxPayload"),
            "{texts:?}"
        );
        assert_eq!(texts[1..], ["40", r#"42["hello",1]"#]);
        assert_eq!(log.take(), [client.sid.as_str()]);
        client.send("2");
        assert_eq!(client.texts(), ["3"]);
        client.send(r#"424["echo",1,2]"#);
        assert_eq!(client.texts(), [r#"42["back",1,2]"#, "434[1,2]"]);
        client.send(r#"451-["bin",{"_placeholder":true,"num":0}]"#);
        client.send_binary(b"\x04data");
        assert_eq!(
            client.frames(),
            [
                Frame::Text(r#"451-["bin",{"_placeholder":true,"num":0}]"#.to_owned()),
                Frame::Binary(b"\x04data".to_vec()),
            ]
        );
        // Its own id is a room.
        ns.to(&*client.sid).emit("private", &()).unwrap();
        ns.except(&*client.sid).emit("not to it", &()).unwrap();
        assert_eq!(client.names(), ["private"]);
        world.pass(44_000);
        assert_eq!(client.closed(), None);
        world.pass(1_000);
        assert_eq!(client.closed(), Some(CloseReason::PingTimeout));
    });
}

#[test]
fn an_old_client_names_its_query_in_the_namespace_and_its_id_with_it() {
    run(async |world| {
        world.of("/");
        let ns = world.of("/chat");
        ns.use_connect(
            async |socket: Socket| match socket.auth::<Value>().unwrap()["token"] {
                Value::String(ref token) if token == "a b" => Ok(()),
                _ => Err(ConnectError::new("No token").with_data(json!({"code": 7}))),
            },
        );
        let sent = ns.clone();
        ns.on("to", async move |_: Socket, id: String| {
            sent.to(id).emit("got", &1).unwrap()
        });
        let client = world.open(Version::V3, Transport::WebSocket);
        client.texts();
        client.send("40/chat?token=a%20b,");
        assert_eq!(client.texts(), ["40/chat,"]);
        let id = format!("/chat#{}", client.sid);
        assert_eq!(ns.fetch_sockets().await[0].id, id);
        client.send(&format!("42/chat,{}", json!(["to", id])));
        assert_eq!(client.texts(), [r#"42/chat,["got",1]"#]);
        client.send("41/chat,");
        assert_eq!(ns.socket_count(), 0);
        assert_eq!(client.closed(), None);

        let refused = world.open(Version::V3, Transport::WebSocket);
        refused.texts();
        refused.send("40/chat,");
        assert_eq!(refused.texts(), [r#"44/chat,{"code":7}"#]);
        refused.send("40/none,");
        assert_eq!(
            refused.texts(),
            [r#"44/none,{"message":"Invalid namespace"}"#]
        );
    });
}

#[test]
fn a_polling_client_gets_its_packets_when_it_polls() {
    run(async |world| {
        let ns = with_echo(&world);
        let client = world.open(Version::V4, Transport::Polling);
        assert_eq!(client.texts(), [""; 0]);
        assert!(world.shard().poll_opened(client.key));
        assert!(client.texts()[0].contains(r#""upgrades":["websocket"]"#));
        world
            .shard()
            .payload(client.key, b"40\x1e42[\"echo\",1,2]", false)
            .unwrap();
        ns.emit("more", &1).unwrap();
        assert_eq!(client.texts(), [""; 0]);
        assert!(world.shard().poll_opened(client.key));
        let texts = client.texts();
        assert!(connected(&texts, "/").is_some());
        let events: Vec<Value> = texts.iter().filter_map(|text| event_of(text)).collect();
        assert_eq!(events, [json!(["back", 1, 2]), json!(["more", 1])]);
        // Two polls at once break the protocol.
        assert!(world.shard().poll_opened(client.key));
        assert!(!world.shard().poll_opened(client.key));
        assert_eq!(client.closed(), Some(CloseReason::TransportError));
    });
}

#[test]
fn a_payload_ends_where_its_session_ends() {
    run(async |world| {
        let log = Log::default();
        let seen = log.clone();
        world
            .of("/")
            .on("n", async move |_: Socket, n: u32| seen.add(n.to_string()));
        let client = world.open(Version::V4, Transport::Polling);
        let body = b"40\x1e42[\"n\",1]\x1e1\x1e42[\"n\",2]";
        world.shard().payload(client.key, body, false).unwrap();
        assert_eq!(log.take(), ["1"]);
        assert_eq!(client.closed(), Some(CloseReason::TransportClose));
        assert!(world.shard().payload(client.key, b"2", false).is_err());
        let client = world.open(Version::V4, Transport::Polling);
        assert!(world.shard().payload(client.key, b"", false).is_err());
        assert_eq!(client.closed(), Some(CloseReason::ParseError));
    });
}

#[test]
fn an_upgrade_moves_the_queue_over_in_order() {
    run(async |world| {
        let ns = world.of("/");
        let client = world.open(Version::V4, Transport::Polling);
        assert!(world.shard().poll_opened(client.key));
        client.texts();
        client.send("40");
        assert!(world.shard().poll_opened(client.key));
        client.texts();
        assert!(world.shard().poll_opened(client.key));
        world.shard().probe(client.key).unwrap();
        assert!(
            world.shard().probe(client.key).is_err(),
            "one probe at a time"
        );
        world.shard().text(client.key, Side::Probe, "2probe");
        assert!(client.signals().iter().any(|signals| signals.pong_probe));
        world.pass(100);
        assert!(client.signals().iter().any(|signals| signals.answer_poll));
        world
            .shard()
            .with_outbox(client.key, |outbox, _| outbox.poll_pending = false);
        ns.emit("e", &1).unwrap();
        ns.emit("e", &2).unwrap();
        assert_eq!(client.texts(), [""; 0]);
        world.shard().text(client.key, Side::Probe, "5");
        ns.emit("e", &3).unwrap();
        assert!(client.signals().iter().any(|signals| signals.upgraded));
        assert_eq!(client.firsts(), [1, 2, 3]);
        assert_eq!(world.hub().stats().websocket, 1);
        client.cut();
        let stats = world.hub().stats();
        assert_eq!((stats.websocket, stats.sessions), (0, 0));
    });
}

#[test]
fn a_probe_that_comes_to_nothing_leaves_the_session_as_it_was() {
    run(async |world| {
        let ns = world.of("/");
        let client = world.open(Version::V4, Transport::Polling);
        client.send("40");
        world.shard().probe(client.key).unwrap();
        world.pass(10_000);
        assert!(client.signals().iter().any(|signals| signals.close_probe));
        world.shard().probe(client.key).unwrap();
        world
            .shard()
            .end(client.key, Side::Probe, lakh_wire::engine::End::Error);
        assert_eq!(client.closed(), None);
        ns.emit("e", &1).unwrap();
        assert!(world.shard().poll_opened(client.key));
        assert_eq!(client.names(), ["e"]);
    });
}

#[test]
fn a_configured_parser_is_not_guessed() {
    let settings = Settings {
        parser: Some(lakh_hub::Parser::Msgpack),
        ..Settings::default()
    };
    run_with(settings, async |world| {
        world.of("/");
        let client = world.client();
        client.send("40");
        assert_eq!(client.closed(), Some(CloseReason::ParseError));
    });
}
