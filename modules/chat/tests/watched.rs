//! What chat tells those who watch the server, and how it lets them refuse and change.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use driver::{Loop, hub, run};
use lakh_chat::Config;
use lakh_hub::store::Store;
use lakh_hub::{Asking, Failure, Gate, Hub, Occurrence, Socket, Verdict, Watcher, What, Wish};
use room::{in_room, message, unhurried};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// Notes all that chat tells.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<Arc<Occurrence>>>>);

impl Watcher for Notes {
    fn wants(&self, _: What, namespace: &str) -> bool {
        namespace == "/chat"
    }

    fn saw(&self, occurrence: &Arc<Occurrence>) {
        let mut notes = self.0.lock().expect("no panic");
        notes.push(Arc::clone(occurrence));
    }
}

impl Notes {
    /// What was told in rooms since the last call: kind or name, who, number.
    fn take(&self) -> Vec<String> {
        let notes = std::mem::take(&mut *self.0.lock().expect("no panic"));
        let in_rooms = notes.iter().filter(|note| note.room.is_some());
        in_rooms
            .map(|note| {
                assert_eq!((note.module, note.room.as_deref()), ("chat", Some("r")));
                let what = note.event.as_deref().unwrap_or(note.what.word());
                let who = note.user.as_ref().map_or("", |user| user.name.as_str());
                let seq = note.seq.map_or(String::new(), |seq| format!(" {seq}"));
                format!("{what} {who}{seq}")
            })
            .collect()
    }
}

fn start(config: Config) -> (Hub, Rc<Loop>, Notes) {
    let (hub, _) = hub(1, &["/chat"]);
    lakh_chat::install(&hub, Store::memory(), config);
    let notes = Notes::default();
    hub.watch(notes.clone());
    (hub.clone(), Loop::start(&hub, 0), notes)
}

#[test]
fn joins_messages_and_what_else_happens_in_a_room_are_told_in_their_order() {
    run(async {
        let (_, on, notes) = start(unhurried());
        let ada = on.connect("/chat", "Ada").await;
        ada.ok("room:join", in_room()).await;
        assert_eq!(
            notes.take(),
            ["room:new Ada", "join Ada", "presence:update Ada"]
        );
        ada.ok("room:join", in_room()).await;
        assert!(notes.take().is_empty(), "it was in already");
        let sent: Vec<_> = (0..20)
            .map(|number| ada.request("message:send", message(&number.to_string(), "hi")))
            .collect();
        for answer in sent {
            assert_eq!(answer.await["ok"], true);
        }
        let numbers = (1..=20).map(|seq| format!("message:new Ada {seq}"));
        assert_eq!(notes.take(), numbers.collect::<Vec<_>>());
        ada.ok("message:send", message("3", "hi")).await;
        assert!(notes.take().is_empty(), "the same message again");
        ada.ok("room:leave", in_room()).await;
        assert_eq!(
            notes.take(),
            ["member:left Ada", "leave Ada", "presence:update Ada"]
        );
    });
}

#[test]
fn what_becomes_of_messages_members_and_rooms_is_told_by_name() {
    run(async {
        let (_, on, notes) = start(unhurried());
        let (ada, ben) = (room::here(&on, "Ada").await, room::here(&on, "Ben").await);
        assert_eq!(notes.take().last().expect("some"), "presence:update Ben");
        for key in ["a", "b"] {
            ada.ok("message:send", message(key, "hi")).await;
        }
        notes.take();
        let at = |more: Value| room::with(room::at(1), more);
        let give = json!({"room": "r", "person": "dev:ben", "role": "moderator"});
        let mute = json!({"room": "r", "person": "dev:ben", "seconds": 60});
        let kick = json!({"room": "r", "person": "dev:ben"});
        for (client, name, request, told) in [
            (
                &ada,
                "message:edit",
                at(json!({"text": "ho"})),
                "message:edit Ada",
            ),
            (
                &ben,
                "reaction:add",
                at(json!({"emoji": "👍"})),
                "reaction Ben",
            ),
            (
                &ben,
                "reaction:remove",
                at(json!({"emoji": "👍"})),
                "reaction Ben",
            ),
            (
                &ada,
                "message:pin",
                at(json!({"pinned": true})),
                "message:pin Ada",
            ),
            (&ada, "message:delete", at(json!({})), "message:delete Ada"),
            (&ada, "message:purge", at(json!({})), "message:delete Ada"),
            (
                &ada,
                "room:set",
                json!({"room": "r", "topic": "t"}),
                "room:changed Ada",
            ),
            (&ada, "member:mute", mute, "member:changed Ada"),
            (&ada, "member:role", give, "member:changed Ada"),
            (&ada, "member:kick", kick, "member:left Ada"),
            (&ben, "room:join", in_room(), "member:joined Ben"),
            (&ada, "room:delete", in_room(), "room:deleted Ada"),
        ] {
            client.ok(name, request.clone()).await;
            let all = notes.take();
            assert!(
                all.iter().any(|one| one == told),
                "{name} {request}: {all:?}"
            );
        }
    });
}

