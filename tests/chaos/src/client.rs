//! The recording client in Rust, over WebSocket: many of them in a process, as `js/worker.js` has them in JavaScript.
//!
//! `rust_socketio` knows no recovery, so this one does by itself what the stock client does: keep the `pid` of CONNECT and
//! the string at the end of each event, give both at the next CONNECT, and give up a connection that is silent for longer
//! than the heartbeat allows.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt, StreamExt};
use lakh_testkit::Noise;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::plan::{ClientPlan, Plan, Standing};

type Failure = Box<dyn std::error::Error>;
type Socket = WebSocketStream<TcpStream>;

/// The stock client's `timeout`, as `js/worker.js` sets it.
const DIAL: Duration = Duration::from_secs(4);
/// Pause before a join is tried again.
const AGAIN: Duration = Duration::from_millis(200);

/// What the clients of a process have together.
#[derive(Debug)]
pub struct Shared {
    /// What was planned.
    pub plan: Plan,
    /// Lines for the file of records.
    pub lines: RefCell<String>,
    /// How it stands.
    pub standing: RefCell<Standing>,
    /// Whether writers write.
    pub writing: watch::Sender<bool>,
}

impl Shared {
    fn now(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let us = since.map_or(0, |since| since.as_micros());
        u64::try_from(us)
            .unwrap_or(0)
            .saturating_sub(self.plan.epoch_us)
    }

    fn record(&self, kind: char, client: usize, rest: std::fmt::Arguments<'_>) {
        let now = self.now();
        // Writing into a string does not fail.
        let _ = writeln!(self.lines.borrow_mut(), "{kind} {now} {client} {rest}");
    }
}

enum Asked {
    Join(String),
    Emit(String, u64, Option<u32>),
}

/// One client.
pub struct Client {
    shared: Rc<Shared>,
    plan: ClientPlan,
    noise: Noise,
    /// The node of this session.
    node: usize,
    pid: Option<String>,
    offset: Option<String>,
    joined: HashSet<String>,
    number: u64,
    next_ack: u64,
    asked: HashMap<u64, Asked>,
    /// Markers that it saw.
    marked: HashSet<(String, u64)>,
    /// Markers to write: room and round.
    marks: VecDeque<(String, u32)>,
    orders: mpsc::UnboundedReceiver<(String, u32)>,
    turn: usize,
    next_write: Instant,
    join_again: Option<Instant>,
}

impl Client {
    /// A client of `plan`. `orders` are the markers that it's told to write.
    #[must_use]
    pub fn new(
        shared: Rc<Shared>,
        plan: ClientPlan,
        orders: mpsc::UnboundedReceiver<(String, u32)>,
    ) -> Self {
        // The index of a client is small, so it fits.
        let seed = shared.plan.seed.wrapping_mul(1_000) + plan.client as u64;
        Self {
            shared,
            plan,
            noise: Noise::new(seed),
            node: 0,
            pid: None,
            offset: None,
            joined: HashSet::new(),
            number: 0,
            next_ack: 0,
            asked: HashMap::new(),
            marked: HashSet::new(),
            marks: VecDeque::new(),
            orders,
            turn: 0,
            next_write: Instant::now(),
            join_again: None,
        }
    }

    /// Connects, and comes back whenever the connection is lost.
    pub async fn run(mut self) {
        loop {
            if let Ok((mut socket, silence)) = self.dial().await {
                let mut let_in = false;
                let why = self.session(&mut socket, silence, &mut let_in).await;
                let why = why.map_or_else(|error| error.to_string(), |()| "closed".to_owned());
                if let_in {
                    self.lost(&why);
                }
            }
            // As reconnectionDelay and reconnectionDelayMax of the others do on average.
            sleep(Duration::from_millis(25 + self.noise.below(150) as u64)).await;
        }
    }

    /// Opens a session with a node picked at random. Returns how long the server may be silent.
    async fn dial(&mut self) -> Result<(Socket, Duration), Failure> {
        self.node = self.noise.below(self.shared.plan.ports.len());
        let port = self.shared.plan.ports[self.node];
        let own: IpAddr = self.plan.address.parse()?;
        let opened = timeout(DIAL, async {
            let tcp = TcpSocket::new_v4()?;
            tcp.bind(SocketAddr::new(own, 0))?;
            let stream = tcp
                .connect(SocketAddr::from(([127, 0, 0, 1], port)))
                .await?;
            stream.set_nodelay(true)?;
            let url = format!("ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket");
            let (mut socket, _) = client_async(url, stream).await?;
            let first = socket.next().await.ok_or("closed")??.into_text()?;
            let open: Value = serde_json::from_str(first.strip_prefix('0').ok_or("no handshake")?)?;
            let ms = |key: &str| open[key].as_u64().unwrap_or(0);
            let silence = Duration::from_millis(ms("pingInterval") + ms("pingTimeout"));
            Ok::<_, Failure>((socket, silence))
        });
        opened.await?
    }

