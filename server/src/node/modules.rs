//! Which module stands on which namespace, and its settings.

use lakh_chat::Chat;
use lakh_hub::{EngineHandlers, Failure, Hub, LogLimits, Person, Socket};
use lakh_rooms::{
    HistoryOptions, Keep, KeepState, Nodes, PresenceOptions, RoomOptions, RoomToken, Rooms,
    StateOptions, StateSetup, TokenCheck,
};
use lakh_store::Store;
use lakh_world::Worlds;
use std::sync::Arc;
use std::time::Duration;

use super::door::Revocations;
use super::policy::policy;
use super::prepare::{count, count32};
use crate::config::{self, Broker, Module, Settings, StoreKind};
use crate::files::Plan;
use crate::service;
use crate::sign_in::{SignIn, SignInError};

/// The `sub` of a token for rooms that is nobody's in particular.
const ANYONE: &str = "anyone";

/// The namespace of a module.
pub fn namespace(module: Module) -> &'static str {
    match module {
        Module::Rooms => "/",
        Module::Chat => "/chat",
        Module::World => "/world",
    }
}

/// The modules that are served.
#[derive(Clone, Debug, Default)]
pub struct Served {
    /// The rooms, if they are among them.
    pub rooms: Option<Rooms>,
    /// The chat, likewise.
    pub chat: Option<Chat>,
    /// The worlds, likewise.
    pub worlds: Option<Worlds>,
}

/// Puts the modules that are to be served on the hub. Sign-in must stand there already: checks run in their order.
pub fn install(
    hub: &Hub,
    store: &Store,
    settings: &Settings,
    sign_in: &SignIn,
    revocations: &Arc<Revocations>,
) -> Served {
    hub.set_policy(policy(settings));
    if settings.api.people {
        gather_people(hub, settings);
    }
    let mut served = Served::default();
    let recovery = recovery(settings);
    for module in &settings.server.modules {
        match module {
            Module::Rooms => {
                let config = lakh_rooms::Config {
                    tokens: sign_in
                        .needs_tokens()
                        .then(|| room_tokens(sign_in, revocations)),
                    ..rooms(settings, recovery)
                };
                let rooms = lakh_rooms::install(hub, store.clone(), config);
                let members = rooms.clone();
                revocations.also_look(move |socket| members.end_revoked(socket));
                served.rooms = Some(rooms);
            }
            Module::Chat => {
                let config = chat(settings, recovery);
                served.chat = Some(lakh_chat::install(hub, store.clone(), config));
            }
            Module::World => {
                served.worlds = Some(lakh_world::install(hub, store.clone(), world(settings)));
            }
        }
    }
    if settings.engine.engine_path.is_some() {
        let echo = EngineHandlers::default().on_message(|socket, message| socket.send(&message));
        hub.set_engine_io(echo);
    }
    served
}

/// Puts the sockets of each person who is signed in into a room of that person's. Sign-in comes before.
fn gather_people(hub: &Hub, settings: &Settings) {
    for module in &settings.server.modules {
        hub.of(namespace(*module))
            .use_connect(async |socket: Socket| {
                if let Some(person) = socket.get::<Person>() {
                    socket.join(Person::room_of(&person.id));
                }
                Ok(())
            });
    }
}

/// What the service for backends is set up with.
pub(super) fn service(settings: &Settings) -> service::Config {
    service::Config {
        people: settings.api.people,
        max_batch: count32(settings.api.max_batch),
        max_ack_timeout: Duration::from_millis(settings.api.max_ack_timeout_ms),
        patience: Duration::from_millis(settings.api.nodes_timeout_ms),
        idempotency_ms: settings.api.idempotency_ms,
    }
}

/// Reads the tokens that let people into private rooms. One whose `sub` is [`ANYONE`] is for whoever shows it.
fn room_tokens(sign_in: &SignIn, revocations: &Arc<Revocations>) -> TokenCheck {
    let (sign_in, revocations) = (sign_in.clone(), Arc::clone(revocations));
    TokenCheck::new(move |token, _| {
        let read = sign_in.check_for_rooms(token);
        let principal = read.map_err(|error| match error {
            SignInError::Expired => Failure::new("token_expired", error.to_string()),
            _ => Failure::new("bad_token", error.to_string()),
        })?;
        Ok(RoomToken {
            for_anyone: principal.id == ANYONE,
            expires_ms: principal.expires_at.map(|end| end.saturating_mul(1_000)),
            principal,
        })
    })
    .revoked_by(move |principal| revocations.is_revoked(principal))
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
        options: rooms.options.iter().map(room_options).collect(),
        history_memory_bytes: count(rooms.history_memory_bytes),
        presence_silence_ms: rooms.presence_silence_ms,
        state: StateSetup {
            nodes: nodes(settings),
            max_rooms: count(rooms.state_max_rooms),
            cursor_tick_ms: rooms.cursor_tick_ms,
        },
        tokens: None,
    }
}

/// Whether there may be other nodes, as far as state is concerned.
fn nodes(settings: &Settings) -> Nodes {
    let redis = &settings.redis;
    match (redis.broker(), redis.store()) {
        (_, StoreKind::Redis) => Nodes::SharedStore,
        (Broker::Local, StoreKind::Sqlite) => Nodes::One,
        (_, StoreKind::Sqlite) => Nodes::OwnStores,
    }
}

