//! Keys that tokens are signed with (RFC 7518), several at once.
//!
//! What must hold: a key is bound to the algorithms of its own type when it's read, and to one curve if it has one. A token
//! names an algorithm only to choose among such keys, so no public key is ever taken for a secret, and `none` fits no key.
//! Where a token's header brings a key or an address along (`jwk`, `jku`, `x5c`, `x5u`), nobody looks at it.

use std::fmt;

use ed25519_dalek::pkcs8::spki::DecodePublicKey as _;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use ed25519_dalek::{SigningKey, VerifyingKey};
use jsonwebtoken::{AlgorithmFamily, DecodingKey, EncodingKey};
use rsa::pkcs1::{DecodeRsaPrivateKey as _, DecodeRsaPublicKey as _, EncodeRsaPrivateKey as _};
use rsa::traits::PublicKeyParts as _;
use rsa::{RsaPrivateKey, RsaPublicKey};
use thiserror::Error;

pub use jsonwebtoken::Algorithm;

/// Bits of an RSA key: shorter ones can be broken, longer ones the library doesn't take.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=4_096;
/// Keys tried for a token that names none: a stranger could order the work of all of them otherwise.
const MAX_TRIED: usize = 8;

/// Every algorithm that there is for tokens, by its name in RFC 7518 and RFC 8037.
pub const ALGORITHMS: [(&str, Algorithm); 12] = [
    ("HS256", Algorithm::HS256),
    ("HS384", Algorithm::HS384),
    ("HS512", Algorithm::HS512),
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// The algorithm of this name.
#[must_use]
pub fn algorithm(name: &str) -> Option<Algorithm> {
    let mut all = ALGORITHMS.iter();
    all.find(|(own, _)| *own == name)
        .map(|(_, algorithm)| *algorithm)
}

/// Why something is no key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// A secret for an algorithm of key pairs.
    #[error(
        "{0:?} is checked with a public key: give a PEM file with `BEGIN PUBLIC KEY`, not a secret"
    )]
    NotForSecrets(Algorithm),
    /// A PEM file for an algorithm of secrets.
    #[error("{0:?} is checked with a secret: give that, not a PEM file")]
    NotForPairs(Algorithm),
    /// Somebody could sign with what is public.
    #[error(
        "this secret is a PEM, which is no secret: for a public key choose RS256, ES256 or EdDSA"
    )]
    PemAsSecret,
    /// It could be guessed.
    #[error(
        "has {bytes} bytes, {algorithm:?} needs at least {least}: make one with `openssl rand -base64 {least}`"
    )]
    ShortSecret {
        /// For this algorithm.
        algorithm: Algorithm,
        /// It has so many.
        bytes: usize,
        /// It needs so many.
        least: usize,
    },
    /// Broken, or a key of another type or curve.
    #[error("is no public key for {0:?}: a PEM with `BEGIN PUBLIC KEY` of that type is needed")]
    NotPublic(Algorithm),
    /// Broken, or a key of another type or curve.
    #[error(
        "is no private key for {0:?}: a PEM with `BEGIN PRIVATE KEY` (PKCS#8, not encrypted) of that type is needed"
    )]
    NotPrivate(Algorithm),
    /// Too short to be safe, or too long to be used.
    #[error("is an RSA key of {0} bits, needs 2048 to 4096")]
    RsaBits(usize),
}

/// A key, with what it may be used for.
#[derive(Clone)]
pub struct Key {
    id: Option<Box<str>>,
    issuer: Option<Box<str>>,
    /// All of one type.
    algorithms: Box<[Algorithm]>,
    verifying: DecodingKey,
    signing: Option<EncodingKey>,
    not_before_s: u64,
    not_after_s: u64,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("issuer", &self.issuer)
            .field("algorithms", &self.algorithms)
            .field("signs", &self.signing.is_some())
            .field("not_before_s", &self.not_before_s)
            .field("not_after_s", &self.not_after_s)
            .finish_non_exhaustive()
    }
}

impl Key {
    fn of(algorithms: &[Algorithm], verifying: DecodingKey, signing: Option<EncodingKey>) -> Self {
        Self {
            id: None,
            issuer: None,
            algorithms: algorithms.into(),
            verifying,
            signing,
            not_before_s: 0,
            not_after_s: u64::MAX,
        }
    }

    /// A secret, which signs too.
    ///
    /// # Errors
    /// If the algorithm has no secrets, or this one is too short.
    pub fn secret(algorithm: Algorithm, secret: &[u8]) -> Result<Self, KeyError> {
        let least = match algorithm {
            Algorithm::HS256 => 32,
            Algorithm::HS384 => 48,
            Algorithm::HS512 => 64,
            other => return Err(KeyError::NotForSecrets(other)),
        };
        if secret.trim_ascii_start().starts_with(b"-----BEGIN ") {
            return Err(KeyError::PemAsSecret);
        }
        // As long as the hash (RFC 7518 section 3.2): shorter ones can be guessed offline.
        if secret.len() < least {
            return Err(KeyError::ShortSecret {
                algorithm,
                bytes: secret.len(),
                least,
            });
        }
        let (verifying, signing) = (
            DecodingKey::from_secret(secret),
            EncodingKey::from_secret(secret),
        );
        Ok(Self::of(&[algorithm], verifying, Some(signing)))
    }

