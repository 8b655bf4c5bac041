//! rust_socketio with its callbacks turned into queues, so that a test reads top down.

use std::sync::mpsc::{Receiver, Sender, channel};

use lakh_testkit::BOUND;
use rust_socketio::client::Client;
use rust_socketio::{ClientBuilder, Event, Payload, TransportType};
use serde_json::{Value, json};

/// What goes wrong in a test.
pub type Failure = Box<dyn std::error::Error>;

/// The ways in which this client can reach a server.
pub const TRANSPORTS: [TransportType; 4] = [
    TransportType::Polling,
    TransportType::Websocket,
    TransportType::WebsocketUpgrade,
    TransportType::Any,
];

/// A connected client and the events that it gets.
pub struct Talker {
    client: Client,
    events: Receiver<(String, Payload)>,
}

impl Talker {
    /// Connects to `namespace` and waits until it is let in.
    ///
    /// # Errors
    /// What the client says, or that it was not let in.
    pub fn connect(
        url: &str,
        namespace: &str,
        auth: Value,
        transport: TransportType,
    ) -> Result<Self, Failure> {
        let (sender, events) = channel::<(String, Payload)>();
        let closing: Sender<_> = sender.clone();
        let client = ClientBuilder::new(url)
            .namespace(namespace)
            .auth(auth)
            .transport_type(transport)
            .reconnect(false)
            .on_any(move |event, payload, _| {
                // Nobody listens any more when the test has ended.
                let _ = sender.send((event.to_string(), payload));
            })
            .on(Event::Connect, {
                let sender = closing.clone();
                move |payload, _| drop(sender.send(("connect".to_owned(), payload)))
            })
            .on(Event::Error, move |payload, _| {
                drop(closing.send(("error".to_owned(), payload)))
            })
            .connect()?;
        let talker = Self { client, events };
        talker.next("connect")?;
        Ok(talker)
    }

    /// Emits an event.
    ///
    /// # Errors
    /// What the client says.
    pub fn emit(&self, event: &str, payload: impl Into<Payload>) -> Result<(), Failure> {
        Ok(self.client.emit(event, payload)?)
    }

    /// Emits an event and waits for the arguments of its acknowledgement.
    ///
    /// # Errors
    /// What the client says, or that no acknowledgement came.
    pub fn call(&self, event: &str, payload: impl Into<Payload>) -> Result<Payload, Failure> {
        let (sender, answer) = channel();
        let told = move |payload: Payload, _| drop(sender.send(payload));
        self.client.emit_with_ack(event, payload, BOUND, told)?;
        let waited = answer.recv_timeout(BOUND);
        Ok(waited.map_err(|_| format!("no acknowledgement of {event}"))?)
    }

    /// A request of a module: fails unless the acknowledgement says `ok`.
    ///
    /// # Errors
    /// With the acknowledgement.
    pub fn request(&self, event: &str, request: Value) -> Result<Value, Failure> {
        let answer = self.call(event, request)?;
        // The client wraps an acknowledgement's arguments in one more list.
        let found = values(&answer).iter().find_map(find_ok).cloned();
        found.ok_or_else(|| format!("{event} was answered {answer:?}").into())
    }

    /// Waits for the next event of that name, and leaves out others.
    ///
    /// # Errors
    /// That it did not come, or that the connection failed.
    pub fn next(&self, event: &str) -> Result<Payload, Failure> {
        loop {
            match self.events.recv_timeout(BOUND) {
                Ok((name, payload)) if name == event => return Ok(payload),
                Ok((name, payload)) if name == "error" => {
                    return Err(format!("error instead of {event}: {payload:?}").into());
                }
                Ok(_) => {}
                Err(_) => return Err(format!("no {event} within {BOUND:?}").into()),
            }
        }
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        // The server may be gone already.
        let _ = self.client.disconnect();
    }
}

/// The arguments of a text payload.
#[must_use]
pub fn values(payload: &Payload) -> &[Value] {
    match payload {
        Payload::Text(values) => values,
        _ => &[],
    }
}

fn find_ok(value: &Value) -> Option<&Value> {
    match value {
        Value::Array(list) => list.iter().find_map(find_ok),
        other => (other["ok"] == json!(true)).then_some(other),
    }
}
