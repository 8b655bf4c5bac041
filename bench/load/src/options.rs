//! What can be asked of the generator: the server, and one scenario.

use std::net::Ipv4Addr;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

/// Where a server is expected when none is named.
pub const DEFAULT_URL: &str = "http://127.0.0.1:3000/socket.io/";
/// Away from the addresses that servers listen on.
const FIRST_SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);

/// Puts load on a Socket.IO server and tells what it costs.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The server.
    #[command(flatten)]
    pub target: Target,
    /// Print the line of JSON only, no table.
    #[arg(short, long, global = true, help_heading = "Output")]
    pub quiet: bool,
    /// What to do to it.
    #[command(subcommand)]
    pub command: Command,
}

/// The server, and how to reach it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub struct Target {
    /// Where the server is; http only. Nodes of a fleet are parted by commas: connections take them in turn, and who
    /// publishes is on the first [default: http://127.0.0.1:3000/socket.io/]
    #[arg(long, global = true)]
    pub url: Option<String>,
    /// The server's processes, for processor time and memory [default: who listens there, if that is on this machine]
    #[arg(long, global = true, value_delimiter = ',')]
    pub pid: Vec<u32>,
    /// The process of the broker behind the nodes, such as Redis: told apart, not added
    #[arg(long, global = true)]
    pub broker_pid: Option<u32>,
    /// What to call the server in the report
    #[arg(long, global = true, default_value = "server")]
    pub label: String,
    /// The namespace
    #[arg(long, global = true, default_value = "/")]
    pub namespace: String,
    /// What clients send along when they connect, as a JSON object such as {"token":"…"}
    #[arg(long, global = true, value_name = "JSON", value_parser = object)]
    pub auth: Option<String>,
    /// How clients join and publish
    #[arg(long, global = true, value_enum, default_value_t = Dialect::Auto)]
    pub dialect: Dialect,
    /// Connections opened a second, at most; 0 is without bound
    #[arg(long, global = true, default_value_t = 5000)]
    pub connect_rate: u32,
    /// Connections that are being opened at the same time, at most; more than the server's backlog get lost on the way
    #[arg(long, global = true, default_value_t = 500)]
    pub in_flight: usize,
    /// Addresses to come from, 127.0.1.1 and up; only to a server on loopback [default: one for each 1,000 connections]
    #[arg(long, global = true)]
    pub sources: Option<u32>,
    /// The first of them; generators that run beside each other take different ones
    #[arg(long, global = true, value_name = "ADDRESS", default_value_t = FIRST_SOURCE)]
    pub first_source: Ipv4Addr,
    /// Seconds without any progress before a run is given up
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 20)]
    pub patience: u64,
}

/// An object, as text: that it is one is found out here, and not by ten thousand refusals.
fn object(text: &str) -> Result<String, String> {
    match serde_json::from_str(text) {
        Ok(serde_json::Value::Object(_)) => Ok(text.to_owned()),
        Ok(_) => Err("it must be an object, such as {\"token\":\"…\"}".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

impl Target {
    /// A server by its URL, everything else as by default.
    #[must_use]
    pub fn at(url: &str) -> Self {
        Self {
            url: Some(url.to_owned()),
            pid: Vec::new(),
            broker_pid: None,
            label: "server".to_owned(),
            namespace: "/".to_owned(),
            auth: None,
            dialect: Dialect::Auto,
            connect_rate: 5000,
            in_flight: 500,
            sources: None,
            first_source: FIRST_SOURCE,
            patience: 20,
        }
    }

    /// Where the server is: its nodes, at least one.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        self.url.as_deref().unwrap_or(DEFAULT_URL).split(',')
    }
}

/// How clients join and publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Dialect {
    /// The server is asked in both, and the one that it answers is taken
    Auto,
    /// `join`, `pub`, `echo` and `tick`: ten lines of handlers, see bench/README.md
    Bench,
    /// `room:join` and `room:emit`: Lakh's rooms, no handlers needed
    Rooms,
}

/// What to do to the server.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Connects and holds still: memory and processor time of a connection.
    Idle(Idle),
    /// Broadcasts to rooms: processor time of a delivered message, latency, completeness, order.
    Fanout(Fanout),
    /// Everybody in one room: how long until a broadcast has reached the last.
    Reach(Reach),
    /// Emits with ack.
    Echo(Echo),
    /// Doubles the rate until messages come late or not at all.
    Ramp(Ramp),
    /// Many broadcasts at once in each room.
    Burst(Burst),
    /// Cuts all connections, and comes back with all at once.
    Storm(Storm),
    /// A payload of its own for each receiver, many times a second.
    Tick(Tick),
    /// Everybody in one room moves a cursor, many times a second.
    Cursors(Cursors),
    /// People in chat rooms write, and each message is stored before it's acknowledged.
    Chat(Chat),
    /// Bots walk in a world, and see who is near.
    World(World),
    /// One member of a room stops reading.
    Slow(Slow),
    /// Connects, joins, sends and leaves without end: does the server's memory stay flat?
    Churn(Churn),
    /// What this machine can hold, and what stands in the way.
    Plan(Plan),
}

