//! Listeners: what they hear, in which order, and what becomes of those who don't listen.

use std::time::Duration;

use lakh_hub::redis::{Backend, Config, Link, Mode};
use lakh_hub::{Heard, Listener, LogLimits, Settings, Socket};
use lakh_testkit::redis::Redis;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::runtime::Runtime;

use crate::fleet::BOUND;
use crate::support::loops::Loops;
use crate::support::run;

/// All that is heard until nothing waits any more.
fn heard(listener: &mut Listener) -> Vec<Value> {
    let mut all = Vec::new();
    let mut next = |all: &mut Vec<Value>| {
        use std::future::Future as _;
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match Box::pin(listener.next()).as_mut().poll(&mut context) {
            std::task::Poll::Ready(heard) => all.push(text(heard)),
            std::task::Poll::Pending => return false,
        }
        true
    };
    while next(&mut all) {}
    all
}

fn text(heard: Heard) -> Value {
    match heard {
        Heard::Event(event) => json!([event.name(), event.args::<Value>().unwrap()]),
        Heard::Missed(count) => json!({"missed": count}),
    }
}

#[test]
fn a_listener_hears_its_room_in_order_and_no_other() {
    run(async |world| {
        let ns = world.of("/");
        ns.on("say", async |socket: Socket, what: Value| {
            socket.to("r").emit("said", &what).unwrap();
        });
        let mut listener = ns.listen("r", 1 << 20);
        let mut other = ns.listen("other", 1 << 20);
        let client = world.client();
        let id = client.connect("/");
        ns.emit("to all", &0).unwrap();
        ns.to("r").emit("one", &1).unwrap();
        client.send(r#"42["say",2]"#);
        ns.to("r").to("other").emit("both", &3).unwrap();
        ns.to("r")
            .to(id.as_str())
            .volatile()
            .emit("four", &4)
            .unwrap();
        ns.to(id.as_str()).emit("private", &5).unwrap();
        let said = [
            json!(["one", 1]),
            json!(["said", 2]),
            json!(["both", 3]),
            json!(["four", 4]),
        ];
        assert_eq!(heard(&mut listener), said);
        assert_eq!(heard(&mut other), [json!(["both", 3])]);
        drop(other);
        ns.to("other").emit("nobody hears it", &()).unwrap();
        assert!(heard(&mut listener).is_empty());
    });
}

#[test]
fn who_does_not_listen_is_told_how_much_was_missed_and_holds_nobody_up() {
    run(async |world| {
        let ns = world.of("/");
        ns.recoverable(LogLimits::default());
        let mut listener = ns.listen("r", 4_000);
        let text = "x".repeat(500);
        for number in 0..10 {
            ns.to("r").emit("e", &json!([number, text])).unwrap();
        }
        let got = heard(&mut listener);
        let (last, events) = got.split_last().unwrap();
        assert!(!events.is_empty() && events.len() < 10);
        for (number, event) in events.iter().enumerate() {
            assert_eq!(event[1][0], number);
        }
        assert_eq!(*last, json!({"missed": 10 - events.len()}));
        ns.to("r").emit("e", &json!([10, "short"])).unwrap();
        assert_eq!(heard(&mut listener), [json!(["e", [10, "short"]])]);
    });
}

fn nodes(redis: &Redis, runtime: &Runtime, backend: &Backend) -> Vec<Loops> {
    let nodes = ["aaa", "bbb"].map(|name| {
        let node = Loops::with(Settings {
            shards: 2,
            node: name.to_owned(),
            ..Settings::default()
        });
        let clock = node.clock.clone();
        let config = Config::new(
            &redis.url(),
            backend.clone(),
            Arc::new(move || lakh_hub::Clock::now(&clock).0),
        );
        let _entered = runtime.enter();
        let (link, inbound) = Link::open(config).unwrap();
        drop(runtime.spawn(node.hub.join_cluster(link, inbound).unwrap()));
        node.hub.of("/").recoverable(LogLimits::default());
        let ready = tokio::time::timeout(BOUND, node.hub.cluster_ready());
        runtime.block_on(ready).unwrap();
        node
    });
    nodes.into()
}

#[test]
fn what_is_said_on_another_node_is_heard_with_every_backend() {
    let (redis, runtime) = (Redis::start(&[]).unwrap(), Runtime::new().unwrap());
    let sharded = Backend::Sharded {
        mode: Mode::Dynamic,
    };
    for backend in [Backend::Classic, sharded, Backend::streams()] {
        let nodes = nodes(&redis, &runtime, &backend);
        let mut listener = nodes[0].hub.of("/").listen("r", 1 << 20);
        runtime.block_on(async {
            let hear = async {
                let mut got: Vec<u64> = Vec::new();
                // Pub/sub needs a moment until the room's channel is subscribed to.
                for number in 0_u64.. {
                    nodes[1].hub.of("/").to("r").emit("e", &number).unwrap();
                    let wait = Duration::from_millis(if got.is_empty() { 20 } else { 500 });
                    while let Ok(heard) = tokio::time::timeout(wait, listener.next()).await {
                        got.push(text(heard)[1].as_u64().unwrap());
                        if got.len() == 20 {
                            return got;
                        }
                        if got.last() == Some(&number) {
                            break;
                        }
                    }
                }
                got
            };
            let got = tokio::time::timeout(BOUND, hear).await.unwrap();
            let first = got[0];
            assert_eq!(got, (first..first + 20).collect::<Vec<_>>());
        });
    }
}
