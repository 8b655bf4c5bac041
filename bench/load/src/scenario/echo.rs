//! `echo`: emits with ack, by a schedule or so many at a time on each connection.

use crate::dialect::Words;
use crate::error::LoadError;
use crate::frame;
use crate::histogram::Histogram;
use crate::options::{Echo, Target};
use crate::probe::Probe;
use crate::publisher::Schedule;
use crate::report::Report;
use crate::stamp::{LENGTH, Stamp};
use crate::swarm::{Ignore, Pace, Sink, Swarm};

/// What came back.
struct Echoes {
    words: Words,
    received: u64,
    wrong: u64,
    latency_us: Histogram,
    /// The number that each connection waits for.
    next: Vec<u32>,
    /// Connections that got an answer since this was last looked at.
    answered: Vec<u32>,
}

impl Sink for Echoes {
    fn message(&mut self, conn: u32, text: &[u8], now_ns: u64) {
        let Some(arguments) = self.words.ack(text) else {
            return;
        };
        let stamp = arguments.strip_prefix(b"[\"").and_then(Stamp::read);
        let next = &mut self.next[conn as usize];
        match stamp {
            Some(stamp) if stamp.room == conn && stamp.number == *next => {
                self.latency_us
                    .record((now_ns / 1000).saturating_sub(stamp.due_us));
            }
            _ => self.wrong += 1,
        }
        *next += 1;
        self.received += 1;
        self.answered.push(conn);
    }
}

/// The askers.
struct Asker {
    swarm: Swarm,
    sent: u64,
    numbers: Vec<u32>,
    bytes: usize,
}

impl Asker {
    fn ask(&mut self, conn: u32, due_ns: u64) {
        let number = self.numbers[conn as usize];
        let (before, after) = self.swarm.words.echo(number);
        let length = before.len() + self.bytes + after.len();
        let bytes = self.bytes;
        self.swarm.queue(conn, |out| {
            frame::append(out, frame::TEXT, length, |out| {
                out.extend_from_slice(before.as_bytes());
                let stamp = Stamp {
                    room: conn,
                    number,
                    due_us: due_ns / 1000,
                };
                stamp.append(out, bytes);
                out.extend_from_slice(after.as_bytes());
            });
        });
        self.numbers[conn as usize] += 1;
        self.sent += 1;
    }

    fn by_rate(&mut self, echoes: &mut Echoes, rate: f64, seconds: f64) -> Result<(), LoadError> {
        let start = self.swarm.clock.now_ns();
        let end = start + (seconds * 1e9) as u64;
        let mut schedule = Schedule::new(start, rate);
        let connections = self.swarm.conns.len() as u64;
        while schedule.due_ns() < end {
            let now = self.swarm.clock.now_ns();
            while let Some((which, due)) = schedule.take(now.min(end - 1)) {
                self.ask((which % connections) as u32, due);
            }
            self.swarm.turn(schedule.due_ns(), echoes)?;
            echoes.answered.clear();
        }
        Ok(())
    }

    fn by_window(
        &mut self,
        echoes: &mut Echoes,
        outstanding: u32,
        seconds: f64,
    ) -> Result<(), LoadError> {
        let end = self.swarm.clock.now_ns() + (seconds * 1e9) as u64;
        let everybody: Vec<u32> = (0..self.swarm.conns.len() as u32).collect();
        echoes.answered.clear();
        for _ in 0..outstanding {
            echoes.answered.extend_from_slice(&everybody);
        }
        while self.swarm.clock.now_ns() < end {
            let mut answered = std::mem::take(&mut echoes.answered);
            let now = self.swarm.clock.now_ns();
            for conn in answered.drain(..) {
                self.ask(conn, now);
            }
            echoes.answered = answered;
            self.swarm.turn(end, echoes)?;
        }
        Ok(())
    }

    fn go(&mut self, echoes: &mut Echoes, echo: &Echo, seconds: f64) -> Result<(), LoadError> {
        match echo.outstanding {
            Some(outstanding) => self.by_window(echoes, outstanding.max(1), seconds)?,
            None => self.by_rate(echoes, echo.rate, seconds)?,
        }
        let sent = self.sent;
        self.swarm
            .turn_until(echoes, |_, e| e.received >= sent, |_, e| e.received)?;
        Ok(())
    }
}

pub(super) fn run(target: &Target, echo: &Echo) -> Result<Report, LoadError> {
    let count = echo.connections.max(1);
    let probe = Probe::new(&target.pid)?;
    let own = Probe::new(&[std::process::id()])?;
    let mut swarm = Swarm::new(target, count)?;
    swarm.connect(0..count, Pace::of(target), &mut Ignore)?;
    swarm.all_connected(count)?;
    let mut echoes = Echoes {
        words: swarm.words.clone(),
        received: 0,
        wrong: 0,
        latency_us: Histogram::default(),
        next: vec![0; count],
        answered: Vec::new(),
    };
    let mut asker = Asker {
        swarm,
        sent: 0,
        numbers: vec![0; count],
        bytes: echo.bytes.max(LENGTH),
    };
    if echo.warmup > 0.0 {
        asker.go(&mut echoes, echo, echo.warmup)?;
        if echoes.received == 0 && asker.sent > 0 {
            return Err(LoadError::Silent("no echo came back".to_owned()));
        }
    }
    echoes.latency_us.clear();
    let (sent, received) = (asker.sent, echoes.received);
    let cpu = probe.as_ref().map(Probe::cpu).transpose()?;
    let own_cpu = own.as_ref().map(Probe::cpu).transpose()?;
    let start = asker.swarm.clock.now_ns();
    asker.go(&mut echoes, echo, echo.seconds)?;
    let seconds = (asker.swarm.clock.now_ns() - start) as f64 / 1e9;

    let mut report = Report::new("echo", &target.label)
        .parameter("connections", count)
        .parameter("bytes", asker.bytes);
    report = match echo.outstanding {
        Some(outstanding) => report.parameter("outstanding", outstanding),
        None => report.parameter("rate", echo.rate),
    };
    let answered = (echoes.received - received) as f64;
    report.figure("echoes", answered, "");
    report.figure("echoes_per_s", answered / seconds, "1/s");
    report.figure("lost", (asker.sent - sent) as f64 - answered, "");
    report.figure("wrong", echoes.wrong as f64, "");
    if let (Some(probe), Some(before)) = (&probe, &cpu) {
        let spent = probe.cpu()?.since(before);
        let each = spent.us / answered.max(1.0);
        report.figure("cpu_us_per_echo", each, "us");
        report.figure("user_us_per_echo", each * spent.user_share, "us");
    }
    let latency = &echoes.latency_us;
    report.figure("latency_p50_ms", latency.quantile(0.5) as f64 / 1e3, "ms");
    report.figure("latency_p99_ms", latency.quantile(0.99) as f64 / 1e3, "ms");
    report.figure("latency_max_ms", latency.max() as f64 / 1e3, "ms");
    if let (Some(own), Some(before)) = (&own, &own_cpu) {
        let cores = own.cpu()?.since(before).us / 1e6 / seconds;
        report.figure("generator_cores", cores, "");
    }
    Ok(report)
}
