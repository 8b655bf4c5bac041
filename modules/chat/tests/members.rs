//! Members: invitations, roles, kicks, bans and mutes, and what those who look on see of it.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use driver::{Client, START_MS, run};
use room::{here, in_room, message, on_each_store, start, unhurried, user};
use serde_json::{Value, json};

fn of(person: &str) -> Value {
    json!({"room": "r", "person": person})
}

fn with(mut request: Value, field: &str, value: impl Into<Value>) -> Value {
    request[field] = value.into();
    request
}

async fn give(owner: &Client, person: &str, role: &str) {
    owner
        .ok("member:role", with(of(person), "role", role))
        .await;
}

#[test]
fn who_is_kicked_hears_nothing_more_and_may_come_back() {
    on_each_store(async |on, _| {
        let (ada, cy) = (here(&on, "Ada").await, here(&on, "Cy").await);
        let (ben, phone) = (here(&on, "Ben").await, here(&on, "Ben").await);
        cy.received();
        ada.ok("member:kick", with(of("dev:ben"), "reason", "too loud"))
            .await;
        for client in [&ben, &phone] {
            let told = client.heard("room:removed").await;
            assert_eq!(
                told,
                json!({"room": "r", "why": "kicked", "reason": "too loud"})
            );
        }
        let told = cy.heard("member:changed").await;
        let expected = json!({"room": "r", "rev": told["rev"], "user": user("Ben"), "set": {"left": true}, "by": user("Ada")});
        assert_eq!(told, expected);
        ada.ok("message:send", message("k", "quiet now")).await;
        cy.heard("message:new").await;
        assert!(ben.received_of("message:new").is_empty());
        assert_eq!(
            ben.refused("message:send", message("k", "x")).await,
            "not_member"
        );
        assert_eq!(
            ben.ok("room:join", in_room()).await["room"]["mine"]["role"],
            "member"
        );
    });
}

#[test]
fn a_ban_keeps_out_until_it_ends_by_itself_or_is_taken_back() {
    on_each_store(async |on, clock| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        let ban = with(with(of("dev:ben"), "seconds", 60), "reason", "spam");
        ada.ok("member:ban", ban).await;
        let until = START_MS + 60_000;
        assert_eq!(
            ben.heard("room:removed").await,
            json!({"room": "r", "why": "banned", "reason": "spam", "until": until})
        );
        for (name, request) in [
            ("room:join", in_room()),
            ("room:watch", in_room()),
            ("room:get", in_room()),
            ("message:history", in_room()),
            ("message:send", message("k", "x")),
            ("member:list", in_room()),
        ] {
            assert_eq!(ben.refused(name, request).await, "banned", "{name}");
        }
        let listed = ada.ok("ban:list", in_room()).await;
        assert_eq!(
            listed["bans"],
            json!([{"user": user("Ben"), "by": user("Ada"), "reason": "spam", "at": START_MS, "until": until}])
        );
        assert_eq!(
            ada.ok("member:invite", json!({"room": "r", "people": ["dev:ben"]}))
                .await["invited"],
            json!([])
        );
        clock.advance(59_999);
        assert_eq!(ben.refused("room:join", in_room()).await, "banned");
        clock.advance(1);
        ben.ok("room:join", in_room()).await;
        assert_eq!(ada.ok("ban:list", in_room()).await["bans"], json!([]));

        ada.ok("member:ban", of("dev:ben")).await;
        clock.advance(1_000_000_000);
        assert_eq!(
            ben.refused("room:join", in_room()).await,
            "banned",
            "for good"
        );
        ada.ok("member:unban", of("dev:ben")).await;
        ada.ok("member:unban", of("dev:ben")).await;
        ben.ok("room:join", in_room()).await;
        // Also of somebody who was never there.
        ada.ok("member:ban", of("dev:eve")).await;
        assert_eq!(
            here_or_code(&on.connect("/chat", "Eve").await).await,
            "banned"
        );
    });
}

