//! `chat`: people in chat rooms who write to each other, each message with an acknowledgement that says it is stored.
//!
//! The words are those of Lakh's chat, of which any server can be taught what is needed here: `room:join`, `room:watch`,
//! `message:send`, `message:new` (`bench/README.md`).

mod ears;

use crate::error::LoadError;
use crate::frame;
use crate::options::{Chat, Dialect, Target};
use crate::probe::{Cpu, Probe};
use crate::publisher::{Resting, Schedule};
use crate::report::Report;
use crate::stamp::{LENGTH, Stamp};
use crate::swarm::{Ignore, Pace, Sink, Swarm};
use ears::Ears;

/// The server as this scenario meets it: chat's namespace and words.
pub(super) fn target(target: &Target) -> Target {
    let mut target = target.clone();
    if target.namespace == "/" {
        target.namespace = "/chat".to_owned();
    }
    target.dialect = Dialect::Rooms;
    target
}

/// Connections in rooms, and what they hear.
struct Talk {
    swarm: Swarm,
    ears: Ears,
    /// Of each room: those who may send, and all.
    members: u32,
    receivers: u32,
    /// How many messages each room has had.
    numbers: Vec<u32>,
    bytes: usize,
    sent: u64,
    probe: Option<Probe>,
    broker: Option<Probe>,
    own: Option<Probe>,
}

/// Processor time at one moment: of the server, of what stands behind it, of the generator.
#[derive(Clone, Copy)]
struct Spent {
    at_ns: u64,
    server: Cpu,
    broker: Cpu,
    own: Cpu,
}

impl Talk {
    fn start(target: &Target, chat: &Chat) -> Result<Self, LoadError> {
        let (members, watchers) = (chat.members.max(1), chat.watchers);
        let receivers = members + watchers;
        let wanted = chat.connections.unwrap_or(0);
        let rooms = wanted.div_ceil(receivers as usize).max(1) as u32;
        let count = (rooms * receivers) as usize;
        let mut swarm = Swarm::new(target, count)?;
        swarm.named = target.auth.is_none();
        let nodes = swarm.nodes();
        for (index, conn) in swarm.conns.iter_mut().enumerate() {
            let (room, place) = (index as u32 / receivers, index as u32 % receivers);
            conn.rooms = (room, u32::from(place < members));
            conn.node = place as usize % nodes;
        }
        swarm.connect(0..count, Pace::of(target), &mut Ignore)?;
        swarm.all_connected(count)?;
        // Rooms are there as soon as somebody has joined, so members come before those who look on.
        swarm.join_all(&mut Ignore)?;
        let mut talk = Self {
            ears: Ears::new(&swarm.words, rooms, receivers),
            swarm,
            members,
            receivers,
            numbers: vec![0; rooms as usize],
            bytes: chat.bytes.max(LENGTH),
            sent: 0,
            probe: Probe::new(&target.pid)?,
            broker: Probe::new(target.broker_pid.as_slice())?,
            own: Probe::new(&[std::process::id()])?,
        };
        talk.watch()?;
        Ok(talk)
    }

    /// Lets those in who only look on.
    fn watch(&mut self) -> Result<(), LoadError> {
        let mut answers = Answers::new(&self.swarm);
        let mut asked = 0;
        for index in 0..self.swarm.conns.len() as u32 {
            let (room, place) = (index / self.receivers, index % self.receivers);
            if place < self.members {
                continue;
            }
            let text = self.swarm.words.watch(room);
            self.swarm.say(index, text.as_bytes());
            asked += 1;
            // Some at a time, as real ones come.
            if asked - answers.taken >= 256 {
                self.swarm.turn_until(
                    &mut answers,
                    |_, answers| answers.taken >= asked,
                    |_, answers| answers.taken,
                )?;
            }
        }
        self.swarm.turn_until(
            &mut answers,
            |_, answers| answers.taken >= asked,
            |_, answers| answers.taken,
        )?;
        match answers.refusal {
            Some(refusal) => Err(LoadError::Join(refusal)),
            None if answers.taken < asked => Err(LoadError::Join("no answer".to_owned())),
            None => Ok(()),
        }
    }

