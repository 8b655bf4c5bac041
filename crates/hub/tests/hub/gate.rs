//! The gate: who asks first keeps the order of what a socket wants, and of nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lakh_hub::{Asking, Failure, Gate, Socket, Verdict, Wish};
use parking_lot::Mutex;
use serde_json::json;
use serde_json::value::to_raw_value;
use tokio::sync::oneshot;

use crate::support::{Log, World, run};

/// Asks a test, which answers when it likes. About the event `free` it asks nobody.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<Option<oneshot::Sender<Verdict>>>>>);

impl Asked {
    fn answer(&self, index: usize, verdict: Verdict) {
        let answer = self.0.lock()[index].take().unwrap();
        let _ = answer.send(verdict);
    }

    fn count(&self) -> usize {
        self.0.lock().len()
    }
}

impl Gate for Asked {
    fn ask(&self, _: &Socket, wish: Wish<'_>) -> Option<Asking> {
        if let Wish::Publish { event: "free", .. } = wish {
            return None;
        }
        let (send, answer) = oneshot::channel();
        self.0.lock().push(Some(send));
        Some(Box::pin(async move { answer.await.unwrap() }))
    }
}

/// Publishes what clients say, or notes why not.
fn publishes(world: &World) -> (Log, Asked) {
    let (log, asked) = (Log::default(), Asked::default());
    let notes = log.clone();
    let namespace = world.of("/");
    namespace.on_request("say", async move |socket: Socket, what: (String, u64)| {
        let (event, number) = what;
        let data = number.to_string();
        let wish = Wish::Publish {
            room: "r",
            event: &event,
            data: &data,
        };
        match socket.pass(wish).await {
            Ok(passed) => {
                let data = passed.changed.as_ref().map_or(&*data, |data| data.get());
                notes.add(data);
            }
            Err(failure) => notes.add(format!("{number} {}", failure.code)),
        }
        Ok::<_, Failure>(())
    });
    (log, asked)
}

fn say(event: &str, number: u64) -> String {
    format!("421{}", json!(["say", event, number]))
}

#[test]
fn without_a_gate_everything_passes_at_once() {
    run(async |world| {
        let (log, _) = publishes(&world);
        let client = world.joined();
        client.send(&say("e", 1));
        assert_eq!(log.take(), ["1"]);
    });
}

#[test]
fn what_nobody_is_asked_about_passes_at_once() {
    run(async |world| {
        let (log, asked) = publishes(&world);
        world.hub().set_gate(Arc::new(asked.clone()));
        let client = world.joined();
        client.send(&say("free", 1));
        assert_eq!((log.take(), asked.count()), (vec!["1".to_owned()], 0));
    });
}

#[test]
fn wishes_come_through_in_their_order_whichever_answer_comes_first() {
    run(async |world| {
        let (log, asked) = publishes(&world);
        world.hub().set_gate(Arc::new(asked.clone()));
        let (ada, eve) = (world.joined(), world.joined());
        for number in 1..=3 {
            ada.send(&say("e", number));
        }
        // Nobody is asked about it, and it waits all the same for what was said before it.
        ada.send(&say("free", 4));
        eve.send(&say("e", 5));
        world.settle().await;
        assert_eq!(asked.count(), 4, "all are asked about at once");
        asked.answer(2, Verdict::Pass);
        asked.answer(1, Verdict::Refuse(Failure::new("no", "no")));
        asked.answer(3, Verdict::Pass);
        world.settle().await;
        assert_eq!(log.take(), ["5"], "another socket waits for nobody");
        asked.answer(0, Verdict::Change(to_raw_value(&json!("one")).unwrap()));
        world.settle().await;
        assert_eq!(log.take(), ["\"one\"", "2 no", "3", "4"]);
        ada.send(&say("free", 6));
        assert_eq!(log.take(), ["6"]);
    });
}

#[test]
fn what_has_passed_holds_back_the_next_until_it_has_come_true() {
    run(async |world| {
        let (asked, log) = (Asked::default(), Log::default());
        world.hub().set_gate(Arc::new(asked.clone()));
        let (let_go, gone) = oneshot::channel::<()>();
        let (gone, notes) = (Mutex::new(Some(gone)), log.clone());
        world
            .of("/")
            .on_request("join", async move |socket: Socket, room: String| {
                let passed = socket.pass(Wish::Subscribe { room: &room }).await?;
                let gone = gone.lock().take();
                if let Some(gone) = gone {
                    let _ = gone.await;
                }
                notes.add(room);
                drop(passed);
                Ok::<_, Failure>(())
            });
        let client = world.joined();
        client.send(r#"421["join","a"]"#);
        client.send(r#"422["join","b"]"#);
        world.settle().await;
        asked.answer(0, Verdict::Pass);
        asked.answer(1, Verdict::Pass);
        world.settle().await;
        assert!(log.take().is_empty());
        let_go.send(()).unwrap();
        world.settle().await;
        assert_eq!(log.take(), ["a", "b"]);
    });
}

#[test]
fn a_wish_that_is_given_up_lets_nobody_overtake() {
    run(async |world| {
        let (asked, log) = (Asked::default(), Log::default());
        world.hub().set_gate(Arc::new(asked.clone()));
        let (stop, stopped) = oneshot::channel::<()>();
        let (stopped, notes) = (Mutex::new(Some(stopped)), log.clone());
        let calls = AtomicUsize::new(0);
        world
            .of("/")
            .on_request("join", async move |socket: Socket, room: String| {
                let stopped = match calls.fetch_add(1, Ordering::Relaxed) {
                    1 => stopped.lock().take(),
                    _ => None,
                };
                let stopped = async {
                    match stopped {
                        Some(stopped) => drop(stopped.await),
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    passed = socket.pass(Wish::Subscribe { room: &room }) => {
                        notes.add(&room);
                        drop(passed);
                    }
                    () = stopped => notes.add("given up"),
                }
                Ok::<_, Failure>(())
            });
        let client = world.joined();
        for room in ["a", "b", "c"] {
            client.send(&format!("421{}", json!(["join", room])));
        }
        world.settle().await;
        asked.answer(1, Verdict::Pass);
        asked.answer(2, Verdict::Pass);
        world.settle().await;
        assert!(log.take().is_empty());
        stop.send(()).unwrap();
        world.settle().await;
        assert_eq!(
            log.take(),
            ["given up"],
            "the third still waits for the first"
        );
        asked.answer(0, Verdict::Pass);
        world.settle().await;
        assert_eq!(log.take(), ["a", "c"]);
    });
}

#[test]
fn a_client_may_be_refused_at_connect() {
    run(async |world| {
        let asked = Asked::default();
        world.hub().set_gate(Arc::new(asked.clone()));
        world.of("/").use_connect(async |socket: Socket| {
            let passed = socket.pass(Wish::Connect).await;
            passed
                .map(drop)
                .map_err(|no| lakh_hub::ConnectError::new(no.message))
        });
        let (ada, eve) = (world.client(), world.client());
        for client in [&ada, &eve] {
            client.texts();
            client.send("40");
        }
        world.settle().await;
        asked.answer(1, Verdict::Refuse(Failure::new("no", "Not you")));
        asked.answer(0, Verdict::Pass);
        world.settle().await;
        assert_eq!(eve.texts(), [r#"44{"message":"Not you"}"#]);
        assert!(ada.texts()[0].starts_with("40{"));
    });
}
