//! A flood: connections in rooms, broadcasts to them by a schedule or as many at a time, and what came of it.

use crate::dialect::Refusal;
use crate::error::LoadError;
use crate::options::Target;
use crate::probe::{Cpu, Probe, Spent};
use crate::publisher::{Publisher, Resting, Schedule};
use crate::report::Report;
use crate::swarm::{Ignore, Pace, Swarm};
use crate::tally::Tally;

/// Connections in rooms.
pub(crate) struct Flood {
    pub swarm: Swarm,
    pub publisher: Publisher,
    pub tally: Tally,
    probe: Option<Probe>,
    broker: Option<Probe>,
    own: Option<Probe>,
}

/// A measurement that has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    start_ns: u64,
    published: u64,
    cpu: Cpu,
    broker: Cpu,
    own: Cpu,
}

/// What a flood did to the server.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// From the first broadcast until all have arrived, or no more did.
    pub seconds: f64,
    pub received: u64,
    pub expected: u64,
    pub out_of_order: u64,
    pub stray: u64,
    /// Broadcasts that the server refused; `expected` is without them.
    pub refused: u64,
    pub refusal: Option<Refusal>,
    pub published: u64,
    pub closed: usize,
    pub p50_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
    pub spent: Option<Spent>,
    pub resident_kb: Option<f64>,
    /// What stands behind the nodes.
    pub broker: Option<Spent>,
    pub broker_resident_kb: Option<f64>,
    /// Cores that the generator itself was busy with.
    pub own_cores: f64,
}

impl Flood {
    /// Connects everybody and joins the rooms.
    pub(crate) fn start(
        target: &Target,
        members: u32,
        connections: Option<usize>,
        sizes: &[usize],
    ) -> Result<Self, LoadError> {
        let members = members.max(1);
        let rooms = connections
            .unwrap_or(1000)
            .div_ceil(members as usize)
            .max(1) as u32;
        let connections = (rooms * members) as usize;
        let probe = Probe::new(&target.pid)?;
        let broker = Probe::new(target.broker_pid.as_slice())?;
        let own = Probe::new(&[std::process::id()])?;
        let mut swarm = Swarm::new(target, connections)?;
        let nodes = swarm.nodes();
        for (index, conn) in swarm.conns.iter_mut().enumerate() {
            conn.rooms = (index as u32 / members, 1);
            // Members take the nodes in turn, and each room's first member, who publishes, is on the first node.
            conn.node = index % members as usize % nodes;
        }
        swarm.connect(0..connections, Pace::of(target), &mut Ignore)?;
        swarm.all_connected(connections)?;
        swarm.join_all(&mut Ignore)?;
        Ok(Self {
            publisher: Publisher::new(&swarm, rooms, members, sizes),
            tally: Tally::new(&swarm.words, connections, members),
            swarm,
            probe,
            broker,
            own,
        })
    }

    pub(crate) fn connections(&self) -> usize {
        self.swarm.conns.len()
    }

    /// Begins to count.
    pub(crate) fn begin(&mut self) -> Result<Window, LoadError> {
        self.tally.restart();
        self.tally.refusal = None;
        Ok(Window {
            start_ns: self.swarm.clock.now_ns(),
            published: self.publisher.published,
            cpu: sample(self.probe.as_ref())?,
            broker: sample(self.broker.as_ref())?,
            own: sample(self.own.as_ref())?,
        })
    }

    /// Waits until all has arrived, and says what did.
    pub(crate) fn finish(&mut self, window: &Window) -> Result<Outcome, LoadError> {
        let members = u64::from(self.publisher.members);
        let published = self.publisher.published - window.published;
        // Who may not publish is told by an ack: until it's there, that broadcast counts as one on its way.
        let expected = |tally: &Tally| published.saturating_sub(tally.refused) * members;
        self.swarm.turn_until(
            &mut self.tally,
            |_, tally| tally.received >= expected(tally),
            |_, tally| tally.received + tally.refused,
        )?;
        let seconds = (self.swarm.clock.now_ns() - window.start_ns) as f64 / 1e9;
        let own = sample(self.own.as_ref())?.since(&window.own);
        let spent = sample(self.probe.as_ref())?.since(&window.cpu);
        let broker = sample(self.broker.as_ref())?.since(&window.broker);
        let resident = |probe: &Option<Probe>| probe.as_ref().map(Probe::resident_kb).transpose();
        let tally = &self.tally;
        Ok(Outcome {
            seconds,
            received: tally.received,
            expected: expected(tally),
            refused: tally.refused,
            refusal: tally.refusal.clone(),
            published,
            out_of_order: tally.out_of_order,
            stray: tally.stray,
            closed: self.swarm.counts.closed,
            p50_us: tally.latency_us.quantile(0.5),
            p99_us: tally.latency_us.quantile(0.99),
            max_us: tally.latency_us.max(),
            spent: self.probe.as_ref().map(|_| spent),
            resident_kb: resident(&self.probe)?,
            broker: self.broker.as_ref().map(|_| broker),
            broker_resident_kb: resident(&self.broker)?,
            own_cores: own.us / 1e6 / seconds,
        })
    }

