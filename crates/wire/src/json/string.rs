//! The text of JSON strings: escapes undone and made.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::scan::plain_prefix;

/// Undoes the escapes of what stands between the quotes of a valid JSON string. Half of a surrogate pair, which
/// JSON can spell and UTF-8 can't, becomes U+FFFD.
pub(crate) fn unescape(raw: &str) -> Cow<'_, str> {
    let Some(first) = raw.find('\\') else {
        return Cow::Borrowed(raw);
    };
    let mut out = String::with_capacity(raw.len());
    out.push_str(&raw[..first]);
    let mut rest = &raw[first..];
    while let Some(after) = rest.strip_prefix('\\') {
        let kind = after.as_bytes().first().copied().unwrap_or(b'\\');
        let mut used = 1;
        match kind {
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'n' => out.push('\n'),
            b'r' => out.push('\r'),
            b't' => out.push('\t'),
            b'u' => {
                let (character, length) = unicode_escape(after);
                out.push(character);
                used = length;
            }
            other => out.push(char::from(other)),
        }
        let tail = after.get(used..).unwrap_or_default();
        let plain = tail.find('\\').unwrap_or(tail.len());
        out.push_str(&tail[..plain]);
        rest = &tail[plain..];
    }
    Cow::Owned(out)
}

/// The character that `uXXXX` (or a pair of them, the second with its backslash) spells, and the length of that.
fn unicode_escape(text: &str) -> (char, usize) {
    let unit = |at: usize| {
        text.get(at..at + 4)
            .and_then(|hex| u16::from_str_radix(hex, 16).ok())
    };
    let Some(high) = unit(1) else {
        return (char::REPLACEMENT_CHARACTER, 1);
    };
    if (0xd800..0xdc00).contains(&high)
        && text.get(5..7) == Some("\\u")
        && let Some(low @ 0xdc00..=0xdfff) = unit(7)
    {
        let code = 0x10000 + ((u32::from(high) & 0x3ff) << 10 | u32::from(low) & 0x3ff);
        return (
            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
            11,
        );
    }
    (
        char::from_u32(u32::from(high)).unwrap_or(char::REPLACEMENT_CHARACTER),
        5,
    )
}

/// `text` as it stands between the quotes of a JSON string; borrowed where nothing needs an escape.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if plain_prefix(text.as_bytes()) == text.len() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    escape(&mut out, text);
    Cow::Owned(out)
}

/// Appends `text` as it stands between the quotes of a JSON string, escaped as `JSON.stringify` does.
pub(crate) fn escape(out: &mut String, text: &str) {
    let mut rest = text;
    loop {
        let plain = plain_prefix(rest.as_bytes());
        out.push_str(&rest[..plain]);
        let Some(&byte) = rest.as_bytes().get(plain) else {
            return;
        };
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            8 => out.push_str("\\b"),
            9 => out.push_str("\\t"),
            10 => out.push_str("\\n"),
            12 => out.push_str("\\f"),
            13 => out.push_str("\\r"),
            _ => {
                // Writing to a String can't fail.
                let _ = write!(out, "\\u{byte:04x}");
            }
        }
        rest = &rest[plain + 1..];
    }
}
