//! Reactions of all kinds, through the hub, on each of the store's backends; and what two nodes make of one message.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use driver::{Client, Loop, TestClock, hub_by, run};
use lakh_hub::store::{RedisOptions, Store};
use lakh_testkit::redis::Redis;
use room::{
    at, here, in_room, make_room, message, on_each_store, sqlite, unhurried, user, with,
    with_each_store,
};
use serde_json::{Value, json};

fn emoji(emoji: &str) -> Value {
    json!({"room": "r", "seq": 1, "emoji": emoji})
}

async fn add(client: &Client, what: &str) -> Value {
    client.ok("reaction:add", emoji(what)).await["reactions"].take()
}

async fn remove(client: &Client, what: &str) -> Value {
    client.ok("reaction:remove", emoji(what)).await["reactions"].take()
}

fn one(what: &str, count: u64, people: &[&str], mine: u64) -> Value {
    let people: Vec<_> = people.iter().map(|name| user(name)).collect();
    json!({"emoji": what, "count": count, "people": people, "mine": mine})
}

#[test]
fn each_person_gives_each_reaction_once() {
    with_each_store(async |on, _, _| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        ada.ok("message:send", message("k", "x")).await;
        assert_eq!(add(&ada, "👍").await, json!([one("👍", 1, &["Ada"], 1)]));
        assert_eq!(add(&ada, "👍").await, json!([one("👍", 1, &["Ada"], 1)]));
        assert_eq!(
            add(&ben, "🎉").await,
            json!([one("👍", 1, &["Ada"], 0), one("🎉", 1, &["Ben"], 1)])
        );
        assert_eq!(
            add(&ben, "👍").await,
            json!([one("👍", 2, &["Ada", "Ben"], 1), one("🎉", 1, &["Ben"], 1)])
        );
        let told = ben.received_of("message:changed");
        assert_eq!(told.len(), 3, "giving it again changes nothing");
        let last = json!([
            {"emoji": "👍", "count": 2, "people": [user("Ada"), user("Ben")]},
            {"emoji": "🎉", "count": 1, "people": [user("Ben")]}
        ]);
        assert_eq!(told[2]["set"], json!({"reactions": last}));
        assert_eq!(
            (&told[2]["what"], &told[2]["by"]),
            (&json!("reaction"), &user("Ben"))
        );
        let page = ada.ok("message:history", in_room()).await;
        assert_eq!(
            page["messages"][0]["reactions"][1],
            one("🎉", 1, &["Ben"], 0)
        );
        assert_eq!(
            remove(&ben, "🎉").await,
            json!([one("👍", 2, &["Ada", "Ben"], 1)])
        );
        assert_eq!(
            remove(&ben, "🎉").await,
            json!([one("👍", 2, &["Ada", "Ben"], 1)])
        );
        remove(&ada, "👍").await;
        assert_eq!(remove(&ben, "👍").await, json!([]));
        let told = ada.received_of("message:changed");
        assert_eq!(
            told.last().expect("told")["set"],
            json!({"reactions": null})
        );
        for (request, code) in [
            (json!({"emoji": ""}), "bad_request"),
            (json!({"emoji": "x".repeat(33)}), "bad_request"),
            (json!({"emoji": "a\u{7}"}), "bad_request"),
            (json!({"emoji": "👍", "count": 2}), "bad_request"),
            (json!({"emoji": "👍", "seq": 2}), "not_found"),
        ] {
            let mut asked = emoji("👍");
            for (name, value) in request.as_object().expect("fields") {
                asked[name] = value.clone();
            }
            assert_eq!(ada.refused("reaction:add", asked).await, code, "{request}");
        }
        for number in 0..50 {
            add(&ada, &number.to_string()).await;
        }
        assert_eq!(
            ben.refused("reaction:add", emoji("one more")).await,
            "too_many"
        );
        assert_eq!(add(&ben, "7").await[7]["count"], 2);
    });
}

#[test]
fn where_one_is_given_another_takes_its_place() {
    with_each_store(async |on, _, store| {
        make_room(&store, "r", json!({"reactions": "one"})).await;
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        ada.ok("message:send", message("k", "x")).await;
        add(&ada, "👍").await;
        add(&ben, "👍").await;
        assert_eq!(
            add(&ada, "🎉").await,
            json!([one("👍", 1, &["Ben"], 0), one("🎉", 1, &["Ada"], 1)])
        );
        assert_eq!(
            add(&ben, "🎉").await,
            json!([one("🎉", 2, &["Ada", "Ben"], 1)])
        );
        assert_eq!(ada.received_of("message:changed").len(), 4);
    });
}

