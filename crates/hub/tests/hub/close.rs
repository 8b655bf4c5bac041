//! The end of sockets and connections: reasons, hooks, packets.

use lakh_hub::{CloseReason, Socket};
use lakh_wire::engine::{End, Side};

use crate::support::{Log, World, run};

fn told(world: &World, name: &str) -> Log {
    let (ns, log) = (world.of(name), Log::default());
    let (before, after) = (log.clone(), log.clone());
    ns.on_connect(async |socket: Socket| {
        socket.join("r");
    });
    ns.on_disconnecting(async move |socket: Socket, reason| {
        let rooms = socket.rooms().await.len();
        before.add(format!("disconnecting {reason} {rooms}"));
    });
    ns.on_disconnect(async move |socket: Socket, reason| {
        let (rooms, connected) = (socket.rooms().await.len(), socket.is_connected());
        after.add(format!("disconnect {reason} {rooms} {connected}"));
    });
    ns.on("leave", async |socket: Socket, close: bool| {
        socket.disconnect(close)
    });
    log
}

#[test]
fn a_handler_sees_its_connection_and_may_cut_it_off_without_a_word() {
    run(async |world| {
        let log = told(&world, "/");
        let seen = log.clone();
        world.of("/").on("cut", async move |socket: Socket| {
            let conn = socket.conn();
            let transport = conn.as_ref().and_then(|conn| conn.transport());
            seen.add(transport.map_or("none", |transport| transport.as_str()));
            conn.inspect(|conn| conn.close());
            seen.add(format!("{}", socket.conn().is_some()));
        });
        let client = world.joined();
        client.send(r#"42["cut"]"#);
        let expected = [
            "websocket",
            "disconnecting forced close 2",
            "disconnect forced close 0 false",
            "false",
        ];
        assert_eq!(log.take(), expected);
        assert!(!client.texts().contains(&"41".to_owned()));
    });
}

#[test]
fn every_way_to_go_has_its_reason_and_rooms_are_there_until_it_is_done() {
    run(async |world| {
        let log = told(&world, "/");
        let expect = |reason: &str| {
            [
                format!("disconnecting {reason} 2"),
                format!("disconnect {reason} 0 false"),
            ]
        };
        let client = world.joined();
        client.cut();
        assert_eq!(log.take(), expect("transport close"));

        let client = world.joined();
        world.shard().end(client.key, Side::Main, End::Error);
        assert_eq!(log.take(), expect("transport error"));

        let client = world.joined();
        client.send("41");
        assert_eq!(log.take(), expect("client namespace disconnect"));
        assert_eq!((client.closed(), client.texts()), (None, Vec::new()));

        let client = world.joined();
        client.send(r#"42["leave",false]"#);
        assert_eq!(log.take(), expect("server namespace disconnect"));
        assert_eq!(
            (client.closed(), client.texts()),
            (None, vec!["41".to_owned()])
        );

        let client = world.joined();
        client.send(r#"42["leave",true]"#);
        assert_eq!(log.take(), expect("server namespace disconnect"));
        assert_eq!(client.texts(), ["41"]);
        assert_eq!(client.closed(), Some(CloseReason::ForcedServerClose));

        let client = world.joined();
        client.send("4{");
        assert_eq!(log.take(), expect("parse error"));

        let client = world.joined();
        world
            .shard()
            .close(client.key, CloseReason::ServerShuttingDown);
        assert_eq!(log.take(), expect("server shutting down"));

        let stats = world.hub().stats();
        assert_eq!((stats.sockets, stats.sessions, stats.websocket), (0, 2, 2));
    });
}

#[test]
fn closing_the_connection_takes_every_namespace_with_it() {
    run(async |world| {
        let (one, two) = (told(&world, "/one"), told(&world, "/two"));
        let client = world.client();
        client.connect("/one");
        client.connect("/two");
        client.send(r#"42/one,["leave",true]"#);
        assert_eq!(client.texts(), ["41/one,", "41/two,"]);
        assert!(client.closed().is_some());
        for log in [one, two] {
            assert_eq!(
                log.take()[1],
                "disconnect server namespace disconnect 0 false"
            );
        }
    });
}

#[test]
fn a_client_that_left_a_namespace_may_come_again() {
    run(async |world| {
        let log = told(&world, "/");
        let client = world.client();
        let first = client.connect("/");
        client.send("41");
        let second = client.connect("/");
        assert_ne!(first, second);
        assert_eq!(log.take().len(), 2);
        client.send(r#"42["leave",false]"#);
        client.connect("/");
        assert_eq!(world.hub().stats().sockets, 1);
    });
}

#[test]
fn a_sockets_own_hooks_run_once_and_see_the_reason() {
    run(async |world| {
        let log = Log::default();
        let seen = log.clone();
        world.of("/").on_connect(async move |socket: Socket| {
            let (before, after) = (seen.clone(), seen.clone());
            socket.on_disconnecting(move |reason| before.add(format!("before {reason}")));
            socket.on_disconnect(move |reason| after.add(format!("after {reason}")));
        });
        let client = world.joined();
        client.cut();
        client.cut();
        assert_eq!(
            log.take(),
            ["before transport close", "after transport close"]
        );
    });
}

#[test]
fn an_event_that_crosses_the_servers_disconnect_is_nobodys_fault() {
    run(async |world| {
        let ns = world.of("/");
        world.of("/other");
        let client = world.joined();
        client.connect("/other");
        ns.disconnect_sockets(false);
        client.send(r#"42["on its way"]"#);
        client.send("430[]");
        client.send("41");
        assert_eq!(client.closed(), None);
        assert_eq!(client.texts(), ["41"]);
    });
}

#[test]
fn disconnecting_twice_says_so_once() {
    run(async |world| {
        let ns = world.of("/");
        let again = ns.clone();
        ns.on_disconnecting(async move |socket: Socket, _| {
            socket.disconnect(false);
            again.disconnect_sockets(false);
        });
        ns.on("go", async |socket: Socket| {
            socket.disconnect(false);
            socket.disconnect(false);
        });
        let client = world.joined();
        client.send(r#"42["go"]"#);
        assert_eq!(client.texts(), ["41"]);
        assert_eq!(ns.socket_count(), 0);
    });
}

#[test]
fn a_close_packet_ends_the_session() {
    run(async |world| {
        let log = told(&world, "/");
        let client = world.joined();
        client.send("1");
        assert_eq!(client.closed(), Some(CloseReason::TransportClose));
        assert_eq!(log.take()[1], "disconnect transport close 0 false");
    });
}

#[test]
fn a_stale_key_reaches_nobody() {
    run(async |world| {
        world.of("/");
        let first = world.joined();
        first.cut();
        let second = world.joined();
        assert_eq!(first.key.slot, second.key.slot);
        world.shard().text(first.key, Side::Main, "41");
        world.shard().close(first.key, CloseReason::ForcedClose);
        world.shard().end(first.key, Side::Main, End::Error);
        world.shard().release(first.key);
        assert_eq!(world.shard().kind(first.key), None);
        assert_eq!(second.closed(), None);
        second.send("41");
        assert_eq!(world.hub().stats().sockets, 0);
    });
}

#[test]
fn nothing_is_left_when_all_are_gone() {
    run(async |world| {
        let ns = world.of("/");
        let watched = std::sync::Arc::new(());
        let held = watched.clone();
        ns.on_connect(async move |socket: Socket| {
            // As in Node: handlers of a socket that hold the socket.
            let (own, held) = (socket.clone(), held.clone());
            socket.insert(held.clone());
            socket.on("e", async move |_: Socket| {
                let _ = (&own, &held);
            });
            let own = socket.clone();
            socket.on_disconnect(move |_| {
                let late = own.clone();
                own.on("too late", async move |_: Socket| {
                    let _ = &late;
                });
            });
        });
        let clients: Vec<_> = (0..10).map(|_| world.joined()).collect();
        assert_eq!(std::sync::Arc::strong_count(&watched), 2 + 10 * 2);
        for client in &clients {
            client.cut();
        }
        world.settle().await;
        assert_eq!(std::sync::Arc::strong_count(&watched), 2);
        let stats = world.hub().stats();
        assert_eq!((stats.sessions, stats.websocket, stats.sockets), (0, 0, 0));
        assert!(world.shard().sessions().is_empty());
    });
}
