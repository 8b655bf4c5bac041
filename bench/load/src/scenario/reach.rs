//! `reach`: everybody in one room, and how long a broadcast takes to the first, the median and the last of them.
//!
//! A process may not hold as many descriptors as a fleet has clients. So several generators run beside each other, one
//! of which publishes; their clock is the machine's, so the stamp in the payload tells each how long it took. What they
//! have to say to each other goes through whoever started them: `--in-step`.

use std::io::BufRead as _;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;

use serde_json::json;

use crate::dialect::Words;
use crate::error::LoadError;
use crate::histogram::Histogram;
use crate::options::{Reach, Target};
use crate::probe::Probe;
use crate::publisher::{Publisher, Schedule};
use crate::report::Report;
use crate::stamp::Stamp;
use crate::swarm::{Ignore, Pace, Sink, Swarm};

/// What became of one broadcast.
#[derive(Clone, Debug, Default)]
struct Arrivals {
    received: u64,
    first_us: Option<u64>,
    us: Histogram,
}

/// All receivers.
struct Crowd {
    words: Words,
    /// By the broadcast's number.
    broadcasts: Vec<Arrivals>,
    /// The next number that each connection waits for.
    next: Vec<u32>,
    received: u64,
    out_of_order: u64,
    stray: u64,
    refusal: Option<String>,
}

impl Crowd {
    fn new(words: &Words, reach: &Reach) -> Self {
        Self {
            words: words.clone(),
            broadcasts: vec![Arrivals::default(); reach.broadcasts as usize],
            next: vec![0; reach.connections],
            received: 0,
            out_of_order: 0,
            stray: 0,
            refusal: None,
        }
    }
}

impl Sink for Crowd {
    fn message(&mut self, conn: u32, text: &[u8], now_ns: u64) {
        let Some(payload) = self.words.message(text) else {
            let refusal = self.words.ack(text).and_then(|a| self.words.refusal(a));
            if let Some(refusal) = refusal {
                self.refusal.get_or_insert(refusal.to_string());
            }
            return;
        };
        let found = Stamp::read(payload)
            .and_then(|stamp| Some((self.broadcasts.get_mut(stamp.number as usize)?, stamp)));
        let Some((arrivals, stamp)) = found else {
            self.stray += 1;
            return;
        };
        let us = (now_ns / 1000).saturating_sub(stamp.due_us);
        arrivals.received += 1;
        arrivals.first_us = Some(arrivals.first_us.map_or(us, |first| first.min(us)));
        arrivals.us.record(us);
        self.received += 1;
        let next = &mut self.next[conn as usize];
        if stamp.number < *next {
            self.out_of_order += 1;
        }
        *next = (*next).max(stamp.number + 1);
    }
}

/// How long the beginning took.
struct Beginning {
    connect_s: f64,
    join_s: f64,
}

pub(super) fn run(target: &Target, reach: &Reach) -> Result<Report, LoadError> {
    let probe = Probe::new(&target.pid)?;
    let mut swarm = Swarm::new(target, reach.connections)?;
    let beginning = begin(&mut swarm, target, reach.connections)?;
    let mut crowd = Crowd::new(&swarm.words, reach);
    let step = reach.in_step.then(Step::listen);
    if let Some(step) = &step {
        step.say("ready");
        if !step.wait(&mut swarm, &mut crowd)? {
            return Err(LoadError::Options(
                "standard input ended before there was a word to begin".to_owned(),
            ));
        }
    }
    let cpu = probe.as_ref().map(Probe::cpu).transpose()?;
    broadcast(&mut swarm, &mut crowd, reach)?;
    let spent = match (&probe, cpu) {
        (Some(probe), Some(before)) => Some(probe.cpu()?.since(&before)),
        _ => None,
    };
    let mut report = tell(target, reach, &beginning, &crowd, &swarm);
    if let (Some(spent), Some(probe)) = (spent, &probe) {
        let each = spent.us / crowd.received.max(1) as f64;
        report.figure("cpu_us_per_delivery", each, "us");
        report.figure("resident_kb", probe.resident_kb()?, "KB");
    }
    if let Some(step) = &step {
        step.say("done");
        while step.wait(&mut swarm, &mut Ignore)? {}
    }
    Ok(report)
}

/// Connects everybody and has them join the room.
fn begin(swarm: &mut Swarm, target: &Target, connections: usize) -> Result<Beginning, LoadError> {
    for conn in &mut swarm.conns {
        conn.rooms = (0, 1);
    }
    let start = swarm.clock.now_ns();
    swarm.connect(0..connections, Pace::of(target), &mut Ignore)?;
    swarm.all_connected(connections)?;
    let connected = swarm.clock.now_ns();
    swarm.join_all(&mut Ignore)?;
    Ok(Beginning {
        connect_s: (connected - start) as f64 / 1e9,
        join_s: (swarm.clock.now_ns() - connected) as f64 / 1e9,
    })
}

