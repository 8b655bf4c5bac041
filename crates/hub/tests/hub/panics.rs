//! A panic in a user's code costs what it was about, and never the event loop.

use lakh_hub::{Ack, CloseReason, EngineHandlers, Message, Socket};
use lakh_wire::engine::{Transport, Version};
use serde_json::json;

use crate::support::{Client, Gate, World, handshake, run};

/// The client's socket and the loop still work.
async fn still_alive(world: &World, client: &Client) {
    world
        .of("/")
        .on("alive?", async |_: Socket, _: (), ack: Ack| {
            ack.send(&"yes").unwrap()
        });
    client.frames();
    client.send(r#"425["alive?"]"#);
    world.settle().await;
    assert_eq!(client.texts(), [r#"435["yes"]"#]);
}

#[test]
fn in_a_handler_it_costs_that_event() {
    run(async |world| {
        let gate = Gate::closed();
        let ns = world.of("/");
        let waits = gate.clone();
        ns.on("now", async |_: Socket| panic!("a test's panic"));
        ns.on("later", async move |_: Socket| {
            waits.pass().await;
            panic!("a test's panic");
        });
        let client = world.joined();
        client.send(r#"42["now"]"#);
        client.send(r#"42["later"]"#);
        gate.admit(1);
        world.settle().await;
        still_alive(&world, &client).await;
    });
}

struct Explosive;

impl<'de> serde::Deserialize<'de> for Explosive {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("a test's panic")
    }
}

#[test]
fn while_arguments_are_read_it_costs_that_event() {
    run(async |world| {
        world.of("/").on("e", async |_: Socket, _: Explosive| {});
        let client = world.joined();
        client.send(r#"42["e",1]"#);
        still_alive(&world, &client).await;
    });
}

#[test]
fn in_a_connect_hook_the_socket_goes_on() {
    run(async |world| {
        let ns = world.of("/");
        ns.on_connect(async |socket: Socket| {
            assert!(socket.auth_text().is_none(), "a test's panic");
        });
        let client = world.client();
        client.connect_with("/", "{}");
        still_alive(&world, &client).await;
        assert_eq!(ns.socket_count(), 1);
    });
}

#[test]
fn in_a_connect_check_the_client_is_refused_and_nothing_is_left() {
    run(async |world| {
        let (ns, gate) = (world.of("/"), Gate::closed());
        let waits = gate.clone();
        ns.use_connect(async move |socket: Socket| {
            match socket.auth_text() {
                None => return Ok(()),
                Some(r#"{"n":1}"#) => {}
                Some(_) => waits.pass().await,
            }
            socket.join("r");
            panic!("a test's panic")
        });
        gate.admit(1);
        for auth in [r#"{"n":1}"#, r#"{"n":2}"#] {
            let client = world.client();
            client.texts();
            client.send(&format!("40{auth}"));
            world.settle().await;
            let texts = client.texts();
            assert!(texts.len() == 1 && texts[0].starts_with("44"), "{texts:?}");
        }
        assert_eq!((ns.socket_count(), ns.room_count()), (0, 0));
        let client = world.joined();
        still_alive(&world, &client).await;
    });
}

#[test]
fn in_the_function_of_a_parent_the_client_is_refused() {
    run(async |world| {
        world.of("/");
        world.of_fn(async |_, _| panic!("a test's panic"));
        let client = world.joined();
        for _ in 0..100 {
            client.send("40/x,");
            assert_eq!(client.texts(), [r#"44/x,{"message":"Invalid namespace"}"#]);
        }
        still_alive(&world, &client).await;
    });
}

#[test]
fn in_a_packet_check_it_costs_that_event() {
    run(async |world| {
        let (ns, gate) = (world.of("/"), Gate::closed());
        let waits = gate.clone();
        ns.use_packet(async move |_, event| match event.name() {
            "now" => panic!("a test's panic"),
            "later" => {
                waits.pass().await;
                panic!("a test's panic")
            }
            _ => Ok(()),
        });
        let client = world.joined();
        gate.admit(1);
        client.send(r#"42["now"]"#);
        client.send(r#"42["later"]"#);
        world.settle().await;
        still_alive(&world, &client).await;
    });
}

#[test]
fn in_hooks_of_the_end_the_socket_is_gone_all_the_same() {
    run(async |world| {
        let ns = world.of("/");
        ns.on_disconnecting(async |_, _| panic!("a test's panic"));
        ns.on_disconnect(async |_, _| panic!("a test's panic"));
        ns.on_connect(async |socket: Socket| {
            socket.join("r");
            socket.on_disconnecting(|_| panic!("a test's panic"));
            socket.on_disconnect(|_| panic!("a test's panic"));
        });
        let client = world.joined();
        client.cut();
        assert_eq!(client.closed(), Some(CloseReason::TransportClose));
        assert_eq!((ns.socket_count(), ns.room_count()), (0, 0));
        assert_eq!(world.hub().stats().sockets, 0);
        let client = world.joined();
        still_alive(&world, &client).await;
    });
}

#[test]
fn in_hooks_of_rooms_and_outgoing_events_the_work_is_done_all_the_same() {
    run(async |world| {
        let ns = world.of("/");
        ns.on_room_event(|_| panic!("a test's panic"));
        ns.on_any_outgoing(|_, payload| assert!(!payload.text().contains("bad"), "a test's panic"));
        let (one, two) = (world.joined(), world.joined());
        ns.sockets_join(["r"]);
        ns.to("r").emit("bad", &json!(1)).unwrap();
        assert_eq!((one.names().len(), two.names().len()), (1, 1));
        // What other threads send still arrives.
        let remote = ns.clone();
        std::thread::spawn(move || remote.to("r").emit("good", &1).unwrap())
            .join()
            .unwrap();
        world.settle().await;
        assert_eq!((one.names().len(), two.names().len()), (1, 1));
        one.cut();
        two.cut();
        assert_eq!((ns.room_count(), ns.socket_count()), (0, 0));
    });
}

#[test]
fn in_work_sent_to_a_loop_the_loop_goes_on() {
    run(async |world| {
        let ns = world.of("/");
        let client = world.joined();
        world.hub().run_on(0, |_| panic!("a test's panic")).unwrap();
        let remote = ns.clone();
        std::thread::spawn(move || remote.emit("behind it", &1).unwrap())
            .join()
            .unwrap();
        world.settle().await;
        assert_eq!(client.names(), ["behind it"]);
    });
}

#[test]
fn in_engine_handlers_the_session_goes_on() {
    run(async |world| {
        world.hub().set_engine_io(
            EngineHandlers::default()
                .on_open(|_| panic!("a test's panic"))
                .on_message(|socket, message| match message {
                    Message::Text("bad") => panic!("a test's panic"),
                    message => socket.send(&message),
                })
                .on_close(|_, _| panic!("a test's panic")),
        );
        let hs = handshake("EIO=4");
        let client = world.open_with(
            lakh_hub::shard::App::EngineIo,
            Version::V4,
            Transport::WebSocket,
            hs,
        );
        client.send("4bad");
        client.send("4good");
        assert_eq!(client.texts()[1..], ["4good"]);
        client.cut();
        assert_eq!(world.hub().stats().sessions, 0);
    });
}
