//! History against a plain list: who joins in the middle of writes misses nothing and gets nothing twice.

mod driver;
#[allow(dead_code, reason = "not every test needs all of it")]
mod fleet;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use driver::{Client, Loop, START_MS, TestClock, hub, run};
use fleet::{Dice, Fleet};
use lakh_hub::store::Store;
use lakh_hub::{Bytes, Clock};
use lakh_rooms::{Config, HistoryOptions, HistoryRange, Keep, Publish, RoomOptions, Rooms};
use serde_json::{Value, json};
use tokio::sync::Barrier;

fn config(history: HistoryOptions) -> Config {
    Config {
        events_per_second: 1_000_000,
        options: vec![RoomOptions {
            history,
            ..RoomOptions::of("*")
        }],
        ..Config::default()
    }
}

fn keeping(keep: Keep, max_entries: usize) -> HistoryOptions {
    HistoryOptions {
        keep,
        max_entries,
        ..HistoryOptions::default()
    }
}

fn start(history: HistoryOptions) -> (Rc<Loop>, TestClock, Rooms) {
    let (hub, clock) = hub(1, &["/"]);
    let rooms = lakh_rooms::install(&hub, Store::memory(), config(history));
    (Loop::start(&hub, 0), clock, rooms)
}

async fn say(client: &Client, data: impl Into<Value>) -> u64 {
    let said = json!({"room": "r", "event": "said", "data": data.into()});
    client.ok("room:emit", said).await["seq"]
        .as_u64()
        .expect("a number")
}

fn numbers(answer: &Value) -> Vec<u64> {
    let events = answer["events"].as_array().expect("events");
    events
        .iter()
        .map(|event| event["seq"].as_u64().expect("a number"))
        .collect()
}

/// What one member has seen from one join to the next.
struct Stint {
    from: u64,
    /// The time that was asked for, if one was.
    since: Option<u64>,
    seen: Vec<(u64, Value)>,
}

/// Takes what came live, up to `until`, behind what the answer to the join had.
async fn follow(client: &Client, answer: &Value, until: u64) -> Stint {
    let seq = answer["seq"].as_u64().expect("a number");
    let events = answer["events"].as_array().expect("events").iter();
    let mut seen: Vec<(u64, Value)> = events
        .map(|event| {
            (
                event["seq"].as_u64().expect("a number"),
                event["data"].clone(),
            )
        })
        .collect();
    if let Some((last, _)) = seen.last() {
        assert_eq!(*last, seq, "the past ends where the answer says");
    }
    let from = seen.first().map_or(seq + 1, |(first, _)| *first);
    let mut last = seq;
    while last < until {
        let event = client.next("said").await;
        last = event.args[1]["seq"].as_u64().expect("a number");
        seen.push((last, event.args[0].clone()));
    }
    Stint {
        from,
        since: None,
        seen,
    }
}

/// Joins with a rewind of some kind, stays for a few events if some are to come, and leaves.
async fn come_and_go(
    reader: &Client,
    dice: &mut Dice,
    clock: &TestClock,
    last_seen: &mut u64,
    (busy, total): (bool, u64),
) -> Stint {
    let rewind = match dice.below(3) {
        0 => json!({"last": dice.below(30) + 1}),
        1 => json!({"since": START_MS + dice.below(clock.wall_ms() - START_MS + 10)}),
        _ => json!({"after": *last_seen}),
    };
    let after = rewind["after"].as_u64();
    let join = json!({"room": "r", "rewind": rewind.clone()});
    let answer = reader.ok("room:join", join).await;
    assert_eq!(answer["complete"], true, "{answer}");
    let seq = answer["seq"].as_u64().expect("a number");
    // While somebody writes, a few more come for sure.
    let until = seq + if busy { dice.below(3) } else { 0 };
    let mut stint = follow(reader, &answer, until.min(total)).await;
    stint.since = rewind["since"].as_u64();
    if let Some(after) = after {
        assert_eq!(stint.from, after + 1, "it goes on where it was left");
    }
    *last_seen = stint.seen.last().map_or(seq, |(last, _)| *last).max(seq);
    reader.ok("room:leave", json!({"room": "r"})).await;
    // What came before the leaving was seen is behind the last number, and seen again by the next join.
    reader.received();
    stint
}

