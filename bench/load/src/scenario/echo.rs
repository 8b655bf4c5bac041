//! `echo`: emits with ack, by a schedule or so many at a time on each connection.

use crate::dialect::{Envelope, Refusal, Words};
use crate::error::LoadError;
use crate::frame;
use crate::histogram::Histogram;
use crate::options::{Dialect, Echo, Target};
use crate::probe::Probe;
use crate::publisher::{Resting, Schedule};
use crate::report::Report;
use crate::stamp::{LENGTH, Stamp};
use crate::swarm::{Ignore, Pace, Sink, Swarm};

/// Connections by default; and where each may emit so many times a second only, as in Lakh's rooms.
const CONNECTIONS: usize = 100;
const CONNECTIONS_IN_ROOMS: usize = 1000;

/// What came back.
struct Echoes {
    words: Words,
    received: u64,
    wrong: u64,
    /// In the rooms' dialect the echo is an event, and the ack comes besides.
    acked: u64,
    refused: u64,
    refusal: Option<Refusal>,
    latency_us: Histogram,
    /// The number that each connection waits for.
    next: Vec<u32>,
    /// Connections that got an answer since this was last looked at.
    answered: Vec<u32>,
    /// Those that got a refusal.
    turned_away: Vec<u32>,
}

impl Echoes {
    fn new(words: &Words, connections: usize) -> Self {
        Self {
            words: words.clone(),
            received: 0,
            wrong: 0,
            acked: 0,
            refused: 0,
            refusal: None,
            latency_us: Histogram::default(),
            next: vec![0; connections],
            answered: Vec::new(),
            turned_away: Vec::new(),
        }
    }

    fn came_back(&mut self, conn: u32, stamp: Option<Stamp>, now_ns: u64) {
        let next = &mut self.next[conn as usize];
        match stamp {
            Some(stamp) if stamp.room == conn && stamp.number >= *next => {
                self.latency_us
                    .record((now_ns / 1000).saturating_sub(stamp.due_us));
                *next = stamp.number + 1;
            }
            _ => self.wrong += 1,
        }
        self.received += 1;
        self.answered.push(conn);
    }

    /// Whether everything that was asked is answered in full.
    fn all_of(&self, sent: u64) -> bool {
        let acked = !self.words.is_rooms() || self.acked + self.refused >= sent;
        acked && self.received + self.refused >= sent
    }
}

impl Sink for Echoes {
    fn message(&mut self, conn: u32, text: &[u8], now_ns: u64) {
        if self.words.is_rooms() {
            if let Some(payload) = self.words.message(text) {
                return self.came_back(conn, Stamp::read(payload), now_ns);
            }
            let Some(arguments) = self.words.ack(text) else {
                return;
            };
            match self.words.refusal(arguments) {
                None => self.acked += 1,
                Some(refusal) => {
                    self.refused += 1;
                    self.turned_away.push(conn);
                    self.refusal.get_or_insert(refusal);
                }
            }
        } else if let Some(arguments) = self.words.ack(text) {
            let stamp = arguments.strip_prefix(b"[\"").and_then(Stamp::read);
            self.came_back(conn, stamp, now_ns);
        }
    }
}

/// The askers.
struct Asker {
    swarm: Swarm,
    sent: u64,
    numbers: Vec<u32>,
    bytes: usize,
    envelopes: Vec<Envelope>,
    before: String,
}

impl Asker {
    fn ask(&mut self, conn: u32, due_ns: u64) {
        let number = self.numbers[conn as usize];
        let envelope = &self.envelopes[conn as usize];
        envelope.open(number, &mut self.before);
        let (before, after) = (&self.before, envelope.after);
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
        let mut resting = Resting::default();
        while self.swarm.clock.now_ns() < end {
            let mut answered = std::mem::take(&mut echoes.answered);
            let now = self.swarm.clock.now_ns();
            for conn in answered.drain(..) {
                self.ask(conn, now);
            }
            echoes.answered = answered;
            self.swarm.turn(resting.wake_ns(end), echoes)?;
            let now = self.swarm.clock.now_ns();
            resting.put(&mut echoes.turned_away, now);
            while let Some(conn) = resting.take(now) {
                self.ask(conn, now);
            }
        }
        Ok(())
    }

    fn go(&mut self, echoes: &mut Echoes, echo: &Echo, seconds: f64) -> Result<(), LoadError> {
        match echo.outstanding {
            Some(outstanding) => self.by_window(echoes, outstanding.max(1), seconds)?,
            None => self.by_rate(echoes, echo.rate, seconds)?,
        }
        let sent = self.sent;
        self.swarm.turn_until(
            echoes,
            |_, e| e.all_of(sent),
            |_, e| e.received + e.acked + e.refused,
        )?;
        Ok(())
    }
}

