//! Redis goes away and comes back: nothing that was acknowledged is lost, nothing is done twice, and everybody is told in time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bytes::Bytes;
use lakh_store::contract::block_on;
use lakh_store::{
    Batch, Condition, Entry, Health, OpenError, Range, ReadError, RedisOptions, Store, WriteError,
};

use crate::proxy::{Proxy, Way};
use crate::server::{Server, patient};

/// A store that soon gives up waiting for an answer.
fn impatient() -> RedisOptions {
    RedisOptions {
        answer_timeout_ms: 500,
        ..patient()
    }
}

fn put(store: &Store, value: &'static str) -> Result<u64, WriteError> {
    block_on(store.put(
        0,
        "c",
        "k",
        Bytes::from_static(value.as_bytes()),
        Condition::Any,
        None,
    ))
}

fn value(store: &Store) -> Bytes {
    block_on(store.get(0, "c", "k")).unwrap().unwrap().value
}

/// Does what a client does: tries until it is told that it is done.
fn until_done<T>(mut attempt: impl FnMut() -> Result<T, WriteError>) -> T {
    loop {
        match attempt() {
            Ok(done) => return done,
            Err(WriteError::Unavailable(_) | WriteError::Unknown(_)) => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Appends entries one after the other, each until it is done, and gives the number that each was told.
fn append_all(store: &Store, writer: usize, enough: &AtomicBool) -> BTreeMap<String, u64> {
    let mut told = BTreeMap::new();
    for n in 0.. {
        let key = format!("{writer} {n:06}");
        let entry = Entry::new(n, key.clone()).dedupe(&key);
        let seq = until_done(|| block_on(store.append("l", vec![entry.clone()]))).first_seq();
        told.insert(key, seq);
        if enough.load(Ordering::Acquire) {
            break;
        }
    }
    told
}

/// Makes a write fail in a way that leaves open what became of it. (The store may look after its idle connection just before,
/// and then knows that nothing was written; so it is tried again.)
fn until_unknown(spoil: impl Fn(), mut attempt: impl FnMut() -> Result<(), WriteError>) {
    loop {
        spoil();
        match attempt() {
            Err(WriteError::Unknown(_)) => return,
            Err(WriteError::Unavailable(_)) => until_done(&mut attempt),
            other => panic!("{other:?}"),
        }
    }
}

fn everything(store: &Store) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let mut from = 1;
    loop {
        let page = block_on(store.range("l", Range::from(from, 1000))).unwrap();
        for entry in page.entries {
            assert_eq!(entry.seq, from, "no holes");
            from += 1;
            let before = found.insert(
                String::from_utf8_lossy(&entry.value).into_owned(),
                entry.seq,
            );
            assert_eq!(before, None, "nothing twice");
        }
        if !page.more {
            return found;
        }
    }
}

#[test]
fn what_was_acknowledged_survives_kills_of_redis_and_the_store_comes_back_by_itself() {
    let mut server = Server::durable();
    let stores = [server.store(), server.store()];
    let enough = AtomicBool::new(false);
    let told = thread::scope(|scope| {
        let (stores, enough) = (&stores, &enough);
        let writers: Vec<_> = (0..4)
            .map(|writer| scope.spawn(move || append_all(&stores[writer % 2], writer, enough)))
            .collect();
        for _ in 0..5 {
            // Both are well again, and something was written, before the next kill.
            for store in stores {
                until_done(|| block_on(store.add_score("rounds", "all", 1.0)));
            }
            server.restart();
        }
        enough.store(true, Ordering::Release);
        let told = writers.into_iter().map(|writer| writer.join().unwrap());
        told.flatten().collect::<BTreeMap<_, _>>()
    });
    let fresh = server.store();
    assert_eq!(
        everything(&fresh),
        told,
        "each entry is there once, where its writer was told"
    );
    for store in &stores {
        assert_eq!(store.health(), Health::Ok);
        block_on(store.close()).unwrap();
    }
}

#[test]
fn a_stopped_server_is_told_in_time_and_forgotten_when_it_goes_on() {
    let server = Server::new();
    let store = Store::redis(&server.url(), &impatient()).unwrap();
    until_done(|| put(&store, "first"));
    server.pause();
    let (read, write) = (store.get(0, "c", "k"), put(&store, "second"));
    assert!(
        matches!(
            write,
            Err(WriteError::Unknown(_) | WriteError::Unavailable(_))
        ),
        "{write:?}"
    );
    let read = block_on(read);
    assert!(matches!(read, Err(ReadError::Unavailable(_))), "{read:?}");
    assert!(matches!(store.health(), Health::Impaired(_)));
    // From now on nobody waits: the server isn't asked.
    assert!(matches!(
        put(&store, "third"),
        Err(WriteError::Unavailable(_))
    ));
    assert!(matches!(
        block_on(store.last_seq("l")),
        Err(ReadError::Unavailable(_))
    ));
    assert_eq!(store.stats().write_queue, 0);
    server.resume();
    until_done(|| put(&store, "fourth"));
    assert_eq!(store.health(), Health::Ok);
    assert_eq!(value(&store), "fourth");
    block_on(store.close()).unwrap();
}

#[test]
fn a_store_that_nobody_uses_finds_out_by_itself() {
    let mut server = Server::new();
    let store = Store::redis(&server.url(), &impatient()).unwrap();
    server.kill();
    while store.health().is_ok() {
        thread::yield_now();
    }
    assert!(matches!(put(&store, "v"), Err(WriteError::Unavailable(_))));
    server.restart();
    while !store.health().is_ok() {
        thread::yield_now();
    }
    until_done(|| put(&store, "v"));
}

#[test]
fn a_write_that_arrives_late_is_not_executed_after_a_newer_one() {
    let server = Server::new();
    let proxy = Proxy::to(server.port);
    let store = Store::redis(&proxy.url(), &impatient()).unwrap();
    until_done(|| put(&store, "first"));
    until_unknown(
        || proxy.requests(Way::Held),
        || put(&store, "late").map(drop),
    );
    // The connections made from now on are open.
    until_done(|| put(&store, "newer"));
    let executed = |server: &Server| -> usize {
        let calls: String = redis::cmd("INFO")
            .arg("commandstats")
            .query(&mut server.redis())
            .unwrap();
        let evalsha = calls
            .lines()
            .find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="))
            .unwrap();
        evalsha.split(',').next().unwrap().parse().unwrap()
    };
    let before = executed(&server);
    proxy.requests(Way::Open);
    while executed(&server) == before {
        thread::yield_now();
    }
    assert_eq!(value(&store), "newer");
    block_on(store.close()).unwrap();
}

#[test]
fn a_write_whose_answer_is_lost_can_be_repeated() {
    let server = Server::new();
    let proxy = Proxy::to(server.port);
    let store = Store::redis(&proxy.url(), &impatient()).unwrap();
    let send = || {
        let entry = Entry::new(0, "message").dedupe("once");
        let batch = Batch::new(0)
            .append("l", vec![entry])
            .add_score("sent", "ann", 1.0)
            .unless_duplicate();
        block_on(store.write(batch))
    };
    let version = until_done(|| put(&store, "first"));
    let advance = || {
        let next = Bytes::from_static(b"second");
        block_on(store.put(0, "c", "k", next, Condition::Version(version), None))
    };
    until_unknown(|| proxy.answers(Way::Cut), || send().map(drop));
    let results = until_done(send);
    assert!(
        matches!(&results[0], lakh_store::Applied::Appended(appended) if appended.any_duplicate())
    );
    assert_eq!(block_on(store.score("sent", "ann")), Ok(Some(1.0)));
    until_unknown(|| proxy.answers(Way::Cut), || advance().map(drop));
    until_done(|| match advance() {
        Err(WriteError::Conflict { .. }) => Ok(0),
        other => other,
    });
    assert_eq!(value(&store), "second");
    block_on(store.close()).unwrap();
}

#[test]
fn a_read_whose_connection_is_cut_is_asked_again() {
    let server = Server::new();
    let proxy = Proxy::to(server.port);
    let store = Store::redis(
        &proxy.url(),
        &RedisOptions {
            readers: 1,
            ..impatient()
        },
    )
    .unwrap();
    until_done(|| put(&store, "first"));
    // The reader's connection is made with its first read, after the writer's.
    assert_eq!(value(&store), "first");
    proxy.cut_newest();
    assert_eq!(value(&store), "first");
    assert_eq!(store.health(), Health::Ok);
}

#[test]
fn a_store_opens_without_its_server_only_if_that_is_wanted() {
    let mut server = Server::new();
    server.kill();
    let refused = Store::redis(&server.url(), &RedisOptions::default())
        .map(drop)
        .unwrap_err();
    assert!(
        matches!(refused, OpenError::Unreachable { .. }),
        "{refused}"
    );
    assert!(
        refused.to_string().contains(&server.port.to_string()),
        "{refused}"
    );
    let store = Store::redis(
        &server.url(),
        &RedisOptions {
            must_connect: false,
            ..impatient()
        },
    )
    .unwrap();
    assert!(matches!(put(&store, "v"), Err(WriteError::Unavailable(_))));
    assert!(matches!(store.health(), Health::Impaired(_)));
    server.restart();
    until_done(|| put(&store, "v"));
    assert_eq!(store.health(), Health::Ok);
}

#[test]
fn a_store_whose_server_is_away_can_be_closed() {
    let mut server = Server::new();
    let store = Store::redis(&server.url(), &impatient()).unwrap();
    server.kill();
    block_on(store.close()).unwrap();
    assert_eq!(put(&store, "v"), Err(WriteError::Closed));
    assert_eq!(block_on(store.last_seq("l")), Err(ReadError::Closed));
    assert_eq!(store.health(), Health::Closed);
}
