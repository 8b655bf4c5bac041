//! Events to handlers: order, arguments, catch-alls, handlers of one socket, packet middlewares, back-pressure.

use lakh_hub::{Binary, Event, HubLimits, Payload, Settings, Socket};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::{Frame, Gate, Log, run, run_with};

#[test]
fn events_of_one_socket_reach_their_handlers_in_order() {
    run(async |world| {
        let log = Log::default();
        let ns = world.of("/");
        for event in ["a", "b", "c"] {
            let seen = log.clone();
            ns.on(event, async move |_: Socket, n: u32| {
                seen.add(format!("{event}{n}"));
            });
        }
        let client = world.joined();
        let mut expected = Vec::new();
        for n in 0..30 {
            let event = ["a", "b", "c"][n % 3];
            client.send(&format!(r#"42["{event}",{n}]"#));
            expected.push(format!("{event}{n}"));
        }
        assert_eq!(log.take(), expected);
    });
}

#[test]
fn handlers_that_wait_start_in_order_and_go_on_side_by_side() {
    run(async |world| {
        let log = Log::default();
        let gates: Vec<Gate> = (0..3).map(|_| Gate::closed()).collect();
        let (seen, waits) = (log.clone(), gates.clone());
        world.of("/").on("work", async move |_: Socket, n: usize| {
            seen.add(format!("begin {n}"));
            waits[n].pass().await;
            seen.add(format!("end {n}"));
        });
        let client = world.joined();
        for n in 0..3 {
            client.send(&format!(r#"42["work",{n}]"#));
        }
        assert_eq!(log.take(), ["begin 0", "begin 1", "begin 2"]);
        for n in [2, 0, 1] {
            gates[n].admit(1);
            world.settle().await;
            assert_eq!(log.take(), [format!("end {n}")]);
        }
    });
}

#[derive(Debug, Deserialize, Serialize, PartialEq)]
struct Point {
    x: i32,
    y: Option<i32>,
}

#[test]
fn arguments_are_read_into_the_types_that_handlers_name() {
    run(async |world| {
        let log = Log::default();
        let ns = world.of("/");
        let (one, two, none, opt) = (log.clone(), log.clone(), log.clone(), log.clone());
        ns.on("one", async move |_: Socket, p: Point| {
            one.add(format!("{p:?}"))
        });
        ns.on("two", async move |_: Socket, (s, n): (String, u8)| {
            two.add(format!("{s} {n}"))
        });
        ns.on("none", async move |_: Socket| none.add("none"));
        ns.on(
            "opt",
            async move |_: Socket, (a, b): (Value, Option<u8>)| {
                opt.add(format!("{a} {b:?}"));
            },
        );
        let client = world.joined();
        client.send(r#"42["one",{"x":1,"y":2,"z":3}]"#);
        client.send(r#"42["two","é\n",255,"surplus"]"#);
        client.send(r#"42["none",1,2]"#);
        client.send(r#"42["opt",[1]]"#);
        assert_eq!(
            log.take(),
            ["Point { x: 1, y: Some(2) }", "é\n 255", "none", "[1] None"]
        );
        client.send(r#"42["two","x",256]"#);
        client.send(r#"42["one"]"#);
        assert_eq!(log.take(), [""; 0]);
        assert_eq!(world.hub().stats().refused_events, 2);
        assert_eq!(client.closed(), None);
    });
}

#[test]
fn binary_values_go_both_ways() {
    run(async |world| {
        let ns = world.of("/");
        ns.on(
            "echo",
            async |socket: Socket, (a, n, b): (Binary, u8, Vec<Binary>)| {
                socket.emit("back", &(b, n, a)).unwrap();
            },
        );
        let client = world.joined();
        client.send(
            r#"452-["echo",{"_placeholder":true,"num":0},5,[{"_placeholder":true,"num":1}]]"#,
        );
        client.send_binary(b"one");
        assert_eq!(client.frames(), []);
        client.send_binary(b"\x00two");
        assert_eq!(
            client.frames(),
            [
                Frame::Text(
                    r#"452-["back",[{"_placeholder":true,"num":0}],5,{"_placeholder":true,"num":1}]"#
                        .to_owned()
                ),
                Frame::Binary(b"\x00two".to_vec()),
                Frame::Binary(b"one".to_vec()),
            ]
        );
    });
}

#[test]
fn a_raw_payload_is_relayed_byte_for_byte() {
    run(async |world| {
        let ns = world.of("/");
        ns.on("relay", async |socket: Socket, event: Event| {
            assert!(!event.wants_ack());
            socket.emit_raw(event.payload().renamed("relayed")).unwrap();
        });
        let client = world.joined();
        client.send(r#"42["relay", 1.0e5,{"b" : 1,"a":2,"a":3}, 12345678901234567890]"#);
        assert_eq!(
            client.texts(),
            [r#"42["relayed",1.0e5,{"b" : 1,"a":2,"a":3},12345678901234567890]"#]
        );
        let socket_to_all = Payload::from_raw(
            r#"["raw",{"_placeholder":true,"num":0}]"#,
            vec![b"bytes"[..].into()],
        );
        ns.local().emit_raw(socket_to_all).unwrap();
        assert_eq!(client.frames().len(), 2);
    });
}

#[test]
fn catch_alls_see_what_comes_in_and_what_goes_out() {
    run(async |world| {
        let log = Log::default();
        let ns = world.of("/");
        let (any, own, out) = (log.clone(), log.clone(), log.clone());
        ns.on_any(async move |_: Socket, event: Event| any.add(format!("in {}", event.name())));
        ns.on("known", async move |socket: Socket| {
            own.add("known");
            socket.emit("reply", &1).unwrap();
        });
        ns.on_any_outgoing(move |socket, payload| {
            out.add(format!("out {} {}", socket.id().len(), payload.text()));
        });
        let client = world.joined();
        let _other = world.joined();
        client.send(r#"42["known"]"#);
        client.send(r#"42["unknown"]"#);
        assert_eq!(
            log.take(),
            ["in known", "known", r#"out 20 ["reply",1]"#, "in unknown"]
        );
        ns.emit("all", &()).unwrap();
        assert_eq!(log.take(), [r#"out 20 ["all"]"#, r#"out 20 ["all"]"#]);
    });
}

#[test]
fn a_sockets_own_handlers_go_before_the_namespaces_and_can_be_taken_away() {
    run(async |world| {
        let log = Log::default();
        let ns = world.of("/");
        let all = log.clone();
        ns.on("e", async move |_: Socket| all.add("namespace"));
        let hook = log.clone();
        ns.on_connect(async move |socket: Socket| {
            let (own, once) = (hook.clone(), hook.clone());
            socket.on("e", async move |_: Socket| own.add("own"));
            socket.once("first", async move |_: Socket, n: u8| {
                once.add(format!("once {n}"))
            });
            socket.on("stop", async |socket: Socket| socket.off("e"));
        });
        let client = world.joined();
        for event in [
            r#""e""#,
            r#""first",1"#,
            r#""first",2"#,
            r#""stop""#,
            r#""e""#,
        ] {
            client.send(&format!("42[{event}]"));
        }
        assert_eq!(log.take(), ["own", "once 1", "namespace"]);
    });
}

#[test]
fn a_packet_middleware_refuses_single_events_and_keeps_the_order_while_it_waits() {
    run(async |world| {
        let (log, gate) = (Log::default(), Gate::closed());
        let ns = world.of("/");
        let waits = gate.clone();
        ns.use_packet(async move |socket, event| {
            if socket.auth_text().is_some() {
                waits.pass().await;
            }
            match event.args::<u32>() {
                Ok(n) if n % 5 == 0 => Err("multiples of five are out".to_owned()),
                _ => Ok(()),
            }
        });
        let seen = log.clone();
        ns.on("n", async move |socket: Socket, n: u32| {
            let who = if socket.auth_text().is_some() {
                "slow"
            } else {
                "quick"
            };
            seen.add(format!("{who} {n}"));
        });
        let (slow, quick) = (world.client(), world.joined());
        slow.connect_with("/", r#"{"slow":1}"#);
        for n in 1..=6 {
            slow.send(&format!(r#"42["n",{n}]"#));
        }
        quick.send(r#"42["n",1]"#);
        quick.send(r#"42["n",2]"#);
        assert_eq!(log.take(), ["quick 1", "quick 2"]);
        gate.admit(2);
        world.settle().await;
        assert_eq!(log.take(), ["slow 1", "slow 2"]);
        gate.admit(4);
        world.settle().await;
        assert_eq!(log.take(), ["slow 3", "slow 4", "slow 6"]);
        assert_eq!(world.hub().stats().refused_events, 1);
        // Nothing waits any more: the next one isn't held up by what was there before.
        gate.admit(1);
        slow.send(r#"42["n",7]"#);
        assert_eq!(log.take(), ["slow 7"]);
    });
}

#[test]
fn events_that_wait_for_a_middleware_are_dropped_when_the_socket_goes() {
    run(async |world| {
        let (log, gate) = (Log::default(), Gate::closed());
        let ns = world.of("/");
        let (waits, seen) = (gate.clone(), log.clone());
        ns.use_packet(async move |_, _| {
            waits.pass().await;
            Ok(())
        });
        ns.on("n", async move |_: Socket, n: u32| seen.add(n.to_string()));
        let client = world.joined();
        client.send(r#"42["n",1]"#);
        client.send(r#"42["n",2]"#);
        client.cut();
        gate.admit(5);
        world.settle().await;
        assert_eq!(log.take(), [""; 0]);
    });
}

#[test]
fn too_many_waiting_handlers_pause_the_connection_until_half_are_done() {
    let settings = Settings {
        hub_limits: HubLimits {
            max_running_handlers: 8,
            ..HubLimits::default()
        },
        ..Settings::default()
    };
    run_with(settings, async |world| {
        let gate = Gate::closed();
        let waits = gate.clone();
        world
            .of("/")
            .on("work", async move |_: Socket| waits.pass().await);
        let (client, other) = (world.joined(), world.joined());
        for _ in 0..7 {
            client.send(r#"42["work"]"#);
        }
        assert!(!client.is_paused());
        client.send(r#"42["work"]"#);
        assert!(client.is_paused());
        assert!(!other.is_paused());
        client.signals();
        gate.admit(3);
        world.settle().await;
        assert!(client.is_paused());
        assert!(client.signals().iter().all(|signals| !signals.resume));
        gate.admit(1);
        world.settle().await;
        assert!(!client.is_paused());
        assert_eq!(
            client
                .signals()
                .iter()
                .filter(|signals| signals.resume)
                .count(),
            1
        );
    });
}

#[test]
fn events_behind_a_waiting_middleware_pause_the_connection_too() {
    let settings = Settings {
        hub_limits: HubLimits {
            max_running_handlers: 4,
            ..HubLimits::default()
        },
        ..Settings::default()
    };
    run_with(settings, async |world| {
        let gate = Gate::closed();
        let waits = gate.clone();
        let ns = world.of("/");
        ns.use_packet(async move |_, _| {
            waits.pass().await;
            Ok(())
        });
        let client = world.joined();
        for _ in 0..5 {
            client.send(r#"42["n"]"#);
        }
        assert!(client.is_paused());
        gate.admit(5);
        world.settle().await;
        assert!(!client.is_paused());
    });
}

#[test]
fn a_connection_is_read_on_when_the_socket_that_held_it_up_is_gone() {
    let settings = Settings {
        hub_limits: HubLimits {
            max_running_handlers: 2,
            ..HubLimits::default()
        },
        ..Settings::default()
    };
    run_with(settings, async |world| {
        let busy = world.of("/busy");
        world.of("/other");
        busy.on("work", async |_: Socket| std::future::pending().await);
        let client = world.client();
        client.connect("/busy");
        client.connect("/other");
        client.send(r#"42/busy,["work"]"#);
        client.send(r#"42/busy,["work"]"#);
        assert!(client.is_paused());
        busy.disconnect_sockets(false);
        world.settle().await;
        assert!(!client.is_paused(), "nothing would ever wake it again");
        assert!(client.signals().iter().any(|signals| signals.resume));
    });
}

#[test]
fn an_event_without_a_handler_is_passed_over() {
    run(async |world| {
        let ns = world.of("/");
        let client = world.joined();
        client.send(r#"42["nobody",1]"#);
        client.send(r#"427["nobody",1]"#);
        assert_eq!(client.texts(), [""; 0]);
        assert_eq!((client.closed(), ns.socket_count()), (None, 1));
        assert_eq!(world.hub().stats().events_in, 2);
    });
}

#[test]
fn data_and_extensions_stay_with_their_socket() {
    run(async |world| {
        let ns = world.of("/");
        ns.on("set", async |socket: Socket, n: u32| {
            socket.set_data(json!({"n": n}));
            socket.insert(n);
            socket.insert("text".to_owned());
        });
        ns.on("get", async |socket: Socket| {
            let number = socket.get::<u32>().map(|n| *n);
            let text = socket.get::<String>().is_some();
            socket.emit("is", &(socket.data(), number, text)).unwrap();
        });
        let (one, two) = (world.joined(), world.joined());
        one.send(r#"42["set",1]"#);
        two.send(r#"42["set",2]"#);
        two.send(r#"42["set",3]"#);
        one.send(r#"42["get"]"#);
        two.send(r#"42["get"]"#);
        assert_eq!(one.texts(), [r#"42["is",{"n":1},1,true]"#]);
        assert_eq!(two.texts(), [r#"42["is",{"n":3},3,true]"#]);
    });
}
