//! What a test does with the mock cluster, over the same client as the driver's.

use std::collections::BTreeMap;

use rskafka::client::ClientBuilder;
use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::record::Record;

use crate::brokers::{Put, Seen};

async fn partitions(url: &str, topic: &str) -> Vec<PartitionClient> {
    let address = url.strip_prefix("kafka://").unwrap().to_owned();
    let client = ClientBuilder::new(vec![address]).build().await.unwrap();
    let topics = client.list_topics().await.unwrap();
    let found = topics
        .into_iter()
        .find(|found| found.name == topic)
        .unwrap();
    let mut partitions = Vec::new();
    for number in found.partitions {
        let partition = client.partition_client(topic, number, UnknownTopicHandling::Error);
        partitions.push(partition.await.unwrap());
    }
    partitions
}

/// All of a room to one partition.
pub(crate) async fn put(url: &str, topic: &str, entries: &[Put<'_>]) {
    let partitions = partitions(url, topic).await;
    for entry in entries {
        let record = Record {
            key: Some(entry.room.into()),
            value: Some(entry.body.clone().into()),
            headers: BTreeMap::from([("room".to_owned(), entry.room.into())]),
            timestamp: Default::default(),
        };
        let place = usize::from(*entry.room.as_bytes().last().unwrap()) % partitions.len();
        let sent = partitions[place].produce(vec![record], Compression::NoCompression);
        sent.await.unwrap();
    }
}

pub(crate) async fn all(url: &str, topic: &str) -> Vec<Seen> {
    let mut seen = Vec::new();
    for partition in partitions(url, topic).await {
        let mut next = 0;
        loop {
            let (records, end) = partition
                .fetch_records(next, 1..1_000_000, 100)
                .await
                .unwrap();
            let begin = next;
            for found in records.into_iter().filter(|found| found.offset >= begin) {
                next = found.offset + 1;
                let id = found
                    .record
                    .headers
                    .get("lakh-id")
                    .cloned()
                    .unwrap_or_default();
                let json = serde_json::from_slice(&found.record.value.unwrap_or_default());
                seen.push((String::from_utf8(id).unwrap(), json.unwrap_or_default()));
            }
            if next >= end {
                break;
            }
        }
    }
    seen
}
