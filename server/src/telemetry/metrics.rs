//! The numbers as Prometheus reads them: text format 0.0.4
//! (prometheus.io/docs/instrumenting/exposition_formats).
//!
//! What must hold: base units (seconds, bytes), `_total` on counters and on nothing else, and labels from fixed sets.

use super::process::Process;
use super::snapshot::{BrokerCount, LogCount, Snapshot, StoreCount};
use super::text::{Text, float, seconds};
use super::{chat_metrics, flow_metrics, hook_metrics, world_metrics};

/// The content type of [`exposition`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is told beside the snapshot.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// The version of the binary.
    pub version: &'static str,
    /// Whether the node takes new clients.
    pub ready: bool,
}

/// Everything, ready to be sent.
pub fn exposition(about: About, snapshot: &Snapshot, process: &Process) -> String {
    let mut out = Text::default();
    out.gauge("lakh_build_info", "What runs, with the value 1.");
    out.value("lakh_build_info", &[("version", about.version)], 1);
    out.gauge("lakh_ready", "1 while the node takes new clients.");
    out.value("lakh_ready", &[], u8::from(about.ready));
    gauges(&mut out, snapshot);
    counters(&mut out, snapshot);
    super::access_metrics::limits(&mut out, snapshot);
    forwards(&mut out, snapshot);
    recovery_logs(&mut out, &snapshot.recovery_logs);
    store(&mut out, &snapshot.store);
    if let Some(count) = &snapshot.broker {
        broker(&mut out, count);
    }
    if let Some(count) = &snapshot.chat {
        chat_metrics::chat(&mut out, count);
    }
    if let Some(figures) = &snapshot.world {
        world_metrics::world(&mut out, figures);
    }
    hook_metrics::hooks(&mut out, snapshot);
    flow_metrics::sources(&mut out, &snapshot.sources);
    flow_metrics::sinks(&mut out, &snapshot.sinks);
    process_metrics(&mut out, snapshot, process);
    out.into_string()
}

fn gauges(out: &mut Text, snapshot: &Snapshot) {
    out.gauge("lakh_connections", "Clients connected.");
    let transports = [
        ("websocket", snapshot.connections_websocket),
        ("polling", snapshot.connections_polling),
    ];
    for (transport, count) in transports {
        out.value("lakh_connections", &[("transport", transport)], count);
    }
    out.gauge(
        "lakh_sockets",
        "Sockets: a connection has one in each of its namespaces.",
    );
    for namespace in &snapshot.namespaces {
        out.value(
            "lakh_sockets",
            &[("namespace", &namespace.name)],
            namespace.sockets,
        );
    }
    out.gauge(
        "lakh_rooms",
        "Rooms, without those that are a socket's own.",
    );
    for namespace in &snapshot.namespaces {
        out.value(
            "lakh_rooms",
            &[("namespace", &namespace.name)],
            namespace.rooms,
        );
    }
    out.gauge("lakh_event_loops", "Event loops.");
    out.value("lakh_event_loops", &[], snapshot.loops);
    out.gauge(
        "lakh_event_loops_io_uring",
        "Event loops that write through io_uring.",
    );
    out.value("lakh_event_loops_io_uring", &[], snapshot.io_uring_loops);
    out.gauge(
        "lakh_event_loop_lag_seconds",
        "How long the slowest event loop took to get to something new, at this reading.",
    );
    out.value(
        "lakh_event_loop_lag_seconds",
        &[],
        seconds(snapshot.loop_lag_ms),
    );
    out.gauge(
        "lakh_network_connections",
        "Open network connections, those of HTTP requests among them.",
    );
    out.value("lakh_network_connections", &[], snapshot.open_streams);
}

/// What is passed on to other nodes.
fn forwards(out: &mut Text, snapshot: &Snapshot) {
    let name = "lakh_forwarded_requests_total";
    out.counter(name, "Requests for sessions of other nodes, passed on.");
    for (kind, result, count) in &snapshot.forwarded {
        out.value(name, &[("kind", kind), ("result", result)], count);
    }
    let name = "lakh_forwarded_open";
    out.gauge(
        name,
        "Requests and WebSockets passed on to other nodes that are open.",
    );
    for (kind, open) in &snapshot.forwarding {
        out.value(name, &[("kind", kind)], open);
    }
}

/// What is kept for clients that come back.
fn recovery_logs(out: &mut Text, logs: &[LogCount]) {
    let mut gauge = |name, help, read: fn(&LogCount) -> f64| {
        out.gauge(name, help);
        for log in logs {
            out.value(name, &[("namespace", &log.namespace)], read(log));
        }
    };
    gauge(
        "lakh_recovery_log_events",
        "Events kept for clients that come back.",
        |log| float(log.entries),
    );
    gauge(
        "lakh_recovery_log_bytes",
        "Bytes of the events kept for clients that come back.",
        |log| float(log.bytes),
    );
    gauge(
        "lakh_recovery_log_reach_seconds",
        "How far back the kept events go.",
        |log| seconds(log.reach_ms),
    );
}

