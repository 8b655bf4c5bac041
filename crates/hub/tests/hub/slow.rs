//! Clients that don't read: bounded, told or dropped by policy, and nobody else's trouble.

use std::num::NonZeroU64;

use lakh_hub::shard::App;
use lakh_hub::{
    Ack, CloseReason, EngineHandlers, HubLimits, LogLimits, Message, Settings, SlowReader, Socket,
};
use lakh_wire::engine::{Transport, Version};

use crate::support::{Log, handshake, run_with};

const BOUND: usize = 10_000;

fn settings(slow_reader: SlowReader) -> Settings {
    Settings {
        slow_reader,
        hub_limits: HubLimits {
            outbox_bytes: BOUND,
            ..HubLimits::default()
        },
        ..Settings::default()
    }
}

#[test]
fn a_slow_reader_is_disconnected_and_the_others_miss_nothing() {
    run_with(settings(SlowReader::Disconnect), async |world| {
        let log = Log::default();
        let ns = world.of("/");
        let seen = log.clone();
        ns.on_disconnect(async move |_, reason| seen.add(reason.as_str()));
        let (slow, quick) = (world.joined(), world.joined());
        slow.get_stuck();
        let text = "x".repeat(990);
        for _ in 0..30 {
            ns.emit("e", &text).unwrap();
            assert!(slow.queued() <= BOUND);
            assert_eq!(quick.events().len(), 1);
        }
        assert_eq!(slow.closed(), Some(CloseReason::SlowReader));
        assert_eq!(log.take(), ["slow reader"]);
        assert_eq!((quick.closed(), ns.socket_count()), (None, 1));
    });
}

#[test]
fn with_the_policy_drop_what_does_not_fit_is_dropped_and_counted() {
    run_with(settings(SlowReader::Drop), async |world| {
        let ns = world.of("/");
        let (slow, quick) = (world.joined(), world.joined());
        slow.get_stuck();
        let text = "x".repeat(990);
        for _ in 0..30 {
            ns.emit("e", &text).unwrap();
            assert_eq!(quick.events().len(), 1);
        }
        assert_eq!(slow.closed(), None);
        assert!(slow.queued() <= BOUND);
        slow.come_unstuck();
        let got = slow.events().len();
        assert!((9..=10).contains(&got), "{got}");
        assert_eq!(world.hub().stats().dropped_slow, 30 - got as u64);
        ns.emit("e", &1).unwrap();
        assert_eq!(slow.events().len(), 1);
    });
}

#[test]
fn a_recoverable_client_is_closed_and_not_given_a_gap_whatever_the_policy() {
    run_with(settings(SlowReader::Drop), async |world| {
        let ns = world.of("/");
        ns.recoverable(LogLimits::default());
        let slow = world.joined();
        slow.get_stuck();
        for _ in 0..30 {
            ns.emit("e", &"x".repeat(990)).unwrap();
        }
        assert_eq!(slow.closed(), Some(CloseReason::SlowReader));
    });
}

#[test]
fn a_single_event_larger_than_the_bound_still_reaches_a_reader_that_keeps_up() {
    run_with(settings(SlowReader::Disconnect), async |world| {
        let ns = world.of("/");
        let client = world.joined();
        ns.emit("big", &"x".repeat(BOUND * 2)).unwrap();
        assert_eq!(client.events().len(), 1);
        assert_eq!(client.closed(), None);
    });
}

/// Whatever a client makes the server say, what waits for it stays bounded.
fn stays_bounded(policy: SlowReader, provoke: &str) {
    run_with(settings(policy), async |world| {
        let ns = world.of("/");
        ns.on("echo", async |_: Socket, text: String, ack: Ack| {
            ack.send(&text).unwrap()
        });
        ns.on("emit", async |socket: Socket, text: String| {
            socket.emit("e", &text).unwrap()
        });
        let client = world.joined();
        client.get_stuck();
        for _ in 0..2_000 {
            client.send(provoke);
            assert!(client.queued() <= BOUND + 200, "{} bytes", client.queued());
        }
    });
}

#[test]
fn acknowledgements_that_are_not_read_stay_bounded() {
    for policy in [SlowReader::Disconnect, SlowReader::Drop] {
        stays_bounded(
            policy,
            r#"421["echo","0123456789012345678901234567890123456789"]"#,
        );
    }
}

