//! Recovery over several loops, while others publish.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use lakh_hub::{LogLimits, Namespace, Socket};
use serde_json::{Value, json};

use crate::support::loops::{Loops, until};
use crate::support::{World, connected, event_of};

fn recoverable(loops: &Loops) -> Namespace {
    let ns = loops.hub.of("/");
    ns.recoverable(LogLimits::default());
    ns.on_connect(async |socket: Socket| {
        if !socket.recovered() {
            socket.join("r");
        }
    });
    ns
}

/// What a stock client remembers from one connection to the next.
#[derive(Clone, Default)]
struct Memory {
    pid: Value,
    sid: String,
    offset: Option<String>,
    /// The numbers seen, in order, by publisher.
    seen: HashMap<u64, Vec<u64>>,
    recovered: usize,
    refused: usize,
}

impl Memory {
    fn see(&mut self, text: &str) {
        let Some(args) = event_of(text) else {
            return;
        };
        let args = args.as_array().unwrap();
        self.offset = Some(args.last().unwrap().as_str().unwrap().to_owned());
        if args[0] == "n" {
            let numbers = self.seen.entry(args[1].as_u64().unwrap()).or_default();
            numbers.push(args[2].as_u64().unwrap());
        }
    }

    /// Connects or comes back on this loop, and waits for the answer.
    async fn connect(&mut self, world: &World) -> crate::support::Client {
        let client = world.client();
        let mut auth = json!({});
        if self.pid.is_string() {
            auth["pid"] = self.pid.clone();
            if let Some(offset) = &self.offset {
                auth["offset"] = json!(offset);
            }
        }
        client.send(&format!("40{auth}"));
        let mut texts = Vec::new();
        until(world, || {
            texts.extend(client.texts());
            connected(&texts, "/").is_some() || client.closed().is_some()
        })
        .await;
        let data = connected(&texts, "/");
        if let Some(data) = &data {
            if self.pid.is_string() {
                let same = data["pid"] == self.pid;
                self.recovered += usize::from(same);
                self.refused += usize::from(!same);
            }
            self.pid = data["pid"].clone();
            self.sid = data["sid"].as_str().unwrap().to_owned();
        }
        for text in &texts {
            self.see(text);
        }
        client
    }

    fn read(&mut self, client: &crate::support::Client) {
        for text in client.texts() {
            self.see(&text);
        }
    }
}

