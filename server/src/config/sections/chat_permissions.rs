//! `[chat.permissions]`: which roles may do what in a chat room.

use lakh_chat::{Kind, Permissions, Right, Role};
use toml::Value;
use toml::de::DeValue;

use crate::config::problem::suggestion;
use crate::config::value::{Raw, Setting, mismatch};

/// Changes to the table of permissions: for rooms of every kind, or of one, who may do something.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChatPermissions(Vec<Change>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Change {
    kind: Option<Kind>,
    right: Right,
    roles: Vec<Role>,
}

impl ChatPermissions {
    /// The table with these changes.
    pub fn table(&self) -> Permissions {
        let mut table = Permissions::default();
        // Those for one kind go over those for all, wherever they stand.
        let (of_all, of_one): (Vec<_>, Vec<_>) = self.0.iter().partition(|c| c.kind.is_none());
        for change in of_all.into_iter().chain(of_one) {
            let roles = change.roles.iter().copied().collect();
            table.set(change.kind, change.right, roles);
        }
        table
    }

    fn add(&mut self, kind: Option<Kind>, key: &str, raw: Raw<'_>) -> Result<(), String> {
        let right = Right::named(key).ok_or_else(|| {
            let rights = Right::ALL.iter().map(|right| right.name());
            let kinds = Kind::ALL.iter().map(|kind| kind.name());
            let known = rights.chain(kinds.filter(|_| kind.is_none()));
            format!("unknown act `{key}`{}", suggestion(key, known))
        })?;
        let roles = roles(raw).map_err(|wrong| format!("`{key}`: {wrong}"))?;
        self.0.push(Change { kind, right, roles });
        Ok(())
    }
}

/// A list of roles, or one.
fn roles(raw: Raw<'_>) -> Result<Vec<Role>, String> {
    let words = match raw {
        Raw::Toml(DeValue::String(word)) => vec![word.to_string()],
        _ => Vec::<String>::read(raw)?,
    };
    let role = |word: &String| {
        Role::named(word).ok_or_else(|| {
            let known = Role::ALL.iter().map(|role| role.name());
            format!("unknown role `{word}`{}", suggestion(word, known))
        })
    };
    words.iter().map(role).collect()
}

impl Setting for ChatPermissions {
    fn expected() -> String {
        "a table such as { pin = [\"member\", \"moderator\", \"owner\"], thing = { send = [\"member\"] } }"
            .into()
    }

    /// As text: the same table.
    fn read(raw: Raw<'_>) -> Result<Self, String> {
        let table = match raw {
            Raw::Toml(DeValue::Table(table)) => table,
            Raw::Text(text) if text.trim_start().starts_with('{') => {
                let value = DeValue::parse(text).map_err(|error| error.message().to_owned())?;
                return Self::read(Raw::Toml(value.get_ref()));
            }
            _ => return Err(mismatch::<Self>(&raw)),
        };
        let mut changes = Self::default();
        for (key, value) in table {
            let key = key.get_ref().as_ref();
            match (Kind::named(key), value.get_ref()) {
                (Some(kind), DeValue::Table(of_kind)) => {
                    for (key, value) in of_kind {
                        let key = key.get_ref().as_ref();
                        let raw = Raw::Toml(value.get_ref());
                        let added = changes.add(Some(kind), key, raw);
                        added.map_err(|wrong| format!("`{}`: {wrong}", kind.name()))?;
                    }
                }
                (Some(kind), _) => {
                    return Err(format!("`{}` is a table of acts", kind.name()));
                }
                (None, value) => changes.add(None, key, Raw::Toml(value))?,
            }
        }
        Ok(changes)
    }

    fn show(&self) -> Option<Value> {
        let mut table = toml::Table::new();
        for change in &self.0 {
            let words = change.roles.iter();
            let words = words
                .map(|role| Value::String(role.name().into()))
                .collect();
            let place = match change.kind {
                None => &mut table,
                Some(kind) => {
                    let of_kind = table
                        .entry(kind.name())
                        .or_insert_with(|| Value::Table(toml::Table::new()));
                    match of_kind {
                        Value::Table(of_kind) => of_kind,
                        _ => continue,
                    }
                }
            };
            place.insert(change.right.name().into(), Value::Array(words));
        }
        Some(Value::Table(table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ChatPermissions, String> {
        ChatPermissions::read(Raw::Text(text))
    }

    #[test]
    fn one_kind_goes_over_all_wherever_it_stands() {
        let text = "{ thing = { pin = [\"owner\"] }, pin = [\"member\"], send = \"owner\" }";
        let read_once = read(text).unwrap();
        let table = read_once.table();
        for (kind, role, right, may) in [
            (Kind::Public, Role::Member, Right::Pin, true),
            (Kind::Public, Role::Owner, Right::Pin, false),
            (Kind::Thing, Role::Member, Right::Pin, false),
            (Kind::Thing, Role::Owner, Right::Pin, true),
            (Kind::Private, Role::Member, Right::Send, false),
            (Kind::Private, Role::Owner, Right::Send, true),
            (Kind::Public, Role::Moderator, Right::Kick, true),
        ] {
            assert_eq!(
                table.allow(kind, role, right),
                may,
                "{kind:?} {role:?} {right:?}"
            );
        }
        let shown = read_once.show().unwrap().to_string();
        assert_eq!(read(&shown).unwrap().table(), table);
        assert_eq!(
            read("{ kick = [] }")
                .unwrap()
                .table()
                .of(Kind::Public, Right::Kick),
            lakh_chat::Roles::NONE
        );
    }

    #[test]
    fn what_is_not_known_is_said_with_what_is_near() {
        for (text, said) in [
            (
                "{ sned = [\"member\"] }",
                "unknown act `sned`: did you mean `send`?",
            ),
            (
                "{ thign = { send = [] } }",
                "unknown act `thign`: did you mean `thing`?",
            ),
            (
                "{ thing = { sned = [] } }",
                "`thing`: unknown act `sned`: did you mean `send`?",
            ),
            ("{ thing = [\"member\"] }", "`thing` is a table of acts"),
            (
                "{ send = [\"mebmer\"] }",
                "`send`: unknown role `mebmer`: did you mean `member`?",
            ),
            (
                "{ send = 7 }",
                "`send`: expected a list, each text in quotes, found the number 7",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), said, "{text}");
        }
        assert!(read("send").unwrap_err().starts_with("expected a table"));
    }
}
