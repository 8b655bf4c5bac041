//! `lakh bench` with the real binary on both sides.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::Value;
use support::{SECRET, Server, output};
use tempfile::TempDir;

/// Runs `lakh bench` against that server; its line of JSON, and the table.
fn bench(folder: &TempDir, server: &Server, args: &[&str]) -> (Value, String) {
    let url = format!("http://{}", server.address);
    let mut all = vec!["bench", "--url", &url];
    all.extend(args);
    let (code, out, err) = output(folder.path(), &all);
    assert_eq!(code, 0, "{err}");
    assert_eq!(out.lines().count(), 1, "{out}");
    (serde_json::from_str(&out).unwrap(), err)
}

fn figure(report: &Value, name: &str) -> f64 {
    let value = report["figures"][name].as_f64();
    value.unwrap_or_else(|| panic!("no {name} in {report}"))
}

#[test]
fn a_plain_server_delivers_all_in_order_and_its_costs_are_found() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &[]);
    let args = ["fanout", "-n", "60", "-m", "20", "--rate", "2000"];
    let short = ["--seconds", "0.5", "--warmup", "0.1"];
    let (report, table) = bench(&folder, &server, &[&args[..], &short].concat());
    assert!(figure(&report, "delivered") >= 500.0, "{report}");
    for name in [
        "lost",
        "out_of_order",
        "stray",
        "refused",
        "closed_by_server",
    ] {
        assert_eq!(figure(&report, name), 0.0, "{name}: {report}");
    }
    // The process was found by its port.
    assert!(figure(&report, "cpu_us_per_delivery") > 0.0, "{report}");
    assert!(
        table.contains("fanout") && table.contains("delivered"),
        "{table}"
    );
}

#[test]
fn an_emit_to_a_room_of_one_stands_for_an_echo() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &[]);
    let args = ["echo", "-n", "20", "--rate", "500", "--quiet"];
    let short = ["--seconds", "0.5", "--warmup", "0.1"];
    let (report, table) = bench(&folder, &server, &[&args[..], &short].concat());
    assert!(figure(&report, "echoes") > 100.0, "{report}");
    for name in ["lost", "wrong", "refused", "unacknowledged"] {
        assert_eq!(figure(&report, name), 0.0, "{name}: {report}");
    }
    assert_eq!(table, "", "quiet is quiet");
    let note = report["notes"][0].as_str().unwrap();
    assert!(note.contains("room"), "{note}");
}

#[test]
fn what_a_limit_of_the_server_refuses_is_told_with_the_setting() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("lakh.toml");
    std::fs::write(&file, "[rooms]\nevents_per_second = 5\n").unwrap();
    let server = Server::start(folder.path(), &[]);
    let args = [
        "burst",
        "-n",
        "10",
        "-m",
        "5",
        "--broadcasts",
        "50",
        "--rounds",
        "1",
    ];
    let (report, table) = bench(&folder, &server, &args);
    assert!(figure(&report, "refused") > 0.0, "{report}");
    assert!(figure(&report, "delivered") > 0.0, "{report}");
    assert_eq!(figure(&report, "lost"), 0.0, "{report}");
    assert!(table.contains("rooms.events_per_second"), "{table}");
}

#[test]
fn a_server_with_sign_in_takes_a_token_and_says_so_without_one() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("lakh.toml");
    std::fs::write(&file, format!("[auth]\nsecret = {SECRET:?}\n")).unwrap();
    let server = Server::start(folder.path(), &[]);
    let url = format!("http://{}", server.address);
    let (code, _, err) = output(folder.path(), &["bench", "fanout", "--url", &url]);
    assert_eq!(code, 1);
    assert!(err.contains("lakh token"), "{err}");

    let args = ["token", "--sub", "bench", "--grant", "rooms:join,emit:*"];
    let (_, token, _) = output(folder.path(), &args);
    let auth = format!("{{\"token\":\"{}\"}}", token.trim());
    let args = ["idle", "-n", "20", "--seconds", "0.1", "--auth", &auth];
    let (report, _) = bench(&folder, &server, &args);
    assert_eq!(figure(&report, "closed_by_server"), 0.0, "{report}");
}

