//! `fanout`, `ramp` and `burst`: broadcasts to rooms.

use serde_json::json;

use crate::error::LoadError;
use crate::flood::{Flood, Outcome};
use crate::options::{Burst, Fanout, Ramp, Target};
use crate::report::Report;

pub(super) fn run(target: &Target, fanout: &Fanout) -> Result<Report, LoadError> {
    let mut flood = Flood::start(target, fanout.members, fanout.connections, &fanout.bytes)?;
    if fanout.warmup > 0.0 {
        let window = flood.begin()?;
        go(&mut flood, fanout, fanout.warmup)?;
        flood.finish(&window)?;
    }
    let window = flood.begin()?;
    go(&mut flood, fanout, fanout.seconds)?;
    let outcome = flood.finish(&window)?;

    let mut report = Report::new("fanout", &target.label)
        .parameter("members", fanout.members)
        .parameter("connections", flood.connections())
        .parameter("bytes", json!(fanout.bytes));
    report = match fanout.outstanding {
        Some(outstanding) => report.parameter("outstanding", outstanding),
        None => report.parameter("rate", fanout.rate),
    };
    outcome.tell(&mut report);
    Ok(report)
}

fn go(flood: &mut Flood, fanout: &Fanout, seconds: f64) -> Result<(), LoadError> {
    match fanout.outstanding {
        Some(outstanding) => flood.by_window(outstanding.max(1), seconds),
        None => flood.by_rate(fanout.rate, seconds),
    }
}

/// One step of a ramp.
struct Step {
    rate: f64,
    outcome: Outcome,
    good: bool,
}

pub(super) fn ramp(target: &Target, ramp: &Ramp) -> Result<Report, LoadError> {
    let mut flood = Flood::start(target, ramp.members, ramp.connections, &ramp.bytes)?;
    let mut steps = Vec::new();
    let mut rate = ramp.from;
    let mut good: Option<f64> = None;
    let mut bad: Option<f64> = None;
    let mut refined = 0;
    loop {
        let step = step(&mut flood, ramp, rate)?;
        let (worked, closed) = (step.good, step.outcome.closed > 0);
        steps.push(step);
        if worked {
            good = Some(rate);
        } else {
            bad = Some(rate);
        }
        rate = match (good, bad) {
            (Some(good), None) => good * 2.0,
            (Some(good), Some(bad)) if refined < ramp.refine => {
                refined += 1;
                (good + bad) / 2.0
            }
            _ => break,
        };
        if closed {
            // The server cut somebody: what follows would measure another crowd.
            flood = Flood::start(target, ramp.members, ramp.connections, &ramp.bytes)?;
        }
    }
    Ok(ramp_report(target, ramp, &flood, &steps))
}

fn step(flood: &mut Flood, ramp: &Ramp, rate: f64) -> Result<Step, LoadError> {
    let window = flood.begin()?;
    flood.by_rate(rate, ramp.seconds)?;
    let outcome = flood.finish(&window)?;
    let in_time = outcome.p99_us as f64 / 1000.0 <= ramp.limit_ms;
    let good = outcome.is_whole() && in_time && outcome.closed == 0;
    Ok(Step {
        rate,
        outcome,
        good,
    })
}

fn ramp_report(target: &Target, ramp: &Ramp, flood: &Flood, steps: &[Step]) -> Report {
    let mut report = Report::new("ramp", &target.label)
        .parameter("members", ramp.members)
        .parameter("connections", flood.connections())
        .parameter("bytes", json!(ramp.bytes))
        .parameter("limit_ms", ramp.limit_ms);
    let best = steps
        .iter()
        .filter(|step| step.good)
        .max_by(|a, b| a.rate.total_cmp(&b.rate));
    report.figure("most_delivered_per_s", best.map_or(0.0, |s| s.rate), "1/s");
    if let Some(best) = best {
        best.outcome.tell(&mut report);
    }
    if let Some(refusal) = steps.iter().find_map(|step| step.outcome.refusal.as_ref()) {
        report.note(format!(
            "A setting of the server ended the climb. {refusal}"
        ));
    }
    for step in steps {
        report.note(format!(
            "at {:.0}/s: {} of {} arrived, {} out of order, {} broadcasts refused, p99 {:.1} ms, generator {:.2} cores: {}",
            step.rate,
            step.outcome.received,
            step.outcome.expected,
            step.outcome.out_of_order,
            step.outcome.refused,
            step.outcome.p99_us as f64 / 1000.0,
            step.outcome.own_cores,
            if step.good { "good" } else { "too much" },
        ));
    }
    report
}

pub(super) fn burst(target: &Target, burst: &Burst) -> Result<Report, LoadError> {
    let mut flood = Flood::start(target, burst.members, burst.connections, &burst.bytes)?;
    let window = flood.begin()?;
    let mut whole = 0;
    for _ in 0..burst.rounds {
        flood.at_once(burst.broadcasts);
        let outcome = flood.finish(&window)?;
        whole += u32::from(outcome.is_whole());
    }
    let outcome = flood.finish(&window)?;
    let mut report = Report::new("burst", &target.label)
        .parameter("members", burst.members)
        .parameter("connections", flood.connections())
        .parameter("bytes", json!(burst.bytes))
        .parameter("broadcasts", burst.broadcasts)
        .parameter("rounds", burst.rounds);
    outcome.tell(&mut report);
    report.figure("rounds_whole", f64::from(whole), "");
    Ok(report)
}
