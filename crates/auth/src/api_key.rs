//! API keys: how backends sign in.
//!
//! A key is `lakh_` + 16 characters of id + `_` + 43 characters of secret. The secret has 256 random bits, so its plain
//! SHA-256 is enough to keep: there is nothing to guess. What must hold: a key is found by its id, which is no secret, and
//! its secret is compared in a time that doesn't depend on where it differs.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use thiserror::Error;

use crate::principal::{Grant, Kind, Principal};

const PREFIX: &str = "lakh_";
const ID_CHARS: usize = 16;
const SECRET_CHARS: usize = 43;
/// Bytes of randomness that [`NewKey::new`] wants.
pub const KEY_RANDOM_BYTES: usize = ID_CHARS / 2 + 32;

/// Why a key lets nobody in. The text may be shown to the caller; which of the first three it was is nobody's business
/// but the log's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ApiKeyError {
    /// It doesn't look like one.
    #[error("The API key is not valid")]
    Malformed,
    /// There is none with this id.
    #[error("The API key is not valid")]
    Unknown,
    /// The secret is another one.
    #[error("The API key is not valid")]
    WrongSecret,
    /// It was one.
    #[error("The API key has expired")]
    Expired,
}

/// SHA-256 of a key's secret, written `sha256:` and 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

impl fmt::Display for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        f.write_str(&hex(&self.0))
    }
}

/// It's no hash of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a key's hash is `sha256:` and 64 hex digits, as `lakh key` prints it")]
pub struct HashError;

impl FromStr for SecretHash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("sha256:").ok_or(HashError)?;
        let bytes = unhex(digits).ok_or(HashError)?;
        Ok(Self(bytes.try_into().map_err(|_| HashError)?))
    }
}

/// A key just made. It's shown once; the server keeps its id and the hash.
pub struct NewKey {
    /// What finds it.
    pub id: String,
    /// What the server keeps.
    pub hash: SecretHash,
    /// What the backend shows: keep it secret.
    pub key: String,
}

impl NewKey {
    /// A key made of random bytes.
    #[must_use]
    pub fn new(random: &[u8; KEY_RANDOM_BYTES]) -> Self {
        let (id, secret) = random.split_at(ID_CHARS / 2);
        let (id, secret) = (hex(id), URL_SAFE_NO_PAD.encode(secret));
        Self {
            hash: SecretHash::of(&secret),
            key: format!("{PREFIX}{id}_{secret}"),
            id,
        }
    }
}

/// A key as the server keeps it.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// What finds it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// SHA-256 of its secret.
    pub hash: SecretHash,
    /// What it may do, beside the rules for services.
    pub grants: Vec<Grant>,
    /// Whether it may do everything.
    pub admin: bool,
    /// When it ends, in seconds since 1970.
    pub expires_at: Option<u64>,
    /// Key of signed requests (see [`crate::signature`]), where this key may sign them.
    pub signing_secret: Option<SigningSecret>,
}

impl ApiKey {
    /// Who it is that shows this key: `key:` and its id.
    #[must_use]
    pub fn principal(&self) -> Principal {
        Principal {
            kind: Kind::Service,
            admin: self.admin,
            grants: self.grants.clone(),
            expires_at: self.expires_at,
            ..Principal::person(format!("key:{}", self.id), &self.name)
        }
    }
}

/// A secret that requests are signed with. Shows itself nowhere.
#[derive(Clone)]
pub struct SigningSecret(Vec<u8>);

impl SigningSecret {
    /// The bytes of its text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }

    /// The key of the HMAC.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(***)")
    }
}

/// Whether a text looks like an API key, so that an `Authorization: Bearer` with one is not taken for a token.
#[must_use]
pub fn looks_like_key(text: &str) -> bool {
    parse(text).is_ok()
}

/// The id and the secret in a key's text.
fn parse(text: &str) -> Result<(&str, &str), ApiKeyError> {
    let rest = text.strip_prefix(PREFIX).ok_or(ApiKeyError::Malformed)?;
    let (id, secret) = rest.split_once('_').ok_or(ApiKeyError::Malformed)?;
    let of_id = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let of_secret = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let fits = id.len() == ID_CHARS
        && secret.len() == SECRET_CHARS
        && id.bytes().all(of_id)
        && secret.bytes().all(of_secret);
    fits.then_some((id, secret)).ok_or(ApiKeyError::Malformed)
}

/// All keys that are known.
#[derive(Clone, Debug, Default)]
pub struct ApiKeys(BTreeMap<String, ApiKey>);

impl ApiKeys {
    /// Who shows this key.
    ///
    /// # Errors
    /// If it lets nobody in.
    pub fn check(&self, shown: &str, now_s: u64) -> Result<&ApiKey, ApiKeyError> {
        let (id, secret) = parse(shown)?;
        let hash = SecretHash::of(secret);
        let key = self.get(id).ok_or(ApiKeyError::Unknown)?;
        if !bool::from(hash.0.ct_eq(&key.hash.0)) {
            return Err(ApiKeyError::WrongSecret);
        }
        if key.expires_at.is_some_and(|end| end <= now_s) {
            return Err(ApiKeyError::Expired);
        }
        Ok(key)
    }

