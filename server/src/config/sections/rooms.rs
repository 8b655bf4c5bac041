//! `[rooms]`: who may join and speak where, in the module rooms.

use toml::Value;
use toml::de::DeValue;

use crate::config::problem::suggestion;
use crate::config::section::{above_zero, section};
use crate::config::value::{Raw, Setting, mismatch};

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

/// One word or a list of them.
pub(super) fn people(raw: Raw<'_>) -> Result<Vec<Who>, String> {
    let words = match raw {
        Raw::Toml(DeValue::String(word)) => vec![word.to_string()],
        _ => Vec::<String>::read(raw)?,
    };
    words.iter().map(|word| Who::parse(word)).collect()
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
    }
    check |rooms, wrong| {
        above_zero(wrong, &[
            ("max_data_bytes", rooms.max_data_bytes),
            ("events_per_second", rooms.events_per_second.into()),
            ("max_rooms", rooms.max_rooms),
        ]);
    };
}
