//! What can be asked for on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::schedule::Kind;

/// Breaks a fleet under stock clients, and compares what each client saw with what was acknowledged.
///
/// Ends with 0 if nothing was lost, doubled or out of order in silence, with 1 if something was, with 2 if it could
/// not be tried.
#[derive(Clone, Debug, Parser)]
#[command(name = "lakh-chaos", version)]
pub struct Options {
    /// Seed of the schedule. Unset: one is made, and printed.
    #[arg(long)]
    pub seed: Option<u64>,
    /// How long faults go on.
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,
    /// Stock clients; a fourth of them the recording client in Rust, the others `socket.io-client`.
    #[arg(long, default_value_t = 120)]
    pub clients: usize,
    /// Rooms; each client is in two of them.
    #[arg(long, default_value_t = 10)]
    pub rooms: usize,
    /// Messages a second, all writers together.
    #[arg(long, default_value_t = 100)]
    pub rate: u32,
    /// Messages that must be acknowledged before the load may end, however long it takes.
    #[arg(long, default_value_t = 0)]
    pub messages: usize,
    /// Nodes. More than one meet in a Redis of the run's own.
    #[arg(long, default_value_t = 1)]
    pub nodes: usize,
    /// What a balancer before the nodes would hold to.
    #[arg(long, value_enum, default_value_t = Balance::Session)]
    pub balance: Balance,
    /// Faults, by name; or `all` that apply, or `none`.
    #[arg(long, value_delimiter = ',', default_value = "all")]
    pub faults: Vec<String>,
    /// What is tried.
    #[arg(long, value_enum, default_value_t = Server::Lakh)]
    pub server: Server,
    /// The binary `lakh`. Unset: the one beside this program.
    #[arg(long, env = "TEST_LAKH")]
    pub lakh: Option<PathBuf>,
    /// Broker of Lakh's nodes, for `lakh serve --broker`. Unset: redis-streams for several nodes, the default for one.
    #[arg(long)]
    pub broker: Option<String>,
    /// Store of Lakh's nodes, for `lakh serve --store`.
    #[arg(long)]
    pub store: Option<String>,
    /// Setting for each node, as a variable: `LAKH_LOG=debug`.
    #[arg(long, value_name = "KEY=VALUE")]
    pub env: Vec<String>,
    /// What the server of Node does wrong with one message in 500.
    #[arg(long, value_enum, default_value_t = Flaw::None)]
    pub flaw: Flaw,
    /// Time between two heartbeats of the server.
    #[arg(long, default_value_t = 2_000)]
    pub ping_interval_ms: u64,
    /// Time that a heartbeat may take.
    #[arg(long, default_value_t = 3_000)]
    pub ping_timeout_ms: u64,
    /// How long to wait for everybody to be connected, and for the last messages.
    #[arg(long, default_value_t = 60)]
    pub patience: u64,
    /// Processes of JavaScript clients.
    #[arg(long, default_value_t = 2)]
    pub workers: usize,
    /// Share of clients that are in Rust, in percent.
    #[arg(long, default_value_t = 25)]
    pub rust_share: usize,
    /// How Redis writes its log to disk. Short of `always` a killed Redis may forget what it acknowledged.
    #[arg(long, default_value = "always")]
    pub appendfsync: String,
    /// Judges the records of an earlier run again, which lie in that folder, and starts nothing.
    #[arg(long, value_name = "FOLDER")]
    pub judge: Option<PathBuf>,
    /// Folder for records, logs and schedule. Unset: a new one, taken away if nothing was found.
    #[arg(long)]
    pub keep: Option<PathBuf>,
}

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Server {
    /// `lakh serve`.
    Lakh,
    /// Node's `socket.io`, with `redis-streams-adapter` for several nodes.
    Node,
}

/// What a balancer before the nodes would hold to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Balance {
    /// A session stays with its node; a new one goes to any.
    Session,
    /// Nothing: each connection goes to any node, so each request of long polling does.
    Connection,
}

/// What the server of Node does wrong, to see whether it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Flaw {
    /// Nothing.
    None,
    /// One receiver does not get the message.
    Drop,
    /// One receiver gets it twice.
    Double,
    /// One receiver gets it after the next one.
    Swap,
    /// All receivers get it after the next one of its writer.
    Late,
}

impl Flaw {
    /// As the server of Node is told.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Drop => "drop",
            Self::Double => "double",
            Self::Swap => "swap",
            Self::Late => "late",
        }
    }
}

impl Options {
    /// The bound of each wait for the whole.
    #[must_use]
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.patience)
    }

    /// Whether nodes meet in Redis.
    #[must_use]
    pub fn redis(&self) -> bool {
        let broker = self.broker.as_deref();
        self.nodes > 1 || broker.is_some_and(|broker| broker.starts_with("redis"))
    }

    /// The faults that were asked for.
    ///
    /// # Errors
    /// A word that names none, or one that needs a Redis that is not there.
    pub fn kinds(&self) -> Result<Vec<Kind>, String> {
        let redis = self.redis();
        let mut kinds = Vec::new();
        for word in &self.faults {
            match word.as_str() {
                "none" => {}
                "all" => kinds.extend(Kind::ALL.into_iter().filter(|kind| redis || !kind.redis())),
                word => {
                    let kind = Kind::ALL.into_iter().find(|kind| kind.word() == word);
                    let known = Kind::ALL.map(Kind::word).join(", ");
                    let kind = kind.ok_or_else(|| format!("no fault `{word}`: {known}"))?;
                    if kind.redis() && !redis {
                        return Err(format!("`{word}` needs several nodes, or --broker redis…"));
                    }
                    kinds.push(kind);
                }
            }
        }
        kinds.sort_unstable();
        kinds.dedup();
        Ok(kinds)
    }
}
