//! Several nodes with one store: one sends for all, and another when it's gone.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lakh_bridge::hooks::Endpoint;
use lakh_hub::store::Store;

use crate::node::{Node, endpoint, to};
use crate::receiver::{Reaction, Receiver};

fn nodes(store: &Store, url: &str) -> Vec<Node> {
    let endpoint = || Endpoint {
        timeout: Duration::from_millis(500),
        ..endpoint(url)
    };
    ["n1", "n2", "n3"]
        .into_iter()
        .map(|name| Node::start(name, store, vec![endpoint()], true))
        .collect()
}

fn leads(nodes: &[Node]) -> usize {
    let leading = nodes.iter().position(|node| node.status().leads);
    leading.unwrap_or(usize::MAX)
}

#[test]
fn each_event_is_sent_once_by_one_node_and_by_another_when_that_one_is_gone() {
    let receiver = Receiver::start(|_| Reaction::ok());
    let mut nodes = nodes(&Store::memory(), &receiver.url());
    for seq in 1..=90 {
        nodes[seq as usize % 3].say("a", seq);
        // Each is stored before the next one is said, on another node.
        nodes[0].until("it to be noted", |_| {
            nodes.iter().all(|node| node.hooks.intake_bytes() == 0)
        });
    }
    receiver.wait("all", |seen| seen.once().len() == 90);
    assert_eq!(receiver.look(|seen| seen.taken.len()), 90, "each once");
    assert!(leads(&nodes) < 3);
    let leading = nodes.iter().filter(|node| node.status().leads).count();
    assert_eq!(leading, 1);

    // It ends well: another one has the lease at once.
    let first = nodes.remove(leads(&nodes));
    first.close();
    (91..=120).for_each(|seq| nodes[0].say("b", seq));
    receiver.wait("all", |seen| seen.once().len() == 120);

    // It's killed: another one takes over when it has been silent for long enough.
    let second = nodes.remove(leads(&nodes));
    second.kill();
    (121..=150).for_each(|seq| nodes[0].say("c", seq));
    receiver.wait("all", |seen| seen.once().len() == 150);
    assert_eq!(receiver.look(|seen| seen.numbers("c")), to(150)[120..]);
    nodes[0].until("nothing to wait", |status| status.waiting == Some(0));
    nodes.into_iter().for_each(Node::close);
}

#[test]
fn what_a_dead_node_had_under_way_is_sent_by_the_next_and_no_order_is_broken() {
    let asked = AtomicUsize::new(0);
    let receiver = Receiver::start(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        // The first node never hears that its batch was taken.
        0 => Reaction::Late,
        _ => Reaction::ok(),
    });
    let store = Store::memory();
    let own = || Endpoint {
        batch_events: 10,
        concurrency: 1,
        timeout: Duration::from_secs(3_600),
        ..endpoint(&receiver.url())
    };
    let first = Node::start("n1", &store, vec![own()], true);
    first.until("its lead", |status| status.leads);
    (1..=10).for_each(|seq| first.say("a", seq));
    receiver.wait("a batch", |seen| !seen.taken.is_empty());
    (11..=15).for_each(|seq| first.say("a", seq));
    first.until("all in the store", |status| status.waiting == Some(15));
    first.kill();
    receiver.open();
    let second = Node::start("n2", &store, vec![own()], true);
    receiver.wait("the rest", |seen| seen.once().len() == 15);
    assert_eq!(receiver.look(|seen| seen.numbers("a")), to(15));
    second.until("nothing to wait", |status| status.waiting == Some(0));
    assert!(
        second.status().sent >= 15,
        "the batch came twice, with its ids"
    );
    second.close();
}