#[test]
fn clients_that_poll_hold_still_and_answer_pings() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("lakh.toml");
    std::fs::write(&file, "[engine]\nping_interval_ms = 100\n").unwrap();
    let server = Server::start(folder.path(), &[]);
    let args = ["idle", "--transport", "polling", "-n", "40", "-s", "1"];
    let (report, _) = bench(&folder, &server, &args);
    assert!(figure(&report, "pings") >= 40.0, "{report}");
    assert_eq!(figure(&report, "closed_by_server"), 0.0, "{report}");
    assert!(figure(&report, "cpu_us_per_connect") > 0.0, "{report}");
}

#[test]
fn clients_that_come_and_go_hear_themselves_and_are_let_go() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &[]);
    let args = ["churn", "--for", "1s", "--rate", "100", "--stay", "2s"];
    let (report, _) = bench(&folder, &server, &args);
    assert!(figure(&report, "sent") > 50.0, "{report}");
    for name in [
        "failed",
        "lost",
        "refused",
        "closed_by_server",
        "not_let_go",
    ] {
        assert_eq!(figure(&report, name), 0.0, "{name}: {report}");
    }
    let samples = report["samples"].as_array().unwrap();
    assert!(samples.len() > 5, "{report}");
    assert!(
        samples
            .iter()
            .all(|s| s["resident_kb"].as_f64() > Some(0.0))
    );
}

#[test]
fn nobody_there_is_a_failure_with_the_way_out() {
    let folder = TempDir::new().unwrap();
    // Port 1 is nobody's.
    let args = ["bench", "fanout", "--url", "http://127.0.0.1:1"];
    let (code, out, err) = output(folder.path(), &args);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(
        err.contains("http://127.0.0.1:1") && err.contains("lakh serve"),
        "{err}"
    );
    for wrong in [
        &["--url", "https://127.0.0.1:1"][..],
        &["--auth", "no json"],
        &["--members", "many"],
    ] {
        let (code, _, err) = output(folder.path(), &[&["bench", "fanout"], wrong].concat());
        assert_eq!(code, 2, "{err}");
    }
}

#[test]
fn a_plan_of_limits_needs_no_server() {
    let folder = TempDir::new().unwrap();
    let args = ["bench", "plan", "--limits-only", "-n", "2000000000"];
    let (code, out, err) = output(folder.path(), &args);
    assert_eq!(code, 0, "{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert!(figure(&report, "limits_in_the_way") > 0.0, "{report}");
    assert!(err.contains("LimitNOFILE"), "{err}");
}

#[test]
fn a_plan_starts_a_server_of_its_own_and_leaves_nothing_behind() {
    let folder = TempDir::new().unwrap();
    let temporary = TempDir::new().unwrap();
    let mut command = support::lakh(folder.path(), &["bench", "plan", "--sample", "50"]);
    // A setting that would be in the way, and that a plan of the machine mustn't see.
    command.env("TMPDIR", temporary.path());
    command.env("LAKH_LIMITS__MAX_CONNECTIONS", "3");
    let result = command.output().unwrap();
    let table = String::from_utf8(result.stderr).unwrap();
    assert_eq!(result.status.code(), Some(0), "{table}");
    let report: Value = serde_json::from_slice(&result.stdout).unwrap();
    assert!(
        figure(&report, "deliveries_per_s_and_core") > 0.0,
        "{report}"
    );
    assert!(
        figure(&report, "server_kb_per_connection") >= 0.0,
        "{report}"
    );
    let left = std::fs::read_dir(temporary.path()).unwrap().count();
    assert_eq!(left, 0, "the temporary folder is gone");
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "nothing was written where it was called");
}

#[test]
fn bots_walk_in_a_world_and_what_they_see_is_true() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &[]);
    for scene in ["uniform", "slow"] {
        let args = ["world", "-n", "30", "--in-sight", "20", "--scene", scene];
        let short = ["--seconds", "1", "--warmup", "0.5", "--quiet"];
        let (report, _) = bench(&folder, &server, &[&args[..], &short].concat());
        assert!(figure(&report, "updates_per_s") > 0.0, "{report}");
        assert!(figure(&report, "in_sight") > 3.0, "{report}");
        assert_eq!(figure(&report, "missing_percent"), 0.0, "{report}");
        assert_eq!(figure(&report, "closed_by_server"), 0.0, "{report}");
        assert_eq!(report["notes"].as_array().unwrap().len(), 0, "{report}");
    }
}