    /// The key with this id, whatever was shown.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&ApiKey> {
        self.0.get(id)
    }

    /// Adds or replaces a key.
    pub fn put(&mut self, key: ApiKey) {
        self.0.insert(key.id.clone(), key);
    }

    /// Takes a key away.
    pub fn remove(&mut self, id: &str) -> Option<ApiKey> {
        self.0.remove(id)
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &ApiKey> {
        self.0.values()
    }
}

impl FromIterator<ApiKey> for ApiKeys {
    fn from_iter<T: IntoIterator<Item = ApiKey>>(keys: T) -> Self {
        Self(keys.into_iter().map(|key| (key.id.clone(), key)).collect())
    }
}

/// Bytes in small hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble & 15)]);
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)]);
    digits.collect()
}

/// What small hex digits say.
pub(crate) fn unhex(digits: &str) -> Option<Vec<u8>> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some((value(*high)? << 4) | value(*low)?),
        _ => None,
    };
    pairs.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(first: u8) -> [u8; KEY_RANDOM_BYTES] {
        std::array::from_fn(|at| first.wrapping_add(u8::try_from(at).unwrap().wrapping_mul(7)))
    }

    fn kept(new: &NewKey) -> ApiKey {
        ApiKey {
            id: new.id.clone(),
            name: "billing".into(),
            hash: new.hash.to_string().parse().unwrap(),
            grants: vec!["rooms:emit:*".parse().unwrap()],
            admin: false,
            expires_at: None,
            signing_secret: None,
        }
    }

    #[test]
    fn a_key_lets_its_owner_in_and_nobody_else() {
        let (one, two) = (NewKey::new(&random(1)), NewKey::new(&random(2)));
        let old = NewKey::new(&random(3));
        let ended = ApiKey {
            expires_at: Some(50),
            ..kept(&old)
        };
        let keys: ApiKeys = [kept(&one), ended].into_iter().collect();
        let secret_of = |key: &NewKey| key.key[PREFIX.len() + ID_CHARS + 1..].to_owned();
        for (what, shown, expected) in [
            ("itself", one.key.clone(), Ok(one.id.as_str())),
            ("unknown", two.key.clone(), Err(ApiKeyError::Unknown)),
            (
                "another's secret",
                format!("{PREFIX}{}_{}", one.id, secret_of(&two)),
                Err(ApiKeyError::WrongSecret),
            ),
            ("past its end", old.key.clone(), Err(ApiKeyError::Expired)),
            ("empty", String::new(), Err(ApiKeyError::Malformed)),
            (
                "cut",
                one.key[..one.key.len() - 1].into(),
                Err(ApiKeyError::Malformed),
            ),
            (
                "longer",
                format!("{}A", one.key),
                Err(ApiKeyError::Malformed),
            ),
            (
                "in capitals",
                one.key.to_uppercase(),
                Err(ApiKeyError::Malformed),
            ),
            (
                "its hash",
                format!("{PREFIX}{}_{}", one.id, one.hash),
                Err(ApiKeyError::Malformed),
            ),
        ] {
            let found = keys.check(&shown, 50).map(|key| key.id.as_str());
            assert_eq!(found, expected, "{what}");
        }
        assert!(keys.check(&old.key, 49).is_ok());
        assert!(looks_like_key(&two.key) && !looks_like_key("eyJ.a.b"));
    }

    #[test]
    fn who_shows_a_key_is_a_service_with_its_grants() {
        let new = NewKey::new(&random(9));
        let principal = kept(&new).principal();
        assert_eq!(principal.id, format!("key:{}", new.id));
        assert_eq!(principal.kind, Kind::Service);
        assert!(principal.grants[0].covers("rooms", "emit", "a", principal.user()));
        assert!(!principal.admin);
    }

    #[test]
    fn a_hash_is_read_as_it_is_written_and_nothing_shows_a_secret() {
        let new = NewKey::new(&random(4));
        let text = new.hash.to_string();
        assert_eq!(text.len(), 7 + 64);
        assert_eq!(text.parse::<SecretHash>(), Ok(new.hash));
        for bad in [
            "",
            "sha256:",
            "sha256:0",
            "sha256:zz",
            &text[7..],
            &text[..70],
        ] {
            assert_eq!(bad.parse::<SecretHash>(), Err(HashError), "{bad}");
        }
        let with_secret = ApiKey {
            signing_secret: Some(SigningSecret::new("hush-hush")),
            ..kept(&new)
        };
        let shown = format!("{with_secret:?}");
        assert!(
            !shown.contains("hush") && !shown.contains(&text[7..]),
            "{shown}"
        );
    }
}