    async fn session(
        &mut self,
        socket: &mut Socket,
        silence: Duration,
        let_in: &mut bool,
    ) -> Result<(), Failure> {
        let auth = match (&self.pid, &self.offset) {
            (Some(pid), Some(offset)) => json!({"pid": pid, "offset": offset}).to_string(),
            (Some(pid), None) => json!({"pid": pid}).to_string(),
            _ => String::new(),
        };
        socket.send(Message::Text(format!("40{auth}"))).await?;
        let mut writing = self.shared.writing.subscribe();
        let mut heard = Instant::now();
        loop {
            let writes = *writing.borrow_and_update() && !self.plan.writes.is_empty() && *let_in;
            let join_again = self.join_again.unwrap_or(heard + silence);
            tokio::select! {
                frame = socket.next() => match frame.ok_or("transport close")?.map_err(|_| "transport error")? {
                    Message::Text(text) => {
                        // Pings alone are a sign of life, as for the stock client.
                        if text == "2" {
                            heard = Instant::now();
                            socket.send(Message::Text("3".to_owned())).await?;
                        } else if let Some(packet) = text.strip_prefix('4') {
                            self.packet(socket, packet, let_in).await?;
                        }
                    }
                    Message::Close(_) => return Err("transport close".into()),
                    _ => {}
                },
                () = sleep_until(heard + silence) => return Err("ping timeout".into()),
                () = sleep_until(self.next_write), if writes => {
                    let room = self.plan.writes[self.turn % self.plan.writes.len()].clone();
                    self.turn += 1;
                    let mean = self.shared.plan.every_ms as usize;
                    let wait = mean / 2 + self.noise.below(mean + 1);
                    self.next_write = Instant::now() + Duration::from_millis(wait as u64);
                    self.write(socket, &room, None).await?;
                }
                () = sleep_until(join_again), if *let_in && self.join_again.is_some() => {
                    self.join(socket).await?;
                }
                Some(order) = self.orders.recv() => self.marks.push_back(order),
                _ = writing.changed() => self.next_write = Instant::now(),
            }
            self.write_marks(socket).await?;
        }
    }

    async fn packet(
        &mut self,
        socket: &mut Socket,
        packet: &str,
        let_in: &mut bool,
    ) -> Result<(), Failure> {
        let (kind, rest) = packet.split_at(1);
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (id, body) = rest.split_at(digits);
        match kind {
            "0" => {
                *let_in = true;
                self.connected(&serde_json::from_str(body)?);
                self.join(socket).await
            }
            "1" => Err("io server disconnect".into()),
            "2" => {
                self.event(&serde_json::from_str(body)?);
                Ok(())
            }
            "3" => {
                self.answered(id.parse()?, &serde_json::from_str(body)?);
                Ok(())
            }
            "4" => Err(format!("connect_error {body}").into()),
            _ => Err(format!("unexpected packet {packet}").into()),
        }
    }

    fn connected(&mut self, body: &Value) {
        let pid = body["pid"].as_str().map(str::to_owned);
        let recovered = pid.is_some() && pid == self.pid;
        self.pid = pid;
        let sid = body["sid"].as_str().unwrap_or_default();
        let told = u8::from(recovered);
        let rest = format_args!("{} {told} {sid}", self.node);
        self.shared.record('c', self.plan.client, rest);
        let mut standing = self.shared.standing.borrow_mut();
        standing.connected += 1;
        if !recovered {
            standing.joined -= self.joined.len();
            self.joined.clear();
        }
    }

    fn lost(&mut self, why: &str) {
        let why = why.replace('\n', " ");
        self.shared
            .record('d', self.plan.client, format_args!("{why}"));
        self.shared.standing.borrow_mut().connected -= 1;
        self.join_again = None;
        for (_, asked) in std::mem::take(&mut self.asked) {
            if let Asked::Emit(room, number, mark) = asked {
                self.failed(&room, number, mark, "disconnected");
            }
        }
    }

