//! What amending leaves in Redis: nothing of the old bytes, and a format that older versions refuse.

use bytes::Bytes;
use lakh_store::contract::block_on;
use lakh_store::{Entry, Range, Trim};

use crate::server::Server;

/// All that Redis would save of the store, as it would save it.
fn saved(server: &Server) -> Vec<u8> {
    let mut redis = server.redis();
    // So that no text hides in a compressed form.
    redis::cmd("CONFIG")
        .arg(&["SET", "rdbcompression", "no"])
        .exec(&mut redis)
        .unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("lakh:*").query(&mut redis).unwrap();
    let dump = |key: &String| -> Vec<u8> { redis::cmd("DUMP").arg(key).query(&mut redis).unwrap() };
    keys.iter().flat_map(dump).collect()
}

fn holds(saved: &[u8], text: &str) -> bool {
    saved
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

/// Entries of several sizes: many in a node of the stream, few, one alone.
fn secret(n: usize) -> String {
    let size = [0, 3, 40, 700, 2000, 5000][n * n / 7 % 6];
    format!("secret-{n:04}-{}", "x".repeat(size))
}

#[test]
fn nothing_of_an_amended_value_stays_in_redis() {
    let server = Server::new();
    let store = server.store();
    for n in 1..=400 {
        let entry = Entry::new(n as u64, secret(n)).dedupe(&format!("k{n}"));
        block_on(store.append("l", vec![entry])).unwrap();
    }
    let mut expected: Vec<String> = (1..=400).map(secret).collect();
    for n in [
        400, 1, 200, 201, 60, 62, 61, 333, 2, 399, 150, 149, 151, 140, 165, 60,
    ] {
        let new = format!("amended {n}");
        assert_eq!(
            block_on(store.amend("l", n as u64, new.clone().into(), None)),
            Ok(true)
        );
        expected[n - 1] = new;
        assert!(
            !holds(&saved(&server), &format!("secret-{n:04}")),
            "{n} is still there"
        );
    }
    assert!(
        holds(&saved(&server), "secret-0003"),
        "what was not amended is seen"
    );
    let mut found = Vec::new();
    while found.len() < 400 {
        let page = block_on(store.range("l", Range::from(found.len() as u64 + 1, 30))).unwrap();
        found.extend(page.entries);
    }
    for (index, (entry, value)) in found.iter().zip(&expected).enumerate() {
        let n = index as u64 + 1;
        assert_eq!(
            (entry.seq, entry.time_ms, &entry.value),
            (n, n, &Bytes::from(value.clone()))
        );
        assert_eq!(entry.dedupe, Some(format!("k{n}")));
    }
    let trim = Trim {
        max_entries: Some(0),
        ..Trim::default()
    };
    assert_eq!(block_on(store.trim("l", trim)).unwrap().removed, 400);
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("*amended*")
        .query(&mut server.redis())
        .unwrap();
    assert!(keys.is_empty(), "{keys:?}");
}

#[test]
fn the_first_amendment_makes_the_format_that_older_versions_refuse() {
    let server = Server::new();
    let store = server.store();
    let format = || -> String {
        redis::cmd("GET")
            .arg("lakh:{store}:format")
            .query(&mut server.redis())
            .unwrap()
    };
    block_on(store.append("l", vec![Entry::new(0, "v")])).unwrap();
    assert_eq!(format(), "1");
    block_on(store.amend("l", 2, "v".into(), None)).unwrap();
    assert_eq!(format(), "1", "nothing was amended");
    block_on(store.amend("l", 1, "w".into(), None)).unwrap();
    assert_eq!(format(), "2");
    block_on(store.close()).unwrap();
    let page = block_on(server.store().range("l", Range::from(1, 10))).unwrap();
    assert_eq!(page.entries[0].value, "w");
}
