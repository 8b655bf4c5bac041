//! A node of a fleet that does what clients ask it to, for clusters of Lakh and Node servers (tests/cluster).
//!
//! `REDIS` is the URL, `BROKER` `redis`, `redis-sharded` or `redis-streams`, `NODE` the node's name, `PORT` its port, 0
//! for a free one; `MODE` is the sharded adapter's `subscriptionMode`, `RECOVERY=1` makes `/` recoverable. Prints
//! `listening on http://…` when it is in the fleet.
//!
//! Sockets of `/`, `/custom` and `/dynamic-…` join the rooms that their `auth.rooms` names, and get `auth.data` as data. The events
//! of `/control` take `{nsp, to, except, local, volatile, timeout}` and what stands here, and are acknowledged:
//!
//! | event | arguments | answer |
//! |---|---|---|
//! | emit | target, event, … | null |
//! | emit-with-ack | target, event, … | `{answers, missing}` |
//! | fetch | target | `{sockets: [{id, rooms, data, handshake}], missing}` |
//! | join, leave | target, [room] | null |
//! | disconnect-sockets | target, close | null |
//! | remote | target, `emit`, `join`, `leave` or `disconnect`, argument | number of the sockets, each told by itself |
//! | server-side-emit | target, event, … | null; `/control` hears others' as `heard` |
//! | server-side-emit-with-ack | target, event, … | `{answers, missing}` |
//! | others | | number of other nodes |

use std::collections::BTreeMap;
use std::time::Duration;

use lakh::net::accept::ListenAddress;
use lakh::redis::{Backend, Mode};
use lakh::{
    Ack, Binary, Event, LogLimits, Namespace, Operator, Options, Payload, Server, ServerEvent,
    Settings, Socket,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// What clients answer: any value, with binary ones anywhere in it.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Answer {
    Binary(Binary),
    List(Vec<Answer>),
    Fields(BTreeMap<String, Answer>),
    Plain(Value),
}

#[derive(Serialize)]
struct Answers {
    answers: Vec<Answer>,
    missing: usize,
}

/// Whom something is for.
#[derive(Deserialize)]
#[serde(default)]
struct Target {
    nsp: String,
    to: Vec<String>,
    except: Vec<String>,
    local: bool,
    volatile: bool,
    compress: Option<bool>,
    /// Milliseconds.
    timeout: u64,
}

impl Default for Target {
    fn default() -> Self {
        Self {
            nsp: "/".to_owned(),
            to: Vec::new(),
            except: Vec::new(),
            local: false,
            volatile: false,
            compress: None,
            timeout: 5000,
        }
    }
}

impl Target {
    fn namespace(&self, socket: &Socket) -> Namespace {
        socket.namespace().hub().of(&self.nsp)
    }

    fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout)
    }

    fn operator(&self, socket: &Socket) -> Operator {
        let mut operator = self.namespace(socket).timeout(self.timeout());
        for room in &self.to {
            operator = operator.to(room.as_str());
        }
        for room in &self.except {
            operator = operator.except(room.as_str());
        }
        if self.local {
            operator = operator.local();
        }
        if self.volatile {
            operator = operator.volatile();
        }
        if let Some(compress) = self.compress {
            operator = operator.compress(compress);
        }
        operator
    }
}

