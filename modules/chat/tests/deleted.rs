//! Deleting, expiring and pinning messages, through the hub, on each of the store's backends.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use driver::START_MS;
use lakh_hub::store::{Answer, Query, Range, Scan, Store};
use room::{at, here, in_room, message, on_each_store, say, user, with, with_each_store};
use serde_json::{Value, json};

/// All that the store holds of a room's messages, as text.
async fn stored(store: &Store) -> String {
    let scan = |collection: &str| Query::Scan {
        collection: collection.to_owned(),
        scan: Scan::default(),
    };
    let range = |log: &str| Query::Range {
        log: log.to_owned(),
        range: Range::from(1, 100),
    };
    let queries = vec![
        range("chat:r"),
        range("chat_changes:r"),
        scan("chat_overlay:r"),
        scan("chat_edits:r"),
        scan("chat_reactions:r"),
        scan("chat_reactors:r"),
        scan("chat_mentions:dev:ben"),
    ];
    let mut all = String::new();
    for answer in store.read(START_MS, queries).await.expect("read") {
        let values: Vec<_> = match answer {
            Answer::Entries(page) => page.entries.into_iter().map(|entry| entry.value).collect(),
            Answer::Documents(page) => page
                .items
                .into_iter()
                .flat_map(|(key, document)| [key.into(), document.value])
                .collect(),
            other => panic!("{other:?}"),
        };
        for value in values {
            all += std::str::from_utf8(&value).expect("text");
            all += "\n";
        }
    }
    all
}

#[test]
fn what_is_deleted_is_gone_and_its_number_stays() {
    with_each_store(async |on, clock, store| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        let request = with(
            message("k", "secret"),
            json!({"data": {"secret": 1}, "mentions": ["dev:ben"]}),
        );
        let said = say(&ada, request).await;
        ada.ok("message:edit", with(at(1), json!({"text": "secret too"})))
            .await;
        ben.ok("reaction:add", with(at(1), json!({"emoji": "👍"})))
            .await;
        ada.ok("message:pin", with(at(1), json!({"pinned": true})))
            .await;
        ben.received();
        assert_eq!(ben.refused("message:delete", at(1)).await, "forbidden");
        clock.advance(9);
        let left = ada.ok("message:delete", at(1)).await["message"].take();
        let deleted = json!({"by": user("Ada"), "at": START_MS + 9, "purged": false});
        let tombstone = json!({
            "room": "r", "seq": 1, "key": "k", "from": user("Ada"), "time": said["time"], "text": "", "deleted": deleted
        });
        assert_eq!(left, tombstone);
        let change = ben.heard("message:changed").await;
        assert_eq!(change["what"], "delete");
        assert_eq!(
            ben.ok("message:history", in_room()).await["messages"],
            json!([tombstone])
        );
        let kept = stored(&store).await;
        assert_eq!(
            kept.matches("secret").count(),
            1,
            "only what it said before: {kept}"
        );
        assert!(
            !kept.contains("👍") && !kept.contains("r\n0000000000000001"),
            "{kept}"
        );
        assert_eq!(ada.ok("pin:list", in_room()).await["pins"], json!([]));
        // What was said before is for moderators until it's purged.
        assert_eq!(
            ada.ok("message:edits", at(1)).await["edits"][0]["text"],
            "secret"
        );
        assert_eq!(ben.refused("message:purge", at(1)).await, "forbidden");
        ada.ok("message:purge", at(1)).await;
        assert!(!stored(&store).await.contains("secret"));
        assert_eq!(
            ben.heard("message:changed").await["set"]["deleted"]["purged"],
            true
        );
        for (name, request) in [
            ("message:edit", json!({"text": "x"})),
            ("message:pin", json!({"pinned": true})),
            ("reaction:add", json!({"emoji": "👍"})),
            ("message:forward", json!({"to": ["r"], "key": "f"})),
        ] {
            assert_eq!(
                ada.refused(name, with(at(1), request)).await,
                "not_found",
                "{name}"
            );
        }
        // Sent again with its key it's what is left of it.
        let again = ada.ok("message:send", message("k", "secret")).await;
        assert_eq!(again["message"]["deleted"]["purged"], true);
        assert_eq!(say(&ben, message("l", "next")).await["seq"], 2);
    });
}

#[test]
fn a_message_that_has_expired_is_read_by_nobody() {
    with_each_store(async |on, clock, store| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        let said = say(
            &ada,
            with(message("k", "secret"), json!({"expires_in_s": 60})),
        )
        .await;
        let at_ms = START_MS + 60_000;
        assert_eq!(said["expires_at"], at_ms);
        let due = store
            .scan(START_MS, "chat_due", Scan::default())
            .await
            .expect("read");
        let (key, document) = &due.items[0];
        assert_eq!(*key, format!("{at_ms:016}\nr\n{:016}", 1));
        let record: Value = serde_json::from_slice(&document.value).expect("JSON");
        assert_eq!(record, json!({"do": "expire", "room": "r"}));
        assert_eq!(ben.ok("message:get", at(1)).await["message"], said);
        clock.advance(60_000);
        let left = ben.ok("message:get", at(1)).await["message"].take();
        assert_eq!(left["deleted"], json!({"at": at_ms, "purged": true}));
        assert_eq!(left["text"], "");
        assert_eq!(
            ben.ok("message:history", in_room()).await["messages"],
            json!([left])
        );
    });
}

#[test]
fn a_hundred_messages_are_pinned_at_most() {
    on_each_store(async |on, _| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        for number in 1..=101 {
            say(&ada, message(&number.to_string(), "x")).await;
        }
        ben.received();
        assert_eq!(
            ben.refused("message:pin", with(at(1), json!({"pinned": true})))
                .await,
            "forbidden"
        );
        let pinned: Vec<_> = (1..=101)
            .map(|seq| ada.request("message:pin", with(at(seq), json!({"pinned": true}))))
            .collect();
        let mut refused = 0;
        for answer in pinned {
            let answer = answer.await;
            refused += usize::from(answer["error"]["code"] == "too_many");
        }
        assert_eq!(refused, 1);
        assert_eq!(ben.received_of("message:changed").len(), 100);
        let pins = ben.ok("pin:list", in_room()).await["pins"].take();
        assert_eq!(pins.as_array().expect("a list").len(), 100);
        assert_eq!(
            pins[0]["pinned"],
            json!({"by": user("Ada"), "at": START_MS})
        );
        let seq = pins[0]["seq"].as_u64().expect("a number");
        let taken = ada
            .ok("message:pin", with(at(seq), json!({"pinned": false})))
            .await;
        assert_eq!(taken["message"]["pinned"], Value::Null);
        let pins = ben.ok("pin:list", in_room()).await["pins"].take();
        assert_eq!(pins.as_array().expect("a list").len(), 99);
    });
}
