//! Acknowledgements both ways.

use std::time::Duration;

use lakh_hub::{Ack, AckError, Binary, Failure, HubLimits, Settings, Socket};
use serde_json::{Value, json};

use crate::support::{Frame, Log, ack_id, run, run_with};

fn describe<T: std::fmt::Debug>(answer: Result<T, AckError>) -> String {
    match answer {
        Ok(value) => format!("{value:?}"),
        Err(AckError::Timeout) => "timeout".to_owned(),
        Err(AckError::Disconnected) => "disconnected".to_owned(),
        Err(AckError::TooMany) => "too many".to_owned(),
        Err(AckError::Args(_)) => "args".to_owned(),
        Err(AckError::Overloaded(_)) => "overloaded".to_owned(),
    }
}

#[test]
fn a_handler_answers_with_one_value_a_list_or_nothing() {
    run(async |world| {
        let ns = world.of("/");
        ns.on("one", async |_: Socket, n: u32, ack: Ack| {
            ack.send(&(n * 2)).unwrap()
        });
        ns.on("list", async |_: Socket, _: (), ack: Ack| {
            ack.send(&("a", 1, json!({}))).unwrap()
        });
        ns.on("none", async |_: Socket, _: (), ack: Ack| {
            ack.send(&()).unwrap()
        });
        ns.on("binary", async |_: Socket, _: (), ack: Ack| {
            assert!(ack.is_wanted());
            ack.send(&Binary(b"x"[..].into())).unwrap();
        });
        let client = world.joined();
        for request in [
            r#"0["one",21]"#,
            r#"1["list"]"#,
            r#"2["none"]"#,
            r#"999["binary"]"#,
        ] {
            client.send(&format!("42{request}"));
        }
        let text = |text: &str| Frame::Text(text.to_owned());
        assert_eq!(
            client.frames(),
            [
                text("430[42]"),
                text(r#"431["a",1,{}]"#),
                text("432[]"),
                text(r#"461-999[{"_placeholder":true,"num":0}]"#),
                Frame::Binary(b"x".to_vec()),
            ]
        );
    });
}

#[test]
fn an_answer_that_nobody_asked_for_is_not_sent() {
    run(async |world| {
        world.of("/").on("e", async |_: Socket, _: (), ack: Ack| {
            assert!(!ack.is_wanted());
            ack.send(&1).unwrap();
        });
        let client = world.joined();
        client.send(r#"42["e"]"#);
        assert_eq!(client.texts(), [""; 0]);
    });
}

#[test]
fn requests_are_answered_in_one_shape() {
    run(async |world| {
        world
            .of("/")
            .on_request("double", async |_, n: u32| match n {
                0 => Err(Failure::new("zero", "not zero")),
                n => Ok(json!({"n": n * 2})),
            });
        let client = world.joined();
        client.send(r#"421["double",4]"#);
        client.send(r#"422["double",0]"#);
        client.send(r#"423["double","four"]"#);
        let texts = client.texts();
        assert_eq!(texts[0], r#"431[{"ok":true,"n":8}]"#);
        assert_eq!(
            texts[1],
            r#"432[{"ok":false,"error":{"code":"zero","message":"not zero"}}]"#
        );
        assert!(texts[2].contains(r#""code":"bad_request""#), "{texts:?}");
    });
}

#[test]
fn the_server_gets_its_answers_by_number_in_any_order() {
    run(async |world| {
        let log = Log::default();
        let seen = log.clone();
        world.of("/").on("go", async move |socket: Socket| {
            let one = socket.emit_with_ack::<u32>("q", &1).unwrap();
            let two = socket.emit_with_ack::<(String, u8)>("q", &2).unwrap();
            seen.add(describe(two.await));
            seen.add(describe(one.await));
        });
        let client = world.joined();
        client.send(r#"42["go"]"#);
        let asked = client.texts();
        let ids: Vec<u64> = asked.iter().map(|text| ack_id(text)).collect();
        assert_ne!(ids[0], ids[1]);
        client.send(&format!("43{}[10]", ids[0]));
        world.settle().await;
        assert_eq!(log.take(), [""; 0]);
        client.send(&format!(r#"43{}["x",3]"#, ids[1]));
        // A second answer, and one to a question that was never asked.
        client.send(&format!("43{}[11]", ids[0]));
        client.send("43777[1]");
        world.settle().await;
        assert_eq!(log.take(), [r#"("x", 3)"#, "10"]);
        assert_eq!(client.closed(), None);
    });
}

#[test]
fn an_answer_of_another_type_is_an_error() {
    run(async |world| {
        let log = Log::default();
        let seen = log.clone();
        world.of("/").on("go", async move |socket: Socket| {
            seen.add(describe(
                socket.emit_with_ack::<u32>("q", &()).unwrap().await,
            ));
        });
        let client = world.joined();
        client.send(r#"42["go"]"#);
        let id = ack_id(&client.texts()[0]);
        client.send(&format!(r#"43{id}["text"]"#));
        world.settle().await;
        assert_eq!(log.take(), ["args"]);
    });
}

#[test]
fn an_answer_that_does_not_come_in_time_is_a_timeout_and_comes_to_nothing_later() {
    run(async |world| {
        let log = Log::default();
        let seen = log.clone();
        world.of("/").on("go", async move |socket: Socket| {
            let socket = socket.timeout(Duration::from_secs(3));
            seen.add(describe(
                socket.emit_with_ack::<Value>("q", &()).unwrap().await,
            ));
        });
        let client = world.joined();
        client.send(r#"42["go"]"#);
        let id = ack_id(&client.texts()[0]);
        world.pass(2_999);
        world.settle().await;
        assert_eq!(log.take(), [""; 0]);
        world.pass(1);
        world.settle().await;
        assert_eq!(log.take(), ["timeout"]);
        client.send(&format!("43{id}[1]"));
        world.settle().await;
        assert_eq!(log.take(), [""; 0]);
    });
}

#[test]
fn an_endless_timeout_is_no_error() {
    run(async |world| {
        let ns = world.of("/");
        let client = world.joined();
        let future = ns
            .timeout(Duration::MAX)
            .emit_with_ack::<u32>("q", &())
            .unwrap();
        world.pass(1_000);
        let id = ack_id(&client.texts()[0]);
        client.send(&format!("43{id}[5]"));
        assert_eq!(future.await.answers, [5]);
    });
}

#[test]
fn pending_answers_fail_when_the_socket_goes() {
    run(async |world| {
        let log = Log::default();
        let ns = world.of("/");
        let seen = log.clone();
        ns.on("go", async move |socket: Socket| {
            let waits = socket.emit_with_ack::<Value>("q", &()).unwrap();
            seen.add(describe(waits.await));
            let late = socket.emit_with_ack::<Value>("q", &()).unwrap();
            seen.add(format!("late {}", describe(late.await)));
        });
        for way in ["cut", "41", "server"] {
            let client = world.joined();
            client.send(r#"42["go"]"#);
            match way {
                "cut" => client.cut(),
                "server" => ns.disconnect_sockets(false),
                packet => client.send(packet),
            }
            world.settle().await;
            assert_eq!(log.take(), ["disconnected", "late disconnected"], "{way}");
        }
    });
}

#[test]
fn too_many_pending_answers_fail_at_once_and_only_those() {
    let settings = Settings {
        hub_limits: HubLimits {
            max_pending_acks: 2,
            ..HubLimits::default()
        },
        ..Settings::default()
    };
    run_with(settings, async |world| {
        let log = Log::default();
        let seen = log.clone();
        world.of("/").on("go", async move |socket: Socket, n: u32| {
            let answer = socket.emit_with_ack::<u32>("q", &n).unwrap().await;
            seen.add(format!("{n}: {}", describe(answer)));
        });
        let client = world.joined();
        for n in 1..=3 {
            client.send(&format!(r#"42["go",{n}]"#));
        }
        world.settle().await;
        assert_eq!(log.take(), ["3: too many"]);
        let asked = client.texts();
        assert_eq!(asked.len(), 2);
        client.send(&format!("43{}[7]", ack_id(&asked[0])));
        client.send(r#"42["go",4]"#);
        world.settle().await;
        assert_eq!(log.take(), ["1: 7"]);
        assert_eq!(client.texts().len(), 1);
    });
}

#[test]
fn a_room_is_asked_and_everybody_answers() {
    run(async |world| {
        let ns = world.of("/");
        let clients = [world.joined(), world.joined(), world.joined()];
        let future = ns.emit_with_ack::<u32>("q", &"?").unwrap();
        for (n, client) in clients.iter().enumerate() {
            let id = ack_id(&client.texts()[0]);
            client.send(&format!("43{id}[{n}]"));
        }
        let acks = future.await;
        assert!(acks.is_complete());
        assert_eq!(acks.answers, [0, 1, 2]);
    });
}

#[test]
fn asking_an_empty_room_is_answered_at_once() {
    run(async |world| {
        let ns = world.of("/");
        let acks = ns
            .to("nobody")
            .emit_with_ack::<u32>("q", &())
            .unwrap()
            .await;
        assert_eq!((acks.answers.len(), acks.missing), (0, 0));
    });
}

#[test]
fn what_came_in_time_is_the_result_and_the_rest_is_counted() {
    run(async |world| {
        let ns = world.of("/");
        ns.on("join", async |socket: Socket, room: String| {
            socket.join(room);
        });
        let clients = [
            world.joined(),
            world.joined(),
            world.joined(),
            world.joined(),
        ];
        for client in &clients[..3] {
            client.send(r#"42["join","r"]"#);
        }
        let future = ns
            .to("r")
            .timeout(Duration::from_millis(500))
            .emit_with_ack::<u32>("q", &());
        let future = future.unwrap();
        let ids: Vec<u64> = clients[..3]
            .iter()
            .map(|client| ack_id(&client.texts()[0]))
            .collect();
        assert_eq!(clients[3].texts(), [""; 0]);
        clients[0].send(&format!("43{}[1]", ids[0]));
        clients[1].send(&format!(r#"43{}["no number"]"#, ids[1]));
        world.pass(500);
        let acks = future.await;
        assert_eq!((acks.answers, acks.missing), (vec![1], 2));
    });
}

#[test]
fn a_member_that_goes_away_does_not_hold_up_the_answers_of_the_others() {
    run(async |world| {
        let ns = world.of("/");
        let (stays, goes) = (world.joined(), world.joined());
        let future = ns.emit_with_ack::<u32>("q", &()).unwrap();
        let id = ack_id(&stays.texts()[0]);
        stays.send(&format!("43{id}[1]"));
        goes.cut();
        let acks = future.await;
        assert_eq!((acks.answers, acks.missing), (vec![1], 1));
    });
}

#[test]
fn questions_to_a_room_that_were_never_answered_are_forgotten_in_time() {
    let settings = Settings {
        hub_limits: HubLimits {
            max_pending_acks: 4,
            ..HubLimits::default()
        },
        ..Settings::default()
    };
    run_with(settings, async |world| {
        let ns = world.of("/");
        let client = world.joined();
        for _ in 0..10 {
            let future = ns
                .timeout(Duration::from_millis(100))
                .emit_with_ack::<u32>("q", &());
            let future = future.unwrap();
            world.pass(100);
            assert_eq!(future.await.missing, 1);
        }
        client.texts();
        let future = ns.emit_with_ack::<u32>("q", &()).unwrap();
        let id = ack_id(&client.texts()[0]);
        client.send(&format!("43{id}[9]"));
        assert_eq!(future.await.answers, [9]);
    });
}