    /// A public key in PEM: `BEGIN PUBLIC KEY`, or `BEGIN RSA PUBLIC KEY`.
    ///
    /// # Errors
    /// If it's none, or none of this algorithm's type and curve.
    pub fn public_pem(algorithm: Algorithm, pem: &str) -> Result<Self, KeyError> {
        let wrong = KeyError::NotPublic(algorithm);
        let pem = pem.trim();
        let verifying = match algorithm.family() {
            AlgorithmFamily::Hmac => return Err(KeyError::NotForPairs(algorithm)),
            AlgorithmFamily::Rsa => {
                let key = RsaPublicKey::from_public_key_pem(pem)
                    .or_else(|_| RsaPublicKey::from_pkcs1_pem(pem));
                rsa_key(&key.map_err(|_| wrong)?)?
            }
            AlgorithmFamily::Ec if algorithm == Algorithm::ES256 => {
                let key = p256::PublicKey::from_public_key_pem(pem).map_err(|_| wrong)?;
                ec_key(&p256::EncodedPoint::from(key).to_bytes())
            }
            AlgorithmFamily::Ec => {
                let key = p384::PublicKey::from_public_key_pem(pem).map_err(|_| wrong)?;
                ec_key(&p384::EncodedPoint::from(key).to_bytes())
            }
            AlgorithmFamily::Ed => {
                let key = VerifyingKey::from_public_key_pem(pem).map_err(|_| wrong.clone())?;
                ed_key(&key).ok_or(wrong)?
            }
        };
        Ok(Self::of(&[algorithm], verifying, None))
    }

    /// A private key in PEM, which signs and checks: `BEGIN PRIVATE KEY`, or `RSA PRIVATE KEY` or `EC PRIVATE KEY`.
    ///
    /// # Errors
    /// If it's none, or none of this algorithm's type and curve.
    pub fn private_pem(algorithm: Algorithm, pem: &str) -> Result<Self, KeyError> {
        let wrong = || KeyError::NotPrivate(algorithm);
        let pem = pem.trim();
        let (verifying, signing) = match algorithm.family() {
            AlgorithmFamily::Hmac => return Err(KeyError::NotForPairs(algorithm)),
            AlgorithmFamily::Rsa => {
                let key = RsaPrivateKey::from_pkcs8_pem(pem)
                    .or_else(|_| RsaPrivateKey::from_pkcs1_pem(pem).map_err(|_| ()));
                let key = key.map_err(|()| wrong())?;
                let der = key.to_pkcs1_der().map_err(|_| wrong())?;
                (
                    rsa_key(&key.to_public_key())?,
                    EncodingKey::from_rsa_der(der.as_bytes()),
                )
            }
            AlgorithmFamily::Ec if algorithm == Algorithm::ES256 => {
                let key = p256::SecretKey::from_pkcs8_pem(pem).ok();
                let key = key.or_else(|| p256::SecretKey::from_sec1_pem(pem).ok());
                let key = key.ok_or_else(wrong)?;
                let der = key.to_pkcs8_der().map_err(|_| wrong())?;
                let point = p256::EncodedPoint::from(key.public_key());
                (
                    ec_key(&point.to_bytes()),
                    EncodingKey::from_ec_der(der.as_bytes()),
                )
            }
            AlgorithmFamily::Ec => {
                let key = p384::SecretKey::from_pkcs8_pem(pem).ok();
                let key = key.or_else(|| p384::SecretKey::from_sec1_pem(pem).ok());
                let key = key.ok_or_else(wrong)?;
                let der = key.to_pkcs8_der().map_err(|_| wrong())?;
                let point = p384::EncodedPoint::from(key.public_key());
                (
                    ec_key(&point.to_bytes()),
                    EncodingKey::from_ec_der(der.as_bytes()),
                )
            }
            AlgorithmFamily::Ed => {
                let key = SigningKey::from_pkcs8_pem(pem).map_err(|_| wrong())?;
                let der = key.to_pkcs8_der().map_err(|_| wrong())?;
                (
                    ed_key(&key.verifying_key()).ok_or_else(wrong)?,
                    EncodingKey::from_ed_der(der.as_bytes()),
                )
            }
        };
        Ok(Self::of(&[algorithm], verifying, Some(signing)))
    }

