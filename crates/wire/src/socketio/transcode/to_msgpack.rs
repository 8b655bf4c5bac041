//! JSON in, msgpack out. msgpack says how long a container is before its content, so the text is read twice: once to
//! count, once to write.

use std::borrow::Cow;

use bytes::Bytes;

use crate::json::{
    Container, JsonError, MOST_DEPTH, Placeholder, Scanner, Token, containers, unescape,
};
use crate::msgpack::{
    write_array_header, write_bin, write_f64, write_i64, write_map_header, write_str, write_u64,
};

const NIL: u8 = 0xc0;

pub(crate) fn append_json_as_msgpack(out: &mut Vec<u8>, text: &str, attachments: &[Bytes]) {
    let start = out.len();
    let written = containers(text, MOST_DEPTH)
        .and_then(|containers| write(out, text, &containers, attachments));
    if written.is_err() {
        out.truncate(start);
        out.push(NIL);
    }
}

fn write(
    out: &mut Vec<u8>,
    text: &str,
    containers: &[Container],
    attachments: &[Bytes],
) -> Result<(), JsonError> {
    let mut scanner = Scanner::new(text, MOST_DEPTH);
    let mut next_container = 0;
    while let Some(token) = scanner.next()? {
        let span = scanner.span();
        match token {
            Token::ArrayStart | Token::ObjectStart => {
                // Both passes see the same containers in the same order.
                let Some(container) = containers.get(next_container) else {
                    return Err(JsonError::Syntax);
                };
                next_container += 1;
                if let Some(data) = attachment(container, attachments) {
                    write_bin(out, data);
                    next_container += container.inside;
                    skip_to_end(&mut scanner)?;
                } else if token == Token::ArrayStart {
                    write_array_header(out, container.entries);
                } else {
                    write_map_header(out, container.entries);
                }
            }
            Token::ArrayEnd | Token::ObjectEnd => {}
            Token::Key { escaped } | Token::Str { escaped } => {
                let plain = if escaped {
                    unescape(span)
                } else {
                    Cow::Borrowed(span)
                };
                write_str(out, &plain);
            }
            Token::Number => write_number(out, span),
            Token::True => out.push(0xc3),
            Token::False => out.push(0xc2),
            Token::Null => out.push(NIL),
        }
    }
    Ok(())
}

fn attachment<'a>(container: &Container, attachments: &'a [Bytes]) -> Option<&'a Bytes> {
    match container.placeholder {
        Placeholder::Attachment(number) => attachments.get(number as usize),
        Placeholder::No | Placeholder::Bad => None,
    }
}

/// Passes the rest of the container that has just opened.
fn skip_to_end(scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
    let outside = scanner.depth() - 1;
    while scanner.depth() > outside {
        scanner.next()?;
    }
    Ok(())
}

fn write_number(out: &mut Vec<u8>, text: &str) {
    if let Ok(number) = text.parse::<i64>() {
        write_i64(out, number);
    } else if let Ok(number) = text.parse::<u64>() {
        write_u64(out, number);
    } else {
        // Every JSON number is one that Rust reads; beyond the range it becomes infinite, as in JavaScript.
        write_f64(out, text.parse().unwrap_or(f64::NAN));
    }
}