async fn here_or_code(client: &Client) -> String {
    let answer = client.request("room:join", in_room()).await;
    answer["error"]["code"].as_str().unwrap_or("ok").to_owned()
}

#[test]
fn who_is_muted_may_read_and_has_their_voice_back_in_time() {
    on_each_store(async |on, clock| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        ada.ok("member:mute", with(of("dev:ben"), "seconds", 10))
            .await;
        let told = ben.heard("member:changed").await;
        assert_eq!(told["set"], json!({"muted_until": START_MS + 10_000}));
        assert_eq!(
            ben.refused("message:send", message("k", "x")).await,
            "muted"
        );
        ben.ok("message:history", in_room()).await;
        // Leaving and coming back doesn't help.
        ben.ok("room:leave", in_room()).await;
        clock.advance(10_000);
        ben.ok("room:join", in_room()).await;
        ben.ok("message:send", message("k", "x")).await;
        ada.ok("member:mute", with(of("dev:ben"), "seconds", 10))
            .await;
        assert_eq!(
            ben.ok("room:get", in_room()).await["room"]["mine"]["muted_until"],
            START_MS + 20_000
        );
        ada.ok("member:mute", with(of("dev:ben"), "seconds", Value::Null))
            .await;
        ben.ok("message:send", message("l", "x")).await;
        // Of a thing nobody who comes is more than a member.
        let thing = json!({"room": "post:1"});
        ben.ok("room:watch", thing).await;
        assert_eq!(
            ada.refused(
                "member:mute",
                json!({"room": "post:1", "person": "dev:ben", "seconds": 1})
            )
            .await,
            "forbidden"
        );
    });
}

#[test]
fn who_is_invited_to_a_private_room_sees_it_and_may_come_in_or_not() {
    on_each_store(async |on, _| {
        let ada = on.connect("/chat", "Ada").await;
        ada.ok("room:create", json!({"kind": "private", "id": "r"}))
            .await;
        let (ben, cy) = (
            on.connect("/chat", "Ben").await,
            on.connect("/chat", "Cy").await,
        );
        for (name, request) in [
            ("room:get", in_room()),
            ("room:join", in_room()),
            ("room:watch", in_room()),
            ("member:list", in_room()),
            ("member:kick", of("dev:ada")),
            ("room:set", with(in_room(), "name", "x")),
            ("room:delete", in_room()),
        ] {
            assert_eq!(ben.refused(name, request).await, "not_found", "{name}");
        }
        let invite = json!({"room": "r", "people": ["dev:ben", "dev:cy", "dev:ada"]});
        assert_eq!(
            ada.ok("member:invite", invite.clone()).await["invited"],
            json!(["dev:ben", "dev:cy"])
        );
        assert_eq!(ada.ok("member:invite", invite).await["invited"], json!([]));
        let told = ben.heard("room:invited").await;
        assert_eq!(
            (&told["by"], &told["room"]["mine"]["role"]),
            (&user("Ada"), &json!("guest"))
        );
        assert_eq!(
            ben.ok("room:get", in_room()).await["room"]["mine"]["invited_by"],
            user("Ada")
        );
        assert_eq!(
            ben.refused("message:history", in_room()).await,
            "not_member"
        );
        let invited = ada
            .ok("member:list", with(in_room(), "role", "guest"))
            .await;
        assert_eq!(invited["members"].as_array().map(Vec::len), Some(2));
        assert_eq!(
            ada.ok("member:list", in_room()).await["members"]
                .as_array()
                .map(Vec::len),
            Some(1)
        );
        ben.ok("room:join", in_room()).await;
        let mine = ben.ok("room:get", in_room()).await["room"]["mine"].clone();
        assert_eq!(
            (&mine["role"], &mine["invited_by"]),
            (&json!("member"), &Value::Null)
        );
        cy.ok("member:decline", in_room()).await;
        cy.ok("member:decline", in_room()).await;
        assert_eq!(cy.refused("room:join", in_room()).await, "not_found");
        assert_eq!(
            cy.ok("room:list", json!({"mine": true})).await["rooms"],
            json!([])
        );
    });
}

