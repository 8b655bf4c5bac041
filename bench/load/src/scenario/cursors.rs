//! `cursors`: people in one room who all move their cursors, many times a second, as Lakh's rooms have it.

use crate::dialect::Words;
use crate::error::LoadError;
use crate::frame;
use crate::histogram::Histogram;
use crate::options::{Cursors, Target};
use crate::probe::Probe;
use crate::publisher::Schedule;
use crate::report::Report;
use crate::swarm::{Ignore, Pace, Sink, Swarm};

/// The room that all are in.
const ROOM: &str = "cursors";

/// What came.
struct Batches {
    words: Words,
    /// How a batch begins.
    batch: Vec<u8>,
    joined: u64,
    refused: u64,
    batches: u64,
    bytes: u64,
    positions: u64,
    /// Between a move and its coming, of the first place in each batch.
    age_us: Histogram,
}

impl Sink for Batches {
    fn message(&mut self, _: u32, text: &[u8], now_ns: u64) {
        if let Some(places) = text.strip_prefix(self.batch.as_slice()) {
            self.batches += 1;
            self.bytes += text.len() as u64;
            self.positions += places.iter().filter(|byte| **byte == b'[').count() as u64;
            if let Some(sent_us) = first_x(places) {
                self.age_us.record((now_ns / 1_000).saturating_sub(sent_us));
            }
        } else if let Some(arguments) = self.words.ack(text) {
            match arguments.starts_with(b"[{\"ok\":true") {
                true => self.joined += 1,
                false => self.refused += 1,
            }
        }
    }
}

/// The `x` of the first `["id",x,y]`: when it was sent.
fn first_x(places: &[u8]) -> Option<u64> {
    let begin = places.iter().position(|byte| *byte == b',')? + 1;
    let length = places[begin..].iter().position(|byte| *byte == b',')?;
    let digits = std::str::from_utf8(&places[begin..begin + length]).ok()?;
    digits.parse().ok()
}

/// The people, and what they have sent.
struct Movers {
    swarm: Swarm,
    head: String,
    moves: u64,
}

impl Movers {
    fn go(&mut self, batches: &mut Batches, hz: u32, seconds: f64) -> Result<(), LoadError> {
        let start = self.swarm.clock.now_ns();
        let end = start + (seconds * 1e9) as u64;
        let people = self.swarm.conns.len() as u64;
        let mut schedule = Schedule::new(start, f64::from(hz) * people as f64);
        while schedule.due_ns() < end {
            let now = self.swarm.clock.now_ns();
            while let Some((which, due_ns)) = schedule.take(now.min(end - 1)) {
                let text = format!("{}{},\"y\":{}}}]", self.head, due_ns / 1_000, which % 1_000);
                self.swarm.queue((which % people) as u32, |out| {
                    frame::append_payload(out, frame::TEXT, text.as_bytes());
                });
                self.moves += 1;
            }
            self.swarm.turn(schedule.due_ns(), batches)?;
        }
        Ok(())
    }
}

pub(super) fn run(target: &Target, cursors: &Cursors) -> Result<Report, LoadError> {
    let (people, hz) = (cursors.people.max(1), cursors.hz.max(1));
    let probe = Probe::new(&target.pid)?;
    let mut swarm = Swarm::new(target, people)?;
    swarm.connect(0..people, Pace::of(target), &mut Ignore)?;
    swarm.all_connected(people)?;
    let mut batches = Batches {
        words: swarm.words.clone(),
        batch: format!("42[\"cursor:moved\",{{\"room\":\"{ROOM}\",\"moved\":[").into(),
        joined: 0,
        refused: 0,
        batches: 0,
        bytes: 0,
        positions: 0,
        age_us: Histogram::default(),
    };
    let join = format!("420[\"cursor:join\",{{\"room\":\"{ROOM}\"}}]");
    for conn in 0..people as u32 {
        swarm.queue(conn, |out| {
            frame::append_payload(out, frame::TEXT, join.as_bytes());
        });
    }
    swarm.turn_until(
        &mut batches,
        |_, batches| batches.joined + batches.refused >= people as u64,
        |_, batches| batches.joined + batches.refused,
    )?;
    if batches.joined < people as u64 {
        let wrong = format!("{} of {people} joined the room's cursors", batches.joined);
        return Err(LoadError::Silent(wrong));
    }
    let mut movers = Movers {
        swarm,
        head: format!("42[\"cursor:move\",{{\"room\":\"{ROOM}\",\"x\":"),
        moves: 0,
    };
    movers.go(&mut batches, hz, 1.0)?;
    (
        batches.batches,
        batches.bytes,
        batches.positions,
        movers.moves,
    ) = (0, 0, 0, 0);
    batches.age_us.clear();
    let before = probe.as_ref().map(Probe::cpu).transpose()?;
    let start = movers.swarm.clock.now_ns();
    movers.go(&mut batches, hz, cursors.seconds)?;
    let seconds = (movers.swarm.clock.now_ns() - start) as f64 / 1e9;

    let mut report = Report::new("cursors", &target.label)
        .parameter("people", people)
        .parameter("hz", hz);
    let (moves, frames) = (movers.moves as f64, batches.batches as f64);
    report.figure("moves_per_s", moves / seconds, "1/s");
    report.figure("batches_per_s", frames / seconds, "1/s");
    report.figure("positions_per_s", batches.positions as f64 / seconds, "1/s");
    report.figure("bytes_per_s", batches.bytes as f64 / seconds, "B/s");
    report.figure(
        "bytes_per_batch",
        batches.bytes as f64 / frames.max(1.0),
        "B",
    );
    let positions = (batches.positions as f64).max(1.0);
    report.figure("bytes_per_position", batches.bytes as f64 / positions, "B");
    if let (Some(probe), Some(before)) = (&probe, &before) {
        let spent = probe.cpu()?.since(before);
        report.figure("cores", spent.us / 1e6 / seconds, "");
        report.figure("cpu_us_per_move", spent.us / moves.max(1.0), "us");
        report.figure(
            "cpu_us_per_batch_delivered",
            spent.us / frames.max(1.0),
            "us",
        );
        report.figure(
            "cpu_ns_per_position_delivered",
            spent.us * 1e3 / positions,
            "ns",
        );
    }
    let age = &batches.age_us;
    report.figure("age_p50_ms", age.quantile(0.5) as f64 / 1e3, "ms");
    report.figure("age_p99_ms", age.quantile(0.99) as f64 / 1e3, "ms");
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_move_is_read_from_the_first_place() {
        assert_eq!(
            first_x(br#"["n1-abc",123456,7],["n1-abd",9,9]]}]"#),
            Some(123_456)
        );
        assert_eq!(first_x(br#"["n1-abc",1.5,7]]}]"#), None);
        assert_eq!(first_x(b"]}]"), None);
    }
}