/// Publishes, if that is ours to do, and waits until everybody has everything.
fn broadcast(swarm: &mut Swarm, crowd: &mut Crowd, reach: &Reach) -> Result<(), LoadError> {
    let start = swarm.clock.now_ns();
    let mut schedule = Schedule::new(start, 1.0 / reach.every.max(1e-3));
    // In the one room, the first of all connections publishes.
    let members = reach.connections as u32;
    let mut publisher = Publisher::new(swarm, 1, members, &[reach.bytes]);
    for _ in 0..reach.broadcasts {
        while swarm.clock.now_ns() < schedule.due_ns() {
            swarm.turn(schedule.due_ns(), crowd)?;
        }
        if schedule.take(u64::MAX).is_some() && !reach.listen {
            let now = swarm.clock.now_ns();
            publisher.publish(swarm, 0, now);
        }
    }
    let expected = reach.connections as u64 * u64::from(reach.broadcasts);
    swarm.turn_until(
        crowd,
        |_, crowd| crowd.received >= expected || crowd.refusal.is_some(),
        |_, crowd| crowd.received,
    )?;
    Ok(())
}

fn tell(
    target: &Target,
    reach: &Reach,
    beginning: &Beginning,
    crowd: &Crowd,
    swarm: &Swarm,
) -> Report {
    let expected = reach.connections as u64 * u64::from(reach.broadcasts);
    let mut report = Report::new("reach", &target.label)
        .parameter("connections", reach.connections)
        .parameter("bytes", reach.bytes)
        .parameter("broadcasts", reach.broadcasts);
    report.figure("connect_s", beginning.connect_s, "s");
    let rate = reach.connections as f64 / beginning.connect_s.max(1e-9);
    report.figure("connects_per_s", rate, "1/s");
    report.figure("join_s", beginning.join_s, "s");
    report.figure("delivered", crowd.received as f64, "");
    let lost = expected.saturating_sub(crowd.received);
    report.figure("lost", lost as f64, "");
    report.figure("out_of_order", crowd.out_of_order as f64, "");
    report.figure("stray", crowd.stray as f64, "");
    report.figure("closed_by_server", swarm.counts.closed as f64, "");
    for (number, arrivals) in crowd.broadcasts.iter().enumerate() {
        let ms = |share: f64| arrivals.us.quantile(share) as f64 / 1000.0;
        let mut sample = json!({
            "broadcast": number,
            "received": arrivals.received,
            "first_ms": arrivals.first_us.unwrap_or_default() as f64 / 1000.0,
            "p99_ms": ms(0.99),
            "last_ms": arrivals.us.max() as f64 / 1000.0,
        });
        // Enough to put those of several generators together.
        for tenth in 1..10 {
            sample[format!("p{tenth}0_ms")] = json!(ms(f64::from(tenth) / 10.0));
        }
        report.sample(sample);
    }
    if let Some(refusal) = &crowd.refusal {
        report.note(format!("The server refused a broadcast. {refusal}"));
    }
    report
}

/// What goes on with other generators, by lines.
struct Step {
    lines: Receiver<()>,
}

impl Step {
    /// Standard input has a thread of its own: a read of it can't be waited for along with connections if it's a file.
    fn listen() -> Self {
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                if line.is_err() || sender.send(()).is_err() {
                    return;
                }
            }
        });
        Self { lines }
    }

    fn say(&self, word: &str) {
        eprintln!("{word}");
    }

    /// Keeps the connections alive until there is a line; `false` when there will be none.
    fn wait(&self, swarm: &mut Swarm, sink: &mut impl Sink) -> Result<bool, LoadError> {
        loop {
            match self.lines.try_recv() {
                Ok(()) => return Ok(true),
                Err(TryRecvError::Disconnected) => return Ok(false),
                Err(TryRecvError::Empty) => {
                    let soon = swarm.clock.now_ns() + 20_000_000;
                    swarm.turn(soon, sink)?;
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use super::*;

    #[test]
    fn each_broadcast_has_its_first_and_last_arrival() {
        let words = Words::new(&Target::at("http://127.0.0.1:1/"));
        let reach = Reach {
            connections: 2,
            bytes: 64,
            broadcasts: 2,
            every: 1.0,
            listen: false,
            in_step: false,
        };
        let mut crowd = Crowd::new(&words, &reach);
        let message = |number| {
            let mut text = b"42[\"m\",\"".to_vec();
            let stamp = Stamp {
                room: 0,
                number,
                due_us: 10,
            };
            stamp.append(&mut text, 64);
            text.extend_from_slice(b"\"]");
            text
        };
        crowd.message(0, &message(1), 30_000);
        crowd.message(1, &message(1), 15_000);
        crowd.message(0, &message(0), 40_000);
        crowd.message(1, &message(2), 40_000);
        let second = &crowd.broadcasts[1];
        assert_eq!((second.first_us, second.us.max()), (Some(5), 20));
        assert_eq!((crowd.received, crowd.out_of_order, crowd.stray), (3, 1, 1));
    }
}
