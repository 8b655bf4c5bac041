//! Who is away is reminded of what they have not read, on each of the store's backends.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use driver::{Client, Loop, TestClock, hub, run};
use lakh_chat::Config;
use lakh_hub::store::Store;
use lakh_hub::{Occurrence, Watcher, What};
use room::{here, message, on_each, unhurried, until_due};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// What is told of people who are away.
#[derive(Clone, Default)]
struct Reminders(Arc<(Mutex<Vec<Value>>, Notify)>);

impl Watcher for Reminders {
    fn wants(&self, what: What, _: &str) -> bool {
        what == What::Module
    }

    fn saw(&self, occurrence: &Arc<Occurrence>) {
        if occurrence.event.as_deref() == Some("message:unread") {
            let data = occurrence.data.as_ref().expect("data").get();
            let data = serde_json::from_str(data).expect("JSON");
            self.0.0.lock().expect("no panic").push(data);
            self.0.1.notify_one();
        }
    }
}

impl Reminders {
    /// Lets time pass until somebody is reminded: what is due is written a moment after the message.
    async fn next(&self, clock: &TestClock) -> Value {
        for _ in 0..60 {
            let told = self.0.0.lock().expect("no panic").pop();
            if let Some(told) = told {
                return told;
            }
            clock.advance(10_000);
            drop(tokio::time::timeout(Duration::from_secs(1), self.0.1.notified()).await);
        }
        panic!("nobody was reminded");
    }

    fn is_empty(&self) -> bool {
        self.0.0.lock().expect("no panic").is_empty()
    }
}

fn watched(store: Store, config: Config) -> (Rc<Loop>, TestClock, Reminders) {
    let (hub, clock) = hub(1, &["/chat"]);
    lakh_chat::install(&hub, store, config);
    let reminders = Reminders::default();
    hub.watch(reminders.clone());
    (Loop::start(&hub, 0), clock, reminders)
}

/// Becomes a member and goes away.
async fn away(on: &Rc<Loop>, name: &str) {
    let client = here(on, name).await;
    client.disconnect();
    // Until the server says that nobody is left, it may not have noticed.
    drop(client);
}

fn on_each_store_watched(test: impl AsyncFn(Rc<Loop>, TestClock, Reminders)) {
    on_each(|store| {
        run(async {
            let (on, clock, reminders) = watched(store.clone(), unhurried());
            test(on, clock, reminders).await;
            store.close().await.expect("closes");
        });
    });
}

async fn send(client: &Client, key: &str) {
    client.ok("message:send", message(key, key)).await;
}

#[test]
fn who_is_away_is_reminded_once_and_again_only_of_later_messages() {
    on_each_store_watched(async |on, clock, reminders| {
        let ada = here(&on, "Ada").await;
        away(&on, "Ben").await;
        for key in ["1", "2", "3"] {
            send(&ada, key).await;
        }
        let told = reminders.next(&clock).await;
        assert_eq!(
            (
                &told["room"],
                &told["person"],
                &told["unread"],
                &told["mentions"]
            ),
            (
                &json!("r"),
                &json!({"id": "dev:ben", "name": "Ben"}),
                &json!(3),
                &json!(0)
            )
        );
        assert_eq!(
            (&told["message"]["seq"], &told["message"]["text"]),
            (&json!(3), &json!("3"))
        );
        assert!(reminders.is_empty());
        // Nothing new: nobody is reminded, however long it takes. Cy shows that time has passed.
        away(&on, "Cy").await;
        send(&ada, "4").await;
        let mut people = Vec::new();
        for _ in 0..2 {
            let told = reminders.next(&clock).await;
            assert_eq!(told["message"]["seq"], 4);
            people.push(json!([told["person"]["name"], told["unread"]]));
        }
        people.sort_by_key(Value::to_string);
        assert_eq!(people, [json!(["Ben", 4]), json!(["Cy", 1])]);
        // Who comes back is left in peace, and so is who does not want to know.
        let ben = on.connect("/chat", "Ben").await;
        send(&ada, "5").await;
        assert_eq!(reminders.next(&clock).await["person"]["name"], "Cy");
        ben.ok("room:notify", json!({"room": "r", "notify": "none"}))
            .await;
        ben.disconnect();
        send(&ada, "6").await;
        assert_eq!(reminders.next(&clock).await["person"]["name"], "Cy");
        assert!(reminders.is_empty());
    });
}

