//! What has to be known about arrays and objects before they are written as msgpack: how many entries they have,
//! and which objects stand for binary attachments.
//!
//! An object with `"_placeholder":true` stands for the attachment `num`, whatever else it holds; of a doubled key the
//! last counts. These are the rules of Node's parser, and they matter: a bad `num` that is passed on makes every
//! receiver drop its connection.

use std::borrow::Cow;

use super::{JsonError, Scanner, Token, unescape};

/// Whether an object stands for an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placeholder {
    /// It does not; nor does an array.
    No,
    /// It does, for the attachment with this number.
    Attachment(u32),
    /// It claims to, without a whole number that is not negative.
    Bad,
}

/// One array or object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Container {
    /// Elements, or pairs.
    pub(crate) entries: u32,
    pub(crate) placeholder: Placeholder,
    /// How many containers are inside, at all depths.
    pub(crate) inside: usize,
}

/// What is being said about the placeholder by the open object.
struct Open {
    index: usize,
    key: Key,
    flag: bool,
    number: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    None,
    Flag,
    Number,
    Other,
}

/// All arrays and objects of `text`, in the order in which they open.
pub(crate) fn containers(text: &str, max_depth: usize) -> Result<Vec<Container>, JsonError> {
    let mut all: Vec<Container> = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut scanner = Scanner::new(text, max_depth);
    while let Some(token) = scanner.next()? {
        if let Token::ArrayEnd | Token::ObjectEnd = token {
            if let Some(done) = open.pop() {
                let inside = all.len() - done.index - 1;
                all[done.index].inside = inside;
                all[done.index].placeholder = done.placeholder();
            }
            continue;
        }
        if let Some(parent) = open.last_mut() {
            if let Token::Key { escaped } = token {
                parent.key = Key::of(scanner.span(), escaped);
                all[parent.index].entries += 1;
                continue;
            }
            if parent.key == Key::None {
                all[parent.index].entries += 1;
            }
            parent.value(token, scanner.span());
        }
        if let Token::ArrayStart | Token::ObjectStart = token {
            open.push(Open {
                index: all.len(),
                key: Key::None,
                flag: false,
                number: None,
            });
            all.push(Container {
                entries: 0,
                placeholder: Placeholder::No,
                inside: 0,
            });
        }
    }
    Ok(all)
}

impl Key {
    fn of(raw: &str, escaped: bool) -> Key {
        let name = if escaped {
            unescape(raw)
        } else {
            Cow::Borrowed(raw)
        };
        match &*name {
            "_placeholder" => Key::Flag,
            "num" => Key::Number,
            _ => Key::Other,
        }
    }
}

impl Open {
    fn value(&mut self, token: Token, text: &str) {
        match self.key {
            Key::Flag => self.flag = token == Token::True,
            Key::Number => {
                self.number = (token == Token::Number).then(|| whole(text)).flatten();
            }
            Key::Other | Key::None => {}
        }
    }

    fn placeholder(&self) -> Placeholder {
        match (self.flag, self.number) {
            (false, _) => Placeholder::No,
            (true, Some(number)) => Placeholder::Attachment(number),
            (true, None) => Placeholder::Bad,
        }
    }
}

/// The whole number that a JSON number spells, as JavaScript reads it (`1.0` and `1e0` are 1).
fn whole(text: &str) -> Option<u32> {
    let number: f64 = text.parse().ok()?;
    (number.fract() == 0.0 && (0.0..f64::from(u32::MAX)).contains(&number)).then_some(number as u32)
}
