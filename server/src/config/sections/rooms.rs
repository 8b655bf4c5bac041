//! `[rooms]`: who may join and speak where, in the module rooms.

use toml::Value;
use toml::de::DeValue;

use crate::config::problem::suggestion;
use crate::config::section::{above_zero, section};
use crate::config::tables;
use crate::config::value::{Raw, Setting, mismatch, words};

/// Who may do something in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Everybody who is connected.
    Anyone,
    /// Everybody whose token was checked; in development, everybody with a name.
    SignedIn,
    /// Everybody who is connected without a sign-in.
    Anonymous,
    /// Backends with an API key.
    Service,
    /// Nobody.
    Nobody,
    /// Everybody who has this role.
    Role(String),
    /// The person with this id.
    Name(String),
}

impl Who {
    pub(super) fn word(&self) -> String {
        match self {
            Self::Anyone => "anyone".into(),
            Self::SignedIn => "signed-in".into(),
            Self::Anonymous => "anonymous".into(),
            Self::Service => "service".into(),
            Self::Nobody => "nobody".into(),
            Self::Role(role) => format!("role:{role}"),
            Self::Name(name) => format!("name:{name}"),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        match (text, text.split_once(':')) {
            ("anyone", _) => Ok(Self::Anyone),
            ("signed-in", _) => Ok(Self::SignedIn),
            ("anonymous", _) => Ok(Self::Anonymous),
            ("service", _) => Ok(Self::Service),
            ("nobody", _) => Ok(Self::Nobody),
            (_, Some(("name", name))) if !name.is_empty() => Ok(Self::Name(name.to_owned())),
            (_, Some(("role", role))) if !role.is_empty() => Ok(Self::Role(role.to_owned())),
            _ => {
                let words = ["anyone", "signed-in", "anonymous", "service", "nobody"];
                let hint = suggestion(text, words.into_iter().chain(["role:…", "name:…"]));
                Err(format!("unknown word `{text}`{hint}"))
            }
        }
    }
}

/// One rule: what a room's name must look like, and who may do what there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomRule {
    /// The room's name, with `*` for any run of characters.
    pub pattern: String,
    /// Who may join; one match is enough.
    pub join: Vec<Who>,
    /// Who may emit; one match is enough.
    pub emit: Vec<Who>,
}

impl Setting for RoomRule {
    fn expected() -> String {
        "a table such as { pattern = \"board:*\", join = \"anyone\", emit = [\"signed-in\"] }"
            .into()
    }

    fn read(raw: Raw<'_>) -> Result<Self, String> {
        let Raw::Toml(DeValue::Table(table)) = raw else {
            return Err(mismatch::<Self>(&raw));
        };
        let mut rule = Self {
            pattern: String::new(),
            join: vec![Who::Anyone],
            emit: vec![Who::Anyone],
        };
        for (key, value) in table {
            let raw = Raw::Toml(value.get_ref());
            match key.get_ref().as_ref() {
                "pattern" => rule.pattern = String::read(raw)?,
                "join" => rule.join = people(raw)?,
                "emit" => rule.emit = people(raw)?,
                other => {
                    let hint = suggestion(other, ["pattern", "join", "emit"]);
                    return Err(format!("unknown key `{other}` in a rule{hint}"));
                }
            }
        }
        if rule.pattern.is_empty() {
            return Err("a rule needs a `pattern`, such as \"board:*\"".into());
        }
        Ok(rule)
    }

    fn show(&self) -> Option<Value> {
        let words = |people: &[Who]| {
            Value::Array(people.iter().map(|who| Value::String(who.word())).collect())
        };
        let mut table = toml::Table::new();
        table.insert("pattern".into(), Value::String(self.pattern.clone()));
        table.insert("join".into(), words(&self.join));
        table.insert("emit".into(), words(&self.emit));
        Some(Value::Table(table))
    }
}

words! {
    /// Where events are kept for those who come later.
    Keep {
        /// Nowhere.
        Nothing = "none",
        /// In memory.
        Memory = "memory",
        /// In the store.
        Store = "store",
    }
}

words! {
    /// Where state and locks are kept.
    StateKeep {
        /// In memory on a node that is alone, in the store of a fleet.
        Auto = "auto",
        /// In memory.
        Memory = "memory",
        /// In the store.
        Store = "store",
    }
}

