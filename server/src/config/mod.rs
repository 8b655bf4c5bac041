//! The settings: defaults, then a TOML file, then the environment, then flags; each typed, checked and with its source.
//!
//! What must hold: every problem is found before the port is bound, and all are told at once. An unknown key is a
//! problem and names the nearest known one.

pub mod load;
pub mod problem;
pub mod redis_url;
pub mod section;
pub mod sections;
pub mod show;
pub mod tables;
pub mod value;

#[cfg(test)]
mod auth_tests;
#[cfg(test)]
mod tests;

use section::Section;
#[cfg(feature = "s3")]
pub(crate) use sections::bucket;
pub use sections::{
    Api, Auth, AuthRule, Bridge, Broker, Chat, ChatFiles, Console, Cors, Date, Drain, Engine,
    ForwardedHeader, Hooks, JwksUrl, Keep, KeyAlgorithm, KeyEntry, Limits, Log, LogFormat, Metrics,
    Module, Past, PastConnections, Proxy, Recovery, RecoveryLog, Redis, RoomOptions, RoomRule,
    Rooms, SameSite, Server, SlowReader, Spaces, StateKeep, StoreKind, SubscriptionMode, Tls,
    TokenKey, Transport, Who, WordsAction, World,
};

/// Every setting of the server, as it is in force.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    /// `[server]`
    pub server: Server,
    /// `[auth]`
    pub auth: Auth,
    /// `[api]`
    pub api: Api,
    /// `[console]`
    pub console: Console,
    /// `[limits]`
    pub limits: Limits,
    /// `[engine]`
    pub engine: Engine,
    /// `[cors]`
    pub cors: Cors,
    /// `[tls]`
    pub tls: Tls,
    /// `[proxy]`
    pub proxy: Proxy,
    /// `[recovery]`
    pub recovery: Recovery,
    /// `[redis]`
    pub redis: Redis,
    /// `[drain]`
    pub drain: Drain,
    /// `[log]`
    pub log: Log,
    /// `[metrics]`
    pub metrics: Metrics,
    /// `[rooms]`
    pub rooms: Rooms,
    /// `[chat]`
    pub chat: Chat,
    /// `[chat.files]`
    pub chat_files: ChatFiles,
    /// `[world]`
    pub world: World,
    /// `[spaces]`
    pub spaces: Spaces,
    /// `[hooks]`
    pub hooks: Hooks,
    /// `[bridge]`
    pub bridge: Bridge,
}

impl Settings {
    /// Every section, in the order of the example.
    pub fn sections(&self) -> [&dyn Section; 21] {
        [
            &self.server,
            &self.auth,
            &self.api,
            &self.console,
            &self.limits,
            &self.engine,
            &self.cors,
            &self.tls,
            &self.proxy,
            &self.recovery,
            &self.redis,
            &self.drain,
            &self.log,
            &self.metrics,
            &self.rooms,
            &self.chat,
            &self.chat_files,
            &self.world,
            &self.spaces,
            &self.hooks,
            &self.bridge,
        ]
    }

    /// Every section, to be set.
    pub fn sections_mut(&mut self) -> [&mut dyn Section; 21] {
        [
            &mut self.server,
            &mut self.auth,
            &mut self.api,
            &mut self.console,
            &mut self.limits,
            &mut self.engine,
            &mut self.cors,
            &mut self.tls,
            &mut self.proxy,
            &mut self.recovery,
            &mut self.redis,
            &mut self.drain,
            &mut self.log,
            &mut self.metrics,
            &mut self.rooms,
            &mut self.chat,
            &mut self.chat_files,
            &mut self.world,
            &mut self.spaces,
            &mut self.hooks,
            &mut self.bridge,
        ]
    }

    /// What is wrong between sections, as section, key and message.
    fn check_together(&self) -> Vec<(&'static str, &'static str, String)> {
        let mut wrong = Vec::new();
        let own = self.server.path.trim_end_matches('/');
        if let Some(engine) = &self.engine.engine_path
            && is_at(engine, own)
        {
            let message = "must differ from `server.path`, and not lie below it".into();
            wrong.push(("engine", "engine_path", message));
        }
        let engine = self.engine.engine_path.as_deref().unwrap_or_default();
        for taken in [
            "/api", "/assets", "/chat", "/console", "/live", "/ready", "/metrics", "/world",
        ] {
            for (section, key, path) in [("server", "path", own), ("engine", "engine_path", engine)]
            {
                if is_at(path, taken) {
                    let message = format!("`{taken}` is taken by the HTTP side of the server");
                    wrong.push((section, key, message));
                }
            }
        }
        let elsewhere =
            self.redis.broker() != Broker::Local || self.redis.store() != StoreKind::Sqlite;
        if self.recovery.log == RecoveryLog::Store && elsewhere {
            let message = "is \"store\", which is for a node that is alone: with a broker the stream in Redis is the log, \
                and a store in Redis is shared; leave it out, or set redis.broker to \"local\" and redis.store to \"sqlite\"";
            wrong.push(("recovery", "log", message.into()));
        }
        wrong
    }
}

/// Whether a path is another one or lies below it.
fn is_at(path: &str, above: &str) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