/// Writers write, and readers come and go with rewinds of each kind. What each saw is compared with the list of all.
fn nobody_misses_anything(nodes: usize, keep: Keep) {
    const WRITES: u64 = 120;
    const READERS: usize = 4;
    const STINTS: u64 = 6;
    let clock = TestClock::default();
    let fleet = Fleet::start(nodes, &config(keeping(keep, 100_000)), &clock);
    // Data and time by number.
    let list: Mutex<BTreeMap<u64, (Value, u64)>> = Mutex::default();
    let stints: Mutex<Vec<Stint>> = Mutex::default();
    let writing = AtomicUsize::new(fleet.seats.len());
    let all = Barrier::new(fleet.seats.len());
    let (list_of, stints_of, writing_of, all_of) = (&list, &stints, &writing, &all);
    let clock = &clock;
    let total = WRITES * fleet.seats.len() as u64;
    fleet.on_each(|seat, on| async move {
        let writer = on.connect("/", &format!("writer {seat}")).await;
        writer.ok("room:join", json!({"room": "r"})).await;
        let write = async {
            for number in 0..WRITES {
                let data = json!(format!("{seat}/{number}"));
                let said = json!({"room": "r", "event": "said", "data": data});
                let sent = writer.ok("room:emit", said).await;
                let number = |field: &str| sent[field].as_u64().expect("a number");
                let (seq, time) = (number("seq"), number("time"));
                let doubled = list_of.lock().expect("a list").insert(seq, (data, time));
                clock.advance(7);
                assert_eq!(doubled, None, "{seq} was given twice");
                tokio::task::yield_now().await;
            }
            writing_of.fetch_sub(1, Ordering::SeqCst);
        };
        let mut readers = Vec::new();
        for reader in 0..READERS {
            readers.push(on.connect("/", &format!("reader {seat}.{reader}")).await);
        }
        let read = async {
            let mut dice = Dice(seat as u64);
            let mut last_seen = vec![0; READERS];
            for _ in 0..STINTS {
                for (reader, last_seen) in readers.iter().zip(&mut last_seen) {
                    let busy = writing_of.load(Ordering::SeqCst) > 0;
                    let stint = come_and_go(reader, &mut dice, clock, last_seen, (busy, total));
                    let stint = stint.await;
                    stints_of.lock().expect("stints").push(stint);
                    tokio::task::yield_now().await;
                }
            }
        };
        tokio::join!(write, read);
        // The loops of all go on until the last is done.
        all_of.wait().await;
        let late = on.connect("/", "late").await;
        let join = json!({"room": "r", "rewind": {"after": 0}});
        let answer = late.ok("room:join", join).await;
        assert_eq!(
            (&answer["complete"], answer.get("next")),
            (&json!(true), None)
        );
        let stint = follow(&late, &answer, total).await;
        assert_eq!(stint.from, 1);
        stints_of.lock().expect("stints").push(stint);
    });
    let list = list.into_inner().expect("a list");
    let total = WRITES * fleet.seats.len() as u64;
    assert_eq!(
        list.keys().copied().collect::<Vec<_>>(),
        (1..=total).collect::<Vec<_>>()
    );
    let stints = stints.into_inner().expect("stints");
    let (mut with_live, mut with_time) = (0, 0);
    for stint in &stints {
        with_live += usize::from(stint.seen.len() > 1);
        for ((seq, data), expected) in stint.seen.iter().zip(stint.from..) {
            assert_eq!(*seq, expected, "neither a hole nor a double");
            assert_eq!(Some(data), list.get(seq).map(|(data, _)| data));
        }
        if let Some(since) = stint.since {
            let left_out: Vec<_> = list
                .range(..stint.from)
                .filter(|(_, (_, time))| *time >= since)
                .collect();
            assert!(
                left_out.is_empty(),
                "since {since} from {} on, without {left_out:?}",
                stint.from
            );
            let first = list.get(&stint.from).filter(|_| !stint.seen.is_empty());
            with_time += usize::from(first.is_some_and(|(_, time)| *time >= since));
        }
    }
    assert!(with_live > 10 && with_time > 2, "{with_live}, {with_time}");
}

#[test]
fn one_node_memory_nobody_misses_anything() {
    nobody_misses_anything(1, Keep::Memory);
}

#[test]
fn one_node_store_nobody_misses_anything() {
    nobody_misses_anything(1, Keep::Store);
}

#[test]
fn three_nodes_memory_nobody_misses_anything() {
    nobody_misses_anything(3, Keep::Memory);
}

#[test]
fn three_nodes_store_nobody_misses_anything() {
    nobody_misses_anything(3, Keep::Store);
}