/// Options of `idle`.
#[derive(Args, Clone, Debug)]
pub struct Idle {
    /// Connections.
    #[arg(short = 'n', long, default_value_t = 10_000)]
    pub connections: usize,
    /// Rooms that each connection joins.
    #[arg(short, long, default_value_t = 2)]
    pub rooms: u32,
    /// Members of each room.
    #[arg(long, default_value_t = 100)]
    pub members: u32,
    /// Seconds to hold still; longer than the server's ping interval to see pings.
    #[arg(short, long, default_value_t = 10.0)]
    pub seconds: f64,
    /// How clients are connected.
    #[arg(short, long, value_enum, default_value_t = Transport::Websocket)]
    pub transport: Transport,
}

/// How clients are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// A WebSocket each.
    Websocket,
    /// HTTP long polling: each keeps one poll pending.
    Polling,
}

/// Options of `fanout`.
#[derive(Args, Clone, Debug)]
pub struct Fanout {
    /// Members of each room; the first publishes.
    #[arg(short, long, default_value_t = 100)]
    pub members: u32,
    /// Connections; a multiple of the members. By default 1,000, or one room.
    #[arg(short = 'n', long)]
    pub connections: Option<usize>,
    /// Bytes of the payloads, taken in turn.
    #[arg(short, long, value_delimiter = ',', default_values_t = [64])]
    pub bytes: Vec<usize>,
    /// Deliveries a second, of all receivers together.
    #[arg(short, long, default_value_t = 20_000.0)]
    pub rate: f64,
    /// Instead of a rate: broadcasts that are on their way in each room at any time.
    #[arg(short, long)]
    pub outstanding: Option<u32>,
    /// Seconds that count.
    #[arg(short, long, default_value_t = 5.0)]
    pub seconds: f64,
    /// Seconds before that don't.
    #[arg(short, long, default_value_t = 1.0)]
    pub warmup: f64,
}

/// Options of `reach`.
#[derive(Args, Clone, Debug)]
pub struct Reach {
    /// Connections, all in one room.
    #[arg(short = 'n', long, default_value_t = 10_000)]
    pub connections: usize,
    /// Bytes of the payload.
    #[arg(short, long, default_value_t = 64)]
    pub bytes: usize,
    /// Broadcasts, one after the other.
    #[arg(short = 'k', long, default_value_t = 3)]
    pub broadcasts: u32,
    /// Seconds from one to the next.
    #[arg(long, default_value_t = 2.0)]
    pub every: f64,
    /// Only receive: another generator publishes.
    #[arg(long)]
    pub listen: bool,
    /// Go in step with other generators: say `ready` on standard error when all have joined, begin with a line on standard
    /// input, say `done`, and stay until standard input ends.
    #[arg(long)]
    pub in_step: bool,
}

/// Options of `echo`.
#[derive(Args, Clone, Debug)]
pub struct Echo {
    /// Connections; by default 100, or 1,000 where rooms stand for echoes.
    #[arg(short = 'n', long)]
    pub connections: Option<usize>,
    /// Bytes of the payload.
    #[arg(short, long, default_value_t = 64)]
    pub bytes: usize,
    /// Echoes a second, of all connections together.
    #[arg(short, long, default_value_t = 20_000.0)]
    pub rate: f64,
    /// Instead of a rate: echoes that are on their way on each connection at any time.
    #[arg(short, long)]
    pub outstanding: Option<u32>,
    /// Seconds that count.
    #[arg(short, long, default_value_t = 5.0)]
    pub seconds: f64,
    /// Seconds before that don't.
    #[arg(short, long, default_value_t = 1.0)]
    pub warmup: f64,
}

