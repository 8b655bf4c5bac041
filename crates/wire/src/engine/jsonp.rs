//! Polling for clients without cross-origin requests: answers as scripts, bodies as forms.
//!
//! Source: "JSONP" of the v3 page and Node's `polling-jsonp`.

use super::handshake;
use crate::json;

/// The answer to a JSONP poll: `___eio[<index>]("<payload>");`. `index` is [`Query::jsonp`](handshake::Query), digits
/// only. The payload becomes a string that is valid JavaScript, not only JSON.
#[must_use]
pub fn wrap(index: &str, payload: &str) -> String {
    let mut out = String::with_capacity(payload.len() + payload.len() / 8 + 24);
    out.push_str("___eio[");
    out.extend(index.chars().filter(char::is_ascii_digit));
    out.push_str("](\"");
    for (i, line) in payload.split(['\u{2028}', '\u{2029}']).enumerate() {
        if i > 0 {
            // Both end a line in old JavaScript. Which one stood here is the character before this piece.
            let at = line.as_ptr() as usize - payload.as_ptr() as usize;
            out.push_str(if payload[..at].ends_with('\u{2028}') {
                "\\u2028"
            } else {
                "\\u2029"
            });
        }
        json::escape(&mut out, line);
    }
    out.push_str("\");");
    out
}

/// The payload in a JSONP form body (`d=…`), with the escapes of line feeds undone; `None` if there is none.
#[must_use]
pub fn unwrap_form(body: &str) -> Option<String> {
    let (_, data) = handshake::params(body).find(|(key, _)| key == "d")?;
    // Browsers mangle line feeds in forms, so the client sends a line feed as `\n` and a `\n` as `\\n`.
    let mut out = String::with_capacity(data.len());
    let mut rest = &*data;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (text, used) = if rest.starts_with("\\\\n") {
            ("\\n", 3)
        } else if rest.starts_with("\\n") {
            ("\n", 2)
        } else {
            ("\\", 1)
        };
        out.push_str(text);
        rest = &rest[used..];
    }
    out.push_str(rest);
    Some(out)
}