pub(super) fn run(target: &Target, echo: &Echo) -> Result<Report, LoadError> {
    let probe = Probe::new(&target.pid)?;
    let own = Probe::new(&[std::process::id()])?;
    let mut asker = gather(target, echo)?;
    let mut echoes = Echoes::new(&asker.swarm.words, asker.numbers.len());
    if echo.warmup > 0.0 {
        asker.go(&mut echoes, echo, echo.warmup)?;
        if echoes.received == 0 && asker.sent > 0 {
            let why = echoes
                .refusal
                .map_or_else(String::new, |r| format!(": {r}"));
            return Err(LoadError::Silent(format!("no echo came back{why}")));
        }
    }
    echoes.latency_us.clear();
    (echoes.refused, echoes.acked, echoes.refusal) = (0, 0, None);
    asker.sent = 0;
    echoes.received = 0;
    let cpu = probe.as_ref().map(Probe::cpu).transpose()?;
    let own_cpu = own.as_ref().map(Probe::cpu).transpose()?;
    let start = asker.swarm.clock.now_ns();
    asker.go(&mut echoes, echo, echo.seconds)?;
    let seconds = (asker.swarm.clock.now_ns() - start) as f64 / 1e9;

    let mut report = tell(target, echo, &asker, &echoes, seconds);
    if let (Some(probe), Some(before)) = (&probe, &cpu) {
        let spent = probe.cpu()?.since(before);
        let each = spent.us / (echoes.received as f64).max(1.0);
        report.figure("cpu_us_per_echo", each, "us");
        report.figure("user_us_per_echo", each * spent.user_share, "us");
    }
    if let (Some(own), Some(before)) = (&own, &own_cpu) {
        let cores = own.cpu()?.since(before).us / 1e6 / seconds;
        report.figure("generator_cores", cores, "");
    }
    Ok(report)
}

/// Connects the askers; in the rooms' dialect each joins a room of its own.
fn gather(target: &Target, echo: &Echo) -> Result<Asker, LoadError> {
    let rooms = target.dialect == Dialect::Rooms;
    let usual = if rooms {
        CONNECTIONS_IN_ROOMS
    } else {
        CONNECTIONS
    };
    let count = echo.connections.unwrap_or(usual).max(1);
    let mut swarm = Swarm::new(target, count)?;
    swarm.connect(0..count, Pace::of(target), &mut Ignore)?;
    swarm.all_connected(count)?;
    if rooms {
        for (index, conn) in swarm.conns.iter_mut().enumerate() {
            conn.rooms = (index as u32, 1);
        }
        swarm.join_all(&mut Ignore)?;
    }
    let envelopes = (0..count as u32).map(|conn| swarm.words.echo(conn));
    Ok(Asker {
        envelopes: envelopes.collect(),
        swarm,
        sent: 0,
        numbers: vec![0; count],
        bytes: echo.bytes.max(LENGTH),
        before: String::new(),
    })
}

fn tell(target: &Target, echo: &Echo, asker: &Asker, echoes: &Echoes, seconds: f64) -> Report {
    let mut report = Report::new("echo", &target.label)
        .parameter("connections", asker.numbers.len())
        .parameter("bytes", asker.bytes);
    report = match echo.outstanding {
        Some(outstanding) => report.parameter("outstanding", outstanding),
        None => report.parameter("rate", echo.rate),
    };
    let answered = echoes.received as f64;
    report.figure("echoes", answered, "");
    report.figure("echoes_per_s", answered / seconds, "1/s");
    let lost = asker.sent as f64 - answered - echoes.refused as f64;
    report.figure("lost", lost, "");
    report.figure("wrong", echoes.wrong as f64, "");
    report.figure("refused", echoes.refused as f64, "");
    if echoes.words.is_rooms() {
        let missing = asker.sent as f64 - (echoes.acked + echoes.refused) as f64;
        report.figure("unacknowledged", missing, "");
        report.note(
            "Lakh's rooms have no echo: each client emits, with an ack, to a room that it is alone in. An echo is \
             that event come back; its ack travels besides.",
        );
    }
    if let Some(refusal) = &echoes.refusal {
        report.note(format!(
            "The server refused {} of {} emits; they don't count as lost. {refusal}",
            echoes.refused, asker.sent
        ));
    }
    let latency = &echoes.latency_us;
    report.figure("latency_p50_ms", latency.quantile(0.5) as f64 / 1e3, "ms");
    report.figure("latency_p99_ms", latency.quantile(0.99) as f64 / 1e3, "ms");
    report.figure("latency_max_ms", latency.max() as f64 / 1e3, "ms");
    report
}
