//! More than one server: replicas, Sentinel, Redis Cluster.

use std::net::TcpListener;
use std::thread;

use lakh_store::contract::block_on;
use lakh_store::{Entry, Health, RedisOptions, Store, WriteError};

use crate::server::{Server, patient};

fn append(store: &Store) -> Result<u64, WriteError> {
    let appended = block_on(store.append("l", vec![Entry::new(0, "v")]));
    appended.map(|appended| appended.first_seq())
}

/// Asks a server until it says what is waited for.
fn until(server: &Server, command: &[&str], wanted: &str) {
    let mut redis = server.redis();
    loop {
        let asked = redis::cmd(command[0])
            .arg(&command[1..])
            .query::<String>(&mut redis);
        match asked {
            Ok(answer) if answer.contains(wanted) => return,
            Ok(_) => thread::yield_now(),
            // Sentinel cuts the connections of a server whose part it changes.
            Err(_) => redis = server.redis(),
        }
    }
}

fn replica_of(primary: &Server) -> Server {
    let port = primary.port.to_string();
    let replica = Server::with(&[
        "--replicaof",
        "127.0.0.1",
        &port,
        "--repl-diskless-sync-delay",
        "0",
    ]);
    until(&replica, &["INFO", "replication"], "master_link_status:up");
    replica
}

#[test]
fn a_write_that_too_few_replicas_have_is_not_acknowledged() {
    let primary = Server::with(&["--repl-diskless-sync-delay", "0"]);
    let mut replica = replica_of(&primary);
    let options = RedisOptions {
        replicas: 1,
        answer_timeout_ms: 20_000,
        ..RedisOptions::default()
    };
    let store = Store::redis(&primary.url(), &options).unwrap();
    assert_eq!(append(&store), Ok(1));
    let of_replica: String = redis::cmd("HGET")
        .arg("lakh:{store}:log:l")
        .arg("last_seq")
        .query(&mut replica.redis())
        .unwrap();
    assert_eq!(of_replica, "1");
    block_on(store.close()).unwrap();
    replica.kill();
    let options = RedisOptions {
        answer_timeout_ms: 400,
        ..options
    };
    let store = Store::redis(&primary.url(), &options).unwrap();
    let alone = append(&store);
    assert!(
        matches!(&alone, Err(WriteError::Unknown(reason)) if reason.contains("0 of 1 replicas")),
        "{alone:?}"
    );
    assert!(matches!(store.health(), Health::Impaired(_)));
}

#[test]
fn a_replica_is_not_written_to() {
    let primary = Server::with(&["--repl-diskless-sync-delay", "0"]);
    let replica = replica_of(&primary);
    let refused = Store::redis(&replica.url(), &RedisOptions::default())
        .map(drop)
        .unwrap_err();
    assert!(refused.to_string().contains("replica"), "{refused}");
    // Asked in turn, the primary is found.
    let both = format!(
        "redis://127.0.0.1:{},127.0.0.1:{}",
        replica.port, primary.port
    );
    let store = Store::redis(&both, &patient()).unwrap();
    assert_eq!(append(&store), Ok(1));
}

#[test]
fn a_store_follows_sentinel_to_the_new_primary_when_the_old_one_is_killed() {
    let mut primary = Server::with(&["--repl-diskless-sync-delay", "0"]);
    let replica = replica_of(&primary);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sentinel.conf");
    let monitor = format!(
        "sentinel monitor main 127.0.0.1 {} 1\nsentinel down-after-milliseconds main 500\n",
        primary.port
    );
    std::fs::write(&file, monitor).unwrap();
    let sentinel = Server::sentinel(file.to_str().unwrap());
    until(&sentinel, &["INFO", "sentinel"], "slaves=1");
    let url = format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port);
    let careful = RedisOptions {
        replicas: 1,
        ..RedisOptions::default()
    };
    let careful = Store::redis(&url, &careful).unwrap();
    assert_eq!(append(&careful), Ok(1));
    let store = Store::redis(&url, &patient()).unwrap();
    assert_eq!(block_on(store.last_seq("l")), Ok(1));
    primary.kill();
    let seq = loop {
        let once = vec![Entry::new(0, "v").dedupe("once")];
        match block_on(store.append("l", once)) {
            Ok(appended) => break appended.first_seq(),
            Err(WriteError::Unavailable(_) | WriteError::Unknown(_)) => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(seq, 2, "what a replica had is there");
    let of_new: u64 = redis::cmd("HGET")
        .arg("lakh:{store}:log:l")
        .arg("last_seq")
        .query(&mut replica.redis())
        .unwrap();
    assert_eq!(of_new, 2, "it is the new primary that was written to");
    assert_eq!(block_on(store.last_seq("l")), Ok(2));
}

#[test]
fn a_store_finds_its_node_of_a_cluster() {
    // A node listens on another port too, for the others; both must be free, and the second is given.
    let node = || {
        let bus = TcpListener::bind(("127.0.0.1", 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        Server::with(&[
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            &bus.to_string(),
            "--cluster-node-timeout",
            "2000",
        ])
    };
    let nodes = [node(), node()];
    let ask = |server: &Server, command: &[&str]| -> redis::Value {
        redis::cmd("CLUSTER")
            .arg(command)
            .query(&mut server.redis())
            .unwrap()
    };
    let slot: u16 =
        redis::from_redis_value(ask(&nodes[0], &["KEYSLOT", "lakh:{store}:format"])).unwrap();
    let other = |range: [u16; 2]| [range[0].to_string(), range[1].to_string()];
    // The second node has the store's slot and nothing else.
    let [before, after] = [other([0, slot - 1]), other([slot + 1, 16_383])];
    ask(
        &nodes[0],
        &[
            "ADDSLOTSRANGE",
            &before[0],
            &before[1],
            &after[0],
            &after[1],
        ],
    );
    ask(&nodes[1], &["ADDSLOTS", &slot.to_string()]);
    let bus: String = redis::from_redis_value(ask(&nodes[1], &["NODES"])).unwrap();
    let bus = bus
        .split('@')
        .nth(1)
        .unwrap()
        .split([' ', ','])
        .next()
        .unwrap()
        .to_owned();
    ask(
        &nodes[0],
        &["MEET", "127.0.0.1", &nodes[1].port.to_string(), &bus],
    );
    for node in &nodes {
        until(node, &["CLUSTER", "INFO"], "cluster_state:ok");
        until(node, &["CLUSTER", "INFO"], "cluster_size:2");
    }
    let store = nodes[0].store();
    assert_eq!(append(&store), Ok(1));
    assert_eq!(block_on(store.last_seq("l")), Ok(1));
    let keys: usize = redis::cmd("DBSIZE").query(&mut nodes[1].redis()).unwrap();
    assert!(keys > 0, "it is the other node that has them");
}
