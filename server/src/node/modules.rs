//! Which module stands on which namespace, and its settings.

use lakh_hub::{EngineHandlers, Hub, LogLimits};
use lakh_store::Store;

use super::policy::policy;
use super::prepare::{count, count32};
use crate::config::{Module, Settings};

/// The namespace of a module.
pub fn namespace(module: Module) -> &'static str {
    match module {
        Module::Rooms => "/",
        Module::Chat => "/chat",
    }
}

/// Puts the modules that are to be served on the hub. Sign-in must stand there already: checks run in their order.
pub fn install(hub: &Hub, store: &Store, settings: &Settings) {
    hub.set_policy(policy(settings));
    let recovery = recovery(settings);
    for module in &settings.server.modules {
        match module {
            Module::Rooms => drop(lakh_rooms::install(hub, rooms(settings, recovery))),
            Module::Chat => {
                drop(lakh_chat::install(
                    hub,
                    store.clone(),
                    chat(settings, recovery),
                ));
            }
        }
    }
    if settings.engine.engine_path.is_some() {
        let echo = EngineHandlers::default().on_message(|socket, message| socket.send(&message));
        hub.set_engine_io(echo);
    }
}

pub(super) fn recovery(settings: &Settings) -> Option<LogLimits> {
    settings.recovery.enabled.then_some(LogLimits {
        max_bytes: count(settings.recovery.max_bytes),
        max_age_ms: settings.recovery.window_ms,
    })
}

pub(super) fn rooms(settings: &Settings, recovery: Option<LogLimits>) -> lakh_rooms::Config {
    let rooms = &settings.rooms;
    lakh_rooms::Config {
        max_data_bytes: count(rooms.max_data_bytes),
        events_per_second: rooms.events_per_second,
        max_rooms: count(rooms.max_rooms),
        recovery,
    }
}

pub(super) fn chat(settings: &Settings, recovery: Option<LogLimits>) -> lakh_chat::Config {
    let chat = &settings.chat;
    lakh_chat::Config {
        max_text_chars: count(chat.max_text_chars),
        history_limit: count32(chat.history_limit),
        history_max_limit: count32(chat.history_max_limit),
        typing_ms: chat.typing_ms,
        messages_per_second: chat.messages_per_second,
        new_rooms_at_once: chat.new_rooms_at_once,
        presence_grace_ms: chat.presence_grace_ms,
        recovery,
    }
}
