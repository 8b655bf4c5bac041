//! Random ids of 256 bits. Who has one is let in, so only its hash is ever stored.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// What a cookie holds: 64 hexadecimal digits in small letters.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

impl Token {
    /// A new one, from the system's random source. `None` if that has failed.
    pub(super) fn random() -> Option<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).ok()?;
        Some(Self(hex(&bytes)))
    }

    /// Reads what a browser sent.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 64 && text.bytes().all(digits)).then(|| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is stored under. From the store alone nobody can make the cookie.
    pub(super) fn key(&self) -> String {
        hash(&self.0)
    }
}

/// SHA-256 in hexadecimal digits.
pub(super) fn hash(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// Whether two texts are the same, in a time that tells nothing about where they differ.
pub(super) fn same(left: &str, right: &str) -> bool {
    // Whoever guesses can't choose the hashes, so how far they agree says nothing of the texts.
    Sha256::digest(left) == Sha256::digest(right)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_are_stored_under_another_name() {
        let (one, two) = (Token::random().unwrap(), Token::random().unwrap());
        assert_ne!(one, two);
        assert_eq!(Token::parse(one.as_str()), Some(one.clone()));
        assert_ne!(one.key(), one.as_str());
        assert_eq!(
            hash("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(format!("{one:?}"), "Token(***)");
    }

    #[test]
    fn equal_is_equal() {
        assert!(same("ada", "ada"));
        for (left, right) in [("ada", "Ada"), ("ada", ""), ("a", "ab")] {
            assert!(!same(left, right));
        }
    }
}
