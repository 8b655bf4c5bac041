//! What is set on the server's side, and what other programs do there.

use bytes::Bytes;
use lakh_store::contract::{self, block_on};
use lakh_store::{
    Batch, Condition, Entry, Health, OpenError, Range, RedisOptions, Store, WriteError,
};

use crate::server::Server;

fn append(store: &Store, value: impl Into<Bytes>) -> Result<u64, WriteError> {
    let appended = block_on(store.append("l", vec![Entry::new(0, value)]));
    appended.map(|appended| appended.first_seq())
}

#[test]
fn a_full_memory_refuses_whole_batches_and_passes_when_there_is_space_again() {
    let server = Server::new();
    let store = server.store();
    append(&store, "first").unwrap();
    let set = |bytes: &str| {
        redis::cmd("CONFIG")
            .arg("SET")
            .arg("maxmemory")
            .arg(bytes)
            .exec(&mut server.redis())
            .unwrap()
    };
    set("1");
    // The removal comes first, and is what Redis would still do.
    let batch = Batch::new(0)
        .remove_log("l")
        .append("m", vec![Entry::new(0, "v")]);
    let refused = [
        block_on(store.write(batch)).map(drop),
        append(&store, "second").map(drop),
    ];
    assert_eq!(refused[1], Err(WriteError::DiskFull));
    assert!(matches!(store.health(), Health::Impaired(_)));
    let lasts = (
        block_on(store.last_seq("l")).unwrap(),
        block_on(store.last_seq("m")).unwrap(),
    );
    match &refused[0] {
        Ok(()) => assert_eq!(lasts, (0, 1), "all of it"),
        Err(error) => assert_eq!(
            (error, lasts),
            (&WriteError::DiskFull, (1, 0)),
            "nothing of it"
        ),
    }
    set("0");
    append(&store, "third").unwrap();
    assert_eq!(store.health(), Health::Ok);
}

#[test]
fn scripts_that_somebody_flushed_are_loaded_again() {
    let server = Server::new();
    let store = server.store();
    for n in 1..=20 {
        redis::cmd("SCRIPT")
            .arg("FLUSH")
            .exec(&mut server.redis())
            .unwrap();
        let writes: Vec<_> = (0..10)
            .map(|_| store.append("l", vec![Entry::new(0, "v")]))
            .collect();
        let seqs: Vec<u64> = writes
            .into_iter()
            .map(|write| block_on(write).unwrap().first_seq())
            .collect();
        assert_eq!(seqs, ((n - 1) * 10 + 1..=n * 10).collect::<Vec<_>>());
        redis::cmd("SCRIPT")
            .arg("FLUSH")
            .exec(&mut server.redis())
            .unwrap();
        assert_eq!(block_on(store.last_seq("l")), Ok(n * 10));
    }
}

#[test]
fn a_store_whose_mark_is_gone_makes_a_new_one() {
    let server = Server::new();
    let store = server.store();
    append(&store, "first").unwrap();
    let mut redis = server.redis();
    let marks: Vec<String> = redis::cmd("KEYS")
        .arg("*writer:*")
        .query(&mut redis)
        .unwrap();
    redis::cmd("DEL").arg(&marks).exec(&mut redis).unwrap();
    assert_eq!(marks.len(), 1);
    assert_eq!(append(&store, "second"), Ok(2));
    block_on(store.close()).unwrap();
    let marks: Vec<String> = redis::cmd("KEYS")
        .arg("*writer:*")
        .query(&mut redis)
        .unwrap();
    assert_eq!(marks, [""; 0], "a closed store leaves none behind");
}

#[test]
fn keys_of_a_newer_version_are_left_alone() {
    let server = Server::new();
    redis::cmd("SET")
        .arg("lakh:{store}:format")
        .arg(99)
        .exec(&mut server.redis())
        .unwrap();
    let refused = Store::redis(&server.url(), &RedisOptions::default())
        .map(drop)
        .unwrap_err();
    assert!(
        matches!(
            refused,
            OpenError::NewerFormat {
                found: 99,
                supported: 2,
                ..
            }
        ),
        "{refused}"
    );
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query(&mut server.redis())
        .unwrap();
    assert_eq!(keys, ["lakh:{store}:format"]);
}

#[test]
fn a_password_is_given_and_never_shown() {
    let server = Server::with(&["--requirepass", "sesame"]);
    let url = |password: &str| format!("redis://:{password}@127.0.0.1:{}", server.port);
    let store = Store::redis(&url("sesame"), &RedisOptions::default()).unwrap();
    append(&store, "v").unwrap();
    for url in [url("simsim"), server.url()] {
        let refused = Store::redis(&url, &RedisOptions::default())
            .map(drop)
            .unwrap_err();
        assert!(
            matches!(refused, OpenError::Unreachable { .. }),
            "{refused}"
        );
        assert!(!refused.to_string().contains("simsim"), "{refused}");
    }
}

