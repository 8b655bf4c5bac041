//! What happened is sent: signed, in order, whatever the backend does.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use lakh_bridge::hooks::{Endpoint, Full, Order, Which};
use lakh_hub::store::Store;
use serde_json::json;

use crate::node::{Node, endpoint, say_all, shared, sqlite, to};
use crate::receiver::{Reaction, Receiver, Request};

const ROOMS: [&str; 3] = ["a", "b", "c"];

fn is_whole(receiver: &Receiver, count: u64) {
    receiver.wait("all events", |seen| seen.once().len() as u64 >= count * 3);
    for room in ROOMS {
        assert_eq!(
            receiver.look(|seen| seen.numbers(room)),
            to(count),
            "{room}"
        );
    }
}

#[test]
fn events_come_in_signed_batches_in_their_order_and_once() {
    let receiver = Receiver::start(|_| Reaction::ok());
    let node = Node::start(
        "n1",
        &Store::memory(),
        vec![endpoint(&receiver.url())],
        false,
    );
    say_all(&node, &ROOMS, 1..=400);
    is_whole(&receiver, 400);
    receiver.look(|seen| {
        assert_eq!(seen.taken.len(), 1_200, "each came once");
        assert!(seen.requests.len() < 400, "{}", seen.requests.len());
        let first = &seen.requests[0];
        assert_eq!(first.body["id"], first.header("webhook-id"));
        assert!(first.header("webhook-id").starts_with("msg_"));
        assert!(first.header("webhook-signature").starts_with("v1,"));
        assert!(first.header("webhook-timestamp").parse::<u64>().is_ok());
        assert_eq!(first.header("content-type"), "application/json");
        let event = &first.events()[0];
        assert_eq!(
            (
                &event["type"],
                &event["node"],
                &event["module"],
                &event["data"]
            ),
            (
                &json!("message"),
                &json!("n1"),
                &json!("rooms"),
                &json!({"n": 1})
            )
        );
        assert!(
            seen.connections <= 4,
            "connections are kept: {}",
            seen.connections
        );
    });
    node.until("nothing to wait", |status| status.waiting == Some(0));
    assert_eq!(node.status().sent, 1_200);
    node.close();
}

#[test]
fn a_backend_that_fails_now_and_then_gets_everything_in_order() {
    let (count, own) = shared(AtomicUsize::new(0));
    let receiver = Receiver::start(move |_| {
        match own.fetch_add(1, Ordering::Relaxed) % 7 {
            1 => Reaction::status(500),
            3 => Reaction::Cut,
            // It has them, and says nothing: they come again.
            5 => Reaction::TakeAndCut,
            _ => Reaction::ok(),
        }
    });
    let node = Node::start(
        "n1",
        &Store::memory(),
        vec![Endpoint {
            batch_events: 10,
            max_attempts: 1_000,
            ..endpoint(&receiver.url())
        }],
        false,
    );
    say_all(&node, &ROOMS, 1..=200);
    is_whole(&receiver, 200);
    assert!(count.load(Ordering::Relaxed) > 60);
    node.until("nothing to wait", |status| status.waiting == Some(0));
    let status = node.status();
    assert!(status.failed > 0 && status.retried > 0, "{status:?}");
    assert_eq!(status.dead, 0);
    node.close();
}

#[test]
fn a_room_that_fails_holds_back_itself_alone_and_then_comes_whole() {
    let (is_well, own) = shared(AtomicBool::new(false));
    let receiver = Receiver::start(move |request: &Request| {
        match request.has_room("a") && !own.load(Ordering::Relaxed) {
            true => Reaction::status(500),
            false => Reaction::ok(),
        }
    });
    let node = Node::start(
        "n1",
        &Store::memory(),
        vec![Endpoint {
            max_attempts: 100_000,
            ..endpoint(&receiver.url())
        }],
        false,
    );
    say_all(&node, &ROOMS, 1..=300);
    receiver.wait("the other rooms", |seen| {
        seen.numbers("b").len() == 300 && seen.numbers("c").len() == 300
    });
    assert_eq!(receiver.look(|seen| seen.numbers("b")), to(300));
    assert_eq!(receiver.look(|seen| seen.numbers("a")), to(0));
    node.until("one room to wait", |status| status.waiting == Some(300));
    is_well.store(true, Ordering::Relaxed);
    is_whole(&receiver, 300);
    node.close();
}

