//! Signatures over what is sent, as the Standard Webhooks specification has them
//! (github.com/standard-webhooks/standard-webhooks): HMAC-SHA256 over id, time and body.

use std::fmt;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// How many bytes the specification lets a secret have.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A secret that both sides know. Shows itself nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// What is wrong with the text of a secret. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "is no secret for signatures: it is `whsec_` and 24 to 64 bytes in base64; make one with \
     `echo \"whsec_$(openssl rand -base64 32)\"`"
)]
pub struct SecretError;

impl Secret {
    /// Reads `whsec_` and base64.
    ///
    /// # Errors
    /// [`SecretError`] if it's anything else.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(SecretError)?;
        let bytes = BASE64_STANDARD.decode(encoded).map_err(|_| SecretError)?;
        if BYTES.contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(SecretError)
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// The header `webhook-signature`: one signature for each secret, so that a receiver that knows either is content.
pub(crate) fn signatures(secrets: &[Secret], id: &str, time_s: u64, body: &[u8]) -> String {
    let time = time_s.to_string();
    let each = secrets.iter().filter_map(|secret| {
        // A key of any length will do.
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret.0).ok()?;
        for part in [id.as_bytes(), b".", time.as_bytes(), b".", body] {
            mac.update(part);
        }
        let code = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        Some(format!("v1,{code}"))
    });
    each.collect::<Vec<_>>().join(" ")
}

/// The header `webhook-id` for these events: the same when the same events are sent together again.
pub(crate) fn batch_id<'a>(endpoint: &str, events: impl Iterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    hash.update(endpoint);
    for id in events {
        hash.update(b"\n");
        hash.update(id);
    }
    let code = BASE64_URL_SAFE_NO_PAD.encode(&hash.finalize()[..18]);
    format!("msg_{code}")
}

/// A number for a name: the same on each node and after each restart.
pub(crate) fn number_of(parts: &[&str]) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    let hash = hash.finalize();
    hash[..8]
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn a_signature_is_the_one_of_the_specification() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signed = signatures(
            std::slice::from_ref(&secret),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            body,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn two_secrets_sign_both() {
        let old = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let new = Secret::parse("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX").unwrap();
        let both = signatures(&[new.clone(), old.clone()], "msg_1", 7, b"{}");
        let parts: Vec<_> = both.split(' ').collect();
        assert_eq!(parts[0], signatures(&[new], "msg_1", 7, b"{}"));
        assert_eq!(parts[1], signatures(&[old], "msg_1", 7, b"{}"));
    }

    #[test]
    fn what_is_no_secret_is_refused_and_never_shown() {
        for text in [
            "",
            "whsec_",
            "whsec_short",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_????",
        ] {
            assert_eq!(Secret::parse(text), Err(SecretError), "{text}");
        }
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(***)");
    }

    #[test]
    fn the_id_of_a_batch_depends_on_its_events_and_their_order() {
        let id = |events: &[&str]| batch_id("crm", events.iter().copied());
        assert_eq!(id(&["a", "b"]), id(&["a", "b"]));
        assert_ne!(id(&["a", "b"]), id(&["b", "a"]));
        assert_ne!(id(&["a"]), batch_id("log", ["a"].into_iter()));
    }
}