#[test]
fn a_user_with_the_rights_that_the_documentation_names_can_do_everything() {
    const RIGHTS: &str =
        "on >sesame ~lakh:* +@read +@write +@connection +@scripting +info +wait +time";
    let documented = include_str!("../../../../docs/storage.md");
    assert!(documented.contains(&RIGHTS.replace("sesame", "PASSWORD")));
    let server = Server::new();
    redis::cmd("ACL")
        .arg("SETUSER")
        .arg("lakh")
        .arg(RIGHTS.split(' ').collect::<Vec<_>>())
        .exec(&mut server.redis())
        .unwrap();
    let url = format!("redis://lakh:sesame@127.0.0.1:{}", server.port);
    for (number, behaviour) in contract::all().enumerate() {
        let prefix = format!("lakh:{number}:");
        let options = RedisOptions {
            prefix,
            ..RedisOptions::default()
        };
        behaviour.check(Store::redis(&url, &options).unwrap());
    }
}

#[test]
fn a_key_that_another_program_made_breaks_one_log_and_no_other() {
    let server = Server::new();
    let store = server.store();
    append(&store, "v").unwrap();
    redis::cmd("SET")
        .arg("lakh:{store}:log:broken")
        .arg("theirs")
        .exec(&mut server.redis())
        .unwrap();
    let broken = block_on(store.append("broken", vec![Entry::new(0, "v")]));
    assert!(matches!(broken, Err(WriteError::Unknown(_))), "{broken:?}");
    assert!(matches!(store.health(), Health::Impaired(_)));
    assert_eq!(append(&store, "v"), Ok(2));
    assert_eq!(store.health(), Health::Ok);
}

#[test]
fn versions_that_a_server_has_lost_are_not_given_again() {
    let mut server = Server::new();
    let store = server.store();
    let put = || store.put(0, "c", "k", "v".into(), Condition::Any, None);
    let lost = block_on(put()).unwrap();
    // It keeps nothing: all is as if it had never been.
    server.restart();
    let anew = loop {
        match block_on(put()) {
            Ok(version) => break version,
            Err(WriteError::Unknown(_) | WriteError::Unavailable(_)) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    };
    let stale = store.put(0, "c", "k", "v".into(), Condition::Version(lost), None);
    assert_eq!(
        block_on(stale),
        Err(WriteError::Conflict {
            op: 0,
            current: Some(anew)
        })
    );
}

#[test]
fn writes_past_the_queue_are_turned_away_and_the_others_are_done() {
    let server = Server::new();
    let options = RedisOptions {
        write_queue_bytes: 10_000,
        ..RedisOptions::default()
    };
    let store = Store::redis(&server.url(), &options).unwrap();
    server.pause();
    let writes: Vec<_> = (0..3)
        .map(|_| store.append("l", vec![Entry::new(0, vec![0; 4000])]))
        .collect();
    assert_eq!(
        (store.stats().write_queue, store.stats().writes_busy),
        (2, 1)
    );
    server.resume();
    let outcomes: Vec<_> = writes
        .into_iter()
        .map(|write| block_on(write).map(|done| done.first_seq()))
        .collect();
    assert_eq!(outcomes, [Ok(1), Ok(2), Err(WriteError::Busy)]);
    assert_eq!(store.stats().write_queue_bytes, 0);
}

#[test]
fn keys_are_found_where_the_documentation_says() {
    let server = Server::new();
    let store = server.store();
    let batch = Batch::new(5)
        .put("rooms", "lobby", "{}", Condition::Any, Some(99))
        .append("chat:lobby", vec![Entry::new(7, "hello").dedupe("k")])
        .set_score("activity", "ann", 2.5);
    block_on(store.write(batch)).unwrap();
    let mut redis = server.redis();
    let mut text = |command: &[&str]| -> Vec<String> {
        redis::cmd(command[0])
            .arg(&command[1..])
            .query(&mut redis)
            .unwrap()
    };
    let document = text(&[
        "HMGET",
        "lakh:{store}:document:rooms:lobby",
        "value",
        "expires_at_ms",
    ]);
    assert_eq!(document, ["{}", "99"]);
    assert_eq!(
        text(&["ZRANGE", "lakh:{store}:keys:rooms", "0", "-1"]),
        ["lobby"]
    );
    assert_eq!(
        text(&["ZRANGE", "lakh:{store}:logs", "0", "-1"]),
        ["chat:lobby"]
    );
    let log = text(&[
        "HMGET",
        "lakh:{store}:log:chat:lobby",
        "first_seq",
        "last_seq",
        "bytes",
    ]);
    assert_eq!(log, ["1", "1", "22"]);
    assert_eq!(
        text(&["HGETALL", "lakh:{store}:dedupe:chat:lobby"]),
        ["k", "1"]
    );
    assert_eq!(
        text(&[
            "ZRANGE",
            "lakh:{store}:ranking:activity",
            "0",
            "-1",
            "WITHSCORES"
        ]),
        ["ann", "2.5"]
    );
    let kept = text(&["KEYS", "*"]);
    assert!(
        kept.iter().all(|key| key.starts_with("lakh:{store}:")),
        "{kept:?}"
    );
    // Removing everything leaves the counters and nothing else.
    let batch = Batch::new(5)
        .delete("rooms", "lobby", Condition::Any)
        .remove_log("chat:lobby")
        .remove_member("activity", "ann");
    block_on(store.write(batch)).unwrap();
    block_on(store.close()).unwrap();
    let mut kept = text(&["KEYS", "*"]);
    kept.sort();
    assert_eq!(kept, ["lakh:{store}:format", "lakh:{store}:versions"]);
    let range = block_on(server.store().range("chat:lobby", Range::from(1, 10))).unwrap();
    assert!(range.entries.is_empty());
}
