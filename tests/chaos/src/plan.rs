//! What the driver tells its workers, and what they tell it: lines of JSON.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lakh_testkit::source_address;
use serde::{Deserialize, Serialize};

/// How a client talks to its node.
pub const TRANSPORTS: [&[&str]; 3] = [&["websocket"], &["polling"], &["polling", "websocket"]];

/// The first line that a worker gets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// When the run began, in microseconds since 1970.
    pub epoch_us: u64,
    /// Where to write records.
    pub records: PathBuf,
    /// For what is random in clients.
    pub seed: u64,
    /// Ports of the proxies, one before each node.
    pub ports: Vec<u16>,
    /// The worker's clients.
    pub clients: Vec<ClientPlan>,
    /// Mean time between two messages of one writer.
    pub every_ms: u64,
}

/// One client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClientPlan {
    /// Its number.
    pub client: usize,
    /// Its source address.
    pub address: String,
    /// As the stock client's option.
    pub transports: Vec<String>,
    /// Rooms that it joins.
    pub rooms: Vec<String>,
    /// Those in which it writes.
    pub writes: Vec<String>,
}

impl ClientPlan {
    /// The source address of a client is 127.1.x.y with its number in the last two parts, never 0 in the last.
    #[must_use]
    pub fn gate_of(address: std::net::SocketAddr) -> Option<usize> {
        let std::net::IpAddr::V4(ip) = address.ip() else {
            return None;
        };
        match ip.octets() {
            [127, 1, high, low] if low > 0 => Some(usize::from(high) * 255 + usize::from(low) - 1),
            _ => None,
        }
    }

    fn address_of(client: usize) -> String {
        let high = client / 255;
        let n = high * 256 + client % 255 + 1;
        // 65,000 clients are more than one machine holds.
        source_address(u16::try_from(n).unwrap_or(u16::MAX)).to_string()
    }

    /// How it talks, in a word.
    #[must_use]
    pub fn transport(&self) -> &'static str {
        match self.transports.as_slice() {
            [one] if one == "polling" => "polling",
            [_] => "websocket",
            _ => "upgrade",
        }
    }
}

/// Plans all clients. Each is in two rooms; two in each room write in it.
#[must_use]
pub fn clients(count: usize, rooms: usize) -> Vec<ClientPlan> {
    (0..count)
        .map(|client| {
            let home = client % rooms;
            let round = client / rooms;
            let other = (home + 1 + round) % rooms;
            let mut places = vec![format!("r{home}")];
            if other != home {
                places.push(format!("r{other}"));
            }
            let writes = if round < 2 {
                vec![places[0].clone()]
            } else {
                Vec::new()
            };
            let transports = TRANSPORTS[(client + round) % TRANSPORTS.len()];
            ClientPlan {
                client,
                address: ClientPlan::address_of(client),
                transports: transports.iter().map(ToString::to_string).collect(),
                rooms: places,
                writes,
            }
        })
        .collect()
}

/// What a worker is told while it runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub enum Command {
    /// Writers begin.
    Write,
    /// Writers end.
    Hush,
    /// A client writes a marker.
    Mark {
        /// Which client.
        client: usize,
        /// Into which of its rooms.
        room: String,
        /// Which marker.
        round: u32,
    },
    /// It is over.
    End,
}

/// How the clients of a worker stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Clients that are connected.
    pub connected: usize,
    /// Rooms that clients are in, all together.
    pub joined: usize,
    /// Messages that wait for an answer.
    pub pending: usize,
    /// Messages that were acknowledged.
    pub acked: usize,
    /// By round: markers seen, each once a client and room.
    pub marks: BTreeMap<u64, usize>,
}

impl Standing {
    /// Puts two together.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.connected += other.connected;
        self.joined += other.joined;
        self.pending += other.pending;
        self.acked += other.acked;
        for (round, count) in &other.marks {
            *self.marks.entry(*round).or_insert(0) += count;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{ClientPlan, clients};

    #[test]
    fn a_client_is_known_by_its_address() {
        for client in [0, 1, 253, 254, 255, 256, 600, 2_000] {
            let address = format!("{}:4000", ClientPlan::address_of(client));
            let address = address.parse().unwrap_or_else(|_| panic!("{address}"));
            assert_eq!(ClientPlan::gate_of(address), Some(client));
        }
        assert_eq!(ClientPlan::gate_of(([127, 0, 0, 1], 1).into()), None);
    }

    #[test]
    fn each_room_has_members_and_writers_of_several_transports() {
        let clients = clients(120, 10);
        for room in 0..10 {
            let name = format!("r{room}");
            let members = clients.iter().filter(|one| one.rooms.contains(&name));
            let mut transports: Vec<_> = members.clone().map(ClientPlan::transport).collect();
            transports.sort_unstable();
            transports.dedup();
            assert_eq!(transports.len(), 3);
            assert!(members.count() >= 12);
            let writers = clients.iter().filter(|one| one.writes.contains(&name));
            assert_eq!(writers.count(), 2);
        }
    }
}
