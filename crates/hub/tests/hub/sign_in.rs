//! Sign-ins while connections live: who is asked, who gets a session back, alarms, and the look at all sockets.

use std::sync::Arc;

use lakh_hub::auth::Principal;
use lakh_hub::{ConnectError, LogLimits, Namespace, Socket};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::support::{Client, Log, World, event_of, run};

const LIMITS: LogLimits = LogLimits {
    max_bytes: 1 << 20,
    max_age_ms: 120_000,
};

/// A recoverable namespace where a name is sign-in enough, and `banned` is nobody's.
fn signed_in(world: &World) -> (Namespace, Log) {
    let ns = world.of("/");
    ns.recoverable(LIMITS);
    let (asked, log) = (Log::default(), Log::default());
    let told = asked.clone();
    ns.use_sign_in(async move |socket: Socket| {
        let auth: Value = socket.auth().unwrap_or_default();
        let name = auth["name"].as_str().unwrap_or_default();
        told.add(format!("asked {name}"));
        match name {
            "banned" => Err(ConnectError::new("no").with_data(json!({"code": "banned"}))),
            "" => Ok(Principal::anonymous()),
            name => Ok(Principal::person(name, name)),
        }
    });
    let checked = log;
    ns.use_connect(async move |socket: Socket| {
        checked.add(format!("checked {}", who(&socket)));
        Ok(())
    });
    ns.on_connect(async |socket: Socket| {
        if !socket.recovered() {
            socket.join("r");
        }
        socket.notify("you", &who(&socket)).unwrap();
    });
    (ns, asked)
}

fn who(socket: &Socket) -> String {
    let principal = socket.get::<Principal>();
    principal.map_or_else(|| "nobody".to_owned(), |principal| principal.id.clone())
}

/// What came at CONNECT: its data, and the events before and after.
fn come(world: &World, auth: &Value) -> (Client, Value, Vec<Value>) {
    let client = world.client();
    client.frames();
    client.send(&format!("40{auth}"));
    let texts = client.texts();
    let data = texts.iter().find_map(|text| {
        let data = text
            .strip_prefix("40")
            .or_else(|| text.strip_prefix("44"))?;
        serde_json::from_str(data).ok()
    });
    let events = texts.iter().filter_map(|text| event_of(text)).collect();
    (client, data.unwrap_or_else(|| panic!("{texts:?}")), events)
}

#[test]
fn who_comes_back_is_asked_again_and_gets_only_what_was_theirs() {
    run(async |world| {
        let (ns, asked) = signed_in(&world);
        let (client, first, _) = come(&world, &json!({"name": "ada"}));
        ns.to("r").emit("news", &1).unwrap();
        let news = client.events();
        let offset = news[0].as_array().unwrap().last().unwrap().clone();
        client.cut();
        ns.to("r").emit("news", &2).unwrap();
        let back = |name: &str| json!({"name": name, "pid": first["pid"], "offset": offset});

        // With another sign-in the id of a session is worth nothing, and neither without any.
        for name in ["eve", ""] {
            let (_, data, events) = come(&world, &back(name));
            assert_ne!(data["pid"], first["pid"], "{name}");
            assert_ne!(data["sid"], first["sid"], "{name}");
            assert!(events.iter().all(|event| event[0] == "you"), "{events:?}");
        }
        let (_, refused, _) = come(&world, &back("banned"));
        assert_eq!(refused["data"]["code"], "banned");

        let (_, data, events) = come(&world, &back("ada"));
        assert_eq!((&data["pid"], &data["sid"]), (&first["pid"], &first["sid"]));
        assert_eq!(
            events[0].as_array().unwrap()[..2],
            [json!("news"), json!(2)]
        );
        assert_eq!(events[1], json!(["you", "ada"]));
        let all = [
            "asked ada",
            "asked eve",
            "asked ",
            "asked banned",
            "asked ada",
        ];
        assert_eq!(asked.take(), all);
    });
}

