//! A loop that is behind takes no newcomers, and goes on with those it has.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lakh_hub::Hub;
use lakh_net::{Hooks, Options};

use crate::support::{POLL, TestServer, WS, loops, start};

/// More than the bound that the tests set.
const BEHIND: Duration = Duration::from_millis(120);
const BOUND_MS: u64 = 40;

/// A server on which a handshake with `slow` in its query keeps its loop busy. The work is queued before the loop is asked
/// for its sign of life, so that comes late for certain.
fn server(max_lag_ms: Option<u64>) -> TestServer {
    let hub: Arc<OnceLock<Hub>> = Arc::default();
    let on_request = {
        let hub = Arc::clone(&hub);
        move |request: &lakh_net::Parts| {
            let slow = request
                .uri
                .query()
                .is_some_and(|query| query.contains("slow"));
            if let (true, Some(hub)) = (slow, hub.get()) {
                hub.run_on(0, |_| std::thread::sleep(BEHIND))
                    .map_err(|_| "full".to_owned())?;
            }
            Ok(())
        }
    };
    let options = Options {
        max_lag_ms,
        hooks: Hooks::default().use_request(on_request),
        ..Options::default()
    };
    let server = start(loops(1), options);
    hub.set(server.hub.clone()).unwrap();
    server
}

/// Whether somebody who comes right after is sent away. An answer counts for a moment only, so a machine that rests
/// between the two may hide it: then it's tried again.
fn newcomer_is_refused(server: &TestServer) -> Option<u64> {
    (0..50).find_map(|_| {
        let slow = server.connect().get(&format!("{POLL}&slow=1"));
        // It may itself meet the lag of the one before.
        assert!([200, 503].contains(&slow.status), "{}", slow.status);
        let refused = server.connect().upgrade(WS).err()?;
        assert_eq!(refused.status, 503);
        refused.header("retry-after").unwrap().parse().ok()
    })
}

#[test]
fn newcomers_are_told_to_wait_while_sessions_go_on_and_taken_when_the_loop_is_back() {
    let server = server(Some(BOUND_MS));
    let mut inside = server.joined();
    let wait = newcomer_is_refused(&server).expect("nobody was refused");
    assert!((2..=4).contains(&wait), "{wait}");
    assert_eq!(inside.ask(r#"["echo","hi"]"#), r#"437["hi"]"#);
    while server.connect().upgrade(WS).is_err() {}
    assert_eq!(inside.ask(r#"["echo","hi"]"#), r#"437["hi"]"#);
}

#[test]
fn without_a_bound_nobody_is_refused_for_lag() {
    let server = server(None);
    for _ in 0..3 {
        assert_eq!(server.connect().get(&format!("{POLL}&slow=1")).status, 200);
        assert!(server.connect().upgrade(WS).is_ok());
    }
}
