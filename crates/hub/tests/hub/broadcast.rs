//! Broadcasts: who gets them, once, in order.

use lakh_hub::Socket;
use lakh_wire::engine::{Transport, Version};
use serde_json::json;

use crate::support::{Client, World, run};

/// A namespace whose clients join what they ask for, and `n` clients of it.
fn prepared(world: &World, n: usize) -> (lakh_hub::Namespace, Vec<Client>, Vec<String>) {
    let ns = world.of("/");
    ns.on("join", async |socket: Socket, rooms: Vec<String>| {
        for room in rooms {
            socket.join(room);
        }
    });
    let clients: Vec<Client> = (0..n).map(|_| world.client()).collect();
    let ids = clients.iter().map(|client| client.connect("/")).collect();
    (ns, clients, ids)
}

fn join(client: &Client, rooms: &[&str]) {
    client.send(&format!("42{}", json!(["join", rooms])));
}

/// Which of the clients got an event, and how often.
fn counts(clients: &[Client]) -> Vec<usize> {
    clients.iter().map(|client| client.events().len()).collect()
}

#[test]
fn a_broadcast_to_a_room_reaches_its_members_and_nobody_else() {
    run(async |world| {
        let (ns, clients, _) = prepared(&world, 4);
        join(&clients[0], &["a"]);
        join(&clients[1], &["a", "b"]);
        join(&clients[2], &["b"]);
        ns.to("a").emit("e", &("x", 1)).unwrap();
        assert_eq!(clients[0].texts(), [r#"42["e","x",1]"#]);
        assert_eq!(counts(&clients), [0, 1, 0, 0]);
        ns.in_("b").emit("e", &()).unwrap();
        assert_eq!(counts(&clients), [0, 1, 1, 0]);
        ns.emit("e", &()).unwrap();
        assert_eq!(counts(&clients), [1, 1, 1, 1]);
        ns.to("nobody").emit("e", &()).unwrap();
        ns.local().emit("e", &()).unwrap();
        assert_eq!(counts(&clients), [1, 1, 1, 1]);
    });
}

#[test]
fn who_is_in_several_of_the_rooms_gets_it_once() {
    run(async |world| {
        let (ns, clients, ids) = prepared(&world, 3);
        join(&clients[0], &["a", "b", "c"]);
        join(&clients[1], &["c"]);
        ns.to("a").to("b").to("c").emit("e", &()).unwrap();
        assert_eq!(counts(&clients), [1, 1, 0]);
        ns.to("a").to("a").to(&*ids[0]).emit("e", &()).unwrap();
        assert_eq!(counts(&clients), [1, 0, 0]);
    });
}

#[test]
fn except_wins_over_to() {
    run(async |world| {
        let (ns, clients, ids) = prepared(&world, 4);
        join(&clients[0], &["a"]);
        join(&clients[1], &["a", "muted"]);
        join(&clients[2], &["a"]);
        ns.to("a").except("muted").emit("e", &()).unwrap();
        assert_eq!(counts(&clients), [1, 0, 1, 0]);
        ns.except("a").emit("e", &()).unwrap();
        assert_eq!(counts(&clients), [0, 0, 0, 1]);
        ns.to("a")
            .except(&*ids[2])
            .except("muted")
            .emit("e", &())
            .unwrap();
        assert_eq!(counts(&clients), [1, 0, 0, 0]);
        ns.to(&*ids[3]).except(&*ids[3]).emit("e", &()).unwrap();
        ns.to("a").except("a").emit("e", &()).unwrap();
        assert_eq!(counts(&clients), [0, 0, 0, 0]);
    });
}

#[test]
fn a_sockets_own_broadcast_leaves_it_out() {
    run(async |world| {
        let (ns, clients, ids) = prepared(&world, 3);
        for client in &clients {
            join(client, &["a"]);
        }
        ns.on("say", async |socket: Socket| {
            socket.broadcast().emit("all", &()).unwrap();
            socket.to("a").emit("room", &()).unwrap();
            socket.except("a").emit("no one", &()).unwrap();
            let own = socket.id().to_owned();
            socket.to(own).emit("not even so", &()).unwrap();
        });
        ns.on("tell", async |socket: Socket, id: String| {
            socket.to(id).emit("private", &()).unwrap();
        });
        clients[0].send(r#"42["say"]"#);
        assert_eq!(clients[0].names(), [""; 0]);
        assert_eq!(clients[1].names(), ["all", "room"]);
        assert_eq!(clients[2].names(), ["all", "room"]);
        clients[0].send(&format!("42{}", json!(["tell", ids[2]])));
        assert_eq!(counts(&clients), [0, 0, 1]);
    });
}

#[test]
fn a_room_named_by_a_socket_reaches_that_socket_and_those_that_joined_it() {
    run(async |world| {
        let (ns, clients, ids) = prepared(&world, 3);
        join(&clients[1], &[&ids[0]]);
        ns.to(&*ids[0]).emit("e", &()).unwrap();
        assert_eq!(counts(&clients), [1, 1, 0]);
        ns.except(&*ids[0]).emit("e", &()).unwrap();
        assert_eq!(counts(&clients), [0, 0, 1]);
        ns.on("leave own", async |socket: Socket| {
            let own = socket.id().to_owned();
            socket.leave(own);
        });
        clients[0].send(r#"42["leave own"]"#);
        ns.to(&*ids[0]).emit("e", &()).unwrap();
        assert_eq!(counts(&clients), [0, 1, 0]);
        join(&clients[0], &[&ids[0]]);
        ns.to(&*ids[0]).emit("e", &()).unwrap();
        assert_eq!(counts(&clients), [1, 1, 0]);
    });
}

#[test]
fn a_volatile_event_is_dropped_for_who_cannot_take_it_now() {
    run(async |world| {
        let (ns, clients, _) = prepared(&world, 2);
        let polling = world.open(Version::V4, Transport::Polling);
        assert!(world.shard().poll_opened(polling.key));
        polling.texts();
        polling.send("40");
        assert!(world.shard().poll_opened(polling.key));
        assert!(polling.texts()[0].starts_with("40"));
        clients[1].get_stuck();
        ns.volatile().emit("pos", &1).unwrap();
        ns.emit("must", &1).unwrap();
        assert_eq!(clients[0].names(), ["pos", "must"]);
        assert_eq!(world.hub().stats().dropped_volatile, 2);
        clients[1].come_unstuck();
        assert_eq!(clients[1].names(), ["must"]);
        assert!(world.shard().poll_opened(polling.key));
        assert_eq!(polling.names(), ["must"]);
        // With a poll waiting it goes out at once.
        assert!(world.shard().poll_opened(polling.key));
        ns.volatile().emit("pos", &2).unwrap();
        assert_eq!(polling.names(), ["pos"]);
    });
}

#[test]
fn one_socket_is_sent_volatile_events_too() {
    run(async |world| {
        let (ns, clients, _) = prepared(&world, 1);
        ns.on("go", async |socket: Socket| {
            socket.emit_volatile("v", &1).unwrap();
            socket.emit("n", &1).unwrap();
        });
        clients[0].send(r#"42["go"]"#);
        assert_eq!(clients[0].names(), ["v", "n"]);
        clients[0].get_stuck();
        clients[0].send(r#"42["go"]"#);
        clients[0].come_unstuck();
        assert_eq!(clients[0].names(), ["n"]);
    });
}

#[test]
fn broadcasts_and_single_events_keep_the_order_in_which_they_were_sent() {
    run(async |world| {
        let (ns, clients, ids) = prepared(&world, 2);
        join(&clients[1], &["r"]);
        let hub = ns.clone();
        ns.on("go", async move |socket: Socket, to: String| {
            for n in 0..20 {
                match n % 4 {
                    0 => hub.emit("n", &n).unwrap(),
                    1 => socket.to("r").emit("n", &n).unwrap(),
                    2 => socket.to(to.clone()).emit("n", &n).unwrap(),
                    _ => drop(hub.to("r").emit_with_ack::<u8>("n", &n).unwrap()),
                }
            }
        });
        clients[0].send(&format!("42{}", json!(["go", ids[1]])));
        let expected: Vec<_> = (0..20).map(|n| json!(n)).collect();
        assert_eq!(clients[1].firsts(), expected);
    });
}

#[test]
fn numbered_events_are_delivered_in_the_order_of_their_numbers_and_not_at_all_when_given_up() {
    run(async |world| {
        let (ns, clients, _) = prepared(&world, 1);
        let next = std::sync::Mutex::new(0_u32);
        for _ in 0..3 {
            let sent = ns.local().emit_ordered(|| {
                let mut next = next.lock().unwrap();
                *next += 1;
                let text = format!(r#"["n",{next}]"#);
                Some((lakh_hub::Payload::from_raw(text, Vec::new()), next))
            });
            assert!(sent.unwrap());
        }
        let given_up = ns.local().emit_ordered(|| None::<(lakh_hub::Payload, ())>);
        assert!(!given_up.unwrap());
        assert_eq!(clients[0].firsts(), [1, 2, 3]);
    });
}

#[test]
fn namespaces_do_not_hear_each_other() {
    run(async |world| {
        for name in ["/a", "/b"] {
            let ns = world.of(name);
            ns.on_connect(async |socket: Socket| {
                socket.join("same");
            });
        }
        let client = world.client();
        client.connect("/a");
        client.connect("/b");
        world.of("/b").to("same").emit("e", &1).unwrap();
        assert_eq!(client.texts(), [r#"42/b,["e",1]"#]);
    });
}
