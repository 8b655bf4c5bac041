//! How large a message of another node may be, and why one is refused.

use thiserror::Error;

/// Bounds of what is decoded. Other nodes are trusted more than clients, but Redis may be shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a message.
    pub max_bytes: usize,
    /// How deep arrays and objects may nest, the envelope's own included.
    pub max_depth: usize,
    /// Rooms, exceptions, or sockets in one list.
    pub max_items: usize,
}

impl Default for Limits {
    /// 64 MiB, a depth of 128 and a million items: answers to `fetchSockets` of a large node are long.
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_depth: 128,
            max_items: 1 << 20,
        }
    }
}

/// Why a message of another node was not understood. It is dropped; nothing else depends on it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// Larger than [`Limits::max_bytes`].
    #[error("{bytes} bytes, over the bound for messages between nodes")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Deeper than [`Limits::max_depth`].
    #[error("nested deeper than the bound for messages between nodes")]
    TooDeep,
    /// More than [`Limits::max_items`].
    #[error("a list longer than the bound for messages between nodes")]
    TooMany,
    /// Not JSON.
    #[error("broken JSON: {0}")]
    Json(String),
    /// Not MessagePack, or cut off.
    #[error("broken MessagePack: {0}")]
    Msgpack(&'static str),
    /// Not base64.
    #[error("broken base64")]
    Base64,
    /// A field that must be there is not, or is of another kind.
    #[error("no valid field `{0}`")]
    Field(&'static str),
    /// A type that isn't known, or a packet that is no event.
    #[error("unknown message type {0}")]
    Type(u64),
}

impl Limits {
    /// Checks the size of a body.
    pub(crate) fn size(&self, bytes: usize) -> Result<(), DecodeError> {
        if bytes > self.max_bytes {
            return Err(DecodeError::TooLarge { bytes });
        }
        Ok(())
    }

    /// Checks how deep JSON text nests, without building anything. The text need not be valid.
    pub(crate) fn json_depth(&self, text: &[u8]) -> Result<(), DecodeError> {
        let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
        for byte in text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b'[' | b'{' if !quoted => {
                    depth += 1;
                    if depth > self.max_depth {
                        return Err(DecodeError::TooDeep);
                    }
                }
                b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Why a message can't be put on the wire.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EncodeError {
    /// The backend takes this message's data in another form: see `Backend::form`.
    #[error("this backend takes the data of that message as {wanted:?}: turn it into that first")]
    Form {
        /// What it takes.
        wanted: super::Form,
    },
    /// The backend has no such message.
    #[error("this backend has no such message")]
    Unsupported,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        let limits = Limits {
            max_depth: 2,
            ..Limits::default()
        };
        assert_eq!(limits.json_depth(br#"[{"a":"[[[\"{{"}]"#), Ok(()));
        assert_eq!(limits.json_depth(b"[[]]"), Ok(()));
        assert_eq!(limits.json_depth(b"[[[]]]"), Err(DecodeError::TooDeep));
    }
}
