//! History and what was missed, through the hub, on each of the store's backends.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use driver::{Client, START_MS};
use lakh_hub::store::Trim;
use room::{here, in_room, message, on_each_store, with_each_store};
use serde_json::{Value, json};

fn seqs(messages: &Value) -> Vec<u64> {
    let messages = messages.as_array().expect("a list").iter();
    messages
        .filter_map(|message| message["seq"].as_u64())
        .collect()
}

fn with(mut request: Value, more: &Value) -> Value {
    let fields = more.as_object().expect("fields").clone();
    request.as_object_mut().expect("fields").extend(fields);
    request
}

async fn missed(client: &Client, request: Value) -> Value {
    client.ok("message:sync", with(in_room(), &request)).await
}

#[test]
fn history_is_read_around_a_message_and_since_a_time() {
    on_each_store(async |on, clock| {
        let ada = here(&on, "Ada").await;
        for number in 1..=100 {
            ada.ok("message:send", message(&number.to_string(), "x"))
                .await;
            // Ten a second.
            clock.advance(if number % 10 == 0 { 1_000 } else { 0 });
        }
        for (request, expected, before, after) in [
            (json!({"around": 50, "limit": 10}), 45..55, true, true),
            (json!({"around": 1, "limit": 10}), 1..6, false, true),
            (json!({"around": 100, "limit": 10}), 95..101, true, false),
            (json!({"around": 50, "limit": 1}), 50..51, true, true),
            (json!({"around": 500, "limit": 10}), 96..101, true, false),
            (
                json!({"time": START_MS + 3_000, "limit": 5}),
                31..36,
                true,
                true,
            ),
            (
                json!({"time": START_MS + 2_001, "limit": 5}),
                31..36,
                true,
                true,
            ),
            (json!({"time": 0, "limit": 5}), 1..6, false, true),
            (json!({"time": START_MS + 9_000}), 91..101, true, false),
            (json!({"time": START_MS + 9_001}), 1..1, true, false),
            (json!({"before": 11}), 1..11, false, true),
            (json!({"before": 1}), 1..1, false, true),
            (json!({"after": 100}), 1..1, true, false),
        ] {
            let page = ada.ok("message:history", with(in_room(), &request)).await;
            assert_eq!(
                (
                    seqs(&page["messages"]),
                    &page["more_before"],
                    &page["more_after"]
                ),
                (expected.collect(), &json!(before), &json!(after)),
                "{request}"
            );
        }
        for request in [
            json!({"around": 3, "after": 1}),
            json!({"time": 3, "before": 1}),
        ] {
            let request = with(in_room(), &request);
            assert_eq!(ada.refused("message:history", request).await, "bad_request");
        }
        assert_eq!(
            ada.refused("message:get", json!({"room": "r", "seq": 101}))
                .await,
            "not_found"
        );
    });
}

