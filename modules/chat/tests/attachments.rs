//! Files in messages, through the hub and without sockets: who may send and fetch them, and what is left of them.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod files;
mod room;

use driver::{hub_by, run};
use files::{
    HOUR, House, MINUTE, arriving, ask, awaited, bring, code, content, left, on_each_store, sent,
    tidied, usage, with,
};
use lakh_chat::{Adopted, Arrival, Asker, Config, Content, Files};
use lakh_hub::Person;
use lakh_hub::store::Store;
use room::{here, in_room, start_on, unhurried, user};
use serde_json::{Value, json};

#[test]
fn a_file_goes_with_one_message_of_its_owner_in_its_room() {
    on_each_store(&unhurried(), async |house| {
        let House { on, chat, .. } = &house;
        let (ada, ben) = (here(on, "Ada").await, here(on, "Ben").await);
        let ticket = ada.ok("attachment:upload", ask("ä b.png", 100)).await;
        assert_eq!(ticket["method"], "PUT");
        assert!(ticket["expires_at"].as_u64().expect("a time") > driver::START_MS);
        let id = ticket["id"].as_str().expect("an id");
        // Nobody has it before it's there, nor by another path.
        assert_eq!(
            ada.refused("message:send", with("k", &[&ticket])).await,
            "not_found"
        );
        assert_eq!(code(&house, "Ada", &ticket).await, "not_found");
        let other = chat.arriving(id, "0123456789abcdef0123456789abcdef").await;
        assert_eq!(other.map_err(|failure| failure.code), Err("not_found"));

        let (file, key) = bring(chat, &ticket, "a").await;
        assert!(key.is_some());
        let expected = json!({
            "id": id, "name": "ä b.png", "size": 100, "type": "image/png", "width": 800, "height": 600,
            "url": format!("/chat/files/{id}/%C3%A4%20b.png"), "thumbnail": format!("/chat/files/{id}/thumbnail")
        });
        assert_eq!(file, expected);
        // Sent again to the same path it's the same file.
        assert_eq!(
            arriving(chat, &ticket).await,
            Ok(Arrival::Come(expected.clone()))
        );
        // Until it's in a message it's hers alone.
        assert_eq!(code(&house, "Ada", &file).await, "ok");
        assert_eq!(code(&house, "Ben", &file).await, "not_found");
        assert_eq!(
            ben.refused("message:send", with("k", &[&file])).await,
            "not_found"
        );
        assert_eq!(
            ada.refused("message:send", with("k", &[&file, &file]))
                .await,
            "bad_request"
        );
        ada.ok("room:join", json!({"room": "other"})).await;
        let elsewhere = json!({"room": "other", "key": "k", "attachments": [id]});
        assert_eq!(ada.refused("message:send", elsewhere).await, "not_found");

        let told = ada.ok("message:send", with("k", &[&file])).await;
        assert_eq!(told["message"]["attachments"], json!([expected]));
        assert_eq!(
            ben.heard("message:new").await["attachments"],
            json!([expected])
        );
        assert_eq!(code(&house, "Ben", &file).await, "ok");
        // The same message again is the same; another can't have it.
        let again = ada.ok("message:send", with("k", &[&file])).await;
        assert_eq!(
            (&again["duplicate"], &again["message"]),
            (&json!(true), &told["message"])
        );
        assert_eq!(
            ada.refused("message:send", with("l", &[&file])).await,
            "conflict"
        );
        house.clock.advance(HOUR);
        assert_eq!(
            ada.refused("message:send", with("m", &[&file])).await,
            "conflict"
        );
    });
}

