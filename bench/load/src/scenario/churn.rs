//! `churn`: clients connect, join a room, send, hear themselves, and leave, without end. What a day brings, in minutes:
//! memory that only grows shows as a slope.
//!
//! Half of them leave as a page does that is closed, with a farewell; the other half are cut, as by a network. Rooms are
//! new ones all the time, so what a server keeps of an emptied room shows, too.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::json;

use crate::dialect::{Refusal, Words};
use crate::error::LoadError;
use crate::frame;
use crate::histogram::Histogram;
use crate::options::{Churn, Target};
use crate::probe::Probe;
use crate::publisher::Schedule;
use crate::report::Report;
use crate::stamp::{LENGTH, Stamp};
use crate::swarm::{Ignore, Sink, State, Swarm};

/// Rooms' numbers start again here; a stamp has six digits for them.
const ROOMS: u32 = 0xff_0000;
/// The ack's number of what each sends; joining has 0.
const ACK: u32 = 1;
/// How long a server has to close after a farewell.
const FAREWELL_NS: u64 = 1_000_000_000;

/// What came to whom.
struct Heard {
    words: Words,
    /// Which life of its place each connection lives, and whether it has heard itself in it.
    lives: Vec<(u32, bool)>,
    own: u64,
    others: u64,
    refused: u64,
    refusal: Option<Refusal>,
    latency_us: Histogram,
}

impl Sink for Heard {
    fn message(&mut self, conn: u32, text: &[u8], now_ns: u64) {
        let Some(payload) = self.words.message(text) else {
            let refusal = self.words.ack(text).and_then(|a| self.words.refusal(a));
            if let Some(refusal) = refusal {
                self.refused += 1;
                self.refusal.get_or_insert(refusal);
            }
            return;
        };
        let life = &mut self.lives[conn as usize];
        match Stamp::read(payload) {
            Some(stamp) if (stamp.room, stamp.number) == (conn, life.0) && !life.1 => {
                life.1 = true;
                self.own += 1;
                self.latency_us
                    .record((now_ns / 1000).saturating_sub(stamp.due_us));
            }
            _ => self.others += 1,
        }
    }
}

/// A look at the server.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    at_s: f64,
    resident_kb: f64,
    open: usize,
}

/// The coming and going.
struct Crowd {
    swarm: Swarm,
    free: Vec<u32>,
    /// When each that is here leaves.
    leaves: VecDeque<(u64, u32)>,
    /// When each that has said farewell must be gone.
    gone: VecDeque<(u64, u32)>,
    came: u32,
    sent: u64,
    /// Not opened, because all places were taken.
    turned_back: u64,
    /// Still open long after its farewell.
    not_let_go: u64,
    members: u32,
    bytes: usize,
    before: String,
}

impl Crowd {
    fn new(target: &Target, churn: &Churn) -> Result<Self, LoadError> {
        // Those who are here, those who are leaving, and as many again for a server that gets slow.
        let seconds = churn.stay.as_secs_f64() + FAREWELL_NS as f64 / 1e9;
        let places = (churn.rate * seconds * 2.0) as usize + 16;
        let mut swarm = Swarm::new(target, places)?;
        swarm.join_at_once = true;
        Ok(Self {
            swarm,
            free: (0..places as u32).rev().collect(),
            leaves: VecDeque::new(),
            gone: VecDeque::new(),
            came: 0,
            sent: 0,
            turned_back: 0,
            not_let_go: 0,
            members: churn.members.max(1),
            bytes: churn.bytes.max(LENGTH),
            before: String::new(),
        })
    }

    fn open_count(&self) -> usize {
        self.swarm.conns.len() - self.free.len()
    }

    fn come(&mut self, heard: &mut Heard, leaves_ns: u64) {
        let Some(index) = self.free.pop() else {
            self.turned_back += 1;
            return;
        };
        let room = self.came / self.members % ROOMS;
        self.swarm.conns[index as usize].rooms = (room, 1);
        heard.lives[index as usize] = (self.came, false);
        self.came = self.came.wrapping_add(1);
        self.swarm.open(index);
        self.leaves.push_back((leaves_ns, index));
    }

