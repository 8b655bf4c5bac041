//! CONNECT: handshake data, refusals, middlewares, limits in time and number.

use lakh_hub::{CloseReason, ConnectError, HubLimits, Settings, Socket};
use serde_json::{Value, json};

use crate::support::{Gate, Log, connected, handshake, run, run_with};

#[test]
fn a_client_connects_and_its_handler_sees_auth_and_handshake() {
    run(async |world| {
        let log = Log::default();
        let seen = log.clone();
        world.of("/").on_connect(async move |socket: Socket| {
            let auth: Value = socket.auth().unwrap();
            let hs = socket.handshake();
            seen.add(format!("{auth} {} {}", hs.address, hs.secure));
            seen.add(format!("{:?} {}", hs.query_param("t"), hs.time_ms));
            seen.add(format!("{:?}", hs.header("User-Agent")));
            socket.emit("auth", &auth).unwrap();
        });
        let client = world.client();
        let open = client.texts();
        assert_eq!(open.len(), 1);
        assert!(
            open[0].starts_with(&format!(r#"0{{"sid":"{}""#, client.sid)),
            "{open:?}"
        );
        client.send(r#"40{"token":"123"}"#);
        let texts = client.texts();
        assert!(texts[0].starts_with(r#"40{"sid":""#), "{texts:?}");
        assert_eq!(texts[1], r#"42["auth",{"token":"123"}]"#);
        assert_eq!(
            log.take(),
            [
                r#"{"token":"123"} 192.0.2.7:4711 true"#,
                r#"Some("x") 1700000000123"#,
                r#"Some("driver/1")"#,
            ]
        );
    });
}

#[test]
fn no_auth_reads_as_null_and_the_socket_id_is_not_the_session_id() {
    run(async |world| {
        world.of("/").on_connect(async |socket: Socket| {
            let auth: Option<Value> = socket.auth().unwrap();
            socket.emit("auth", &auth).unwrap();
        });
        let client = world.client();
        client.texts();
        client.send("40");
        let texts = client.texts();
        let id = connected(&texts, "/").unwrap()["sid"].clone();
        assert_eq!(id.as_str().unwrap().len(), 20);
        assert_ne!(id, client.sid);
        assert_eq!(texts[1], r#"42["auth",null]"#);
    });
}

#[test]
fn a_refusal_carries_its_message_and_data() {
    run(async |world| {
        let ns = world.of("/");
        ns.use_connect(async |_| {
            Err(ConnectError::new("No").with_data(json!({"code": "E1", "retry": false})))
        });
        let client = world.client();
        client.texts();
        client.send("40");
        assert_eq!(
            client.texts(),
            [r#"44{"message":"No","data":{"code":"E1","retry":false}}"#]
        );
        assert_eq!(client.closed(), None);
        assert_eq!(ns.socket_count(), 0);
        assert_eq!(world.hub().stats().sockets, 0);
    });
}

#[test]
fn an_unknown_namespace_is_refused_in_its_own_name() {
    run(async |world| {
        world.of("/");
        let client = world.joined();
        client.send("40/nowhere,");
        assert_eq!(
            client.texts(),
            [r#"44/nowhere,{"message":"Invalid namespace"}"#]
        );
        assert_eq!(client.closed(), None);
    });
}

#[test]
fn a_second_connect_to_a_namespace_closes_the_connection() {
    run(async |world| {
        world.of("/");
        let client = world.joined();
        client.send("40");
        assert_eq!(client.closed(), Some(CloseReason::ForcedClose));
        assert_eq!(world.hub().stats().sockets, 0);
        assert_eq!(world.of("/").socket_count(), 0);
    });
}

#[test]
fn a_second_connect_while_the_first_is_being_checked_closes_the_connection() {
    run(async |world| {
        let gate = Gate::closed();
        let ns = world.of("/");
        let waits = gate.clone();
        ns.use_connect(async move |_| {
            waits.pass().await;
            Ok(())
        });
        let client = world.client();
        client.send("40");
        client.send("40");
        gate.admit(2);
        world.settle().await;
        assert_eq!(client.closed(), Some(CloseReason::ForcedClose));
        assert_eq!(ns.socket_count(), 0);
        assert_eq!(world.hub().stats().sockets, 0);
    });
}

#[test]
fn a_connection_that_joins_nothing_is_closed_after_the_connect_timeout() {
    run(async |world| {
        world.of("/");
        let idle = world.client();
        let refused = world.client();
        refused.send("40/nowhere,");
        let active = world.joined();
        let mut waited = 0;
        while waited < 44_000 {
            world.pass(1_000);
            waited += 1_000;
            for client in [&idle, &refused, &active] {
                client.send("3");
            }
        }
        assert_eq!(idle.closed(), None);
        world.pass(2_000);
        assert_eq!(idle.closed(), Some(CloseReason::ConnectTimeout));
        assert_eq!(refused.closed(), Some(CloseReason::ConnectTimeout));
        assert_eq!(active.closed(), None);
    });
}

#[test]
fn a_silent_client_times_out_and_one_that_pongs_does_not() {
    run(async |world| {
        let log = Log::default();
        let seen = log.clone();
        let ns = world.of("/");
        ns.on_disconnect(async move |_, reason| seen.add(reason.as_str()));
        let (silent, lively) = (world.joined(), world.joined());
        for _ in 0..10 {
            world.pass(5_000);
            let pinged = lively.texts().contains(&"2".to_owned());
            if pinged {
                lively.send("3");
            }
        }
        assert_eq!(silent.closed(), Some(CloseReason::PingTimeout));
        assert_eq!(lively.closed(), None);
        assert_eq!(log.take(), ["ping timeout"]);
    });
}

#[test]
fn middlewares_run_in_order_and_the_first_refusal_ends_it() {
    run(async |world| {
        let log = Log::default();
        let ns = world.of("/");
        let gate = Gate::closed();
        let (one, two, three) = (log.clone(), log.clone(), log.clone());
        ns.use_connect(async move |_| {
            one.add("sync");
            Ok(())
        });
        let waits = gate.clone();
        ns.use_connect(async move |socket| {
            two.add("async begins");
            waits.pass().await;
            two.add("async ends");
            match socket.auth::<Value>().unwrap()["ok"] {
                Value::Bool(true) => Ok(()),
                _ => Err(ConnectError::new("refused")),
            }
        });
        ns.use_connect(async move |_| {
            three.add("last");
            Ok(())
        });
        let hook = log.clone();
        ns.on_connect(async move |_| hook.add("connected"));

        let good = world.client();
        good.texts();
        good.send(r#"40{"ok":true}"#);
        world.settle().await;
        assert_eq!(good.texts(), [""; 0]);
        assert_eq!(log.take(), ["sync", "async begins"]);
        gate.admit(1);
        world.settle().await;
        assert!(good.texts()[0].starts_with("40{"));
        assert_eq!(log.take(), ["async ends", "last", "connected"]);

        let bad = world.client();
        bad.texts();
        bad.send(r#"40{"ok":false}"#);
        gate.admit(1);
        world.settle().await;
        assert_eq!(bad.texts(), [r#"44{"message":"refused"}"#]);
        assert_eq!(log.take(), ["sync", "async begins", "async ends"]);
    });
}

#[test]
fn a_client_that_leaves_while_it_is_checked_never_gets_in() {
    run(async |world| {
        let (log, gate) = (Log::default(), Gate::closed());
        let ns = world.of("/");
        let waits = gate.clone();
        ns.use_connect(async move |_| {
            waits.pass().await;
            Ok(())
        });
        let (came, went) = (log.clone(), log.clone());
        ns.on_connect(async move |_| came.add("connect"));
        ns.on_disconnect(async move |_, _| went.add("disconnect"));
        let client = world.client();
        client.send("40");
        client.cut();
        gate.admit(1);
        world.settle().await;
        assert_eq!(log.take(), [""; 0]);
        assert_eq!((ns.socket_count(), world.hub().stats().sockets), (0, 0));
    });
}

#[test]
fn what_a_middleware_sends_late_reaches_nobody_elses_connection() {
    run(async |world| {
        let gate = Gate::closed();
        let ns = world.of("/");
        let waits = gate.clone();
        ns.use_connect(async move |socket| {
            if socket.auth_text().is_none() {
                return Ok(());
            }
            socket.join("early");
            waits.pass().await;
            socket.emit("secret", &"for the first").unwrap();
            socket.disconnect(true);
            Ok(())
        });
        let first = world.client();
        first.send(r#"40{"slow":true}"#);
        first.cut();
        let second = world.joined();
        assert_eq!(second.key.slot, first.key.slot, "the slot is used again");
        ns.to("early").emit("news", &1).unwrap();
        gate.admit(1);
        world.settle().await;
        assert_eq!(second.texts(), [""; 0]);
        assert_eq!(second.closed(), None);
    });
}

#[test]
fn a_connection_enters_no_more_namespaces_than_it_may() {
    let settings = Settings {
        hub_limits: HubLimits {
            max_namespaces: 2,
            ..HubLimits::default()
        },
        ..Settings::default()
    };
    run_with(settings, async |world| {
        for name in ["/", "/a", "/b"] {
            world.of(name);
        }
        let client = world.joined();
        client.connect("/a");
        client.send("40/b,");
        let refused = client.texts();
        assert!(refused[0].starts_with("44/b,{"), "{refused:?}");
        client.send("41/a,");
        client.connect("/b");
    });
}

#[test]
fn one_connection_is_in_several_namespaces_under_different_ids() {
    run(async |world| {
        for name in ["/", "/chat"] {
            let ns = world.of(name);
            ns.on("whoami", async |socket: Socket| {
                let name = socket.namespace().name().to_owned();
                socket.emit("you", &name).unwrap();
            });
        }
        let client = world.client();
        assert_ne!(client.connect("/"), client.connect("/chat"));
        client.send(r#"42/chat,["whoami"]"#);
        client.send(r#"42["whoami"]"#);
        assert_eq!(
            client.texts(),
            [r#"42/chat,["you","/chat"]"#, r#"42["you","/"]"#]
        );
    });
}

#[test]
fn kept_headers_and_queries_belong_to_the_connection_not_to_the_namespace() {
    run(async |world| {
        let log = Log::default();
        let seen = log.clone();
        world.of("/x").on_connect(async move |socket: Socket| {
            seen.add(socket.handshake().query_param("room").unwrap_or_default());
        });
        let client = world.open_with(
            lakh_hub::shard::App::SocketIo,
            lakh_wire::engine::Version::V4,
            lakh_wire::engine::Transport::WebSocket,
            handshake("EIO=4&room=a%20b"),
        );
        client.connect("/x");
        assert_eq!(log.take(), ["a b"]);
    });
}

#[test]
fn an_event_before_connect_closes_the_connection() {
    run(async |world| {
        world.of("/");
        let client = world.client();
        client.send(r#"42["too early"]"#);
        assert_eq!(client.closed(), Some(CloseReason::ForcedClose));
    });
}

#[test]
fn what_is_no_packet_closes_the_connection_with_a_parse_error() {
    run(async |world| {
        world.of("/");
        for bad in [
            "4x",
            "49",
            r#"42{"no":"array"}"#,
            r#"42["disconnect"]"#,
            r#"44{}"#,
            "9",
        ] {
            let client = world.joined();
            client.send(bad);
            assert_eq!(client.closed(), Some(CloseReason::ParseError), "{bad}");
        }
        assert_eq!(world.hub().stats().sessions, 0);
    });
}
