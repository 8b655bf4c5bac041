//! What a hook in the way answers: `{"allow":true}`, `{"refuse":{"code","message"}}` or `{"change":{"data":…}}`.

use std::collections::{BTreeSet, HashSet};

use lakh_hub::{Failure, Limits};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use thiserror::Error;

use super::admit::Admission;
use super::config::On;
use crate::told::placeholder;

/// Longest message of a refusal that clients are told, in characters.
const MAX_MESSAGE_CHARS: usize = 500;
/// Different codes that hooks may use while the server runs: each is kept for good.
const MAX_CODES: usize = 256;
/// The code where the hook gives none, or one that can't be used.
const REFUSED: &str = "refused";

/// What was said.
#[derive(Debug)]
pub(crate) enum Said {
    Allow,
    Refuse(Failure),
    Change(Box<RawValue>),
}

#[derive(Deserialize)]
struct Answer {
    allow: Option<bool>,
    refuse: Option<Refusal>,
    change: Option<Change>,
}

#[derive(Default, Deserialize)]
struct Refusal {
    code: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct Change {
    data: Box<RawValue>,
}

/// Why an answer is none.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum Nonsense {
    #[error("the answer is no JSON of the kind {{\"allow\":true}}: {0}")]
    NotJson(String),
    #[error("the answer must hold one of `allow`, `refuse` and `change`")]
    NotOne,
    #[error("a join can't be changed, only allowed or refused")]
    Unchangeable,
    #[error("the changed data has {0} bytes or is nested too deeply")]
    TooLarge(usize),
    #[error("the changed data has a placeholder that was not there, or one of them twice")]
    Placeholders,
    #[error("the changed data of a connect is {{name, roles, grants}}: {0}")]
    NoAdmission(String),
}

/// Reads an answer to a question about `asked` data.
pub(crate) fn read(
    answer: &[u8],
    on: On,
    asked: Option<&str>,
    limits: &Limits,
) -> Result<Said, Nonsense> {
    let answer: Answer =
        serde_json::from_slice(answer).map_err(|error| Nonsense::NotJson(error.to_string()))?;
    match answer {
        Answer {
            allow: Some(true),
            refuse: None,
            change: None,
        } => Ok(Said::Allow),
        Answer {
            allow: Some(false),
            refuse: None,
            change: None,
        } => Ok(Said::Refuse(failure(Refusal::default()))),
        Answer {
            allow: None,
            refuse: Some(refusal),
            change: None,
        } => Ok(Said::Refuse(failure(refusal))),
        Answer {
            allow: None,
            refuse: None,
            change: Some(Change { data }),
        } => check(&data, on, asked, limits).map(|()| Said::Change(data)),
        _ => Err(Nonsense::NotOne),
    }
}

/// The data that an answer changes a question's data to, for the fuzz targets.
#[must_use]
pub fn changed(answer: &[u8], on: On, asked: &str) -> Option<String> {
    match read(answer, on, Some(asked), &Limits::default()) {
        Ok(Said::Change(data)) => Some(data.get().to_owned()),
        _ => None,
    }
}

fn failure(refusal: Refusal) -> Failure {
    let message = refusal.message.unwrap_or_default();
    let message: String = message
        .chars()
        .filter(|char| !char.is_control())
        .take(MAX_MESSAGE_CHARS)
        .collect();
    let message = match message.trim() {
        "" => "the server's backend doesn't let you".to_owned(),
        message => message.to_owned(),
    };
    Failure::new(refusal.code.as_deref().map_or(REFUSED, known_code), message)
}

/// Codes live as long as the process: they are words of somebody's code. Past the bound, or for what is no word, there is
/// the general one.
fn known_code(code: &str) -> &'static str {
    static CODES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let of_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if code.is_empty() || code.len() > 64 || !code.bytes().all(of_word) {
        return REFUSED;
    }
    let mut codes = CODES.lock();
    if let Some(known) = codes.get(code) {
        return known;
    }
    if codes.len() >= MAX_CODES {
        return REFUSED;
    }
    let kept: &'static str = Box::leak(code.into());
    codes.insert(kept);
    kept
}

fn check(data: &RawValue, on: On, asked: Option<&str>, limits: &Limits) -> Result<(), Nonsense> {
    let text = data.get();
    if text.len() > limits.max_payload_bytes || depth(text) > limits.max_depth {
        return Err(Nonsense::TooLarge(text.len()));
    }
    match on {
        On::Subscribe => Err(Nonsense::Unchangeable),
        On::Connect => match Admission::read(data) {
            Ok(_) => Ok(()),
            Err(wrong) => Err(Nonsense::NoAdmission(wrong)),
        },
        On::Publish => {
            let (mut had, mut has) = (Vec::new(), Vec::new());
            collect(asked.unwrap_or("null"), &mut had)?;
            collect(text, &mut has)?;
            let had: HashSet<u64> = had.into_iter().collect();
            let mut seen = HashSet::new();
            // The values behind them are sent as they came: each has one place at most.
            let fit = has
                .into_iter()
                .all(|number| had.contains(&number) && seen.insert(number));
            fit.then_some(()).ok_or(Nonsense::Placeholders)
        }
    }
}

