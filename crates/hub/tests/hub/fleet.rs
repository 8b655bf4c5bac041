//! Several hubs over a real Redis: what one keeps back until the others could go on from it, and who comes back where.

use std::sync::Arc;
use std::time::Duration;

use lakh_hub::redis::{Backend, Config, Link};
use lakh_hub::{Ack, ClusterState, Event, Settings, Socket};
use lakh_testkit::redis::Redis;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::recovery::LIMITS;
use crate::support::loops::Loops;
use crate::support::{Client, World, connected, event_of};

/// Tells a hang from slowness, and nothing else.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// Nodes that share a Redis.
struct Fleet {
    redis: Redis,
    runtime: Runtime,
    nodes: Vec<Loops>,
}

impl Fleet {
    /// Nodes whose namespace `/` is recoverable. `say` sends its arguments to the room `r` and is acknowledged, `join`
    /// joins a room.
    fn start(names: &[&str]) -> Self {
        let mut fleet = Self {
            redis: Redis::start(&["--appendonly", "yes"]).unwrap(),
            runtime: Runtime::new().unwrap(),
            nodes: Vec::new(),
        };
        for name in names {
            fleet.add(name);
        }
        fleet
    }

    fn add(&mut self, name: &str) -> &Loops {
        let node = Loops::with(Settings {
            shards: 2,
            node: name.to_owned(),
            ..Settings::default()
        });
        let clock = node.clock.clone();
        let ms = Duration::from_millis;
        let config = Config {
            echo: true,
            backoff: (ms(5), ms(50)),
            ..Config::new(
                &self.redis.url(),
                Backend::streams(),
                Arc::new(move || lakh_hub::Clock::now(&clock).0),
            )
        };
        let _entered = self.runtime.enter();
        let (link, inbound) = Link::open(config).unwrap();
        drop(
            self.runtime
                .spawn(node.hub.join_cluster(link, inbound).unwrap()),
        );
        prepare(&node);
        let ready = tokio::time::timeout(BOUND, node.hub.cluster_ready());
        self.runtime.block_on(ready).unwrap();
        self.nodes.push(node);
        self.nodes.last().unwrap()
    }

    fn state(&self, node: usize) -> ClusterState {
        self.nodes[node].hub.cluster_state().unwrap()
    }

