//! Requests of the chat that backends make: for a person, or for themselves.
//!
//! What must hold: whoever may act on some rooms acts on those alone. So a request counts as one of a room only where chat
//! itself acts on that room and no other; everything else takes the right to all of chat.

use lakh_chat::{Asker, Chat, OF_A_ROOM, REQUESTS};
use serde_json::Value;

use super::Service;
use super::caller::{Caller, Thing, act};
use super::module::{self, ModuleRequest};
use super::problem::Problem;

/// The namespace of the chat.
const NAMESPACE: &str = "/chat";

impl Service {
    /// Makes a request of the chat, and gives its answer.
    ///
    /// # Errors
    /// [`Problem`]: `not_found` for a name that no request has, `unsupported` where chat isn't served, and what the request
    /// is answered.
    pub async fn chat(
        &self,
        caller: &Caller,
        name: &str,
        request: &ModuleRequest,
    ) -> Result<Value, Problem> {
        let chat = self.served_chat()?;
        module::known("chat", REQUESTS, name)?;
        self.allow(caller, act::CHAT, thing(name, request))?;
        let asker = match &request.person {
            Some(id) => chat.somebody(id, request.as_name.as_deref()).await?,
            None => Asker::system(),
        };
        let answer = chat.call(&asker, name, &request.object()).await?;
        module::answer("chat", name, &answer)
    }

    /// The chat.
    ///
    /// # Errors
    /// `unsupported` if it isn't served here.
    pub fn served_chat(&self) -> Result<&Chat, Problem> {
        let chat = self.0.chat.as_ref();
        chat.ok_or_else(|| module::not_served("chat"))
    }
}

/// What a request is about, for rights.
fn thing<'a>(name: &str, request: &'a ModuleRequest) -> Thing<'a> {
    if let Some(id) = &request.person {
        return Thing::Person(id);
    }
    match request.text("room").filter(|_| OF_A_ROOM.contains(&name)) {
        Some(room) => Thing::Room(NAMESPACE, room),
        None => Thing::Everybody(NAMESPACE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thing_of(name: &str, request: &str) -> String {
        let request: ModuleRequest = serde_json::from_str(request).unwrap();
        thing(name, &request).text()
    }

    #[test]
    fn a_request_is_about_a_person_a_room_or_all_of_chat() {
        for (name, request, expected) in [
            ("message:send", r#"{"room":"a"}"#, "/chat#a"),
            ("message:send", r#"{"room":"a","as":"ada"}"#, "@ada"),
            ("message:send", r#"{"room":1}"#, "/chat"),
            ("message:send", "{}", "/chat"),
            ("room:create", r#"{"kind":"public"}"#, "/chat"),
            // It passes over a field that it doesn't know, and acts on more than a room.
            ("data:erase", r#"{"person":"ada","room":"a"}"#, "/chat"),
            ("message:forward", r#"{"room":"a","to":["b"]}"#, "/chat"),
        ] {
            assert_eq!(thing_of(name, request), expected, "{name} {request}");
        }
    }
}