#[test]
fn silent_messages_remind_nobody_and_some_want_to_hear_of_mentions_only() {
    on_each_store_watched(async |on, clock, reminders| {
        let ada = here(&on, "Ada").await;
        let ben = here(&on, "Ben").await;
        ben.ok("room:notify", json!({"room": "r", "notify": "mentions"}))
            .await;
        ben.disconnect();
        away(&on, "Cy").await;
        let silent = json!({"room": "r", "key": "s", "text": "psst", "silent": true, "mentions": ["dev:ben"]});
        ada.ok("message:send", silent).await;
        send(&ada, "1").await;
        let told = reminders.next(&clock).await;
        assert_eq!(
            (&told["person"]["name"], &told["message"]["text"]),
            (&json!("Cy"), &json!("1"))
        );
        let loud = json!({"room": "r", "key": "2", "text": "@Ben", "mentions": ["dev:ben"]});
        ada.ok("message:send", loud).await;
        send(&ada, "3").await;
        let mut told = [reminders.next(&clock).await, reminders.next(&clock).await];
        told.sort_by_key(|told| told["person"]["name"].to_string());
        assert_eq!(
            (&told[0]["person"]["name"], &told[0]["message"]["text"]),
            (&json!("Ben"), &json!("@Ben"))
        );
        assert_eq!(
            (&told[0]["mentions"], &told[1]["message"]["text"]),
            (&json!(2), &json!("3"))
        );
    });
}

#[test]
fn who_is_mentioned_by_a_reply_is_reminded_of_it() {
    on_each_store_watched(async |on, clock, reminders| {
        let ada = here(&on, "Ada").await;
        send(&ada, "1").await;
        away(&on, "Ben").await;
        away(&on, "Cy").await;
        let reply = |key: &str, mentions: Value| json!({"room": "r", "thread": 1, "key": key, "text": key, "mentions": mentions});
        ada.ok("message:send", reply("t1", json!([]))).await;
        ada.ok("message:send", reply("t2", json!(["dev:ben"])))
            .await;
        let told = reminders.next(&clock).await;
        assert_eq!(
            (
                &told["person"]["name"],
                &told["unread"],
                &told["message"]["thread"]
            ),
            (&json!("Ben"), &json!(0), &json!(1))
        );
        assert_eq!(told["message"]["text"], "t2");
        // One that is deleted meanwhile is not told of.
        ada.ok("message:send", reply("t3", json!(["dev:ben"])))
            .await;
        ada.ok(
            "message:delete",
            json!({"room": "r", "thread": 1, "seq": 3}),
        )
        .await;
        ada.ok("message:send", reply("t4", json!(["dev:cy"]))).await;
        assert_eq!(reminders.next(&clock).await["person"]["name"], "Cy");
        assert!(reminders.is_empty());
    });
}

#[test]
fn in_crowds_only_the_mentioned_are_reminded() {
    let config = Config {
        unread_max_members: 2,
        ..unhurried()
    };
    run(async {
        let (on, clock, reminders) = watched(Store::memory(), config);
        let ada = here(&on, "Ada").await;
        away(&on, "Ben").await;
        away(&on, "Cy").await;
        let loud = json!({"room": "r", "key": "1", "text": "@Cy", "mentions": ["dev:cy"]});
        ada.ok("message:send", loud).await;
        assert_eq!(reminders.next(&clock).await["person"]["name"], "Cy");
        assert!(reminders.is_empty());
    });
}

#[test]
fn a_reminder_is_told_once_by_whichever_node_is_there() {
    on_each(|store| {
        run(async {
            let (on, clock, reminders) = watched(store.clone(), unhurried());
            let ada = here(&on, "Ada").await;
            away(&on, "Ben").await;
            send(&ada, "1").await;
            assert_eq!(until_due(&store).await.len(), 1);
            // Further messages make no further ones.
            send(&ada, "2").await;
            clock.advance(1);
            assert!(reminders.is_empty());
        });
        run(async {
            let (on, clock, reminders) = watched(store.clone(), unhurried());
            let told = reminders.next(&clock).await;
            assert_eq!(
                (&told["unread"], &told["message"]["text"]),
                (&json!(2), &json!("2"))
            );
            // The next one is of a later message.
            let ada = on.connect("/chat", "Ada").await;
            send(&ada, "3").await;
            assert_eq!(reminders.next(&clock).await["unread"], 3);
            assert!(reminders.is_empty());
        });
    });
}
