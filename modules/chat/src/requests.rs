//! All requests, by name: on the namespace for sockets, and for backends through [`Chat::call`].

use crate::asker::Asker;
use crate::{
    Chat, attachments, live, members, messages, moderation, people, presence, reactions, receipts,
    rights, rooms, schedule, search, typing,
};

lakh_hub::requests! {
    Chat as "chat", Asker, bare: false;
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
