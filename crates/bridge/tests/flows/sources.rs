//! Sources: nothing lost, nothing doubled, each room in its order.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use lakh_bridge::flows::State;
use lakh_hub::store::Store;

use crate::brokers::{Broker, Put};
use crate::nodes::{Node, Rooms, at_work, reopened, until};

const ROOMS: usize = 5;

/// Entries for each room, with its numbers `from` to `to`.
fn entries(names: &[String], from: u64, to: u64) -> Vec<Put<'_>> {
    let numbers = (from..to).flat_map(|number| names.iter().map(move |room| (room, number)));
    let entries = numbers.map(|(room, number)| Put {
        room,
        body: number.to_string(),
        id: format!("{room}-{number}"),
    });
    entries.collect()
}

fn names() -> Vec<String> {
    (0..ROOMS).map(|room| format!("room{room}")).collect()
}

/// Two nodes; the one at work is killed, then the broker is, and each time there is more to come.
pub(crate) fn broker_and_nodes_die(broker: &mut Broker) {
    let (store, rooms, names) = (Store::memory(), Arc::new(Rooms::default()), names());
    broker.prepare_source("die");
    let start = |name: &str| {
        let flows = (vec![broker.source("die")], Vec::new());
        Node::start(name, &store, true, &rooms, flows)
    };
    let mut nodes = [start("n1"), start("n2")];
    broker.put("die", &entries(&names, 0, 40));
    until("some are published", || rooms.count() > 50);
    let busy = at_work(&nodes, Node::source).unwrap();
    nodes[busy].kill();
    broker.put("die", &entries(&names, 40, 80));
    until("the other node goes on", || {
        at_work(&nodes, Node::source) == Some(1 - busy) && rooms.count() > 250
    });
    broker.kill();
    until("it is told that the broker is away", || {
        matches!(nodes[1 - busy].source().state, State::Down(_))
    });
    broker.restart();
    broker.put("die", &entries(&names, 80, 100));
    until("all are published", || rooms.count() >= ROOMS * 100);
    nodes[1 - busy].stop();
    rooms.check(ROOMS, 100);
}

/// One node, killed at any moment, again and again.
pub(crate) fn a_killed_node_goes_on_where_it_was(broker: &Broker) {
    let folder = tempfile::tempdir().unwrap();
    let (rooms, names) = (Arc::new(Rooms::default()), names());
    broker.prepare_source("again");
    let all = entries(&names, 0, 60);
    broker.put("again", &all);
    for life in 1_usize.. {
        let store = reopened(folder.path());
        let flows = (vec![broker.source("again")], Vec::new());
        let mut node = Node::start("n1", &store, false, &rooms, flows);
        let goal = (life * 47).min(all.len());
        until("it gets on", || rooms.count() >= goal);
        node.kill();
        let closed = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        closed.block_on(store.close()).unwrap();
        if goal == all.len() {
            break;
        }
    }
    rooms.check(ROOMS, 60);
}

/// What can't be published lies where the dead are, and nothing waits behind it.
pub(crate) fn the_dead_hold_nobody_up(broker: &Broker) {
    let (store, rooms) = (Store::memory(), Arc::new(Rooms::default()));
    broker.prepare_source("poison");
    let put = |room: &'static str, body: &str, id: &str| Put {
        room,
        body: body.to_owned(),
        id: id.to_owned(),
    };
    let entries = [
        put("room0", "0", "a"),
        put("room0", "{broken", "b"),
        put("forbidden", "1", "c"),
        put("room0", "1", "d"),
        put("room0", "2", "e"),
    ];
    broker.put("poison", &entries);
    let flows = (vec![broker.source("poison")], Vec::new());
    let mut node = Node::start("n1", &store, false, &rooms, flows);
    until("the others are published", || rooms.count() == 3);
    until("the dead are counted", || node.source().dead == 2);
    rooms.check(1, 3);
    assert_eq!(broker.dead("poison"), 2);
    node.stop();
    // They are done with: nobody gets them again.
    let flows = (vec![broker.source("poison")], Vec::new());
    let node = Node::start("n1", &store, false, &rooms, flows);
    broker.put("poison", &[put("room0", "3", "f")]);
    until("it goes on", || rooms.count() == 4);
    assert_eq!((node.source().dead, broker.dead("poison")), (0, 2));
}

/// While nothing can be published no more is taken than the window, and then it goes on in order.
pub(crate) fn a_slow_server_takes_no_more(broker: &Broker) {
    let (store, rooms, names) = (Store::memory(), Arc::new(Rooms::default()), names());
    broker.prepare_source("slow");
    rooms.closed.store(true, Ordering::SeqCst);
    let flows = (vec![broker.source("slow")], Vec::new());
    let node = Node::start("n1", &store, false, &rooms, flows);
    broker.put("slow", &entries(&names, 0, 40));
    until("it is told", || {
        matches!(node.source().state, State::Down(_))
    });
    // What was received is what is in hand: no more is until that is published.
    let received = node.source().received;
    assert!((1..=16).contains(&received), "{received}");
    rooms.closed.store(false, Ordering::SeqCst);
    until("all are published", || rooms.count() == ROOMS * 40);
    rooms.check(ROOMS, 40);
}

/// What a node had in hand when it stopped or was killed comes to the next one before all that follows.
pub(crate) fn what_was_in_hand_comes_first(broker: &Broker) {
    let (store, rooms, names) = (Store::memory(), Arc::new(Rooms::default()), names());
    broker.prepare_source("hand");
    broker.put("hand", &entries(&names, 0, 40));
    let start = |name: &str| {
        let flows = (vec![broker.source("hand")], Vec::new());
        Node::start(name, &store, true, &rooms, flows)
    };
    let mut nodes = std::collections::VecDeque::from([start("n0")]);
    for turn in 1..=4 {
        rooms.closed.store(true, Ordering::SeqCst);
        until("it has some in hand, and can't publish them", || {
            matches!(nodes[0].source().state, State::Down(_))
        });
        nodes.push_back(start(&format!("n{turn}")));
        rooms.closed.store(false, Ordering::SeqCst);
        match turn % 2 {
            0 => nodes[0].kill(),
            _ => nodes[0].stop(),
        }
        nodes.pop_front();
    }
    until("all are published", || rooms.count() == ROOMS * 40);
    rooms.check(ROOMS, 40);
}

#[test]
fn redis_streams() {
    let mut broker = Broker::redis();
    the_dead_hold_nobody_up(&broker);
    a_slow_server_takes_no_more(&broker);
    what_was_in_hand_comes_first(&broker);
    a_killed_node_goes_on_where_it_was(&broker);
    broker_and_nodes_die(&mut broker);
}

#[test]
fn nats_jetstream() {
    let mut broker = Broker::nats();
    the_dead_hold_nobody_up(&broker);
    a_slow_server_takes_no_more(&broker);
    what_was_in_hand_comes_first(&broker);
    a_killed_node_goes_on_where_it_was(&broker);
    broker_and_nodes_die(&mut broker);
}