/// Declares the options of rooms: key, type and default of each.
macro_rules! options {
    ($( $(#[doc = $doc:literal])* $key:ident: $type:ty = $default:expr; )*) => {
        /// What the rooms of one pattern have besides events.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct RoomOptions {
            /// The room's name, with `*` for any run of characters.
            pub pattern: String,
            $( $(#[doc = $doc])* pub $key: $type, )*
        }

        impl RoomOptions {
            const KEYS: &[&str] = &["pattern", $(stringify!($key)),*];

            fn set(&mut self, key: &str, raw: Raw<'_>) -> Result<(), String> {
                match key {
                    "pattern" => self.pattern = String::read(raw)?,
                    $( stringify!($key) => {
                        self.$key = <$type>::read(raw).map_err(|wrong| format!("`{key}`: {wrong}"))?;
                    } )*
                    other => {
                        let hint = suggestion(other, Self::KEYS.iter().copied());
                        return Err(format!("unknown key `{other}` in options of rooms{hint}"));
                    }
                }
                Ok(())
            }
        }

        impl Default for RoomOptions {
            fn default() -> Self {
                Self { pattern: String::new(), $( $key: $default, )* }
            }
        }

        impl Setting for RoomOptions {
            fn expected() -> String {
                "a table such as { pattern = \"board:*\", presence = true, history = \"memory\" }".into()
            }

            fn read(raw: Raw<'_>) -> Result<Self, String> {
                let Raw::Toml(DeValue::Table(table)) = raw else {
                    return Err(mismatch::<Self>(&raw));
                };
                let mut options = Self::default();
                for (key, value) in table {
                    options.set(key.get_ref().as_ref(), Raw::Toml(value.get_ref()))?;
                }
                if options.pattern.is_empty() {
                    return Err("options of rooms need a `pattern`, such as \"board:*\"".into());
                }
                Ok(options)
            }

            fn show(&self) -> Option<Value> {
                let mut table = toml::Table::new();
                table.insert("pattern".into(), Value::String(self.pattern.clone()));
                let defaults = Self::default();
                $( if self.$key != defaults.$key && let Some(value) = self.$key.show() {
                    table.insert(stringify!($key).into(), value);
                } )*
                Some(Value::Table(table))
            }
        }
    };
}

options! {
    /// Whether it's known who is in the room.
    presence: bool = false;
    /// How long somebody whose connection broke still counts as there.
    presence_grace_ms: u64 = 5_000;
    /// People up to whom each coming and going is told at once.
    presence_named: usize = 100;
    /// People up to whom they are told by name, once a tick.
    presence_batched: usize = 1_000;
    /// The tick.
    presence_tick_ms: u64 = 1_000;
    /// Where events are kept for those who come later.
    history: Keep = Keep::Nothing;
    /// Events kept at most.
    history_entries: usize = 1_000;
    /// Bytes kept at most.
    history_bytes: usize = 1 << 20;
    /// Longest time for which they are kept.
    history_age_ms: u64 = 86_400_000;
    /// Whether only who shows a signed token gets in.
    private: bool = false;
    /// Different filters of members at most.
    max_filters: usize = 64;
    /// Where state and locks are kept.
    state: StateKeep = StateKeep::Auto;
    /// Keys at most.
    state_keys: usize = 1_000;
    /// Longest value.
    state_value_bytes: usize = 65_536;
    /// Bytes of keys and values together, and 64 for each.
    state_bytes: usize = 1 << 20;
    /// Writes of state that one socket may make in a second; besides, as many reads, and as many requests for locks.
    state_writes_per_second: u32 = 100;
    /// How long the store keeps changes for those who ask what has changed since.
    state_kept_ms: u64 = 120_000;
    /// How long what goes with somebody stays when their connection broke.
    state_grace_ms: u64 = 10_000;
    /// Percent of a value's bytes that a patch may have.
    state_patch_percent: u32 = 50;
    /// Prefixes of keys that belong to a person.
    state_own_keys: Vec<String> = Vec::new();
    /// Longest time to hold or wait for a lock.
    lock_ms: u64 = 300_000;
    /// Sockets that may wait for one lock.
    lock_waiters: usize = 100;
    /// Moves of a cursor that one socket may make in a second.
    cursor_moves_per_second: u32 = 60;
    /// Positions that each member is told in a second at most.
    cursor_positions_per_second: u32 = 2_000;
    /// Longest data of a cursor.
    cursor_bytes: usize = 256;
}

/// One word or a list of them.
pub(super) fn people(raw: Raw<'_>) -> Result<Vec<Who>, String> {
    tables::words(raw)?
        .iter()
        .map(|word| Who::parse(word))
        .collect()
}

section! {
    /// The module rooms: who may join and speak where.
    Rooms as "rooms" {
        /// Rules, each a table with `pattern` (`*` stands for any run of characters), `join` and `emit`.
        /// Those two take what `who` takes in the rules of [auth], or a list. The first rule whose pattern fits counts;
        /// where none fits, it's as the rules of [auth] and the token say.
        rules: Vec<RoomRule> = Vec::new();
        /// Longest `data` of an event.
        max_data_bytes: u64 = 65_536;
        /// Events a second that one socket may emit.
        events_per_second: u32 = 100;
        /// Rooms of this node at most, those counted that have emptied lately.
        max_rooms: u64 = 250_000;
        /// What rooms have besides events, each a table with `pattern`; the first whose pattern fits counts. `presence` (true):
        /// who is there, by `presence_grace_ms` (5000), `presence_named` (100), `presence_batched` (1000), `presence_tick_ms`
        /// (1000). `history` ("none", "memory" or "store"): what was said, by `history_entries` (1000), `history_bytes`
        /// (1048576), `history_age_ms` (a day). `private` (true): only with a signed token. `max_filters` (64).
        /// `state` ("auto", "memory" or "store"): where state and locks are kept, by `state_keys` (1000), `state_value_bytes`
        /// (65536), `state_bytes` (1048576), `state_writes_per_second` (100), `state_kept_ms` (120000), `state_grace_ms` (10000),
        /// `state_patch_percent` (50), `state_own_keys` ([]), `lock_ms` (300000), `lock_waiters` (100). Cursors:
        /// `cursor_moves_per_second` (60), `cursor_positions_per_second` (2000), `cursor_bytes` (256).
        options: Vec<RoomOptions> = Vec::new();
        /// Rooms whose state, or locks, this node has in memory at most.
        state_max_rooms: u64 = 100_000;
        /// Time between two batches of cursors.
        cursor_tick_ms: u64 = 50;
        /// Bytes of history that this node keeps in memory for all rooms together; the oldest go first.
        history_memory_bytes: u64 = 268_435_456;
        /// A node that says nothing for this long counts as gone, and those on it as having left.
        presence_silence_ms: u64 = 6_000;
    }
    check |rooms, wrong| {
        above_zero(wrong, &[
            ("max_data_bytes", rooms.max_data_bytes),
            ("events_per_second", rooms.events_per_second.into()),
            ("max_rooms", rooms.max_rooms),
            ("history_memory_bytes", rooms.history_memory_bytes),
        ]);
        if rooms.presence_silence_ms < 1_000 {
            wrong.push(("presence_silence_ms", "must be at least 1000: nodes speak three times in it".into()));
        }
        above_zero(wrong, &[
            ("state_max_rooms", rooms.state_max_rooms),
            ("cursor_tick_ms", rooms.cursor_tick_ms),
        ]);
        for options in &rooms.options {
            let own_keys = options.state_own_keys.iter();
            if let Some(prefix) = own_keys.into_iter().find(|prefix| !prefix.contains("{user}")) {
                wrong.push(("options", format!("the prefix \"{prefix}\" in `state_own_keys` needs {{user}}")));
            }
            let least = [options.presence_tick_ms >= 50, options.history_entries > 0, options.history_bytes > 0, options.history_age_ms > 0];
            if least.contains(&false) {
                let pattern = &options.pattern;
                wrong.push(("options", format!(
                    "for \"{pattern}\": `presence_tick_ms` must be at least 50, `history_entries`, `history_bytes` and \
                     `history_age_ms` above 0; leave `history` out to keep nothing"
                )));
            }
        }
    };
}
