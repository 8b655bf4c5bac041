//! Topics of Kafka. Its client knows no consumer groups: how far each partition was read stands in our own store.
//!
//! A sink sends all that belongs to a room to one partition, so that its order is kept.

use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use lakh_hub::Bytes;
use rskafka::BackoffConfig;
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder, Credentials, SaslConfig};
use rskafka::record::{Record, RecordAndOffset};

use super::super::mapping::Entry;
use super::super::settings::{From, SourceSettings, Url};
use super::super::trouble::Trouble;
use super::{ANSWER, LINGER, Message, Positions, Pulled, Receipt, begins_at_end, epitaph};

/// Header by which messages of a sink are told apart.
const ID: &str = "lakh-id";

fn trouble(error: rskafka::client::error::Error) -> Trouble {
    match error {
        rskafka::client::error::Error::ServerError { .. } => Trouble::refused(error),
        _ => Trouble::away(error),
    }
}

async fn connect(url: &Url) -> Result<Client, Trouble> {
    let wrong = || Trouble::Refused("the URL is kafka://[user:password@]host:port,…".to_owned());
    let rest = url.0.strip_prefix("kafka://").ok_or_else(wrong)?;
    let (sign_in, brokers) = match rest.rsplit_once('@') {
        Some((sign_in, brokers)) => (Some(sign_in.split_once(':').ok_or_else(wrong)?), brokers),
        None => (None, rest),
    };
    let brokers = brokers.trim_end_matches('/').split(',').map(str::to_owned);
    let mut builder = ClientBuilder::new(brokers.collect())
        .client_id("lakh")
        // Who uses it has a backoff of its own, and tells what is wrong.
        .backoff_config(BackoffConfig {
            deadline: Some(ANSWER / 2),
            ..BackoffConfig::default()
        });
    if let Some((user, password)) = sign_in {
        let credentials = Credentials::new(user.to_owned(), password.to_owned());
        builder = builder.sasl_config(SaslConfig::Plain(credentials));
    }
    builder.build().await.map_err(trouble)
}

async fn partitions(client: &Client, topic: &str) -> Result<Vec<i32>, Trouble> {
    let topics = client.list_topics().await.map_err(trouble)?;
    let found = topics.into_iter().find(|found| found.name == topic);
    let found = found.map(|found| found.partitions.into_iter().collect::<Vec<_>>());
    found
        .filter(|partitions| !partitions.is_empty())
        .ok_or_else(|| Trouble::Refused(format!("there is no topic `{topic}`")))
}

async fn partition(client: &Client, topic: &str, number: i32) -> Result<PartitionClient, Trouble> {
    client
        .partition_client(topic, number, UnknownTopicHandling::Error)
        .await
        .map_err(trouble)
}

struct Partition {
    client: PartitionClient,
    number: i32,
    next: i64,
    /// What the broker has beyond it.
    end: i64,
}

pub(crate) struct Reader {
    client: Client,
    topic: String,
    partitions: Vec<Partition>,
    /// Which is asked first next time.
    turn: usize,
    window_bytes: i32,
}

impl Reader {
    pub(super) async fn open(
        settings: &SourceSettings,
        positions: &Positions,
    ) -> Result<Self, Trouble> {
        let From::Kafka { url, topic } = &settings.from else {
            return Err(Trouble::Refused("not a source of Kafka".to_owned()));
        };
        let client = connect(url).await?;
        let mut opened = Vec::new();
        for number in partitions(&client, topic).await? {
            let partition = partition(&client, topic, number).await?;
            let earliest = partition.get_offset(OffsetAt::Earliest).await;
            let earliest = earliest.map_err(trouble)?;
            let next = match positions.get(&number) {
                Some(done) => i64::try_from(*done).map_or(i64::MAX, |done| done + 1),
                None if begins_at_end(settings.start, positions) => partition
                    .get_offset(OffsetAt::Latest)
                    .await
                    .map_err(trouble)?,
                None => 0,
            };
            if next < earliest && positions.contains_key(&number) {
                let lost = earliest - next;
                tracing::warn!(
                    topic,
                    number,
                    lost,
                    "entries were removed before they were read"
                );
            }
            opened.push(Partition {
                client: partition,
                number,
                next: next.max(earliest),
                end: 0,
            });
        }
        Ok(Self {
            client,
            topic: topic.clone(),
            partitions: opened,
            turn: 0,
            window_bytes: i32::try_from(settings.window_bytes).unwrap_or(i32::MAX),
        })
    }

    /// What the first partition has that has anything; the next one's turn comes next. All are asked before any is waited
    /// for.
    pub(super) async fn pull(&mut self, count: usize) -> Result<Vec<Pulled>, Trouble> {
        let all = self.partitions.len();
        let share = LINGER.as_millis() / all.max(1) as u128;
        let share = i32::try_from(share).unwrap_or(i32::MAX);
        for turn in 0..2 * all {
            let wait = if turn < all { 0 } else { share };
            let pulled = self.pull_next(count, wait).await?;
            if !pulled.is_empty() {
                return Ok(pulled);
            }
        }
        Ok(Vec::new())
    }

