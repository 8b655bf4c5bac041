//! State and locks of rooms on three nodes: what is counted up, who gets a lock when, and what belongs to a node that was
//! killed. A plain map beside it all is in `state_fleet_model.rs`.

mod driver;
mod nodes;
mod views;

use std::time::Duration;

use lakh_hub::redis::Backend;
use nodes::{BOUND, Node, fleet};
use serde_json::json;

#[test]
fn counting_up_from_all_nodes_at_once_loses_nothing() {
    let fleet = fleet(&Backend::streams());
    for node in &fleet.nodes {
        node.writer("Ada");
    }
    let counting: Vec<_> = fleet
        .nodes
        .iter()
        .map(|node| {
            node.start_job(async |here| {
                for _ in 0..40 {
                    loop {
                        let client = &here.clients[0];
                        let got = client
                            .ok("state:get", json!({"room": "r", "keys": ["n"]}))
                            .await;
                        let entry = &got["entries"]["n"];
                        let next = entry["value"].as_u64().unwrap_or(0) + 1;
                        let version = entry["version"].as_u64().unwrap_or(0);
                        let request =
                            json!({"room": "r", "key": "n", "value": next, "if_version": version});
                        let answer = client.request("state:set", request).await;
                        if answer["ok"] == json!(true) {
                            break;
                        }
                        assert_eq!(answer["error"]["code"], "conflict", "{answer}");
                    }
                }
            })
        })
        .collect();
    for counted in counting {
        counted.recv_timeout(BOUND).expect("it has counted");
    }
    let got = fleet.nodes[1].request(0, "state:get", json!({"room": "r"}));
    assert_eq!(got["entries"]["n"]["value"], 120);
}

#[test]
fn a_lock_goes_round_three_nodes_in_order() {
    let fleet = fleet(&Backend::streams());
    let acquire = json!({"room": "r", "name": "l", "ttl_ms": 60_000, "wait_ms": 60_000});
    for node in &fleet.nodes {
        node.writer("Ada");
    }
    let held = fleet.nodes[0].request(0, "lock:acquire", acquire.clone());
    assert_eq!(held["ok"], true, "{held}");
    let watching = |count: u64| {
        fleet.nodes[0].run(async move |here| {
            let client = &here.clients[0];
            loop {
                let watched = client.ok("lock:watch", json!({"room": "r"})).await;
                if watched["locks"][0]["waiting"] == json!(count) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
    };
    let wait = |node: usize| {
        let acquire = acquire.clone();
        fleet.nodes[node].start_job(async move |here| {
            let client = &here.clients[0];
            let got = client.request("lock:acquire", acquire).await;
            let token = got["token"].clone();
            let release = json!({"room": "r", "name": "l", "token": token});
            client.ok("lock:release", release).await;
            token.as_u64()
        })
    };
    let second = wait(1);
    watching(1);
    let third = wait(2);
    watching(2);
    let token = held["token"].as_u64();
    let release = json!({"room": "r", "name": "l", "token": token});
    assert_eq!(
        fleet.nodes[0].request(0, "lock:release", release)["ok"],
        true
    );
    let second = second.recv_timeout(BOUND).expect("the second");
    let third = third.recv_timeout(BOUND).expect("the third");
    assert!(
        token < second && second < third,
        "{token:?} {second:?} {third:?}"
    );
}

#[test]
fn what_belongs_to_a_node_that_was_killed_is_removed_and_what_belongs_to_others_stays() {
    let mut fleet = fleet(&Backend::streams());
    for node in &fleet.nodes {
        let writer = node.writer("Ada");
        node.follow(json!({}))
            .recv_timeout(BOUND)
            .expect("it follows");
        let key = format!(
            "of{}",
            fleet
                .nodes
                .iter()
                .position(|other| std::ptr::eq(other, node))
                .expect("it")
        );
        let request = json!({"room": "r", "key": key, "value": 1, "bind": "socket"});
        assert_eq!(node.request(writer, "state:set", request)["ok"], true);
    }
    let request = json!({"room": "r", "key": "hers", "value": 1, "bind": "person"});
    assert_eq!(fleet.nodes[2].request(0, "state:set", request)["ok"], true);
    drop(fleet.nodes.pop());
    let clock = fleet.clock.clone();
    let left = |node: &Node| {
        let clock = clock.clone();
        node.run(async move |here| {
            let view = &mut here.views[0];
            view.until("all of them", |view| view.len() == 4).await;
            while view.entries.contains_key("of2") {
                // The living say so in real time, and are asked after by this clock.
                tokio::time::sleep(Duration::from_millis(100)).await;
                clock.advance(50);
                view.take();
            }
            view.entries.clone()
        })
    };
    for node in &fleet.nodes {
        let left: Vec<String> = left(node).into_keys().collect();
        assert_eq!(left, ["hers", "of0", "of1"], "her other sockets are there");
    }
}
