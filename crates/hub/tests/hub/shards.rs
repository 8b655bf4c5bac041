//! What crosses event loops: order, rooms, answers, operations on many sockets.

use std::time::Duration;

use lakh_hub::{Ack, Namespace, Settings, Socket};
use serde_json::{Value, json};

use crate::support::loops::{Loops, until};
use crate::support::{Client, ack_id};

fn prepared(loops: &Loops) -> Namespace {
    let ns = loops.hub.of("/");
    ns.on("join", async |socket: Socket, room: String, ack: Ack| {
        socket.join(room);
        ack.send(&()).unwrap();
    });
    ns.on("leave", async |socket: Socket, room: String| {
        socket.leave(room)
    });
    ns
}

/// Connects a client on each loop and gives the sockets' ids. The clients stay with their loops.
fn one_each(loops: &Loops, rooms: &'static [&'static str]) -> Vec<String> {
    (0..loops.hub.shard_count())
        .map(|shard| {
            loops.on(shard, async move |world| {
                let client = world.client();
                let id = client.connect("/");
                for room in rooms {
                    client.send(&format!("42{}", json!(["join", room])));
                }
                keep(client);
                id
            })
        })
        .collect()
}

thread_local! {
    static KEPT: std::cell::RefCell<Vec<Client>> = const { std::cell::RefCell::new(Vec::new()) };
}

fn keep(client: Client) {
    KEPT.with_borrow_mut(|kept| kept.push(client));
}

/// The client that was kept on this loop.
fn kept() -> Client {
    KEPT.with_borrow(|kept| kept[0].clone())
}

fn names_on(loops: &Loops, shard: usize) -> Vec<String> {
    loops.on(shard, async |_| kept().names())
}

#[test]
fn a_broadcast_from_any_loop_or_thread_reaches_members_on_all_loops() {
    let loops = Loops::start(3);
    let ns = prepared(&loops);
    one_each(&loops, &["r"]);
    loops.settle();
    ns.to("r").emit("outside", &1).unwrap();
    loops.on(1, async move |_| ns.to("r").emit("inside", &1).unwrap());
    loops.settle();
    for shard in 0..3 {
        let mut names = names_on(&loops, shard);
        names.sort();
        assert_eq!(names, ["inside", "outside"]);
    }
}

