//! Bytes as hexadecimal text, as recorded files hold them.

use std::fmt::Write;

/// Two small digits a byte.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // A String takes whatever is written to it.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The bytes of a text that [`to_hex`] wrote.
///
/// # Panics
/// If the text holds anything but pairs of hexadecimal digits.
#[must_use]
pub fn from_hex(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "half a byte at the end");
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{from_hex, to_hex};

    #[test]
    fn bytes_come_back_from_their_digits() {
        assert_eq!(to_hex(&[0, 0x0a, 0xff]), "000aff");
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(from_hex(&to_hex(&all)), all);
    }

    #[test]
    #[should_panic(expected = "half a byte")]
    fn a_digit_too_few_is_no_byte() {
        let _ = from_hex("0a0");
    }
}