#[test]
fn where_they_are_counted_all_count() {
    with_each_store(async |on, _, store| {
        make_room(&store, "r", json!({"reactions": "counted"})).await;
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        ada.ok("message:send", message("k", "x")).await;
        add(&ada, "👏").await;
        let mut more = emoji("👏");
        more["count"] = json!(9);
        ada.ok("reaction:add", more.clone()).await;
        assert_eq!(
            add(&ben, "👏").await,
            json!([one("👏", 11, &["Ada", "Ben"], 1)])
        );
        more["count"] = json!(101);
        assert_eq!(ada.refused("reaction:add", more).await, "bad_request");
        let list = ben
            .ok("reaction:list", json!({"room": "r", "seq": 1}))
            .await;
        assert_eq!(
            list["reactions"],
            json!([
                {"emoji": "👏", "user": user("Ada"), "count": 10},
                {"emoji": "👏", "user": user("Ben"), "count": 1}
            ])
        );
        assert_eq!(remove(&ada, "👏").await, json!([one("👏", 1, &["Ben"], 0)]));
    });
}

#[test]
fn the_first_ten_are_named_and_all_can_be_listed() {
    with_each_store(async |on, _, _| {
        let names: Vec<String> = (0..15).map(|number| format!("P{number:02}")).collect();
        let mut people = Vec::new();
        for name in &names {
            people.push(here(&on, name).await);
        }
        people[0].ok("message:send", message("k", "x")).await;
        for person in &people {
            add(person, "👍").await;
        }
        add(&people[3], "🎉").await;
        let named = |from: &[String]| json!(from.iter().map(|name| user(name)).collect::<Vec<_>>());
        let now = people[0]
            .ok("message:get", json!({"room": "r", "seq": 1}))
            .await;
        let reaction = &now["message"]["reactions"][0];
        assert_eq!(
            (&reaction["count"], &reaction["people"]),
            (&json!(15), &named(&names[..10]))
        );
        // When one of them goes, the next moves up; when one behind them goes, nothing is to be seen of it but the count.
        let now = remove(&people[2], "👍").await;
        let mut expected: Vec<String> = names[..11].to_vec();
        expected.remove(2);
        assert_eq!(now[0]["people"], named(&expected));
        let now = remove(&people[14], "👍").await;
        assert_eq!(
            (&now[0]["count"], &now[0]["people"]),
            (&json!(13), &named(&expected))
        );
        let (mut listed, mut cursor) = (Vec::new(), Value::Null);
        loop {
            let mut request = json!({"room": "r", "seq": 1, "emoji": "👍", "limit": 4});
            if !cursor.is_null() {
                request["cursor"] = cursor;
            }
            let mut page = people[0].ok("reaction:list", request).await;
            listed.append(page["reactions"].as_array_mut().expect("a list"));
            cursor = page["cursor"].take();
            if cursor.is_null() {
                break;
            }
        }
        let listed: Vec<_> = listed
            .iter()
            .map(|one| one["user"]["name"].clone())
            .collect();
        let expected: Vec<_> = names
            .iter()
            .enumerate()
            .filter(|(index, _)| ![2, 14].contains(index))
            .map(|(_, name)| json!(name))
            .collect();
        assert_eq!(listed, expected);
    });
}

#[test]
fn live_reactions_are_summed() {
    with_each_store(async |on, _, _| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        let sent: Vec<_> = (0..30)
            .map(|number| {
                let emoji = if number % 3 == 0 { "❤️" } else { "🎉" };
                let client = if number % 2 == 0 { &ada } else { &ben };
                client.request("live:react", json!({"room": "r", "emoji": emoji}))
            })
            .collect();
        for answer in sent {
            assert_eq!(answer.await["ok"], true);
        }
        let (mut hearts, mut parties) = (0, 0);
        while hearts + parties < 30 {
            let told = ada.heard("live:reactions").await;
            assert_eq!(told["room"], "r");
            hearts += told["counts"]["❤️"].as_u64().unwrap_or(0);
            parties += told["counts"]["🎉"].as_u64().unwrap_or(0);
        }
        assert_eq!((hearts, parties), (10, 20));
    });
}

