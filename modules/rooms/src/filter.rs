//! Filters by tag: which events of a room a member wants.
//!
//! ```text
//! {"color": "red"}                           the tag is this
//! {"color": {"in": ["red", "blue"]}}         one of these
//! {"price": {"gt": 3, "lte": 10}}            numbers: gt, gte, lt, lte; both must hold
//! {"color": {"exists": false}}               is not there
//! {"color": {"ne": "red"}}                   is not this, or not there
//! {"a": 1, "b": 2}                           all of these
//! {"or": [{…}, {…}]}, {"and": [{…}, {…}]}    one of these, all of these
//! ```
//! Filters that mean the same in the same words have the same text, whatever the order of their keys: that text is what
//! members are grouped by.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use lakh_hub::{Failure, Payload, Sieve, Traits};
use parking_lot::RwLock;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::names;
use crate::options::Kinds;

/// Longest text of a filter.
const MAX_BYTES: usize = 512;
/// How deep filters may stand in each other.
const MAX_DEPTH: usize = 4;
/// Read filters that are remembered.
const MAX_READ: usize = 4_096;
/// Tags of an event.
const MAX_TAGS: usize = 16;
/// Bytes of all tags of an event together.
const MAX_TAG_BYTES: usize = 1_024;

/// What an event says of itself.
pub(crate) type Tags = BTreeMap<String, Value>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Tag(String, Test),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    In(Vec<Value>),
    Not(Value),
    Exists(bool),
    Above(f64),
    From(f64),
    Below(f64),
    To(f64),
}

impl Filter {
    /// Whether an event with these tags fits.
    pub(crate) fn fits(&self, tags: &Tags) -> bool {
        match self {
            Self::All(all) => all.iter().all(|part| part.fits(tags)),
            Self::Any(any) => any.iter().any(|part| part.fits(tags)),
            Self::Tag(name, test) => test.holds(tags.get(name)),
        }
    }

    fn read(value: &Value, depth: usize) -> Result<Self, Failure> {
        if depth > MAX_DEPTH {
            return Err(Failure::bad_request(format!(
                "filters may stand in each other {MAX_DEPTH} deep"
            )));
        }
        let Value::Object(parts) = value else {
            return Err(Failure::bad_request(
                "a filter is an object, such as {\"color\": \"red\"}",
            ));
        };
        let mut all = Vec::with_capacity(parts.len());
        for (name, wanted) in parts {
            let parts = match wanted {
                Value::Array(parts) => parts.iter().map(|part| Self::read(part, depth + 1)),
                _ => {
                    tests(name, wanted)?
                        .into_iter()
                        .for_each(|test| all.push(Self::Tag(name.clone(), test)));
                    continue;
                }
            };
            let parts = parts.collect::<Result<_, _>>()?;
            all.push(match name.as_str() {
                "and" => Self::All(parts),
                "or" => Self::Any(parts),
                _ => return Err(no_list(name)),
            });
        }
        Ok(Self::All(all))
    }
}

fn no_list(name: &str) -> Failure {
    Failure::bad_request(format!(
        "`{name}` has a list; only `and` and `or` take one, and a tag takes {{\"in\": […]}}"
    ))
}

fn tests(name: &str, wanted: &Value) -> Result<Vec<Test>, Failure> {
    match wanted {
        Value::Object(tests) if tests.is_empty() => Err(Failure::bad_request(format!(
            "nothing is asked of `{name}`: give a value, or a word such as {{\"in\": […]}}"
        ))),
        Value::Object(tests) => tests
            .iter()
            .map(|(word, value)| test(name, word, value))
            .collect(),
        plain => Ok(vec![Test::In(vec![scalar(name, plain)?])]),
    }
}

fn test(name: &str, word: &str, value: &Value) -> Result<Test, Failure> {
    let number = || {
        value.as_f64().ok_or_else(|| {
            Failure::bad_request(format!("`{word}` of `{name}` compares with a number"))
        })
    };
    Ok(match word {
        "eq" => Test::In(vec![scalar(name, value)?]),
        "ne" => Test::Not(scalar(name, value)?),
        "in" => {
            let Value::Array(values) = value else {
                return Err(Failure::bad_request(format!(
                    "`in` of `{name}` takes a list"
                )));
            };
            let values = values.iter().map(|value| scalar(name, value));
            Test::In(values.collect::<Result<_, _>>()?)
        }
        "exists" => Test::Exists(value.as_bool().ok_or_else(|| {
            Failure::bad_request(format!("`exists` of `{name}` takes true or false"))
        })?),
        "gt" => Test::Above(number()?),
        "gte" => Test::From(number()?),
        "lt" => Test::Below(number()?),
        "lte" => Test::To(number()?),
        other => {
            return Err(Failure::bad_request(format!(
                "unknown test `{other}` of `{name}`: known are eq, ne, in, exists, gt, gte, lt, lte"
            )));
        }
    })
}

