//! What may be set of a room, and within which bounds.

use lakh_hub::{Failure, Fields as Object};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::names;
use crate::records::{RoomRecord, Settings};
use crate::shapes::Reactions;

/// Longest name, in characters.
const MAX_NAME_CHARS: usize = 128;
/// Longest topic, in characters.
const MAX_TOPIC_CHARS: usize = 1_000;
/// Longest address of a picture, in bytes.
const MAX_PICTURE_BYTES: usize = 2_000;
/// Most data of an application's own, in bytes of JSON.
const MAX_DATA_BYTES: usize = 8 << 10;
/// Objects and lists within each other in custom data, of messages, too. Packets have room for 97.
const MAX_DATA_DEPTH: usize = 64;
/// Longest wait between two messages of a person: six hours.
const MAX_SLOW_MODE_S: u32 = 21_600;
/// Longest time that messages are kept for if they aren't for ever: a hundred years.
const MAX_RETENTION_DAYS: u32 = 36_500;
/// Words that nobody may say in a room, at most.
const MAX_WORDS: usize = 200;
/// Longest of them, in characters.
const MAX_WORD_CHARS: usize = 64;

/// A field that is given, or is given as null.
pub(crate) type Given<T> = Option<Option<T>>;

/// Reads a field so that null is told from nothing; beside `#[serde(default)]`.
pub(crate) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    field: D,
) -> Result<Given<T>, D::Error> {
    Option::deserialize(field).map(Some)
}

/// The same of an object that has fields of its own: serde would take a list of them, too.
fn given_object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    field: D,
) -> Result<Given<T>, D::Error> {
    let object = Option::<Object<T>>::deserialize(field)?;
    Ok(Some(object.map(|Object(fields)| fields)))
}

/// What somebody sets of a room.
#[derive(Clone, Default, Deserialize)]
pub(crate) struct Fields {
    #[serde(default, deserialize_with = "given")]
    pub name: Given<String>,
    #[serde(default, deserialize_with = "given")]
    pub topic: Given<String>,
    #[serde(default, deserialize_with = "given")]
    pub picture: Given<String>,
    #[serde(default, deserialize_with = "given")]
    pub data: Given<Map<String, Value>>,
    #[serde(default, deserialize_with = "given_object")]
    pub settings: Given<SomeSettings>,
}

/// Settings; those that aren't named stay.
#[derive(Clone, Default, Deserialize)]
pub(crate) struct SomeSettings {
    slow_mode_s: Option<u32>,
    retention_days: Option<u32>,
    reactions: Option<Reactions>,
    words: Option<Vec<String>>,
}

impl Fields {
    /// Refuses what is out of bounds.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if let Some(Some(name)) = &self.name {
            check_name(name)?;
        }
        if let Some(Some(topic)) = &self.topic
            && (topic.chars().nth(MAX_TOPIC_CHARS).is_some() || has_control(topic))
        {
            return Err(Failure::bad_request(format!(
                "topic is at most {MAX_TOPIC_CHARS} characters, without control characters but line feeds"
            )));
        }
        if let Some(Some(picture)) = &self.picture {
            check_picture(picture)?;
        }
        if let Some(Some(data)) = &self.data {
            check_data(data)?;
        }
        match &self.settings {
            Some(Some(settings)) => settings.check(),
            _ => Ok(()),
        }
    }

    /// Sets them in a room, and gives those that are other ones now.
    pub(crate) fn apply(self, id: &str, record: &mut RoomRecord) -> Map<String, Value> {
        let before = record.clone();
        if let Some(name) = self.name {
            record.name = name.unwrap_or_else(|| id.to_owned());
        }
        let not_empty = |text: &String| !text.is_empty();
        if let Some(topic) = self.topic {
            record.topic = topic.filter(not_empty);
        }
        if let Some(picture) = self.picture {
            record.picture = picture.filter(not_empty);
        }
        if let Some(data) = self.data {
            record.data = data;
        }
        if let Some(settings) = self.settings {
            record.settings = match settings {
                Some(settings) => settings.over(&record.settings),
                None => Settings::default(),
            };
        }
        differences(&before, record)
    }
}

