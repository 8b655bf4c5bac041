//! What the schema speaks of.

use async_graphql::{InputValueError, InputValueResult, Number};
use async_graphql::{Json, Object, Scalar, ScalarType, SimpleObject, Value};

use super::room::Room;
use crate::http::stats::Stats;
use crate::service::MissingNodes;
use crate::service::emit::Numbered;
use crate::service::nodes::{NodeCheck, NodeReport};
use crate::service::rooms::Present;
use crate::service::sockets::{SocketInfo, User};

/// A whole number from 0 to 2^53 - 1: counts, numbers of events, and times in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Long(pub u64);

#[Scalar]
impl ScalarType for Long {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::Number(number) => number
                .as_u64()
                .map(Self)
                .ok_or_else(|| "a Long is a whole number from 0".into()),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::Number(Number::from(self.0))
    }
}

pub(super) fn long(number: usize) -> Long {
    Long(u64::try_from(number).unwrap_or(u64::MAX))
}

/// A person as others see them.
#[derive(SimpleObject)]
pub(super) struct Person {
    /// Names the person for good.
    id: String,
    /// What others see.
    name: String,
}

impl From<User> for Person {
    fn from(User { id, name }: User) -> Self {
        Self { id, name }
    }
}

/// Nodes that did not answer: what they have is not in the answer.
#[derive(SimpleObject)]
pub(super) struct Missing {
    /// How many.
    count: Long,
    /// Those of them that are known by name.
    names: Vec<String>,
    /// Redis was away, so no other node was asked.
    unreachable: bool,
}

impl From<MissingNodes> for Missing {
    fn from(missing: MissingNodes) -> Self {
        Self {
            count: long(missing.count),
            names: missing.names,
            unreachable: missing.unreachable,
        }
    }
}

/// A client in a namespace.
pub(super) struct Socket(pub SocketInfo);

#[Object]
impl Socket {
    /// Its id, as the client knows it.
    async fn id(&self) -> &str {
        &self.0.id
    }

    /// The namespace.
    async fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// The node that it is on.
    async fn node(&self) -> &str {
        &self.0.node
    }

    /// Who is behind it, if somebody is signed in.
    async fn user(&self) -> Option<Person> {
        self.0.user.clone().map(Person::from)
    }

    /// The rooms that it is in.
    async fn rooms(&self) -> &[String] {
        &self.0.rooms
    }

    /// Where it comes from, as far as proxies in front tell.
    async fn address(&self) -> &str {
        &self.0.address
    }

    /// Whether it comes over TLS.
    async fn secure(&self) -> bool {
        self.0.secure
    }

    /// When its connection was made, in milliseconds since 1970.
    async fn connected_at(&self) -> Long {
        Long(self.0.connected_at)
    }

    /// What the server keeps with it for other servers.
    async fn data(&self) -> Json<serde_json::Value> {
        Json(self.0.data.clone())
    }
}

/// A page of sockets, in the order of their ids.
#[derive(SimpleObject)]
pub(super) struct Sockets {
    pub sockets: Vec<Socket>,
    /// The `cursor` of the next page; none if this is the last.
    pub next: Option<String>,
    pub missing: Missing,
}

/// A page of rooms, in the order of their names.
#[derive(SimpleObject)]
pub(super) struct Rooms {
    pub rooms: Vec<Room>,
    /// The `cursor` of the next page; none if this is the last.
    pub next: Option<String>,
    pub missing: Missing,
}

/// Somebody in a room.
#[derive(SimpleObject)]
pub(super) struct PersonPresent {
    /// The person's id; of somebody who is not signed in, the socket's id.
    id: String,
    /// Who, if they are signed in.
    user: Option<Person>,
    /// With how many sockets. 0: the last one broke off a moment ago.
    sockets: Long,
    /// What they tell about themselves.
    data: Option<Json<serde_json::Value>>,
}

impl From<Present> for PersonPresent {
    fn from(present: Present) -> Self {
        Self {
            id: present.id,
            user: present.user.map(Person::from),
            sockets: long(present.sockets),
            data: present.data.map(Json),
        }
    }
}

/// Who is in a room.
#[derive(SimpleObject)]
pub(super) struct RoomPresence {
    /// Sockets in it, on all nodes.
    pub occupancy: Long,
    /// People in it, on all nodes, each once however many sockets they have.
    pub total: Long,
    /// A page of them, in the order of their ids.
    pub people: Vec<PersonPresent>,
    /// Whether all members were looked at.
    pub complete: bool,
    /// The `cursor` of the next page of people; none if this is the last.
    pub next: Option<String>,
    pub missing: Missing,
}