fn scalar(name: &str, value: &Value) -> Result<Value, Failure> {
    match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Ok(value.clone()),
        _ => Err(Failure::bad_request(format!(
            "`{name}` is compared with text, a number, true or false"
        ))),
    }
}

impl Test {
    fn holds(&self, tag: Option<&Value>) -> bool {
        let number = || tag.and_then(Value::as_f64);
        match self {
            Self::In(values) => tag.is_some_and(|tag| values.iter().any(|value| same(value, tag))),
            Self::Not(value) => tag.is_none_or(|tag| !same(value, tag)),
            Self::Exists(wanted) => tag.is_some() == *wanted,
            Self::Above(bound) => number().is_some_and(|number| number > *bound),
            Self::From(bound) => number().is_some_and(|number| number >= *bound),
            Self::Below(bound) => number().is_some_and(|number| number < *bound),
            Self::To(bound) => number().is_some_and(|number| number <= *bound),
        }
    }
}

/// 1 and 1.0 are the same number.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// Reads a filter and gives its text. `None`: it lets everything through.
pub(crate) fn read(value: &Value) -> Result<Option<String>, Failure> {
    let filter = Filter::read(value, 1)?;
    if filter == Filter::All(Vec::new()) {
        return Ok(None);
    }
    // Keys of objects are in order here.
    let text = value.to_string();
    if text.len() > MAX_BYTES {
        return Err(Failure::bad_request(format!(
            "the filter has {} bytes; {MAX_BYTES} are allowed",
            text.len()
        )));
    }
    Ok(Some(text))
}

/// Checks an event's tags, and gives them as text. `None`: there are none.
pub(crate) fn tags(value: &Map<String, Value>) -> Result<Option<String>, Failure> {
    if value.is_empty() {
        return Ok(None);
    }
    for (name, tag) in value {
        scalar(name, tag)?;
    }
    let text = serde_json::to_string(value).unwrap_or_default();
    if value.len() > MAX_TAGS || text.len() > MAX_TAG_BYTES {
        return Err(Failure::bad_request(format!(
            "an event has {MAX_TAGS} tags at most, and {MAX_TAG_BYTES} bytes of them"
        )));
    }
    Ok(Some(text))
}

/// The tags of an event as its receivers get it.
pub(crate) fn tags_of(text: &str) -> Tags {
    #[derive(Deserialize)]
    struct Origin {
        #[serde(default)]
        tags: Tags,
    }
    type Event<'a> = (&'a RawValue, &'a RawValue, Origin);
    if !text.contains("\"tags\"") {
        return Tags::new();
    }
    serde_json::from_str::<Event<'_>>(text).map_or_else(|_| Tags::new(), |event| event.2.tags)
}

/// Filters by their text. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Filters {
    kinds: Arc<Kinds>,
    // Texts come from clients: the hash is keyed.
    read: Arc<RwLock<HashMap<Box<str>, Arc<Filter>>>>,
}

impl Filters {
    pub(crate) fn new(kinds: Arc<Kinds>) -> Self {
        Self {
            kinds,
            read: Arc::default(),
        }
    }

    /// The filter of a text that was a filter's. One that can't be read lets nothing through.
    pub(crate) fn get(&self, text: &str) -> Arc<Filter> {
        if let Some(filter) = self.read.read().get(text) {
            return Arc::clone(filter);
        }
        let filter = serde_json::from_str(text)
            .ok()
            .and_then(|value| Filter::read(&value, 1).ok());
        let filter = Arc::new(filter.unwrap_or(Filter::Any(Vec::new())));
        let mut read = self.read.write();
        if read.len() >= MAX_READ {
            // They are read anew as they are met.
            read.clear();
        }
        read.insert(text.into(), Arc::clone(&filter));
        filter
    }
}

impl Sieve for Filters {
    fn read(&self, event: &Payload) -> Traits {
        Arc::new(tags_of(event.text()))
    }

    fn passes(&self, filter: &str, event: &Traits) -> bool {
        event
            .downcast_ref::<Tags>()
            .is_some_and(|tags| self.get(filter).fits(tags))
    }