    /// Queues one message. Members take turns.
    fn send(&mut self, room: u32, due_ns: u64) {
        let number = self.numbers[room as usize];
        self.numbers[room as usize] = number.wrapping_add(1);
        self.ears.sent(room, number);
        let stamp = Stamp {
            room,
            number,
            due_us: due_ns / 1_000,
        };
        let before = self.swarm.words.send(self.sent as u32, room);
        let between = "\",\"text\":\"";
        let length = before.len() + LENGTH + between.len() + self.bytes + 3;
        let conn = room * self.receivers + number % self.members;
        let bytes = self.bytes;
        self.swarm.queue(conn, |out| {
            frame::append(out, frame::TEXT, length, |out| {
                out.extend_from_slice(before.as_bytes());
                // The key: no other message of this run or another has it.
                stamp.append(out, LENGTH);
                out.extend_from_slice(between.as_bytes());
                stamp.append(out, bytes);
                out.extend_from_slice(b"\"}]");
            });
        });
        self.sent += 1;
    }

    fn by_rate(&mut self, rate: f64, seconds: f64) -> Result<(), LoadError> {
        let start = self.swarm.clock.now_ns();
        let end = start + (seconds * 1e9) as u64;
        let mut schedule = Schedule::new(start, rate);
        let rooms = self.numbers.len() as u64;
        while schedule.due_ns() < end {
            let now = self.swarm.clock.now_ns();
            while let Some((which, due)) = schedule.take(now.min(end - 1)) {
                self.send((which % rooms) as u32, due);
            }
            self.swarm.turn(schedule.due_ns(), &mut self.ears)?;
            self.ears.answered.clear();
            self.ears.turned_away.clear();
        }
        Ok(())
    }

    fn by_window(&mut self, outstanding: u32, seconds: f64) -> Result<(), LoadError> {
        let end = self.swarm.clock.now_ns() + (seconds * 1e9) as u64;
        self.ears.answered.clear();
        self.ears.turned_away.clear();
        for _ in 0..outstanding {
            self.ears.answered.extend(0..self.numbers.len() as u32);
        }
        let mut resting = Resting::default();
        while self.swarm.clock.now_ns() < end {
            let now = self.swarm.clock.now_ns();
            let mut answered = std::mem::take(&mut self.ears.answered);
            for room in answered.drain(..) {
                self.send(room, now);
            }
            self.ears.answered = answered;
            resting.put(&mut self.ears.turned_away, now);
            while let Some(room) = resting.take(now) {
                self.send(room, now);
            }
            self.swarm.turn(resting.wake_ns(end), &mut self.ears)?;
        }
        Ok(())
    }

    /// Sends for a time, and waits until everybody has everything.
    fn go(&mut self, chat: &Chat, seconds: f64) -> Result<(), LoadError> {
        match chat.outstanding {
            Some(outstanding) => self.by_window(outstanding.max(1), seconds)?,
            None => self.by_rate(chat.rate, seconds)?,
        }
        let sent = self.sent;
        self.swarm.turn_until(
            &mut self.ears,
            |_, ears| ears.answers() >= sent && ears.received >= ears.expected(),
            |_, ears| ears.answers() + ears.received,
        )?;
        Ok(())
    }

    fn spent(&self) -> Result<Spent, LoadError> {
        let sample = |probe: &Option<Probe>| probe.as_ref().map_or(Ok(Cpu::default()), Probe::cpu);
        Ok(Spent {
            at_ns: self.swarm.clock.now_ns(),
            server: sample(&self.probe)?,
            broker: sample(&self.broker)?,
            own: sample(&self.own)?,
        })
    }
}

/// The answers of those who only look on.
struct Answers {
    words: crate::dialect::Words,
    taken: u64,
    refusal: Option<String>,
}

impl Answers {
    fn new(swarm: &Swarm) -> Self {
        Self {
            words: swarm.words.clone(),
            taken: 0,
            refusal: None,
        }
    }
}

impl Sink for Answers {
    fn message(&mut self, _: u32, text: &[u8], _: u64) {
        let Some(arguments) = self.words.ack(text) else {
            return;
        };
        self.taken += 1;
        if let Some(refusal) = self.words.refusal(arguments) {
            self.refusal.get_or_insert(refusal.to_string());
        }
    }
}