/// One thing that should be well.
#[derive(SimpleObject)]
pub(super) struct Check {
    name: String,
    ok: bool,
    /// What is wrong, where something is.
    detail: Option<String>,
}

impl From<NodeCheck> for Check {
    fn from(NodeCheck { name, ok, detail }: NodeCheck) -> Self {
        Self { name, ok, detail }
    }
}

/// How a node is.
#[derive(SimpleObject)]
pub(super) struct Node {
    name: String,
    /// Version of the binary.
    version: String,
    /// "ready", "impaired", "draining" or "unready".
    status: String,
    checks: Vec<Check>,
    /// When it started, in milliseconds since 1970.
    started_at: Long,
    /// Open connections.
    connections: Long,
    /// Sockets: a connection has one in each of its namespaces.
    sockets: Long,
}

impl From<NodeReport> for Node {
    fn from(node: NodeReport) -> Self {
        Self {
            name: node.name,
            version: node.version,
            status: node.status,
            checks: node.checks.into_iter().map(Check::from).collect(),
            started_at: Long(node.started_at),
            connections: Long(node.connections),
            sockets: Long(node.sockets),
        }
    }
}

/// All nodes.
#[derive(SimpleObject)]
pub(super) struct Nodes {
    /// Those who answered, in the order of their names.
    pub nodes: Vec<Node>,
    /// The node that was asked.
    pub answered_by: String,
    pub missing: Missing,
}

/// The place of an event in a room.
#[derive(SimpleObject)]
pub(super) struct NumberedEvent {
    room: String,
    /// The event's number there.
    seq: Long,
    /// When, in milliseconds since 1970.
    time: Long,
}

impl From<Numbered> for NumberedEvent {
    fn from(numbered: Numbered) -> Self {
        Self {
            room: numbered.room,
            seq: Long(numbered.seq),
            time: Long(numbered.time),
        }
    }
}

/// The numbers of a node. Counters are totals since the start: two readings make a rate.
#[derive(SimpleObject)]
pub(super) struct NodeStats {
    /// Name of the node.
    node: String,
    /// Version of the binary.
    version: &'static str,
    /// When it started, in milliseconds since 1970.
    started_at: Long,
    /// How long it has run, in seconds.
    uptime_s: Long,
    /// Whether it takes new clients.
    ready: bool,
    /// "development" where a name is sign-in enough, "production" where a token is needed.
    mode: &'static str,
    /// Open connections by transport.
    websocket: Long,
    polling: Long,
    /// Sockets: a connection has one in each of its namespaces.
    sockets: Long,
    /// Rooms, without those that are a socket's own.
    rooms: Long,
    namespaces: Vec<NamespaceStats>,
    /// Messages from clients.
    messages_in: Long,
    /// Messages to clients, one for each receiver.
    messages_out: Long,
    bytes_in: Long,
    bytes_out: Long,
    /// Processor time used, in seconds.
    cpu_seconds: f64,
    /// Memory in RAM, in bytes.
    resident_bytes: Long,
    /// Event loops.
    loops: Long,
}

/// What one namespace holds.
#[derive(SimpleObject)]
struct NamespaceStats {
    name: String,
    sockets: Long,
    rooms: Long,
}

impl From<Stats> for NodeStats {
    fn from(stats: Stats) -> Self {
        let namespaces = stats.namespaces.into_iter().map(|one| NamespaceStats {
            name: one.name,
            sockets: Long(one.sockets),
            rooms: Long(one.rooms),
        });
        Self {
            node: stats.node,
            version: stats.version,
            started_at: Long(stats.started_at),
            uptime_s: Long(stats.uptime_s),
            ready: stats.ready,
            mode: stats.mode,
            websocket: Long(stats.connections.websocket),
            polling: Long(stats.connections.polling),
            sockets: Long(stats.sockets),
            rooms: Long(stats.rooms),
            namespaces: namespaces.collect(),
            messages_in: Long(stats.messages_in),
            messages_out: Long(stats.messages_out),
            bytes_in: Long(stats.bytes_in),
            bytes_out: Long(stats.bytes_out),
            cpu_seconds: stats.cpu_seconds,
            resident_bytes: Long(stats.resident_bytes),
            loops: Long(stats.loops),
        }
    }
}