fn main() -> Result<()> {
    let name = variable("NODE").unwrap_or_else(|| "lakh".to_owned());
    let settings = Settings {
        shards: 2,
        node: name,
        keep_headers: vec!["x-test".to_owned()],
        ..Settings::default()
    };
    let port = variable("PORT").and_then(|port| port.parse().ok());
    let options = Options {
        listen: ListenAddress::Tcp(([127, 0, 0, 1], port.unwrap_or(3000)).into()),
        ..Options::default()
    };
    let backend = match variable("BROKER").as_deref() {
        Some("redis") => Backend::Classic,
        Some("redis-sharded") => Backend::Sharded {
            mode: match variable("MODE").as_deref() {
                Some("static") => Mode::Static,
                Some("dynamic-private") => Mode::DynamicPrivate,
                _ => Mode::Dynamic,
            },
        },
        _ => Backend::streams(),
    };
    let url = variable("REDIS").ok_or("REDIS must name the URL of Redis")?;
    let server = Server::with(settings, options).fleet(&url, backend)?;
    if variable("RECOVERY").is_some() {
        server.of("/").recoverable(LogLimits::default());
    }
    let control = server.of("/control");
    for name in ["/", "/custom"] {
        members(&server.of(name), &control);
    }
    let dynamic = server.of_fn(async |name: String, _| name.starts_with("/dynamic-"));
    dynamic.on_connect(seat);
    broadcasts(&control);
    sockets(&control);
    remotes(&control);
    servers(&control);

    let running = server.start()?;
    if let Some(address) = running.local_addr() {
        println!("listening on http://{address}");
    }
    // The loops have threads of their own; this one has nothing left to do until the process is ended.
    loop {
        std::thread::park();
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What a client wants to be.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Wish {
    rooms: Vec<String>,
    data: Option<Value>,
}

async fn seat(socket: Socket) {
    let wish: Wish = socket.auth().unwrap_or_default();
    for room in wish.rooms {
        socket.join(room);
    }
    if let Some(data) = wish.data {
        socket.set_data(data);
    }
}

fn members(namespace: &Namespace, control: &Namespace) {
    namespace.on_connect(seat);
    for event in ["hello", "ask"] {
        let control = control.clone();
        namespace.on_server_event(event, async move |event: ServerEvent| {
            let args: Value = serde_json::from_str(event.payload().text()).unwrap_or_default();
            tell(
                control
                    .local()
                    .emit("heard", &(event.namespace().name(), args)),
            );
            if event.wants_answer() {
                let name = &control.hub().settings().node;
                tell(event.answer(&format!("lakh {name}")));
            }
        });
    }
}

fn broadcasts(control: &Namespace) {
    control.on("emit", async |socket: Socket, event: Event, ack: Ack| {
        let target: Target = event.args().unwrap_or_default();
        tell(target.operator(&socket).emit_raw(rest(&event)));
        tell(ack.send(&Value::Null));
    });
    control.on(
        "emit-with-ack",
        async |socket: Socket, event: Event, ack: Ack| {
            let target: Target = event.args().unwrap_or_default();
            let asked = target
                .operator(&socket)
                .emit_raw_with_ack::<Answer>(rest(&event));
            let Ok(asked) = asked else { return };
            let acks = asked.await;
            tell(ack.send(&Answers {
                answers: acks.answers,
                missing: acks.missing,
            }));
        },
    );
}

fn sockets(control: &Namespace) {
    control.on("fetch", async |socket: Socket, target: Target, ack: Ack| {
        let found = target.operator(&socket).fetch_sockets().await;
        let sockets: Vec<Value> = found
            .iter()
            .map(|found| {
                let handshake = &found.handshake;
                let rooms: Vec<&str> = found.rooms.iter().map(|room| &**room).collect();
                json!({
                    "id": found.id, "rooms": rooms, "data": found.data,
                    "handshake": {
                        "address": handshake.address.ip(), "issued": handshake.time_ms,
                        "secure": handshake.secure, "test": handshake.header("x-test"),
                        "query": handshake.query_params().collect::<BTreeMap<_, _>>(),
                        "auth": found.auth_text().and_then(|auth| serde_json::from_str::<Value>(auth).ok()),
                    },
                })
            })
            .collect();
        let missing = &found.missing;
        let missing = json!({
            "count": missing.count, "names": missing.names, "unreachable": missing.unreachable,
        });
        tell(ack.send(&json!({"sockets": sockets, "missing": missing})));
    });
    control.on(
        "join",
        async |socket: Socket, (target, rooms): (Target, Vec<String>), ack: Ack| {
            target.operator(&socket).sockets_join(rooms);
            tell(ack.send(&Value::Null));
        },
    );
    control.on(
        "leave",
        async |socket: Socket, (target, rooms): (Target, Vec<String>), ack: Ack| {
            target.operator(&socket).sockets_leave(rooms);
            tell(ack.send(&Value::Null));
        },
    );
    control.on(
        "disconnect-sockets",
        async |socket: Socket, (target, close): (Target, bool), ack: Ack| {
            target.operator(&socket).disconnect_sockets(close);
            tell(ack.send(&Value::Null));
        },
    );
}

fn remotes(control: &Namespace) {
    control.on(
        "remote",
        async |socket: Socket, (target, what, with): (Target, String, Value), ack: Ack| {
            let found = target.operator(&socket).fetch_sockets().await;
            for remote in found.iter() {
                match (&*what, with.as_str()) {
                    ("emit", _) => tell(remote.emit("remote", &with)),
                    ("join", Some(room)) => remote.join(room),
                    ("leave", Some(room)) => remote.leave(room),
                    _ => remote.disconnect(with == Value::Bool(true)),
                }
            }
            tell(ack.send(&found.len()));
        },
    );
}

fn servers(control: &Namespace) {
    control.on(
        "server-side-emit",
        async |socket: Socket, event: Event, ack: Ack| {
            let target: Target = event.args().unwrap_or_default();
            target
                .namespace(&socket)
                .server_side_emit_raw(&rest(&event));
            tell(ack.send(&Value::Null));
        },
    );
    control.on(
        "server-side-emit-with-ack",
        async |socket: Socket, event: Event, ack: Ack| {
            let target: Target = event.args().unwrap_or_default();
            let namespace = target.namespace(&socket);
            let asked =
                namespace.server_side_emit_raw_with_ack::<Value>(rest(&event), target.timeout());
            let acks = asked.await;
            let missing = acks.missing.count;
            tell(ack.send(&json!({"answers": acks.answers, "missing": missing})));
        },
    );
    control.on("others", async |socket: Socket, _: Event, ack: Ack| {
        let others = socket.namespace().hub().other_nodes().await.ok();
        tell(ack.send(&others));
    });
}

/// The event that stands behind the target.
fn rest(event: &Event) -> Payload {
    event.payload().without_name().without_name()
}

/// Prints what goes wrong: whoever runs the tests sees it.
fn tell<T, E: std::fmt::Display>(result: std::result::Result<T, E>) {
    if let Err(error) = result {
        eprintln!("{error}");
    }
}
