//! Rooms with very many people in them: what they are told stays bounded.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use driver::{Client, Loop, run_paused};
use lakh_chat::Config;
use room::{here, in_room, start_going, unhurried};
use serde_json::{Value, json};

/// How many of each event have come to all of these since the last call.
fn came(clients: &[Client]) -> BTreeMap<String, usize> {
    let mut count = BTreeMap::new();
    for event in clients.iter().flat_map(Client::received) {
        *count.entry(event.name).or_default() += 1;
    }
    count
}

async fn crowd(on: &Rc<Loop>, people: std::ops::Range<usize>) -> Vec<Client> {
    let mut all = Vec::new();
    for number in people {
        all.push(here(on, &format!("P{number:04}")).await);
    }
    all
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn typing(on: bool) -> Value {
    json!({"room": "r", "typing": on})
}

fn small() -> Config {
    Config {
        thin_from: 4,
        crowd_from: 8,
        ..unhurried()
    }
}

#[test]
fn twelve_hundred_people_and_fifty_who_type_cost_a_bounded_number_of_packets() {
    run_paused(async {
        let (on, _) = start_going(unhurried());
        let all = crowd(&on, 0..1_200).await;
        seconds(3).await;
        let told = came(&all);
        // Up to a hundred each is told of each who comes behind them, and of the one who makes it a crowd.
        assert_eq!(told["presence:update"], 100 * 101 / 2);
        // Those who have just come among them: the one who makes it a crowd hears of it as well.
        assert_eq!(told["crowd:changed"], 101 + 1_001);
        // Nor does a crowd hear of members; the first is told of nobody but itself.
        assert!(told["member:changed"] <= 101 * 102 / 2, "{told:?}");
        // At each tick all who are there: the first one at once, and one when two seconds are over.
        assert!(told["presence:count"] <= 101 + 1_200, "{told:?}");

        for typer in &all[..50] {
            typer.ok("typing:set", typing(true)).await;
        }
        seconds(1).await;
        for typer in &all[..50] {
            typer.ok("typing:set", typing(true)).await;
        }
        seconds(2).await;
        let told = came(&all);
        assert!(!told.contains_key("typing:update"), "{told:?}");
        // At once, and once more when two seconds are over.
        let counts = told["typing:count"];
        assert!((1_200..=2 * 1_200).contains(&counts), "{told:?}");
        let packets: usize = told.values().sum();
        assert_eq!(packets, counts);

        // They type no longer: five seconds on it has ended by itself.
        seconds(8).await;
        let told = came(&all);
        assert!(told["typing:count"] <= 3 * 1_200, "{told:?}");

        let listed = all[0].ok("presence:list", in_room()).await;
        assert_eq!(listed["members"].as_array().map(Vec::len), Some(100));
        assert_eq!(
            (&listed["count"], &listed["watching"], &listed["crowd"]),
            (&json!(1_200), &json!(1_200), &json!("counts"))
        );
        assert!(listed["cursor"].is_null());

        for leaver in &all[..400] {
            leaver.ok("room:unwatch", in_room()).await;
        }
        seconds(3).await;
        let told = came(&all);
        assert!(!told.contains_key("presence:update"), "{told:?}");
        assert!(told["presence:count"] <= 2 * 1_200, "{told:?}");
        assert_eq!(told["crowd:changed"], 800, "at four fifths");
    });
}

#[test]
fn a_crowd_is_told_of_by_counts_and_changes_back_at_four_fifths() {
    run_paused(async {
        let (on, _) = start_going(small());
        let mut all = crowd(&on, 0..4).await;
        assert_eq!(all[0].received_of("presence:update").len(), 3);
        all.extend(crowd(&on, 4..5).await);
        let told = all[0].received();
        let names: Vec<_> = told.iter().map(|event| event.name.as_str()).collect();
        let expected = ["member:changed", "presence:update", "crowd:changed"];
        assert_eq!(names, expected);
        assert_eq!(told[2].args[0], json!({"room": "r", "crowd": "thinned"}));
        let count = all[0].heard("presence:count").await;
        assert_eq!(count, json!({"room": "r", "watching": 5, "online": 5}));
        // Twice the same is no news.
        seconds(10).await;
        assert!(all[0].received_of("presence:count").is_empty());

        all.extend(crowd(&on, 5..8).await);
        seconds(3).await;
        assert!(all[0].received_of("presence:update").is_empty());
        let room = all[0].ok("presence:count", in_room()).await;
        assert_eq!(
            room,
            json!({"ok": true, "watching": 8, "online": 8, "crowd": "thinned"})
        );
        all.extend(crowd(&on, 8..9).await);
        assert_eq!(
            all[0].heard("crowd:changed").await,
            json!({"room": "r", "crowd": "counts"})
        );
        all.extend(crowd(&on, 9..10).await);
        let told = all[0].received();
        assert!(told.iter().all(|event| event.name != "member:changed"));
        let joined = all[9].ok("room:join", in_room()).await;
        assert_eq!(
            (&joined["room"]["crowd"], &joined["room"]["watching"]),
            (&json!("counts"), &json!(10))
        );

        for leaver in all.drain(4..) {
            leaver.ok("room:unwatch", in_room()).await;
        }
        assert_eq!(all[0].heard("crowd:changed").await["crowd"], "thinned");
        seconds(3).await;
        assert!(all[0].received_of("crowd:changed").is_empty(), "4 of 4");
        let last = all.pop().expect("a fourth");
        last.ok("room:unwatch", in_room()).await;
        assert_eq!(all[0].heard("crowd:changed").await["crowd"], "none");
        all[2].ok("room:unwatch", in_room()).await;
        let gone = all[0].heard("presence:update").await;
        assert_eq!(gone["online"], false);
    });
}

#[test]
fn who_types_in_a_crowd_is_counted_in_the_room_and_in_each_thread() {
    run_paused(async {
        let (on, _) = start_going(small());
        let all = crowd(&on, 0..6).await;
        seconds(3).await;
        drop(came(&all));
        for typer in &all[..5] {
            typer.ok("typing:set", typing(true)).await;
        }
        // The first of them may be told at once, before the others.
        let mut then = all[5].heard("typing:count").await;
        if then["count"] != 5 {
            then = all[5].heard("typing:count").await;
        }
        assert_eq!(then["count"], 5);
        assert_eq!(then["users"].as_array().map(Vec::len), Some(3));
        assert!(then["thread"].is_null());
        all[0]
            .ok(
                "message:send",
                json!({"room": "r", "key": "k", "text": "said"}),
            )
            .await;
        all[1].ok("typing:set", typing(false)).await;
        let then = all[5].heard("typing:count").await;
        assert_eq!(then["count"], 3);
        // Who says nothing more types no longer.
        assert_eq!(all[5].heard("typing:count").await["count"], 0);

        let in_thread = json!({"room": "r", "thread": 1, "typing": true});
        all[0].ok("typing:set", in_thread).await;
        let thread = all[5].heard("typing:count").await;
        assert_eq!(
            (&thread["thread"], &thread["count"]),
            (&json!(1), &json!(1))
        );
        all[0].disconnect();
        let over = all[5].heard("typing:count").await;
        assert_eq!((&over["thread"], &over["count"]), (&json!(1), &json!(0)));
    });
}
