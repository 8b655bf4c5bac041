//! The brokers: what each can do, behind one enum for reading and one for sending.
//!
//! All that is the same for all of them (leases, dedupe, order, waiting) stands in [`super::source`] and [`super::sink`].

#[cfg(feature = "kafka")]
mod kafka;
mod nats;
mod rabbit;
mod redis;

use std::collections::BTreeMap;
use std::time::Duration;

use lakh_hub::Bytes;

use super::mapping::Entry;
use super::settings::{From, SourceSettings, Start, To};
use super::trouble::Trouble;

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a broker may be silent where it owes an answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a broker that has nothing new is waited for before anything else is looked after.
const LINGER: Duration = Duration::from_secs(1);

/// How far a source was read, by partition: the last entry that is done with. Empty where the broker keeps that by itself.
pub(super) type Positions = BTreeMap<i32, u64>;

/// An entry and its place.
#[derive(Debug)]
pub(super) struct Pulled {
    pub(super) entry: Entry,
    /// Partition and number, where the broker numbers its entries.
    pub(super) place: Option<(i32, u64)>,
    /// By which it is acknowledged.
    pub(super) receipt: Receipt,
}

/// By which an entry is acknowledged.
#[derive(Debug)]
pub(super) enum Receipt {
    /// Its id in the stream of Redis.
    Id(String),
    /// By itself and all before it.
    Nats(Box<async_nats::jetstream::Message>),
    /// Its tag on the channel.
    Tag(u64),
    /// Our own store keeps the place.
    #[cfg(feature = "kafka")]
    Stored,
}

/// What a source reads from.
pub(super) enum Reader {
    Redis(redis::Reader),
    Nats(Box<nats::Reader>),
    Rabbit(Box<rabbit::Reader>),
    #[cfg(feature = "kafka")]
    Kafka(Box<kafka::Reader>),
}

impl Reader {
    /// Connects, and goes on behind `positions`.
    pub(super) async fn open(
        settings: &SourceSettings,
        node: &str,
        positions: &Positions,
    ) -> Result<Self, Trouble> {
        let opening = async {
            Ok(match &settings.from {
                From::Redis { .. } => Self::Redis(redis::Reader::open(settings, node).await?),
                From::Nats { .. } => {
                    Self::Nats(Box::new(nats::Reader::open(settings, positions).await?))
                }
                From::Rabbit { .. } => {
                    Self::Rabbit(Box::new(rabbit::Reader::open(settings).await?))
                }
                #[cfg(feature = "kafka")]
                From::Kafka { .. } => {
                    Self::Kafka(Box::new(kafka::Reader::open(settings, positions).await?))
                }
                #[cfg(not(feature = "kafka"))]
                From::Kafka { .. } => return Err(Trouble::NotBuilt("kafka")),
            })
        };
        bounded(opening).await
    }

    /// Ends, so that what is not acknowledged is the next reader's.
    pub(super) async fn close(self) {
        if let Self::Rabbit(reader) = self {
            reader.close().await;
        }
    }

    /// The next entries in their order, at most `count`; none if nothing came for a moment.
    pub(super) async fn pull(&mut self, count: usize) -> Result<Vec<Pulled>, Trouble> {
        let pulling = async {
            match self {
                Self::Redis(reader) => reader.pull(count).await,
                Self::Nats(reader) => reader.pull(count).await,
                Self::Rabbit(reader) => reader.pull(count).await,
                #[cfg(feature = "kafka")]
                Self::Kafka(reader) => reader.pull(count).await,
            }
        };
        bounded(pulling).await
    }

    /// Tells the broker that these, which are all that were pulled last, are done with.
    pub(super) async fn acknowledge(&mut self, pulled: &[Pulled]) -> Result<(), Trouble> {
        let acknowledging = async {
            match self {
                Self::Redis(reader) => reader.acknowledge(pulled).await,
                Self::Nats(reader) => reader.acknowledge(pulled).await,
                Self::Rabbit(reader) => reader.acknowledge(pulled).await,
                #[cfg(feature = "kafka")]
                Self::Kafka(_) => Ok(()),
            }
        };
        bounded(acknowledging).await
    }