/// Options of `ramp`.
#[derive(Args, Clone, Debug)]
pub struct Ramp {
    /// Members of each room.
    #[arg(short, long, default_value_t = 100)]
    pub members: u32,
    /// Connections; a multiple of the members. By default 1,000, or one room.
    #[arg(short = 'n', long)]
    pub connections: Option<usize>,
    /// Bytes of the payloads, taken in turn.
    #[arg(short, long, value_delimiter = ',', default_values_t = [64])]
    pub bytes: Vec<usize>,
    /// Deliveries a second to start with.
    #[arg(short, long, default_value_t = 50_000.0)]
    pub from: f64,
    /// The latency that is too late, at the 99th percentile, in milliseconds.
    #[arg(short, long, default_value_t = 200.0)]
    pub limit_ms: f64,
    /// Seconds of each step.
    #[arg(short, long, default_value_t = 3.0)]
    pub seconds: f64,
    /// Halvings of the gap between the last rate that went well and the first that didn't.
    #[arg(long, default_value_t = 2)]
    pub refine: u32,
}

/// Options of `burst`.
#[derive(Args, Clone, Debug)]
pub struct Burst {
    /// Members of each room.
    #[arg(short, long, default_value_t = 10)]
    pub members: u32,
    /// Connections; a multiple of the members. By default 1,000, or one room.
    #[arg(short = 'n', long)]
    pub connections: Option<usize>,
    /// Bytes of the payloads, taken in turn.
    #[arg(short, long, value_delimiter = ',', default_values_t = [64])]
    pub bytes: Vec<usize>,
    /// Broadcasts at once in each room.
    #[arg(short = 'k', long, default_value_t = 1000)]
    pub broadcasts: u32,
    /// Bursts, one after the other has arrived.
    #[arg(long, default_value_t = 3)]
    pub rounds: u32,
}

/// Options of `storm`.
#[derive(Args, Clone, Debug)]
pub struct Storm {
    /// Connections.
    #[arg(short = 'n', long, default_value_t = 10_000)]
    pub connections: usize,
    /// Rooms that each connection joins.
    #[arg(short, long, default_value_t = 2)]
    pub rooms: u32,
    /// Members of each room.
    #[arg(long, default_value_t = 100)]
    pub members: u32,
    /// Storms, one after the other.
    #[arg(long, default_value_t = 1)]
    pub rounds: u32,
}

/// Options of `tick`.
#[derive(Args, Clone, Debug)]
pub struct Tick {
    /// Connections.
    #[arg(short = 'n', long, default_value_t = 1000)]
    pub connections: usize,
    /// Bytes of the payload.
    #[arg(short, long, default_value_t = 300)]
    pub bytes: usize,
    /// Payloads a second to each connection.
    #[arg(long, default_value_t = 20)]
    pub hz: u32,
    /// Seconds that count.
    #[arg(short, long, default_value_t = 5.0)]
    pub seconds: f64,
}

/// Options of `world`.
#[derive(Args, Clone, Debug)]
pub struct World {
    /// Who walks.
    #[arg(short = 'n', long, default_value_t = 500)]
    pub people: usize,
    /// How they walk.
    #[arg(long, value_enum, default_value_t = Scene::Uniform)]
    pub scene: Scene,
    /// Whose world it is.
    #[arg(long, value_enum, default_value_t = Worlds::Lakh)]
    pub server: Worlds,
    /// How far each sees, in metres.
    #[arg(long, default_value_t = 40.0)]
    pub sight: f64,
    /// How many each has in sight, about; the hotspot is 60 m wide, whoever is in it.
    #[arg(long, default_value_t = 60.0)]
    pub in_sight: f64,
    /// Moves a second of each, and ticks of the server.
    #[arg(long, default_value_t = 20)]
    pub hz: u32,
    /// Bots that decode all they get, and are held against the truth.
    #[arg(long, default_value_t = 50)]
    pub looked_at: usize,
    /// How far what is shown may be from the truth, in metres.
    #[arg(long, default_value_t = 0.12)]
    pub bound: f64,
    /// Seconds that count.
    #[arg(short, long, default_value_t = 10.0)]
    pub seconds: f64,
    /// Seconds before that don't.
    #[arg(short, long, default_value_t = 3.0)]
    pub warmup: f64,
}