fn differences(before: &RoomRecord, after: &RoomRecord) -> Map<String, Value> {
    let mut set = Map::new();
    let mut put = |name: &str, differs: bool, value: Value| {
        if differs {
            set.insert(name.to_owned(), value);
        }
    };
    let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::String);
    put("name", before.name != after.name, after.name.clone().into());
    put("topic", before.topic != after.topic, text(&after.topic));
    let picture = text(&after.picture);
    put("picture", before.picture != after.picture, picture);
    let data = after.data.clone().map_or(Value::Null, Value::Object);
    put("data", before.data != after.data, data);
    // These are numbers, words and lists of words.
    let settings = serde_json::to_value(&after.settings).unwrap_or_default();
    put("settings", before.settings != after.settings, settings);
    set
}

impl SomeSettings {
    fn check(&self) -> Result<(), Failure> {
        if self.slow_mode_s.is_some_and(|s| s > MAX_SLOW_MODE_S) {
            return Err(Failure::bad_request(format!(
                "settings.slow_mode_s is 0 to {MAX_SLOW_MODE_S}"
            )));
        }
        if self.retention_days.is_some_and(|d| d > MAX_RETENTION_DAYS) {
            return Err(Failure::bad_request(format!(
                "settings.retention_days is 0 to {MAX_RETENTION_DAYS}"
            )));
        }
        let words = self.words.as_deref().unwrap_or_default();
        let fits = |word: &String| {
            !word.trim().is_empty()
                && word.chars().nth(MAX_WORD_CHARS).is_none()
                && !word.chars().any(char::is_control)
        };
        if words.len() > MAX_WORDS || !words.iter().all(fits) {
            return Err(Failure::bad_request(format!(
                "settings.words is a list of at most {MAX_WORDS} words of 1 to {MAX_WORD_CHARS} characters"
            )));
        }
        Ok(())
    }

    fn over(self, before: &Settings) -> Settings {
        let before = before.clone();
        Settings {
            slow_mode_s: self.slow_mode_s.unwrap_or(before.slow_mode_s),
            retention_days: self.retention_days.unwrap_or(before.retention_days),
            reactions: self.reactions.unwrap_or(before.reactions),
            words: self.words.unwrap_or(before.words),
        }
    }
}

/// Checks what somebody or something is to be called.
pub(crate) fn check_name(name: &str) -> Result<(), Failure> {
    let fits = name.chars().any(names::is_seen) && name.chars().nth(MAX_NAME_CHARS).is_none();
    match fits && !name.chars().any(char::is_control) {
        true => Ok(()),
        false => Err(Failure::bad_request(format!(
            "name is 1 to {MAX_NAME_CHARS} characters without control characters, and not of what can't be seen alone"
        ))),
    }
}

/// Checks where a picture is: at an address of the web, or a file of this server.
pub(crate) fn check_picture(picture: &str) -> Result<(), Failure> {
    let lower = picture.get(..8).unwrap_or(picture).to_ascii_lowercase();
    let is_web = (lower.starts_with("http://") && picture.len() > 7)
        || (lower.starts_with("https://") && picture.len() > 8);
    // Not `//host`, which is an address of another server.
    let is_own = picture.starts_with('/') && !picture.starts_with("//");
    let is_plain = !picture
        .chars()
        .any(|c| c.is_control() || c == ' ' || c == '\\');
    let fits = picture.is_empty() || is_web || is_own;
    match fits && is_plain && picture.len() <= MAX_PICTURE_BYTES {
        true => Ok(()),
        false => Err(Failure::bad_request(format!(
            "picture is an address that begins with http://, https:// or, for a file of this server, with /; at most \
             {MAX_PICTURE_BYTES} bytes"
        ))),
    }
}

/// Checks data of an application's own.
pub(crate) fn check_data(data: &Map<String, Value>) -> Result<(), Failure> {
    check_depth(data)?;
    // What was read from JSON can be written as such.
    let bytes = serde_json::to_vec(data).map_or(usize::MAX, |json| json.len());
    match bytes <= MAX_DATA_BYTES {
        true => Ok(()),
        false => Err(Failure::new(
            "too_large",
            format!("data is at most {MAX_DATA_BYTES} bytes of JSON"),
        )),
    }
}