#[test]
fn bytes_that_come_twice_are_kept_once_and_go_with_the_last_message() {
    on_each_store(&unhurried(), async |house| {
        let House {
            on, chat, clock, ..
        } = &house;
        let (ada, ben) = (here(on, "Ada").await, here(on, "Ben").await);
        let ticket = ada.ok("attachment:upload", ask("a.png", 100)).await;
        let (first, key) = bring(chat, &ticket, "a").await;
        let key = key.expect("new bytes");
        let ticket = ben.ok("attachment:upload", ask("b.png", 100)).await;
        let (second, again) = bring(chat, &ticket, "a").await;
        assert_eq!(again, None, "they are here");
        let one = ada.ok("message:send", with("k", &[&first])).await;
        let two = ben.ok("message:send", with("k", &[&second])).await;
        let at = |sent: &Value| json!({"room": "r", "seq": sent["message"]["seq"]});
        ada.ok("message:delete", at(&one)).await;
        // At once for those who fetch, and its bytes are still needed.
        assert_eq!(code(&house, "Ada", &first).await, "not_found");
        assert_eq!(code(&house, "Ada", &second).await, "ok");
        clock.advance(48 * HOUR);
        assert_eq!(tidied(chat).await, Vec::<String>::new());
        assert_eq!(usage(&ada).await, (0, 0));
        assert_eq!(code(&house, "Ada", &second).await, "ok");

        ben.ok("message:delete", at(&two)).await;
        assert_eq!(tidied(chat).await, Vec::<String>::new(), "a while later");
        // Whoever sends the same in between finds them.
        let third = sent(chat, &ada, "a").await;
        clock.advance(2 * HOUR);
        assert_eq!(tidied(chat).await, Vec::<String>::new());
        assert_eq!(code(&house, "Ada", &third).await, "ok");
        // It is never sent, so it goes.
        clock.advance(24 * HOUR);
        tidied(chat).await;
        clock.advance(2 * HOUR);
        assert_eq!(tidied(chat).await, [key]);
        assert_eq!(left(&house).await, Vec::<String>::new());
        assert_eq!((usage(&ada).await, usage(&ben).await), ((0, 0), (0, 0)));
    });
}

#[test]
fn what_is_reserved_and_does_not_come_and_what_is_never_sent_goes() {
    on_each_store(&unhurried(), async |house| {
        let House {
            on, chat, clock, ..
        } = &house;
        let ada = here(on, "Ada").await;
        let never = ada.ok("attachment:upload", ask("a.png", 1_000)).await;
        let unsent = sent(chat, &ada, "b").await;
        assert_eq!(usage(&ada).await, (2, 1_100));
        let late = awaited(chat, &never).await;
        clock.advance(20 * MINUTE);
        let over = arriving(chat, &never).await.map_err(|failure| failure.code);
        assert_eq!(over, Err("not_found"));
        let adopted = chat
            .adopt(&late, &content("c"))
            .await
            .expect("not known yet");
        let Adopted::Keep { key, until_ms } = adopted else {
            panic!("{adopted:?}");
        };
        // Its bytes came, but the time was over: they go when they are due.
        let kept = chat
            .adopt_kept(&late, &content("c"), (&key, until_ms))
            .await;
        assert_eq!(kept.map_err(|failure| failure.code), Err("not_found"));
        assert!(tidied(chat).await.is_empty());
        assert_eq!(usage(&ada).await, (1, 100));
        clock.advance(HOUR);
        assert_eq!(tidied(chat).await, [key]);
        assert_eq!(code(&house, "Ada", &unsent).await, "ok");
        clock.advance(24 * HOUR);
        tidied(chat).await;
        assert_eq!(code(&house, "Ada", &unsent).await, "not_found");
        clock.advance(HOUR);
        assert_eq!(tidied(chat).await.len(), 1);
        assert_eq!(left(&house).await, Vec::<String>::new());
        assert_eq!(usage(&ada).await, (0, 0));
    });
}

