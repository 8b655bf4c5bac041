//! A way to the server that can be held up: what a node has sent arrives late, or its answer never does.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// What happens to bytes on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// Kept until the way is open again, in the order in which they came.
    Held,
    /// The connection is cut in place of passing anything on.
    Cut,
}

struct Gate {
    way: Mutex<Way>,
    changed: Condvar,
}

impl Gate {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            way: Mutex::new(Way::Open),
            changed: Condvar::new(),
        })
    }

    fn set(&self, way: Way) {
        *self.way.lock().unwrap() = way;
        self.changed.notify_all();
    }

    /// Waits until bytes may go on; false if they may not.
    fn passes(&self) -> bool {
        let held = self
            .changed
            .wait_while(self.way.lock().unwrap(), |way| *way == Way::Held);
        *held.unwrap() == Way::Open
    }
}

/// The two directions of one connection.
struct Gates {
    to_server: Arc<Gate>,
    to_client: Arc<Gate>,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    connections: Arc<Mutex<Vec<Gates>>>,
}

impl Proxy {
    pub(crate) fn to(server_port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections: Arc<Mutex<Vec<Gates>>> = Arc::default();
        let known = connections.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                // A server that is away: the client is told by the end of its connection.
                let Ok(server) = TcpStream::connect(("127.0.0.1", server_port)) else {
                    continue;
                };
                let gates = Gates {
                    to_server: Gate::new(),
                    to_client: Gate::new(),
                };
                pass(&client, &server, &gates.to_server);
                pass(&server, &client, &gates.to_client);
                known.lock().unwrap().push(gates);
            }
        });
        Self { port, connections }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What the clients of now send.
    pub(crate) fn requests(&self, way: Way) {
        self.connections
            .lock()
            .unwrap()
            .iter()
            .for_each(|gates| gates.to_server.set(way));
    }

    /// What the clients of now are answered.
    pub(crate) fn answers(&self, way: Way) {
        self.connections
            .lock()
            .unwrap()
            .iter()
            .for_each(|gates| gates.to_client.set(way));
    }

    /// Cuts the connection that was made last, when its client next sends.
    pub(crate) fn cut_newest(&self) {
        let connections = self.connections.lock().unwrap();
        connections.last().unwrap().to_server.set(Way::Cut);
    }
}

fn pass(from: &TcpStream, to: &TcpStream, gate: &Arc<Gate>) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    let gate = gate.clone();
    thread::spawn(move || {
        let mut bytes = [0; 16 << 10];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            if !gate.passes() {
                let _ = from.shutdown(Shutdown::Both);
                break;
            }
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
