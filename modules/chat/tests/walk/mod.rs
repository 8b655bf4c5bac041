//! All that a store holds, read past the store itself: out of SQLite's file, and out of Redis.

use std::rc::Rc;

use lakh_chat::Chat;
use lakh_hub::store::{RedisOptions, Store};
use lakh_testkit::redis::Redis;
use redis::Value as Reply;
use rusqlite::types::ValueRef;

use crate::driver::{Loop, TestClock, run};
use crate::room::{sqlite, start_on, unhurried};

/// Plays something on SQLite and on Redis, and gives all that is stored afterwards: a line for each document, entry, member.
pub(crate) fn after(
    play: impl AsyncFn(Rc<Loop>, TestClock, Chat, Store),
    check: impl Fn(&[String]),
) {
    let play_on = |store: Store| {
        run(async {
            let (on, clock, chat) = start_on(store.clone(), unhurried());
            play(on, clock, chat, store.clone()).await;
            while store
                .purge(u64::MAX >> 12, 1_000)
                .await
                .expect("purged")
                .more
            {}
            store.close().await.expect("closes");
        });
    };
    let folder = tempfile::tempdir().expect("a folder");
    play_on(sqlite(&folder));
    check(&in_file(&folder));
    let redis = Redis::start(&[]).expect("a redis-server");
    play_on(Store::redis(&redis.url(), &RedisOptions::default()).expect("a store"));
    check(&in_redis(&redis.url()));
}

fn in_file(folder: &tempfile::TempDir) -> Vec<String> {
    let file = rusqlite::Connection::open(folder.path().join("lakh.db")).expect("opens");
    let mut all = Vec::new();
    for (what, query) in [
        ("document", "SELECT collection, key, value FROM documents"),
        ("log", "SELECT name FROM logs WHERE name IS NOT NULL"),
        (
            "entry",
            "SELECT logs.name, seq, dedupe, value FROM entries LEFT JOIN logs ON logs.id = log",
        ),
        (
            "ranking",
            "SELECT name FROM rankings WHERE name IS NOT NULL",
        ),
        (
            "member",
            "SELECT rankings.name, member FROM members LEFT JOIN rankings ON rankings.id = ranking",
        ),
        (
            "text",
            "SELECT logs.name, seq FROM texts LEFT JOIN logs ON logs.id = log",
        ),
        (
            "words",
            "SELECT count(*) FROM words WHERE rowid NOT IN (SELECT id FROM texts) HAVING count(*) > 0",
        ),
    ] {
        let mut query = file.prepare(query).expect("a query");
        let columns = query.column_count();
        let mut rows = query.query([]).expect("rows");
        while let Some(row) = rows.next().expect("a row") {
            let fields = (0..columns).map(|at| match row.get_ref(at).expect("a column") {
                ValueRef::Null => "none".to_owned(),
                ValueRef::Integer(number) => number.to_string(),
                ValueRef::Real(number) => number.to_string(),
                ValueRef::Text(text) | ValueRef::Blob(text) => {
                    String::from_utf8_lossy(text).into_owned()
                }
            });
            all.push(format!("{what} {}", fields.collect::<Vec<_>>().join(" | ")));
        }
    }
    all
}

fn in_redis(url: &str) -> Vec<String> {
    let client = redis::Client::open(url).expect("a url");
    let mut link = client.get_connection().expect("connects");
    let mut ask = |command: &str, arguments: &[&[u8]]| {
        let mut command = redis::cmd(command);
        for argument in arguments {
            command.arg(*argument);
        }
        command.query::<Reply>(&mut link).expect("an answer")
    };
    let mut all = Vec::new();
    let Reply::Array(keys) = ask("KEYS", &[b"*"]) else {
        panic!("a list of keys");
    };
    for key in keys {
        let Reply::BulkString(key) = key else {
            panic!("a key");
        };
        let Reply::SimpleString(kind) = ask("TYPE", &[&key]) else {
            panic!("a type");
        };
        let content = match kind.as_str() {
            "hash" => ask("HGETALL", &[&key]),
            "zset" => ask("ZRANGE", &[&key, b"0", b"-1"]),
            "string" => ask("GET", &[&key]),
            "set" => ask("SMEMBERS", &[&key]),
            "stream" => ask("XRANGE", &[&key, b"-", b"+"]),
            "list" => ask("LRANGE", &[&key, b"0", b"-1"]),
            other => panic!("a {other}"),
        };
        let mut found = Vec::new();
        texts(content, &mut found);
        let key = String::from_utf8_lossy(&key);
        all.extend(found.iter().map(|field| format!("{kind} {key} | {field}")));
    }
    all
}

fn texts(reply: Reply, into: &mut Vec<String>) {
    match reply {
        Reply::Array(items) | Reply::Set(items) => {
            items.into_iter().for_each(|item| texts(item, into));
        }
        Reply::Map(pairs) => {
            for (field, value) in pairs {
                texts(field, into);
                texts(value, into);
            }
        }
        Reply::BulkString(text) => into.push(String::from_utf8_lossy(&text).into_owned()),
        other => into.push(format!("{other:?}")),
    }
}