    fn event(&mut self, body: &Value) {
        let last = body.as_array().and_then(|list| list.last());
        if let Some(offset) = last.and_then(Value::as_str).filter(|_| self.pid.is_some()) {
            self.offset = Some(offset.to_owned());
        }
        if body[0] != "m" {
            return;
        }
        let data = &body[1];
        let room = data["r"].as_str().unwrap_or_default();
        let seq = body[2]["seq"].as_u64().unwrap_or(0);
        let rest = format_args!("{room} {} {} {seq}", data["w"], data["n"]);
        self.shared.record('e', self.plan.client, rest);
        if let Some(round) = data["mark"].as_u64()
            && self.marked.insert((room.to_owned(), round))
        {
            *self
                .shared
                .standing
                .borrow_mut()
                .marks
                .entry(round)
                .or_insert(0) += 1;
        }
    }

    async fn ask(
        &mut self,
        socket: &mut Socket,
        event: &str,
        request: Value,
        asked: Asked,
    ) -> Result<(), Failure> {
        let id = self.next_ack;
        self.next_ack += 1;
        self.asked.insert(id, asked);
        let packet = format!("42{id}{}", json!([event, request]));
        Ok(socket.send(Message::Text(packet)).await?)
    }

    async fn join(&mut self, socket: &mut Socket) -> Result<(), Failure> {
        self.join_again = None;
        for room in self.plan.rooms.clone() {
            let asked = |asked: &Asked| matches!(asked, Asked::Join(other) if *other == room);
            if !self.joined.contains(&room) && !self.asked.values().any(asked) {
                let request = json!({"room": room});
                self.ask(socket, "room:join", request, Asked::Join(room))
                    .await?;
            }
        }
        Ok(())
    }

    /// Each number is sent once, to a room that the client knows itself to be in.
    async fn write(
        &mut self,
        socket: &mut Socket,
        room: &str,
        mark: Option<u32>,
    ) -> Result<(), Failure> {
        if !self.joined.contains(room) {
            return Ok(());
        }
        self.number += 1;
        let number = self.number;
        self.shared
            .record('w', self.plan.client, format_args!("{room} {number}"));
        self.shared.standing.borrow_mut().pending += 1;
        let mut data = json!({"w": self.plan.client, "n": number, "r": room});
        if let Some(round) = mark {
            data["mark"] = round.into();
        }
        let request = json!({"room": room, "event": "m", "data": data});
        let asked = Asked::Emit(room.to_owned(), number, mark);
        self.ask(socket, "room:emit", request, asked).await
    }

    async fn write_marks(&mut self, socket: &mut Socket) -> Result<(), Failure> {
        for (room, round) in std::mem::take(&mut self.marks) {
            if self.joined.contains(&room) {
                self.write(socket, &room, Some(round)).await?;
            } else {
                self.marks.push_back((room, round));
            }
        }
        Ok(())
    }

    fn answered(&mut self, id: u64, body: &Value) {
        let answer = &body[0];
        let ok = answer["ok"] == true;
        match self.asked.remove(&id) {
            Some(Asked::Join(room)) if ok => {
                self.shared
                    .record('j', self.plan.client, format_args!("{room}"));
                self.shared.standing.borrow_mut().joined += 1;
                self.joined.insert(room);
            }
            Some(Asked::Join(_)) => self.join_again = Some(Instant::now() + AGAIN),
            Some(Asked::Emit(room, number, _)) if ok => {
                self.shared
                    .record('a', self.plan.client, format_args!("{room} {number}"));
                let mut standing = self.shared.standing.borrow_mut();
                standing.pending -= 1;
                standing.acked += 1;
            }
            Some(Asked::Emit(room, number, mark)) => {
                let why = answer["error"]["code"].as_str().unwrap_or("no-code");
                self.failed(&room, number, mark, why);
            }
            None => {}
        }
    }

    fn failed(&mut self, room: &str, number: u64, mark: Option<u32>, why: &str) {
        let rest = format_args!("{room} {number} {why}");
        self.shared.record('x', self.plan.client, rest);
        self.shared.standing.borrow_mut().pending -= 1;
        // A marker that got lost is written again, under a new number.
        self.marks
            .extend(mark.map(|round| (room.to_owned(), round)));
    }
}
