//! Filters by tag: who gets what, compared with brute force; and that numbers, history and recovery stay those of the room.

mod driver;
#[allow(dead_code, reason = "not every test needs all of it")]
mod fleet;

use std::rc::Rc;

use driver::{Client, Loop, hub, run};
use fleet::Dice;
use lakh_hub::store::Store;
use lakh_rooms::{Config, HistoryOptions, Keep, RoomOptions};
use serde_json::{Value, json};

fn start(max_filters: usize) -> Rc<Loop> {
    let (hub, _) = hub(1, &["/"]);
    let config = Config {
        events_per_second: 1_000_000,
        options: vec![RoomOptions {
            max_filters,
            history: HistoryOptions {
                keep: Keep::Memory,
                ..HistoryOptions::default()
            },
            ..RoomOptions::of("*")
        }],
        ..Config::default()
    };
    lakh_rooms::install(&hub, Store::memory(), config);
    Loop::start(&hub, 0)
}

async fn join(on: &Rc<Loop>, filter: Value) -> Client {
    let client = on.connect("/", "Ada").await;
    client
        .ok("room:join", json!({"room": "r", "filter": filter}))
        .await;
    client
}

async fn say(client: &Client, data: Value, tags: Value) {
    let emit = json!({"room": "r", "event": "said", "data": data, "tags": tags});
    client.ok("room:emit", emit).await;
}

/// What a filter means, said once more in the plainest way.
fn fits(filter: &Value, tags: &Value) -> bool {
    let mut all = filter.as_object().expect("a filter").iter();
    all.all(|(name, wanted)| {
        let tag = &tags[name];
        let list = || wanted.as_array().expect("a list").iter();
        match name.as_str() {
            "or" => list().any(|part| fits(part, tags)),
            "and" => list().all(|part| fits(part, tags)),
            _ => match wanted {
                Value::Object(tests) => tests.iter().all(|(word, value)| {
                    let (left, right) = (tag.as_f64(), value.as_f64());
                    let compared = left.zip(right).and_then(|(a, b)| a.partial_cmp(&b));
                    match word.as_str() {
                        "in" => value.as_array().expect("a list").contains(tag),
                        "ne" => tag != value,
                        "exists" => tag.is_null() != value.as_bool().expect("a bool"),
                        "gt" => compared.is_some_and(std::cmp::Ordering::is_gt),
                        "gte" => compared.is_some_and(std::cmp::Ordering::is_ge),
                        "lt" => compared.is_some_and(std::cmp::Ordering::is_lt),
                        _ => compared.is_some_and(std::cmp::Ordering::is_le),
                    }
                }),
                plain => tag == plain,
            },
        }
    })
}

fn some_value(dice: &mut Dice) -> Value {
    match dice.below(4) {
        0 => json!(["red", "blue"][dice.below(2) as usize]),
        1 => json!(dice.below(2) == 0),
        _ => json!(dice.below(4)),
    }
}

fn some_filter(dice: &mut Dice, depth: usize) -> Value {
    let mut filter = serde_json::Map::new();
    for _ in 0..=dice.below(2) {
        let name = ["a", "b", "c"][dice.below(3) as usize];
        let parts = |dice: &mut Dice| -> Value {
            let count = dice.below(3);
            (0..count)
                .map(|_| some_filter(dice, depth - 1))
                .collect::<Vec<_>>()
                .into()
        };
        match dice.below(if depth > 0 { 7 } else { 5 }) {
            0 => drop(filter.insert(name.into(), some_value(dice))),
            1 => {
                let values = [some_value(dice), some_value(dice)];
                filter.insert(name.into(), json!({"in": values}));
            }
            2 => {
                let words = ["gt", "gte", "lt", "lte"];
                let (one, two) = (dice.below(4) as usize, dice.below(4) as usize);
                filter.insert(
                    name.into(),
                    json!({words[one]: dice.below(4), words[two]: dice.below(4)}),
                );
            }
            3 => drop(filter.insert(name.into(), json!({"ne": some_value(dice)}))),
            4 => drop(filter.insert(name.into(), json!({"exists": dice.below(2) == 0}))),
            5 => drop(filter.insert("or".into(), parts(dice))),
            _ => drop(filter.insert("and".into(), parts(dice))),
        }
    }
    filter.into()
}

fn some_tags(dice: &mut Dice) -> Value {
    let mut tags = serde_json::Map::new();
    for name in ["a", "b", "c"] {
        if dice.below(3) > 0 {
            tags.insert(name.into(), some_value(dice));
        }
    }
    tags.into()
}