    fn max_filters(&self, room: &str) -> usize {
        names::name(room).map_or(0, |name| self.kinds.of(name).max_filters)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fits(filter: &Value, tags: Value) -> bool {
        let tags: Tags = serde_json::from_value(tags).expect("tags");
        Filter::read(filter, 1).expect("a filter").fits(&tags)
    }

    #[test]
    fn each_test_does_what_its_word_says() {
        for (filter, tags, expected) in [
            (json!({}), json!({}), true),
            (json!({"c": "red"}), json!({"c": "red"}), true),
            (json!({"c": "red"}), json!({"c": "blue"}), false),
            (json!({"c": "red"}), json!({}), false),
            (json!({"n": 1}), json!({"n": 1.0}), true),
            (json!({"n": 1}), json!({"n": "1"}), false),
            (json!({"b": true}), json!({"b": true}), true),
            (json!({"c": {"in": ["red", 3]}}), json!({"c": 3}), true),
            (json!({"c": {"in": []}}), json!({"c": 3}), false),
            (json!({"c": {"ne": "red"}}), json!({"c": "red"}), false),
            (json!({"c": {"ne": "red"}}), json!({}), true),
            (json!({"c": {"exists": true}}), json!({"c": 0}), true),
            (json!({"c": {"exists": false}}), json!({"c": 0}), false),
            (json!({"p": {"gt": 3, "lte": 10}}), json!({"p": 10}), true),
            (json!({"p": {"gt": 3, "lte": 10}}), json!({"p": 3}), false),
            (json!({"p": {"gte": 3, "lt": 10}}), json!({"p": 3}), true),
            (json!({"p": {"lt": 10}}), json!({"p": "9"}), false),
            (json!({"a": 1, "b": 2}), json!({"a": 1}), false),
            (json!({"or": [{"a": 1}, {"b": 2}]}), json!({"b": 2}), true),
            (json!({"or": []}), json!({"b": 2}), false),
            (
                json!({"and": [{"a": 1}, {"or": [{"b": 1}, {"b": 2}]}]}),
                json!({"a": 1, "b": 2}),
                true,
            ),
            (
                json!({"or": [{"a": 1}], "b": 1}),
                json!({"a": 1, "b": 2}),
                false,
            ),
        ] {
            assert_eq!(fits(&filter, tags.clone()), expected, "{filter} {tags}");
        }
    }

    #[test]
    fn what_is_no_filter_is_a_bad_request() {
        let deep = json!({"or": [{"or": [{"or": [{"or": [{"a": 1}]}]}]}]});
        for filter in [
            json!(1),
            json!(null),
            json!({"a": null}),
            json!({"a": [1]}),
            json!({"and": [1]}),
            json!({"a": {"in": 1}}),
            json!({"a": {"gt": "1"}}),
            json!({"a": {"like": "x"}}),
            json!({"a": {"exists": 1}}),
            json!({"a": "x".repeat(MAX_BYTES)}),
            deep,
        ] {
            let refused = read(&filter).map_err(|failure| failure.code);
            assert_eq!(refused, Err("bad_request"), "{filter}");
        }
    }

    #[test]
    fn equal_filters_have_one_text() {
        let text = |text: &str| read(&serde_json::from_str(text).expect("JSON")).expect("a filter");
        assert_eq!(
            text(r#"{"b": 1, "a": {"lt": 2, "gt": 1}}"#),
            text(r#"{"a":{"gt":1,"lt":2},"b":1}"#)
        );
        assert_eq!(text("{}"), None);
    }

    #[test]
    fn tags_are_read_from_the_event_and_bounded() {
        let event = r#"["e",{"tags":{"x":1}},{"room":"r","tags":{"c":"red"},"seq":1}]"#;
        assert_eq!(tags_of(event), Tags::from([("c".to_owned(), json!("red"))]));
        assert!(tags_of(r#"["e",{"tags":{"x":1}},{"room":"r"}]"#).is_empty());
        let many: Map<_, _> = (0..=MAX_TAGS).map(|n| (n.to_string(), json!(1))).collect();
        assert!(tags(&many).is_err());
        let long: Map<_, _> = [("a".to_owned(), json!("x".repeat(MAX_TAG_BYTES)))]
            .into_iter()
            .collect();
        assert!(tags(&long).is_err());
        let list: Map<_, _> = [("a".to_owned(), json!([1]))].into_iter().collect();
        assert!(tags(&list).is_err());
    }
}