#[test]
fn events_that_are_not_read_stay_bounded() {
    for policy in [SlowReader::Disconnect, SlowReader::Drop] {
        stays_bounded(
            policy,
            r#"42["emit","0123456789012345678901234567890123456789"]"#,
        );
    }
}

#[test]
fn refusals_that_are_not_read_stay_bounded() {
    for policy in [SlowReader::Disconnect, SlowReader::Drop] {
        stays_bounded(policy, "40/nowhere-to-be-found,");
    }
}

#[test]
fn pongs_for_an_old_client_that_are_not_read_stay_bounded() {
    run_with(settings(SlowReader::Disconnect), async |world| {
        world.of("/");
        let client = world.open(Version::V3, Transport::Polling);
        for _ in 0..10_000 {
            client.send("2");
            assert!(client.queued() <= BOUND + 200, "{} bytes", client.queued());
        }
    });
}

#[test]
fn a_bare_engine_session_is_bounded_too() {
    for policy in [SlowReader::Disconnect, SlowReader::Drop] {
        run_with(settings(policy), async |world| {
            world.hub().set_engine_io(
                EngineHandlers::default().on_message(|socket, message| socket.send(&message)),
            );
            let hs = handshake("EIO=4");
            let client = world.open_with(App::EngineIo, Version::V4, Transport::WebSocket, hs);
            client.send("4small");
            assert_eq!(client.texts()[1], "4small");
            client.get_stuck();
            let text = format!("4{}", "x".repeat(990));
            for _ in 0..30 {
                client.send(&text);
                assert!(
                    client.queued() <= BOUND + 1_000,
                    "{} bytes",
                    client.queued()
                );
            }
            let expected = (policy == SlowReader::Disconnect).then_some(CloseReason::SlowReader);
            assert_eq!(client.closed(), expected);
        });
    }
}

#[test]
fn engine_sessions_open_speak_and_close() {
    run_with(Settings::default(), async |world| {
        let log = Log::default();
        let (opened, closed) = (log.clone(), log.clone());
        world.hub().set_engine_io(
            EngineHandlers::default()
                .on_open(move |socket| {
                    opened.add("open");
                    socket.send(&Message::Text("welcome"));
                })
                .on_message(|socket, message| match message {
                    Message::Text("bye") => socket.close(),
                    message => socket.send(&message),
                })
                .on_close(move |_, reason| closed.add(reason.as_str())),
        );
        let hs = handshake("EIO=4");
        let client = world.open_with(App::EngineIo, Version::V4, Transport::WebSocket, hs);
        client.send_binary(b"\x01\x02");
        let frames = client.frames();
        assert_eq!(
            frames[1],
            crate::support::Frame::Text("4welcome".to_owned())
        );
        assert_eq!(frames[2], crate::support::Frame::Binary(vec![1, 2]));
        world.pass(100_000);
        assert_eq!(client.texts(), ["2"]);
        client.send("3");
        client.send("4bye");
        assert_eq!(client.closed(), Some(CloseReason::ForcedClose));
        assert_eq!(log.take(), ["open", "forced close"]);
        assert_eq!(world.hub().stats().sessions, 0);
    });
}

#[test]
fn of_what_is_conflated_a_slow_reader_gets_the_newest_of_each_key_in_order() {
    run_with(settings(SlowReader::Disconnect), async |world| {
        let ns = world.of("/");
        ns.recoverable(LogLimits::default());
        let (slow, quick) = (world.joined(), world.joined());
        slow.get_stuck();
        let key = |n: u64| NonZeroU64::MIN.saturating_add(n);
        let filler = "x".repeat(500);
        for round in 0..100_u64 {
            for n in 0..3 {
                let to = ns.local().conflate(key(n));
                to.emit("e", &(n, round, &filler)).unwrap();
            }
            assert_eq!(quick.events().len(), 3);
        }
        assert_eq!(slow.closed(), None);
        assert!(slow.queued() <= 4 * 600, "{}", slow.queued());
        slow.come_unstuck();
        let events = slow.events();
        let seen: Vec<_> = events
            .iter()
            .map(|args| (args[1].as_u64().unwrap(), args[2].as_u64().unwrap()))
            .collect();
        // The very first was on its way already.
        assert_eq!(seen, [(0, 0), (0, 99), (1, 99), (2, 99)]);
        assert_eq!(world.hub().stats().conflated, 296);
        assert!(
            events
                .iter()
                .all(|args| args.as_array().unwrap().len() == 4)
        );
    });
}