#[test]
fn history_is_paged_both_ways() {
    for keep in [Keep::Memory, Keep::Store] {
        run(async {
            let (on, ..) = start(keeping(keep, 100));
            let ada = on.connect("/", "Ada").await;
            ada.ok("room:join", json!({"room": "r"})).await;
            for n in 1..=25 {
                assert_eq!(say(&ada, n).await, n);
            }
            let get = async |ask: Value| {
                let mut asked = json!({"room": "r", "limit": 10});
                asked
                    .as_object_mut()
                    .expect("fields")
                    .extend(ask.as_object().expect("fields").clone());
                ada.ok("history:get", asked).await
            };
            let newest = get(json!({})).await;
            assert_eq!(numbers(&newest), (16..=25).collect::<Vec<_>>());
            assert_eq!((&newest["next"], &newest["seq"]), (&json!(16), &json!(25)));
            let before = get(json!({"before": 16})).await;
            assert_eq!(numbers(&before), (6..=15).collect::<Vec<_>>());
            let first = get(json!({"before": before["next"]})).await;
            assert_eq!(numbers(&first), (1..=5).collect::<Vec<_>>());
            assert_eq!(
                (first.get("next"), &first["complete"]),
                (None, &json!(true))
            );
            let oldest = get(json!({"after": 3, "oldest_first": true})).await;
            assert_eq!(numbers(&oldest), (4..=13).collect::<Vec<_>>());
            let rest = get(json!({"after": oldest["next"], "oldest_first": true})).await;
            assert_eq!(numbers(&rest), (14..=23).collect::<Vec<_>>());
            assert_eq!(
                numbers(&get(json!({"after": 3, "before": 6})).await),
                [4, 5]
            );
            assert_eq!(numbers(&get(json!({"after": 25})).await), [0; 0]);
            assert_eq!(
                get(json!({"after": 99})).await["complete"],
                false,
                "of another life"
            );
        });
    }
}

#[test]
fn an_event_of_the_past_is_what_it_was_live() {
    for keep in [Keep::Memory, Keep::Store] {
        run(async {
            let (on, ..) = start(keeping(keep, 100));
            let (ada, ben) = (on.connect("/", "Ada").await, on.connect("/", "Ben").await);
            ada.ok("room:join", json!({"room": "r"})).await;
            let hole = |number: u8| json!({"_placeholder": true, "num": number});
            for round in 0..2_u8 {
                let emit = json!({"room": "r", "event": "picture", "tags": {"of": "cat"}, "data": {"a": [hole(1), hole(0)]}});
                let bytes = [
                    Bytes::copy_from_slice(&[round]),
                    Bytes::copy_from_slice(&[round + 10]),
                ];
                assert_eq!(
                    ada.request_with("room:emit", &emit, &bytes).await["ok"],
                    true
                );
            }
            let live = ada.next("picture").await;
            let join = json!({"room": "r", "rewind": {"last": 5}});
            let answer = ben.ok("room:join", join).await;
            let mut expected = live.args[1].clone();
            expected["event"] = json!("picture");
            expected["data"] = live.args[0].clone();
            assert_eq!(answer["events"][0], expected);
            assert_eq!(answer["events"][0]["tags"], json!({"of": "cat"}));
            // The second event's binary values are behind the first one's.
            assert_eq!(
                answer["events"][1]["data"],
                json!({"a": [hole(3), hole(2)]})
            );
            assert!(answer["events"][0].get("seq").is_some());
        });
    }
}

#[test]
fn what_is_past_its_bounds_is_gone_and_the_answer_says_so() {
    for keep in [Keep::Memory, Keep::Store] {
        run(async {
            let history = HistoryOptions {
                max_age_ms: 1_000,
                ..keeping(keep, 5)
            };
            let (on, clock, _) = start(history);
            let ada = on.connect("/", "Ada").await;
            ada.ok("room:join", json!({"room": "r"})).await;
            for n in 1..=8 {
                say(&ada, n).await;
            }
            let all = ada.ok("history:get", json!({"room": "r"})).await;
            assert_eq!(
                (numbers(&all), &all["complete"]),
                ((4..=8).collect(), &json!(false))
            );
            let some = ada
                .ok("history:get", json!({"room": "r", "after": 3}))
                .await;
            assert_eq!(
                (numbers(&some), &some["complete"]),
                ((4..=8).collect(), &json!(true))
            );
            clock.advance(600);
            say(&ada, 9).await;
            let since = json!({"room": "r", "since": START_MS + 600});
            assert_eq!(numbers(&ada.ok("history:get", since).await), [9]);
            clock.advance(600);
            let late = ada
                .ok("history:get", json!({"room": "r", "after": 3}))
                .await;
            assert_eq!(
                (numbers(&late), &late["complete"]),
                (vec![9], &json!(false))
            );
        });
    }
}

