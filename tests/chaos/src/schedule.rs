//! What will be broken, and when: made from a seed before anything starts, so that a seed names a run.
//!
//! Two lanes go on beside each other, because what is hard is their meeting: one breaks the network of clients, the
//! other processes and Redis. Processes break one after the other; faults of the network overlap.

use std::fmt;
use std::time::Duration;

use lakh_testkit::Noise;

/// What can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Connections of some clients are reset on both sides.
    Reset,
    /// Connections of some clients are reset on their side; the server is not told.
    HalfOpen,
    /// The network of some clients is silent for a while, and then goes on.
    Stall,
    /// The network of some clients is slow for a while.
    Delay,
    /// A node gets SIGKILL, and is started again.
    Kill,
    /// A node gets SIGSTOP, and SIGCONT later.
    Pause,
    /// Each node in turn gets SIGTERM, and is started again when it has ended.
    Rolling,
    /// Nodes are cut off from Redis for a while: resets, and no new connection.
    RedisCut,
    /// Nothing passes between a node and Redis for a while; then it goes on.
    RedisStall,
    /// Redis gets SIGTERM, and is started again.
    RedisTerm,
    /// Redis gets SIGKILL, and is started again.
    RedisKill,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Reset,
        Self::HalfOpen,
        Self::Stall,
        Self::Delay,
        Self::Kill,
        Self::Pause,
        Self::Rolling,
        Self::RedisCut,
        Self::RedisStall,
        Self::RedisTerm,
        Self::RedisKill,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::HalfOpen => "half-open",
            Self::Stall => "stall",
            Self::Delay => "delay",
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Rolling => "rolling",
            Self::RedisCut => "redis-cut",
            Self::RedisStall => "redis-stall",
            Self::RedisTerm => "redis-term",
            Self::RedisKill => "redis-kill",
        }
    }

    /// Whether it needs a Redis.
    #[must_use]
    pub fn redis(self) -> bool {
        self >= Self::RedisCut
    }

    /// Whether it breaks what is between clients and nodes.
    #[must_use]
    pub fn network(self) -> bool {
        self <= Self::Delay
    }
}

/// One thing to break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub kind: Kind,
    /// The clients it's for, if it is between clients and nodes.
    pub clients: Vec<usize>,
    /// The nodes it's for; for Redis itself, none.
    pub nodes: Vec<usize>,
    /// How long it lasts: for a process that is started again, how long it stays away.
    pub lasts: Duration,
    /// How late bytes are.
    pub delay: Duration,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind.word())?;
        match (self.clients.as_slice(), self.nodes.as_slice()) {
            ([], []) => {}
            ([], [node]) => write!(f, " of node {node}")?,
            ([], nodes) => write!(f, " of {} nodes", nodes.len())?,
            ([client], _) => write!(f, " of client {client}")?,
            (clients, _) => write!(f, " of {} clients", clients.len())?,
        }
        if !self.delay.is_zero() {
            write!(f, " by {} ms", self.delay.as_millis())?;
        }
        if !self.lasts.is_zero() {
            write!(f, " for {} ms", self.lasts.as_millis())?;
        }
        Ok(())
    }
}

/// A fault and the pause before it.
pub type Step = (Duration, Fault);

/// How large the run is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Clients.
    pub clients: usize,
    /// Nodes.
    pub nodes: usize,
    /// Time without heartbeats after which a connection is given up.
    pub silence: Duration,
    /// How long faults go on.
    pub total: Duration,
}

/// The two lanes: the network of clients; processes and Redis.
#[must_use]
pub fn lanes(seed: u64, kinds: &[Kind], size: &Size) -> [Vec<Step>; 2] {
    let (network, processes): (Vec<Kind>, Vec<Kind>) =
        kinds.iter().partition(|kind| kind.network());
    let short = size.total / 40;
    [
        lane(
            &mut Noise::new(seed),
            &network,
            size,
            short.clamp(ms(100), ms(600)),
        ),
        lane(
            &mut Noise::new(!seed),
            &processes,
            size,
            short.clamp(ms(300), ms(1_500)),
        ),
    ]
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Deals kinds from a shuffled deck, so that each comes before any comes again.
fn lane(noise: &mut Noise, kinds: &[Kind], size: &Size, pause: Duration) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut deck = Vec::new();
    let mut planned = Duration::ZERO;
    while planned < size.total && !kinds.is_empty() {
        if deck.is_empty() {
            deck.extend_from_slice(kinds);
        }
        let kind = deck.swap_remove(noise.below(deck.len()));
        let before = between(noise, pause / 2, pause * 3 / 2);
        let fault = fault(noise, kind, size);
        planned += before;
        if !kind.network() {
            planned += fault.lasts;
        }
        steps.push((before, fault));
    }
    steps
}

