//! What a hook in the way is asked.

use lakh_hub::{Person, Socket, Wish};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::config::On;

/// Parts of names of what is never passed on: whoever has it can be taken for somebody else.
const SECRETS: [&str; 11] = [
    "token",
    "secret",
    "pass",
    "auth",
    "cookie",
    "credential",
    "key",
    "jwt",
    "session",
    "bearer",
    "sign",
];
/// The same by their whole names: a session's private id and place, and the engine's own parameters.
const OWN: [&str; 9] = [
    "pid",
    "offset",
    "sid",
    "eio",
    "transport",
    "t",
    "b64",
    "j",
    "code",
];

/// A question, without its id.
#[derive(Clone, Serialize)]
pub(crate) struct Question {
    #[serde(rename = "type")]
    what: &'static str,
    time: u64,
    node: String,
    namespace: String,
    socket: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Person>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    /// What is published, or what an earlier hook has said about who comes in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake: Option<Connection>,
}

#[derive(Clone, Serialize)]
struct Connection {
    address: String,
    secure: bool,
    time: u64,
    query: Map<String, Value>,
    headers: Map<String, Value>,
}

/// What a wish is about.
pub(crate) fn on(wish: &Wish<'_>) -> On {
    match wish {
        Wish::Connect => On::Connect,
        Wish::Subscribe { .. } => On::Subscribe,
        Wish::Publish { .. } => On::Publish,
    }
}

impl Question {
    pub(crate) fn new(socket: &Socket, wish: &Wish<'_>, node: &str) -> Self {
        let mut question = Self {
            what: on(wish).word(),
            time: socket.now_ms(),
            node: node.to_owned(),
            namespace: socket.namespace().name().to_owned(),
            socket: socket.id().to_owned(),
            user: socket.get::<Person>().map(|person| Person::clone(&person)),
            room: None,
            event: None,
            data: None,
            auth: None,
            handshake: None,
        };
        match wish {
            Wish::Connect => {
                question.auth = socket.auth().ok().map(without_secrets);
                question.handshake = Some(connection(socket));
            }
            Wish::Subscribe { room } => question.room = Some((*room).to_owned()),
            Wish::Publish { room, event, data } => {
                question.room = Some((*room).to_owned());
                question.event = Some((*event).to_owned());
                question.data = RawValue::from_string((*data).to_owned()).ok();
            }
        }
        question
    }
}

fn connection(socket: &Socket) -> Connection {
    let handshake = socket.handshake();
    let headers = handshake.headers.iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_string()));
    Connection {
        address: handshake.address.ip().to_string(),
        secure: handshake.secure,
        time: handshake.time_ms,
        query: public(handshake.query_params()),
        headers: public(headers),
    }
}

fn public(pairs: impl Iterator<Item = (String, String)>) -> Map<String, Value> {
    pairs
        .filter(|(name, _)| !is_secret(name))
        .map(|(name, value)| (name, Value::String(value)))
        .collect()
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    OWN.contains(&name.as_str()) || SECRETS.iter().any(|part| name.contains(part))
}

/// What a client says about itself, without what it proves itself by.
fn without_secrets(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .filter(|(name, _)| !is_secret(name))
                .map(|(name, value)| (name, without_secrets(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_secrets).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_client_proves_itself_by_stays_here() {
        let said = json!({
            "token": "t", "accessToken": "t", "password": "p", "API_KEY": "k", "pid": "p", "offset": "o",
            "name": "Ada", "device": {"id": 7, "secret": "s"}, "list": [{"jwt": "x", "a": 1}]
        });
        assert_eq!(
            without_secrets(said),
            json!({"name": "Ada", "device": {"id": 7}, "list": [{"a": 1}]})
        );
        for name in ["Authorization", "Cookie", "x-api-key", "sid", "EIO"] {
            assert!(is_secret(name), "{name}");
        }
        assert!(!is_secret("user-agent"));
    }
}
