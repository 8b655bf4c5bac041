//! All requests, by name: on the namespace for sockets, and for backends through [`Worlds::call`]. Each part of the module
//! adds its own to the table.

use crate::asker::Asker;
use crate::{Worlds, land, play, spaces};

lakh_hub::requests! {
    Worlds as "world", Asker, bare: true;
    "world:list" => play::list,
    "world:create" => play::create,
    "world:info" => play::info,
    "world:delete" => play::delete,
    "world:enter" => play::enter,
    "world:leave" => play::leave,
    "world:input" => play::input,
    "world:look" => play::look,
    "world:spawn" => play::spawn,
    "world:change" => play::change,
    "world:remove" => play::remove,
    "world:entity" => play::entity,
    "world:bots" => play::bots,
    "world:set" => land::set,
    "world:land" => land::land,
    "world:put_chunk" => land::put_chunk,
    "space:enter" => spaces::enter,
    "space:leave" => spaces::leave,
    "space:get" => spaces::get,
    "space:profile" => spaces::profile,
    "space:location" => spaces::location,
    "space:cursor" => spaces::cursor,
    "space:lock" => spaces::lock,
    "space:unlock" => spaces::unlock,
    "space:locks" => spaces::locks,
}

/// Backends wait for answers on any thread.
#[cfg(test)]
mod tests {
    use super::*;

    fn is_send<T: Send>(_: &T) {}

    #[expect(dead_code, reason = "it's enough that it compiles")]
    fn calls_may_be_awaited_anywhere(worlds: &Worlds, asker: &Asker) {
        is_send(&worlds.call(asker, "world:list", "{}"));
    }
}
