//! The answer to one poll, written packet by packet.

use super::SEPARATOR;
use crate::engine::Version;
use crate::engine::packet::append_base64;

/// The content type of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// `text/plain; charset=UTF-8`
    TextPlain,
    /// `application/octet-stream`
    OctetStream,
}

impl ContentType {
    /// The value of the header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            ContentType::TextPlain => "text/plain; charset=UTF-8",
            ContentType::OctetStream => "application/octet-stream",
        }
    }
}

/// Collects packets and makes the body of one answer.
///
/// A revision 3 answer is text until the first binary packet. If the client can read binary bodies, all packets
/// are then written in the binary form, as Node does; so the writer keeps where each packet lies.
#[derive(Debug)]
pub struct Writer {
    out: Vec<u8>,
    version: Version,
    supports_binary: bool,
    /// The packets of a revision 3 answer that is still text: where each lies in `out`, without its length.
    v3_texts: Vec<(usize, usize)>,
    binary_form: bool,
}

impl Writer {
    /// A writer for a client of this revision. `supports_binary` counts in revision 3 only: false if the client sent
    /// `b64` or polls by JSONP.
    #[must_use]
    pub fn new(version: Version, supports_binary: bool) -> Writer {
        Writer {
            out: Vec::new(),
            version,
            supports_binary,
            v3_texts: Vec::new(),
            binary_form: false,
        }
    }

    /// Appends a text packet with its type digit, such as `4hello`. It has to be UTF-8.
    pub fn push_text(&mut self, packet: &[u8]) {
        match self.version {
            Version::V4 => {
                self.separate();
                self.out.extend_from_slice(packet);
            }
            Version::V3 if self.binary_form => self.push_counted(0, &[], packet),
            Version::V3 => self.push_v3_text(&[], packet),
        }
    }

    /// Appends a message packet with binary data.
    pub fn push_binary(&mut self, data: &[u8]) {
        match self.version {
            Version::V4 => {
                self.separate();
                self.out.push(b'b');
                append_base64(&mut self.out, data);
            }
            Version::V3 if self.supports_binary => {
                self.turn_binary();
                self.push_counted(1, &[4], data);
            }
            Version::V3 => {
                let mut text = Vec::with_capacity(data.len().div_ceil(3) * 4);
                append_base64(&mut text, data);
                self.push_v3_text(b"b4", &text);
            }
        }
    }

    /// Bytes of the body so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether no packet was pushed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// The body and its content type.
    #[must_use]
    pub fn finish(mut self) -> (Vec<u8>, ContentType) {
        if self.binary_form {
            return (self.out, ContentType::OctetStream);
        }
        if self.version == Version::V3 && self.out.is_empty() {
            self.out.extend_from_slice(b"0:");
        }
        (self.out, ContentType::TextPlain)
    }

    fn separate(&mut self) {
        if !self.out.is_empty() {
            self.out.push(SEPARATOR);
        }
    }

    fn push_v3_text(&mut self, prefix: &[u8], packet: &[u8]) {
        append_decimal(&mut self.out, prefix.len() + utf16_units(packet));
        self.out.push(b':');
        let start = self.out.len();
        self.out.extend_from_slice(prefix);
        self.out.extend_from_slice(packet);
        self.v3_texts.push((start, self.out.len()));
    }

    fn push_counted(&mut self, kind: u8, prefix: &[u8], packet: &[u8]) {
        self.out.push(kind);
        let digits = self.out.len();
        append_decimal(&mut self.out, prefix.len() + packet.len());
        for digit in &mut self.out[digits..] {
            *digit -= b'0';
        }
        self.out.push(0xff);
        self.out.extend_from_slice(prefix);
        self.out.extend_from_slice(packet);
    }

    /// Rewrites what is there in the binary form; once an answer.
    fn turn_binary(&mut self) {
        if self.binary_form {
            return;
        }
        self.binary_form = true;
        let text = std::mem::take(&mut self.out);
        for (start, end) in std::mem::take(&mut self.v3_texts) {
            self.push_counted(0, &[], &text[start..end]);
        }
    }
}

/// How many UTF-16 units a UTF-8 text has: one a character, two beyond the basic plane (4 bytes in UTF-8).
fn utf16_units(text: &[u8]) -> usize {
    let starts = text.iter().filter(|b| **b & 0xc0 != 0x80).count();
    starts + text.iter().filter(|b| **b >= 0xf0).count()
}

fn append_decimal(out: &mut Vec<u8>, number: usize) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut left = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}