    /// Waits until this holds.
    fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let start = std::time::Instant::now();
        while !holds(self) {
            assert!(start.elapsed() < BOUND, "{what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

pub(crate) fn prepare(node: &Loops) {
    let ns = node.hub.of("/");
    ns.recoverable(LIMITS);
    ns.on("say", async |socket: Socket, event: Event, ack: Ack| {
        let said = event.payload().renamed("said");
        socket.namespace().to("r").emit_raw(said).unwrap();
        ack.send("done").unwrap();
    });
    ns.on("join", async |socket: Socket, room: String, ack: Ack| {
        socket.join(room);
        ack.send("joined").unwrap();
    });
    ns.on("data", async |socket: Socket, data: Value, ack: Ack| {
        socket.set_data(data);
        ack.send("kept").unwrap();
    });
}

/// A client of a loop, as far as it crosses threads: what it would remember, and what it was sent.
#[derive(Clone, Default, Debug)]
pub(crate) struct Seen {
    pub(crate) texts: Vec<String>,
    pub(crate) pid: Value,
    pub(crate) sid: Value,
    pub(crate) offset: Option<Value>,
}

impl Seen {
    pub(crate) fn take(&mut self, client: &Client) {
        for text in client.texts() {
            if let Some(data) = connected(std::slice::from_ref(&text), "/") {
                self.pid = data["pid"].clone();
                self.sid = data["sid"].clone();
            }
            let offset = event_of(&text).and_then(|args| args.as_array()?.last().cloned());
            if let Some(offset) = offset.filter(Value::is_string) {
                self.offset = Some(offset);
            }
            self.texts.push(text);
        }
    }

    /// The first arguments of events so far.
    pub(crate) fn firsts(&self) -> Vec<Value> {
        let events = self.texts.iter().filter_map(|text| event_of(text));
        events.map(|args| args[1].clone()).collect()
    }

    pub(crate) fn has(&self, text: &str) -> bool {
        self.texts.iter().any(|seen| seen == text)
    }

    pub(crate) fn auth(&self) -> String {
        let mut auth = json!({"pid": self.pid});
        if let Some(offset) = &self.offset {
            auth["offset"] = offset.clone();
        }
        auth.to_string()
    }
}

/// Lets a loop go on until a client has seen this.
pub(crate) async fn until(
    world: &World,
    client: &Client,
    seen: &mut Seen,
    holds: impl Fn(&Seen) -> bool,
) {
    let wait = async {
        loop {
            world.settle().await;
            seen.take(client);
            if holds(seen) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    if tokio::time::timeout(BOUND, wait).await.is_err() {
        panic!("did not come: {seen:?}");
    }
}

/// A client that is in `/` and in the room `r`.
pub(crate) async fn member(world: &World, auth: &str) -> (Client, Seen) {
    let (client, mut seen) = (world.client(), Seen::default());
    client.send(&format!("40{auth}"));
    until(world, &client, &mut seen, |seen| !seen.sid.is_null()).await;
    client.send(r#"421["join","r"]"#);
    until(world, &client, &mut seen, |seen| {
        seen.has(r#"431["joined"]"#)
    })
    .await;
    (client, seen)
}

#[test]
fn a_killed_nodes_clients_go_on_where_they_were_on_another_one() {
    let fleet = Fleet::start(&["aaa", "bbb"]);
    let seen = fleet.nodes[0].on(0, async |world| {
        let (client, mut seen) = member(&world, "").await;
        client.send(r#"422["data",{"n":7}]"#);
        until(&world, &client, &mut seen, |seen| {
            seen.has(r#"432["kept"]"#)
        })
        .await;
        client.send(r#"423["say",1]"#);
        until(&world, &client, &mut seen, |seen| {
            seen.has(r#"433["done"]"#)
        })
        .await;
        seen
    });
    assert_eq!(seen.firsts(), [1]);
    // Nothing more is heard of that node: its client comes to the other one, where things went on.
    let missed = fleet.nodes[1].on(1, async move |world| {
        let (other, mut others) = member(&world, "").await;
        for (id, n) in [(2, 2), (3, 3)] {
            other.send(&format!(r#"42{id}["say",{n}]"#));
            until(&world, &other, &mut others, |seen| {
                seen.has(&format!(r#"43{id}["done"]"#))
            })
            .await;
        }
        let (client, mut back) = (world.client(), Seen::default());
        client.send(&format!("40{}", seen.auth()));
        until(&world, &client, &mut back, |seen| !seen.sid.is_null()).await;
        assert_eq!((&back.pid, &back.sid), (&seen.pid, &seen.sid));
        let found = world.hub().of("/").to("r").fetch_sockets().await;
        let data = found.iter().find(|found| found.id == back.sid).unwrap();
        assert_eq!(data.data, json!({"n": 7}));
        other.send(r#"424["say",4]"#);
        until(&world, &client, &mut back, |seen| seen.firsts().len() == 3).await;
        back.firsts()
    });
    assert_eq!(missed, [2, 3, 4]);
}

#[test]
fn the_half_open_predecessor_is_closed_wherever_it_is_and_its_late_record_is_refused() {
    let fleet = Fleet::start(&["aaa", "bbb"]);
    let seen = fleet.nodes[0].on(0, async |world| member(&world, "").await.1);
    fleet.nodes[1].on(0, async move |world| {
        let (client, mut back) = (world.client(), Seen::default());
        client.send(&format!("40{}", seen.auth()));
        until(&world, &client, &mut back, |back| !back.sid.is_null()).await;
        assert_eq!(back.pid, seen.pid);
    });
    fleet.until("the predecessor is closed", |fleet| {
        fleet.nodes[0].hub.stats().sessions == 0
    });
    // Its close came after the takeover: the session is still there for the next one.
    let again = fleet.nodes[1].on(1, async |world| {
        world.settle().await;
        world.hub().stats().sockets
    });
    assert_eq!(again, 1);
}

#[test]
fn an_answer_waits_until_the_log_has_what_its_handler_said() {
    let fleet = Fleet::start(&["aaa"]);
    fleet.redis.signal("STOP").unwrap();
    let early = fleet.nodes[0].start_on(0, async |world| {
        let (client, mut seen) = (world.client(), Seen::default());
        client.send("40");
        until(&world, &client, &mut seen, |seen| !seen.sid.is_null()).await;
        client.send(r#"421["say",1]"#);
        // Neither the event nor its answer: Redis says nothing.
        for _ in 0..20 {
            world.settle().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        seen.take(&client);
        (client.sid.clone(), seen.texts)
    });
    let (_, texts) = early.recv_timeout(BOUND).unwrap();
    assert!(
        !texts.iter().any(|text| text.starts_with("43")),
        "{texts:?}"
    );
    fleet.redis.signal("CONT").unwrap();
    fleet.nodes[0].on(0, async |world| {
        let (client, mut seen) = member(&world, "").await;
        client.send(r#"427["say",2]"#);
        until(&world, &client, &mut seen, |seen| {
            seen.has(r#"437["done"]"#)
        })
        .await;
        let done = seen.texts.iter().position(|text| text.starts_with("437"));
        let said = seen
            .texts
            .iter()
            .position(|text| text.starts_with(r#"42["said",2"#));
        assert!(
            said < done,
            "its own event comes before the answer: {seen:?}"
        );
    });
}

#[test]
fn what_goes_to_a_socket_that_joined_a_room_waits_for_its_record() {
    let fleet = Fleet::start(&["aaa", "bbb"]);
    let (send, on) = std::sync::mpsc::channel();
    let joined = fleet.nodes[0].start_on(0, async move |world| {
        let (client, mut seen) = member(&world, "").await;
        send.send(()).unwrap();
        client.send(r#"425["join","s"]"#);
        // Out before its record could be written.
        let at_once = client.texts();
        assert!(at_once.is_empty(), "{at_once:?}");
        until(&world, &client, &mut seen, |seen| {
            seen.has(r#"435["joined"]"#)
        })
        .await;
        seen
    });
    on.recv_timeout(BOUND).unwrap();
    let seen = joined.recv_timeout(BOUND).unwrap();
    // Whoever was answered is in that room wherever it comes back.
    let rooms = fleet.nodes[1].on(0, async move |world| {
        let (client, mut back) = (world.client(), Seen::default());
        client.send(&format!("40{}", seen.auth()));
        until(&world, &client, &mut back, |back| !back.sid.is_null()).await;
        assert_eq!(back.pid, seen.pid);
        let found = world.hub().of("/").local().fetch_sockets().await;
        let mut rooms: Vec<String> = found[0].rooms.iter().map(|room| room.to_string()).collect();
        rooms.sort();
        rooms.retain(|room| *room != back.sid);
        rooms
    });
    assert_eq!(rooms, ["r", "s"]);
}

#[test]
fn a_node_that_comes_late_serves_those_who_were_there_before_it() {
    let mut fleet = Fleet::start(&["aaa"]);
    let seen = fleet.nodes[0].on(0, async |world| {
        let (client, mut seen) = member(&world, "").await;
        let before = seen.clone();
        for n in 1..=5 {
            client.send(&format!(r#"42{}["say",{n}]"#, n + 1));
        }
        until(&world, &client, &mut seen, |seen| seen.firsts().len() == 5).await;
        // One that has seen nothing yet, and one that has seen some.
        let mut some = seen.clone();
        some.offset = event_of(&seen.texts[seen.texts.len() - 2])
            .and_then(|args| args.as_array()?.last().cloned());
        (before, seen)
    });
    fleet.add("new");
    let (missed, again) = fleet.nodes[1].on(0, async move |world| {
        let (before, after) = seen;
        let (client, mut back) = (world.client(), Seen::default());
        client.send(&format!("40{}", before.auth()));
        until(&world, &client, &mut back, |back| !back.sid.is_null()).await;
        assert_eq!(back.pid, before.pid);
        let missed = back.firsts();
        let (client, mut back) = (world.client(), Seen::default());
        client.send(&format!("40{}", after.auth()));
        until(&world, &client, &mut back, |back| !back.sid.is_null()).await;
        assert_eq!(back.pid, after.pid);
        (missed, back.firsts())
    });
    assert_eq!(missed, [1, 2, 3, 4, 5]);
    assert!(again.is_empty(), "{again:?}");
}

#[test]
fn a_gap_closes_those_who_count_on_missing_nothing() {
    let mut fleet = Fleet::start(&["aaa"]);
    let seen = fleet.nodes[0].on(0, async |world| {
        let (client, mut seen) = member(&world, "").await;
        client.send(r#"422["say",1]"#);
        until(&world, &client, &mut seen, |seen| seen.firsts().len() == 1).await;
        seen
    });
    // Redis comes back with nothing of what it had.
    fleet.redis.kill().unwrap();
    for file in std::fs::read_dir(fleet.redis.folder()).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        }
    }
    fleet.redis.restart().unwrap();
    fleet.until("the gap is seen", |fleet| fleet.state(0).gaps == 1);
    fleet.until("its clients are closed", |fleet| {
        fleet.nodes[0].hub.stats().sessions == 0
    });
    fleet.nodes[0].on(0, async move |world| {
        let (client, mut back) = (world.client(), Seen::default());
        client.send(&format!("40{}", seen.auth()));
        until(&world, &client, &mut back, |back| !back.sid.is_null()).await;
        assert_ne!(back.pid, seen.pid, "it is told that something is missing");
    });
}
