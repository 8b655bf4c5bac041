//! Subscriptions: the protocol `graphql-transport-ws` of the npm package graphql-ws, over WebSocket.
//!
//! What must hold: nothing runs before `connection_init` was admitted; a mistake closes the connection with the
//! protocol's own code; operations of a connection are bounded, and a client that reads slowly holds up only itself.

use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

use async_graphql::Response as Answer;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::stream::{AbortHandle, Abortable, SelectAll, once};
use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::GraphQl;
use super::cost::root_fields;
use super::http::{Parameters, is_request_error, text};
use crate::http::access::{self, Identity};
use crate::service::{Caller, Kind, Problem};

/// The only subprotocol that is spoken.
pub(super) const PROTOCOL: &str = "graphql-transport-ws";
/// Longest message of a client.
pub(super) const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// Time a client has for `connection_init`.
const INIT: Duration = Duration::from_secs(10);
/// Time between two pings.
const PING: Duration = Duration::from_secs(25);
/// Time after which a client that says nothing at all is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// Time a message may wait to be taken.
const WRITE: Duration = Duration::from_secs(30);
/// Operations of one connection at the same time.
const MAX_OPERATIONS: usize = 64;
/// Longest id of an operation.
const MAX_ID_BYTES: usize = 128;

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ClientMessage {
    ConnectionInit { payload: Option<Value> },
    Ping { payload: Option<Value> },
    Pong {},
    Subscribe { id: String, payload: Value },
    Complete { id: String },
}

/// What an operation gives: answers, and `None` at its end.
type Answers = Pin<Box<dyn Stream<Item = (String, Option<Answer>)> + Send>>;

/// Why a connection ends: the code and the reason of the close frame. `None`: the client has gone.
type Over = Option<(u16, String)>;

fn over(code: u16, reason: impl Into<String>) -> Over {
    Some((code, reason.into()))
}

struct Connection {
    socket: WebSocket,
    graphql: GraphQl,
    /// What the request showed that this began as.
    identity: Identity,
    caller: Option<Caller>,
    operations: HashMap<String, AbortHandle>,
    answers: SelectAll<Answers>,
    heard: Instant,
    ends: Option<Instant>,
    /// Changes when something was taken back.
    revoked: Option<watch::Receiver<()>>,
}

/// Serves one connection to its end.
pub(super) async fn serve(socket: WebSocket, graphql: GraphQl, identity: Identity) {
    let mut connection = Connection {
        // Before anybody is let in: what is taken back meanwhile is seen.
        revoked: graphql.state.service.revocation_news(),
        socket,
        graphql,
        identity,
        caller: None,
        operations: HashMap::new(),
        answers: SelectAll::new(),
        heard: Instant::now(),
        ends: None,
    };
    let end = match connection.socket.protocol() {
        Some(_) => connection.run().await,
        None => Err(over(4406, "Subprotocol not acceptable")),
    };
    if let Err(Some((code, reason))) = end {
        let frame = CloseFrame {
            code,
            reason: clipped(&reason).into(),
        };
        // Whoever is gone needs no farewell.
        let _ = timeout(WRITE, connection.socket.send(Message::Close(Some(frame)))).await;
    }
}

/// A close frame has room for 123 bytes of text (RFC 6455 section 5.5.1).
fn clipped(reason: &str) -> String {
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason[..end].to_owned()
}

/// Something was taken back.
async fn changed(news: &mut Option<watch::Receiver<()>>) {
    if let Some(news) = news
        && news.changed().await.is_ok()
    {
        return;
    }
    // Nobody keeps what is taken back.
    std::future::pending().await
}

impl Connection {
    async fn run(&mut self) -> Result<(), Over> {
        let begun = Instant::now();
        let mut ping = begun + PING;
        loop {
            let init = match self.caller {
                None => begun + INIT,
                Some(_) => self
                    .ends
                    .unwrap_or(begun + Duration::from_secs(86_400 * 365)),
            };
            let awake = init.min(ping).min(self.heard + SILENCE);
            tokio::select! {
                message = self.socket.recv() => match message {
                    Some(Ok(message)) => self.message(message).await?,
                    Some(Err(_)) | None => return Err(None),
                },
                Some((id, answer)) = self.answers.next(), if !self.answers.is_empty() => {
                    self.answer(id, answer).await?;
                }
                () = changed(&mut self.revoked) => self.still_valid()?,
                () = sleep_until(awake) => {
                    let now = Instant::now();
                    if now >= init {
                        return Err(match self.caller {
                            None => over(4408, "Connection initialisation timeout"),
                            Some(_) => over(4403, "The sign-in has ended"),
                        });
                    }
                    if now >= self.heard + SILENCE {
                        return Err(None);
                    }
                    self.write(Message::Ping(Default::default())).await?;
                    ping = now + PING;
                }
            }
        }
    }

