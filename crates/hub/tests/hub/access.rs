//! Rights: what a socket may do is what the policy says of its principal, and refusals are counted.

use lakh_hub::auth::{Effect, Grant, Policy, Principal, Rule, Who};
use lakh_hub::{Failure, Person, Socket};
use serde_json::{Value, json};

use crate::support::{Client, World, run};

fn answers(client: &Client) -> Vec<Value> {
    let texts = client.texts().into_iter();
    texts
        .filter_map(|text| serde_json::from_str::<Value>(text.strip_prefix("431")?).ok())
        .map(|mut answer| answer[0].take())
        .collect()
}

/// Clients ask whether they may do something in a room; the name that they give at CONNECT is their sign-in.
fn asks(world: &World) {
    let namespace = world.of("/");
    namespace.use_connect(async |socket: Socket| {
        let auth: Value = socket.auth().unwrap_or_default();
        if let Some(name) = auth["name"].as_str() {
            socket.set_principal(Principal::person(name, name));
        }
        Ok(())
    });
    namespace.on_request("may", async |socket: Socket, room: String| {
        socket.allow("rooms", "join", &room)?;
        Ok::<_, Failure>(json!({}))
    });
}

fn rules() -> Policy {
    let rule = |who, grant: &str, effect| Rule {
        who: vec![who],
        what: vec![grant.parse::<Grant>().unwrap()],
        effect,
    };
    let rules = vec![
        rule(Who::Person("eve".into()), "rooms:*:*", Effect::Deny),
        rule(Who::SignedIn, "rooms:join:team-*", Effect::Allow),
    ];
    Policy::new(rules, Effect::Deny)
}

#[test]
fn without_a_policy_everybody_may_do_everything() {
    run(async |world| {
        asks(&world);
        let client = world.joined();
        client.send(r#"421["may","anywhere"]"#);
        world.settle().await;
        assert_eq!(answers(&client), [json!({"ok": true})]);
        assert!(world.hub().refused_acts().is_empty());
    });
}

#[test]
fn the_policy_decides_by_the_principal_of_the_socket_and_counts_what_it_refuses() {
    run(async |world| {
        asks(&world);
        world.hub().set_policy(rules());
        for (auth, room, allowed) in [
            (r#"{"name":"ada"}"#, "team-1", true),
            (r#"{"name":"ada"}"#, "other", false),
            (r#"{"name":"eve"}"#, "team-1", false),
            ("", "team-1", false),
        ] {
            let client = world.client();
            client.connect_with("/", auth);
            client.send(&format!("421{}", json!(["may", room])));
            world.settle().await;
            let answer = answers(&client).remove(0);
            assert_eq!(answer["ok"], allowed, "{auth} {room}: {answer}");
            if !allowed {
                assert_eq!(answer["error"]["code"], "forbidden");
                let message = answer["error"]["message"].as_str().unwrap();
                assert!(message.contains("rooms:join"), "{message}");
            }
        }
        assert_eq!(world.hub().refused_acts(), [("rooms", "join", 3)]);
    });
}

#[test]
fn a_principal_is_a_person_for_others_and_may_be_renewed() {
    run(async |world| {
        let namespace = world.of("/");
        namespace.on_request("renew", async |socket: Socket, name: String| {
            let mut principal = Principal::person("u1", name);
            principal.grants.push("rooms:join:*".parse().unwrap());
            socket.set_principal(principal);
            let person = socket.get::<Person>().unwrap();
            Ok::<_, Failure>(json!({ "person": *person }))
        });
        namespace.on_request("may", async |socket: Socket, room: String| {
            socket.allow("rooms", "join", &room)
        });
        world
            .hub()
            .set_policy(Policy::new(Vec::new(), Effect::Deny));
        let client = world.joined();
        for (packet, ok) in [
            (r#"421["may","r"]"#, false),
            (r#"421["renew","Ada"]"#, true),
            (r#"421["may","r"]"#, true),
            (r#"421["renew","Ada L."]"#, true),
        ] {
            client.send(packet);
            world.settle().await;
            let answer = answers(&client).remove(0);
            assert_eq!(answer["ok"], ok, "{packet}: {answer}");
            if packet.contains("Ada L.") {
                assert_eq!(answer["person"], json!({"id": "u1", "name": "Ada L."}));
            }
        }
    });
}

#[test]
fn the_http_side_asks_the_same_policy() {
    run(async |world| {
        let hub = world.hub();
        hub.set_policy(rules());
        let ada = Principal::person("ada", "Ada");
        assert!(hub.allow(Some(&ada), "rooms", "join", "team-1").is_ok());
        assert!(hub.allow(None, "rooms", "join", "team-1").is_err());
        assert!(hub.allow(Some(&ada), "rooms", "emit", "team-1").is_err());
        let counts = hub.refused_acts();
        assert_eq!(counts, [("rooms", "emit", 1), ("rooms", "join", 1)]);
        hub.set_policy(Policy::open());
        assert!(hub.allow(None, "rooms", "emit", "x").is_ok());
    });
}
