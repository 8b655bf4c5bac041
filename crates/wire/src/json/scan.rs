//! The scanner: one token at a time, without recursion; its stack is a bit a level.

use super::MOST_DEPTH;

/// Why a text is not JSON that we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JsonError {
    /// Against the grammar, or more than one value.
    Syntax,
    /// Nested beyond the limit.
    TooDeep,
}

/// What the scanner just passed. Its text is [`Scanner::span`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    ArrayStart,
    ArrayEnd,
    ObjectStart,
    ObjectEnd,
    /// A key; the span is what stands between the quotes.
    Key {
        escaped: bool,
    },
    /// A string value; the span is what stands between the quotes.
    Str {
        escaped: bool,
    },
    Number,
    True,
    False,
    Null,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    CommaOrEnd,
    Nothing,
}

/// Reads one JSON value from a text that is only that value (and white space).
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// Where the last token lies.
    start: usize,
    end: usize,
    expect: Expect,
    depth: usize,
    max_depth: usize,
    /// A bit a level: 1 for an object.
    objects: [u64; MOST_DEPTH / 64],
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str, max_depth: usize) -> Scanner<'a> {
        Scanner {
            text,
            at: 0,
            start: 0,
            end: 0,
            expect: Expect::Value,
            depth: 0,
            max_depth: max_depth.min(MOST_DEPTH),
            objects: [0; MOST_DEPTH / 64],
        }
    }

    /// The text of the last token; of strings and keys without the quotes.
    pub(crate) fn span(&self) -> &'a str {
        &self.text[self.start..self.end]
    }

    /// The byte offset where [`Scanner::span`] starts.
    pub(crate) fn token_start(&self) -> usize {
        self.start
    }

    /// The byte offset behind the last token, and behind its closing quote.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    /// How many arrays and objects are open.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// The next token; `None` once at the end of the text, behind exactly one value.
    pub(crate) fn next(&mut self) -> Result<Option<Token>, JsonError> {
        let bytes = self.text.as_bytes();
        loop {
            while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(self.at) {
                self.at += 1;
            }
            let Some(&byte) = bytes.get(self.at) else {
                return match self.expect {
                    Expect::Nothing => Ok(None),
                    _ => Err(JsonError::Syntax),
                };
            };
            self.start = self.at;
            let token = match (self.expect, byte) {
                (Expect::Nothing, _) => return Err(JsonError::Syntax),
                (Expect::CommaOrEnd, b',') => {
                    self.at += 1;
                    self.expect = if self.in_object() {
                        Expect::Key
                    } else {
                        Expect::Value
                    };
                    continue;
                }
                (Expect::CommaOrEnd | Expect::KeyOrEnd, b'}') if self.in_object() => {
                    self.close(Token::ObjectEnd)
                }
                (Expect::CommaOrEnd | Expect::ValueOrEnd, b']') if !self.in_object() => {
                    self.close(Token::ArrayEnd)
                }
                (Expect::CommaOrEnd, _) => return Err(JsonError::Syntax),
                (Expect::Key | Expect::KeyOrEnd, b'"') => self.key()?,
                (Expect::Key | Expect::KeyOrEnd, _) => return Err(JsonError::Syntax),
                (Expect::Value | Expect::ValueOrEnd, _) => self.value(byte)?,
            };
            return Ok(Some(token));
        }
    }

    fn value(&mut self, byte: u8) -> Result<Token, JsonError> {
        let token = match byte {
            b'[' => return self.open(false),
            b'{' => return self.open(true),
            b'"' => Token::Str {
                escaped: self.string()?,
            },
            b'-' | b'0'..=b'9' => {
                self.number()?;
                Token::Number
            }
            b't' => self.word("true", Token::True)?,
            b'f' => self.word("false", Token::False)?,
            b'n' => self.word("null", Token::Null)?,
            _ => return Err(JsonError::Syntax),
        };
        self.after_value();
        Ok(token)
    }

    fn open(&mut self, object: bool) -> Result<Token, JsonError> {
        if self.depth >= self.max_depth {
            return Err(JsonError::TooDeep);
        }
        let (word, bit) = (self.depth / 64, 1 << (self.depth % 64));
        if object {
            self.objects[word] |= bit;
        } else {
            self.objects[word] &= !bit;
        }
        self.depth += 1;
        self.at += 1;
        self.end = self.at;
        Ok(if object {
            self.expect = Expect::KeyOrEnd;
            Token::ObjectStart
        } else {
            self.expect = Expect::ValueOrEnd;
            Token::ArrayStart
        })
    }

    fn close(&mut self, token: Token) -> Token {
        self.depth -= 1;
        self.at += 1;
        self.end = self.at;
        self.after_value();
        token
    }

    fn after_value(&mut self) {
        self.expect = if self.depth == 0 {
            Expect::Nothing
        } else {
            Expect::CommaOrEnd
        };
    }

    fn in_object(&self) -> bool {
        self.depth
            .checked_sub(1)
            .is_some_and(|level| self.objects[level / 64] >> (level % 64) & 1 == 1)
    }

    fn key(&mut self) -> Result<Token, JsonError> {
        let escaped = self.string()?;
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(self.at) {
            self.at += 1;
        }
        if bytes.get(self.at) != Some(&b':') {
            return Err(JsonError::Syntax);
        }
        self.at += 1;
        self.expect = Expect::Value;
        Ok(Token::Key { escaped })
    }

    /// Passes a string, whose opening quote is at `at`. Returns whether it has escapes.
    fn string(&mut self) -> Result<bool, JsonError> {
        let bytes = self.text.as_bytes();
        let mut at = self.at + 1;
        self.start = at;
        let mut escaped = false;
        loop {
            at += plain_prefix(&bytes[at..]);
            match bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at += match bytes.get(at + 1) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
                        Some(b'u') if is_hex4(&bytes[at + 2..]) => 6,
                        _ => return Err(JsonError::Syntax),
                    };
                }
                _ => return Err(JsonError::Syntax),
            }
        }
        self.end = at;
        self.at = at + 1;
        Ok(escaped)
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let bytes = self.text.as_bytes();
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let whole = self.at + usize::from(bytes[self.at] == b'-');
        let mut at = digits(whole);
        if at == whole || (bytes[whole] == b'0' && at > whole + 1) {
            return Err(JsonError::Syntax);
        }
        if bytes.get(at) == Some(&b'.') {
            let fraction = at + 1;
            at = digits(fraction);
            if at == fraction {
                return Err(JsonError::Syntax);
            }
        }
        if let Some(b'e' | b'E') = bytes.get(at) {
            let exponent = at + 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
            at = digits(exponent);
            if at == exponent {
                return Err(JsonError::Syntax);
            }
        }
        self.at = at;
        self.end = at;
        Ok(())
    }

    fn word(&mut self, word: &str, token: Token) -> Result<Token, JsonError> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(JsonError::Syntax);
        }
        self.at += word.len();
        self.end = self.at;
        Ok(token)
    }
}

fn is_hex4(bytes: &[u8]) -> bool {
    bytes
        .first_chunk::<4>()
        .is_some_and(|four| four.iter().all(u8::is_ascii_hexdigit))
}

/// How many bytes pass before a quote, a backslash or a control character; eight at a time.
pub(super) fn plain_prefix(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGHS;
    let mut at = 0;
    while let Some(chunk) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let slash = below(word ^ (ONES * u64::from(b'\\')), 1);
        // A borrow can mark only bytes above a true hit, and the lowest hit is the one that counts.
        let hits = below(word, 0x20) | quote | slash;
        if hits != 0 {
            return at + hits.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + bytes[at..]
        .iter()
        .take_while(|b| !matches!(b, b'"' | b'\\' | 0..0x20))
        .count()
}