    /// Those who have joined send their one message.
    fn send(&mut self, heard: &Heard) {
        let mut arrived = std::mem::take(&mut self.swarm.arrived);
        for index in arrived.drain(..) {
            let (room, _) = self.swarm.conns[index as usize].rooms;
            let envelope = self.swarm.words.publish(room);
            envelope.open(ACK, &mut self.before);
            let stamp = Stamp {
                room: index,
                number: heard.lives[index as usize].0,
                due_us: self.swarm.clock.now_ns() / 1000,
            };
            let (before, bytes) = (&self.before, self.bytes);
            let length = before.len() + bytes + envelope.after.len();
            self.swarm.queue(index, |out| {
                frame::append(out, frame::TEXT, length, |out| {
                    out.extend_from_slice(before.as_bytes());
                    stamp.append(out, bytes);
                    out.extend_from_slice(envelope.after.as_bytes());
                });
            });
            self.sent += 1;
        }
        self.swarm.arrived = arrived;
    }

    /// Those whose time is over leave: each second one politely.
    fn go(&mut self, heard: &Heard, now_ns: u64) {
        while let Some((_, index)) = self.leaves.pop_front_if(|(at, _)| *at <= now_ns) {
            let conn = &self.swarm.conns[index as usize];
            let polite = heard.lives[index as usize].0.is_multiple_of(2);
            if conn.state == State::Ready && polite {
                if let Some(text) = self.swarm.words.leave(conn.rooms.0) {
                    self.swarm.say(index, text.as_bytes());
                }
                self.swarm.leave(index);
                self.gone.push_back((now_ns + FAREWELL_NS, index));
            } else {
                self.swarm.drop_one(index);
                self.free.push(index);
            }
        }
        while let Some((_, index)) = self.gone.pop_front_if(|(at, _)| *at <= now_ns) {
            self.not_let_go += u64::from(self.swarm.drop_one(index));
            self.free.push(index);
        }
    }

    /// Until when nothing is due.
    fn wake_ns(&self, schedule: &Schedule, latest_ns: u64) -> u64 {
        let next = |queue: &VecDeque<(u64, u32)>| queue.front().map_or(u64::MAX, |(at, _)| *at);
        schedule
            .due_ns()
            .min(next(&self.leaves))
            .min(next(&self.gone))
            .min(latest_ns)
    }
}

pub(super) fn run(target: &Target, churn: &Churn) -> Result<Report, LoadError> {
    let probe = Probe::new(&target.pid)?;
    let mut crowd = Crowd::new(target, churn)?;
    let mut heard = Heard {
        words: crowd.swarm.words.clone(),
        lives: vec![(0, false); crowd.swarm.conns.len()],
        own: 0,
        others: 0,
        refused: 0,
        refusal: None,
        latency_us: Histogram::default(),
    };
    let every_ns = nanoseconds(churn.every.unwrap_or(churn.time / 20)).max(10_000_000);
    let cpu = probe.as_ref().map(Probe::cpu).transpose()?;
    let start = crowd.swarm.clock.now_ns();
    let end = start + nanoseconds(churn.time);
    let mut schedule = Schedule::new(start, churn.rate);
    let mut samples = Vec::new();
    let mut next_sample = start;
    loop {
        let now = crowd.swarm.clock.now_ns();
        if now >= next_sample || now >= end {
            samples.push(Sample {
                at_s: (now - start) as f64 / 1e9,
                resident_kb: probe.as_ref().map_or(Ok(0.0), Probe::resident_kb)?,
                open: crowd.open_count(),
            });
            next_sample += every_ns;
        }
        if now >= end {
            break;
        }
        while schedule.take(now).is_some() {
            crowd.come(&mut heard, now + nanoseconds(churn.stay));
        }
        crowd.go(&heard, now);
        let wake = crowd.wake_ns(&schedule, end.min(next_sample));
        crowd.swarm.turn(wake, &mut heard)?;
        crowd.send(&heard);
    }
    let spent = match (&probe, &cpu) {
        (Some(probe), Some(before)) => Some(probe.cpu()?.since(before)),
        _ => None,
    };
    // The last ones were cut before they could hear themselves: let all leave in their own time.
    while !crowd.leaves.is_empty() || !crowd.gone.is_empty() {
        let now = crowd.swarm.clock.now_ns();
        crowd.go(&heard, now);
        let idle = Schedule::new(u64::MAX / 2, 1.0);
        let wake = crowd.wake_ns(&idle, now + FAREWELL_NS);
        crowd.swarm.turn(wake, &mut heard)?;
        crowd.send(&heard);
    }
    crowd.swarm.turn(0, &mut Ignore)?;
    let mut report = tell(target, churn, &crowd, &heard);
    if let Some(spent) = spent {
        report.figure(
            "cpu_us_per_life",
            spent.us / f64::from(crowd.came.max(1)),
            "us",
        );
        memory(&mut report, churn, &samples);
    }
    Ok(report)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 4)
}