fn between(noise: &mut Noise, least: Duration, most: Duration) -> Duration {
    let span = usize::try_from((most - least).as_millis()).unwrap_or(0);
    // Back into 64 bits: it came from there.
    least + ms(noise.below(span + 1) as u64)
}

/// Half of them short; half past what heartbeats bear, or nearly.
fn silence(noise: &mut Noise, size: &Size) -> Duration {
    let (least, most) = if noise.below(2) == 0 {
        (ms(100), size.silence / 2)
    } else {
        (size.silence / 2, size.silence * 3 / 2)
    };
    between(noise, least, most.max(least)).min(size.total / 3)
}

fn some(noise: &mut Noise, count: usize) -> Vec<usize> {
    let most = (count / 8).max(1);
    let wanted = 1 + noise.below(most);
    let mut all: Vec<usize> = (0..count).collect();
    let mut chosen = Vec::new();
    while chosen.len() < wanted {
        chosen.push(all.swap_remove(noise.below(all.len())));
    }
    chosen.sort_unstable();
    chosen
}

fn fault(noise: &mut Noise, kind: Kind, size: &Size) -> Fault {
    let mut fault = Fault {
        kind,
        clients: Vec::new(),
        nodes: Vec::new(),
        lasts: Duration::ZERO,
        delay: Duration::ZERO,
    };
    if kind.network() {
        fault.clients = some(noise, size.clients);
    }
    match kind {
        Kind::Reset | Kind::HalfOpen => {}
        Kind::Stall => fault.lasts = silence(noise, size),
        Kind::Delay => {
            fault.lasts = between(noise, ms(500), ms(2_500)).min(size.total / 3);
            fault.delay = between(noise, ms(5), ms(150));
        }
        Kind::Kill => {
            fault.nodes = vec![noise.below(size.nodes)];
            fault.lasts = between(noise, ms(0), ms(2_000)).min(size.total / 4);
        }
        Kind::Pause | Kind::RedisStall => {
            fault.nodes = vec![noise.below(size.nodes)];
            fault.lasts = silence(noise, size);
        }
        Kind::Rolling => fault.nodes = (0..size.nodes).collect(),
        Kind::RedisCut => {
            let one = noise.below(size.nodes);
            let all = noise.below(2) == 0;
            fault.nodes = if all {
                (0..size.nodes).collect()
            } else {
                vec![one]
            };
            fault.lasts = between(noise, ms(300), ms(4_000)).min(size.total / 4);
        }
        Kind::RedisTerm | Kind::RedisKill => {
            fault.lasts = between(noise, ms(0), ms(2_500)).min(size.total / 4);
        }
    }
    fault
}

#[cfg(test)]
mod tests {
    use super::{Kind, Size, lanes, ms};

    fn size() -> Size {
        Size {
            clients: 100,
            nodes: 3,
            silence: ms(5_000),
            total: ms(120_000),
        }
    }

    #[test]
    fn a_seed_names_a_schedule() {
        assert_eq!(lanes(1, &Kind::ALL, &size()), lanes(1, &Kind::ALL, &size()));
        assert_ne!(lanes(1, &Kind::ALL, &size()), lanes(2, &Kind::ALL, &size()));
    }

    #[test]
    fn each_kind_comes_in_its_lane() {
        let [network, processes] = lanes(3, &Kind::ALL, &size());
        assert!(network.iter().all(|(_, fault)| fault.kind.network()));
        assert!(processes.iter().all(|(_, fault)| !fault.kind.network()));
        for kind in Kind::ALL {
            let lane = if kind.network() { &network } else { &processes };
            assert!(lane.iter().any(|(_, fault)| fault.kind == kind), "{kind:?}");
        }
    }

    #[test]
    fn some_silences_are_longer_than_heartbeats_bear() {
        let [network, _] = lanes(4, &[Kind::Stall], &size());
        assert!(network.iter().any(|(_, fault)| fault.lasts > ms(5_000)));
        assert!(network.iter().any(|(_, fault)| fault.lasts < ms(2_500)));
    }

    #[test]
    fn nothing_is_planned_where_nothing_was_asked_for() {
        let [network, processes] = lanes(5, &[], &size());
        assert!(network.is_empty() && processes.is_empty());
    }
}
