//! The log by itself: what is left of it after it was trimmed, and after what can't be read.

use lakh_broker::cluster::{Data, Opts};
use lakh_broker::redis::Event;
use lakh_wire::Millis;

use super::*;
use crate::settings::{Clock, Settings};

struct Standing;

impl Clock for Standing {
    fn now(&self) -> Millis {
        Millis(0)
    }

    fn wall_ms(&self) -> u64 {
        1_790_000_000_000
    }
}

fn hub() -> Hub {
    Hub::new(Settings::default(), Standing)
}

fn broadcast(text: &str) -> Message {
    Message::Broadcast {
        data: Data::Json(format!("[{text:?}]")),
        opts: Opts::default(),
        ack: None,
    }
}

/// Publishes, and gives the places.
async fn publish(log: &StoreLog, writer: &mut Writer, hub: &Hub, count: usize) -> Vec<StreamId> {
    for n in 0..count {
        let nsp = if n % 2 == 0 { "/" } else { "/other" };
        log.append(nsp, broadcast(&n.to_string()), None).unwrap();
    }
    let mut places = Vec::new();
    while places.len() < count {
        for event in writer.recv_many(hub).await {
            if let Event::Appended { offset, .. } = event {
                places.push(offset);
            }
        }
    }
    places
}

#[tokio::test]
async fn what_was_trimmed_is_told_from_what_is_whole() {
    let (store, hub) = (Store::memory(), hub());
    let (log, mut writer) = StoreLog::new(store.clone(), 0);
    let start = log.start(&hub).await.unwrap();
    let places = publish(&log, &mut writer, &hub, 100).await;
    let all = log.read("/", start, 60).await.unwrap();
    assert_eq!((all.entries.len(), all.whole, all.end), (30, true, false));
    let rest = log.read("/", all.last, 60).await.unwrap();
    assert_eq!((rest.entries.len(), rest.whole, rest.end), (20, true, true));
    assert_eq!(rest.last, places[99]);

    log.tidy(&hub, u64::MAX, store.log_info(LOG).await.unwrap().bytes / 2)
        .await;
    let before = log.before_first().await.unwrap();
    assert!(before > places[40] && before < places[60], "{before}");
    assert!(!log.read("/", places[40], 60).await.unwrap().whole);
    let kept = log.read("/", before, 60).await.unwrap();
    assert!(kept.whole && kept.end);
    assert_eq!(kept.entries.last().unwrap().offset, places[98]);
    // Nothing is left, and what comes now is behind it.
    log.tidy(&hub, u64::MAX, 0).await;
    assert_eq!(log.before_first().await.unwrap(), places[99]);
    assert!(log.read("/", places[99], 60).await.unwrap().whole);
    assert!(publish(&log, &mut writer, &hub, 1).await[0] > places[99]);
}

#[tokio::test]
async fn an_entry_of_another_format_is_as_good_as_trimmed() {
    let (store, hub) = (Store::memory(), hub());
    let (log, mut writer) = StoreLog::new(store.clone(), 0);
    log.start(&hub).await.unwrap();
    let places = publish(&log, &mut writer, &hub, 4).await;
    let newer = lakh_store::Entry::new(0, vec![2, 3]);
    store.append(LOG, vec![newer]).await.unwrap();
    let (log, mut writer) = StoreLog::new(store.clone(), 0);
    log.start(&hub).await.unwrap();
    let after = publish(&log, &mut writer, &hub, 1).await;
    let page = log.read("/", places[0], 10).await.unwrap();
    assert!(!page.whole);
    assert_eq!(page.entries.len(), 1);
    assert_eq!(page.entries[0].offset, after[0]);
}

#[tokio::test]
async fn what_was_published_before_the_end_is_written_and_nothing_after_it() {
    let (store, hub) = (Store::memory(), hub());
    let (log, mut writer) = StoreLog::new(store.clone(), 0);
    log.start(&hub).await.unwrap();
    log.append("/", broadcast("a"), None).unwrap();
    let (closed, events) = tokio::join!(log.close(), async {
        let mut events = Vec::new();
        loop {
            let some = writer.recv_many(&hub).await;
            if some.is_empty() {
                drop(writer);
                return events;
            }
            events.extend(some);
        }
    });
    assert_eq!((closed, events.len()), ((), 2));
    assert_eq!(store.last_seq(LOG).await.unwrap(), 1);
    let refused = log.append("/", broadcast("b"), None);
    assert_eq!(refused, Err(PublishError::Closed));
}

#[tokio::test]
async fn a_store_that_is_closed_first_ends_the_log() {
    let (store, hub) = (Store::memory(), hub());
    let (log, mut writer) = StoreLog::new(store.clone(), 0);
    log.start(&hub).await.unwrap();
    store.close().await.unwrap();
    log.append("/", broadcast("a"), Some((("counter", 0), None)))
        .unwrap();
    assert!(writer.recv_many(&hub).await.is_empty());
    drop(writer);
    log.close().await;
    assert_eq!(store.health(), lakh_store::Health::Closed);
}

#[tokio::test]
async fn what_waits_is_bounded_in_bytes() {
    let (log, mut writer) = StoreLog::new(Store::memory(), 0);
    let hub = hub();
    log.start(&hub).await.unwrap();
    let long = "x".repeat(1 << 20);
    let mut taken = 0;
    while log.append("/", broadcast(&long), None).is_ok() {
        taken += 1;
    }
    assert!((30..=32).contains(&taken), "{taken}");
    assert!(log.waiting_bytes() <= QUEUE_BYTES);
    assert!(!writer.recv_many(&hub).await.is_empty());
    assert!(log.append("/", broadcast(&long), None).is_ok());
    // One that alone is too much is taken when nothing waits, or never.
    let larger = "x".repeat(lakh_store::MAX_VALUE_BYTES);
    let refused = log.append("/", broadcast(&larger), None);
    assert_eq!(refused, Err(PublishError::Uncounted));
}
