//! msgpack as `socket.io-msgpack-parser` speaks it (notepack 2 and 3): read value by value, written.
//!
//! Source: the msgpack specification, and notepack where it has its own meanings: ext 0 of one byte is `undefined`, of
//! eight bytes a date, otherwise an ArrayBuffer; ext −1 is a timestamp.

mod read;
mod write;

pub(crate) use read::{Reader, Value, check};
pub(crate) use write::{
    write_array_header, write_bin, write_f64, write_i64, write_map_header, write_str, write_u64,
};

/// Why bytes are not msgpack that we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MsgpackError {
    /// Cut short, an unknown type, text that is not UTF-8, or a key that is no name.
    Syntax,
    /// Nested beyond the limit.
    TooDeep,
}