#[test]
fn a_crowd_hears_of_no_members_and_backends_do() {
    run(async {
        let (_, on, notes) = start(Config {
            thin_from: 1,
            crowd_from: 1,
            ..unhurried()
        });
        let ada = room::here(&on, "Ada").await;
        let cy = room::here(&on, "Cy").await;
        ada.received();
        notes.take();
        room::here(&on, "Ben").await;
        let heard = ada.received_of("member:changed");
        assert!(heard.is_empty(), "{heard:?}");
        let told = notes.take();
        assert!(told.contains(&"member:joined Ben".to_owned()), "{told:?}");
        let with_data = |name: &str| {
            let notes = notes.0.lock().expect("no panic");
            let found = notes
                .iter()
                .find(|note| note.event.as_deref() == Some(name));
            let data = found.and_then(|note| note.data.clone()).expect("told");
            serde_json::from_str::<Value>(data.get()).expect("JSON")
        };
        ada.ok("message:send", message("k", "hi")).await;
        cy.ok(
            "reaction:add",
            room::with(room::at(1), json!({"emoji": "👍"})),
        )
        .await;
        let heard = ada.heard("message:changed").await;
        assert_eq!(with_data("reaction"), heard, "what the room hears");
        assert_eq!(heard["by"]["id"], "dev:cy");
    });
}

#[test]
fn who_goes_has_left_their_rooms() {
    run(async {
        let (_, on, notes) = start(unhurried());
        let ada = room::here(&on, "Ada").await;
        notes.take();
        ada.disconnect();
        on.connect("/chat", "Ben").await;
        assert_eq!(notes.take(), ["leave Ada", "presence:update Ada"]);
    });
}

#[test]
fn a_message_holds_what_its_receivers_get_and_a_limit_is_told_by_its_name() {
    run(async {
        let (_, on, notes) = start(Config {
            messages_per_second: 1,
            ..Config::default()
        });
        let ada = room::here(&on, "Ada").await;
        for number in 0..3 {
            ada.ok("message:send", message(&number.to_string(), "hi"))
                .await;
        }
        let code = ada.refused("message:send", message("4", "hi")).await;
        assert_eq!(code, "rate_limited");
        let all = notes.0.lock().expect("no panic").clone();
        let data = |what: What| {
            let found = all.iter().find(|note| note.what == what).expect("told");
            let data = found.data.as_ref().expect("with data");
            serde_json::from_str::<Value>(data.get()).expect("JSON")
        };
        assert_eq!(data(What::Message), ada.heard("message:new").await);
        assert_eq!(
            data(What::RateLimit),
            json!({"limit": "messages_per_second"})
        );
    });
}

/// Answers that a test gives, in the order of the questions.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<VecDeque<oneshot::Receiver<Verdict>>>>);

impl Asked {
    fn next(&self) -> oneshot::Sender<Verdict> {
        let (answer, receiver) = oneshot::channel();
        self.0.lock().expect("no panic").push_back(receiver);
        answer
    }
}

impl Gate for Asked {
    fn ask(&self, _: &Socket, wish: Wish<'_>) -> Option<Asking> {
        if let Wish::Publish { room, event, data } = wish {
            assert_eq!((room, event), ("r", "message:send"));
            assert!(data.starts_with("{\"text\":"), "{data}");
        }
        let answer = self.0.lock().expect("no panic").pop_front()?;
        Some(Box::pin(async move { answer.await.expect("an answer") }))
    }
}

#[test]
fn messages_that_are_asked_about_keep_their_order_and_may_be_changed_or_refused() {
    run(async {
        let (hub, on, notes) = start(unhurried());
        let asked = Asked::default();
        hub.set_gate(Arc::new(asked.clone()));
        let ada = room::here(&on, "Ada").await;
        notes.take();
        let answers: Vec<_> = (0..4).map(|_| asked.next()).collect();
        let sent: Vec<_> = (0..4)
            .map(|number| ada.request("message:send", message(&number.to_string(), "said")))
            .collect();
        let changed = to_raw_value(&json!({"text": "meant"})).expect("JSON");
        let spoilt = to_raw_value(&json!({"texts": 1})).expect("JSON");
        let verdicts = [
            Verdict::Change(changed),
            Verdict::Refuse(Failure::new("rude", "no")),
            Verdict::Change(spoilt),
            Verdict::Pass,
        ];
        // The last one is answered first.
        for (answer, verdict) in answers.into_iter().zip(verdicts).rev() {
            answer.send(verdict).expect("somebody waits");
            tokio::task::yield_now().await;
        }
        let mut told = Vec::new();
        for answer in sent {
            let answer = answer.await;
            let text = answer["message"]["text"].as_str();
            told.push(
                text.or(answer["error"]["code"].as_str())
                    .unwrap_or("")
                    .to_owned(),
            );
        }
        assert_eq!(told, ["meant", "rude", "unavailable", "said"]);
        assert_eq!(notes.take(), ["message:new Ada 1", "message:new Ada 2"]);
    });
}

#[test]
fn a_join_may_be_refused_and_leaves_no_trace() {
    run(async {
        let (hub, on, notes) = start(unhurried());
        let asked = Asked::default();
        hub.set_gate(Arc::new(asked.clone()));
        let ada = on.connect("/chat", "Ada").await;
        let answer = asked.next();
        let joining = ada.request("room:join", in_room());
        let refusal = Failure::new("closed", "no");
        answer
            .send(Verdict::Refuse(refusal))
            .expect("somebody waits");
        assert_eq!(joining.await["error"]["code"], "closed");
        assert!(notes.take().is_empty());
        let listed = ada.ok("room:list", json!({})).await;
        assert_eq!(listed["rooms"], json!([]));
    });
}
