//! Files of messages that are sent later, and of people who are erased.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod files;
mod room;

use driver::START_MS;
use files::{HOUR, House, ask, bring, code, left, on_each_store, sent, tidied, usage, with};
use lakh_chat::Chat;
use room::{here, unhurried};
use serde_json::{Value, json};

fn later(key: &str, file: &Value, at_ms: u64) -> Value {
    room::with(with(key, &[file]), json!({"at": at_ms}))
}

/// Lets days pass, each with a look at what is due.
async fn days(house: &House, days: u64) {
    for _ in 0..days {
        house.clock.advance(24 * HOUR);
        tidied(&house.chat).await;
    }
}

#[test]
fn files_of_a_message_that_is_sent_later_are_there_at_its_time() {
    on_each_store(&unhurried(), async |house| {
        let (ada, ben) = (here(&house.on, "Ada").await, here(&house.on, "Ben").await);
        let file = sent(&house.chat, &ada, "a").await;
        let at = START_MS + 240 * HOUR;
        ada.ok("message:send", later("k", &file, at)).await;
        days(&house, 9).await;
        assert_eq!(code(&house, "Ben", &file).await, "not_found", "not yet");
        house.clock.advance(24 * HOUR);
        let told = ben.heard("message:new").await;
        assert_eq!(told["attachments"][0]["id"], file["id"]);
        days(&house, 3).await;
        assert_eq!(code(&house, "Ben", &file).await, "ok");
        // What somebody else has, or what was sent, isn't held.
        let other = sent(&house.chat, &ada, "b").await;
        assert_eq!(
            ben.refused("message:send", later("l", &other, at * 2))
                .await,
            "bad_request",
            "too far ahead"
        );
        let soon = START_MS + 500 * HOUR;
        for (key, file, why) in [("m", &other, "not_found"), ("n", &file, "not_found")] {
            let refused = ben.refused("message:send", later(key, file, soon)).await;
            assert_eq!(refused, why);
        }
        assert_eq!(
            ada.refused("message:send", later("o", &file, soon)).await,
            "conflict"
        );
    });
}

#[test]
fn files_are_held_for_the_time_as_it_was_changed() {
    on_each_store(&unhurried(), async |house| {
        let (ada, ben) = (here(&house.on, "Ada").await, here(&house.on, "Ben").await);
        let file = sent(&house.chat, &ada, "a").await;
        let soon = later("k", &file, START_MS + HOUR);
        let scheduled = ada.ok("message:send", soon).await["scheduled"].take();
        let change = json!({"id": scheduled["id"], "at": START_MS + 120 * HOUR});
        ada.ok("scheduled:change", change).await;
        days(&house, 5).await;
        let told = ben.heard("message:new").await;
        assert_eq!(told["attachments"][0]["id"], file["id"]);
    });
}

#[test]
fn files_of_a_message_that_was_cancelled_go_a_day_later() {
    on_each_store(&unhurried(), async |house| {
        let ada = here(&house.on, "Ada").await;
        let file = sent(&house.chat, &ada, "a").await;
        let at = START_MS + 2_400 * HOUR;
        let first = ada.ok("message:send", later("k", &file, at)).await["scheduled"].take();
        let second = ada.ok("message:send", later("l", &file, at)).await["scheduled"].take();
        days(&house, 2).await;
        ada.ok("scheduled:cancel", json!({"id": first["id"]})).await;
        days(&house, 2).await;
        assert_eq!(
            code(&house, "Ada", &file).await,
            "ok",
            "the other one has it"
        );
        ada.ok("scheduled:cancel", json!({"id": second["id"]}))
            .await;
        assert_eq!(
            code(&house, "Ada", &file).await,
            "ok",
            "it may be sent otherwise"
        );
        days(&house, 2).await;
        assert_eq!(code(&house, "Ada", &file).await, "not_found");
        assert_eq!(usage(&ada).await, (0, 0));
        let left = left(&house).await;
        // That it was to be looked after at the time of the message stays until then.
        assert!(
            left.iter().all(|key| key.starts_with("chat_file_due/")),
            "{left:?}"
        );
        house.clock.advance(2_500 * HOUR);
        tidied(&house.chat).await;
        assert_eq!(files::left(&house).await, Vec::<String>::new());
    });
}

async fn tidy(chat: &Chat) {
    while chat.tidy().await.expect("tidied") {}
}

#[test]
fn the_files_of_an_erased_person_go_with_them() {
    on_each_store(&unhurried(), async |house| {
        let (ada, ben) = (here(&house.on, "Ada").await, here(&house.on, "Ben").await);
        let file = sent(&house.chat, &ada, "a").await;
        ada.ok("message:send", with("k", &[&file])).await;
        let waiting = sent(&house.chat, &ada, "b").await;
        let held = sent(&house.chat, &ada, "c").await;
        let at = START_MS + 240 * HOUR;
        ada.ok("message:send", later("l", &held, at)).await;
        let reserved = ada.ok("attachment:upload", ask("d.png", 100)).await;
        let bens = sent(&house.chat, &ben, "a").await;
        ben.ok("message:send", with("m", &[&bens])).await;
        ada.ok("data:erase", json!({})).await;
        for file in [&file, &waiting, &held] {
            assert_eq!(code(&house, "Ada", file).await, "not_found");
        }
        assert_eq!(code(&house, "Ben", &bens).await, "ok");
        let late = files::arriving(&house.chat, &reserved).await;
        assert_eq!(late.map_err(|failure| failure.code), Err("not_found"));
        tidied(&house.chat).await;
        assert_eq!(usage(&ada).await, (0, 0));
        house.clock.advance(2 * HOUR);
        assert_eq!(tidied(&house.chat).await.len(), 2, "Ben has the same bytes");
        assert_eq!(code(&house, "Ben", &bens).await, "ok");
    });
}

#[test]
fn the_files_of_messages_that_are_too_old_go_with_them() {
    on_each_store(&unhurried(), async |house| {
        let ada = here(&house.on, "Ada").await;
        let keep = json!({"room": "r", "settings": {"retention_days": 2}});
        ada.ok("room:set", keep).await;
        let ticket = ada.ok("attachment:upload", ask("a.png", 100)).await;
        let (file, key) = bring(&house.chat, &ticket, "a").await;
        ada.ok("message:send", with("k", &[&file])).await;
        days(&house, 1).await;
        tidy(&house.chat).await;
        assert_eq!(code(&house, "Ada", &file).await, "ok");
        days(&house, 2).await;
        tidy(&house.chat).await;
        assert_eq!(code(&house, "Ada", &file).await, "not_found");
        tidied(&house.chat).await;
        house.clock.advance(2 * HOUR);
        assert_eq!(tidied(&house.chat).await, [key.expect("new bytes")]);
        assert_eq!(left(&house).await, Vec::<String>::new());
    });
}
