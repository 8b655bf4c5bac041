//! `slow`: one member of a room stops reading. What the others notice should be nothing.

use crate::error::LoadError;
use crate::flood::Flood;
use crate::options::{Slow, Target};
use crate::report::Report;
use crate::tally::Tally;

pub(super) fn run(target: &Target, slow: &Slow) -> Result<Report, LoadError> {
    let members = slow.members.max(2);
    let mut flood = Flood::start(target, members, Some(members as usize), &[slow.bytes])?;
    let lazy = members - 1;
    flood.tally.muted = Some(lazy);

    let window = flood.begin()?;
    flood.by_rate(slow.rate, 1.0)?;
    flood.finish(&window)?;

    let window = flood.begin()?;
    flood.by_rate(slow.rate, slow.seconds)?;
    let before = flood.finish(&window)?;

    flood.swarm.pause(lazy);
    flood.begin()?;
    let published = flood.publisher.published;
    flood.by_rate(slow.rate, slow.seconds)?;
    let published = flood.publisher.published - published;
    let expected = |tally: &Tally| (published - tally.refused) * u64::from(members - 1);
    flood.swarm.turn_until(
        &mut flood.tally,
        |_, tally| tally.received >= expected(tally),
        |_, tally| tally.received + tally.refused,
    )?;
    let expected = expected(&flood.tally);
    let others = flood.tally.received;
    let latency = flood.tally.latency_us.clone();

    // What the slow one finds when it reads again: what waited, and the end if the server let go of it.
    flood.swarm.resume(lazy, &mut flood.tally);
    let end = flood.swarm.clock.now_ns() + 1_000_000_000;
    while flood.swarm.clock.now_ns() < end {
        flood.swarm.turn(end, &mut flood.tally)?;
    }

    let mut report = Report::new("slow", &target.label)
        .parameter("members", members)
        .parameter("bytes", slow.bytes)
        .parameter("rate", slow.rate);
    report.figure("before_p50_ms", before.p50_us as f64 / 1000.0, "ms");
    report.figure("before_p99_ms", before.p99_us as f64 / 1000.0, "ms");
    report.figure("slow_p50_ms", latency.quantile(0.5) as f64 / 1000.0, "ms");
    report.figure("slow_p99_ms", latency.quantile(0.99) as f64 / 1000.0, "ms");
    report.figure("others_lost", expected as f64 - others as f64, "");
    report.figure("slow_one_got", (flood.tally.received - others) as f64, "");
    if let Some(refusal) = &flood.tally.refusal {
        report.note(format!("The server refused broadcasts. {refusal}"));
    }
    report.figure("closed_by_server", flood.swarm.counts.closed as f64, "");
    Ok(report)
}
