//! Recovery on one loop: hooks in between, slow readers, questions, other kinds of clients.

use std::time::Duration;

use lakh_hub::{CloseReason, Settings, SlowReader, Socket};
use serde_json::json;

use crate::recovery::{LIMITS, Memory, recoverable};
use crate::support::{event_of, run, run_with};

#[test]
fn hooks_that_broadcast_while_a_socket_is_restored_cause_no_double_and_no_disorder() {
    run(async |world| {
        let ns = recoverable(&world);
        let loud = ns.clone();
        ns.on_room_event(move |event| {
            loud.to("r")
                .emit("n", &format!("{event:?}").contains("Joined"))
                .unwrap();
            loud.to("r").volatile().emit("v", &"volatile").unwrap();
        });
        let client = world.client();
        let mut memory = Memory::of(&client);
        memory.read(&client);
        client.cut();
        ns.to("r").emit("n", &"missed").unwrap();
        client.frames();
        let client = world.client();
        client.frames();
        client.send(&format!(
            "40{}",
            json!({"pid": memory.pid, "offset": memory.offset})
        ));
        let texts = client.texts();
        let offsets: Vec<String> = texts
            .iter()
            .filter_map(|text| event_of(text))
            .filter(|args| args[0] == "n")
            .map(|args| {
                args.as_array()
                    .unwrap()
                    .last()
                    .unwrap()
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        let seq =
            |offset: &String| u64::from_str_radix(offset.split_once('.').unwrap().1, 16).unwrap();
        let seqs: Vec<u64> = offsets.iter().map(seq).collect();
        assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "{texts:#?}");
        let missed = texts
            .iter()
            .position(|text| text.contains("missed"))
            .unwrap();
        let volatile = texts.iter().position(|text| text.contains("volatile"));
        assert!(volatile.is_none_or(|at| at > missed), "{texts:#?}");
    });
}

#[test]
fn a_slow_reader_that_was_thrown_out_catches_up() {
    let settings = Settings {
        slow_reader: SlowReader::Disconnect,
        hub_limits: lakh_hub::HubLimits {
            outbox_bytes: 5_000,
            ..lakh_hub::HubLimits::default()
        },
        ..Settings::default()
    };
    run_with(settings, async |world| {
        let ns = recoverable(&world);
        let client = world.client();
        let mut memory = Memory::of(&client);
        client.get_stuck();
        let text = "x".repeat(1_000);
        for _ in 0..10 {
            ns.to("r").emit("n", &text).unwrap();
        }
        assert_eq!(client.closed(), Some(CloseReason::SlowReader));
        let (_, missed, recovered) = memory.returns(&world);
        assert_eq!((missed.len(), recovered), (10, true));
    });
}

#[test]
fn a_restored_socket_has_its_own_room_again() {
    run(async |world| {
        let ns = recoverable(&world);
        ns.on("me", async |socket: Socket| {
            socket.emit("n", &"mine").unwrap()
        });
        let client = world.client();
        let mut memory = Memory::of(&client);
        client.cut();
        let (client, ..) = memory.returns(&world);
        client.send(r#"42["me"]"#);
        assert_eq!(memory.read(&client), ["mine"]);
        ns.to(memory.sid.as_str().unwrap())
            .emit("n", &"by id")
            .unwrap();
        assert_eq!(memory.read(&client), ["by id"]);
        client.cut();
        ns.to(memory.sid.as_str().unwrap())
            .emit("n", &"while away")
            .unwrap();
        assert_eq!(memory.returns(&world).1, ["while away"]);
    });
}

#[test]
fn what_was_said_in_a_room_before_it_joined_is_not_for_who_comes_back() {
    run(async |world| {
        let ns = recoverable(&world);
        ns.on("enter", async |socket: Socket, room: String| {
            socket.join(room);
        });
        ns.on("exit", async |socket: Socket, room: String| {
            socket.leave(room);
        });
        let say = |rooms: &[&str], n: u32| {
            let to = rooms.iter().fold(ns.to("nobody"), |to, room| to.to(*room));
            to.emit("n", &n).unwrap();
        };
        let client = world.client();
        let mut memory = Memory::of(&client);
        say(&["r"], 1);
        assert_eq!(memory.read(&client), [1]);
        say(&["late"], 2);
        ns.except("late").emit("n", &3).unwrap();
        assert_eq!(memory.read(&client), [3]);
        say(&["late"], 4);
        client.send(r#"42["enter","again"]"#);
        client.send(r#"42["exit","again"]"#);
        say(&["again"], 5);
        client.send(r#"42["enter","late"]"#);
        client.send(r#"42["enter","again"]"#);
        client.cut();
        say(&["late"], 6);
        say(&["again"], 7);
        // Whatever way it is cut off again before it has read that.
        let (client, missed, recovered) = memory.returns(&world);
        assert_eq!((missed, recovered), (vec![6.into(), 7.into()], true));
        client.cut();
        say(&["late", "r"], 8);
        assert_eq!(memory.returns(&world).1, [8]);
    });
}

#[test]
fn who_is_taken_up_again_and_again_from_the_same_place_gets_the_same() {
    run(async |world| {
        let ns = recoverable(&world);
        ns.on("enter", async |socket: Socket, room: String| {
            socket.join(room);
        });
        let client = world.client();
        let memory = Memory::of(&client);
        ns.to("late").emit("n", &1).unwrap();
        ns.to("r").to("late").emit("n", &2).unwrap();
        client.send(r#"42["enter","late"]"#);
        client.cut();
        ns.to("late").emit("n", &3).unwrap();
        for _ in 0..3 {
            let mut same = Memory {
                pid: memory.pid.clone(),
                sid: memory.sid.clone(),
                offset: None,
            };
            let (client, missed, recovered) = same.returns(&world);
            assert_eq!((missed, recovered), (vec![2.into(), 3.into()], true));
            client.cut();
        }
    });
}

#[test]
fn questions_fail_when_their_socket_breaks_even_if_it_comes_back() {
    run(async |world| {
        let ns = recoverable(&world);
        let client = world.client();
        let mut memory = Memory::of(&client);
        let future = ns
            .timeout(Duration::from_secs(60))
            .emit_with_ack::<u8>("q", &1);
        let future = future.unwrap();
        client.cut();
        assert!(memory.returns(&world).2);
        let acks = future.await;
        assert_eq!((acks.answers.len(), acks.missing), (0, 1));
    });
}

#[test]
fn old_clients_are_served_without_recovery() {
    run(async |world| {
        let ns = recoverable(&world);
        let client = world.open(
            lakh_wire::engine::Version::V3,
            lakh_wire::engine::Transport::WebSocket,
        );
        assert_eq!(client.texts()[1], "40");
        ns.emit("n", &1).unwrap();
        assert_eq!(client.firsts(), [1]);
        client.cut();
        assert_eq!(ns.socket_count(), 0);
    });
}

#[test]
fn children_of_a_recoverable_parent_are_recoverable() {
    run(async |world| {
        let parent = world.hub().of_pattern(regex::Regex::new("^/x").unwrap());
        parent.recoverable(LIMITS);
        let stays = world.client();
        stays.connect("/x1");
        let client = world.client();
        let data = client.connect_with("/x1", "");
        let child = &parent.children()[0];
        child.emit("n", &1).unwrap();
        client.cut();
        let client = world.client();
        let auth = json!({"pid": data["pid"]}).to_string();
        client.frames();
        client.send(&format!("40/x1,{auth}"));
        assert_eq!(client.events().len(), 1);
    });
}