    /// Puts an entry where those lie that can't be published.
    pub(super) async fn bury(&mut self, to: &str, entry: &Entry, why: &str) -> Result<(), Trouble> {
        let burying = async {
            match self {
                Self::Redis(reader) => reader.bury(to, entry, why).await,
                Self::Nats(reader) => reader.bury(to, entry, why).await,
                Self::Rabbit(reader) => reader.bury(to, entry, why).await,
                #[cfg(feature = "kafka")]
                Self::Kafka(reader) => reader.bury(to, entry, why).await,
            }
        };
        bounded(burying).await
    }

    /// How many entries wait at the broker, if it knows.
    pub(super) async fn lag(&mut self) -> Option<u64> {
        let asking = async {
            match self {
                Self::Redis(reader) => reader.lag().await,
                Self::Nats(reader) => reader.lag().await,
                Self::Rabbit(reader) => reader.lag().await,
                #[cfg(feature = "kafka")]
                Self::Kafka(reader) => Ok(reader.lag()),
            }
        };
        bounded(asking).await.ok().flatten()
    }
}

/// A message on its way out.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// The same whenever it is sent again.
    pub(super) id: String,
    /// Stream, subject, routing key or topic.
    pub(super) target: String,
    /// What keeps its order among others.
    pub(super) room: String,
    /// What kind of thing it tells.
    pub(super) kind: &'static str,
    /// JSON.
    pub(super) body: Bytes,
}

/// What a sink sends to.
pub(super) enum Writer {
    Redis(redis::Writer),
    Nats(nats::Writer),
    Rabbit(Box<rabbit::Writer>),
    #[cfg(feature = "kafka")]
    Kafka(kafka::Writer),
}

impl Writer {
    pub(super) async fn open(to: &To) -> Result<Self, Trouble> {
        let opening = async {
            Ok(match to {
                To::Redis { url, max_len, .. } => {
                    Self::Redis(redis::Writer::open(url, *max_len).await?)
                }
                To::Nats { url, .. } => Self::Nats(nats::Writer::open(url).await?),
                To::Rabbit { url, exchange, .. } => {
                    Self::Rabbit(Box::new(rabbit::Writer::open(url, exchange).await?))
                }
                #[cfg(feature = "kafka")]
                To::Kafka { url, topic } => Self::Kafka(kafka::Writer::open(url, topic).await?),
                #[cfg(not(feature = "kafka"))]
                To::Kafka { .. } => return Err(Trouble::NotBuilt("kafka")),
            })
        };
        bounded(opening).await
    }

    /// Sends messages in their order, and waits until the broker has all of them but those that it would never take, of
    /// which it says how many they were. After an error some of the messages may be there.
    pub(super) async fn send(&mut self, messages: &[Message]) -> Result<usize, Trouble> {
        let sending = async {
            match self {
                Self::Redis(writer) => writer.send(messages).await.map(|()| 0),
                Self::Nats(writer) => writer.send(messages).await,
                Self::Rabbit(writer) => writer.send(messages).await.map(|()| 0),
                #[cfg(feature = "kafka")]
                Self::Kafka(writer) => writer.send(messages).await.map(|()| 0),
            }
        };
        bounded(sending).await
    }

    /// Whether the broker still answers; waits a moment between looks.
    pub(super) async fn check(&mut self) -> Result<(), Trouble> {
        let checking = async {
            match self {
                Self::Redis(writer) => writer.check().await,
                Self::Nats(writer) => writer.check().await,
                Self::Rabbit(writer) => writer.check(),
                #[cfg(feature = "kafka")]
                Self::Kafka(_) => Ok(()),
            }
        };
        bounded(checking).await
    }
}

/// Where a source begins that has no position yet, as a position.
fn begins_at_end(start: Start, positions: &Positions) -> bool {
    start == Start::New && positions.is_empty()
}

async fn bounded<T>(work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    match tokio::time::timeout(ANSWER + LINGER, work).await {
        Ok(done) => done,
        Err(_) => Err(Trouble::Away(format!("no answer within {ANSWER:?}"))),
    }
}

/// The headers with which an entry is buried.
fn epitaph<'a>(entry: &'a Entry, why: &'a str) -> [(&'static str, &'a str); 2] {
    [("lakh-id", &entry.id), ("lakh-reason", why)]
}
