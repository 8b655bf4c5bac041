//! Requests of the chat that backends make: for a person, or for themselves.
//!
//! What must hold: whoever may act on some rooms acts on those alone. So a request counts as one of a room only where chat
//! itself acts on that room and no other; everything else takes the right to all of chat.

use std::collections::BTreeMap;

use lakh_chat::{Asker, Chat, OF_A_ROOM, REQUESTS};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Service;
use super::caller::{Caller, Thing, act};
use super::problem::{Kind, Problem};

/// The namespace of the chat.
const NAMESPACE: &str = "/chat";

/// A request of the chat: its object as clients send it, and for whom.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct ChatAsk {
    /// The id of the person who asks: their roles say what they may. Without it the backend asks for itself, as
    /// `system`, and may everything.
    #[serde(rename = "as")]
    #[schema(example = "ada")]
    pub person: Option<String>,
    /// What the person is called where no profile of theirs says so.
    pub as_name: Option<String>,
    /// The fields of the request.
    #[serde(flatten)]
    pub request: BTreeMap<String, Value>,
}

impl Service {
    /// Makes a request of the chat, and gives its answer.
    ///
    /// # Errors
    /// [`Problem`]: `not_found` for a name that no request has, `unsupported` where chat isn't served, and what the request
    /// is answered.
    pub async fn chat(&self, caller: &Caller, name: &str, ask: &ChatAsk) -> Result<Value, Problem> {
        let chat = self.served_chat()?;
        if !REQUESTS.contains(&name) {
            return Err(Problem::not_found(format!("chat has no request `{name}`")));
        }
        self.allow(caller, act::CHAT, thing(name, ask))?;
        let asker = match &ask.person {
            Some(id) => chat.somebody(id, ask.as_name.as_deref()).await?,
            None => Asker::system(),
        };
        // Made of what was read as JSON, so this can't fail.
        let request = serde_json::to_string(&ask.request).unwrap_or_default();
        let answer = chat.call(&asker, name, &request).await?;
        serde_json::from_str(answer.get()).map_err(|error| {
            tracing::error!(%error, name, "the chat's answer is no JSON");
            Problem::new(
                Kind::Internal,
                "internal",
                "the chat's answer can't be read",
            )
        })
    }

    /// The chat.
    ///
    /// # Errors
    /// `unsupported` if it isn't served here.
    pub fn served_chat(&self) -> Result<&Chat, Problem> {
        self.0.chat.as_ref().ok_or_else(|| {
            let message = "this server doesn't serve chat: `server.modules` says what it serves";
            Problem::new(Kind::Unprocessable, "unsupported", message)
        })
    }
}

/// What a request is about, for rights.
fn thing<'a>(name: &str, ask: &'a ChatAsk) -> Thing<'a> {
    if let Some(id) = &ask.person {
        return Thing::Person(id);
    }
    let room = ask.request.get("room").and_then(Value::as_str);
    match room.filter(|_| OF_A_ROOM.contains(&name)) {
        Some(room) => Thing::Room(NAMESPACE, room),
        None => Thing::Everybody(NAMESPACE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thing_of(name: &str, ask: &str) -> String {
        let ask: ChatAsk = serde_json::from_str(ask).unwrap();
        thing(name, &ask).text()
    }

    #[test]
    fn a_request_is_about_a_person_a_room_or_all_of_chat() {
        for (name, ask, expected) in [
            ("message:send", r#"{"room":"a"}"#, "/chat#a"),
            ("message:send", r#"{"room":"a","as":"ada"}"#, "@ada"),
            ("message:send", r#"{"room":1}"#, "/chat"),
            ("message:send", "{}", "/chat"),
            ("room:create", r#"{"kind":"public"}"#, "/chat"),
            // It passes over a field that it doesn't know, and acts on more than a room.
            ("data:erase", r#"{"person":"ada","room":"a"}"#, "/chat"),
            ("message:forward", r#"{"room":"a","to":["b"]}"#, "/chat"),
        ] {
            assert_eq!(thing_of(name, ask), expected, "{name} {ask}");
        }
    }
}
