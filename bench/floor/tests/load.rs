//! The load generator against the floor: every scenario, over real sockets.
#![allow(clippy::unwrap_used)] // A panic is how a test fails.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lakh_load::{
    Burst, Churn, Command as Scenario, Echo, Fanout, Idle, Options, Plan, Ramp, Report, Slow,
    Storm, Target, Tick, Transport, run,
};

/// A floor that is running, on a port of its own.
struct Floor {
    process: Child,
    url: String,
}

impl Floor {
    /// `None` where the kernel refuses io_uring.
    fn start(form: &str) -> Option<Self> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_lakh-floor"))
            .args([form, "--listen", "127.0.0.1:0", "--ping-ms", "200"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let Some(address) = line.trim().strip_prefix("listening on ") else {
            let said = process.wait_with_output().unwrap().stderr;
            let said = String::from_utf8_lossy(&said).into_owned();
            assert!(
                form == "uring" && said.contains("refuses io_uring"),
                "{said}"
            );
            eprintln!("skipped: {said}");
            return None;
        };
        Some(Self {
            url: format!("http://{address}/socket.io/"),
            process,
        })
    }

    fn run(&self, command: Scenario) -> Report {
        let mut target = Target::at(&self.url);
        target.pid = vec![self.process.id()];
        run(&Options {
            target,
            command,
            quiet: true,
        })
        .unwrap()
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn fanout(members: u32, outstanding: Option<u32>) -> Scenario {
    Scenario::Fanout(Fanout {
        members,
        connections: Some(60),
        bytes: vec![64, 1000, 70_000],
        rate: 3000.0,
        outstanding,
        seconds: 0.5,
        warmup: 0.1,
    })
}

fn is_whole(report: &Report) {
    let table = report.table();
    assert!(report.value("delivered").unwrap() > 100.0, "{table}");
    for name in ["lost", "out_of_order", "stray", "closed_by_server"] {
        assert_eq!(report.value(name), Some(0.0), "{name}: {table}");
    }
}

#[test]
fn all_forms_deliver_every_broadcast_in_order() {
    for form in ["send", "joined", "uring"] {
        let Some(floor) = Floor::start(form) else {
            continue;
        };
        is_whole(&floor.run(fanout(20, None)));
        is_whole(&floor.run(fanout(20, Some(3))));
        is_whole(&floor.run(Scenario::Burst(Burst {
            members: 10,
            connections: Some(30),
            bytes: vec![64],
            broadcasts: 300,
            rounds: 2,
        })));
    }
}

#[test]
fn echoes_come_back_to_who_asked() {
    let floor = Floor::start("send").unwrap();
    for outstanding in [None, Some(4)] {
        let report = floor.run(Scenario::Echo(Echo {
            connections: Some(7),
            bytes: 300,
            rate: 2000.0,
            outstanding,
            seconds: 0.3,
            warmup: 0.1,
        }));
        let table = report.table();
        assert!(report.value("echoes").unwrap() > 100.0, "{table}");
        assert_eq!(report.value("lost"), Some(0.0), "{table}");
        assert_eq!(report.value("wrong"), Some(0.0), "{table}");
    }
}

#[test]
fn idle_connections_answer_pings_and_stay() {
    let floor = Floor::start("joined").unwrap();
    let report = floor.run(Scenario::Idle(Idle {
        connections: 300,
        rooms: 70,
        members: 100,
        seconds: 1.0,
        transport: Transport::Websocket,
    }));
    let table = report.table();
    // Four or five pings each at 200 ms; how many exactly is the machine's mood.
    assert!(report.value("pings").unwrap() >= 300.0, "{table}");
    assert_eq!(report.value("closed_by_server"), Some(0.0), "{table}");
}

#[test]
fn a_storm_brings_everybody_back() {
    let floor = Floor::start("send").unwrap();
    let report = floor.run(Scenario::Storm(Storm {
        connections: 500,
        rooms: 2,
        members: 50,
        rounds: 2,
    }));
    assert_eq!(report.value("failed"), Some(0.0), "{}", report.table());
}

#[test]
fn ticks_reach_everybody_without_a_hole() {
    let floor = Floor::start("joined").unwrap();
    let report = floor.run(Scenario::Tick(Tick {
        connections: 50,
        bytes: 300,
        hz: 50,
        seconds: 0.5,
    }));
    let table = report.table();
    assert!(report.value("delivered_per_s").unwrap() > 100.0, "{table}");
    assert_eq!(report.value("out_of_order"), Some(0.0), "{table}");
}

#[test]
fn a_member_that_stops_reading_costs_the_others_nothing() {
    let floor = Floor::start("joined").unwrap();
    let report = floor.run(Scenario::Slow(Slow {
        members: 20,
        bytes: 20_000,
        rate: 10_000.0,
        seconds: 0.5,
    }));
    let table = report.table();
    assert_eq!(report.value("others_lost"), Some(0.0), "{table}");
    assert!(report.value("slow_one_got").unwrap() > 0.0, "{table}");
}

#[test]
fn a_ramp_finds_a_rate_that_is_too_much() {
    let floor = Floor::start("send").unwrap();
    let report = floor.run(Scenario::Ramp(Ramp {
        members: 50,
        connections: Some(100),
        bytes: vec![64],
        from: 2000.0,
        limit_ms: 30.0,
        seconds: 0.2,
        refine: 1,
    }));
    assert!(report.table().contains("too much"), "{}", report.table());
}

#[test]
fn who_comes_and_goes_hears_itself_and_leaves_nothing_behind() {
    let floor = Floor::start("send").unwrap();
    let report = floor.run(Scenario::Churn(Churn {
        time: Duration::from_secs(1),
        rate: 300.0,
        stay: Duration::from_millis(150),
        members: 4,
        bytes: 64,
        every: None,
        warmup: None,
    }));
    let table = report.table();
    assert!(report.value("connections_made").unwrap() > 200.0, "{table}");
    for name in ["failed", "lost", "closed_by_server", "turned_back"] {
        assert_eq!(report.value(name), Some(0.0), "{name}: {table}");
    }
    assert_eq!(report.value("sent"), report.value("connections_made"));
    assert!(report.json_line().contains("\"samples\":[{"), "{table}");
}

#[test]
fn a_plan_names_limits_and_what_a_connection_costs() {
    let floor = Floor::start("send").unwrap();
    let report = floor.run(Scenario::Plan(Plan {
        connections: 1_000_000_000,
        sample: 100,
        limits_only: false,
    }));
    let table = report.table();
    assert!(report.value("limits_in_the_way").unwrap() > 0.0, "{table}");
    assert!(
        report.value("deliveries_per_s_and_core").unwrap() > 0.0,
        "{table}"
    );
    assert!(table.contains("LimitNOFILE"), "{table}");
}

#[test]
fn a_server_that_is_not_there_is_an_error_and_no_report() {
    // Port 1 is nobody's.
    let mut target = Target::at("http://127.0.0.1:1/socket.io/");
    target.patience = 2;
    let command = fanout(10, None);
    let options = Options {
        target,
        command,
        quiet: true,
    };
    let error = run(&options).unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
}
