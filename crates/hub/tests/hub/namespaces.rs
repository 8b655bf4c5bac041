//! Namespaces that clients bring about: by pattern and by function.

use lakh_hub::{ConnectError, Socket};
use serde_json::Value;

use crate::support::{Gate, Log, run};

fn pattern(text: &str) -> regex::Regex {
    regex::Regex::new(text).unwrap()
}

#[test]
fn a_pattern_makes_children_that_share_handlers_and_nothing_else() {
    run(async |world| {
        let parent = world.hub().of_pattern(pattern(r"^/board-\d+$"));
        parent.on("post", async |socket: Socket, text: String| {
            socket.namespace().emit("posted", &text).unwrap();
        });
        let (one, two) = (world.client(), world.client());
        one.connect("/board-1");
        two.connect("/board-2");
        one.send(r#"42/board-1,["post","hi"]"#);
        assert_eq!(one.texts(), [r#"42/board-1,["posted","hi"]"#]);
        assert_eq!(two.texts(), [""; 0]);
        let outside = world.client();
        outside.texts();
        outside.send("40/board-x,");
        assert_eq!(
            outside.texts(),
            [r#"44/board-x,{"message":"Invalid namespace"}"#]
        );
        let mut children: Vec<String> = parent
            .children()
            .iter()
            .map(|child| child.name().to_owned())
            .collect();
        children.sort();
        assert_eq!(children, ["/board-1", "/board-2"]);
    });
}

#[test]
fn handlers_that_come_later_hold_for_children_that_are_there() {
    run(async |world| {
        let parent = world.hub().of_pattern(pattern("^/p"));
        let client = world.client();
        client.connect("/p1");
        parent.on("late", async |socket: Socket| {
            socket.emit("heard", &()).unwrap();
        });
        client.send(r#"42/p1,["late"]"#);
        assert_eq!(client.texts(), [r#"42/p1,["heard"]"#]);
    });
}

#[test]
fn a_function_sees_the_name_and_the_auth_and_may_take_its_time() {
    run(async |world| {
        let (log, gate) = (Log::default(), Gate::closed());
        let (seen, waits) = (log.clone(), gate.clone());
        world.of_fn(async move |name, auth| {
            waits.pass().await;
            seen.add(format!("{name} {auth:?}"));
            let auth: Value = serde_json::from_str(&auth.unwrap_or_default()).unwrap_or_default();
            name.starts_with("/team/") && auth["key"] == 7
        });
        let (good, bad) = (world.client(), world.client());
        good.texts();
        bad.texts();
        good.send(r#"40/team/a,{"key":7}"#);
        bad.send("40/team/a,");
        world.settle().await;
        assert_eq!(good.texts(), [""; 0]);
        gate.admit(2);
        world.settle().await;
        assert!(good.texts()[0].starts_with("40/team/a,{"));
        assert_eq!(
            bad.texts(),
            [r#"44/team/a,{"message":"Invalid namespace"}"#]
        );
        assert_eq!(
            log.take(),
            [r#"/team/a Some("{\"key\":7}")"#, "/team/a None"]
        );
    });
}

#[test]
fn parents_are_asked_in_order_and_existing_namespaces_first() {
    run(async |world| {
        world.of("/fixed").on_connect(async |socket: Socket| {
            socket.emit("by", &"name").unwrap();
        });
        for (parent, text) in [("^/f", "first"), ("^/", "second")] {
            let parent = world.hub().of_pattern(pattern(parent));
            parent.on_connect(async move |socket: Socket| {
                socket.emit("by", &text).unwrap();
            });
        }
        for (name, by) in [("/fixed", "name"), ("/free", "first"), ("/other", "second")] {
            let client = world.client();
            client.texts();
            client.send(&format!("40{name},"));
            assert_eq!(client.texts()[1], format!(r#"42{name},["by","{by}"]"#));
        }
    });
}

#[test]
fn an_empty_child_is_removed_and_made_anew_when_asked_for() {
    run(async |world| {
        let parent = world.hub().of_pattern(pattern("^/room/"));
        world.of("/stays");
        let (one, two) = (world.client(), world.client());
        one.connect("/room/a");
        two.connect("/room/a");
        one.cut();
        assert_eq!(parent.children().len(), 1);
        two.send("41/room/a,");
        assert_eq!(parent.children().len(), 0);
        let names = |world: &crate::support::World| -> Vec<String> {
            let all = world.hub().namespaces();
            all.iter().map(|ns| ns.name().to_owned()).collect()
        };
        assert_eq!(names(&world), ["/stays"]);
        let three = world.client();
        three.connect("/room/a");
        assert_eq!(parent.children()[0].socket_count(), 1);
        assert_eq!(names(&world), ["/room/a", "/stays"]);
    });
}

#[test]
fn a_child_whose_only_client_was_refused_is_removed() {
    run(async |world| {
        let parent = world.hub().of_pattern(pattern("^/x"));
        parent.use_connect(async |_| Err(ConnectError::new("no")));
        let client = world.client();
        client.send("40/x1,");
        assert_eq!(client.texts()[1], r#"44/x1,{"message":"no"}"#);
        assert_eq!(parent.children().len(), 0);
    });
}

#[test]
fn a_parents_broadcast_reaches_every_child() {
    run(async |world| {
        let parent = world.hub().of_pattern(pattern("^/n/"));
        world.of("/other");
        let clients = ["/n/1", "/n/2", "/other"].map(|name| {
            let client = world.client();
            client.connect(name);
            client
        });
        parent.emit("all", &(1, "two")).unwrap();
        assert_eq!(clients[0].texts(), [r#"42/n/1,["all",1,"two"]"#]);
        assert_eq!(clients[1].texts(), [r#"42/n/2,["all",1,"two"]"#]);
        assert_eq!(clients[2].texts(), [""; 0]);
    });
}

#[test]
fn a_namespace_needs_no_slash_in_front() {
    run(async |world| {
        assert_eq!(world.of("plain").name(), "/plain");
        let client = world.client();
        client.connect("/plain");
        assert_eq!(world.of("/plain").socket_count(), 1);
    });
}
