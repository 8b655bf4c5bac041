//! What becomes of an entry: its namespace, room, event and data, each picked from it or fixed.

use lakh_hub::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;

use super::publish::Event;

/// Deepest path that is followed into a body.
const MAX_PATH: usize = 16;
/// Deepest data. Those who keep events, and clients in some languages, stop reading somewhat further down.
const MAX_DEPTH: usize = 64;
/// Longest name of a room or event that is taken from an entry; modules have bounds of their own.
const MAX_NAME_BYTES: usize = 512;

/// An entry, as every broker gives it.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// What tells it from others when it comes again; empty if the broker has nothing of the kind.
    pub id: String,
    /// Fields or headers.
    pub fields: Vec<(String, Bytes)>,
    /// Subject, routing key, or key.
    pub key: String,
    /// The body.
    pub body: Bytes,
}

impl Entry {
    /// Bytes that it holds, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let fields = self.fields.iter();
        let fields: usize = fields.map(|(name, value)| name.len() + value.len()).sum();
        self.id.len() + self.key.len() + self.body.len() + fields
    }

    fn field(&self, name: &str) -> Option<&Bytes> {
        let mut fields = self.fields.iter();
        fields
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }
}

/// Where a text is taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    /// Always this.
    Fixed(String),
    /// A field or header.
    Field(String),
    /// A string or number in the body, which is JSON; names of objects and places of lists with dots between.
    Json(Vec<String>),
    /// Subject, routing key or key; a part of it if there is a number: the parts are between dots, from 1.
    Key(Option<usize>),
}

/// A setting of a mapping that can't be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadPick(String);

impl std::str::FromStr for Pick {
    type Err = BadPick;

    /// `field:NAME`, `json:PATH`, `key`, `key:N`, `fixed:TEXT`; a text with no colon in it is fixed.
    fn from_str(text: &str) -> Result<Self, BadPick> {
        let wrong = |why: &str| Err(BadPick(format!("`{text}`: {why}")));
        match text.split_once(':') {
            Some(("field", name)) if !name.is_empty() => Ok(Self::Field(name.to_owned())),
            Some(("json", path)) => {
                let path: Vec<_> = path.split('.').map(str::to_owned).collect();
                if path.len() > MAX_PATH || path.iter().any(String::is_empty) {
                    return wrong("a path has 1 to 16 names with dots between");
                }
                Ok(Self::Json(path))
            }
            Some(("key", part)) => match part.parse() {
                Ok(0) | Err(_) => wrong("parts of a key are counted from 1"),
                Ok(part) => Ok(Self::Key(Some(part))),
            },
            Some(("fixed", rest)) => Ok(Self::Fixed(rest.to_owned())),
            None if text == "key" => Ok(Self::Key(None)),
            None if !text.is_empty() => Ok(Self::Fixed(text.to_owned())),
            _ => wrong("say field:NAME, json:PATH, key, key:N, or fixed:TEXT"),
        }
    }
}

/// How data is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// It is JSON already.
    #[default]
    Json,
    /// It is text, and becomes a JSON string.
    Text,
    /// It is bytes, and becomes a binary value.
    Binary,
}

/// Where data is taken from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Data {
    /// The body.
    #[default]
    Body,
    /// All fields or headers, as an object of strings.
    Fields,
    /// A part of the body, which is JSON.
    Json(Vec<String>),
    /// A field or header.
    Field(String),
}

impl std::str::FromStr for Data {
    type Err = BadPick;

    /// `body`, `fields`, `json:PATH` or `field:NAME`.
    fn from_str(text: &str) -> Result<Self, BadPick> {
        match (text, text.parse()) {
            ("body", _) => Ok(Self::Body),
            ("fields", _) => Ok(Self::Fields),
            (_, Ok(Pick::Json(path))) => Ok(Self::Json(path)),
            (_, Ok(Pick::Field(name))) => Ok(Self::Field(name)),
            (_, Err(error)) => Err(error),
            _ => Err(BadPick(format!(
                "`{text}`: say body, fields, json:PATH or field:NAME"
            ))),
        }
    }
}

/// What becomes of an entry.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The namespace.
    pub namespace: String,
    /// The room.
    pub room: Pick,
    /// The event's name.
    pub event: Pick,
    /// Its data.
    pub data: Data,
    /// How the data is read.
    pub format: Format,
    /// What tells an entry from others; `None` takes what the broker has.
    pub id: Option<Pick>,
}

impl Default for Mapping {
    fn default() -> Self {
        Self {
            namespace: "/".to_owned(),
            room: Pick::Field("room".to_owned()),
            event: Pick::Field("event".to_owned()),
            data: Data::Body,
            format: Format::Json,
            id: None,
        }
    }
}