#[test]
fn owners_put_people_in_and_members_are_listed_with_their_roles() {
    on_each_store(async |on, clock| {
        let ada = here(&on, "Ada").await;
        clock.advance(5);
        let watcher = here(&on, "Watcher").await;
        watcher.received();
        let ben = on.connect("/chat", "Ben").await;
        let add = json!({"room": "r", "people": ["dev:ben", "unheard-of"], "role": "moderator"});
        assert_eq!(
            ada.ok("member:add", add.clone()).await["added"],
            json!(["dev:ben", "unheard-of"])
        );
        assert_eq!(ada.ok("member:add", add).await["added"], json!([]));
        assert_eq!(
            ben.heard("room:invited").await["room"]["mine"]["role"],
            "moderator"
        );
        let told = watcher.heard("member:changed").await;
        assert_eq!(told["set"], json!({"joined": true, "role": "moderator"}));
        assert_eq!((&told["user"], &told["by"]), (&user("Ben"), &user("Ada")));
        ben.ok("me:set", json!({"name": "Benjamin", "picture": "/b.png"}))
            .await;
        let all = ada.ok("member:list", in_room()).await;
        assert_eq!(
            all["members"],
            json!([
                {"id": "dev:ada", "name": "Ada", "role": "owner", "joined_at": START_MS, "online": true, "status": "online"},
                {"id": "dev:ben", "name": "Benjamin", "picture": "/b.png", "role": "moderator", "joined_at": START_MS + 5, "online": false, "status": "online"},
                {"id": "dev:watcher", "name": "Watcher", "role": "member", "joined_at": START_MS + 5, "online": true, "status": "online"},
                {"id": "unheard-of", "name": "unheard-of", "role": "moderator", "joined_at": START_MS + 5, "online": false, "status": "offline"}
            ])
        );
        let mut cursor = Value::Null;
        let mut found = Vec::new();
        loop {
            let mut request = json!({"room": "r", "role": "moderator", "limit": 1});
            if !cursor.is_null() {
                request["cursor"] = cursor;
            }
            let page = ada.ok("member:list", request).await;
            found.extend(
                page["members"]
                    .as_array()
                    .expect("a list")
                    .iter()
                    .map(|member| member["id"].clone()),
            );
            cursor = page["cursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        assert_eq!(found, ["dev:ben", "unheard-of"]);
    });
}

#[test]
fn nobody_acts_on_somebody_with_more_power_or_as_much() {
    run(async {
        let (on, _, _) = start(unhurried());
        let ada = here(&on, "Ada").await;
        let (ben, cy, _di) = (
            here(&on, "Ben").await,
            here(&on, "Cy").await,
            here(&on, "Di").await,
        );
        for person in ["dev:ben", "dev:cy"] {
            give(&ada, person, "moderator").await;
        }
        for (name, more) in [
            ("member:kick", None),
            ("member:ban", None),
            ("member:mute", Some(10)),
        ] {
            let request = |person: &str| match more {
                Some(seconds) => with(of(person), "seconds", seconds),
                None => of(person),
            };
            assert_eq!(
                ben.refused(name, request("dev:ada")).await,
                "forbidden",
                "{name} upwards"
            );
            assert_eq!(
                ben.refused(name, request("dev:cy")).await,
                "forbidden",
                "{name} sidewards"
            );
            assert_eq!(
                ben.refused(name, request("dev:ben")).await,
                "bad_request",
                "{name} oneself"
            );
            ben.ok(name, request("dev:di")).await;
        }
        assert_eq!(
            cy.refused("member:role", with(of("dev:ben"), "role", "owner"))
                .await,
            "forbidden"
        );
        give(&ada, "dev:ben", "owner").await;
        ben.ok("member:kick", of("dev:ada")).await;
        assert_eq!(ada.refused("member:kick", of("dev:cy")).await, "forbidden");
    });
}

#[test]
fn what_does_not_fit_is_refused_with_a_code() {
    run(async {
        let (on, _, _) = start(unhurried());
        let (ada, _ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        let many: Vec<_> = (0..101).map(|n| format!("p{n}")).collect();
        for (name, request, code) in [
            ("member:list", json!({}), "bad_request"),
            ("member:list", json!({"room": "nowhere"}), "not_found"),
            (
                "member:list",
                json!({"room": "r", "limit": 0}),
                "bad_request",
            ),
            (
                "member:list",
                json!({"room": "r", "role": "king"}),
                "bad_request",
            ),
            ("member:invite", json!({"room": "r"}), "bad_request"),
            (
                "member:invite",
                json!({"room": "r", "people": []}),
                "bad_request",
            ),
            (
                "member:invite",
                json!({"room": "r", "people": many}),
                "bad_request",
            ),
            (
                "member:invite",
                json!({"room": "r", "people": ["a\nb"]}),
                "bad_request",
            ),
            (
                "member:add",
                json!({"room": "r", "people": ["x"], "role": "guest"}),
                "bad_request",
            ),
            (
                "member:role",
                with(of("dev:ben"), "role", "guest"),
                "bad_request",
            ),
            (
                "member:role",
                with(of("dev:ben"), "role", "king"),
                "bad_request",
            ),
            (
                "member:role",
                with(of("dev:nobody"), "role", "owner"),
                "not_found",
            ),
            ("member:kick", json!({"room": "r"}), "bad_request"),
            (
                "member:kick",
                with(of("dev:ben"), "reason", "x".repeat(501)),
                "bad_request",
            ),
            (
                "member:ban",
                with(of("dev:ben"), "seconds", 0),
                "bad_request",
            ),
            (
                "member:ban",
                with(of("dev:ben"), "seconds", 315_360_001_u64),
                "bad_request",
            ),
            ("member:mute", of("dev:ben"), "bad_request"),
            (
                "member:mute",
                with(of("dev:ben"), "seconds", -1),
                "bad_request",
            ),
            ("member:unban", of(""), "bad_request"),
            ("ban:list", json!({"room": "nowhere"}), "not_found"),
        ] {
            assert_eq!(
                ada.refused(name, request.clone()).await,
                code,
                "{name} {request}"
            );
        }
    });
}

#[test]
fn a_room_keeps_what_its_moderators_did() {
    room::with_each_store(async |on, clock, store| {
        let (ada, _ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        clock.advance(3);
        give(&ada, "dev:ben", "moderator").await;
        ada.ok("member:mute", with(of("dev:ben"), "seconds", 1))
            .await;
        ada.ok("member:kick", with(of("dev:ben"), "reason", "why not"))
            .await;
        ada.ok("member:ban", of("dev:ben")).await;
        ada.ok("room:archive", json!({"room": "r", "archived": true}))
            .await;
        let log = store
            .range("chat_moderation:r", lakh_hub::store::Range::from(1, 10))
            .await
            .expect("read");
        let deeds = log
            .entries
            .iter()
            .map(|entry| serde_json::from_slice::<Value>(&entry.value).expect("JSON"));
        let (ada, ben) = (user("Ada"), user("Ben"));
        assert_eq!(
            deeds.collect::<Vec<_>>(),
            [
                json!({"kind": "role", "by": ada, "person": ben, "role": "moderator"}),
                json!({"kind": "mute", "by": ada, "person": ben, "until": START_MS + 1_003}),
                json!({"kind": "kick", "by": ada, "person": ben, "reason": "why not"}),
                json!({"kind": "ban", "by": ada, "person": ben}),
                json!({"kind": "archive", "by": ada}),
            ]
        );
        assert!(
            log.entries
                .iter()
                .all(|entry| entry.time_ms == START_MS + 3)
        );
    });
}
