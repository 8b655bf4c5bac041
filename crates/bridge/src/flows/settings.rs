//! How sources and sinks are set up.

use std::fmt;
use std::time::Duration;

use super::mapping::Mapping;

/// An address that may hold a password: it shows itself nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(pub String);

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Url(***)")
    }
}

/// Where a source begins that has not been read before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With all that is there.
    #[default]
    All,
    /// With what comes from now on.
    New,
}

/// Where events are read from.
#[derive(Clone, Debug)]
pub enum From {
    /// A stream of Redis, through a consumer group that is this source's own.
    Redis {
        /// `redis://`, `rediss://` or `redis+unix://`.
        url: Url,
        /// The stream's key.
        stream: String,
        /// The consumer group.
        group: String,
        /// The field that holds an entry's body.
        body: String,
    },
    /// A stream of NATS JetStream, through a durable pull consumer.
    Nats {
        /// `nats://` or `tls://`, with user and password or a token.
        url: Url,
        /// The stream.
        stream: String,
        /// Which subjects of it; empty for all.
        subject: String,
        /// Name of the durable consumer.
        durable: String,
    },
    /// A queue of RabbitMQ.
    Rabbit {
        /// `amqp://` or `amqps://`.
        url: Url,
        /// The queue. One that isn't there is declared: quorum, durable, with a single active consumer.
        queue: String,
        /// The exchange that the queue is bound to, if it is to be bound.
        exchange: Option<String>,
        /// The key that it is bound with.
        routing_key: String,
    },
    /// All partitions of a topic of Kafka.
    Kafka {
        /// `kafka://[user:password@]host:port,…`, or `kafkas://` for TLS.
        url: Url,
        /// The topic.
        topic: String,
    },
}

/// A source of events.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// Its name: under it stand its lease, its position and its figures.
    pub name: String,
    /// Where it reads.
    pub from: From,
    /// Where it begins the first time.
    pub start: Start,
    /// What becomes of an entry.
    pub mapping: Mapping,
    /// Stream, subject, queue or topic for entries that can't be published; `None` counts and skips them.
    pub dead_letter: Option<String>,
    /// Entries taken at once at most.
    pub window_entries: usize,
    /// Bytes of them, about; a single entry may be larger.
    pub window_bytes: usize,
    /// How long an entry is remembered by its id.
    pub dedupe: Duration,
}

/// Where events are sent on to.
#[derive(Clone, Debug)]
pub enum To {
    /// A stream of Redis.
    Redis {
        /// As in [`From::Redis`].
        url: Url,
        /// The stream's key, a pattern.
        stream: String,
        /// Entries that it keeps, about; 0 keeps all.
        max_len: u64,
    },
    /// Subjects that a stream of NATS JetStream takes.
    Nats {
        /// As in [`From::Nats`].
        url: Url,
        /// The subject, a pattern.
        subject: String,
    },
    /// An exchange of RabbitMQ.
    Rabbit {
        /// As in [`From::Rabbit`].
        url: Url,
        /// The exchange; empty for the one that leads to queues by their names.
        exchange: String,
        /// The routing key, a pattern.
        routing_key: String,
    },
    /// A topic of Kafka.
    Kafka {
        /// As in [`From::Kafka`].
        url: Url,
        /// The topic.
        topic: String,
    },
}

/// What becomes of occurrences for which the queue has no more room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The oldest that wait are dropped, and counted.
    #[default]
    DropOldest,
    /// The new ones are dropped, and counted.
    DropNewest,
}

/// A sink of events.
#[derive(Clone, Debug)]
pub struct SinkSettings {
    /// Its name: under it stand its queue, its lease and its figures.
    pub name: String,
    /// Where it sends.
    pub to: To,
    /// What it wants.
    pub filter: super::filter::Filter,
    /// Bytes that may wait in the store.
    pub queue_bytes: u64,
    /// What happens past them.
    pub overflow: Overflow,
    /// Messages sent before their confirmations are awaited.
    pub batch: usize,
}
