//! `tick`: the server sends each client a payload of its own, many times a second, volatile: what a world does.

use crate::dialect::Words;
use crate::error::LoadError;
use crate::frame;
use crate::histogram::Histogram;
use crate::options::{Dialect, Target, Tick};
use crate::probe::Probe;
use crate::report::Report;
use crate::stamp::value;
use crate::swarm::{Ignore, Pace, Sink, Swarm};

/// Digits of a tick's number, at the front of its payload.
const DIGITS: usize = 8;

/// What came.
struct Ticks {
    words: Words,
    received: u64,
    out_of_order: u64,
    /// Numbers skipped: dropped as volatile, or lost.
    skipped: u64,
    interval_ns: u64,
    /// How far from the interval two ticks came after each other.
    jitter_us: Histogram,
    /// Number and time of each connection's last tick.
    last: Vec<Option<(u64, u64)>>,
}

impl Sink for Ticks {
    fn message(&mut self, conn: u32, text: &[u8], now_ns: u64) {
        let Some(payload) = self.words.tick(text) else {
            return;
        };
        let Some(number) = payload.get(..DIGITS).and_then(value) else {
            self.out_of_order += 1;
            return;
        };
        self.received += 1;
        let last = &mut self.last[conn as usize];
        if let Some((before, at_ns)) = *last {
            if number <= before {
                self.out_of_order += 1;
            } else {
                self.skipped += number - before - 1;
                let due = at_ns + (number - before) * self.interval_ns;
                self.jitter_us.record(now_ns.abs_diff(due) / 1000);
            }
        }
        *last = Some((number, now_ns));
    }
}

pub(super) fn run(target: &Target, tick: &Tick) -> Result<Report, LoadError> {
    if target.dialect == Dialect::Rooms {
        return Err(LoadError::Options(
            "tick needs a handler `tick` on the server, and Lakh's rooms have none: see bench/README.md for the few lines of it"
                .to_owned(),
        ));
    }
    let count = tick.connections.max(1);
    let hz = tick.hz.max(1);
    let probe = Probe::new(&target.pid)?;
    let mut swarm = Swarm::new(target, count)?;
    swarm.connect(0..count, Pace::of(target), &mut Ignore)?;
    swarm.all_connected(count)?;
    let mut ticks = Ticks {
        words: swarm.words.clone(),
        received: 0,
        out_of_order: 0,
        skipped: 0,
        interval_ns: 1_000_000_000 / u64::from(hz),
        jitter_us: Histogram::default(),
        last: vec![None; count],
    };
    for conn in 0..count as u32 {
        let text = swarm.words.ticks(0, hz, tick.bytes);
        swarm.queue(conn, |out| {
            frame::append_payload(out, frame::TEXT, text.as_bytes());
        });
    }
    let began = swarm.turn_until(
        &mut ticks,
        |_, ticks| ticks.received >= 2 * count as u64,
        |_, ticks| ticks.received,
    )?;
    if !began {
        return Err(LoadError::Silent("no ticks came".to_owned()));
    }
    ticks.jitter_us.clear();
    ticks.skipped = 0;
    let received = ticks.received;
    let cpu = probe.as_ref().map(Probe::cpu).transpose()?;
    let start = swarm.clock.now_ns();
    let end = start + (tick.seconds * 1e9) as u64;
    while swarm.clock.now_ns() < end {
        swarm.turn(end, &mut ticks)?;
    }
    let seconds = (swarm.clock.now_ns() - start) as f64 / 1e9;
    let delivered = (ticks.received - received) as f64;
    let spent = match (&probe, &cpu) {
        (Some(probe), Some(cpu)) => Some(probe.cpu()?.since(cpu)),
        _ => None,
    };

    let mut report = Report::new("tick", &target.label)
        .parameter("connections", count)
        .parameter("bytes", tick.bytes)
        .parameter("hz", hz);
    report.figure("delivered_per_s", delivered / seconds, "1/s");
    let wanted = count as f64 * f64::from(hz);
    report.figure("wanted_per_s", wanted, "1/s");
    report.figure("skipped", ticks.skipped as f64, "");
    report.figure("out_of_order", ticks.out_of_order as f64, "");
    if let Some(spent) = spent {
        let each = spent.us / delivered.max(1.0);
        report.figure("cpu_us_per_delivery", each, "us");
        report.figure("user_us_per_delivery", each * spent.user_share, "us");
    }
    let jitter = &ticks.jitter_us;
    report.figure("jitter_p50_ms", jitter.quantile(0.5) as f64 / 1e3, "ms");
    report.figure("jitter_p99_ms", jitter.quantile(0.99) as f64 / 1e3, "ms");
    Ok(report)
}
