//! Entries of the stream: how they are appended, and how they come back.

use std::sync::LazyLock;

use redis::{Cmd, Value, cmd};

use super::backend::Backend;
use super::script::{Script, beside};
use crate::Once;
use crate::cluster::streams::{Fields, StreamId};

/// How long a counter is kept after its last entry. Whoever counts on gives the number that it must exceed, so one that
/// is forgotten does no harm as long as somebody remembers.
const COUNTER_SECONDS: u64 = 24 * 60 * 60;

static APPEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("append_entry.lua")));

/// What counts an entry.
#[derive(Clone, Debug)]
pub(crate) struct Counter {
    /// Its key in Redis.
    pub(crate) key: String,
    /// The number is greater than this one.
    pub(crate) floor: u64,
    /// Appended once, however often it is sent.
    pub(crate) once: Option<Noted>,
}

/// What notes that an entry was appended.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    /// Its key in Redis, which holds the entry's number.
    pub(crate) key: String,
    /// How long that is kept, in milliseconds. 0 is as good as 1.
    pub(crate) keep_ms: u64,
}

/// An entry that is to be appended.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    /// By which its sender knows it: from 1 on, in the order of the stream.
    pub(crate) ticket: u64,
    pub(crate) fields: Fields,
    pub(crate) counter: Option<Counter>,
}

/// An entry of the stream.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: StreamId,
    pub(crate) fields: Fields,
    /// What its counter gave it.
    pub(crate) number: Option<u64>,
}

/// The key of a counter of that namespace.
pub(crate) fn counter_key(stream: &str, nsp: &str, counter: &str) -> String {
    beside(stream, &format!(":n:{nsp}#{counter}"))
}

/// The key that notes an entry of that namespace.
pub(crate) fn once_key(stream: &str, nsp: &str, once: &Once) -> String {
    beside(stream, &format!(":o:{nsp}#{}#{}", once.scope, once.id))
}

/// The commands that append those entries, to be sent in this order over one connection.
pub(crate) fn appends<'a>(
    backend: &Backend,
    entries: impl IntoIterator<Item = &'a Outgoing>,
) -> Vec<Cmd> {
    let Backend::Streams {
        stream, max_len, ..
    } = backend
    else {
        return Vec::new();
    };
    // The first brings the script along, so that none has to be sent again because Redis was started anew: they would
    // come out of their order.
    let mut known = false;
    let one = |entry: &Outgoing| {
        let mut append = match &entry.counter {
            None => {
                let mut add = cmd("XADD");
                add.arg(stream).arg("MAXLEN").arg("~").arg(max_len).arg("*");
                add
            }
            Some(counter) => {
                let once = counter.once.as_ref();
                let keys = [stream.as_str(), counter.key.as_str()].into_iter();
                let keys: Vec<_> = keys.chain(once.map(|once| once.key.as_str())).collect();
                let mut call = if std::mem::replace(&mut known, true) {
                    APPEND.named(&keys)
                } else {
                    APPEND.whole(&keys)
                };
                call.arg(counter.floor).arg(max_len).arg(COUNTER_SECONDS);
                call.arg(once.map_or(0, |once| once.keep_ms.max(1)));
                call
            }
        };
        let fields = &entry.fields;
        append.arg("uid").arg(&fields.uid);
        append.arg("nsp").arg(&fields.nsp);
        append.arg("type").arg(&fields.kind);
        if let Some(data) = &fields.data {
            append.arg("data").arg(data);
        }
        append
    };
    entries.into_iter().map(one).collect()
}

/// What Redis answers when it has appended an entry: its place, and the number it has got. The place of one that was appended
/// before is that before all.
pub(crate) fn appended(value: &Value) -> Option<(StreamId, Option<u64>)> {
    match value {
        Value::Array(pair) => match pair.as_slice() {
            [id, Value::BulkString(text)] => Some((stream_id(id)?, number(text))),
            _ => None,
        },
        id => Some((stream_id(id)?, None)),
    }
}

/// Reads a list of entries. One that lacks fields of ours is kept, with those empty: its place counts.
pub(crate) fn entries(value: Value) -> Vec<Entry> {
    let Value::Array(list) = value else {
        return Vec::new();
    };
    list.into_iter().filter_map(entry).collect()
}

fn entry(value: Value) -> Option<Entry> {
    let Value::Array(pair) = value else {
        return None;
    };
    let [id, flat] = <[Value; 2]>::try_from(pair).ok()?;
    let mut entry = Entry {
        id: stream_id(&id)?,
        fields: Fields::default(),
        number: None,
    };
    if let Value::Array(flat) = flat {
        let mut flat = flat.into_iter();
        while let (Some(name), Some(value)) = (flat.next(), flat.next()) {
            let (Value::BulkString(name), Value::BulkString(value)) = (name, value) else {
                continue;
            };
            if name == b"n" {
                entry.number = number(&value);
                continue;
            }
            let value = String::from_utf8(value).unwrap_or_default();
            match name.as_slice() {
                b"uid" => entry.fields.uid = value,
                b"nsp" => entry.fields.nsp = value,
                b"type" => entry.fields.kind = value,
                b"data" => entry.fields.data = Some(value),
                _ => {}
            }
        }
    }
    Some(entry)
}

/// Digits and nothing else, as far as they fit.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().all(u8::is_ascii_digit);
    let text = digits.then(|| std::str::from_utf8(text).ok())??;
    text.parse().ok()
}

/// The place of an entry of the stream, out of what Redis answers.
pub(crate) fn stream_id(value: &Value) -> Option<StreamId> {
    match value {
        Value::BulkString(bytes) => StreamId::parse(std::str::from_utf8(bytes).ok()?),
        Value::SimpleString(text) => StreamId::parse(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_that_fit() {
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        for wrong in [
            &b"18446744073709551616"[..],
            b"",
            b"+1",
            b"-1",
            b"1.0",
            b"1e3",
            b" 1",
        ] {
            assert_eq!(number(wrong), None);
        }
    }
}
