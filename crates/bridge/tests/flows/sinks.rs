//! Sinks: what happened reaches the broker, in the order of its room, whatever dies in between.

use std::collections::HashSet;
use std::sync::Arc;

use lakh_bridge::flows::State;
use lakh_hub::store::Store;
use lakh_hub::{Occurrence, What};

use crate::brokers::Broker;
use crate::nodes::{Node, Rooms, at_work, reopened, until};
use crate::sources;

const ROOMS: u64 = 4;

/// Tells of events on a node, and waits until they are in the store.
fn tell(node: &Node, store: &Store, sink: &str, numbers: std::ops::Range<u64>) {
    let reader = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let log = format!("bridge_sink:{sink}");
    let stored = || reader.block_on(store.last_seq(&log)).unwrap();
    let goal = stored() + ROOMS * (numbers.end - numbers.start);
    for number in numbers {
        for room in 0..ROOMS {
            node.hub.tell(What::Message, "/", || {
                let told = Occurrence::new(What::Message, "/", "rooms", 1);
                let mut told = told.in_room(&format!("room {room}.x")).with_data(&number);
                told.event = Some("said".into());
                told.seq = Some(number + 1);
                told
            });
        }
    }
    until("the store has them", || stored() >= goal);
}

/// That each room's events came in order and none is missing, each id counted once.
fn check(broker: &Broker, sink: &str, each: u64) {
    let all = broker.all(sink);
    let mut ids = HashSet::new();
    let mut once: Vec<_> = all
        .iter()
        .filter(|(id, _)| ids.insert(id.clone()))
        .collect();
    if broker.takes_once() {
        assert_eq!(once.len(), all.len(), "something was doubled");
    }
    for room in 0..ROOMS {
        let name = format!("room {room}.x");
        let of_room = once.iter().filter(|(_, json)| json["room"] == *name);
        let numbers: Vec<_> = of_room
            .map(|(_, json)| json["data"].as_u64().unwrap())
            .collect();
        assert_eq!(numbers, (0..each).collect::<Vec<_>>(), "{name}");
    }
    once.clear();
}

fn arrived(broker: &Broker, sink: &str) -> u64 {
    let ids: HashSet<_> = broker.all(sink).into_iter().map(|(id, _)| id).collect();
    ids.len() as u64
}

/// Two nodes; the one that sends is killed, then the broker is.
pub(crate) fn broker_and_nodes_die(broker: &mut Broker) {
    let (store, rooms) = (Store::memory(), Arc::new(Rooms::default()));
    broker.prepare_sink("out");
    let start = |name: &str| {
        let flows = (Vec::new(), vec![broker.sink("out")]);
        Node::start(name, &store, true, &rooms, flows)
    };
    let mut nodes = [start("n1"), start("n2")];
    until("one is at work", || at_work(&nodes, Node::sink).is_some());
    let busy = at_work(&nodes, Node::sink).unwrap();
    tell(&nodes[busy], &store, "out", 0..30);
    nodes[busy].kill();
    let other = &nodes[1 - busy];
    tell(other, &store, "out", 30..50);
    until("the other node sends", || other.sink().published > 0);
    broker.kill();
    until("it is told that the broker is away", || {
        matches!(other.sink().state, State::Down(_))
    });
    tell(other, &store, "out", 50..80);
    broker.restart();
    until("all have come", || arrived(broker, "out") == ROOMS * 80);
    until("the queue is empty", || other.sink().lag == 0);
    nodes[1 - busy].stop();
    check(broker, "out", 80);
}

/// What was told and not sent when the node was killed is sent by its next life.
pub(crate) fn a_killed_node_goes_on_where_it_was(broker: &Broker) {
    let folder = tempfile::tempdir().unwrap();
    let rooms = Arc::new(Rooms::default());
    broker.prepare_sink("lives");
    for life in 0..4 {
        let store = reopened(folder.path());
        let flows = (Vec::new(), vec![broker.sink("lives")]);
        let mut node = Node::start("n1", &store, false, &rooms, flows);
        tell(&node, &store, "lives", life * 20..(life + 1) * 20);
        if life == 3 {
            until("all have come", || arrived(broker, "lives") == ROOMS * 80);
        }
        node.kill();
        let closed = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        closed.block_on(store.close()).unwrap();
    }
    check(broker, "lives", 80);
}

#[test]
fn redis_streams() {
    let mut broker = Broker::redis();
    a_killed_node_goes_on_where_it_was(&broker);
    broker_and_nodes_die(&mut broker);
}

#[test]
fn nats_jetstream() {
    let mut broker = Broker::nats();
    a_killed_node_goes_on_where_it_was(&broker);
    broker_and_nodes_die(&mut broker);
}

/// All that is tested with RabbitMQ, sources too: it takes seconds to start.
#[test]
fn rabbitmq() {
    let mut broker = Broker::rabbit();
    sources::the_dead_hold_nobody_up(&broker);
    sources::a_slow_server_takes_no_more(&broker);
    sources::what_was_in_hand_comes_first(&broker);
    sources::a_killed_node_goes_on_where_it_was(&broker);
    a_killed_node_goes_on_where_it_was(&broker);
    sources::broker_and_nodes_die(&mut broker);
    broker_and_nodes_die(&mut broker);
}

/// A sink whose broker is away for ever costs no more than its bound.
#[test]
fn a_full_queue_drops_the_oldest_and_counts_them() {
    let mut broker = Broker::redis();
    let (store, rooms) = (Store::memory(), Arc::new(Rooms::default()));
    let mut settings = broker.sink("full");
    settings.queue_bytes = 4_000;
    broker.kill();
    let node = Node::start("n1", &store, false, &rooms, (Vec::new(), vec![settings]));
    tell(&node, &store, "full", 0..50);
    let reader = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let info = reader.block_on(store.log_info("bridge_sink:full")).unwrap();
    assert!(info.bytes <= 4_000 && info.entries() > 0, "{info:?}");
    let dropped = node.sink().dropped;
    assert_eq!(dropped + info.entries(), ROOMS * 50);
    broker.restart();
    until("what is left comes", || {
        arrived(&broker, "full") == info.entries()
    });
    let (_, last) = broker.all("full").pop().unwrap();
    assert_eq!(last["seq"], 50);
}

/// Sources and sinks over Kafka's protocol. The mock cluster keeps nothing over its end, so only nodes die.
#[cfg(feature = "kafka")]
#[test]
fn kafka() {
    let broker = Broker::kafka();
    sources::the_dead_hold_nobody_up(&broker);
    sources::a_slow_server_takes_no_more(&broker);
    sources::what_was_in_hand_comes_first(&broker);
    sources::a_killed_node_goes_on_where_it_was(&broker);
    a_killed_node_goes_on_where_it_was(&broker);
}