    async fn message(&mut self, message: Message) -> Result<(), Over> {
        self.heard = Instant::now();
        let text = match message {
            Message::Text(text) => text,
            Message::Close(_) => return Err(None),
            Message::Binary(_) => return Err(over(4400, "Messages are text")),
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
        };
        let message = serde_json::from_str(&text)
            .map_err(|error| over(4400, format!("Invalid message: {error}")))?;
        match message {
            ClientMessage::ConnectionInit { payload } => self.init(payload).await,
            ClientMessage::Ping { payload } => {
                let mut pong = json!({"type": "pong"});
                if let Some(payload) = payload {
                    pong["payload"] = payload;
                }
                self.send(&pong).await
            }
            ClientMessage::Pong {} => Ok(()),
            ClientMessage::Subscribe { id, payload } => self.subscribe(id, payload).await,
            ClientMessage::Complete { id } => {
                if let Some(operation) = self.operations.remove(&id) {
                    operation.abort();
                }
                Ok(())
            }
        }
    }

    async fn init(&mut self, payload: Option<Value>) -> Result<(), Over> {
        if self.caller.is_some() {
            return Err(over(4429, "Too many initialisation requests"));
        }
        let caller = self.who(payload).await;
        let caller = caller.map_err(|problem| over(4403, problem.message))?;
        if self.graphql.state.service.is_revoked(caller.principal()) {
            return Err(over(4403, access::TAKEN_BACK));
        }
        let left = caller.principal().expires_at.map(|end| {
            let now = self.graphql.state.service.now_ms() / 1_000;
            Duration::from_secs(end.saturating_sub(now))
        });
        self.ends = left.map(|left| Instant::now() + left);
        self.caller = Some(caller);
        self.send(&json!({"type": "connection_ack"})).await
    }

    /// Who came in with what is taken back by now goes.
    fn still_valid(&self) -> Result<(), Over> {
        let service = &self.graphql.state.service;
        let caller = self.caller.as_ref();
        match caller.is_some_and(|caller| service.is_revoked(caller.principal())) {
            true => Err(over(4403, access::TAKEN_BACK)),
            false => Ok(()),
        }
    }

    /// Whoever is shown in the payload; else whoever sent the request.
    async fn who(&mut self, payload: Option<Value>) -> Result<Caller, Problem> {
        let shown = ["authorization", "Authorization", "token", "apiKey"]
            .iter()
            .find_map(|name| payload.as_ref()?.get(name)?.as_str());
        match shown {
            Some(shown) => access::by_text(&self.graphql.state, shown).await,
            None => self.identity.0.clone(),
        }
    }

    async fn subscribe(&mut self, id: String, payload: Value) -> Result<(), Over> {
        let Some(caller) = &self.caller else {
            return Err(over(4401, "Unauthorized"));
        };
        if id.is_empty() || id.len() > MAX_ID_BYTES {
            return Err(over(4400, format!("An id is 1 to {MAX_ID_BYTES} bytes")));
        }
        if self.operations.contains_key(&id) {
            return Err(over(4409, format!("Subscriber for {id} already exists")));
        }
        let parameters = Parameters::of_json(payload)
            .map_err(|error| over(4400, format!("Invalid payload: {error}")))?;
        if self.operations.len() >= MAX_OPERATIONS {
            let message = format!("a connection may have {MAX_OPERATIONS} operations at a time");
            let problem = Problem::new(Kind::TooMany, "too_many", message);
            return self.refuse(&id, &problem).await;
        }
        let mut request = parameters.request();
        // Each operation counts as a request does, whichever way it comes.
        let things = root_fields(&mut request).max(1) + 1;
        if let Err(problem) = self.graphql.pace_rest(caller, things) {
            return self.refuse(&id, &problem).await;
        }
        let request = request.data(caller.clone());
        let of_this = id.clone();
        let answers = self
            .graphql
            .schema
            .execute_stream(request)
            .map(move |answer| (of_this.clone(), Some(answer)))
            .chain(once(std::future::ready((id.clone(), None))));
        let (handle, registration) = AbortHandle::new_pair();
        let answers: Answers = Box::pin(Abortable::new(answers, registration));
        self.operations.insert(id, handle);
        self.answers.push(answers);
        Ok(())
    }

    async fn answer(&mut self, id: String, answer: Option<Answer>) -> Result<(), Over> {
        if !self.operations.contains_key(&id) {
            return Ok(());
        }
        let Some(answer) = answer else {
            self.operations.remove(&id);
            return self.send(&json!({"type": "complete", "id": id})).await;
        };
        if is_request_error(&answer) {
            // Such an operation never began: `error` ends it.
            if let Some(operation) = self.operations.remove(&id) {
                operation.abort();
            }
            return self
                .send(&json!({"type": "error", "id": id, "payload": answer.errors}))
                .await;
        }
        let id = Value::String(id);
        let text = format!(r#"{{"type":"next","id":{id},"payload":{}}}"#, text(&answer));
        self.write(Message::Text(text.into())).await
    }

    async fn refuse(&mut self, id: &str, problem: &Problem) -> Result<(), Over> {
        let mut extensions = json!({"code": problem.code});
        if let Some(wait_ms) = problem.retry_after_ms {
            extensions["retryAfterMs"] = wait_ms.into();
        }
        let payload = json!([{"message": problem.message, "extensions": extensions}]);
        self.send(&json!({"type": "error", "id": id, "payload": payload}))
            .await
    }

    async fn send(&mut self, message: &Value) -> Result<(), Over> {
        self.write(Message::Text(message.to_string().into())).await
    }

    async fn write(&mut self, message: Message) -> Result<(), Over> {
        match timeout(WRITE, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(None),
        }
    }
}
