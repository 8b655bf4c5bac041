//! The array of an event's arguments, as text: its name, and its elements as slices.

use std::borrow::Cow;

use crate::json::{MOST_DEPTH, Scanner, Token, unescape};

/// The name of the event in an array of arguments (`["name",…]`); borrowed unless it has escapes. `None` if the first
/// element is not a string, as with the numbers that a few clients use for names.
#[must_use]
pub fn event_name(text: &str) -> Option<Cow<'_, str>> {
    // Two tokens, so the cost is the name's, not the array's.
    let mut scanner = Scanner::new(text, MOST_DEPTH);
    if scanner.next().ok()? != Some(Token::ArrayStart) {
        return None;
    }
    match scanner.next().ok()? {
        Some(Token::Str { escaped: false }) => Some(Cow::Borrowed(scanner.span())),
        Some(Token::Str { escaped: true }) => Some(unescape(scanner.span())),
        _ => None,
    }
}

/// The raw text of each element of a JSON array, without the white space around it. Empty if `text` is not an array;
/// up to the fault if it is malformed.
#[must_use]
pub fn split_args(text: &str) -> Vec<&str> {
    let mut args = Vec::new();
    let mut scanner = Scanner::new(text, MOST_DEPTH);
    if !matches!(scanner.next(), Ok(Some(Token::ArrayStart))) {
        return args;
    }
    let mut start = 0;
    while let Ok(Some(token)) = scanner.next() {
        match (token, scanner.depth()) {
            (Token::ArrayStart | Token::ObjectStart, 2) => start = scanner.token_start(),
            (Token::ArrayEnd | Token::ObjectEnd, 1) => args.push(&text[start..scanner.offset()]),
            (Token::Str { .. }, 1) => {
                args.push(&text[scanner.token_start() - 1..scanner.offset()]);
            }
            (Token::Number | Token::True | Token::False | Token::Null, 1) => {
                args.push(scanner.span());
            }
            _ => {}
        }
    }
    args
}