fn store(out: &mut Text, store: &StoreCount) {
    out.gauge("lakh_store_ok", "1 while writes are expected to work.");
    out.value("lakh_store_ok", &[], u8::from(store.ok));
    for (name, help, value) in [
        (
            "lakh_store_commits_total",
            "Transactions; one takes many batches.",
            store.commits,
        ),
        (
            "lakh_store_writes_total",
            "Batches of changes written.",
            store.writes,
        ),
        (
            "lakh_store_write_failures_total",
            "Batches refused or failed.",
            store.writes_failed,
        ),
        ("lakh_store_reads_total", "Reads answered.", store.reads),
        (
            "lakh_store_refused_total",
            "Reads and writes turned away because too many waited.",
            store.refused,
        ),
    ] {
        out.counter(name, help);
        out.value(name, &[], value);
    }
    for (name, help, value) in [
        (
            "lakh_store_waiting",
            "Reads and writes that wait.",
            store.waiting,
        ),
        (
            "lakh_store_file_bytes",
            "Size of the store's file.",
            store.file_bytes,
        ),
        (
            "lakh_store_wal_bytes",
            "Size of the write-ahead log beside it.",
            store.wal_bytes,
        ),
    ] {
        out.gauge(name, help);
        out.value(name, &[], value);
    }
}

fn broker(out: &mut Text, broker: &BrokerCount) {
    out.gauge("lakh_broker_up", "1 while the other nodes are reached.");
    out.value("lakh_broker_up", &[], u8::from(broker.up));
    let state = "lakh_broker_state_seconds";
    out.gauge(state, "How long they have been reached, or not.");
    out.value(state, &[], seconds(broker.state_ms));
    let messages = "lakh_broker_messages_total";
    out.counter(messages, "Messages from (in) and to (out) other nodes.");
    out.value(messages, &[("direction", "in")], broker.received);
    out.value(messages, &[("direction", "out")], broker.sent);
    out.by_word(
        "lakh_broker_messages_lost_total",
        "Messages that did not get through.",
        "reason",
        &broker.lost,
    );
    let gaps = "lakh_broker_gaps_total";
    let help = "Times that entries of the stream were gone before this node read them.";
    out.counter(gaps, help);
    out.value(gaps, &[], broker.gaps);
    let connects = "lakh_broker_connects_total";
    out.counter(connects, "Connections made to Redis.");
    out.value(connects, &[], broker.connects);
    let queue = "lakh_broker_queue_bytes";
    out.gauge(queue, "Bytes that wait to be delivered (in) or sent (out).");
    out.value(queue, &[("direction", "in")], broker.inbound_bytes);
    out.value(queue, &[("direction", "out")], broker.outbound_bytes);
    if let Some(nodes) = broker.other_nodes {
        let name = "lakh_broker_other_nodes";
        out.gauge(name, "Other nodes that listen, those in Node among them.");
        out.value(name, &[], nodes);
    }
}

fn counters(out: &mut Text, snapshot: &Snapshot) {
    let in_and_out = [
        (
            "lakh_messages_total",
            "Messages from (in) and to (out) clients; one to many counts each receiver.",
            [snapshot.messages_in, snapshot.messages_out],
        ),
        (
            "lakh_message_bytes_total",
            "Bytes of messages from (in) and to (out) clients.",
            [snapshot.bytes_in, snapshot.bytes_out],
        ),
    ];
    for (name, help, [read, written]) in in_and_out {
        out.counter(name, help);
        out.value(name, &[("direction", "in")], read);
        out.value(name, &[("direction", "out")], written);
    }
    out.counter("lakh_sessions_opened_total", "Sessions made.");
    out.value("lakh_sessions_opened_total", &[], snapshot.sessions_opened);
    out.by_word(
        "lakh_sessions_closed_total",
        "Sessions closed.",
        "reason",
        &snapshot.sessions_closed,
    );
    out.by_word(
        "lakh_handshakes_refused_total",
        "Handshakes refused.",
        "reason",
        &snapshot.handshakes_refused,
    );
    out.by_word(
        "lakh_packets_dropped_total",
        "Packets dropped for clients that read too slowly.",
        "policy",
        &snapshot.packets_dropped,
    );
    out.by_word(
        "lakh_recoveries_total",
        "Clients that came back after a cut.",
        "outcome",
        &snapshot.recoveries,
    );
    out.counter(
        "lakh_events_refused_total",
        "Events refused by a rule, or because no handler could read them.",
    );
    out.value("lakh_events_refused_total", &[], snapshot.messages_refused);
}

