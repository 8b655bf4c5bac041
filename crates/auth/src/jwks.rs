//! Sets of public keys as identity providers publish them: JWK Sets (RFC 7517; RFC 7518 section 6, RFC 8037).
//!
//! What must hold: bytes and keys are bounded, one key that can't be used doesn't spoil the others, and what isn't a public
//! key is never used: a secret (`oct`) that anybody could fetch would sign for anybody.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::keys::{self, Algorithm, Key, KeySet};

/// A larger set is refused unread.
pub const MAX_JWKS_BYTES: usize = 262_144;
/// Most keys in a set.
pub const MAX_JWKS_KEYS: usize = 128;
/// Longest id of a key, in bytes.
const MAX_KEY_ID_BYTES: usize = 256;
const OF_RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// Why a set can't be used at all.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JwksError {
    /// Past the bound.
    #[error("the key set has more than 262144 bytes")]
    TooLarge,
    /// Past the bound.
    #[error("the key set has {0} keys, 128 are the most")]
    TooMany(usize),
    /// Something else was sent.
    #[error("this is no key set: `{{\"keys\":[…]}}` was expected")]
    NotASet,
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Jwks {
    /// The keys that tokens can be checked with.
    pub keys: KeySet,
    /// How many others there were: for encryption, of an unknown type, secret, too weak or broken.
    pub skipped: usize,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Jwks {
    /// Reads a set; its keys check tokens of this issuer only, if one is given.
    ///
    /// # Errors
    /// If it's too large or no set.
    pub fn parse(bytes: &[u8], issuer: Option<&str>) -> Result<Self, JwksError> {
        if bytes.len() > MAX_JWKS_BYTES {
            return Err(JwksError::TooLarge);
        }
        let set: Set = serde_json::from_slice(bytes).map_err(|_| JwksError::NotASet)?;
        let all = set.keys.len();
        if all > MAX_JWKS_KEYS {
            return Err(JwksError::TooMany(all));
        }
        let read = |value| {
            let jwk: Jwk = serde_json::from_value(value).ok()?;
            Some(key(&jwk)?.of_issuer(issuer))
        };
        let keys: Vec<Key> = set.keys.into_iter().filter_map(read).collect();
        Ok(Self {
            skipped: all - keys.len(),
            keys: KeySet::new(keys),
        })
    }
}

fn key(jwk: &Jwk) -> Option<Key> {
    let verifies = |operations: &Vec<String>| operations.iter().any(|word| word == "verify");
    let for_signatures = jwk.usage.as_deref().is_none_or(|usage| usage == "sig")
        && jwk.key_ops.as_ref().is_none_or(verifies);
    let id = jwk.kid.as_deref();
    if !for_signatures || id.is_some_and(|id| id.is_empty() || id.len() > MAX_KEY_ID_BYTES) {
        return None;
    }
    // The key's own word on its algorithm has to agree with its type.
    let says = |algorithm: Algorithm| match jwk.alg.as_deref() {
        None => true,
        // RFC 9864 gave it a name of its own.
        Some("Ed25519") => algorithm == Algorithm::EdDSA,
        Some(name) => keys::algorithm(name) == Some(algorithm),
    };
    let key = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => {
            let algorithms: Vec<Algorithm> = OF_RSA.into_iter().filter(|one| says(*one)).collect();
            if algorithms.is_empty() {
                return None;
            }
            Key::rsa(&algorithms, &bytes(&jwk.n)?, &bytes(&jwk.e)?)?
        }
        ("EC", Some("P-256")) if says(Algorithm::ES256) => {
            Key::ec(Algorithm::ES256, &point(jwk, 32)?)?
        }
        ("EC", Some("P-384")) if says(Algorithm::ES384) => {
            Key::ec(Algorithm::ES384, &point(jwk, 48)?)?
        }
        ("OKP", Some("Ed25519")) if says(Algorithm::EdDSA) => Key::ed25519(&bytes(&jwk.x)?)?,
        _ => return None,
    };
    Some(key.with_id(id))
}

fn bytes(text: &Option<String>) -> Option<Vec<u8>> {
    // Some write the padding that RFC 7518 leaves out.
    let text = text.as_deref()?.trim_end_matches('=');
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The point in SEC 1's uncompressed form. A coordinate has all of its bytes, zeros in front included.
fn point(jwk: &Jwk, coordinate: usize) -> Option<Vec<u8>> {
    let (x, y) = (bytes(&jwk.x)?, bytes(&jwk.y)?);
    if x.len() != coordinate || y.len() != coordinate {
        return None;
    }
    Some([&[4], x.as_slice(), y.as_slice()].concat())
}

#[cfg(test)]
#[path = "jwks_tests.rs"]
mod tests;