#[test]
fn a_message_that_is_refused_gives_its_files_back() {
    on_each_store(&unhurried(), async |house| {
        let (_ada, ben) = (here(&house.on, "Ada").await, here(&house.on, "Ben").await);
        let file = sent(&house.chat, &ben, "a").await;
        let mut refused = with("k", &[&file]);
        // Ben is no moderator.
        refused["mentions"] = json!(["*"]);
        assert_eq!(ben.refused("message:send", refused).await, "forbidden");
        assert_eq!(code(&house, "Ada", &file).await, "not_found");
        ben.ok("message:send", with("k", &[&file])).await;
        house.clock.advance(48 * HOUR);
        assert!(tidied(&house.chat).await.is_empty());
        assert_eq!(code(&house, "Ada", &file).await, "ok", "it is in a message");
    });
}

#[test]
fn who_may_not_read_the_room_fetches_nothing_of_it() {
    on_each_store(&unhurried(), async |house| {
        let House { on, chat, .. } = &house;
        let (ada, ben) = (here(on, "Ada").await, here(on, "Ben").await);
        here(on, "Cy").await;
        let made = json!({"kind": "private", "name": "secret", "members": ["dev:ben"]});
        let made = ada.ok("room:create", made).await;
        let room = &made["room"]["id"];
        let mut ask = ask("a.png", 100);
        ask["room"] = room.clone();
        let ticket = ada.ok("attachment:upload", ask.clone()).await;
        let (file, _) = bring(chat, &ticket, "a").await;
        let message = json!({"room": room, "key": "k", "attachments": [file["id"]]});
        ada.ok("message:send", message).await;
        let cy = on.connect("/chat", "Cy").await;
        assert_eq!(
            cy.refused("attachment:upload", ask.clone()).await,
            "not_found"
        );
        let codes = async || {
            let mut codes = Vec::new();
            for name in ["Ada", "Ben", "Cy"] {
                codes.push(code(&house, name, &file).await);
            }
            codes
        };
        assert_eq!(codes().await, ["ok", "ok", "not_found"]);
        let kick = json!({"room": room, "person": "dev:ben"});
        ada.ok("member:kick", kick).await;
        assert_eq!(codes().await, ["ok", "not_found", "not_found"]);
        assert_eq!(ben.refused("attachment:upload", ask).await, "not_found");
        let file = file["id"].as_str().expect("an id");
        assert!(chat.file(&Asker::system(), file).await.is_ok());
    });
}

#[test]
fn a_forwarded_file_stays_when_the_first_message_goes() {
    on_each_store(&unhurried(), async |house| {
        let House {
            on, chat, clock, ..
        } = &house;
        let (ada, ben) = (here(on, "Ada").await, here(on, "Ben").await);
        ben.ok("room:join", json!({"room": "other"})).await;
        let file = sent(chat, &ada, "a").await;
        let first = ada.ok("message:send", with("k", &[&file])).await;
        let at = json!({"room": "r", "seq": first["message"]["seq"]});
        let mut forward = at.clone();
        forward["to"] = json!(["other"]);
        forward["key"] = json!("f");
        let forwarded = ben.ok("message:forward", forward).await;
        let copy = &forwarded["messages"][0]["attachments"][0];
        assert_ne!(copy["id"], file["id"], "it is the other room's");
        assert_eq!(
            (&copy["width"], &copy["name"]),
            (&file["width"], &file["name"])
        );
        // It counts for nobody twice.
        assert_eq!((usage(&ada).await, usage(&ben).await), ((1, 100), (0, 0)));
        ada.ok("message:delete", at).await;
        clock.advance(48 * HOUR);
        assert!(tidied(chat).await.is_empty());
        assert_eq!(code(&house, "Ben", copy).await, "ok");
        assert_eq!(code(&house, "Ben", &file).await, "not_found");
    });
}

#[test]
fn the_files_of_a_room_go_with_it() {
    on_each_store(&unhurried(), async |house| {
        let House {
            on, chat, clock, ..
        } = &house;
        let ada = here(on, "Ada").await;
        for hash in ["a", "b"] {
            let file = sent(chat, &ada, hash).await;
            ada.ok("message:send", with(hash, &[&file])).await;
        }
        let waiting = sent(chat, &ada, "c").await;
        ada.ok("room:delete", in_room()).await;
        assert_eq!(code(&house, "Ada", &waiting).await, "not_found");
        assert!(tidied(chat).await.is_empty());
        assert_eq!(usage(&ada).await, (0, 0));
        clock.advance(2 * HOUR);
        assert_eq!(tidied(chat).await.len(), 3);
        clock.advance(24 * HOUR);
        tidied(chat).await;
        assert_eq!(left(&house).await, Vec::<String>::new());
    });
}

