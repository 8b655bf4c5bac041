//! Files that people send: where their bytes are, what they are, and small pictures of pictures.
//!
//! Nothing here knows who may send or fetch what. What always holds:
//!
//! * No file is held in memory: bytes go to a folder as they arrive ([`Spool`]), are hashed on the way, and lie at their
//!   [`Place`] whole or not at all.
//! * What a file is comes from its bytes ([`kind`]), and a picture is decoded within bounds ([`picture`]).
//! * No name that a person chose gets into a path or, unescaped, into a header ([`name`]).

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod folder;
pub mod kind;
pub mod name;
pub mod picture;
mod place;
pub mod range;
#[cfg(feature = "s3")]
mod s3;
mod spool;

pub use place::{ByteStream, Place, PlaceError};
#[cfg(feature = "s3")]
pub use s3::{Bucket, BucketOptions};
pub use spool::{Spool, Spooled, Writing};

/// Letters and digits that nobody can guess: 128 bits in hexadecimal. `None` if the system's random source has failed.
#[must_use]
pub fn random_word() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(hex(&bytes))
}

/// Bytes in hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
