//! All requests, by name: on the namespace for sockets, and for backends through [`Chat::call`].

use std::fmt;
use std::marker::PhantomData;

use lakh_hub::{Failure, Socket};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::asker::Asker;
use crate::{
    Chat, attachments, live, members, messages, moderation, people, presence, reactions, receipts,
    rights, rooms, schedule, search, typing,
};

macro_rules! requests {
    ($($name:literal => $handler:path),+ $(,)?) => {
        /// The names of all requests.
        pub const REQUESTS: &[&str] = &[$($name),+];

        pub(crate) fn install(chat: &Chat) {
            $({
                let (module, place) = (chat.clone(), place($name));
                chat.0.namespace.on_request($name, async move |socket: Socket, Fields(request)| {
                    let answer = match Asker::of(&socket) {
                        Ok(asker) => $handler(&module, &asker, request).await,
                        Err(failure) => Err(failure),
                    };
                    module.0.counters.answered(place, &answer);
                    answer
                });
            })+
            chat.0.namespace.refuse_other_requests();
        }

        impl Chat {
            /// Answers a request as if whoever asks had sent it over a socket: `request` is its object as JSON, and what comes
            /// back is the answer's object, without `ok`.
            ///
            /// # Errors
            /// What a socket would be answered; `not_found` for a name that no request has.
            pub async fn call(
                &self,
                asker: &Asker,
                name: &str,
                request: &str,
            ) -> Result<Box<RawValue>, Failure> {
                match name {
                    $($name => {
                        let answer = $handler(self, asker, read(request)?).await;
                        self.0.counters.answered(place($name), &answer);
                        write(&answer?)
                    })+
                    _ => Err(Failure::new(
                        "not_found",
                        format!("chat has no request `{name}`"),
                    )),
                }
            }
        }
    };
}

requests! {
    "room:join" => rooms::join,
    "room:leave" => rooms::leave,
    "room:watch" => rooms::watch,
    "room:unwatch" => rooms::unwatch,
    "room:list" => rooms::list,
    "room:create" => rooms::create,
    "room:direct" => rooms::direct,
    "room:get" => rooms::get,
    "room:set" => rooms::set,
    "room:archive" => rooms::archive,
    "room:delete" => rooms::delete,
    "room:notify" => rooms::notify,
    "member:list" => members::list,
    "member:invite" => members::invite,
    "member:decline" => members::decline,
    "member:add" => members::add,
    "member:role" => members::role,
    "member:kick" => members::kick,
    "member:mute" => members::mute,
    "member:ban" => members::ban,
    "member:unban" => members::unban,
    "ban:list" => members::bans,
    "me:get" => people::me,
    "me:set" => people::set_me,
    "person:get" => people::get,
    "person:find" => people::find,
    "block:add" => people::block,
    "block:remove" => people::unblock,
    "block:list" => people::blocks,
    "message:send" => messages::send,
    "message:history" => messages::history,
    "message:get" => messages::get,
    "message:sync" => messages::sync,
    "message:edit" => messages::edit,
    "message:edits" => messages::edits,
    "message:delete" => messages::delete,
    "message:purge" => messages::purge,
    "message:pin" => messages::pin,
    "message:forward" => messages::forward,
    "pin:list" => messages::pins,
    "reaction:add" => reactions::add,
    "reaction:remove" => reactions::remove,
    "reaction:list" => reactions::list,
    "live:react" => live::react,
    "receipt:delivered" => receipts::delivered,
    "receipt:read" => receipts::read,
    "receipt:unread" => receipts::unread,
    "receipt:read_all" => receipts::read_all,
    "receipt:list" => receipts::list,
    "unread:get" => receipts::totals,
    "scheduled:list" => schedule::list,
    "scheduled:cancel" => schedule::cancel,
    "scheduled:change" => schedule::change,
    "message:search" => search::search,
    "report:send" => moderation::send,
    "report:list" => moderation::list,
    "report:close" => moderation::close,
    "moderation:log" => moderation::deeds,
    "data:export" => rights::export,
    "data:erase" => rights::erase,
    "attachment:upload" => attachments::upload,
    "attachment:access" => attachments::access,
    "attachment:quota" => attachments::quota,
    "typing:set" => typing::set,
    "presence:list" => presence::list,
    "presence:count" => presence::count,
    "presence:watch" => presence::watch,
    "presence:unwatch" => presence::unwatch,
    "me:status" => presence::set_status,
}

/// Where a request stands among [`REQUESTS`].
fn place(name: &str) -> usize {
    let place = REQUESTS.iter().position(|other| *other == name);
    place.unwrap_or(REQUESTS.len())
}

fn read<T: DeserializeOwned>(request: &str) -> Result<T, Failure> {
    let read = serde_json::from_str(request).map(|Fields(fields)| fields);
    read.map_err(|error| Failure::bad_request(error.to_string()))
}

/// A request's object. By itself serde would also take a list for it, whose elements are the fields.
struct Fields<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Fields<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsOf(PhantomData))
    }
}

struct FieldsOf<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FieldsOf<T> {
    type Value = Fields<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one object with the request's fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields)).map(Fields)
    }
}

fn write(answer: &impl Serialize) -> Result<Box<RawValue>, Failure> {
    serde_json::value::to_raw_value(answer).map_err(|error| crate::stored::unreadable(&error))
}

/// Backends wait for answers on any thread.
#[cfg(test)]
mod tests {
    use super::*;

    fn is_send<T: Send>(_: &T) {}

    #[expect(dead_code, reason = "it's enough that it compiles")]
    fn calls_may_be_awaited_anywhere(chat: &Chat, asker: &Asker) {
        is_send(&chat.call(asker, "room:list", "{}"));
    }
}