#[test]
fn what_is_too_much_or_of_no_use_is_refused_before_it_comes() {
    let config = Config {
        files: Files {
            max_bytes: 1_000,
            quota_bytes: 2_500,
            types: vec!["image/*".into(), "application/pdf".into()],
            ..Files::default()
        },
        ..unhurried()
    };
    on_each_store(&config, async |house| {
        let (ada, ben) = (here(&house.on, "Ada").await, here(&house.on, "Ben").await);
        for (field, value, refusal) in [
            ("size", json!(1_001), "too_large"),
            ("size", json!(0), "bad_request"),
            ("size", json!(-1), "bad_request"),
            ("size", json!("9"), "bad_request"),
            ("type", json!("text/html"), "unsupported_type"),
            ("type", json!("image"), "bad_request"),
            ("type", json!("image/png\r\nX: y"), "bad_request"),
            ("name", json!(""), "bad_request"),
            ("name", json!("../"), "bad_request"),
            ("name", json!("x".repeat(256)), "bad_request"),
            ("room", json!("nowhere"), "not_found"),
            ("room", json!("a\nb"), "bad_request"),
        ] {
            let mut ask = ask("a.png", 1_000);
            ask[field] = value;
            assert_eq!(
                ada.refused("attachment:upload", ask.clone()).await,
                refusal,
                "{ask}"
            );
        }
        for _ in 0..2 {
            ada.ok("attachment:upload", ask("a.png", 1_000)).await;
        }
        assert_eq!(
            ada.refused("attachment:upload", ask("a.png", 501)).await,
            "quota_exceeded"
        );
        ada.ok("attachment:upload", ask("a.png", 500)).await;
        // Others have their own, and so has she when nothing came.
        let ticket = ben.ok("attachment:upload", ask("a.png", 1_000)).await;
        house.clock.advance(HOUR);
        tidied(&house.chat).await;
        ada.ok("attachment:upload", ask("a.png", 1_000)).await;
        drop(ticket);
        let quota = ada.ok("attachment:quota", json!({})).await;
        let expected = json!({
            "ok": true, "files": 1, "bytes": 1_000, "max_bytes": 2_500, "max_file_bytes": 1_000,
            "types": ["image/*", "application/pdf"]
        });
        assert_eq!(quota, expected);
        // What it turns out to be is held to the same.
        let ticket = ben.ok("attachment:upload", ask("a.png", 10)).await;
        let exe = Content {
            kind: "application/x-executable".into(),
            ..content("a")
        };
        let adopted = house
            .chat
            .adopt(&awaited(&house.chat, &ticket).await, &exe)
            .await;
        assert_eq!(
            adopted.map_err(|failure| failure.code),
            Err("unsupported_type")
        );
    });
}

#[test]
fn a_person_reserves_so_many_files_and_no_more() {
    run(async {
        let (on, _, _) = start_on(Store::memory(), unhurried());
        let ada = here(&on, "Ada").await;
        for _ in 0..100 {
            ada.ok("attachment:upload", ask("a.png", 1)).await;
        }
        assert_eq!(
            ada.refused("attachment:upload", ask("a.png", 1)).await,
            "rate_limited"
        );
    });
}

#[test]
fn where_files_have_no_place_none_is_taken() {
    let config = Config {
        files: Files {
            refusal: Some("there is no place for files"),
            ..Files::default()
        },
        ..unhurried()
    };
    run(async {
        let (on, _, _) = start_on(Store::memory(), config);
        let ada = here(&on, "Ada").await;
        assert_eq!(
            ada.refused("attachment:upload", ask("a.png", 1)).await,
            "unsupported"
        );
    });
}

