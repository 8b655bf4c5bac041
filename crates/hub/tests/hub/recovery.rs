//! Connection state recovery on one loop.

#![allow(unreachable_pub)] // For the module beside this one.

use lakh_hub::{CloseReason, LogLimits, Socket};
use serde_json::{Value, json};

use crate::support::{Client, Log, World, connected, event_of, run};

pub const LIMITS: LogLimits = LogLimits {
    max_bytes: 1 << 20,
    max_age_ms: 120_000,
};

/// A recoverable namespace whose clients join the room `r`.
pub fn recoverable(world: &World) -> lakh_hub::Namespace {
    recoverable_within(world, LIMITS)
}

fn recoverable_within(world: &World, limits: LogLimits) -> lakh_hub::Namespace {
    let ns = world.of("/");
    ns.recoverable(limits);
    ns.on_connect(async |socket: Socket| {
        if !socket.recovered() {
            socket.join("r");
        }
        if socket.auth_text().is_some_and(|auth| auth.contains("mark")) {
            socket.emit("mark", &socket.recovered()).unwrap();
        }
    });
    ns
}

/// A stock client's memory: its pid, and the last argument of the last event.
pub struct Memory {
    pub pid: Value,
    pub sid: Value,
    pub offset: Option<Value>,
}

impl Memory {
    pub fn of(client: &Client) -> Self {
        let data = client.connect_with("/", "");
        Self {
            pid: data["pid"].clone(),
            sid: data["sid"].clone(),
            offset: None,
        }
    }

    /// Reads events as a client does: their names and first arguments, the offset remembered.
    pub fn read(&mut self, client: &Client) -> Vec<Value> {
        let events = client.events();
        events.into_iter().map(|args| self.see(&args)).collect()
    }

    fn see(&mut self, args: &Value) -> Value {
        let last = args.as_array().unwrap().last().unwrap();
        if last.is_string() && args.as_array().unwrap().len() > 1 {
            self.offset = Some(last.clone());
        }
        args[1].clone()
    }

    /// Comes back on a new connection. What was missed, and the data of CONNECT.
    fn come_back(&mut self, client: &Client) -> (Vec<Value>, Value) {
        client.frames();
        let mut auth = json!({"pid": self.pid, "other": true});
        if let Some(offset) = &self.offset {
            auth["offset"] = offset.clone();
        }
        client.send(&format!("40{auth}"));
        let texts = client.texts();
        let data = connected(&texts, "/").unwrap_or_else(|| panic!("not connected: {texts:?}"));
        let missed = texts.iter().filter_map(|text| event_of(text));
        let missed = missed.map(|args| self.see(&args)).collect();
        if data["pid"] == self.pid {
            assert!(
                texts.last().unwrap().starts_with("40"),
                "missed packets come first: {texts:?}"
            );
            assert_eq!(data["sid"], self.sid);
        } else {
            self.offset = None;
        }
        self.sid = data["sid"].clone();
        self.pid = data["pid"].clone();
        (missed, data)
    }

    pub fn returns(&mut self, world: &World) -> (Client, Vec<Value>, bool) {
        let pid = self.pid.clone();
        let client = world.client();
        let (missed, data) = self.come_back(&client);
        let recovered = data["pid"] == pid;
        (client, missed, recovered)
    }
}