/// How people walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scene {
    /// Evenly, at 1 to 6 metres a second
    Uniform,
    /// All in one place
    Hotspot,
    /// At 20 to 40 metres a second
    Churn,
    /// Half of them come in at once, when it begins to count
    Flash,
    /// One in ten reads only now and then
    Slow,
}

/// Whose worlds there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Worlds {
    /// Lakh's, with the default schema
    Lakh,
    /// Rooms of Socket.IO: a cell each
    Rooms,
    /// Colyseus
    Colyseus,
}

/// Options of `cursors`.
#[derive(Args, Clone, Debug)]
pub struct Cursors {
    /// People in the room.
    #[arg(short = 'n', long, default_value_t = 200)]
    pub people: usize,
    /// Moves a second of each.
    #[arg(long, default_value_t = 20)]
    pub hz: u32,
    /// Seconds that count.
    #[arg(short, long, default_value_t = 5.0)]
    pub seconds: f64,
}

/// Options of `chat`.
#[derive(Args, Clone, Debug)]
pub struct Chat {
    /// Members of each room, who send in turn.
    #[arg(short, long, default_value_t = 100)]
    pub members: u32,
    /// Connections of each room that only look on.
    #[arg(short, long, default_value_t = 0)]
    pub watchers: u32,
    /// Connections, of all rooms together. By default one room.
    #[arg(short = 'n', long)]
    pub connections: Option<usize>,
    /// Bytes of each text.
    #[arg(short, long, default_value_t = 64)]
    pub bytes: usize,
    /// Messages a second, to all rooms together.
    #[arg(short, long, default_value_t = 100.0)]
    pub rate: f64,
    /// Instead of a rate: messages of each room that wait to be acknowledged at any time.
    #[arg(short, long)]
    pub outstanding: Option<u32>,
    /// Seconds that count.
    #[arg(short, long, default_value_t = 5.0)]
    pub seconds: f64,
    /// Seconds before that don't; long enough that what a server puts off for a while is paid for.
    #[arg(long, default_value_t = 3.0)]
    pub warmup: f64,
}

/// Options of `slow`.
#[derive(Args, Clone, Debug)]
pub struct Slow {
    /// Members of the room.
    #[arg(short, long, default_value_t = 1000)]
    pub members: u32,
    /// Bytes of the payload; large, so that what the slow one leaves unread soon fills the kernel's buffers.
    #[arg(short, long, default_value_t = 16_384)]
    pub bytes: usize,
    /// Deliveries a second, of all receivers together.
    #[arg(short, long, default_value_t = 50_000.0)]
    pub rate: f64,
    /// Seconds before one stops reading, and as many after.
    #[arg(short, long, default_value_t = 10.0)]
    pub seconds: f64,
}

/// Options of `churn`.
#[derive(Args, Clone, Debug)]
pub struct Churn {
    /// How long, such as 30s or 10m. Longer than the server keeps sessions for recovery, to see it level off.
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    pub time: Duration,
    /// Connections a second.
    #[arg(short, long, default_value_t = 200.0)]
    pub rate: f64,
    /// How long each stays, such as 500ms.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration)]
    pub stay: Duration,
    /// Members of each room. Rooms are new ones all the time.
    #[arg(short, long, default_value_t = 10)]
    pub members: u32,
    /// Bytes of the payload that each sends to its room.
    #[arg(short, long, default_value_t = 64)]
    pub bytes: usize,
    /// Time between two looks at the memory. By default a twentieth of the whole.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub every: Option<Duration>,
    /// Time before memory counts for the slope. By default a third of the whole.
    #[arg(short, long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub warmup: Option<Duration>,
}

/// Options of `plan`.
#[derive(Args, Clone, Debug)]
pub struct Plan {
    /// Connections that the machine is to hold.
    #[arg(short = 'n', long, default_value_t = 100_000)]
    pub connections: u64,
    /// Connections to measure with.
    #[arg(long, default_value_t = 2000)]
    pub sample: usize,
    /// Only look at the limits; needs no server.
    #[arg(long)]
    pub limits_only: bool,
}