pub(super) fn run(target: &Target, chat: &Chat) -> Result<Report, LoadError> {
    let mut talk = Talk::start(target, chat)?;
    if chat.warmup > 0.0 {
        talk.go(chat, chat.warmup)?;
        if talk.ears.acknowledged == 0 && talk.sent > 0 {
            let why = talk.ears.refusal.map(|refusal| format!(": {refusal}"));
            let why = why.unwrap_or_default();
            return Err(LoadError::Silent(format!("no message was taken{why}")));
        }
    }
    talk.ears.restart();
    talk.sent = 0;
    let before = talk.spent()?;
    talk.go(chat, chat.seconds)?;
    let after = talk.spent()?;
    tell(target, chat, &talk, &before, &after)
}

fn tell(
    target: &Target,
    chat: &Chat,
    talk: &Talk,
    before: &Spent,
    after: &Spent,
) -> Result<Report, LoadError> {
    let mut report = Report::new("chat", &target.label)
        .parameter("members", talk.members)
        .parameter("watchers", chat.watchers)
        .parameter("rooms", talk.numbers.len())
        .parameter("bytes", talk.bytes);
    report = match chat.outstanding {
        Some(outstanding) => report.parameter("outstanding", outstanding),
        None => report.parameter("rate", chat.rate),
    };
    let ears = &talk.ears;
    let seconds = (after.at_ns - before.at_ns) as f64 / 1e9;
    let acknowledged = ears.acknowledged as f64;
    report.figure("acknowledged", acknowledged, "");
    report.figure("acknowledged_per_s", acknowledged / seconds, "1/s");
    report.figure("refused", ears.refused as f64, "");
    let missing = talk.sent.saturating_sub(ears.answers());
    report.figure("unacknowledged", missing as f64, "");
    report.figure("duplicates", ears.duplicates as f64, "");
    report.figure("holes", ears.holes() as f64, "");
    let received = ears.received as f64;
    report.figure("delivered", received, "");
    report.figure("delivered_per_s", received / seconds, "1/s");
    let lost = ears.expected().saturating_sub(ears.received);
    report.figure("lost", lost as f64, "");
    report.figure("out_of_order", ears.out_of_order as f64, "");
    report.figure("stray", ears.stray as f64, "");
    let closed = talk.swarm.counts.closed;
    report.figure("closed_by_server", closed as f64, "");
    tell_cost(&mut report, talk, before, after)?;
    for (name, histogram) in [
        ("ack", &ears.ack_us),
        ("latency", &ears.latency_us),
        ("last", &ears.last_us),
    ] {
        let ms = |share: f64| histogram.quantile(share) as f64 / 1e3;
        report.figure(format!("{name}_p50_ms"), ms(0.5), "ms");
        report.figure(format!("{name}_p99_ms"), ms(0.99), "ms");
        report.figure(format!("{name}_max_ms"), ms(1.0), "ms");
    }
    if let Some(refusal) = &ears.refusal {
        let (refused, sent) = (ears.refused, talk.sent);
        let why = refusal.said();
        report.note(format!(
            "The server refused {refused} of {sent} messages; they don't count as lost. {why}"
        ));
    }
    Ok(report)
}

/// What it cost, in all and by message.
fn tell_cost(
    report: &mut Report,
    talk: &Talk,
    before: &Spent,
    after: &Spent,
) -> Result<(), LoadError> {
    let seconds = (after.at_ns - before.at_ns) as f64 / 1e9;
    let messages = (talk.ears.acknowledged as f64).max(1.0);
    let server = after.server.since(&before.server);
    let broker = after.broker.since(&before.broker);
    if let Some(probe) = &talk.probe {
        let each = server.us / messages;
        report.figure("cpu_us_per_message", each, "us");
        report.figure("user_us_per_message", each * server.user_share, "us");
        let deliveries = (talk.ears.received as f64).max(1.0);
        report.figure("cpu_us_per_delivery", server.us / deliveries, "us");
        report.figure("server_cores", server.us / 1e6 / seconds, "");
        report.figure("resident_kb", probe.resident_kb()?, "KB");
    }
    if talk.broker.is_some() {
        let each = broker.us / messages;
        report.figure("broker_cpu_us_per_message", each, "us");
    }
    if talk.probe.is_some() {
        let each = (server.us + broker.us) / messages;
        report.figure("backend_cpu_us_per_message", each, "us");
    }
    let own = after.own.since(&before.own).us / 1e6 / seconds;
    report.figure("generator_cores", own, "");
    if own > 0.9 {
        report.note(
            "The generator was as busy as it can be: these figures say little about the server.",
        );
    }
    Ok(())
}