/// Under the names that every Prometheus client library uses.
fn process_metrics(out: &mut Text, snapshot: &Snapshot, process: &Process) {
    let start = "process_start_time_seconds";
    out.gauge(start, "When the process started, in seconds since 1970.");
    out.value(start, &[], seconds(snapshot.started_at_ms));
    if let Some(used) = process.cpu_seconds {
        out.counter(
            "process_cpu_seconds_total",
            "Processor time, user and system.",
        );
        out.value("process_cpu_seconds_total", &[], used);
    }
    let gauges = [
        (
            "process_resident_memory_bytes",
            "Memory in RAM.",
            process.resident_bytes,
        ),
        (
            "process_open_fds",
            "File descriptors in use.",
            process.open_fds,
        ),
        (
            "process_max_fds",
            "File descriptors that may be in use.",
            process.max_fds,
        ),
    ];
    for (name, help, value) in gauges {
        if let Some(value) = value {
            out.gauge(name, help);
            out.value(name, &[], value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::{ChatCount, NamespaceCount};
    use super::*;
    use crate::files::FileFigures;

    fn shown() -> String {
        let snapshot = Snapshot {
            started_at_ms: 1_800_000_000_500,
            connections_websocket: 3,
            messages_out: 7,
            loop_lag_ms: 12,
            recovery_logs: vec![LogCount {
                namespace: "/".into(),
                bytes: 9,
                ..LogCount::default()
            }],
            store: StoreCount {
                ok: true,
                commits: 6,
                ..StoreCount::default()
            },
            broker: Some(BrokerCount {
                state_ms: 2_500,
                received: 8,
                lost: [("overflow", 5)].into(),
                other_nodes: Some(2),
                ..BrokerCount::default()
            }),
            namespaces: vec![NamespaceCount {
                name: "/a\"b".into(),
                sockets: 2,
                rooms: 1,
            }],
            sessions_closed: [("ping timeout", 4)].into(),
            forwarded: vec![("polling", "answered", 8)],
            forwarding: [("websocket", 3)].into(),
            limits_hit: vec![("person", "events", 6)],
            acts_refused: vec![("rooms", "join", 3)],
            sign_ins_refused: vec![("connect", "expired", 4)],
            revocations: 2,
            chat: Some(ChatCount {
                chat: lakh_chat::Figures {
                    requests: vec![("message:send", "refused", 7)],
                    replies: 5,
                    ..lakh_chat::Figures::default()
                },
                files: FileFigures {
                    refused: 4,
                    bytes_out: 9,
                    ..FileFigures::default()
                },
            }),
            ..Snapshot::default()
        };
        let process = Process {
            cpu_seconds: Some(1.5),
            resident_bytes: Some(4_096),
            ..Process::default()
        };
        let about = About {
            version: "1.2.3",
            ready: true,
        };
        exposition(about, &snapshot, &process)
    }

    #[test]
    fn values_stand_under_their_names_in_base_units() {
        let text = shown();
        for line in [
            "lakh_build_info{version=\"1.2.3\"} 1",
            "lakh_ready 1",
            "lakh_connections{transport=\"websocket\"} 3",
            "lakh_sockets{namespace=\"/a\\\"b\"} 2",
            "lakh_messages_total{direction=\"out\"} 7",
            "lakh_sessions_closed_total{reason=\"ping timeout\"} 4",
            "lakh_event_loop_lag_seconds 0.012",
            "lakh_recovery_log_bytes{namespace=\"/\"} 9",
            "lakh_forwarded_requests_total{kind=\"polling\",result=\"answered\"} 8",
            "lakh_forwarded_open{kind=\"websocket\"} 3",
            "lakh_limit_hits_total{scope=\"person\",limit=\"events\"} 6",
            "lakh_acts_refused_total{module=\"rooms\",act=\"join\"} 3",
            "lakh_sign_ins_refused_total{place=\"connect\",why=\"expired\"} 4",
            "lakh_revocations 2",
            "lakh_store_ok 1",
            "lakh_chat_requests_total{request=\"message:send\",outcome=\"refused\"} 7",
            "lakh_chat_messages_total{where=\"thread\"} 5",
            "lakh_chat_uploads_total{result=\"refused\"} 4",
            "lakh_chat_download_bytes_total 9",
            "lakh_store_commits_total 6",
            "lakh_broker_up 0",
            "lakh_broker_state_seconds 2.5",
            "lakh_broker_messages_total{direction=\"in\"} 8",
            "lakh_broker_messages_lost_total{reason=\"overflow\"} 5",
            "lakh_broker_other_nodes 2",
            "process_start_time_seconds 1800000000.5",
            "process_cpu_seconds_total 1.5",
            "process_resident_memory_bytes 4096",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn total_ends_the_name_of_every_counter_and_of_nothing_else() {
        let mut seen = 0;
        for line in shown()
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ").map(str::to_owned))
        {
            let (name, kind) = line.split_once(' ').unwrap();
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            seen += 1;
        }
        assert!(seen > 15);
    }

    #[test]
    fn every_sample_follows_its_own_head() {
        let mut current = String::new();
        for line in shown().lines() {
            if let Some(head) = line.strip_prefix("# TYPE ") {
                current = head.split(' ').next().unwrap().into();
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap();
                assert_eq!(name, current);
            }
        }
    }
}
