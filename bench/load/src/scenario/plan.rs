//! `plan`: what this machine can hold with this server, and which of the system's limits stand in the way.
//!
//! The server is measured with a small crowd and the result multiplied: memory and processor time grow in a straight
//! line with connections and messages. Limits are read from /proc; what can't be read isn't there or isn't ours to see.

use std::fs;

use super::{fanout, idle};
use crate::error::LoadError;
use crate::options::{Fanout, Idle, Plan, Target};
use crate::report::Report;

/// Descriptors of a server besides those of its connections.
const OTHER_DESCRIPTORS: u64 = 1000;

/// One limit of the system.
#[derive(Debug)]
struct Limit {
    name: &'static str,
    now: u64,
    needed: u64,
    /// How it's lifted.
    lift: String,
}

pub(super) fn run(target: &Target, plan: &Plan) -> Result<Report, LoadError> {
    let mut report = Report::new("plan", &target.label).parameter("connections", plan.connections);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    report.figure("cores", cores as f64, "");
    let available_kb = meminfo("MemAvailable:").unwrap_or(0);
    report.figure("memory_available_kb", available_kb as f64, "KB");
    if !plan.limits_only {
        measure(&mut report, target, plan, available_kb)?;
    }
    let limits = limits(target, plan.connections);
    let mut in_the_way = 0;
    for limit in &limits {
        report.figure(limit.name, limit.now as f64, "");
        if limit.now < limit.needed {
            in_the_way += 1;
            report.note(format!(
                "{} is {}, and {} connections need {}: {}",
                limit.name, limit.now, plan.connections, limit.needed, limit.lift
            ));
        }
    }
    report.figure("limits_in_the_way", f64::from(in_the_way), "");
    if in_the_way == 0 {
        report.note("No limit of the system stands in the way.");
    }
    Ok(report)
}

/// Memory of a connection and messages a core, from small runs.
fn measure(
    report: &mut Report,
    target: &Target,
    plan: &Plan,
    available_kb: u64,
) -> Result<(), LoadError> {
    let slab_before = meminfo("Slab:");
    let idle = Idle {
        connections: plan.sample.max(10),
        rooms: 2,
        members: 100,
        seconds: 0.5,
    };
    let (found, slab_after) = idle::run_and_look(target, &idle, || meminfo("Slab:"))?;
    let server_kb = found.value("resident_kb_second_half_unjoined");
    // Both ends of each connection are on this machine.
    let kernel_kb = slab_after
        .zip(slab_before)
        .map(|(after, before)| after.saturating_sub(before) as f64 / 2.0 / idle.connections as f64);
    if let Some(kb) = kernel_kb {
        report.figure("kernel_kb_per_connection", kb, "KB");
    }
    if let Some(kb) = server_kb {
        report.figure("server_kb_per_connection", kb, "KB");
        let each = (kb + kernel_kb.unwrap_or(4.0)).max(0.1);
        let fit = available_kb as f64 * 0.8 / each;
        report.figure("connections_that_fit", fit.floor(), "");
        if fit < plan.connections as f64 {
            report.note(format!(
                "{} idle connections need {:.0} MB of memory, and 80 % of what is available is {:.0} MB.",
                plan.connections,
                each * plan.connections as f64 / 1024.0,
                available_kb as f64 * 0.8 / 1024.0
            ));
        }
    } else {
        report.note("Give --pid for what a connection and a message cost the server.");
    }
    let fanout = Fanout {
        members: 100,
        connections: Some(1000),
        bytes: vec![64],
        rate: 0.0,
        outstanding: Some(2),
        seconds: 3.0,
        warmup: 0.5,
    };
    let found = fanout::run(target, &fanout)?;
    if let Some(us) = found.value("cpu_us_per_delivery").filter(|us| *us > 0.0) {
        report.figure("cpu_us_per_delivery", us, "us");
        report.figure("deliveries_per_s_and_core", (1e6 / us).floor(), "1/s");
    }
    Ok(())
}

fn limits(target: &Target, connections: u64) -> Vec<Limit> {
    let sysctl = |name: &str, value: u64| {
        format!("`sysctl -w {name}={value}`, and a line in /etc/sysctl.d/ to keep it")
    };
    let descriptors = connections + OTHER_DESCRIPTORS;
    // A tenth of all coming back in the same instant is a bad day; more than 65,535 can't be asked for.
    let backlog = (connections / 10).clamp(1024, 65_535);
    let mut all = Vec::new();
    let mut add = |name, now: Option<u64>, needed, lift| {
        if let Some(now) = now {
            all.push(Limit {
                name,
                now,
                needed,
                lift,
            });
        }
    };
    add(
        "nofile",
        descriptors_of(target.pid.first().copied()),
        descriptors,
        format!(
            "`LimitNOFILE={descriptors}` in the systemd unit, `--ulimit nofile={descriptors}` for docker, or `ulimit -n {descriptors}`"
        ),
    );
    for (name, path) in [("fs.nr_open", "fs/nr_open"), ("fs.file-max", "fs/file-max")] {
        add(
            name,
            number(path, 0),
            descriptors,
            sysctl(name, descriptors),
        );
    }
    for (name, path) in [
        ("net.core.somaxconn", "net/core/somaxconn"),
        (
            "net.ipv4.tcp_max_syn_backlog",
            "net/ipv4/tcp_max_syn_backlog",
        ),
    ] {
        add(name, number(path, 0), backlog, sysctl(name, backlog));
    }
    let range = "net/ipv4/ip_local_port_range";
    let ports = number(range, 1)
        .zip(number(range, 0))
        .map(|(last, first)| last.saturating_sub(first) + 1);
    add(
        "ports",
        ports,
        connections,
        format!(
            "clients from elsewhere don't use them, but a proxy on this machine does, and this generator: `sysctl -w net.ipv4.ip_local_port_range='1024 65535'`, and {} addresses of the server for the proxy to connect to (127.0.0.1, 127.0.0.2, …)",
            connections.div_ceil(64_000)
        ),
    );
    let conntrack = "net/netfilter/nf_conntrack_max";
    let needed = connections + connections / 4;
    let name = "net.netfilter.nf_conntrack_max";
    add(name, number(conntrack, 0), needed, sysctl(name, needed));
    all
}

/// The soft limit of the server's descriptors, or of our own when there is no server.
fn descriptors_of(pid: Option<u32>) -> Option<u64> {
    let process = pid.map_or("self".to_owned(), |pid| pid.to_string());
    let text = fs::read_to_string(format!("/proc/{process}/limits")).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_ascii_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        digits => digits.parse().ok(),
    }
}

/// A number of a file under /proc/sys.
fn number(path: &str, at: usize) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/sys/{path}")).ok()?;
    text.split_ascii_whitespace().nth(at)?.parse().ok()
}

/// A line of /proc/meminfo, in KB.
fn meminfo(name: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_says_how_it_is_lifted() {
        let target = Target::at("http://127.0.0.1:1/");
        let limits = limits(&target, 1_000_000_000);
        let names: Vec<_> = limits.iter().map(|limit| limit.name).collect();
        assert!(names.contains(&"nofile"), "{names:?}");
        assert!(names.contains(&"ports"), "{names:?}");
        for limit in limits {
            assert!(limit.lift.contains(' '), "{limit:?}");
        }
    }
}
