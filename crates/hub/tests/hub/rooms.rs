//! Rooms: joining, leaving, limits, operations on many sockets, and the events that tell of it.

use lakh_hub::{HubLimits, RoomEvent, Settings, Socket};
use serde_json::json;

use crate::support::{Log, World, run, run_with};

fn told(world: &World) -> (lakh_hub::Namespace, Log) {
    let (ns, log) = (world.of("/"), Log::default());
    let seen = log.clone();
    ns.on_room_event(move |event| {
        seen.add(match event {
            RoomEvent::Created(room) => format!("create {room}"),
            RoomEvent::Deleted(room) => format!("delete {room}"),
            RoomEvent::Joined(room, id) => format!("join {room} {id}"),
            RoomEvent::Left(room, id) => format!("leave {room} {id}"),
        });
    });
    (ns, log)
}

#[test]
fn room_events_come_in_the_order_of_node() {
    run(async |world| {
        let (ns, log) = told(&world);
        ns.on("join", async |socket: Socket, room: String| {
            socket.join(room);
        });
        ns.on("leave", async |socket: Socket, room: String| {
            socket.leave(room)
        });
        let (one, two) = (world.client(), world.client());
        let (a, b) = (one.connect("/"), two.connect("/"));
        assert_eq!(
            log.take(),
            [
                format!("create {a}"),
                format!("join {a} {a}"),
                format!("create {b}"),
                format!("join {b} {b}"),
            ]
        );
        one.send(r#"42["join","r"]"#);
        one.send(r#"42["join","r"]"#);
        two.send(r#"42["join","r"]"#);
        assert_eq!(
            log.take(),
            [
                "create r".to_owned(),
                format!("join r {a}"),
                format!("join r {b}")
            ]
        );
        one.send(r#"42["leave","r"]"#);
        one.send(r#"42["leave","r"]"#);
        assert_eq!(log.take(), [format!("leave r {a}")]);
        two.cut();
        let mut gone = log.take();
        // In which order a socket leaves its rooms is not promised; that a room is deleted after it's left is.
        gone.sort_by_key(|line| line.contains(&format!(" {b}")) && !line.contains(" r"));
        assert_eq!(
            gone,
            [
                format!("leave r {b}"),
                "delete r".to_owned(),
                format!("leave {b} {b}"),
                format!("delete {b}"),
            ]
        );
    });
}

#[test]
fn a_socket_knows_its_rooms() {
    run(async |world| {
        let ns = world.of("/");
        ns.on("try", async |socket: Socket| {
            assert!(socket.join("a"));
            assert!(socket.join("b"));
            assert!(socket.join("a"));
            socket.leave("b");
            assert!(socket.is_in("a") && !socket.is_in("b"));
            let rooms = socket.rooms().await;
            let rooms: Vec<&str> = rooms.iter().map(|room| &**room).collect();
            socket.emit("rooms", &rooms).unwrap();
        });
        let client = world.client();
        let id = client.connect("/");
        client.send(r#"42["try"]"#);
        world.settle().await;
        assert_eq!(client.firsts(), [json!([id, "a"])]);
        assert_eq!(ns.room_count(), 1);
        client.cut();
        assert_eq!(ns.room_count(), 0);
    });
}

#[test]
fn a_socket_joins_no_more_rooms_than_it_may_and_may_again_after_leaving_one() {
    let settings = Settings {
        hub_limits: HubLimits {
            max_rooms: 2,
            ..HubLimits::default()
        },
        ..Settings::default()
    };
    run_with(settings, async |world| {
        world.of("/").on_connect(async |socket: Socket| {
            assert!(socket.join("a") && socket.join("b"));
            assert!(!socket.join("c"));
            assert!(socket.join("b"), "it's in already");
            socket.leave("a");
            assert!(socket.join("c"));
            socket.emit("done", &()).unwrap();
        });
        let client = world.client();
        client.texts();
        client.send("40");
        assert_eq!(client.names(), ["done"]);
    });
}

#[test]
fn many_sockets_join_leave_and_are_fetched_at_once() {
    run(async |world| {
        let ns = world.of("/");
        ns.on_connect(async |socket: Socket| {
            socket.set_data(json!({"auth": socket.auth_text()}));
            if socket.auth_text().is_some() {
                socket.join("staff");
            }
        });
        let (one, two, three) = (world.client(), world.client(), world.client());
        let first = one.connect("/");
        let data = two.connect_with("/", r#"{"staff":true}"#);
        let second = data["sid"].as_str().unwrap();
        three.connect("/");

        ns.to("staff").sockets_join(["x", "y"]);
        ns.except("staff").sockets_join(["z"]);
        let mut found: Vec<String> = ns
            .to("z")
            .fetch_sockets()
            .await
            .into_iter()
            .map(|s| s.id)
            .collect();
        found.sort();
        assert_eq!(found.len(), 2);
        assert!(found.contains(&first));

        let fetched = ns.to("x").fetch_sockets().await;
        assert_eq!(fetched.len(), 1);
        let remote = &fetched[0];
        assert_eq!(remote.id, second);
        let mut rooms: Vec<&str> = remote.rooms.iter().map(|room| &**room).collect();
        rooms.sort_unstable();
        let mut expected = vec![second, "staff", "x", "y"];
        expected.sort_unstable();
        assert_eq!(rooms, expected);
        assert_eq!(remote.data, json!({"auth": r#"{"staff":true}"#}));
        assert!(remote.handshake.secure);
        remote.emit("hi", &1).unwrap();
        assert_eq!(two.names(), ["hi"]);
        assert_eq!(one.names(), [""; 0]);

        remote.leave("x");
        remote.join("w");
        ns.to(second).sockets_leave(["y"]);
        assert_eq!(ns.to("x").to("y").fetch_sockets().await.len(), 0);
        assert_eq!(ns.to("w").fetch_sockets().await.len(), 1);
        assert_eq!(ns.members("w", 10).await.len(), 1);
        assert_eq!(ns.members("z", 1).await.len(), 1);
        assert_eq!(ns.fetch_sockets().await.len(), 3);

        remote.disconnect(false);
        assert_eq!(two.texts(), ["41"]);
        ns.to("z").disconnect_sockets(true);
        assert!(one.closed().is_some() && three.closed().is_some());
        assert_eq!(two.closed(), None);
        assert_eq!((ns.socket_count(), ns.room_count()), (0, 0));
    });
}

#[test]
fn a_room_joined_before_the_socket_is_in_counts_from_the_start() {
    run(async |world| {
        let ns = world.of("/");
        ns.use_connect(async |socket: Socket| {
            socket.join("early");
            Ok(())
        });
        let client = world.joined();
        ns.to("early").emit("e", &()).unwrap();
        assert_eq!(client.names(), ["e"]);
        client.cut();
        assert_eq!((ns.room_count(), ns.socket_count()), (0, 0));
    });
}

#[test]
fn rooms_of_a_socket_that_was_refused_are_left() {
    run(async |world| {
        let (ns, log) = told(&world);
        ns.use_connect(async |socket: Socket| {
            socket.join("early");
            match socket.auth_text() {
                None => Err(lakh_hub::ConnectError::new("no")),
                Some(_) => Ok(()),
            }
        });
        let refused = world.client();
        refused.send("40");
        assert_eq!(ns.room_count(), 0);
        let lines = log.take();
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert_eq!(lines[3], "delete early");
        let other = world.client();
        other.connect_with("/", "{}");
        ns.to("early").emit("e", &()).unwrap();
        assert_eq!(other.names(), ["e"]);
        refused.frames();
        assert_eq!(ns.to("early").fetch_sockets().await.len(), 1);
    });
}

#[test]
fn rooms_joined_during_a_check_outlive_the_last_member_of_the_namespace() {
    run(async |world| {
        let gate = crate::support::Gate::closed();
        let ns = world.of("/");
        let waits = gate.clone();
        ns.use_connect(async move |socket: Socket| {
            if socket.auth_text().is_some() {
                socket.join("early");
                waits.pass().await;
            }
            Ok(())
        });
        let stays = world.joined();
        let waiting = world.client();
        waiting.send(r#"40{"wait":1}"#);
        stays.cut();
        let other = world.joined();
        gate.admit(1);
        world.settle().await;
        waiting.texts();
        ns.to("early").emit("e", &()).unwrap();
        assert_eq!(waiting.names(), ["e"]);
        assert_eq!(other.names(), [""; 0]);
        waiting.cut();
        other.cut();
        assert_eq!((ns.room_count(), ns.socket_count()), (0, 0));
    });
}