#[test]
fn every_event_without_an_answer_carries_an_offset_at_its_end() {
    run(async |world| {
        let ns = recoverable(&world);
        ns.on("go", async |socket: Socket| {
            socket.emit("one", &"text").unwrap();
            socket.emit_volatile("vol", &()).unwrap();
        });
        let client = world.client();
        let data = client.connect_with("/", "");
        assert_eq!(data["pid"].as_str().unwrap().len(), 20);
        ns.emit("all", &("a", "b")).unwrap();
        ns.to("r").volatile().emit("pos", &"text").unwrap();
        client.send(r#"42["go"]"#);
        let events = client.events();
        let lengths: Vec<usize> = events
            .iter()
            .map(|args| args.as_array().unwrap().len())
            .collect();
        assert_eq!(lengths, [4, 3, 3, 2]);
        assert!(
            events
                .iter()
                .all(|args| args.as_array().unwrap().last().unwrap().is_string())
        );
        drop(ns.emit_with_ack::<u8>("q", &1).unwrap());
        let texts = client.texts();
        assert!(texts[0].ends_with(r#"["q",1]"#), "{texts:?}");
    });
}

#[test]
fn who_comes_back_gets_what_it_missed_before_connect_and_once() {
    run(async |world| {
        let ns = recoverable(&world);
        let client = world.client();
        let mut memory = Memory::of(&client);
        ns.to("r").emit("n", &1).unwrap();
        assert_eq!(memory.read(&client), [1]);
        client.cut();
        ns.to("r").emit("n", &2).unwrap();
        ns.to("elsewhere").emit("n", &0).unwrap();
        ns.emit("n", &3).unwrap();
        ns.to(memory.sid.as_str().unwrap()).emit("n", &4).unwrap();
        ns.to("r").volatile().emit("n", &0).unwrap();
        drop(ns.to("r").emit_with_ack::<u8>("n", &0).unwrap());
        ns.to("r").to("elsewhere").emit("n", &5).unwrap();
        let (client, missed, recovered) = memory.returns(&world);
        assert!(recovered);
        assert_eq!(missed, [2, 3, 4, 5]);
        ns.to("r").emit("n", &6).unwrap();
        assert_eq!(memory.read(&client), [6]);
        assert_eq!(world.hub().stats().recovered, 1);
    });
}

#[test]
fn rooms_data_and_values_are_there_again_and_checks_are_not_asked_again() {
    run(async |world| {
        let ns = recoverable(&world);
        let log = Log::default();
        let (seen, checked) = (log.clone(), log.clone());
        ns.use_connect(async move |_| {
            checked.add("checked");
            Ok(())
        });
        ns.on_connect(async move |socket: Socket| {
            let mut rooms = socket.rooms().await;
            rooms.sort_by_key(|room| room.len());
            let number = socket.get::<u32>().map(|n| *n);
            let rooms: Vec<&str> = rooms
                .iter()
                .map(|room| &**room)
                .filter(|r| r.len() < 20)
                .collect();
            seen.add(format!(
                "{} {:?} {} {:?}",
                socket.recovered(),
                rooms,
                socket.data(),
                number
            ));
        });
        ns.on("set", async |socket: Socket| {
            socket.set_data(json!({"x": 1}));
            socket.insert(7_u32);
            socket.join("more");
            socket.leave("r");
        });
        let client = world.client();
        let mut memory = Memory::of(&client);
        client.send(r#"42["set"]"#);
        client.cut();
        let (_, _, recovered) = memory.returns(&world);
        assert!(recovered);
        assert_eq!(
            log.take(),
            [
                "checked",
                r#"false ["r"] null None"#,
                r#"true ["more"] {"x":1} Some(7)"#,
            ]
        );
    });
}

#[test]
fn a_client_that_has_seen_no_event_gets_all_since_its_session_began() {
    run(async |world| {
        let ns = recoverable(&world);
        ns.emit("n", &0).unwrap();
        let client = world.client();
        let mut memory = Memory::of(&client);
        client.cut();
        ns.to("r").emit("n", &1).unwrap();
        let (client, missed, recovered) = memory.returns(&world);
        assert!(recovered);
        assert_eq!(missed, [1]);
        client.cut();
        ns.to("r").emit("n", &2).unwrap();
        let (_, missed, recovered) = memory.returns(&world);
        assert_eq!((missed, recovered), (vec![json!(2)], true));
    });
}

#[test]
fn what_was_sent_before_a_socket_was_let_in_is_not_its_to_miss() {
    run(async |world| {
        let ns = recoverable(&world);
        let gate = crate::support::Gate::closed();
        let waits = gate.clone();
        ns.use_connect(async move |_| {
            waits.pass().await;
            Ok(())
        });
        let client = world.client();
        client.texts();
        client.send("40");
        ns.emit("n", &"before").unwrap();
        gate.admit(1);
        world.settle().await;
        let data = connected(&client.texts(), "/").unwrap();
        let mut memory = Memory {
            pid: data["pid"].clone(),
            sid: data["sid"].clone(),
            offset: None,
        };
        client.cut();
        ns.emit("n", &"after").unwrap();
        let (_, missed, _) = memory.returns(&world);
        assert_eq!(missed, ["after"]);
    });
}

#[test]
fn a_half_open_connection_is_evicted_by_the_newcomer() {
    run(async |world| {
        let ns = recoverable(&world);
        let log = Log::default();
        let seen = log.clone();
        ns.on_disconnect(async move |_, reason| seen.add(reason.as_str()));
        let old = world.client();
        let mut memory = Memory::of(&old);
        ns.to("r").emit("n", &1).unwrap();
        assert_eq!(memory.read(&old), [1]);
        // The network is gone, and nobody has noticed: these go nowhere.
        old.get_stuck();
        ns.to("r").emit("n", &2).unwrap();
        let (new, missed, recovered) = memory.returns(&world);
        assert!(recovered);
        assert_eq!(missed, [2]);
        assert_eq!(log.take(), ["transport close"]);
        assert_eq!(old.closed(), Some(CloseReason::TransportClose));
        assert_eq!(ns.socket_count(), 1);
        ns.to("r").emit("n", &3).unwrap();
        assert_eq!(memory.read(&new), [3]);
        // And again, through the same door.
        new.cut();
        ns.to("r").emit("n", &4).unwrap();
        assert_eq!(memory.returns(&world).1, [4]);
    });
}

#[test]
fn a_session_is_taken_up_as_often_as_it_breaks() {
    run(async |world| {
        let ns = recoverable(&world);
        let mut client = world.client();
        let mut memory = Memory::of(&client);
        for round in 0..20 {
            ns.to("r").emit("n", &(round * 10)).unwrap();
            assert_eq!(memory.read(&client), [round * 10]);
            client.cut();
            ns.to("r").emit("n", &(round * 10 + 1)).unwrap();
            let (next, missed, recovered) = memory.returns(&world);
            assert!(recovered);
            assert_eq!(missed, [round * 10 + 1]);
            client = next;
        }
        assert_eq!(ns.socket_count(), 1);
    });
}

#[test]
fn a_restore_whose_answer_was_lost_consumes_nothing() {
    run(async |world| {
        let ns = recoverable(&world);
        let client = world.client();
        let mut memory = Memory::of(&client);
        ns.to("r").emit("n", &1).unwrap();
        memory.read(&client);
        client.cut();
        ns.to("r").emit("n", &2).unwrap();
        let (pid, offset) = (memory.pid.clone(), memory.offset.clone());
        for _ in 0..3 {
            // The client never sees what this connection is sent.
            let lost = world.client();
            lost.send(&format!("40{}", json!({"pid": pid, "offset": offset})));
            lost.cut();
        }
        let (_, missed, recovered) = memory.returns(&world);
        assert!(recovered);
        assert_eq!(missed, [2]);
    });
}

#[test]
fn sessions_that_cannot_be_given_back_without_a_gap_are_new_ones() {
    run(async |world| {
        let ns = recoverable_within(
            &world,
            LogLimits {
                max_bytes: 20_000,
                max_age_ms: 60_000,
            },
        );
        let client = world.client();
        let mut memory = Memory::of(&client);
        ns.to("r").emit("n", &1).unwrap();
        memory.read(&client);
        client.cut();
        for n in 0..100 {
            ns.to("another").emit("n", &n).unwrap();
        }
        let (client, missed, recovered) = memory.returns(&world);
        assert_eq!((missed.len(), recovered), (0, false));
        // The new session stands on its own.
        client.cut();
        ns.to("r").emit("n", &2).unwrap();
        assert_eq!(memory.returns(&world).1, [2]);

        let client = world.client();
        let mut memory = Memory::of(&client);
        client.cut();
        world.pass(60_001);
        world.hub().trim_logs();
        assert!(!memory.returns(&world).2);
        assert_eq!(world.hub().stats().not_recovered, 2);
    });
}

#[test]
fn nonsense_for_pid_or_offset_gives_a_new_session() {
    run(async |world| {
        let ns = recoverable(&world);
        let client = world.client();
        let memory = Memory::of(&client);
        ns.emit("n", &1).unwrap();
        client.cut();
        let pid = memory.pid.as_str().unwrap();
        for auth in [
            json!({"pid": "nobody"}),
            json!({"pid": "nnnnnnnnnnnnnnnnnnnn", "offset": "1.1"}),
            json!({"pid": pid, "offset": "hello"}),
            json!({"pid": pid, "offset": "ffffffff.1"}),
            json!({"pid": pid, "offset": 5}),
            json!({"pid": 5}),
        ] {
            let client = world.client();
            let data = client.connect_with("/", &auth.to_string());
            assert_ne!(data["pid"], memory.pid, "{auth}");
            client.cut();
        }
        let epoch = world.hub().random();
        let ahead = json!({"pid": pid, "offset": format!("{epoch:x}.ffff")});
        let client = world.client();
        assert_ne!(
            client.connect_with("/", &ahead.to_string())["pid"],
            memory.pid
        );
    });
}

#[test]
fn goodbyes_are_final() {
    run(async |world| {
        let ns = recoverable(&world);
        for way in ["client", "server", "parse error"] {
            let client = world.client();
            let mut memory = Memory::of(&client);
            match way {
                "client" => client.send("41"),
                "server" => ns
                    .to(memory.sid.as_str().unwrap())
                    .disconnect_sockets(false),
                _ => client.send("4{"),
            }
            client.cut();
            assert!(!memory.returns(&world).2, "{way}");
        }
        for reason in [CloseReason::PingTimeout, CloseReason::ServerShuttingDown] {
            let client = world.client();
            let mut memory = Memory::of(&client);
            world.shard().close(client.key, reason);
            assert!(memory.returns(&world).2, "{reason}");
        }
    });
}

#[test]
fn what_was_not_meant_for_a_client_is_not_replayed_to_it() {
    run(async |world| {
        let ns = recoverable(&world);
        ns.on("say", async |socket: Socket| {
            socket.to("r").emit("n", &"own").unwrap();
        });
        let (client, other) = (world.client(), world.client());
        let mut memory = Memory::of(&client);
        Memory::of(&other);
        client.send(r#"42["say"]"#);
        client.cut();
        let sid = memory.sid.as_str().unwrap().to_owned();
        ns.to("r").except(&*sid).emit("n", &"except id").unwrap();
        ns.except("r").emit("n", &"except room").unwrap();
        ns.to("r").except("other").emit("n", &"for it").unwrap();
        assert_eq!(memory.returns(&world).1, ["for it"]);
        assert_eq!(other.names(), ["n", "n", "n"]);
    });
}