fn tell(target: &Target, churn: &Churn, crowd: &Crowd, heard: &Heard) -> Report {
    let mut report = Report::new("churn", &target.label)
        .parameter("seconds", churn.time.as_secs_f64())
        .parameter("rate", churn.rate)
        .parameter("stay_s", churn.stay.as_secs_f64())
        .parameter("members", crowd.members)
        .parameter("bytes", crowd.bytes);
    let counts = &crowd.swarm.counts;
    report.figure("connections_made", f64::from(crowd.came), "");
    report.figure("failed", counts.failed as f64, "");
    report.figure("closed_by_server", counts.closed as f64, "");
    report.figure("sent", crowd.sent as f64, "");
    let lost = crowd.sent as f64 - (heard.own + heard.refused) as f64;
    report.figure("lost", lost, "");
    report.figure("refused", heard.refused as f64, "");
    report.figure("delivered", (heard.own + heard.others) as f64, "");
    report.figure("not_let_go", crowd.not_let_go as f64, "");
    report.figure("turned_back", crowd.turned_back as f64, "");
    let p99 = heard.latency_us.quantile(0.99) as f64 / 1000.0;
    report.figure("latency_p99_ms", p99, "ms");
    if let Some(first) = &counts.first_failure {
        report.note(format!("The first connection that failed: {first}"));
    }
    if let Some(refusal) = &heard.refusal {
        report.note(format!("The server refused messages. {refusal}"));
    }
    if crowd.turned_back > 0 {
        report.note("Some weren't opened: all places were taken, because the server was slow to let clients in or go.");
    }
    report.note(format!(
        "A day with one client every {:.1} s brings as many.",
        86_400.0 / f64::from(crowd.came.max(1))
    ));
    report
}

fn memory(report: &mut Report, churn: &Churn, samples: &[Sample]) {
    let warmup = churn.warmup.unwrap_or(churn.time / 3).as_secs_f64();
    let warm: Vec<_> = samples.iter().filter(|s| s.at_s >= warmup).collect();
    if let (Some(first), Some(last)) = (warm.first(), warm.last()) {
        report.figure("resident_kb_warm", first.resident_kb, "KB");
        report.figure("resident_kb_end", last.resident_kb, "KB");
    }
    let points: Vec<_> = warm.iter().map(|s| (s.at_s, s.resident_kb)).collect();
    if let Some(slope) = slope(&points) {
        report.figure("resident_kb_slope_per_min", slope * 60.0, "KB/min");
        let each = slope / churn.rate.max(1e-3) * 1024.0;
        report.figure("resident_bytes_slope_per_connection", each, "B");
    }
    for sample in samples {
        report.sample(json!({
            "s": (sample.at_s * 10.0).round() / 10.0,
            "resident_kb": sample.resident_kb,
            "open": sample.open,
        }));
    }
}

/// The least squares' straight line through the points: how steep it is. `None` for fewer than two moments.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let count = points.len() as f64;
    let middle = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / count;
    let x = middle(&mut points.iter().map(|p| p.0));
    let y = middle(&mut points.iter().map(|p| p.1));
    let spread: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
    let together: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    (spread > 0.0).then(|| together / spread)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use super::*;

    #[test]
    fn a_slope_is_that_of_the_line_and_none_of_a_point() {
        let line: Vec<_> = (0..10)
            .map(|x| (f64::from(x), 7.0 - 2.0 * f64::from(x)))
            .collect();
        assert!((slope(&line).unwrap() + 2.0).abs() < 1e-9);
        let wobble = [(0.0, 1.0), (1.0, 3.0), (2.0, 1.0)];
        assert!(slope(&wobble).unwrap().abs() < 1e-9);
        assert_eq!(slope(&[(1.0, 1.0)]), None);
        assert_eq!(slope(&[]), None);
    }
}