/// How deep the brackets of a JSON text stand in each other.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_text, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn collect(text: &str, numbers: &mut Vec<u64>) -> Result<(), Nonsense> {
    fn walk(value: &Value, numbers: &mut Vec<u64>) -> bool {
        let claims = value.get("_placeholder").and_then(Value::as_bool) == Some(true);
        match (placeholder(value), value) {
            (Some(number), _) => numbers.push(number),
            // It would stand for a value that nobody has.
            (None, _) if claims => return false,
            (None, Value::Array(items)) => return items.iter().all(|item| walk(item, numbers)),
            (None, Value::Object(fields)) => {
                return fields.values().all(|field| walk(field, numbers));
            }
            _ => {}
        }
        true
    }
    let value: Value =
        serde_json::from_str(text).map_err(|error| Nonsense::NotJson(error.to_string()))?;
    walk(&value, numbers)
        .then_some(())
        .ok_or(Nonsense::Placeholders)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use super::*;

    fn said(answer: &str, on: On, asked: &str) -> Result<Said, Nonsense> {
        read(answer.as_bytes(), on, Some(asked), &Limits::default())
    }

    #[test]
    fn answers_are_a_table() {
        let of = |answer: &str, on, asked| match said(answer, on, asked) {
            Ok(Said::Allow) => "allow".to_owned(),
            Ok(Said::Refuse(failure)) => format!("{} {}", failure.code, failure.message),
            Ok(Said::Change(data)) => data.get().to_owned(),
            Err(error) => format!("{error:?}")
                .chars()
                .take_while(|c| c.is_alphabetic())
                .collect(),
        };
        let general = "refused the server's backend doesn't let you";
        for (answer, on, expected) in [
            (r#"{"allow":true}"#, On::Publish, "allow"),
            (r#"{"allow":true,"more":1}"#, On::Connect, "allow"),
            (r#"{"allow":false}"#, On::Publish, general),
            (r#"{"refuse":{}}"#, On::Publish, general),
            (
                r#"{"refuse":{"code":"no_funds","message":"Pay first"}}"#,
                On::Subscribe,
                "no_funds Pay first",
            ),
            (
                r#"{"refuse":{"code":"No Funds","message":" \u0007 "}}"#,
                On::Subscribe,
                general,
            ),
            (r#"{"change":{"data":{"a":1}}}"#, On::Publish, r#"{"a":1}"#),
            (r#"{"change":{"data":1}}"#, On::Subscribe, "Unchangeable"),
            (
                r#"{"change":{"data":{"roles":["vip"]}}}"#,
                On::Connect,
                r#"{"roles":["vip"]}"#,
            ),
            (
                r#"{"change":{"data":{"admin":true}}}"#,
                On::Connect,
                "NoAdmission",
            ),
            (
                r#"{"change":{"data":{"grants":["nonsense"]}}}"#,
                On::Connect,
                "NoAdmission",
            ),
            (r#"{"allow":true,"refuse":{}}"#, On::Publish, "NotOne"),
            (r#"{}"#, On::Publish, "NotOne"),
            ("", On::Publish, "NotJson"),
            ("<html>", On::Publish, "NotJson"),
        ] {
            assert_eq!(of(answer, on, "null"), expected, "{answer}");
        }
    }

    #[test]
    fn changed_data_may_have_fewer_binary_values_and_no_others() {
        let asked = r#"[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
        for (data, fits) in [
            (asked, true),
            (r#"{"x":{"_placeholder":true,"num":1}}"#, true),
            (r#""none""#, true),
            (r#"[{"_placeholder":true,"num":2}]"#, false),
            (
                r#"[{"_placeholder":true,"num":1},{"_placeholder":true,"num":1}]"#,
                false,
            ),
            (r#"[{"_placeholder":true}]"#, false),
            (r#"[{"_placeholder":true,"num":-1}]"#, false),
        ] {
            let answer = format!(r#"{{"change":{{"data":{data}}}}}"#);
            assert_eq!(said(&answer, On::Publish, asked).is_ok(), fits, "{data}");
        }
    }

    #[test]
    fn changed_data_keeps_to_the_limits_of_what_clients_may_send() {
        let limits = Limits {
            max_payload_bytes: 20,
            max_depth: 3,
            ..Limits::default()
        };
        for (data, fits) in [
            (r#""123456789012345678""#, true),
            (r#""1234567890123456789""#, false),
            ("[[[1]]]", true),
            ("[[[[1]]]]", false),
            (r#""[[[[\"[[""#, true),
        ] {
            let answer = format!(r#"{{"change":{{"data":{data}}}}}"#);
            let read = read(answer.as_bytes(), On::Publish, None, &limits);
            assert_eq!(read.is_ok(), fits, "{data}");
        }
    }

    #[test]
    fn codes_are_bounded() {
        for number in 0..MAX_CODES * 2 {
            let code = known_code(&format!("code_{number}"));
            assert!(code == REFUSED || code == format!("code_{number}"));
        }
        assert_eq!(known_code("one_too_many"), REFUSED);
    }
}