#[test]
fn a_word_of_access_counts_on_every_node_until_its_end() {
    run(async {
        let store = Store::memory();
        let (on, clock, chat) = start_on(store.clone(), unhurried());
        let other = hub_by(&clock, "n2", 1, &["/chat"]);
        let other = lakh_chat::install(&other, store, unhurried());
        let ada = here(&on, "Ada").await;
        let file = sent(&chat, &ada, "a").await;
        ada.ok("message:send", with("k", &[&file])).await;
        let given = ada.ok("attachment:access", json!({})).await;
        let word = given["access"].as_str().expect("a word");
        let lasts = given["expires_at"].as_u64().expect("a time") - driver::START_MS;
        assert!((HOUR..=2 * HOUR).contains(&lasts), "{lasts}");
        // For a while it's the same, so that browsers keep what they have.
        assert_eq!(ada.ok("attachment:access", json!({})).await, given);
        let file = file["id"].as_str().expect("an id");
        for chat in [&chat, &other] {
            let shown = chat.shown(word).await.expect("hers");
            assert!(chat.file(&shown.asker, file).await.is_ok());
        }
        let ban = json!({"room": "r", "person": "dev:ada"});
        let ban = chat
            .call(&Asker::system(), "member:ban", &ban.to_string())
            .await;
        ban.expect("banned");
        let shown = other.shown(word).await.expect("hers");
        let refused = other
            .file(&shown.asker, file)
            .await
            .map_err(|failure| failure.code);
        assert_eq!(refused, Err("banned"));
        clock.advance(lasts);
        for (chat, word) in [(&chat, word), (&other, "a.b"), (&other, "")] {
            let refused = chat.shown(word).await.map_err(|failure| failure.code);
            assert_eq!(refused.err(), Some("unauthorized"), "{word}");
        }
    });
}

#[test]
fn the_same_bytes_on_two_nodes_at_once_are_kept_once() {
    run(async {
        let store = Store::memory();
        let (on, clock, chat) = start_on(store.clone(), unhurried());
        let other = hub_by(&clock, "n2", 1, &["/chat"]);
        let other = lakh_chat::install(&other, store, unhurried());
        let ada = here(&on, "Ada").await;
        let one = ada.ok("attachment:upload", ask("a.png", 100)).await;
        let two = ada.ok("attachment:upload", ask("a.png", 100)).await;
        let (one, two) = (awaited(&chat, &one).await, awaited(&other, &two).await);
        let mut keys = Vec::new();
        for (chat, arriving) in [(&chat, &one), (&other, &two)] {
            match chat.adopt(arriving, &content("a")).await.expect("adopted") {
                Adopted::Keep { key, until_ms } => keys.push((key, until_ms)),
                Adopted::Done(file) => panic!("nobody has it: {file}"),
            }
        }
        assert_ne!(keys[0].0, keys[1].0);
        for ((chat, arriving), (key, until_ms)) in
            [(&chat, &one), (&other, &two)].into_iter().zip(&keys)
        {
            let kept = chat
                .adopt_kept(arriving, &content("a"), (key, *until_ms))
                .await;
            assert_eq!(kept.expect("kept")["id"], arriving.id.as_str());
            let again = chat
                .adopt_kept(arriving, &content("a"), (key, *until_ms))
                .await;
            assert_eq!(again.map_err(|failure| failure.code), Err("conflict"));
        }
        clock.advance(HOUR + 1);
        // The second bytes are nobody's.
        assert_eq!(tidied(&chat).await, [keys[1].0.clone()]);
        let shown = Asker::person(Person {
            id: "dev:ada".into(),
            name: user("Ada")["name"].to_string(),
        });
        for arriving in [&one, &two] {
            let file = chat.file(&shown, &arriving.id).await.expect("there");
            assert_eq!(file.key, keys[0].0);
        }
    });
}