#[test]
fn what_fails_for_good_becomes_dead_letters_which_can_be_sent_anew_or_thrown_away() {
    let (is_well, own) = shared(AtomicBool::new(false));
    let receiver = Receiver::start(move |request: &Request| {
        match request.has_room("a") && !own.load(Ordering::Relaxed) {
            true => Reaction::status(422),
            false => Reaction::ok(),
        }
    });
    let node = Node::start(
        "n1",
        &Store::memory(),
        vec![Endpoint {
            max_attempts: 3,
            ..endpoint(&receiver.url())
        }],
        false,
    );
    say_all(&node, &ROOMS, 1..=5);
    node.until("dead letters", |status| {
        status.dead == 5 && status.waiting == Some(0)
    });
    let page = node.run(node.hooks.dead_letters("crm", None, 3)).unwrap();
    assert_eq!(page.letters.len(), 3);
    let letter = &page.letters[0];
    assert_eq!(
        (letter.attempts, letter.reason.as_str()),
        (3, "the answer was 422")
    );
    let event: serde_json::Value = serde_json::from_str(letter.event.get()).unwrap();
    assert_eq!((&event["room"], &event["seq"]), (&json!("a"), &json!(1)));
    let rest = node
        .run(node.hooks.dead_letters("crm", page.next, 10))
        .unwrap();
    assert_eq!((rest.letters.len(), rest.next), (2, None));

    let last = rest.letters[1].key.clone();
    let thrown = node.run(
        node.hooks
            .discard("crm", Which::Keys(vec![last.clone(), last])),
    );
    assert_eq!(thrown.unwrap(), 1);
    is_well.store(true, Ordering::Relaxed);
    assert_eq!(node.run(node.hooks.replay("crm", Which::All)).unwrap(), 4);
    receiver.wait("the letters", |seen| seen.numbers("a") == to(4));
    assert!(
        node.run(node.hooks.dead_letters("crm", None, 10))
            .unwrap()
            .letters
            .is_empty()
    );
    assert!(node.run(node.hooks.replay("other", Which::All)).is_err());
    node.close();
}

#[test]
fn dead_letters_are_bounded_and_the_oldest_go() {
    let receiver = Receiver::start(|_| Reaction::status(500));
    let node = Node::start(
        "n1",
        &Store::memory(),
        vec![Endpoint {
            max_attempts: 1,
            batch_events: 1,
            max_dead: 10,
            ..endpoint(&receiver.url())
        }],
        false,
    );
    (1..=25).for_each(|seq| node.say("a", seq));
    node.until("dead letters", |status| status.dead == 25);
    node.until("the oldest to go", |status| status.dropped == 15);
    let page = node.run(node.hooks.dead_letters("crm", None, 100)).unwrap();
    let last: serde_json::Value = serde_json::from_str(page.letters[9].event.get()).unwrap();
    assert_eq!((page.letters.len(), &last["seq"]), (10, &json!(25)));
    node.close();
}

#[test]
fn a_backend_that_hangs_holds_nobody_up_and_costs_a_bounded_memory() {
    let receiver = Receiver::start(|_| Reaction::Hang);
    let endpoint = Endpoint {
        timeout: Duration::from_secs(3_600),
        ..endpoint(&receiver.url())
    };
    let node = Node::start("n1", &Store::memory(), vec![endpoint], false);
    node.say("first", 1);
    receiver.wait("a request that hangs", |seen| seen.requests.len() == 1);
    // Each call comes back at once: nothing in it can wait for the backend, which never answers.
    (1..=20_000).for_each(|seq| node.say("a", seq));
    node.until("all of it in the store", |status| {
        status.waiting == Some(20_001)
    });
    assert_eq!(node.hooks.intake_bytes(), 0);
    let status = node.status();
    assert_eq!((status.sent, status.dropped), (0, 0));
    node.kill();
}