#[test]
fn numbers_and_events_in_the_store_outlive_the_server() {
    run(async {
        let store = Store::memory();
        for life in 0..2_u64 {
            let (hub, _) = hub(1, &["/"]);
            lakh_rooms::install(&hub, store.clone(), config(keeping(Keep::Store, 100)));
            let on = Loop::start(&hub, 0);
            let ada = on.connect("/", "Ada").await;
            let join = json!({"room": "r", "rewind": {"last": 10}});
            let answer = ada.ok("room:join", join).await;
            assert_eq!(numbers(&answer), (1..=life).collect::<Vec<_>>());
            assert_eq!(say(&ada, life).await, life + 1);
            lakh_hub::Shard::exit();
        }
    });
}

#[test]
fn the_rest_of_the_server_publishes_and_reads() {
    run(async {
        let (on, _, rooms) = start(keeping(Keep::Memory, 100));
        let ada = on.connect("/", "Ada").await;
        ada.ok("room:join", json!({"room": "r"})).await;
        let event = |name: &str| Publish {
            room: "r".into(),
            event: name.into(),
            data: serde_json::value::to_raw_value(&json!({"a": 1})).ok(),
            ..Publish::default()
        };
        let sent = rooms.publish(event("news")).await.expect("published");
        assert_eq!((sent.seq, sent.time_ms), (1, START_MS));
        let live = ada.next("news").await;
        assert_eq!(
            live.args,
            [
                json!({"a": 1}),
                json!({"room": "r", "from": "server", "time": START_MS, "seq": 1})
            ]
        );
        assert_eq!(say(&ada, 2).await, 2);
        let range = HistoryRange {
            event: Some("said".into()),
            ..HistoryRange::default()
        };
        let page = rooms.history("r", range).await.expect("a page");
        assert_eq!(
            page.entries
                .iter()
                .map(|entry| entry.seq)
                .collect::<Vec<_>>(),
            [2]
        );
        let refused = rooms.publish(event("room:join")).await;
        assert_eq!(refused.map_err(|failure| failure.code), Err("bad_request"));
    });
}

#[test]
fn several_rooms_are_joined_at_once() {
    run(async {
        let (on, ..) = start(keeping(Keep::Memory, 100));
        let ada = on.connect("/", "Ada").await;
        ada.ok("room:join", json!({"room": "r"})).await;
        say(&ada, 1).await;
        let ben = on.connect("/", "Ben").await;
        let join = json!({"rooms": ["r", "empty", ""], "rewind": {"last": 3}});
        let answer = ben.ok("room:join", join).await;
        assert_eq!(numbers(&answer["joined"]["r"]), [1]);
        assert_eq!(
            answer["joined"]["empty"],
            json!({"seq": 0, "count": 1, "events": [], "complete": true})
        );
        assert_eq!(answer["refused"][""]["code"], "bad_request");
        say(&ada, 2).await;
        assert_eq!(ben.heard("said").await, 2);
    });
}

#[test]
fn what_is_asked_wrongly_is_refused() {
    run(async {
        let (on, ..) = start(keeping(Keep::Memory, 100));
        let ada = on.connect("/", "Ada").await;
        for (request, argument) in [
            ("room:join", json!({"room": "r", "rewind": {}})),
            ("room:join", json!({"room": "r", "rewind": {"last": 0}})),
            (
                "room:join",
                json!({"room": "r", "rewind": {"last": 1, "after": 2}}),
            ),
            ("room:join", json!({"room": "r", "rewind": {"all": true}})),
            ("room:join", json!({"room": "r", "rooms": ["a"]})),
            ("room:join", json!({"rooms": []})),
            ("room:join", json!({})),
            ("history:get", json!({"room": "r", "limit": 0})),
            ("history:get", json!({"room": "r", "limit": 1001})),
            ("history:get", json!({"room": ""})),
        ] {
            assert_eq!(
                ada.refused(request, argument.clone()).await,
                "bad_request",
                "{argument}"
            );
        }
    });
    run(async {
        let (on, ..) = start(HistoryOptions::default());
        let ada = on.connect("/", "Ada").await;
        let rewind = json!({"room": "r", "rewind": {"last": 1}});
        assert_eq!(ada.refused("room:join", rewind).await, "unsupported");
        assert_eq!(
            ada.refused("history:get", json!({"room": "r"})).await,
            "unsupported"
        );
    });
}
