//! One node after the other over the same store: what the next one knows of what the last one said.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lakh_hub::store::{Batch, Condition, SqliteOptions, Store, WriteError};
use lakh_hub::{Ack, Hub, Once, Payload, Settings, Socket};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::fleet::{BOUND, Seen, member, prepare, until};
use crate::support::loops::Loops;
use crate::support::{World, event_of};

/// A node that keeps its log in a folder.
struct Life {
    loops: Loops,
    store: Store,
    work: JoinHandle<()>,
    runtime: Arc<Runtime>,
}

/// How a life ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Farewell,
    /// Nothing is said or written any more.
    Killed,
}

struct Place {
    folder: TempDir,
    runtime: Arc<Runtime>,
    options: SqliteOptions,
    lives: AtomicU64,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            runtime: Arc::new(Runtime::new().unwrap()),
            options: SqliteOptions::default(),
            lives: AtomicU64::new(0),
        }
    }

    fn live(&self) -> Life {
        let loops = Loops::with(Settings {
            shards: 2,
            ..Settings::default()
        });
        // Each life is a while after the one before.
        let life = self.lives.fetch_add(1, Ordering::Relaxed);
        loops.clock.pass(1_000 * life);
        let store = Store::sqlite(self.folder.path().join("log.db"), &self.options).unwrap();
        let work = loops.hub.keep_log(store.clone()).unwrap();
        let work = self.runtime.spawn(work);
        prepare(&loops);
        let ns = loops.hub.of("/");
        ns.on("count", async |socket: Socket, n: u64, ack: Ack| {
            let payload = Payload::from_raw(format!(r#"["counted",{n},{{"seq":0}}]"#), Vec::new());
            let to = socket.namespace().to("r");
            let sent = to.emit_counted("r", 0, payload, None).unwrap().unwrap();
            ack.send(&sent.await.unwrap()).unwrap();
        });
        ns.on("once", async |socket: Socket, n: u64, ack: Ack| {
            let payload = Payload::from_raw(format!(r#"["counted",{n},{{"seq":0}}]"#), Vec::new());
            let once = Once {
                scope: "s".into(),
                id: n.to_string().into(),
                keep_ms: 60_000,
            };
            let to = socket.namespace().to("r");
            let sent = to.emit_counted("r", 0, payload, Some(&once));
            // The number that it was given first.
            assert_eq!(sent.unwrap().unwrap().await, Some(n + 1));
            ack.send(&n).unwrap();
        });
        ns.on("pass", async |socket: Socket, n: u64| {
            let to = socket.namespace().to("r").volatile();
            to.emit("passed", &(n,)).unwrap();
        });
        let ready = async { tokio::time::timeout(BOUND, loops.hub.cluster_ready()).await };
        self.runtime.block_on(ready).unwrap();
        Life {
            loops,
            store,
            work,
            runtime: Arc::clone(&self.runtime),
        }
    }
}

impl Life {
    fn end(self, how: End) {
        let Self {
            loops,
            store,
            work,
            runtime,
        } = self;
        runtime.block_on(async {
            match how {
                End::Farewell => {
                    let left = tokio::time::timeout(BOUND, loops.hub.leave_cluster());
                    left.await.unwrap();
                    work.await.unwrap();
                }
                End::Killed => {
                    work.abort();
                    assert!(work.await.unwrap_err().is_cancelled());
                }
            }
            store.close().await.unwrap();
        });
    }

    fn on<R: Send + 'static>(&self, job: impl AsyncFnOnce(World) -> R + Send + 'static) -> R {
        self.loops.on(0, job)
    }

    /// Waits until the hub says that its log is written, or that it isn't.
    fn until_log_is(&self, up: bool) {
        let hub: &Hub = &self.loops.hub;
        let start = std::time::Instant::now();
        while hub.cluster_state().unwrap().link.up != up {
            assert!(start.elapsed() < BOUND, "the log's state is {}", !up);
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Sends what is answered, and waits for that.
async fn ask(
    world: &World,
    client: &crate::support::Client,
    seen: &mut Seen,
    (id, text): (u32, &str),
) {
    client.send(&format!("42{id}{text}"));
    until(world, client, seen, |seen| {
        let answer = format!("43{id}[");
        seen.texts.iter().any(|seen| seen.starts_with(&answer))
    })
    .await;
}

/// Comes back with what it remembers.
async fn back(world: &World, auth: &str) -> (crate::support::Client, Seen) {
    let (client, mut seen) = (world.client(), Seen::default());
    client.send(&format!("40{auth}"));
    until(world, &client, &mut seen, |seen| !seen.sid.is_null()).await;
    (client, seen)
}

#[test]
fn who_comes_back_to_the_next_life_gets_what_it_missed_once_and_in_order() {
    for end in [End::Farewell, End::Killed] {
        let place = Place::new();
        let first = place.live();
        let (seen, all) = first.on(async |world| {
            let (client, mut seen) = member(&world, "").await;
            ask(&world, &client, &mut seen, (2, r#"["data",{"n":7}]"#)).await;
            ask(&world, &client, &mut seen, (3, r#"["say",1]"#)).await;
            until(&world, &client, &mut seen, |seen| seen.firsts() == [1]).await;
            let remembered = seen.clone();
            for n in 2..=40_u32 {
                ask(
                    &world,
                    &client,
                    &mut seen,
                    (n + 10, &format!(r#"["say",{n}]"#)),
                )
                .await;
            }
            (remembered, seen)
        });
        first.end(end);
        let second = place.live();
        let (known, newer) = (seen.clone(), all.clone());
        second.on(async move |world| {
            let (client, mut came) = back(&world, &known.auth()).await;
            assert_eq!((&came.pid, &came.sid), (&known.pid, &known.sid), "{end:?}");
            let missed: Vec<u32> = (2..=40).collect();
            assert_eq!(came.firsts(), missed, "{end:?}");
            let found = world.hub().of("/").to("r").fetch_sockets().await;
            assert_eq!(found[0].data, serde_json::json!({"n": 7}));
            ask(&world, &client, &mut came, (2, r#"["say",41]"#)).await;
            until(&world, &client, &mut came, |came| came.firsts().len() == 40).await;
            // The newest offset there was: nothing is missing before what came since.
            let (_, late) = back(&world, &newer.auth()).await;
            assert_eq!((&late.pid, late.firsts()), (&newer.pid, vec![41.into()]));
        });
        // A life in which nothing is said, and another one.
        second.end(end);
        place.live().end(end);
        place.live().on(async move |world| {
            let (_, came) = back(&world, &all.auth()).await;
            assert_eq!((&came.pid, came.firsts()), (&all.pid, vec![41.into()]));
        });
    }
}

#[test]
fn who_has_heard_nothing_yet_gets_all_that_its_session_would_have_heard() {
    let place = Place::new();
    let first = place.live();
    let quiet = first.on(async |world| member(&world, "").await.1);
    first.end(End::Killed);
    let second = place.live();
    second.on(async |world| {
        let (client, mut seen) = member(&world, "").await;
        ask(&world, &client, &mut seen, (2, r#"["say",1]"#)).await;
    });
    second.end(End::Killed);
    place.live().on(async move |world| {
        let (_, came) = back(&world, &quiet.auth()).await;
        assert_eq!((&came.pid, came.firsts()), (&quiet.pid, vec![1.into()]));
    });
}

#[test]
fn what_was_said_before_a_session_joined_is_not_for_it_in_the_next_life_either() {
    let place = Place::new();
    let first = place.live();
    let seen = first.on(async |world| {
        let (client, mut seen) = (world.client(), Seen::default());
        client.send("40");
        until(&world, &client, &mut seen, |seen| !seen.sid.is_null()).await;
        let (other, mut heard) = member(&world, "").await;
        ask(&world, &other, &mut heard, (2, r#"["say",1]"#)).await;
        ask(&world, &client, &mut seen, (3, r#"["join","r"]"#)).await;
        ask(&world, &other, &mut heard, (4, r#"["say",2]"#)).await;
        Seen {
            offset: None,
            ..seen
        }
    });
    first.end(End::Killed);
    let mut life = place.live();
    for _ in 0..2 {
        let seen = seen.clone();
        life.on(async move |world| {
            let (_, came) = back(&world, &seen.auth()).await;
            assert_eq!((&came.pid, came.firsts()), (&seen.pid, vec![2.into()]));
        });
        life.end(End::Killed);
        life = place.live();
    }
}

/// The numbers that were given, as the room was told.
fn numbers(seen: &Seen) -> Vec<u64> {
    let events = seen.texts.iter().filter_map(|text| event_of(text));
    let number = |args: Value| args[2]["seq"].as_u64();
    events.filter_map(number).collect()
}

/// What was said so far, without what may be lost.
fn said(seen: &Seen) -> Vec<Value> {
    let events = seen.texts.iter().filter_map(|text| event_of(text));
    let said = events.filter(|args| args[0] == "said");
    said.map(|args| args[1].clone()).collect()
}

#[test]
fn counters_go_on_without_holes() {
    let place = Place::new();
    let mut given = Vec::new();
    for end in [End::Killed, End::Farewell, End::Killed] {
        let life = place.live();
        given.extend(life.on(async |world| {
            let (client, mut seen) = member(&world, "").await;
            for id in 10..15 {
                client.send(&format!(r#"42{id}["count",{id}]"#));
            }
            until(&world, &client, &mut seen, |seen| numbers(seen).len() == 5).await;
            let counted = world.hub().of("/").count_of("r").await;
            assert_eq!(counted, numbers(&seen).last().copied());
            numbers(&seen)
        }));
        life.end(end);
    }
    assert_eq!(given, (1..=15).collect::<Vec<u64>>());
}

#[test]
fn what_is_to_be_sent_once_is_whatever_ends_behind_it() {
    let place = Place::new();
    let mut given = Vec::new();
    for (life, end) in [End::Killed, End::Farewell, End::Killed]
        .into_iter()
        .enumerate()
    {
        let life = u64::try_from(life).unwrap();
        let alive = place.live();
        given.extend(alive.on(async move |world| {
            let (client, mut seen) = member(&world, "").await;
            // What the life before sent last, then more; and each twice in one commit.
            let ids = [life, life, life + 1, life + 1];
            for id in ids {
                client.send(&format!(r#"42{}["once",{id}]"#, 10 + id));
            }
            ask(&world, &client, &mut seen, (9, r#"["once",0]"#)).await;
            numbers(&seen)
        }));
        alive.end(end);
    }
    assert_eq!(given, [1, 2, 3, 4]);
}

#[test]
fn a_place_that_the_log_never_gave_is_told_from_one_that_it_did() {
    let place = Place::new();
    let first = place.live();
    let seen = first.on(async |world| {
        let (client, mut seen) = member(&world, "").await;
        ask(&world, &client, &mut seen, (2, r#"["say",1]"#)).await;
        until(&world, &client, &mut seen, |seen| seen.firsts() == [1]).await;
        seen
    });
    first.end(End::Killed);
    let offset = seen.offset.clone().unwrap();
    let (ms, number) = offset.as_str().unwrap().split_once('-').unwrap();
    let number: u64 = number.parse().unwrap();
    let second = place.live();
    for wrong in [number + 1, number + 5_000] {
        let mut seen = seen.clone();
        seen.offset = Some(format!("{ms}-{wrong}").into());
        second.on(async move |world| {
            let (_, came) = back(&world, &seen.auth()).await;
            assert_ne!(came.pid, seen.pid, "it is told that something is missing");
        });
    }
    second.on(async move |world| {
        let (_, came) = back(&world, &seen.auth()).await;
        assert_eq!(came.pid, seen.pid);
    });
}

#[test]
fn while_the_store_takes_nothing_nothing_is_delivered_and_then_all_of_it_once() {
    let mut place = Place::new();
    place.options.max_file_bytes = Some(2 << 20);
    let life = place.live();
    let filler = |step: usize| format!("{step}");
    let fill = async |store: &Store, bytes: usize| {
        for step in 0.. {
            let batch = Batch::new(0).put(
                "filler",
                &filler(bytes + step),
                vec![0; bytes],
                Condition::Any,
                None,
            );
            match store.write(batch).await {
                Ok(_) => {}
                Err(WriteError::DiskFull) => return,
                Err(error) => panic!("{error}"),
            }
        }
    };
    let (send, on) = std::sync::mpsc::channel();
    let (go_on, may_go_on) = tokio::sync::oneshot::channel();
    let done = life.loops.start_on(0, async move |world| {
        let (client, mut seen) = member(&world, "").await;
        send.send(()).unwrap();
        may_go_on.await.unwrap();
        let long = "x".repeat(4_000);
        for n in 0..20 {
            client.send(&format!(r#"42{}["say",{n},"{long}"]"#, n + 10));
            client.send(&format!(r#"42["pass",{n}]"#));
        }
        world.settle().await;
        seen.take(&client);
        let early = (said(&seen), seen.has(r#"4310["done"]"#));
        until(&world, &client, &mut seen, |seen| {
            seen.has(r#"4329["done"]"#)
        })
        .await;
        (early, seen)
    });
    on.recv_timeout(BOUND).unwrap();
    let store = life.store.clone();
    life.runtime.block_on(async {
        for bytes in [100_000, 3_000, 300] {
            fill(&store, bytes).await;
        }
    });
    go_on.send(()).unwrap();
    life.until_log_is(false);
    assert!(!store.health().is_ok());
    life.runtime.block_on(async {
        for step in 0..3 {
            let key = filler(100_000 + step);
            store
                .delete(0, "filler", &key, Condition::Any)
                .await
                .unwrap();
        }
    });
    let ((early, answered), seen) = done.recv_timeout(BOUND).unwrap();
    assert!(early.is_empty() && !answered, "{early:?}");
    assert_eq!(said(&seen), (0..20).collect::<Vec<u32>>());
    life.until_log_is(true);
    assert!(store.health().is_ok());
}

#[test]
fn what_passes_keeps_its_turn_and_leaves_nothing_in_the_log() {
    let place = Place::new();
    let life = place.live();
    let seen = life.on(async |world| {
        let (client, mut seen) = member(&world, "").await;
        for n in 0..10 {
            client.send(&format!(r#"42["pass",{}]"#, 2 * n));
            client.send(&format!(r#"42{}["say",{}]"#, n + 10, 2 * n + 1));
        }
        until(&world, &client, &mut seen, |seen| seen.firsts().len() == 20).await;
        seen
    });
    assert_eq!(seen.firsts(), (0..20).collect::<Vec<u32>>());
    let written = life.loops.hub.cluster_state().unwrap().stats.sent;
    assert_eq!(written, 10);
}