    /// The public key with this modulus and exponent, for all or one of the algorithms of RSA.
    pub(crate) fn rsa(algorithms: &[Algorithm], n: &[u8], e: &[u8]) -> Option<Self> {
        let big = rsa::BigUint::from_bytes_be;
        let key = RsaPublicKey::new(big(n), big(e)).ok()?;
        Some(Self::of(algorithms, rsa_key(&key).ok()?, None))
    }

    /// The public key with this point, as it stands in SEC 1, uncompressed.
    pub(crate) fn ec(algorithm: Algorithm, point: &[u8]) -> Option<Self> {
        let lies_on_curve = match algorithm {
            Algorithm::ES256 => p256::PublicKey::from_sec1_bytes(point).is_ok(),
            Algorithm::ES384 => p384::PublicKey::from_sec1_bytes(point).is_ok(),
            _ => false,
        };
        lies_on_curve.then(|| Self::of(&[algorithm], ec_key(point), None))
    }

    /// The public key of Ed25519 with these bytes.
    pub(crate) fn ed25519(bytes: &[u8]) -> Option<Self> {
        let key = VerifyingKey::from_bytes(bytes.try_into().ok()?).ok()?;
        Some(Self::of(&[Algorithm::EdDSA], ed_key(&key)?, None))
    }

    /// The same under an id, which tokens name as `kid`. A key without one is tried for every token of its algorithm.
    #[must_use]
    pub fn with_id(self, id: Option<&str>) -> Self {
        Self {
            id: id.map(Into::into),
            ..self
        }
    }

    /// The same, for tokens of this issuer only.
    #[must_use]
    pub fn of_issuer(self, issuer: Option<&str>) -> Self {
        Self {
            issuer: issuer.map(Into::into),
            ..self
        }
    }

    /// The same, used from one time to another only, in seconds since 1970. Outside it's as if it weren't there.
    #[must_use]
    pub fn within(self, not_before_s: Option<u64>, not_after_s: Option<u64>) -> Self {
        Self {
            not_before_s: not_before_s.unwrap_or(0),
            not_after_s: not_after_s.unwrap_or(u64::MAX),
            ..self
        }
    }

    /// The id, if it has one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The only issuer whose tokens it checks, if it's bound to one.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// What it may be used for.
    #[must_use]
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Whether it can make tokens.
    #[must_use]
    pub fn signs(&self) -> bool {
        self.signing.is_some()
    }

    fn is_in_use(&self, now_s: u64) -> bool {
        (self.not_before_s..=self.not_after_s).contains(&now_s)
    }

    /// Whether this signature was made with it.
    pub(crate) fn verifies(&self, signature: &str, message: &[u8], algorithm: Algorithm) -> bool {
        let verified = jsonwebtoken::crypto::verify(signature, message, &self.verifying, algorithm);
        verified.unwrap_or(false)
    }

    /// The algorithm and key that it signs with.
    pub(crate) fn signing(&self) -> Option<(Algorithm, &EncodingKey)> {
        Some((*self.algorithms.first()?, self.signing.as_ref()?))
    }
}

fn rsa_key(key: &RsaPublicKey) -> Result<DecodingKey, KeyError> {
    let bits = key.n().bits();
    if !RSA_BITS.contains(&bits) {
        return Err(KeyError::RsaBits(bits));
    }
    let (n, e) = (key.n().to_bytes_be(), key.e().to_bytes_be());
    Ok(DecodingKey::from_rsa_raw_components(&n, &e))
}

fn ec_key(point: &[u8]) -> DecodingKey {
    DecodingKey::from_ec_der(point)
}

fn ed_key(key: &VerifyingKey) -> Option<DecodingKey> {
    // Such a key takes the same signature for many messages.
    (!key.is_weak()).then(|| DecodingKey::from_ed_der(key.as_bytes()))
}

/// Keys that are used side by side.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<Key>);

impl KeySet {
    /// The keys, in the order in which they are tried; the first that can sign makes new tokens.
    #[must_use]
    pub fn new(keys: Vec<Key>) -> Self {
        Self(keys)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys that a token may have been signed with: of its algorithm, in use, and of the id that it names or without
    /// one.
    pub(crate) fn fitting<'a, 'i>(
        &'a self,
        algorithm: Algorithm,
        id: Option<&'i str>,
        now_s: u64,
    ) -> impl Iterator<Item = &'a Key> + use<'a, 'i> {
        let fits = move |key: &&Key| {
            let named = match (key.id(), id) {
                (Some(own), Some(id)) => own == id,
                _ => true,
            };
            named && key.algorithms.contains(&algorithm) && key.is_in_use(now_s)
        };
        self.0.iter().filter(fits).take(MAX_TRIED)
    }

    /// The key that makes new tokens.
    #[must_use]
    pub fn signer(&self, now_s: u64) -> Option<&Key> {
        let mut keys = self.0.iter();
        keys.find(|key| key.signs() && key.is_in_use(now_s))
    }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