fn state_options(options: &config::RoomOptions) -> StateOptions {
    StateOptions {
        keep: match options.state {
            config::StateKeep::Auto => KeepState::Auto,
            config::StateKeep::Memory => KeepState::Memory,
            config::StateKeep::Store => KeepState::Store,
        },
        max_keys: options.state_keys,
        max_value_bytes: options.state_value_bytes,
        max_room_bytes: options.state_bytes,
        writes_per_second: options.state_writes_per_second,
        kept_changes_ms: options.state_kept_ms,
        owner_grace_ms: options.state_grace_ms,
        patch_percent: options.state_patch_percent,
        own_keys: options.state_own_keys.clone(),
        max_lock_ms: options.lock_ms,
        max_lock_waiters: options.lock_waiters,
        cursor_moves_per_second: options.cursor_moves_per_second,
        cursor_positions_per_second: options.cursor_positions_per_second,
        max_cursor_bytes: options.cursor_bytes,
    }
}

fn room_options(options: &config::RoomOptions) -> RoomOptions {
    RoomOptions {
        presence: PresenceOptions {
            enabled: options.presence,
            grace_ms: options.presence_grace_ms,
            max_named: options.presence_named,
            max_batched: options.presence_batched,
            tick_ms: options.presence_tick_ms,
        },
        history: HistoryOptions {
            keep: match options.history {
                config::Keep::Nothing => Keep::Nothing,
                config::Keep::Memory => Keep::Memory,
                config::Keep::Store => Keep::Store,
            },
            max_entries: options.history_entries,
            max_bytes: options.history_bytes,
            max_age_ms: options.history_age_ms,
        },
        private: options.private,
        max_filters: options.max_filters,
        state: state_options(options),
        ..RoomOptions::of(&options.pattern)
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
        room_messages_per_second: chat.room_messages_per_second,
        words: chat.words.clone(),
        words_action: match chat.words_action {
            config::WordsAction::Reject => lakh_chat::WordsAction::Reject,
            config::WordsAction::Mask => lakh_chat::WordsAction::Mask,
        },
        new_rooms_at_once: chat.new_rooms_at_once,
        presence_grace_ms: chat.presence_grace_ms,
        offline_after_s: chat.offline_after_s,
        unread_max_members: chat.unread_max_members,
        max_scheduled: count32(chat.max_scheduled),
        presence_silence_ms: chat.presence_silence_ms,
        thin_from: count32(chat.thin_from),
        crowd_from: count32(chat.crowd_from),
        files: Plan::new(settings).chat(),
        recovery,
        permissions: chat.permissions.table(),
        things: chat
            .things
            .iter()
            .map(|thing| thing.as_str().into())
            .collect(),
    }
}

pub(super) fn world(settings: &Settings) -> lakh_world::Config {
    let world = &settings.world;
    // Checked to fit where it's read: `hz`, `near_every` and `far_every` are below 65.
    let byte = |number: u32| u8::try_from(number).unwrap_or(u8::MAX);
    lakh_world::Config {
        open_worlds: world.open_worlds.then(|| world.worlds.as_str().into()),
        max_worlds: count32(world.max_worlds),
        hz: byte(world.hz),
        bounds: world.bounds.into(),
        max_speed: world.max_speed.into(),
        slack_ms: world.slack_ms,
        inputs_per_second: world.inputs_per_second,
        view: world.view.into(),
        max_view: world.max_view.into(),
        far_sight: world.far_sight,
        budget: world.budget_bytes,
        max_budget: world.max_budget_bytes,
        choose_place: world.choose_place,
        grace_ms: world.grace_ms,
        rest_ms: world.rest_ms,
        max_entities: count32(world.max_entities),
        entities_each: world.entities_each,
        max_bots: world.max_bots,
        builds_per_second: world.builds_per_second,
        max_people: count32(world.max_people),
        nearest: [world.nearest, world.near],
        every: [1, byte(world.near_every), byte(world.far_every)],
        unsent_bytes: world.unsent_bytes,
        fleet: settings.redis.store() == StoreKind::Redis
            && settings.redis.broker() != Broker::Local,
        open_land: world.open_land,
        land_cache_bytes: count32(world.land_cache_bytes),
        paints_per_second: world.paints_per_second,
        max_part_bytes: count32(world.max_part_bytes),
        spaces: spaces(settings),
    }
}

fn spaces(settings: &Settings) -> lakh_world::SpacesConfig {
    let spaces = &settings.spaces;
    lakh_world::SpacesConfig {
        max_members: count32(spaces.max_members),
        grace_ms: spaces.grace_ms,
        cursor_ms: spaces.cursor_ms,
        cursor_moves_per_second: spaces.cursor_moves_per_second,
        cursor_places_per_second: spaces.cursor_places_per_second,
        max_locks: count32(spaces.max_locks),
        lock_s: spaces.lock_s,
        max_data_bytes: count32(spaces.max_data_bytes),
        silence_ms: spaces.silence_ms,
    }
}
