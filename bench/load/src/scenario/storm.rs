//! `storm`: everybody is cut at once and comes back at once, as after a switch fails or a deploy goes wrong.

use std::time::Duration;

use super::idle::assign_rooms;
use crate::error::LoadError;
use crate::options::{Storm, Target};
use crate::probe::Probe;
use crate::report::Report;
use crate::swarm::{Ignore, Pace, Swarm};

/// Connections that come back at the same time: as many as a usual backlog holds.
const AT_ONCE: usize = 4000;

pub(super) fn run(target: &Target, storm: &Storm) -> Result<Report, LoadError> {
    let count = storm.connections;
    let probe = Probe::new(&target.pid)?;
    let mut swarm = Swarm::new(target, count)?;
    assign_rooms(&mut swarm, storm.rooms, storm.members);
    let empty = resident(probe.as_ref())?;
    swarm.join_at_once = true;
    swarm.connect(0..count, Pace::of(target), &mut Ignore)?;
    swarm.all_connected(count)?;
    let before = resident(probe.as_ref())?;

    let pace = Pace {
        rate: 0,
        in_flight: target.in_flight.max(AT_ONCE),
    };
    let (mut slowest_s, mut failed, mut spent_us) = (0f64, 0, 0.0);
    let mut p99_us = 0;
    for _ in 0..storm.rounds.max(1) {
        let cpu = probe.as_ref().map(Probe::cpu).transpose()?;
        let start = swarm.clock.now_ns();
        swarm.cut();
        swarm.connect(0..count, pace, &mut Ignore)?;
        slowest_s = slowest_s.max((swarm.clock.now_ns() - start) as f64 / 1e9);
        failed += swarm.counts.failed;
        p99_us = p99_us.max(swarm.connect_us.quantile(0.99));
        if let (Some(probe), Some(cpu)) = (&probe, &cpu) {
            spent_us += probe.cpu()?.since(cpu).us;
        }
        // Let the server finish with the old ones before the next round.
        let end = swarm.clock.now_ns() + 1_000_000_000;
        while swarm.clock.now_ns() < end {
            swarm.turn(end, &mut Ignore)?;
        }
    }
    let after = resident(probe.as_ref())?;
    swarm.cut();
    // Nothing tells when a server has let go of everything; a second is what the slowest of the peers takes.
    std::thread::sleep(Duration::from_secs(2));
    let gone = resident(probe.as_ref())?;

    let mut report = Report::new("storm", &target.label)
        .parameter("connections", count)
        .parameter("rooms", storm.rooms)
        .parameter("members", storm.members)
        .parameter("rounds", storm.rounds);
    report.figure("all_back_s", slowest_s, "s");
    report.figure("failed", failed as f64, "");
    report.figure("back_p99_ms", p99_us as f64 / 1000.0, "ms");
    if probe.is_some() {
        let returns = count as f64 * f64::from(storm.rounds.max(1));
        report.figure("cpu_us_per_return", spent_us / returns, "us");
        report.figure("resident_kb_empty", empty, "KB");
        report.figure("resident_kb_before", before, "KB");
        report.figure("resident_kb_after", after, "KB");
        report.figure("resident_kb_all_gone", gone, "KB");
    }
    Ok(report)
}

fn resident(probe: Option<&Probe>) -> Result<f64, LoadError> {
    probe.map_or(Ok(0.0), Probe::resident_kb)
}
