//! `[hooks]`: backends that are told what happened, and backends that are asked first.

use std::path::PathBuf;
use std::time::Duration;

use lakh_bridge::hooks::{
    Config, Endpoint, Full, GateHook, Kind, On, Order, Place, Secret, Silence,
};
use lakh_hub::auth::Pattern;
use toml::Value;

use crate::config::problem::suggestion;
use crate::config::section::section;
use crate::config::tables::{self, ReadFile, each_key, words};
use crate::config::value::{Raw, Setting, word};

/// Secrets as they are given: the newest, and one that is on its way out.
#[derive(Debug, Clone, Default, PartialEq)]
struct Secrets {
    given: [Option<Secret>; 2],
    files: [Option<PathBuf>; 2],
}

const SECRET_KEYS: [&str; 4] = ["secret", "old_secret", "secret_file", "old_secret_file"];

impl Secrets {
    fn set(&mut self, key: &str, raw: Raw<'_>) -> Result<bool, String> {
        let parse = |raw| Secret::parse(&String::read(raw)?).map_err(|error| error.to_string());
        match key {
            "secret" => self.given[0] = Some(parse(raw)?),
            "old_secret" => self.given[1] = Some(parse(raw)?),
            "secret_file" => self.files[0] = Some(PathBuf::read(raw)?),
            "old_secret_file" => self.files[1] = Some(PathBuf::read(raw)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn show(&self, table: &mut toml::Table) {
        for (key, given) in ["secret", "old_secret"].iter().zip(&self.given) {
            if given.is_some() {
                table.insert((*key).into(), Value::String("***".into()));
            }
        }
        for (key, file) in ["secret_file", "old_secret_file"].iter().zip(&self.files) {
            if let Some(file) = file {
                table.insert((*key).into(), Value::String(file.display().to_string()));
            }
        }
    }

    /// Puts the content of the files in their place. `Err` says what is wrong.
    fn read_files(&mut self, read: ReadFile<'_>) -> Result<(), String> {
        for (index, file) in self.files.iter().enumerate() {
            let Some(file) = file else { continue };
            let (key, file_key) = (SECRET_KEYS[index], SECRET_KEYS[index + 2]);
            if self.given[index].is_some() {
                return Err(format!(
                    "`{file_key}` and `{key}` exclude each other: give one of them"
                ));
            }
            let text = read(file)
                .map_err(|error| format!("{}: the {key} can't be read: {error}", file.display()))?;
            let secret = Secret::parse(&text)
                .map_err(|error| format!("{}: what it holds {error}", file.display()))?;
            self.given[index] = Some(secret);
        }
        Ok(())
    }

    fn all(&self) -> Vec<Secret> {
        self.given.iter().flatten().cloned().collect()
    }
}

/// One endpoint that is told what happened.
#[derive(Debug, Clone, PartialEq)]
pub struct HookEndpoint {
    hook: Endpoint,
    words: Vec<String>,
    secrets: Secrets,
}

/// One hook that is asked first.
#[derive(Debug, Clone, PartialEq)]
pub struct HookGate {
    hook: GateHook,
    secrets: Secrets,
}

fn place(place: &mut Place, key: &str, raw: Raw<'_>) -> Result<bool, String> {
    let pattern = |raw| Ok::<_, String>(Some(Pattern::new(&String::read(raw)?)));
    match key {
        "namespace" => place.namespace = pattern(raw)?,
        "room" => place.room = pattern(raw)?,
        "event" => place.event = pattern(raw)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn show_place(place: &Place, table: &mut toml::Table) {
    let all = [
        ("namespace", &place.namespace),
        ("room", &place.room),
        ("event", &place.event),
    ];
    for (key, pattern) in all {
        if let Some(pattern) = pattern {
            table.insert(key.into(), Value::String(pattern.as_str().into()));
        }
    }
}

fn millis(raw: Raw<'_>) -> Result<Duration, String> {
    Ok(Duration::from_millis(u64::read(raw)?))
}

fn show_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

const ORDERS: [(&str, Order); 3] = [
    ("room", Order::Room),
    ("all", Order::All),
    ("none", Order::None),
];
const FULL: [(&str, Full); 2] = [
    ("drop_oldest", Full::DropOldest),
    ("drop_newest", Full::DropNewest),
];
const SILENCE: [(&str, Silence); 2] = [("allow", Silence::Allow), ("refuse", Silence::Refuse)];
const ASKS: [(&str, On); 3] = [
    ("connect", On::Connect),
    ("subscribe", On::Subscribe),
    ("publish", On::Publish),
];

/// The words of settings that have no type of their own here.
struct Word<T>(T);

macro_rules! of_words {
    ($($type:ty: $words:ident),*) => {$(
        impl Clone for Word<$type> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl Copy for Word<$type> {}

        impl Setting for Word<$type> {
            fn expected() -> String {
                let words: Vec<_> = $words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
                format!("one of {}", words.join(", "))
            }

            fn read(raw: Raw<'_>) -> Result<Self, String> {
                word(raw, &$words.map(|(word, value)| (word, Self(value))))
            }

            fn show(&self) -> Option<Value> {
                let found = $words.iter().find(|(_, value)| *value == self.0);
                found.map(|(word, _)| Value::String((*word).into()))
            }
        }
    )*};
}
of_words!(Order: ORDERS, Full: FULL, Silence: SILENCE, On: ASKS);

const ENDPOINT_KEYS: [&str; 22] = [
    "name",
    "url",
    "secret",
    "old_secret",
    "secret_file",
    "old_secret_file",
    "events",
    "namespace",
    "room",
    "event",
    "batch_events",
    "batch_bytes",
    "batch_wait_ms",
    "concurrency",
    "timeout_ms",
    "retry_first_ms",
    "retry_longest_ms",
    "max_attempts",
    "max_age_ms",
    "order",
    "max_bytes",
    "full",
];

impl HookEndpoint {
    fn set(&mut self, key: &str, raw: Raw<'_>) -> Result<(), String> {
        let hook = &mut self.hook;
        if self.secrets.set(key, raw)? || place(&mut hook.place, key, raw)? {
            return Ok(());
        }
        match key {
            "name" => hook.name = String::read(raw)?,
            "url" => hook.url = String::read(raw)?,
            "events" => {
                self.words = words(raw)?;
                let kinds = self.words.iter().map(|word| {
                    Kind::parse(word).ok_or_else(|| {
                        let known = [
                            "connect",
                            "disconnect",
                            "join",
                            "leave",
                            "message",
                            "rate_limit",
                            "module",
                            "module:…",
                        ];
                        format!("unknown word `{word}`{}", suggestion(word, known))
                    })
                });
                hook.events = kinds.collect::<Result<_, _>>()?;
            }
            "batch_events" => hook.batch_events = usize::read(raw)?,
            "batch_bytes" => hook.batch_bytes = usize::read(raw)?,
            "batch_wait_ms" => hook.batch_wait = millis(raw)?,
            "concurrency" => hook.concurrency = usize::read(raw)?,
            "timeout_ms" => hook.timeout = millis(raw)?,
            "retry_first_ms" => hook.retry.first_ms = u64::read(raw)?,
            "retry_longest_ms" => hook.retry.longest_ms = u64::read(raw)?,
            "max_attempts" => hook.max_attempts = u32::read(raw)?,
            "max_age_ms" => hook.max_age_ms = u64::read(raw)?,
            "order" => hook.order = Word::<Order>::read(raw)?.0,
            "max_bytes" => hook.max_bytes = u64::read(raw)?,
            "full" => hook.full = Word::<Full>::read(raw)?.0,
            "max_dead" => hook.max_dead = usize::read(raw)?,
            other => {
                let known = ENDPOINT_KEYS.into_iter().chain(["max_dead"]);
                return Err(format!(
                    "unknown key of an endpoint{}",
                    suggestion(other, known)
                ));
            }
        }
        Ok(())
    }
}

impl Setting for HookEndpoint {
    const SECRET: bool = true;

    fn expected() -> String {
        "a table such as { name = \"crm\", url = \"https://crm.example/lakh\", secret = \"whsec_…\", events = [\"message\"] }"
            .into()
    }

    fn read(raw: Raw<'_>) -> Result<Self, String> {
        let mut own = Self {
            hook: Endpoint::new("", "", Vec::new()),
            words: Vec::new(),
            secrets: Secrets::default(),
        };
        each_key::<Self>(raw, |key, raw| own.set(key, raw))?;
        Ok(own)
    }

    fn show(&self) -> Option<Value> {
        let hook = &self.hook;
        let mut table = toml::Table::new();
        self.secrets.show(&mut table);
        show_place(&hook.place, &mut table);
        let all = [
            ("name", hook.name.show()),
            ("url", hook.url.show()),
            ("events", self.words.show()),
            ("batch_events", hook.batch_events.show()),
            ("batch_bytes", hook.batch_bytes.show()),
            ("batch_wait_ms", show_millis(hook.batch_wait).show()),
            ("concurrency", hook.concurrency.show()),
            ("timeout_ms", show_millis(hook.timeout).show()),
            ("retry_first_ms", hook.retry.first_ms.show()),
            ("retry_longest_ms", hook.retry.longest_ms.show()),
            ("max_attempts", hook.max_attempts.show()),
            ("max_age_ms", hook.max_age_ms.show()),
            ("order", Word(hook.order).show()),
            ("max_bytes", hook.max_bytes.show()),
            ("full", Word(hook.full).show()),
            ("max_dead", hook.max_dead.show()),
        ];
        tables::show(table, all)
    }
}

const GATE_KEYS: [&str; 16] = [
    "name",
    "url",
    "secret",
    "old_secret",
    "secret_file",
    "old_secret_file",
    "on",
    "namespace",
    "room",
    "event",
    "timeout_ms",
    "silence",
    "concurrency",
    "waiting",
    "breaker_failures",
    "breaker_open_ms",
];

impl HookGate {
    fn set(&mut self, key: &str, raw: Raw<'_>) -> Result<(), String> {
        let hook = &mut self.hook;
        if self.secrets.set(key, raw)? || place(&mut hook.place, key, raw)? {
            return Ok(());
        }
        match key {
            "name" => hook.name = String::read(raw)?,
            "url" => hook.url = String::read(raw)?,
            "on" => {
                let words = words(raw)?;
                let all = words.iter().map(|text| Word::<On>::read(Raw::Text(text)));
                let all: Result<Vec<_>, _> = all.collect();
                hook.on = all?.into_iter().map(|word| word.0).collect();
            }
            "timeout_ms" => hook.timeout = millis(raw)?,
            "silence" => hook.silence = Word::<Silence>::read(raw)?.0,
            "concurrency" => hook.concurrency = usize::read(raw)?,
            "waiting" => hook.waiting = usize::read(raw)?,
            "breaker_failures" => hook.breaker_failures = u32::read(raw)?,
            "breaker_open_ms" => hook.breaker_open_ms = u64::read(raw)?,
            other => {
                return Err(format!(
                    "unknown key of a gate{}",
                    suggestion(other, GATE_KEYS)
                ));
            }
        }
        Ok(())
    }
}

impl Setting for HookGate {
    const SECRET: bool = true;

    fn expected() -> String {
        "a table such as { name = \"guard\", url = \"https://app.example/may\", secret = \"whsec_…\", on = [\"publish\"] }"
            .into()
    }

    fn read(raw: Raw<'_>) -> Result<Self, String> {
        let mut own = Self {
            hook: GateHook::new("", "", Vec::new()),
            secrets: Secrets::default(),
        };
        each_key::<Self>(raw, |key, raw| own.set(key, raw))?;
        Ok(own)
    }

    fn show(&self) -> Option<Value> {
        let hook = &self.hook;
        let mut table = toml::Table::new();
        self.secrets.show(&mut table);
        show_place(&hook.place, &mut table);
        let on = hook.on.iter().filter_map(|on| Word(*on).show()).collect();
        let all = [
            ("name", hook.name.show()),
            ("url", hook.url.show()),
            ("on", Some(Value::Array(on))),
            ("timeout_ms", show_millis(hook.timeout).show()),
            ("silence", Word(hook.silence).show()),
            ("concurrency", hook.concurrency.show()),
            ("waiting", hook.waiting.show()),
            ("breaker_failures", hook.breaker_failures.show()),
            ("breaker_open_ms", hook.breaker_open_ms.show()),
        ];
        tables::show(table, all)
    }
}

section! {
    /// Backends that are told what happened, and backends that are asked first. Every request is signed; docs/hooks.md
    /// has the formats, and what is promised.
    Hooks as "hooks" {
        /// Endpoints that are told what happened: each a table `[[hooks.endpoints]]` with `name`, `url`, `secret` or
        /// `secret_file` (`whsec_` and base64), and, where wanted, `old_secret` or `old_secret_file` (signs, too), `events`
        /// (connect, disconnect, join, leave, message, rate_limit, module, module:NAME; default all), `namespace`,
        /// `room` and `event` (patterns with `*`), `batch_events` (100), `batch_bytes` (1048576), `batch_wait_ms` (100),
        /// `concurrency` (4), `timeout_ms` (10000), `retry_first_ms` (1000), `retry_longest_ms` (600000),
        /// `max_attempts` (16), `max_age_ms` (86400000), `order` (room, all, none), `max_bytes` (67108864) of what waits,
        /// `full` (drop_oldest, drop_newest), `max_dead` (10000).
        endpoints: Vec<HookEndpoint> = Vec::new();
        /// Hooks that are asked first: each a table `[[hooks.gates]]` with `name`, `url`, secrets as above, and, where
        /// wanted, `on` (connect, subscribe, publish; default all), `namespace`, `room` and `event` (patterns),
        /// `timeout_ms` (1000), `silence` (refuse or allow, when no good answer comes), `concurrency` (32), `waiting`
        /// (256), `breaker_failures` (5) and `breaker_open_ms` (10000).
        gates: Vec<HookGate> = Vec::new();
        /// Whether the acknowledgement of a message waits until the message stands in the store for the endpoints that want
        /// it: then none that was acknowledged is missing there, whatever ends. It costs a commit.
        durable: bool = true;
    }
    check |hooks, wrong| {
        for problem in hooks.config().problems() {
            let key = if hooks.endpoints.is_empty() { "gates" } else { "endpoints" };
            wrong.push((key, problem.to_string()));
        }
    };
}

impl Hooks {
    /// As the hooks want it.
    pub fn config(&self) -> Config {
        let endpoints = self.endpoints.iter().map(|own| Endpoint {
            secrets: own.secrets.all(),
            ..own.hook.clone()
        });
        let gates = self.gates.iter().map(|own| GateHook {
            secrets: own.secrets.all(),
            ..own.hook.clone()
        });
        Config {
            endpoints: endpoints.collect(),
            gates: gates.collect(),
            durable: self.durable,
        }
    }

    /// Reads the secrets that stand in files. What is wrong comes back with the key it's under.
    pub fn read_secrets(&mut self, read: ReadFile<'_>) -> Vec<(&'static str, String)> {
        let endpoints = self.endpoints.iter_mut();
        let endpoints = endpoints.map(|own| ("endpoints", &own.hook.name, &mut own.secrets));
        let gates = self.gates.iter_mut();
        let gates = gates.map(|own| ("gates", &own.hook.name, &mut own.secrets));
        let mut wrong = Vec::new();
        for (key, name, secrets) in endpoints.chain(gates) {
            if let Err(error) = secrets.read_files(read) {
                wrong.push((key, format!("hook `{name}`: {error}")));
            }
        }
        wrong
    }
}