#[test]
fn who_was_away_gets_exactly_what_was_missed() {
    on_each_store(async |on, _| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        for number in 1..=10 {
            ada.ok("message:send", message(&number.to_string(), "x"))
                .await;
        }
        let seen = ben.ok("message:history", in_room()).await;
        let (seq, rev) = (seen["seq"].clone(), seen["rev"].clone());
        let nothing = missed(&ben, json!({"seq": seq, "rev": rev})).await;
        assert_eq!(
            nothing,
            json!({"ok": true, "messages": [], "changed": [], "seq": 10, "rev": rev, "more": false, "reset": false})
        );
        let of = |seq: u64, more: Value| with(json!({"room": "r", "seq": seq}), &more);
        ada.ok("message:edit", of(3, json!({"text": "edited"})))
            .await;
        ada.ok("message:edit", of(3, json!({"text": "edited twice"})))
            .await;
        ada.ok("message:delete", of(4, json!({}))).await;
        ada.ok("reaction:add", of(5, json!({"emoji": "👍"}))).await;
        ada.ok("message:pin", of(6, json!({"pinned": true}))).await;
        ada.ok(
            "message:send",
            with(message("t", "reply"), &json!({"thread": 7})),
        )
        .await;
        for number in 11..=15 {
            ada.ok("message:send", message(&number.to_string(), "x"))
                .await;
        }
        ada.ok("message:edit", of(12, json!({"text": "edited"})))
            .await;
        let all = missed(&ben, json!({"seq": seq, "rev": rev})).await;
        assert_eq!(seqs(&all["messages"]), [11, 12, 13, 14, 15]);
        assert_eq!(seqs(&all["changed"]), [3, 4, 5, 6, 7]);
        let now = ben.ok("message:history", in_room()).await;
        let mut whole = all["changed"].as_array().expect("a list").clone();
        whole.extend(all["messages"].as_array().expect("a list").clone());
        let now = now["messages"].as_array().expect("a list");
        assert_eq!(
            whole,
            now[2..7]
                .iter()
                .chain(&now[10..])
                .cloned()
                .collect::<Vec<_>>()
        );
        // In small pages it is the same.
        let (mut messages, mut changed, mut at) = (Vec::new(), Vec::new(), (seq, rev));
        for page in 0.. {
            let mut part = missed(&ben, json!({"seq": at.0, "rev": at.1, "limit": 2})).await;
            at = (part["seq"].clone(), part["rev"].clone());
            messages.append(part["messages"].as_array_mut().expect("a list"));
            changed.append(part["changed"].as_array_mut().expect("a list"));
            if part["more"] == false {
                assert!(page > 1);
                break;
            }
        }
        assert_eq!(json!(messages), all["messages"]);
        assert_eq!(at, (all["seq"].clone(), all["rev"].clone()));
        assert_eq!(json!(&changed[..5]), all["changed"]);
        // What was new in an earlier page is there again, since it was changed behind that page's number; as it is now.
        assert!(
            changed[5..].iter().all(|message| message["seq"] == 12),
            "{changed:?}"
        );
        let thread = missed(&ben, json!({"thread": 7, "seq": 0, "rev": at.1})).await;
        assert_eq!(
            (seqs(&thread["messages"]), &thread["messages"][0]["thread"]),
            (vec![1], &json!(7))
        );
        ada.ok(
            "message:delete",
            json!({"room": "r", "thread": 7, "seq": 1}),
        )
        .await;
        for request in [
            json!({"seq": 15, "rev": at.1}),
            json!({"thread": 7, "seq": 1, "rev": at.1}),
        ] {
            let changed = missed(&ben, request).await["changed"].take();
            assert_eq!(
                (&changed[0]["thread"], &changed[0]["text"]),
                (&json!(7), &json!(""))
            );
        }
    });
}

#[test]
fn where_changes_are_kept_no_longer_the_client_begins_anew() {
    with_each_store(async |on, _, store| {
        let ada = here(&on, "Ada").await;
        ada.ok("message:send", message("k", "x")).await;
        for number in 0..20 {
            let request = json!({"room": "r", "seq": 1, "text": number.to_string()});
            ada.ok("message:edit", request).await;
        }
        let trim = Trim {
            before_seq: Some(11),
            ..Trim::default()
        };
        store.trim("chat_changes:r", trim).await.expect("trimmed");
        let reset = json!({
            "ok": true, "messages": [], "changed": [], "seq": 1, "rev": 20, "more": false, "reset": true
        });
        for (seq, rev) in [(1, 9), (1, 0), (0, 5), (2, 20), (1, 21)] {
            assert_eq!(
                missed(&ada, json!({"seq": seq, "rev": rev})).await,
                reset,
                "{seq} {rev}"
            );
        }
        let last = missed(&ada, json!({"seq": 1, "rev": 10})).await;
        assert_eq!(
            (&last["reset"], &last["changed"][0]["text"]),
            (&json!(false), &json!("19"))
        );
    });
}