    /// Publishes by a schedule: `rate` deliveries a second, the rooms in turn.
    pub(crate) fn by_rate(&mut self, rate: f64, seconds: f64) -> Result<(), LoadError> {
        let start = self.swarm.clock.now_ns();
        let end = start + (seconds * 1e9) as u64;
        let broadcasts = rate / f64::from(self.publisher.members);
        let mut schedule = Schedule::new(start, broadcasts);
        let rooms = u64::from(self.publisher.rooms());
        while schedule.due_ns() < end {
            let now = self.swarm.clock.now_ns();
            while let Some((which, due)) = schedule.take(now.min(end - 1)) {
                let room = (which % rooms) as u32;
                self.publisher.publish(&mut self.swarm, room, due);
            }
            self.swarm.turn(schedule.due_ns(), &mut self.tally)?;
        }
        Ok(())
    }

    /// Keeps this many broadcasts on their way in each room, for a time.
    pub(crate) fn by_window(&mut self, outstanding: u32, seconds: f64) -> Result<(), LoadError> {
        let end = self.swarm.clock.now_ns() + (seconds * 1e9) as u64;
        self.tally.watch(self.publisher.rooms(), outstanding);
        self.tally.complete.clear();
        for _ in 0..outstanding {
            for room in 0..self.publisher.rooms() {
                self.send(room);
            }
        }
        let mut resting = Resting::default();
        while self.swarm.clock.now_ns() < end {
            self.swarm.turn(resting.wake_ns(end), &mut self.tally)?;
            let now = self.swarm.clock.now_ns();
            resting.put(&mut self.tally.refused_rooms, now);
            while let Some(room) = resting.take(now) {
                self.send(room);
            }
            let mut complete = std::mem::take(&mut self.tally.complete);
            for room in complete.drain(..) {
                self.send(room);
            }
            self.tally.complete = complete;
        }
        Ok(())
    }

    fn send(&mut self, room: u32) {
        let now = self.swarm.clock.now_ns();
        self.tally.sent(room, self.publisher.numbers[room as usize]);
        self.publisher.publish(&mut self.swarm, room, now);
    }

    /// Publishes this many in each room at once.
    pub(crate) fn at_once(&mut self, broadcasts: u32) {
        let now = self.swarm.clock.now_ns();
        for room in 0..self.publisher.rooms() {
            for _ in 0..broadcasts {
                self.publisher.publish(&mut self.swarm, room, now);
            }
        }
    }
}

fn sample(probe: Option<&Probe>) -> Result<Cpu, LoadError> {
    probe.map_or(Ok(Cpu::default()), Probe::cpu)
}

impl Outcome {
    /// Everything arrived, in order.
    pub(crate) fn is_whole(&self) -> bool {
        self.received == self.expected
            && self.out_of_order == 0
            && self.stray == 0
            && self.refused == 0
    }

    /// Puts the figures into a report.
    pub(crate) fn tell(&self, report: &mut Report) {
        report.figure("delivered", self.received as f64, "");
        report.figure(
            "delivered_per_s",
            self.received as f64 / self.seconds,
            "1/s",
        );
        let lost = self.expected.saturating_sub(self.received);
        report.figure("lost", lost as f64, "");
        report.figure("out_of_order", self.out_of_order as f64, "");
        report.figure("stray", self.stray as f64, "");
        report.figure("closed_by_server", self.closed as f64, "");
        report.figure("refused", self.refused as f64, "");
        if let Some(refusal) = &self.refusal {
            report.note(format!(
                "The server refused {} of {} broadcasts; they don't count as lost, but refusing costs, too. {refusal}",
                self.refused, self.published
            ));
        }
        if let Some(spent) = &self.spent {
            let each = spent.us / self.received.max(1) as f64;
            report.figure("cpu_us_per_delivery", each, "us");
            report.figure("user_us_per_delivery", each * spent.user_share, "us");
            report.figure("server_cores", spent.us / 1e6 / self.seconds, "");
        }
        if let Some(broker) = &self.broker {
            let each = broker.us / self.received.max(1) as f64;
            report.figure("broker_cpu_us_per_delivery", each, "us");
            let each = broker.us / self.published.max(1) as f64;
            report.figure("broker_cpu_us_per_broadcast", each, "us");
        }
        for (name, resident) in [
            ("resident_kb", self.resident_kb),
            ("broker_resident_kb", self.broker_resident_kb),
        ] {
            if let Some(resident) = resident {
                report.figure(name, resident, "KB");
            }
        }
        report.figure("latency_p50_ms", self.p50_us as f64 / 1000.0, "ms");
        report.figure("latency_p99_ms", self.p99_us as f64 / 1000.0, "ms");
        report.figure("latency_max_ms", self.max_us as f64 / 1000.0, "ms");
        report.figure("generator_cores", self.own_cores, "");
        if self.own_cores > 0.9 {
            report.note("The generator was as busy as it can be: these figures say little about the server.");
        }
    }
}
