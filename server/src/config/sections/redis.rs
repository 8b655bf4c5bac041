//! `[redis]`: what nodes of a fleet share, and where.

use std::path::PathBuf;

use crate::config::redis_url::RedisUrl;
use crate::config::section::{above_zero, section};
use crate::config::value::words;

words! {
    /// How nodes tell each other of broadcasts.
    Broker {
        /// Not at all: there is one node.
        Local = "local",
        /// Pub/sub of Redis, as `createAdapter` of @socket.io/redis-adapter.
        Redis = "redis",
        /// Sharded pub/sub (Redis 7), as `createShardedAdapter` of @socket.io/redis-adapter.
        RedisSharded = "redis-sharded",
        /// A stream, as @socket.io/redis-streams-adapter.
        RedisStreams = "redis-streams",
    }
}

words! {
    /// Where modules keep what must outlive the process.
    StoreKind {
        /// In a file of the data folder.
        Sqlite = "sqlite",
        /// In Redis, where each node finds it.
        Redis = "redis",
    }
}

words! {
    /// For which rooms sharded pub/sub has channels of their own.
    SubscriptionMode {
        /// For none.
        Static = "static",
        /// For those that aren't a socket's own.
        Dynamic = "dynamic",
        /// For each.
        DynamicPrivate = "dynamic-private",
    }
}

section! {
    /// A fleet: nodes that share rooms and store through Redis, with each other and with servers in Node.
    Redis as "redis" {
        /// Where Redis (6.2 or newer) is: redis://[user:password@]host[:6379][/db], rediss://… for TLS,
        /// redis+unix:///path, redis+sentinel://[user:password@]host[:26379],host…/NAME[/db] (with
        /// ?sentinel_user=…&sentinel_password=… where the sentinels ask for them), or
        /// redis+cluster://[user:password@]host[:6379],host…; rediss+sentinel and rediss+cluster for TLS. Unset: one node alone.
        url: Option<RedisUrl> = None;
        /// File that holds the URL instead, since there may be a password in it.
        url_file: Option<PathBuf> = None;
        /// How nodes reach each other: "local" (not at all), "redis" (pub/sub), "redis-sharded" (pub/sub of Redis 7) or
        /// "redis-streams", the only one with a log, so the only one with which clients recover on another node. Servers in
        /// Node use the adapter of the same kind. Unset: "redis-streams" where there is a URL, else "local".
        broker: Option<Broker> = None;
        /// Where modules keep their data: "sqlite", in a file of this node's data folder, or "redis", the same for all nodes.
        /// Unset: "redis" where there is a URL, else "sqlite".
        store: Option<StoreKind> = None;
        /// What the names of all channels begin with: `key` or `channelPrefix` of Node's adapters. Fleets that share a Redis
        /// and are none of each other's business each need their own.
        key: String = "socket.io".into();
        /// For which rooms "redis-sharded" has channels of their own, as `subscriptionMode` in Node: "static" for none, "dynamic"
        /// for all but those that are a socket's own, "dynamic-private" for each. The same for all of a fleet.
        subscription_mode: SubscriptionMode = SubscriptionMode::Dynamic;
        /// Name of the stream, as `streamName` in Node.
        stream: String = "socket.io".into();
        /// Entries that the stream keeps, about: `maxLen` in Node, which has 10000; the smallest of a fleet counts. Clients
        /// recover as far back as it reaches: at 500 broadcasts a second 100000 are 200 s.
        stream_max_len: u64 = 100_000;
        /// What the keys of sessions begin with, as `sessionKeyPrefix` in Node.
        session_prefix: String = "sio:session:".into();
        /// What the keys of the store begin with.
        store_prefix: String = "lakh:".into();
        /// Replicas that must have a write of the store before it is acknowledged (WAIT).
        store_replicas: u32 = 0;
        /// Bytes that may wait to be sent to the other nodes, as many as may have come from them. Broadcasts to
        /// recoverable namespaces wait here while Redis is away.
        queue_bytes: u64 = 67_108_864;
        /// Time that making a connection may take.
        connect_timeout_ms: u64 = 3_000;
        /// Time after which a silent Redis is given up.
        answer_timeout_ms: u64 = 5_000;
        /// Time that a node waits for Redis at its start. Past it the process ends with 1, for whoever started it to try again.
        start_timeout_ms: u64 = 30_000;
    }
    check |redis, wrong| {
        // Where the file can't be read, that is the problem.
        if redis.url.is_none() && redis.url_file.is_none() {
            if redis.broker() != Broker::Local {
                wrong.push(("broker", format!("is \"{}\" and {NO_URL}", redis.broker().word())));
            }
            if redis.store() == StoreKind::Redis {
                wrong.push(("store", format!("is \"redis\" and {NO_URL}")));
            }
        }
        for (key, text) in [("key", &redis.key), ("stream", &redis.stream),
            ("session_prefix", &redis.session_prefix), ("store_prefix", &redis.store_prefix)]
        {
            if text.is_empty() || text.len() > 256 {
                wrong.push((key, "must have 1 to 256 bytes".into()));
            }
        }
        above_zero(wrong, &[
            ("stream_max_len", redis.stream_max_len),
            ("queue_bytes", redis.queue_bytes),
            ("connect_timeout_ms", redis.connect_timeout_ms),
            ("answer_timeout_ms", redis.answer_timeout_ms),
        ]);
    };
}

const NO_URL: &str = "nothing says where Redis is: give --redis URL, LAKH_REDIS or `redis.url`";

impl Redis {
    /// How nodes reach each other: as set, or what fits the rest.
    pub fn broker(&self) -> Broker {
        match self.url {
            Some(_) => self.broker.unwrap_or(Broker::RedisStreams),
            None => self.broker.unwrap_or(Broker::Local),
        }
    }

    /// Where the store is: as set, or what fits the rest.
    pub fn store(&self) -> StoreKind {
        match self.url {
            Some(_) => self.store.unwrap_or(StoreKind::Redis),
            None => self.store.unwrap_or(StoreKind::Sqlite),
        }
    }
}
