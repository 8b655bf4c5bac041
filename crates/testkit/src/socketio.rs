//! A raw client of Socket.IO v5 over WebSocket (socket.io-protocol v5), JSON only.
//!
//! It speaks one namespace, answers pings, and hands over events as parsed JSON. Attachments are not put into place:
//! an event that has some is given with the number of them, and they follow as binary frames.

use std::io;
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

use crate::http::invalid;
use crate::net::connect;
use crate::ws::{Opcode, WsClient};

/// Where a Socket.IO server listens by default, over WebSocket.
const WEBSOCKET_PATH: &str = "/socket.io/?EIO=4&transport=websocket";

/// An event of the server: `["name", arg, …]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The event's name.
    pub name: String,
    /// Its arguments.
    pub args: Vec<Value>,
}

/// A connected socket of one namespace.
#[derive(Debug)]
pub struct SocketClient {
    ws: WsClient,
    namespace: String,
    next_ack: u64,
    /// Events that came while an acknowledgement was awaited.
    early: std::collections::VecDeque<Event>,
    /// The socket's id.
    pub id: String,
}

/// What a text packet says.
enum Packet {
    Ping,
    Event(Event),
    Ack(u64, Value),
    Connect(Value),
    ConnectError(Value),
    Other,
}

impl SocketClient {
    /// Connects to `namespace` (such as `/`) with `auth` as its sign-in.
    ///
    /// # Errors
    /// What the system says; `PermissionDenied` with the server's error when the namespace refuses.
    pub fn connect(server: SocketAddr, namespace: &str, auth: &Value) -> io::Result<Self> {
        Self::connect_on(connect(server)?, server, namespace, auth)
    }

    /// The same on a TCP connection that is there already, which may have options of its own.
    ///
    /// # Errors
    /// As [`SocketClient::connect`].
    pub fn connect_on(
        stream: TcpStream,
        server: SocketAddr,
        namespace: &str,
        auth: &Value,
    ) -> io::Result<Self> {
        let mut client = Self {
            ws: WsClient::open_on(stream, server, WEBSOCKET_PATH)?,
            namespace: namespace.to_owned(),
            next_ack: 0,
            early: std::collections::VecDeque::new(),
            id: String::new(),
        };
        let place = client.place();
        client.ws.send_text(&format!("40{place}{auth}"))?;
        loop {
            match client.receive_packet()? {
                Packet::Connect(body) => {
                    client.id = body["sid"].as_str().unwrap_or_default().to_owned();
                    return Ok(client);
                }
                Packet::ConnectError(error) => {
                    let error = error.to_string();
                    return Err(io::Error::new(io::ErrorKind::PermissionDenied, error));
                }
                _ => {}
            }
        }
    }

    /// Emits an event without waiting for anything.
    ///
    /// # Errors
    /// What the system says.
    pub fn emit(&mut self, event: &str, args: &[Value]) -> io::Result<()> {
        let packet = format!("42{}{}", self.place(), event_json(event, args));
        self.ws.send_text(&packet)
    }

    /// Emits an event and waits for its acknowledgement, of which the first argument is returned. Events that come
    /// in between are kept for [`SocketClient::next_event`].
    ///
    /// # Errors
    /// What the system says.
    pub fn call(&mut self, event: &str, args: &[Value]) -> io::Result<Value> {
        let id = self.next_ack;
        self.next_ack += 1;
        let packet = format!("42{}{id}{}", self.place(), event_json(event, args));
        self.ws.send_text(&packet)?;
        loop {
            match self.receive_packet()? {
                Packet::Ack(answered, value) if answered == id => return Ok(value),
                Packet::Event(event) => self.early.push_back(event),
                _ => {}
            }
        }
    }

    /// The next event.
    ///
    /// # Errors
    /// What the system says; `UnexpectedEof` when the server has closed the connection.
    pub fn next_event(&mut self) -> io::Result<Event> {
        if let Some(event) = self.early.pop_front() {
            return Ok(event);
        }
        loop {
            if let Packet::Event(event) = self.receive_packet()? {
                return Ok(event);
            }
        }
    }

    /// The next event of that name; others are left out.
    ///
    /// # Errors
    /// As [`SocketClient::next_event`].
    pub fn next_named(&mut self, name: &str) -> io::Result<Event> {
        loop {
            let event = self.next_event()?;
            if event.name == name {
                return Ok(event);
            }
        }
    }

    /// The WebSocket below, for what no proper client sends.
    #[must_use]
    pub fn into_ws(self) -> WsClient {
        self.ws
    }

    /// The namespace as it stands in a packet: nothing for `/`.
    fn place(&self) -> String {
        if self.namespace == "/" {
            String::new()
        } else {
            format!("{},", self.namespace)
        }
    }

    fn receive_packet(&mut self) -> io::Result<Packet> {
        loop {
            let frame = self.ws.receive()?;
            match frame.opcode {
                Opcode::Text => {}
                Opcode::Close => {
                    let what = format!("closed by the server, code {:?}", frame.close_code());
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
                }
                _ => continue,
            }
            match self.parse(&frame.text())? {
                Packet::Ping => self.ws.send_text("3")?,
                packet => return Ok(packet),
            }
        }
    }

    fn parse(&self, text: &str) -> io::Result<Packet> {
        if text == "2" {
            return Ok(Packet::Ping);
        }
        let Some(packet) = text.strip_prefix('4') else {
            return Ok(Packet::Other);
        };
        let (kind, rest) = packet.split_at(packet.len().min(1));
        // Binary packets name their attachments before the namespace: 51-["name",…].
        let rest = rest.split_once('-').map_or(rest, |(count, after)| {
            if matches!(kind, "5" | "6") && count.bytes().all(|byte| byte.is_ascii_digit()) {
                after
            } else {
                rest
            }
        });
        let rest = rest.strip_prefix(&self.place()).unwrap_or(rest);
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (id, json) = rest.split_at(digits);
        let body = || serde_json::from_str::<Value>(json).map_err(|_| invalid(text.to_owned()));
        Ok(match kind {
            "0" => Packet::Connect(body()?),
            "4" => Packet::ConnectError(body()?),
            "2" | "5" => Packet::Event(event_of(body()?)),
            "3" | "6" => {
                let id = id.parse().map_err(|_| invalid(text.to_owned()))?;
                Packet::Ack(id, body()?.get_mut(0).map_or(Value::Null, Value::take))
            }
            _ => Packet::Other,
        })
    }
}

fn event_json(event: &str, args: &[Value]) -> Value {
    let mut list = vec![json!(event)];
    list.extend_from_slice(args);
    Value::Array(list)
}

fn event_of(body: Value) -> Event {
    let Value::Array(mut list) = body else {
        return Event {
            name: String::new(),
            args: Vec::new(),
        };
    };
    let args = list.split_off(list.len().min(1));
    let name = list.pop().and_then(|name| name.as_str().map(str::to_owned));
    Event {
        name: name.unwrap_or_default(),
        args,
    }
}
