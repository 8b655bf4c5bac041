//! The bytes of an entry of the log.
//!
//! ```text
//! 1 · number u64 (0: not counted) · length u16 · namespace · length u8 · type · data
//! ```
//! Numbers are big-endian. Type and data are those of an entry of the stream in Redis; the first byte is the format.

use lakh_broker::cluster::streams::{Fields, decode_entry};
use lakh_broker::cluster::{DecodeError, Limits, Message};

const FORMAT: u8 = 1;
const NUMBER: std::ops::Range<usize> = 1..9;

/// An entry as it was read.
pub(super) struct Read {
    pub(super) number: Option<u64>,
    pub(super) message: Message,
}

/// `None` for names that no namespace has.
pub(super) fn encode(fields: &Fields) -> Option<Vec<u8>> {
    let data = fields.data.as_deref().unwrap_or_default();
    let mut out = Vec::with_capacity(12 + fields.nsp.len() + fields.kind.len() + data.len());
    out.push(FORMAT);
    out.extend([0; 8]);
    out.extend(u16::try_from(fields.nsp.len()).ok()?.to_be_bytes());
    out.extend(fields.nsp.as_bytes());
    out.push(u8::try_from(fields.kind.len()).ok()?);
    out.extend(fields.kind.as_bytes());
    out.extend(data.as_bytes());
    Some(out)
}

/// Gives an entry its number.
pub(super) fn set_number(entry: &mut [u8], number: u64) {
    if let Some(place) = entry.get_mut(NUMBER) {
        place.copy_from_slice(&number.to_be_bytes());
    }
}

/// An entry of that namespace. `None` for one of another.
pub(super) fn decode(
    entry: &[u8],
    nsp: &str,
    limits: &Limits,
) -> Result<Option<Read>, DecodeError> {
    let broken = || DecodeError::Field("entry");
    let (&format, rest) = entry.split_first().ok_or_else(broken)?;
    if format != FORMAT {
        return Err(DecodeError::Field("format"));
    }
    let (number, rest) = rest.split_first_chunk().ok_or_else(broken)?;
    let number = u64::from_be_bytes(*number);
    let (length, rest) = rest.split_first_chunk().ok_or_else(broken)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (name, rest) = rest.split_at_checked(length).ok_or_else(broken)?;
    if name != nsp.as_bytes() {
        return Ok(None);
    }
    let (&length, rest) = rest.split_first().ok_or_else(broken)?;
    let (kind, data) = rest.split_at_checked(length.into()).ok_or_else(broken)?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| broken());
    let fields = Fields {
        uid: String::new(),
        nsp: nsp.to_owned(),
        kind: text(kind)?,
        data: Some(text(data)?),
    };
    Ok(Some(Read {
        number: (number > 0).then_some(number),
        message: decode_entry(&fields, limits)?.message,
    }))
}

#[cfg(test)]
mod tests {
    use lakh_broker::cluster::streams::encode_entry;
    use lakh_broker::cluster::{Data, Flags, Opts, Uid};

    use super::*;

    fn broadcast() -> Message {
        Message::Broadcast {
            data: Data::Json(r#"["a","é"]"#.to_owned()),
            opts: Opts {
                rooms: vec!["r".into()],
                except: vec!["s".into()],
                flags: Flags::default(),
            },
            ack: None,
        }
    }

    #[test]
    fn entries_come_back_as_they_were_and_only_to_their_namespace() {
        let limits = Limits::default();
        let fields = encode_entry(&Uid::new(""), "/n", &broadcast());
        let mut entry = encode(&fields.unwrap_or_default()).unwrap_or_default();
        for number in [None, Some(7), Some(u64::MAX)] {
            set_number(&mut entry, number.unwrap_or_default());
            let read = decode(&entry, "/n", &limits).ok().flatten();
            let read = read.map(|read| (read.number, read.message));
            assert_eq!(read, Some((number, broadcast())));
        }
        assert!(matches!(decode(&entry, "/", &limits), Ok(None)));
        for cut in 0..entry.len() {
            assert!(decode(&entry[..cut], "/n", &limits).is_err(), "{cut}");
        }
        entry[0] = 2;
        assert!(decode(&entry, "/n", &limits).is_err());
    }
}