/// Why an entry becomes nothing: however often it is tried, it won't.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// What should be in it isn't.
    #[error("it has no {what} ({from})")]
    Missing {
        /// Room, event or data.
        what: &'static str,
        /// Where that was looked for.
        from: String,
    },
    /// It is too long, or no text.
    #[error("its {0} is no text of at most {MAX_NAME_BYTES} bytes")]
    Name(&'static str),
    /// Its data is not what it should be.
    #[error("its data is not {0}")]
    Data(&'static str),
}

impl Mapping {
    /// What tells this entry from others. Empty: nothing does.
    #[must_use]
    pub fn id(&self, entry: &Entry) -> String {
        let Some(pick) = &self.id else {
            return entry.id.clone();
        };
        let body = matches!(pick, Pick::Json(_)).then(|| parse(&entry.body));
        text(pick, entry, body.flatten().as_ref(), "id").unwrap_or_default()
    }

    /// The event that an entry becomes.
    ///
    /// # Errors
    /// Why it becomes none.
    pub fn event(&self, entry: &Entry) -> Result<Event, Unfit> {
        let from_body = [&self.room, &self.event]
            .iter()
            .any(|pick| matches!(pick, Pick::Json(_)))
            || matches!(self.data, Data::Json(_));
        let body = match from_body {
            true => Some(parse(&entry.body).ok_or(Unfit::Data("JSON"))?),
            false => None,
        };
        let room = text(&self.room, entry, body.as_ref(), "room")?;
        let event = text(&self.event, entry, body.as_ref(), "event")?;
        let (data, attachments) = self.data(entry, body.as_ref())?;
        Ok(Event {
            source: Box::default(),
            namespace: self.namespace.as_str().into(),
            room: room.into(),
            event: event.into(),
            data,
            attachments,
            id: String::new(),
            dedupe: std::time::Duration::ZERO,
        })
    }

    fn data(
        &self,
        entry: &Entry,
        body: Option<&Value>,
    ) -> Result<(Box<RawValue>, Vec<Bytes>), Unfit> {
        let bytes = match &self.data {
            Data::Body => entry.body.clone(),
            Data::Field(name) => entry.field(name).cloned().ok_or_else(|| Unfit::Missing {
                what: "data",
                from: format!("field:{name}"),
            })?,
            Data::Fields => {
                let texts = entry.fields.iter().map(|(name, value)| {
                    (
                        name.clone(),
                        Value::String(String::from_utf8_lossy(value).into_owned()),
                    )
                });
                let object = raw(&Value::Object(texts.collect()))?;
                return Ok((plain(object)?, Vec::new()));
            }
            Data::Json(path) => {
                let found = body.and_then(|body| follow(body, path));
                let found = found.ok_or_else(|| Unfit::Missing {
                    what: "data",
                    from: format!("json:{}", path.join(".")),
                })?;
                return Ok((plain(raw(found)?)?, Vec::new()));
            }
        };
        match self.format {
            Format::Json => {
                let text = std::str::from_utf8(&bytes).map_err(|_| Unfit::Data("JSON"))?;
                let data = serde_json::from_str::<Box<RawValue>>(text.trim());
                Ok((plain(data.map_err(|_| Unfit::Data("JSON"))?)?, Vec::new()))
            }
            Format::Text => {
                let text = std::str::from_utf8(&bytes).map_err(|_| Unfit::Data("text"))?;
                Ok((raw(&text)?, Vec::new()))
            }
            Format::Binary => {
                let place = serde_json::json!({"_placeholder": true, "num": 0});
                Ok((raw(&place)?, vec![bytes]))
            }
        }
    }
}

fn raw<T: serde::Serialize>(value: &T) -> Result<Box<RawValue>, Unfit> {
    serde_json::value::to_raw_value(value).map_err(|_| Unfit::Data("JSON"))
}

/// That data without binary values has no places for any, and isn't deeper than readers take.
fn plain(data: Box<RawValue>) -> Result<Box<RawValue>, Unfit> {
    let text = data.get();
    // Names may be written with escapes.
    let names_one = text.contains("\"_placeholder\"")
        || (text.contains("\\u") && parse(text.as_bytes()).is_some_and(|data| has_place(&data)));
    if names_one {
        return Err(Unfit::Data(
            "free of `_placeholder`, which is a word of the protocol",
        ));
    }
    if depth(data.get()) > MAX_DEPTH {
        return Err(Unfit::Data("at most 64 lists and objects deep"));
    }
    Ok(data)
}

fn has_place(value: &Value) -> bool {
    match value {
        Value::Object(fields) => {
            fields.contains_key("_placeholder") || fields.values().any(has_place)
        }
        Value::Array(items) => items.iter().any(has_place),
        _ => false,
    }
}

/// How deep valid JSON is.
fn depth(json: &str) -> usize {
    let (mut deepest, mut depth, mut quoted, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in json.bytes() {
        match (quoted, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => quoted = !quoted,
            (false, b'[' | b'{') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn parse(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body).ok()
}

fn follow<'a>(body: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(body, |value, name| match value {
        Value::Array(list) => list.get(name.parse::<usize>().ok()?),
        _ => value.get(name),
    })
}

fn text(
    pick: &Pick,
    entry: &Entry,
    body: Option<&Value>,
    what: &'static str,
) -> Result<String, Unfit> {
    let missing = |from: String| Unfit::Missing { what, from };
    let found = match pick {
        Pick::Fixed(text) => text.clone(),
        Pick::Field(name) => {
            let value = entry.field(name);
            let value = value.ok_or_else(|| missing(format!("field:{name}")))?;
            let text = std::str::from_utf8(value).map_err(|_| Unfit::Name(what))?;
            text.to_owned()
        }
        Pick::Json(path) => match body.and_then(|body| follow(body, path)) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => return Err(missing(format!("json:{}", path.join(".")))),
        },
        Pick::Key(None) => entry.key.clone(),
        Pick::Key(Some(part)) => {
            let found = entry.key.split('.').nth(part - 1);
            found
                .ok_or_else(|| missing(format!("key:{part}")))?
                .to_owned()
        }
    };
    match found.len() {
        0 => Err(missing("it is empty".to_owned())),
        1..=MAX_NAME_BYTES => Ok(found),
        _ => Err(Unfit::Name(what)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn entry(body: &'static str) -> Entry {
        Entry {
            id: "7-0".to_owned(),
            fields: vec![
                ("room".to_owned(), Bytes::from_static(b"lobby")),
                ("event".to_owned(), Bytes::from_static(b"said")),
            ],
            key: "orders.de.new".to_owned(),
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    fn pick(text: &str) -> Pick {
        text.parse().unwrap()
    }

    #[test]
    fn by_default_fields_name_room_and_event_and_the_body_is_the_data_as_it_came() {
        let event = Mapping::default()
            .event(&entry(r#" {"b":1, "a":1.0} "#))
            .unwrap();
        assert_eq!((&*event.room, &*event.event), ("lobby", "said"));
        assert_eq!(event.data.get(), r#"{"b":1, "a":1.0}"#);
        assert_eq!(&*event.namespace, "/");
    }

    #[test]
    fn names_come_from_the_body_the_key_or_the_settings() {
        let mapping = Mapping {
            room: pick("json:order.rooms.1"),
            event: pick("key:3"),
            data: "json:order.total".parse().unwrap(),
            id: Some(pick("json:order.no")),
            ..Mapping::default()
        };
        let entry = entry(r#"{"order":{"no":12,"rooms":["a","b"],"total":[1,2]}}"#);
        let event = mapping.event(&entry).unwrap();
        assert_eq!(
            (&*event.room, &*event.event, event.data.get()),
            ("b", "new", "[1,2]")
        );
        assert_eq!(mapping.id(&entry), "12");
    }

    #[test]
    fn what_lacks_something_or_is_no_json_is_unfit_and_says_why() {
        let mapping = Mapping::default();
        assert_eq!(mapping.event(&entry("{")).unwrap_err(), Unfit::Data("JSON"));
        let mut without = entry("1");
        without.fields.remove(0);
        let unfit = mapping.event(&without).unwrap_err().to_string();
        assert_eq!(unfit, "it has no room (field:room)");
        let mut long = entry("1");
        long.fields[0].1 = Bytes::from(vec![b'x'; 513]);
        assert_eq!(mapping.event(&long).unwrap_err(), Unfit::Name("room"));
        // A place without its binary value would confuse clients.
        let place = entry(r#"{"_placeholder":true,"num":3}"#);
        assert!(mapping.event(&place).is_err());
        for (levels, fits) in [(64, true), (65, false)] {
            let deep = format!("{}\"[\\\"[\"{}", "[".repeat(levels), "]".repeat(levels));
            let mut deep_entry = entry("");
            deep_entry.body = Bytes::from(deep);
            assert_eq!(mapping.event(&deep_entry).is_ok(), fits, "{levels}");
        }
    }

    #[test]
    fn text_becomes_a_string_and_bytes_a_binary_value() {
        let mut mapping = Mapping {
            format: Format::Text,
            ..Mapping::default()
        };
        assert_eq!(
            mapping.event(&entry("a\"b")).unwrap().data.get(),
            r#""a\"b""#
        );
        mapping.format = Format::Binary;
        let event = mapping.event(&entry("\0x")).unwrap();
        assert_eq!(event.attachments, [Bytes::from_static(b"\0x")]);
        assert_eq!(event.data.get(), r#"{"_placeholder":true,"num":0}"#);
    }

    #[test]
    fn settings_that_say_nothing_are_refused() {
        for wrong in [
            "",
            "field:",
            "json:",
            "json:a..b",
            "key:0",
            "key:x",
            "other:x",
        ] {
            assert!(wrong.parse::<Pick>().is_err(), "{wrong}");
        }
        assert_eq!(pick("lobby"), Pick::Fixed("lobby".to_owned()));
        assert_eq!(pick("fixed:a:b"), Pick::Fixed("a:b".to_owned()));
    }
}
