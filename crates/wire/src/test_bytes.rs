//! Recorded bytes in tests, spelt in hex.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}