#[test]
fn a_session_moves_to_another_loop_with_all_its_rooms_and_its_id() {
    let loops = Loops::start(2);
    let ns = recoverable(&loops);
    ns.on("me", async |socket: Socket| {
        socket.emit("n", &(0, 4)).unwrap()
    });
    let mut memory = loops.on(0, async |world| {
        let mut memory = Memory::default();
        let client = memory.connect(&world).await;
        client.cut();
        memory
    });
    ns.to("r").emit("n", &(0, 1)).unwrap();
    ns.to(&*memory.sid).emit("n", &(0, 2)).unwrap();
    let (from, sid) = (ns.clone(), memory.sid.clone());
    let memory = loops.on(1, async move |world| {
        let client = memory.connect(&world).await;
        from.to(&*sid).emit("n", &(0, 3)).unwrap();
        client.send(r#"42["me"]"#);
        from.to("r").emit("n", &(0, 5)).unwrap();
        from.except(&*sid).emit("n", &(0, 0)).unwrap();
        world.settle().await;
        memory.read(&client);
        client.cut();
        memory
    });
    assert_eq!(memory.recovered, 1);
    assert_eq!(memory.seen[&0], [1, 2, 3, 4, 5]);
    // And back again, to the loop that its id names.
    ns.to(&*memory.sid).emit("n", &(0, 6)).unwrap();
    let (from, mut memory) = (ns.clone(), memory);
    let memory = loops.on(0, async move |world| {
        let client = memory.connect(&world).await;
        from.to(&*memory.sid.clone()).emit("n", &(0, 7)).unwrap();
        world.settle().await;
        memory.read(&client);
        memory
    });
    assert_eq!(memory.seen[&0], [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(ns.socket_count(), 1);
}

#[test]
fn a_half_open_connection_on_another_loop_is_evicted() {
    let loops = Loops::start(2);
    let ns = recoverable(&loops);
    let (send, receive) = std::sync::mpsc::channel();
    ns.on_disconnect(async move |_, reason| send.send(reason.as_str()).unwrap());
    let mut memory = loops.on(0, async |world| {
        let mut memory = Memory::default();
        let client = memory.connect(&world).await;
        client.get_stuck();
        memory
    });
    ns.to("r").emit("n", &(0, 1)).unwrap();
    let memory = loops.on(1, async move |world| {
        memory.connect(&world).await;
        memory
    });
    assert_eq!(memory.recovered, 1);
    assert_eq!(memory.seen[&0], [1]);
    assert_eq!(receive.recv().unwrap(), "transport close");
    loops.settle();
    assert_eq!(ns.socket_count(), 1);
}

/// From a thread that is no loop, so all of it waits for its turn.
fn elsewhere(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(work);
    });
}

#[test]
fn who_joins_while_the_loop_has_work_left_is_replayed_what_was_said_since_and_no_more() {
    let loops = Loops::start(2);
    let ns = recoverable(&loops);
    ns.on("enter", async |socket: Socket| {
        socket.join("late");
    });
    let memory = loops.on(0, async move |world| {
        let say = |room: &str, n: u32| ns.to(room).emit("n", &(0, n)).unwrap();
        let mut memory = Memory::default();
        let client = memory.connect(&world).await;
        say("late", 1);
        // Left when the handler joins.
        elsewhere(|| say("r", 2));
        client.send(r#"42["enter"]"#);
        elsewhere(|| say("late", 3));
        client.cut();
        world.settle().await;
        let client = memory.connect(&world).await;
        assert_eq!(memory.seen[&0], [2, 3]);

        say("later", 4);
        elsewhere(|| {
            say("r", 5);
            // One of the things that are left, with some before it and some behind.
            ns.sockets_join(["later"]);
            say("later", 6);
        });
        client.get_stuck();
        world.settle().await;
        client.cut();
        let client = memory.connect(&world).await;
        client.cut();
        memory
    });
    assert_eq!((memory.recovered, memory.refused), (2, 0));
    assert_eq!(memory.seen[&0], [2, 3, 5, 6]);
}

#[test]
fn of_many_newcomers_with_one_session_at_most_one_stays() {
    let loops = Loops::start(3);
    let ns = recoverable(&loops);
    for _ in 0..100 {
        let memory = loops.on(0, async |world| {
            let mut memory = Memory::default();
            let client = memory.connect(&world).await;
            client.cut();
            memory
        });
        let race: Vec<_> = (0..3)
            .map(|shard| {
                let mut memory = memory.clone();
                loops.start_on(shard, async move |world| {
                    memory.connect(&world).await;
                })
            })
            .collect();
        for done in race {
            done.recv().unwrap();
        }
        loops.settle();
        let all = ns.clone();
        let found = loops.on(0, async move |_| all.fetch_sockets().await);
        let same = found
            .iter()
            .filter(|socket| socket.id == memory.sid)
            .count();
        assert!(same <= 1, "{same} sockets with one id");
        ns.disconnect_sockets(true);
        loops.settle();
    }
}

#[test]
fn with_publishers_on_all_loops_there_is_no_gap_no_double_and_no_disorder() {
    const SHARDS: usize = 3;
    const CLIENTS: usize = 6;
    const ROUNDS: usize = 40;
    let loops = Loops::start(SHARDS);
    let ns = recoverable(&loops);
    let stop = Arc::new(AtomicBool::new(false));
    // Publishers go on beside the clients, but not so far ahead that there is nothing left to race with.
    let allowed = Arc::new(AtomicU64::new(0));
    let sent: Arc<Vec<AtomicU64>> = Arc::new((0..SHARDS).map(|_| AtomicU64::new(0)).collect());
    let mut memories: Vec<Memory> = (0..CLIENTS)
        .map(|index| {
            loops.on(index % SHARDS, async |world| {
                let mut memory = Memory::default();
                memory.connect(&world).await.cut();
                memory
            })
        })
        .collect();
    let publishers: Vec<_> = (0..SHARDS)
        .map(|shard| {
            let (ns, stop, sent) = (ns.clone(), Arc::clone(&stop), Arc::clone(&sent));
            let allowed = Arc::clone(&allowed);
            loops.start_on(shard, async move |_| {
                while !stop.load(Ordering::Relaxed) {
                    if sent[shard].load(Ordering::Relaxed) >= allowed.load(Ordering::Relaxed) {
                        tokio::task::yield_now().await;
                        continue;
                    }
                    let n = sent[shard].fetch_add(1, Ordering::Relaxed) + 1;
                    match n % 3 {
                        0 => ns.emit("n", &(shard, n)).unwrap(),
                        _ => ns.to("r").emit("n", &(shard, n)).unwrap(),
                    }
                    if n % 4 == 0 {
                        ns.to("r").volatile().emit("v", &n).unwrap();
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for round in 0..ROUNDS {
        allowed.fetch_add(40, Ordering::Relaxed);
        let running: Vec<_> = memories
            .drain(..)
            .enumerate()
            .map(|(index, mut memory)| {
                loops.start_on((index + round) % SHARDS, async move |world| {
                    let client = memory.connect(&world).await;
                    for _ in 0..(index * 7 + round) % 5 {
                        memory.read(&client);
                        tokio::task::yield_now().await;
                    }
                    match (index + round) % 3 {
                        0 => client.cut(),
                        // Half open: what comes now is never read.
                        _ => client.get_stuck(),
                    }
                    memory
                })
            })
            .collect();
        memories = running
            .into_iter()
            .map(|done| done.recv().unwrap())
            .collect();
    }
    stop.store(true, Ordering::Relaxed);
    for publisher in publishers {
        publisher.recv().unwrap();
    }
    loops.settle();
    for (index, mut memory) in memories.into_iter().enumerate() {
        let memory = loops.on(index % SHARDS, async move |world| {
            let client = memory.connect(&world).await;
            world.settle().await;
            memory.read(&client);
            memory
        });
        assert_eq!((memory.recovered, memory.refused), (ROUNDS + 1, 0));
        for (publisher, count) in sent.iter().enumerate() {
            let numbers = &memory.seen[&(publisher as u64)];
            let wrong = numbers.windows(2).find(|pair| pair[1] != pair[0] + 1);
            assert_eq!(wrong, None, "client {index}, publisher {publisher}");
            let last = count.load(Ordering::Relaxed);
            assert_eq!((numbers[0], numbers.last()), (1, Some(&last)));
        }
    }
    assert_eq!(ns.socket_count(), CLIENTS);
}
