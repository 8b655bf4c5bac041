//! Finding messages by their words, on each of the store's backends.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use driver::Client;
use room::{here, message, with_each_store};
use serde_json::{Value, json};

async fn search(client: &Client, request: Value) -> Value {
    client.ok("message:search", request).await
}

/// The texts of a page's hits.
fn texts(page: &Value) -> Vec<&str> {
    let hits = page["hits"].as_array().expect("hits").iter();
    hits.map(|hit| hit["message"]["text"].as_str().expect("a text"))
        .collect()
}

fn said(room: &str, key: &str, text: &str) -> Value {
    json!({"room": room, "key": key, "text": text})
}

#[test]
fn words_are_found_in_a_room_its_threads_and_in_all_of_ones_rooms() {
    with_each_store(async |on, clock, _| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        ada.ok("room:join", json!({"room": "s"})).await;
        let lines = [
            (&ada, said("r", "1", "A café in the park")),
            (&ben, said("r", "1", "the CAFE is closed")),
            (&ada, said("s", "2", "another café")),
            (
                &ada,
                json!({"room": "r", "key": "3", "text": "cafés are nice, this cafe too", "thread": 1}),
            ),
            (&ben, said("r", "2", "nothing")),
        ];
        for (client, line) in lines {
            clock.advance(10);
            client.ok("message:send", line).await;
        }
        let in_r = search(&ada, json!({"words": "cafe", "room": "r"})).await;
        let expected = [
            "cafés are nice, this cafe too",
            "the CAFE is closed",
            "A café in the park",
        ];
        assert_eq!(texts(&in_r), expected);
        assert_eq!(
            (&in_r["complete"], &in_r["cursor"]),
            (&json!(true), &Value::Null)
        );
        let hit = &in_r["hits"][0];
        assert_eq!(
            (&hit["message"]["thread"], &hit["marks"]),
            (&json!(1), &json!([[21, 25]]))
        );
        let all = search(&ada, json!({"words": "cafe"})).await;
        assert_eq!(texts(&all)[1], "another café");
        assert_eq!(texts(&all).len(), 4);
        // Ben isn't in the other one.
        let own = search(&ben, json!({"words": "caf* closed"})).await;
        assert_eq!(texts(&own), ["the CAFE is closed"]);
        assert_eq!(own["hits"][0]["marks"], json!([[4, 8], [12, 18]]));
        let from = search(&ada, json!({"words": "cafe", "from": "dev:ben"})).await;
        assert_eq!(texts(&from), ["the CAFE is closed"]);
        let phrase = search(&ada, json!({"words": "\"in the park\""})).await;
        assert_eq!(texts(&phrase), ["A café in the park"]);
        // A page after the other.
        let mut found = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let page = search(&ada, json!({"words": "cafe", "limit": 1, "cursor": cursor})).await;
            found.extend(texts(&page).into_iter().map(str::to_owned));
            cursor = page["cursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        assert_eq!(found, texts(&all));
    });
}

#[test]
fn what_was_edited_or_deleted_is_found_by_what_it_says_now() {
    with_each_store(async |on, _, _| {
        let ada = here(&on, "Ada").await;
        for (key, text) in [("1", "apples"), ("2", "apples and pears")] {
            ada.ok("message:send", message(key, text)).await;
        }
        ada.ok(
            "message:edit",
            json!({"room": "r", "seq": 1, "text": "plums"}),
        )
        .await;
        assert_eq!(
            texts(&search(&ada, json!({"words": "plums"})).await),
            ["plums"]
        );
        assert_eq!(
            texts(&search(&ada, json!({"words": "apples"})).await),
            ["apples and pears"]
        );
        ada.ok("message:delete", json!({"room": "r", "seq": 2}))
            .await;
        assert!(texts(&search(&ada, json!({"words": "apples"})).await).is_empty());
    });
}

#[test]
fn nobody_finds_what_they_may_not_read() {
    with_each_store(async |on, _, _| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        let made = ada
            .ok("room:create", json!({"kind": "private", "id": "secret"}))
            .await;
        assert_eq!(made["room"]["kind"], "private");
        ada.ok("message:send", said("secret", "1", "treasure"))
            .await;
        assert!(texts(&search(&ben, json!({"words": "treasure"})).await).is_empty());
        let refused = ben
            .refused(
                "message:search",
                json!({"words": "treasure", "room": "secret"}),
            )
            .await;
        assert_ne!(refused, "bad_request");
        ada.ok(
            "member:invite",
            json!({"room": "secret", "people": ["dev:ben"]}),
        )
        .await;
        ben.ok("room:join", json!({"room": "secret"})).await;
        assert_eq!(
            texts(&search(&ben, json!({"words": "treasure"})).await),
            ["treasure"]
        );
        ada.ok(
            "member:kick",
            json!({"room": "secret", "person": "dev:ben"}),
        )
        .await;
        assert!(texts(&search(&ben, json!({"words": "treasure"})).await).is_empty());
    });
}

#[test]
fn what_is_wrong_with_a_search_is_said() {
    with_each_store(async |on, _, _| {
        let ada = here(&on, "Ada").await;
        for request in [
            json!({}),
            json!({"words": " ! "}),
            json!({"words": "x".repeat(257)}),
            json!({"words": "a", "limit": 0}),
            json!({"words": "a", "cursor": "x"}),
            json!({"words": "a", "room": ""}),
        ] {
            let refused = ada.refused("message:search", request.clone()).await;
            assert_eq!(refused, "bad_request", "{request}");
        }
    });
}