#[test]
fn loops_without_members_are_left_alone_and_rooms_come_and_go() {
    let loops = Loops::start(2);
    let ns = prepared(&loops);
    one_each(&loops, &[]);
    for _ in 0..3 {
        loops.on(1, async |_| kept().send(r#"42["join","r"]"#));
        ns.to("r").emit("in", &1).unwrap();
        loops.settle();
        assert_eq!(names_on(&loops, 1), ["in"]);
        loops.on(1, async |_| kept().send(r#"42["leave","r"]"#));
        ns.to("r").emit("out", &1).unwrap();
        loops.settle();
        assert_eq!(names_on(&loops, 1), [""; 0]);
    }
    assert_eq!(names_on(&loops, 0), [""; 0]);
    assert_eq!(ns.room_count(), 0);
}

#[test]
fn a_socket_on_another_loop_is_reached_by_its_id_and_by_its_handle() {
    let loops = Loops::start(2);
    let ns = prepared(&loops);
    let (send, receive) = std::sync::mpsc::channel();
    ns.on_connect(async move |socket: Socket| drop(send.send(socket)));
    let ids = one_each(&loops, &[]);
    ns.to(&*ids[1]).emit("by id", &1).unwrap();
    ns.to(&*ids[0]).to(&*ids[1]).emit("both", &1).unwrap();
    let second = receive
        .iter()
        .take(2)
        .find(|socket| socket.id() == ids[1])
        .unwrap();
    second.emit("by handle", &1).unwrap();
    second.join("r");
    ns.to("r").emit("by room", &1).unwrap();
    loops.settle();
    assert_eq!(
        names_on(&loops, 1),
        ["by id", "both", "by handle", "by room"]
    );
    assert_eq!(names_on(&loops, 0), ["both"]);
    second.disconnect(true);
    loops.settle();
    assert!(loops.on(1, async |_| kept().closed()).is_some());
    assert!(!second.is_connected());
}

#[test]
fn the_broadcasts_of_one_sender_arrive_in_order_on_every_loop() {
    const SENDERS: u64 = 3;
    const EACH: u64 = 400;
    let loops = Loops::start(2);
    let ns = prepared(&loops);
    one_each(&loops, &["r"]);
    loops.settle();
    let threads: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let ns = ns.clone();
            std::thread::spawn(move || {
                for n in 0..EACH {
                    ns.to("r").emit("n", &(sender, n)).unwrap();
                }
            })
        })
        .collect();
    for shard in 0..2 {
        let got = loops.on(shard, async |world| {
            let (client, mut got) = (kept(), Vec::new());
            until(&world, || {
                got.extend(client.events());
                got.len() as u64 == SENDERS * EACH
            })
            .await;
            got
        });
        for sender in 0..SENDERS {
            let mine: Vec<u64> = got
                .iter()
                .filter(|args| args[1] == sender)
                .map(|args| args[2].as_u64().unwrap())
                .collect();
            assert_eq!(mine, (0..EACH).collect::<Vec<_>>());
        }
    }
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn numbered_events_arrive_in_the_order_of_their_numbers_on_every_loop() {
    const EACH: u64 = 300;
    let loops = Loops::start(2);
    let ns = prepared(&loops);
    one_each(&loops, &["r"]);
    loops.settle();
    let next = std::sync::Arc::new(std::sync::Mutex::new(0_u64));
    let publishers: Vec<_> = (0..2)
        .map(|shard| {
            let (ns, next) = (ns.clone(), next.clone());
            loops.start_on(shard, async move |_| {
                for _ in 0..EACH {
                    ns.to("r")
                        .emit_ordered(|| {
                            let mut next = next.lock().unwrap();
                            *next += 1;
                            let text = format!(r#"["n",{next}]"#);
                            Some((lakh_hub::Payload::from_raw(text, Vec::new()), next))
                        })
                        .unwrap();
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for done in publishers {
        done.recv().unwrap();
    }
    loops.settle();
    for shard in 0..2 {
        let got = loops.on(shard, async |_| kept().firsts());
        assert_eq!(got, (1..=EACH * 2).map(Value::from).collect::<Vec<_>>());
    }
}

#[test]
fn a_room_on_two_loops_answers_and_who_is_silent_is_counted() {
    let loops = Loops::start(2);
    let ns = prepared(&loops);
    one_each(&loops, &["r"]);
    loops.settle();
    let answer = |shard: usize, n: u32| {
        loops.on(shard, async move |world| {
            let (client, mut asked) = (kept(), Vec::new());
            until(&world, || {
                asked.extend(client.texts());
                asked.iter().any(|text| text.contains("\"q\""))
            })
            .await;
            let question = asked.iter().find(|text| text.contains("\"q\"")).unwrap();
            client.send(&format!("43{}[{n}]", ack_id(question)));
        });
    };
    let asked = ns.to("r").emit_with_ack::<u32>("q", &()).unwrap();
    let waits = loops.start_on(0, async move |_| asked.await);
    answer(0, 10);
    answer(1, 11);
    let acks = waits.recv().unwrap();
    let mut answers = acks.answers.clone();
    answers.sort_unstable();
    assert_eq!((answers, acks.missing), (vec![10, 11], 0));

    let within = ns.to("r").timeout(Duration::from_millis(300));
    let asked = within.emit_with_ack::<u32>("q", &()).unwrap();
    let waits = loops.start_on(1, async move |_| asked.await);
    answer(1, 12);
    loops.settle();
    assert!(waits.try_recv().is_err(), "one is missing still");
    loops.pass(300);
    let acks = waits.recv().unwrap();
    assert_eq!((acks.answers, acks.missing), (vec![12], 1));
}

#[test]
fn a_question_to_one_socket_is_answered_across_loops() {
    let loops = Loops::start(2);
    let ns = prepared(&loops);
    let (send, receive) = std::sync::mpsc::channel();
    ns.on_connect(async move |socket: Socket| drop(send.send(socket)));
    loops.on(1, async |world| {
        let client = world.client();
        client.connect("/");
        keep(client);
    });
    let socket = receive.recv().unwrap();
    let waits = loops.start_on(0, async move |_| {
        let answered: u32 = socket.emit_with_ack("q", &1).unwrap().await.unwrap();
        let silent = socket
            .timeout(Duration::from_millis(50))
            .emit_with_ack::<u32>("q", &2);
        (answered, silent.unwrap().await.is_err())
    });
    loops.on(1, async |world| {
        let (client, mut asked) = (kept(), Vec::new());
        until(&world, || {
            asked.extend(client.texts());
            !asked.is_empty()
        })
        .await;
        client.send(&format!("43{}[5]", ack_id(&asked[0])));
        until(&world, || !client.texts().is_empty()).await;
    });
    loops.pass(50);
    assert_eq!(waits.recv().unwrap(), (5, true));
}

#[test]
fn operations_on_many_sockets_reach_all_loops() {
    let loops = Loops::start(3);
    let ns = prepared(&loops);
    let ids = one_each(&loops, &["r"]);
    loops.settle();
    ns.to("r").except(&*ids[0]).sockets_join(["x"]);
    ns.to(&*ids[2]).sockets_leave(["r"]);
    let fetch = |room: &'static str| {
        let ns = ns.clone();
        let mut found: Vec<String> = loops.on(0, async move |_| {
            let sockets = ns.to(room).fetch_sockets().await;
            sockets.into_iter().map(|socket| socket.id).collect()
        });
        found.sort();
        found
    };
    let sorted = |ids: &[&String]| {
        let mut ids: Vec<String> = ids.iter().map(|id| (*id).clone()).collect();
        ids.sort();
        ids
    };
    assert_eq!(fetch("x"), sorted(&[&ids[1], &ids[2]]));
    assert_eq!(fetch("r"), sorted(&[&ids[0], &ids[1]]));
    let all = ns.clone();
    assert_eq!(
        loops.on(2, async move |_| all.members("r", 10).await.len()),
        2
    );
    ns.to("x").disconnect_sockets(true);
    loops.settle();
    assert_eq!(ns.socket_count(), 1);
    assert_eq!(fetch("r"), [ids[0].clone()]);
}

#[test]
fn a_publisher_outside_is_told_when_a_loop_is_too_far_behind() {
    let mut settings = Settings {
        shards: 2,
        ..Settings::default()
    };
    settings.hub_limits.mailbox_bytes = 10_000;
    let loops = Loops::with(settings);
    let ns = prepared(&loops);
    one_each(&loops, &["r"]);
    loops.settle();
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let blocked = loops.start_on(1, async move |_| held.recv().unwrap());
    let mut sent = 0;
    let told = loop {
        match ns.to("r").emit("n", &sent) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 1_000, "it grows without end");
    };
    assert!(told.to_string().contains("overloaded"), "{told}");
    assert!(loops.hub.is_congested());
    hold.send(()).unwrap();
    blocked.recv().unwrap();
    loops.settle();
    assert!(!loops.hub.is_congested());
    // What was taken arrives, on both loops the same.
    for shard in 0..2 {
        let got = loops.on(shard, async |_| kept().firsts());
        assert_eq!(got, (0..sent).map(Value::from).collect::<Vec<_>>());
    }
}

#[test]
fn a_loop_that_is_flooded_still_writes_out_to_its_clients() {
    let mut settings = Settings {
        shards: 2,
        ..Settings::default()
    };
    settings.hub_limits.outbox_bytes = 200_000;
    let loops = Loops::with(settings);
    let ns = prepared(&loops);
    one_each(&loops, &["r"]);
    loops.settle();
    // While loop 1 is busy, more comes in than an outbox may hold: the client keeps up, it's the loop that was late.
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let blocked = loops.start_on(1, async move |_| held.recv().unwrap());
    let text = "x".repeat(1_000);
    for _ in 0..1_000 {
        ns.to("r").emit("n", &text).unwrap();
    }
    hold.send(()).unwrap();
    blocked.recv().unwrap();
    let got = loops.on(1, async |world| {
        let (client, mut got) = (kept(), 0);
        until(&world, || {
            got += client.events().len();
            got == 1_000 || client.closed().is_some()
        })
        .await;
        got
    });
    assert_eq!(got, 1_000);
}

#[test]
fn namespaces_that_clients_make_survive_a_race_of_comings_and_goings() {
    let loops = Loops::start(2);
    let parent = loops.hub.of_pattern(regex::Regex::new("^/x").unwrap());
    let rounds: Vec<_> = (0..2)
        .map(|shard| {
            loops.start_on(shard, async move |world| {
                for _ in 0..300 {
                    let client = world.client();
                    client.connect("/x");
                    client.send("41/x,");
                    client.cut();
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for round in rounds {
        round.recv().unwrap();
    }
    assert_eq!(parent.children().len(), 0);
    assert_eq!(loops.hub.namespaces().len(), 0);
    loops.on(0, async |world| {
        let client = world.client();
        client.connect("/x");
        keep(client);
    });
    assert_eq!(parent.children()[0].socket_count(), 1);
}
