//! `idle`: connect, join, hold still. Memory of a connection and of a room, processor time of a connect and of pings.

use crate::error::LoadError;
use crate::options::{Idle, Target, Transport};
use crate::probe::{Cpu, Probe};
use crate::report::Report;
use crate::swarm::{Ignore, Pace, Swarm};

/// Room numbers so that each room has about this many members, and each connection its own count of rooms.
pub(super) fn assign_rooms(swarm: &mut Swarm, rooms: u32, members: u32) {
    for (index, conn) in swarm.conns.iter_mut().enumerate() {
        conn.rooms = (index as u32 / members.max(1) * rooms, rooms);
    }
}

/// What a moment looks like from /proc.
#[derive(Clone, Copy, Default)]
struct Moment {
    cpu: Cpu,
    resident_kb: f64,
}

fn look(probe: Option<&Probe>) -> Result<Moment, LoadError> {
    let Some(probe) = probe else {
        return Ok(Moment::default());
    };
    Ok(Moment {
        cpu: probe.cpu()?,
        resident_kb: probe.resident_kb()?,
    })
}

pub(super) fn run(target: &Target, idle: &Idle) -> Result<Report, LoadError> {
    run_and_look(target, idle, || ()).map(|(report, ())| report)
}

/// Runs, and calls `extra` while everybody is connected.
pub(super) fn run_and_look<T>(
    target: &Target,
    idle: &Idle,
    extra: impl FnOnce() -> T,
) -> Result<(Report, T), LoadError> {
    let count = idle.connections;
    let probe = Probe::new(&target.pid)?;
    let probe = probe.as_ref();
    let mut swarm = Swarm::new(target, count)?;
    assign_rooms(&mut swarm, idle.rooms, idle.members);
    let polling = idle.transport == Transport::Polling;
    swarm.by_polling = polling;
    swarm.join_at_once = polling;

    let empty = look(probe)?;
    let began = swarm.clock.now_ns();
    swarm.connect(0..count / 2, Pace::of(target), &mut Ignore)?;
    let half = look(probe)?;
    swarm.connect(count / 2..count, Pace::of(target), &mut Ignore)?;
    swarm.all_connected(count)?;
    let connected = look(probe)?;
    let connect_s = (swarm.clock.now_ns() - began) as f64 / 1e9;
    if !polling {
        swarm.join_all(&mut Ignore)?;
    }
    let joined = look(probe)?;
    let pings_before = swarm.counts.pings;
    rest(&mut swarm, idle.seconds)?;
    let rested = look(probe)?;
    let pings = swarm.counts.pings - pings_before;
    let extra = extra();

    let mut report = Report::new("idle", &target.label)
        .parameter("connections", count)
        .parameter("transport", if polling { "polling" } else { "websocket" })
        .parameter("rooms", idle.rooms)
        .parameter("members", idle.members)
        .parameter("seconds", idle.seconds);
    if probe.is_some() {
        let moments = [empty, half, connected, joined, rested];
        costs(&mut report, idle, moments, pings);
    }
    report.figure("connects_per_s", count as f64 / connect_s, "1/s");
    let p99 = swarm.connect_us.quantile(0.99) as f64 / 1000.0;
    report.figure("connect_p99_ms", p99, "ms");
    report.figure("pings", pings as f64, "");
    report.figure("closed_by_server", swarm.counts.closed as f64, "");
    if polling {
        report.note(
            "Each client joins its rooms as it connects and keeps one poll pending: connecting holds the cost of joining.",
        );
    }
    Ok((report, extra))
}

/// What the server spent from one moment to the next.
fn costs(report: &mut Report, idle: &Idle, moments: [Moment; 5], pings: u64) {
    let [empty, half, connected, joined, rested] = moments;
    let each = idle.connections as f64;
    report.figure("resident_kb_empty", empty.resident_kb, "KB");
    let all = rested.resident_kb - empty.resident_kb;
    report.figure("resident_kb_per_connection", all / each, "KB");
    let polling = idle.transport == Transport::Polling;
    let second_half = connected.resident_kb - half.resident_kb;
    let second_half = second_half / (each - (idle.connections / 2) as f64);
    let name = if polling {
        "resident_kb_second_half"
    } else {
        "resident_kb_second_half_unjoined"
    };
    report.figure(name, second_half, "KB");
    if idle.rooms > 0 && !polling {
        let rooms = (joined.resident_kb - connected.resident_kb) / each / f64::from(idle.rooms);
        report.figure("resident_kb_per_room", rooms, "KB");
        let spent = joined.cpu.since(&connected.cpu).us / each / f64::from(idle.rooms);
        report.figure("cpu_us_per_join", spent, "us");
    }
    let spent = connected.cpu.since(&empty.cpu);
    report.figure("cpu_us_per_connect", spent.us / each, "us");
    let user = spent.us / each * spent.user_share;
    report.figure("user_us_per_connect", user, "us");
    let spent = rested.cpu.since(&joined.cpu);
    report.figure("idle_cpu_us_per_s", spent.us / idle.seconds, "us/s");
    if pings > 0 {
        report.figure("cpu_us_per_ping", spent.us / pings as f64, "us");
    }
}

/// Answers pings, for a time.
fn rest(swarm: &mut Swarm, seconds: f64) -> Result<(), LoadError> {
    let end = swarm.clock.now_ns() + (seconds * 1e9) as u64;
    while swarm.clock.now_ns() < end {
        swarm.turn(end, &mut Ignore)?;
    }
    Ok(())
}
