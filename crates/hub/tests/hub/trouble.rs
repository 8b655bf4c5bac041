//! Handlers and hooks that do to the hub what it's just about to do itself.

use lakh_hub::{CloseReason, RoomEvent, Socket};

use crate::support::{Client, Log, World, run};

fn alive(client: &Client) {
    client.frames();
    client.send(r#"42["nobody listens"]"#);
    assert_eq!(client.closed(), None);
}

/// A room hook that broadcasts, whatever happens to a room.
fn with_loud_rooms(world: &World) -> lakh_hub::Namespace {
    let ns = world.of("/");
    let loud = ns.clone();
    ns.on_room_event(move |event| {
        let text = match event {
            RoomEvent::Created(_) => "created",
            RoomEvent::Deleted(_) => "deleted",
            RoomEvent::Joined(..) => "joined",
            RoomEvent::Left(..) => "left",
        };
        loud.to("watchers").emit(text, &()).unwrap();
    });
    ns
}

#[test]
fn room_hooks_may_broadcast_while_a_socket_joins_leaves_and_goes() {
    run(async |world| {
        let ns = with_loud_rooms(&world);
        let watcher = world.joined();
        ns.sockets_join(["watchers"]);
        watcher.frames();
        let client = world.joined();
        assert_eq!(watcher.names(), ["created", "joined"]);
        ns.except("watchers").sockets_join(["a", "b"]);
        assert_eq!(watcher.names(), ["created", "joined", "created", "joined"]);
        client.cut();
        let told = watcher.names();
        assert_eq!(told.iter().filter(|name| *name == "left").count(), 3);
        assert_eq!(told.iter().filter(|name| *name == "deleted").count(), 3);
        alive(&watcher);
    });
}

#[test]
fn a_hook_may_fill_a_room_again_while_it_is_being_emptied() {
    run(async |world| {
        let ns = world.of("/");
        let again = ns.clone();
        ns.on_room_event(move |event| {
            if matches!(event, RoomEvent::Left(room, _) if &**room == "r") {
                again.to("substitutes").sockets_join(["r"]);
            }
        });
        ns.on("join", async |socket: Socket, room: String| {
            socket.join(room);
        });
        let (first, substitute) = (world.joined(), world.joined());
        first.send(r#"42["join","r"]"#);
        substitute.send(r#"42["join","substitutes"]"#);
        first.cut();
        assert_eq!(ns.to("r").fetch_sockets().await.len(), 1);
        assert_eq!(ns.room_count(), 2);
        ns.to("r").emit("e", &()).unwrap();
        assert_eq!(substitute.names(), ["e"]);
    });
}

#[test]
fn a_handler_may_disconnect_its_socket_and_go_on_using_it() {
    run(async |world| {
        let ns = world.of("/");
        ns.on("go", async |socket: Socket| {
            socket.disconnect(true);
            assert!(!socket.is_connected());
            socket.emit("late", &1).unwrap();
            assert!(!socket.join("r"));
            socket.leave("r");
            assert_eq!(socket.rooms().await.len(), 0);
            socket.to("r").emit("e", &1).unwrap();
            socket.disconnect(true);
        });
        let client = world.joined();
        client.send(r#"42["go"]"#);
        assert_eq!(client.texts(), ["41"]);
        assert_eq!((ns.socket_count(), ns.room_count()), (0, 0));
    });
}

#[test]
fn the_other_handlers_of_a_connect_do_not_run_for_a_socket_that_one_has_thrown_out() {
    run(async |world| {
        let log = Log::default();
        let ns = world.of("/");
        let (first, second, gone) = (log.clone(), log.clone(), log.clone());
        ns.on_connect(async move |socket: Socket| {
            first.add("first");
            socket.disconnect(true);
        });
        ns.on_connect(async move |_| second.add("second"));
        ns.on_disconnect(async move |_, _| gone.add("gone"));
        let client = world.client();
        client.send("40");
        assert!(client.closed().is_some());
        assert_eq!(log.take(), ["first", "gone"]);
        let stats = world.hub().stats();
        assert_eq!((stats.sockets, stats.sessions), (0, 0));
    });
}

#[test]
fn a_room_hook_may_throw_the_socket_out_while_it_comes_in() {
    run(async |world| {
        let ns = world.of("/");
        let all = ns.clone();
        ns.on_room_event(move |event| {
            if matches!(event, RoomEvent::Joined(..)) {
                all.disconnect_sockets(true);
            }
        });
        let log = Log::default();
        let seen = log.clone();
        ns.on_connect(async move |_| seen.add("connect"));
        let client = world.client();
        client.send("40");
        assert_eq!(client.closed(), Some(CloseReason::ForcedServerClose));
        assert_eq!(log.take(), [""; 0]);
        assert_eq!(ns.socket_count(), 0);
        let stats = world.hub().stats();
        assert_eq!((stats.sockets, stats.sessions), (0, 0));
    });
}

#[test]
fn hooks_of_the_end_may_use_everything() {
    run(async |world| {
        let ns = world.of("/");
        let all = ns.clone();
        ns.on_disconnecting(async move |socket: Socket, _| {
            socket.to("r").emit("going", &1).unwrap();
            socket.join("last");
            socket.leave("r");
            socket.emit("bye", &1).unwrap();
            drop(socket.emit_with_ack::<u8>("q", &1).unwrap());
            all.sockets_leave(["last"]);
        });
        let after = ns.clone();
        ns.on_disconnect(async move |socket: Socket, _| {
            socket.broadcast().emit("gone", &1).unwrap();
            after.to("r").sockets_join(["later"]);
            assert!(!socket.join("r"));
        });
        ns.on_connect(async |socket: Socket| {
            socket.join("r");
        });
        let (one, two) = (world.joined(), world.joined());
        one.cut();
        assert_eq!(two.names(), ["going", "gone"]);
        alive(&two);
        two.cut();
        assert_eq!((ns.room_count(), ns.socket_count()), (0, 0));
    });
}

#[test]
fn a_listener_of_outgoing_events_may_emit_itself() {
    run(async |world| {
        let ns = world.of("/");
        let again = ns.clone();
        ns.on_any_outgoing(move |socket, payload| {
            if payload.text().contains("first") {
                again.to(socket.id().to_owned()).emit("echo", &1).unwrap();
                socket.join("heard");
            }
        });
        let (one, two) = (world.joined(), world.joined());
        ns.emit("first", &1).unwrap();
        assert_eq!(one.names(), ["first", "echo"]);
        assert_eq!(two.names(), ["first", "echo"]);
        assert_eq!(ns.to("heard").fetch_sockets().await.len(), 2);
    });
}

#[test]
fn what_is_sent_from_inside_a_delivery_comes_after_what_was_sent_before_it() {
    run(async |world| {
        let ns = world.of("/");
        let again = ns.clone();
        ns.on_any_outgoing(move |_, payload| {
            if payload.text() == r#"["n",1]"# {
                again.emit("n", &100).unwrap();
                again.emit("n", &101).unwrap();
            }
        });
        let client = world.joined();
        let remote = ns.clone();
        std::thread::spawn(move || {
            for n in 1..=3 {
                remote.emit("n", &n).unwrap();
            }
        })
        .join()
        .unwrap();
        world.settle().await;
        let got: Vec<i64> = client.firsts().iter().filter_map(|n| n.as_i64()).collect();
        let from = |range: std::ops::RangeInclusive<i64>| {
            let some = got.iter().copied().filter(|n| range.contains(n));
            some.collect::<Vec<_>>()
        };
        assert_eq!(
            (from(1..=3), from(100..=101)),
            (vec![1, 2, 3], vec![100, 101])
        );
    });
}

struct Noisy(Socket);

impl Drop for Noisy {
    fn drop(&mut self) {
        // The value goes with its socket, or when it's replaced: both times the hub must not be in the middle of things.
        let _ = self.0.get::<u32>();
        self.0.join("from a drop");
        self.0.to("r").emit("dropped", &1).unwrap();
    }
}

#[test]
fn values_kept_with_a_socket_may_use_the_hub_when_they_are_dropped() {
    run(async |world| {
        let ns = world.of("/");
        ns.on_connect(async |socket: Socket| {
            socket.join("r");
        });
        ns.on("keep", async |socket: Socket| {
            socket.insert(std::sync::Mutex::new(Some(Noisy(socket.clone()))))
        });
        ns.on("capture", async |socket: Socket| {
            let noisy = Noisy(socket.clone());
            socket.on("never", async move |_: Socket| {
                let _ = &noisy;
            });
        });
        ns.on("drop", async |socket: Socket| socket.off("never"));
        let (one, two) = (world.joined(), world.joined());
        one.send(r#"42["keep"]"#);
        one.send(r#"42["keep"]"#);
        assert_eq!(two.names(), ["dropped"]);
        one.send(r#"42["capture"]"#);
        one.send(r#"42["capture"]"#);
        assert_eq!(two.names(), ["dropped"]);
        one.send(r#"42["drop"]"#);
        assert_eq!(two.names(), ["dropped"]);
        one.send(r#"42["capture"]"#);
        one.cut();
        world.settle().await;
        assert_eq!(two.names(), ["dropped"]);
        assert_eq!(ns.socket_count(), 1);
    });
}

#[test]
fn a_handler_may_change_the_handlers() {
    run(async |world| {
        let ns = world.of("/");
        let itself = ns.clone();
        ns.on("learn", async move |_: Socket| {
            itself.on("new", async |socket: Socket| {
                socket.emit("learned", &1).unwrap()
            });
        });
        let client = world.joined();
        client.send(r#"42["new"]"#);
        client.send(r#"42["learn"]"#);
        client.send(r#"42["new"]"#);
        assert_eq!(client.names(), ["learned"]);
    });
}

#[test]
fn probing_again_and_again_leaves_the_heartbeat_as_it_was() {
    run(async |world| {
        world.of("/");
        let version = lakh_wire::engine::Version::V4;
        let client = world.open(version, lakh_wire::engine::Transport::Polling);
        client.send("40");
        for _ in 0..50 {
            world.shard().probe(client.key).unwrap();
            world
                .shard()
                .text(client.key, lakh_wire::engine::Side::Probe, "2probe");
            world
                .shard()
                .text(client.key, lakh_wire::engine::Side::Probe, "what?");
            world.pass(1);
        }
        // Pings go on as if nothing had been.
        world.pass(25_000);
        assert!(world.shard().poll_opened(client.key));
        let texts = client.texts();
        assert_eq!(
            texts.iter().filter(|text| *text == "2").count(),
            1,
            "{texts:?}"
        );
    });
}