#[test]
fn a_connection_is_not_taken_from_somebody_else() {
    run(async |world| {
        signed_in(&world);
        let (ada, first, _) = come(&world, &json!({"name": "ada"}));
        let stolen = json!({"name": "eve", "pid": first["pid"]});
        let (_, data, _) = come(&world, &stolen);
        assert_ne!(data["pid"], first["pid"]);
        assert_eq!(ada.closed(), None, "she stays");
        // Her own newer connection takes her half-open one over.
        let (_, data, _) = come(&world, &json!({"name": "ada", "pid": first["pid"]}));
        assert_eq!(data["pid"], first["pid"]);
        assert!(ada.closed().is_some());
    });
}

#[test]
fn what_holds_at_this_moment_is_not_told_again_to_who_comes_back() {
    run(async |world| {
        signed_in(&world);
        let (client, first, events) = come(&world, &json!({"name": "ada"}));
        assert_eq!(events, [json!(["you", "ada"])], "and it has no offset");
        client.cut();
        let (_, data, events) = come(&world, &json!({"name": "ada", "pid": first["pid"]}));
        assert_eq!(data["pid"], first["pid"]);
        assert_eq!(events, [json!(["you", "ada"])], "once, by this CONNECT");
    });
}

#[test]
fn a_refused_client_leaves_nothing_behind() {
    run(async |world| {
        let (ns, _) = signed_in(&world);
        for _ in 0..3 {
            come(&world, &json!({"name": "banned"}));
        }
        assert_eq!(ns.socket_count(), 0);
        let (_, data, _) = come(&world, &json!({"name": "ada", "pid": "unknown"}));
        assert!(data["sid"].is_string());
        assert_eq!(ns.socket_count(), 1);
    });
}

#[test]
fn an_alarm_goes_off_once_at_its_time_and_not_for_who_is_gone() {
    run(async |world| {
        let ns = world.of("/");
        ns.on_connect(async |socket: Socket| {
            let now = socket.now_ms();
            socket.alarm_at(now + 100_000, 7);
            socket.alarm_at(now + 50, 8);
        });
        let rung = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&rung);
        world.hub().on_alarm(move |socket, tag| {
            noted.lock().push((socket.id().to_owned(), tag));
            if tag == 8 {
                // From here another one may be set.
                socket.alarm_at(socket.now_ms() + 10, 9);
            }
        });
        let client = world.client();
        let id = client.connect("/");
        let take = || std::mem::take(&mut *rung.lock());
        world.pass(49);
        assert_eq!(take(), []);
        world.pass(1);
        assert_eq!(take(), [(id.clone(), 8)]);
        world.pass(10);
        assert_eq!(take(), [(id, 9)]);
        let other = world.client();
        other.connect("/");
        other.cut();
        // The clients answer no pings: their connections end, and with them what was asked for.
        world.pass(30_000);
        assert_eq!(take(), []);
        client.cut();
        world.pass(100_000);
        assert_eq!(take(), []);
    });
}

#[test]
fn a_visit_reaches_every_socket() {
    run(async |world| {
        let ns = world.of("/");
        let clients: Vec<Client> = (0..2_500).map(|_| world.joined()).collect();
        clients[7].cut();
        let seen = Arc::new(Mutex::new(std::collections::HashSet::new()));
        let noted = Arc::clone(&seen);
        world.hub().visit_sockets(move |socket| {
            noted.lock().insert(socket.id().to_owned());
        });
        world.settle().await;
        assert_eq!(seen.lock().len(), 2_499);
        assert_eq!(ns.socket_count(), 2_499);
    });
}

#[test]
fn companions_are_the_other_sockets_of_the_connection() {
    run(async |world| {
        let log = Log::default();
        for name in ["/", "/a", "/b"] {
            let told = log.clone();
            world.of(name).on("who", async move |socket: Socket| {
                let others = socket.companions();
                let mut names: Vec<String> = others
                    .iter()
                    .map(|other| other.namespace().name().to_owned())
                    .collect();
                names.sort();
                told.add(names.join(" "));
            });
        }
        let (client, alone) = (world.joined(), world.joined());
        client.connect("/a");
        client.connect("/b");
        client.send(r#"42/a,["who"]"#);
        alone.send(r#"42["who"]"#);
        assert_eq!(log.take(), ["/ /b", ""]);
    });
}