    async fn pull_next(&mut self, count: usize, wait_ms: i32) -> Result<Vec<Pulled>, Trouble> {
        let all = self.partitions.len();
        let partition = &mut self.partitions[self.turn % all];
        self.turn = (self.turn + 1) % all;
        let (number, next) = (partition.number, partition.next);
        let window = 1..self.window_bytes;
        let fetched = partition.client.fetch_records(next, window, wait_ms);
        let (records, end) = fetched.await.map_err(trouble)?;
        partition.end = end;
        let records = records.into_iter().filter(|record| record.offset >= next);
        let records = records.take(count);
        let pulled: Vec<_> = records.map(|record| entry(number, record)).collect();
        if let Some((_, last)) = pulled.last().and_then(|last| last.place) {
            partition.next = i64::try_from(last).map_or(i64::MAX, |last| last + 1);
        }
        Ok(pulled)
    }

    pub(super) async fn bury(&mut self, to: &str, entry: &Entry, why: &str) -> Result<(), Trouble> {
        let topic = if to.is_empty() { &self.topic } else { to };
        let mut headers: std::collections::BTreeMap<_, _> = entry.fields.iter().cloned().collect();
        for (name, value) in epitaph(entry, why) {
            headers.insert(name.to_owned(), Bytes::copy_from_slice(value.as_bytes()));
        }
        let record = Record {
            key: Some(entry.key.as_bytes().to_vec()),
            value: Some(entry.body.to_vec()),
            headers: headers
                .into_iter()
                .map(|(name, value)| (name, value.to_vec()))
                .collect(),
            timestamp: Default::default(),
        };
        let number = partitions(&self.client, topic).await?[0];
        let partition = partition(&self.client, topic, number).await?;
        let sent = partition.produce(vec![record], Compression::NoCompression);
        sent.await.map_err(trouble)?;
        Ok(())
    }

    pub(super) fn lag(&self) -> Option<u64> {
        let lag =
            |partition: &Partition| u64::try_from(partition.end - partition.next).unwrap_or(0);
        Some(self.partitions.iter().map(lag).sum())
    }
}

fn entry(partition: i32, found: RecordAndOffset) -> Pulled {
    let RecordAndOffset { record, offset } = found;
    let own = record
        .headers
        .get(ID)
        .map(|id| String::from_utf8_lossy(id).into_owned());
    let fields = record.headers.into_iter();
    Pulled {
        entry: Entry {
            id: own.unwrap_or_else(|| format!("{partition}:{offset}")),
            fields: fields
                .map(|(name, value)| (name, Bytes::from(value)))
                .collect(),
            key: String::from_utf8_lossy(&record.key.unwrap_or_default()).into_owned(),
            body: Bytes::from(record.value.unwrap_or_default()),
        },
        place: Some((partition, u64::try_from(offset).unwrap_or(0))),
        receipt: Receipt::Stored,
    }
}

pub(crate) struct Writer {
    partitions: Vec<Arc<PartitionClient>>,
}

impl Writer {
    pub(super) async fn open(url: &Url, topic: &str) -> Result<Self, Trouble> {
        let client = connect(url).await?;
        let mut opened = Vec::new();
        for number in partitions(&client, topic).await? {
            opened.push(Arc::new(partition(&client, topic, number).await?));
        }
        Ok(Self { partitions: opened })
    }

    pub(super) async fn send(&mut self, messages: &[Message]) -> Result<(), Trouble> {
        let mut parts: Vec<Vec<Record>> = vec![Vec::new(); self.partitions.len()];
        for message in messages {
            let headers = [
                (ID, message.id.as_bytes()),
                ("lakh-kind", message.kind.as_bytes()),
            ];
            parts[place(&message.room, self.partitions.len())].push(Record {
                key: Some(message.room.as_bytes().to_vec()),
                value: Some(message.body.to_vec()),
                headers: headers
                    .map(|(name, value)| (name.to_owned(), value.to_vec()))
                    .into(),
                timestamp: Default::default(),
            });
        }
        for (partition, records) in self.partitions.iter().zip(parts) {
            if !records.is_empty() {
                let sent = partition.produce(records, Compression::NoCompression);
                sent.await.map_err(trouble)?;
            }
        }
        Ok(())
    }
}

/// The partition of a room: the same on each node and in each life.
fn place(room: &str, partitions: usize) -> usize {
    /// FNV-1a: fixed for ever, unlike the standard library's.
    struct Fnv(u64);
    impl std::hash::Hasher for Fnv {
        fn finish(&self) -> u64 {
            self.0
        }

        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    room.hash(&mut hasher);
    usize::try_from(hasher.finish() % partitions.max(1) as u64).unwrap_or(0)
}
