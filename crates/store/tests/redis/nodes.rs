//! Two nodes on one Redis.

use std::collections::HashSet;
use std::thread;

use bytes::Bytes;
use lakh_store::contract::block_on;
use lakh_store::{Condition, Entry, Order, Range, Scan, Store, WriteError};

use crate::server::{Server, patient};

const NODES: usize = 2;
const THREADS: usize = 3;

/// Runs the same work on threads of two nodes at once.
fn on_two_nodes(server: &Server, work: impl Fn(&Store, usize) + Sync) -> [Store; NODES] {
    let stores = [server.store(), server.store()];
    thread::scope(|scope| {
        for worker in 0..NODES * THREADS {
            let (store, work) = (&stores[worker % NODES], &work);
            scope.spawn(move || work(store, worker));
        }
    });
    stores
}

fn count_up(store: &Store) {
    loop {
        let found = block_on(store.get(0, "c", "counter")).unwrap();
        let (count, condition) = found.map_or((0, Condition::Absent), |document| {
            let count = String::from_utf8_lossy(&document.value)
                .parse::<usize>()
                .unwrap();
            (count, Condition::Version(document.version))
        });
        let value = Bytes::from((count + 1).to_string());
        match block_on(store.put(0, "c", "counter", value, condition, None)) {
            Ok(_) => return,
            Err(WriteError::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_compare_and_set_of_one_node_sees_the_others() {
    let server = Server::new();
    let stores = on_two_nodes(&server, |store, _| (0..40).for_each(|_| count_up(store)));
    for store in stores {
        let counter = block_on(store.get(0, "c", "counter")).unwrap().unwrap();
        assert_eq!(counter.value, (NODES * THREADS * 40).to_string());
    }
}

#[test]
fn appends_of_two_nodes_leave_no_hole_and_no_double_and_read_the_same() {
    let server = Server::new();
    let stores = on_two_nodes(&server, |store, worker| {
        // Every entry is sent by all workers of both nodes, as by a client that goes from node to node; each worker also has its own.
        for n in 0..50 {
            let entries = vec![
                Entry::new(n, format!("shared {n}")).dedupe(&format!("shared {n}")),
                Entry::new(n, format!("{worker} {n:02}")),
            ];
            block_on(store.append("l", entries)).unwrap();
        }
    });
    let pages = stores.map(|store| block_on(store.range("l", Range::from(1, 1000))).unwrap());
    assert_eq!(pages[0], pages[1]);
    let entries = &pages[0].entries;
    assert_eq!(entries.len(), 50 + NODES * THREADS * 50);
    assert!(
        entries
            .iter()
            .map(|entry| entry.seq)
            .eq(1..=entries.len() as u64)
    );
    let values: HashSet<&Bytes> = entries.iter().map(|entry| &entry.value).collect();
    assert_eq!(values.len(), entries.len(), "nothing is there twice");
    for worker in 0..NODES * THREADS {
        let own = format!("{worker} ");
        let mut of_worker = entries
            .iter()
            .filter(|entry| entry.value.starts_with(own.as_bytes()));
        assert!(of_worker.by_ref().map(|entry| &entry.value).is_sorted());
    }
}

#[test]
fn what_one_node_was_told_is_done_the_other_one_reads() {
    let server = Server::new();
    let (one, other) = (server.store(), server.store());
    for n in 1..=100_u64 {
        let (writer, reader) = if n.is_multiple_of(2) {
            (&one, &other)
        } else {
            (&other, &one)
        };
        block_on(writer.append("l", vec![Entry::new(n, "v")])).unwrap();
        assert_eq!(block_on(reader.last_seq("l")), Ok(n));
        block_on(writer.add_score("r", "ann", 1.0)).unwrap();
        assert_eq!(block_on(reader.score("r", "ann")), Ok(Some(n as f64)));
    }
}

#[test]
fn stores_with_other_prefixes_are_apart() {
    let server = Server::new();
    let (one, other) = (
        server.fresh_store(&patient()),
        server.fresh_store(&patient()),
    );
    block_on(one.append("l", vec![Entry::new(0, "v")])).unwrap();
    block_on(one.set_score("r", "ann", 1.0)).unwrap();
    assert_eq!(block_on(other.last_seq("l")), Ok(0));
    assert!(
        block_on(other.logs(Scan::default()))
            .unwrap()
            .items
            .is_empty()
    );
    assert!(
        block_on(other.by_rank("r", 0, 10, Order::Ascending))
            .unwrap()
            .is_empty()
    );
}
