//! Settings that are tables of their own keys: how they are read and shown, key by key.

use std::path::Path;

use toml::Value;
use toml::de::DeValue;

use super::value::{Raw, Setting, mismatch};

/// Reads a file that the settings name.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> std::io::Result<String>;

/// Gives `set` each key with its value. `Err` says what is wrong, and under which key.
pub fn each_key<T: Setting>(
    raw: Raw<'_>,
    mut set: impl FnMut(&str, Raw<'_>) -> Result<(), String>,
) -> Result<(), String> {
    let Raw::Toml(DeValue::Table(table)) = raw else {
        return Err(mismatch::<T>(&raw));
    };
    for (key, value) in table {
        let key = key.get_ref().as_ref();
        set(key, Raw::Toml(value.get_ref())).map_err(|error| format!("`{key}`: {error}"))?;
    }
    Ok(())
}

/// Puts in what is set.
pub fn show<'a>(
    mut table: toml::Table,
    all: impl IntoIterator<Item = (&'a str, Option<Value>)>,
) -> Option<Value> {
    let set = all.into_iter();
    table.extend(set.filter_map(|(key, value)| Some((key.to_owned(), value?))));
    Some(Value::Table(table))
}

/// One word or a list of them.
pub fn words(raw: Raw<'_>) -> Result<Vec<String>, String> {
    match raw {
        Raw::Toml(DeValue::String(word)) => Ok(vec![word.to_string()]),
        _ => Vec::<String>::read(raw),
    }
}