/// Checks how deep it's nested: whatever reads it as a part of something larger has a bound, too.
///
/// # Errors
/// `bad_request`.
pub(crate) fn check_depth(data: &Map<String, Value>) -> Result<(), Failure> {
    let mut level: Vec<&Value> = data.values().collect();
    // The object itself is the first.
    for _ in 1..MAX_DATA_DEPTH {
        let within = level.into_iter().flat_map(|value| match value {
            Value::Array(list) => list.iter().collect(),
            Value::Object(object) => object.values().collect(),
            _ => Vec::new(),
        });
        level = within.collect();
    }
    match level
        .iter()
        .any(|value| value.is_array() || value.is_object())
    {
        false => Ok(()),
        true => Err(Failure::bad_request(format!(
            "data has at most {MAX_DATA_DEPTH} objects and lists within each other"
        ))),
    }
}

/// Checks why something is done.
pub(crate) fn check_reason(reason: Option<&str>) -> Result<(), Failure> {
    match reason {
        Some(reason) if reason.chars().nth(500).is_some() || has_control(reason) => {
            Err(Failure::bad_request(
                "reason is at most 500 characters, without control characters but line feeds",
            ))
        }
        _ => Ok(()),
    }
}

fn has_control(text: &str) -> bool {
    text.chars().any(|c| c.is_control() && c != '\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(fields: Value) -> Result<Fields, serde_json::Error> {
        serde_json::from_value(fields)
    }

    #[test]
    fn data_is_nested_to_a_bound() {
        let nested = |deep: usize| {
            let value = (1..deep).fold(json!(1), |value, level| match level % 2 {
                0 => json!([value]),
                _ => json!({ "a": value }),
            });
            Map::from_iter([("a".to_owned(), value)])
        };
        assert!(check_depth(&nested(MAX_DATA_DEPTH)).is_ok());
        assert!(check_depth(&nested(MAX_DATA_DEPTH + 1)).is_err());
        assert!(check_depth(&nested(100)).is_err());
    }

    #[test]
    fn a_list_is_no_object() {
        assert!(read(json!({"settings": [1, 2]})).is_err());
    }

    #[test]
    fn each_field_has_bounds() {
        for good in [
            json!({}),
            json!({"name": null, "topic": null, "picture": null, "data": null, "settings": null}),
            json!({"name": "日".repeat(128), "topic": "x".repeat(1_000)}),
            json!({"topic": "two\nlines", "picture": "https://a.example/b.png"}),
            json!({"picture": "/chat/files/abc"}),
            json!({"data": {"a": "x".repeat(8_184)}}),
            json!({"settings": {"slow_mode_s": 30, "reactions": "one", "later": 1}}),
        ] {
            assert!(
                read(good.clone()).is_ok_and(|f| f.check().is_ok()),
                "{good}"
            );
        }
        for (bad, code) in [
            (json!({"name": ""}), "bad_request"),
            (json!({"name": "  "}), "bad_request"),
            (json!({"name": "x".repeat(129)}), "bad_request"),
            (json!({"name": "a\tb"}), "bad_request"),
            (json!({"topic": "x".repeat(1_001)}), "bad_request"),
            (json!({"topic": "a\u{7}"}), "bad_request"),
            (json!({"picture": "javascript:alert(1)"}), "bad_request"),
            (json!({"picture": "//a.example/b.png"}), "bad_request"),
            (json!({"picture": "/\\a.example"}), "bad_request"),
            (json!({"picture": "https://"}), "bad_request"),
            (
                json!({"picture": format!("https://a/{}", "x".repeat(2_000))}),
                "bad_request",
            ),
            (json!({"data": {"a": "x".repeat(8_185)}}), "too_large"),
            (json!({"settings": {"slow_mode_s": 21_601}}), "bad_request"),
            (
                json!({"settings": {"retention_days": 36_501}}),
                "bad_request",
            ),
            (json!({"settings": {"words": ["ok", " "]}}), "bad_request"),
            (
                json!({"settings": {"words": vec!["w"; 201]}}),
                "bad_request",
            ),
        ] {
            let failure = read(bad.clone()).expect("of the right types").check();
            assert_eq!(failure.map_err(|failure| failure.code), Err(code), "{bad}");
        }
        for wrong in [
            json!({"name": 7}),
            json!({"data": []}),
            json!({"settings": {"slow_mode_s": -1}}),
            json!({"settings": {"reactions": "two"}}),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