#[test]
fn an_answer_that_comes_too_late_doubles_events_with_the_same_ids() {
    let (asked, own) = shared(AtomicUsize::new(0));
    let receiver = Receiver::start(move |_| match own.fetch_add(1, Ordering::Relaxed) {
        0 => Reaction::Late,
        _ => Reaction::ok(),
    });
    let node = Node::start(
        "n1",
        &Store::memory(),
        vec![Endpoint {
            timeout: Duration::from_millis(300),
            ..endpoint(&receiver.url())
        }],
        false,
    );
    say_all(&node, &["a"], 1..=5);
    receiver.wait("both", |seen| {
        seen.requests.len() > 1 && seen.taken.len() > 5 && seen.numbers("a").len() == 5
    });
    receiver.open();
    assert!(asked.load(Ordering::Relaxed) >= 2);
    receiver.look(|seen| {
        assert_eq!(seen.numbers("a"), to(5));
        let ids: Vec<_> = seen.requests[..2]
            .iter()
            .map(|r| r.header("webhook-id"))
            .collect();
        assert_eq!(ids[0], ids[1], "the same batch is sent again");
    });
    node.close();
}

#[test]
fn past_the_bound_the_oldest_or_the_newest_are_dropped_and_counted() {
    for (full, kept) in [(Full::DropOldest, "newest"), (Full::DropNewest, "oldest")] {
        let (is_well, own) = shared(AtomicBool::new(false));
        let receiver = Receiver::start(move |_| match own.load(Ordering::Relaxed) {
            true => Reaction::ok(),
            false => Reaction::status(503),
        });
        let endpoint = Endpoint {
            max_bytes: 20_000,
            full,
            concurrency: 1,
            // Nothing is put aside, and nothing given up.
            order: Order::All,
            max_attempts: 100_000,
            ..endpoint(&receiver.url())
        };
        let node = Node::start("n1", &Store::memory(), vec![endpoint], false);
        for seq in 1..=500 {
            node.say("a", seq);
            // One by one, so that the bound is kept to the entry.
            if node.hooks.intake_bytes() > 0 {
                node.until("the store", |_| node.hooks.intake_bytes() == 0);
            }
        }
        node.until("a full log", |status| status.dropped > 300);
        is_well.store(true, Ordering::Relaxed);
        node.until("nothing to wait", |status| status.waiting == Some(0));
        let numbers = receiver.look(|seen| seen.numbers("a"));
        assert!(numbers.is_sorted(), "{numbers:?}");
        match full {
            Full::DropOldest => assert_eq!(numbers.last(), Some(&500), "{kept}"),
            Full::DropNewest => assert_eq!(numbers[..50], to(50), "{kept}"),
        }
        node.close();
    }
}

#[test]
fn redirects_are_not_followed() {
    let receiver = Receiver::start(|_| Reaction::status(302));
    let node = Node::start(
        "n1",
        &Store::memory(),
        vec![endpoint(&receiver.url())],
        false,
    );
    node.say("a", 1);
    node.until("a failure", |status| status.failed > 0);
    assert_eq!(node.status().sent, 0);
    node.kill();
}

#[test]
fn a_restart_and_a_kill_lose_nothing() {
    let folder = tempfile::TempDir::new().unwrap();
    let (is_well, own) = shared(AtomicBool::new(false));
    let receiver = Receiver::start(move |request: &Request| {
        match (request.has_room("a"), own.load(Ordering::Relaxed)) {
            (_, true) => Reaction::ok(),
            (true, false) => Reaction::status(500),
            (false, false) => Reaction::Hang,
        }
    });
    let endpoint = || Endpoint {
        batch_events: 5,
        timeout: Duration::from_millis(200),
        max_attempts: 100_000,
        ..endpoint(&receiver.url())
    };
    for life in 0..4_u64 {
        let store = sqlite(&folder);
        let node = Node::start("n1", &store, vec![endpoint()], false);
        say_all(&node, &ROOMS, life * 50 + 1..=life * 50 + 50);
        node.until("all in the store", |status| {
            status.waiting >= Some(life * 150 + 150)
        });
        match life % 2 {
            0 => node.kill(),
            _ => node.close(),
        }
        Node::nothing_runs(&store);
    }
    is_well.store(true, Ordering::Relaxed);
    let store = sqlite(&folder);
    let node = Node::start("n1", &store, vec![endpoint()], false);
    is_whole(&receiver, 200);
    node.until("nothing to wait", |status| status.waiting == Some(0));
    node.close();
}