#[test]
fn each_member_gets_what_its_filter_lets_through_and_nothing_else() {
    for seed in 0..8 {
        run(async {
            let on = start(1_000);
            let mut dice = Dice(seed);
            let mut members = Vec::new();
            for _ in 0..40 {
                let filter = some_filter(&mut dice, 2);
                members.push((join(&on, filter.clone()).await, filter));
            }
            let sender = on.connect("/", "Eve").await;
            sender.ok("room:join", json!({"room": "r"})).await;
            let mut said = Vec::new();
            for number in 0..60 {
                let tags = some_tags(&mut dice);
                say(&sender, json!(number), tags.clone()).await;
                said.push((json!(number), tags));
            }
            assert_eq!(sender.received_of("said").len(), said.len());
            let mut got = 0;
            for (member, filter) in members {
                let fitting = said.iter().filter(|(_, tags)| fits(&filter, tags));
                let expected: Vec<Value> = fitting.map(|(data, _)| data.clone()).collect();
                assert_eq!(
                    member.received_of("said"),
                    expected,
                    "seed {seed}: {filter}"
                );
                // The past is filtered the same.
                let asked = json!({"room": "r", "limit": 1000, "filter": filter});
                let past = member.ok("history:get", asked).await;
                let past = past["events"].as_array().expect("events").iter();
                assert_eq!(
                    past.map(|event| event["data"].clone()).collect::<Vec<_>>(),
                    expected
                );
                got += expected.len();
            }
            assert!((100..2_000).contains(&got), "{got}");
        });
    }
}

#[test]
fn numbers_are_those_of_the_room_and_a_filtered_member_is_a_member() {
    run(async {
        let on = start(10);
        let (red, all) = (
            join(&on, json!({"c": "red"})).await,
            join(&on, json!({})).await,
        );
        for (number, color) in (1..).zip(["red", "blue", "red"]) {
            say(&all, json!(number), json!({"c": color})).await;
        }
        let seen: Vec<Value> = red
            .received()
            .into_iter()
            .map(|event| event.args[1]["seq"].clone())
            .collect();
        assert_eq!(seen, [1, 3], "what was dropped has its number");
        // It may speak, is counted and told, and leaves as all do.
        say(&red, json!(4), json!({"c": "blue"})).await;
        assert_eq!(all.received_of("said"), [1, 2, 3, 4]);
        assert!(red.received().is_empty());
        let members = all.ok("room:members", json!({"room": "r"})).await;
        assert_eq!(
            (
                &members["count"],
                members["members"].as_array().map(Vec::len)
            ),
            (&json!(2), Some(2))
        );
        red.ok("room:leave", json!({"room": "r"})).await;
        assert_eq!(
            red.refused("room:emit", json!({"room": "r", "event": "e"}))
                .await,
            "not_member"
        );
        assert_eq!(all.ok("room:join", json!({"room": "r"})).await["count"], 1);
    });
}

#[test]
fn a_filter_is_changed_by_joining_again_and_the_rewind_is_filtered() {
    run(async {
        let on = start(10);
        let (ada, sender) = (
            join(&on, json!({"c": "red"})).await,
            join(&on, json!({})).await,
        );
        say(&sender, json!(1), json!({"c": "blue"})).await;
        say(&sender, json!(2), json!({"c": "red"})).await;
        assert_eq!(ada.received_of("said"), [2]);
        let again = json!({"room": "r", "filter": {"c": "blue"}, "rewind": {"last": 10}});
        let answer = ada.ok("room:join", again).await;
        assert_eq!(answer["events"].as_array().map(Vec::len), Some(1));
        assert_eq!(
            (&answer["events"][0]["data"], &answer["seq"]),
            (&json!(1), &json!(2))
        );
        say(&sender, json!(3), json!({"c": "red"})).await;
        say(&sender, json!(4), json!({"c": "blue"})).await;
        assert_eq!(ada.received_of("said"), [4]);
        ada.ok("room:join", json!({"room": "r"})).await;
        say(&sender, json!(5), json!({})).await;
        assert_eq!(ada.received_of("said"), [5]);
    });
}

#[test]
fn who_comes_back_gets_what_it_missed_through_its_filter() {
    run(async {
        let on = start(10);
        let (ada, sender) = (
            join(&on, json!({"c": "red"})).await,
            join(&on, json!({})).await,
        );
        say(&sender, json!(1), json!({"c": "red"})).await;
        assert_eq!(ada.heard("said").await, 1);
        ada.cut();
        for (number, color) in (2..).zip(["red", "blue", "red"]) {
            say(&sender, json!(number), json!({"c": color})).await;
        }
        let back = ada.come_back().await;
        assert_eq!(back.id(), ada.id(), "recovered");
        say(&sender, json!(5), json!({"c": "blue"})).await;
        say(&sender, json!(6), json!({"c": "red"})).await;
        assert_eq!(back.received_of("said"), [2, 4, 6]);
    });
}

#[test]
fn different_filters_of_a_room_are_bounded_and_equal_ones_are_one() {
    run(async {
        let on = start(2);
        let mut kept = Vec::new();
        for filter in [json!({"a": 1}), json!({"a": 2}), json!({"a": 1})] {
            kept.push(join(&on, filter).await);
        }
        let late = on.connect("/", "Ben").await;
        let third = json!({"room": "r", "filter": {"a": 3}});
        assert_eq!(late.refused("room:join", third.clone()).await, "too_large");
        late.ok("room:join", json!({"room": "r"})).await;
        kept[1].ok("room:leave", json!({"room": "r"})).await;
        late.ok("room:join", third).await;
        for wrong in [json!(1), json!({"a": {"like": 1}}), json!({"a": [1]})] {
            let join = json!({"room": "r", "filter": wrong});
            assert_eq!(late.refused("room:join", join).await, "bad_request");
        }
        let emit = json!({"room": "r", "event": "e", "tags": {"a": [1]}});
        assert_eq!(late.refused("room:emit", emit).await, "bad_request");
    });
}
