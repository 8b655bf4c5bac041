//! Rules of `[auth]`: who may do what, in which rooms of which module.

use lakh_auth::Grant;
use toml::Value;
use toml::de::DeValue;

use super::rooms::{Who, people};
use crate::config::problem::suggestion;
use crate::config::value::{Raw, Setting, mismatch};

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthRule {
    /// Whom it speaks of; one match is enough.
    pub who: Vec<Who>,
    /// Whether it allows or denies.
    pub allows: bool,
    /// What.
    pub what: Vec<Grant>,
}

impl Setting for AuthRule {
    fn expected() -> String {
        "a table such as { who = \"role:editor\", allow = \"rooms:join,emit:board:*\" }".into()
    }

    fn read(raw: Raw<'_>) -> Result<Self, String> {
        let Raw::Toml(DeValue::Table(table)) = raw else {
            return Err(mismatch::<Self>(&raw));
        };
        let (mut who, mut allow, mut deny) = (None, None, None);
        for (key, value) in table {
            let raw = Raw::Toml(value.get_ref());
            match key.get_ref().as_ref() {
                "who" => who = Some(people(raw)?),
                "allow" => allow = Some(grants(raw)?),
                "deny" => deny = Some(grants(raw)?),
                other => {
                    let hint = suggestion(other, ["who", "allow", "deny"]);
                    return Err(format!("unknown key `{other}` in a rule{hint}"));
                }
            }
        }
        let (allows, what) = match (allow, deny) {
            (Some(what), None) => (true, what),
            (None, Some(what)) => (false, what),
            _ => return Err("a rule has either `allow` or `deny`".into()),
        };
        match who {
            Some(who) if !who.is_empty() && !what.is_empty() => Ok(Self { who, allows, what }),
            _ => Err("a rule needs a `who`, such as \"signed-in\", and what it speaks of".into()),
        }
    }

    fn show(&self) -> Option<Value> {
        let words = |words: Vec<String>| words.into_iter().map(Value::String).collect();
        let who = self.who.iter().map(Who::word).collect();
        let what = self.what.iter().map(ToString::to_string).collect();
        let effect = if self.allows { "allow" } else { "deny" };
        let mut table = toml::Table::new();
        table.insert("who".into(), Value::Array(words(who)));
        table.insert(effect.into(), Value::Array(words(what)));
        Some(Value::Table(table))
    }
}

/// One text or a list of them.
fn grants(raw: Raw<'_>) -> Result<Vec<Grant>, String> {
    let texts = match raw {
        Raw::Toml(DeValue::String(text)) => vec![text.to_string()],
        _ => Vec::<String>::read(raw)?,
    };
    let grants = texts.iter().map(|text| text.parse::<Grant>());
    grants
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}
