//! One file a section. Units stand last in a key's name; every key has a comment that a person can act on, because
//! the example configuration is made of them.

mod api;
mod auth;
mod bridge;
mod chat;
mod chat_files;
mod chat_permissions;
pub(crate) mod console;
mod cors;
mod drain;
mod engine;
mod hooks;
mod limits;
mod log;
mod metrics;
mod proxy;
mod recovery;
mod redis;
mod rooms;
mod rules;
mod server;
mod spaces;
mod tls;
mod token_keys;
mod world;

pub use api::{Api, KeyEntry};
pub use auth::{Auth, MIN_SECRET_BYTES};
pub use bridge::{Bridge, BridgeSink, BridgeSource};
pub use chat::{Chat, WordsAction};
pub use chat_files::ChatFiles;
#[cfg(feature = "s3")]
pub(crate) use chat_files::bucket;
pub use chat_permissions::ChatPermissions;
pub use console::Console;
pub use cors::Cors;
pub use drain::Drain;
pub use engine::{Engine, SameSite, Transport};
pub use hooks::{HookEndpoint, HookGate, Hooks};
pub use limits::{Limits, Past, PastConnections, SlowReader};
pub use log::{Log, LogFormat};
pub use metrics::Metrics;
pub use proxy::{ForwardedHeader, Proxy};
pub use recovery::{Recovery, RecoveryLog};
pub use redis::{Broker, Redis, StoreKind, SubscriptionMode};
pub use rooms::{Keep, RoomOptions, RoomRule, Rooms, StateKeep, Who};
pub use rules::AuthRule;
pub use server::{MODULES, Module, Server};
pub use spaces::Spaces;
pub use tls::Tls;
pub use token_keys::{Date, JwksUrl, KeyAlgorithm, TokenKey};
pub use world::World;