/// Two nodes on one store, each on a thread of its own, whose people react to one message, reply to it and take back what they
/// gave: nothing is counted twice and nothing lost.
fn race(stores: &[Store; 2]) {
    const PEOPLE: usize = 12;
    let met = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        for (index, store) in stores.iter().enumerate() {
            let met = &met;
            scope.spawn(move || {
                run(async {
                    let hub = hub_by(&TestClock::default(), &format!("n{index}"), 1, &["/chat"]);
                    lakh_chat::install(&hub, store.clone(), unhurried());
                    let on = Loop::start(&hub, 0);
                    let mut people = Vec::new();
                    for number in 0..PEOPLE {
                        people.push(here(&on, &format!("P{index}{number:02}")).await);
                    }
                    // The same message, whoever is first.
                    let keyed = here(&on, "Both").await;
                    let sent = keyed.ok("message:send", message("k", "x")).await;
                    assert_eq!(sent["message"]["seq"], 1);
                    met.wait();
                    let mut asked = Vec::new();
                    for person in &people {
                        asked.push(person.request("reaction:add", emoji("👍")));
                        let reply = json!({"room": "r", "thread": 1, "key": "k", "text": "x"});
                        asked.push(person.request("message:send", reply));
                    }
                    for person in people.iter().step_by(2) {
                        asked.push(person.request("reaction:remove", emoji("👍")));
                    }
                    for answer in asked {
                        let answer = answer.await;
                        assert_eq!(answer["ok"], true, "{answer}");
                    }
                    met.wait();
                    let now = keyed
                        .ok("message:get", json!({"room": "r", "seq": 1}))
                        .await;
                    let reaction = &now["message"]["reactions"][0];
                    assert_eq!(reaction["count"], PEOPLE);
                    assert_eq!(now["message"]["replies"]["count"], 2 * PEOPLE);
                    let all = json!({"room": "r", "seq": 1, "limit": 100});
                    let all = keyed.ok("reaction:list", all).await["reactions"].take();
                    let all: Vec<_> = all
                        .as_array()
                        .expect("a list")
                        .iter()
                        .map(|one| one["user"].clone())
                        .collect();
                    assert_eq!(all.len(), PEOPLE);
                    assert_eq!(
                        reaction["people"],
                        json!(all[..10]),
                        "the first ten, in their order"
                    );
                });
            });
        }
    });
}

#[test]
fn two_nodes_count_exactly() {
    let memory = Store::memory();
    race(&[memory.clone(), memory]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = sqlite(&folder);
    race(&[file.clone(), file]);
    let redis = Redis::start(&[]).expect("a redis-server");
    let open = || Store::redis(&redis.url(), &RedisOptions::default()).expect("a store");
    race(&[open(), open()]);
}

#[test]
fn a_counted_reaction_that_is_sent_again_with_its_key_counts_once() {
    on_each_store(async |on, _| {
        let ada = here(&on, "Ada").await;
        let settings = json!({"room": "r", "settings": {"reactions": "counted"}});
        ada.ok("room:set", settings).await;
        ada.ok("message:send", message("k", "hi")).await;
        let give = async |key: Value, count: u64| {
            let more = json!({"emoji": "👏", "count": count, "key": key});
            let given = ada.ok("reaction:add", with(at(1), more)).await;
            given["reactions"][0]["mine"].as_u64().expect("a number")
        };
        assert_eq!(give(json!("a"), 3).await, 3);
        assert_eq!(give(json!("a"), 3).await, 3, "a retry");
        assert_eq!(give(json!("b"), 2).await, 5);
        assert_eq!(give(json!("a"), 7).await, 5, "whatever it says this time");
        assert_eq!(give(json!(null), 1).await, 6);
        for number in 0..16 {
            assert_eq!(give(json!(number.to_string()), 1).await, 7 + number);
        }
        assert_eq!(give(json!("0"), 1).await, 22);
        assert_eq!(give(json!("a"), 1).await, 23, "too long ago");
        for key in [json!(""), json!("x".repeat(65)), json!("\n"), json!(7)] {
            let more = json!({"emoji": "👏", "key": key});
            let refused = ada.refused("reaction:add", with(at(1), more)).await;
            assert_eq!(refused, "bad_request");
        }
        // Once taken back, the same key counts anew.
        let emoji = json!({"emoji": "👏"});
        ada.ok("reaction:remove", with(at(1), emoji)).await;
        assert_eq!(give(json!("0"), 4).await, 4);
    });
}
