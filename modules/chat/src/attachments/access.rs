//! `attachment:access`: a word that stands for whoever asked for it, to be put behind the address of a file, since pages can't
//! send headers with the pictures that they show.
//!
//! What must hold: a word can't be made without the key, which the nodes of a fleet share in the store; and it says who
//! somebody is, not what they may: that is asked anew for each file.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use lakh_hub::auth::{Grant, Principal};
use lakh_hub::store::Condition;
use lakh_hub::{Failure, Person};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::names;
use super::record::{self, no_random};
use crate::asker::Asker;
use crate::{Chat, records, stored};

/// Longest word that is looked at, in bytes: the grants of a token may stand in it.
const MAX_WORD_BYTES: usize = 6_000;
/// The name of the key among the keys.
const KEY: &str = "files";

/// The key that words are signed with, once it was read.
pub(crate) type Key = OnceLock<[u8; 32]>;

#[derive(Serialize, Deserialize)]
struct KeyRecord {
    key: String,
}

/// Who somebody is, as their sign-in said.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    /// Milliseconds since 1970 until when it counts.
    x: u64,
    u: String,
    n: String,
    /// A backend has asked for it.
    #[serde(default, skip_serializing_if = "records::is_false")]
    b: bool,
    #[serde(default, skip_serializing_if = "records::is_false")]
    a: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    r: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    g: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    t: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    s: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    i: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    e: Option<u64>,
}

#[derive(Deserialize)]
pub(crate) struct AskAccess {}

#[derive(Serialize)]
pub(crate) struct Access {
    access: String,
    /// Milliseconds since 1970.
    expires_at: u64,
}

/// Who shows a word.
#[derive(Debug)]
pub struct Shown {
    /// Who asks.
    pub asker: Asker,
    /// Their sign-in, if they had one: it may have been taken back.
    pub principal: Option<Principal>,
}

pub(crate) async fn access(chat: &Chat, asker: &Asker, _: AskAccess) -> Result<Access, Failure> {
    if asker.is_system() {
        return Err(Failure::bad_request(
            "backends show their API key instead; a word of access is a person's",
        ));
    }
    let lasts_ms = chat.0.config.files.access_ms;
    let principal = asker.principal();
    // The same word for a while, so that browsers find again what they keep under an address.
    let steps = chat.now_ms() / lasts_ms + 2;
    let ends = principal
        .as_ref()
        .and_then(|principal| principal.expires_at);
    let expires_at = ends.map_or(u64::MAX, |end| end.saturating_mul(1_000));
    let expires_at = expires_at.min(steps.saturating_mul(lasts_ms));
    let mut said = Said {
        x: expires_at,
        u: asker.id().to_owned(),
        n: asker.who().name.clone(),
        b: principal.is_none(),
        a: false,
        r: Vec::new(),
        g: Vec::new(),
        t: None,
        s: None,
        i: None,
        e: None,
    };
    if let Some(principal) = principal {
        said.a = principal.admin;
        said.r = principal.roles.clone();
        said.g = principal.grants.iter().map(Grant::to_string).collect();
        said.t = principal.token.clone();
        said.s = principal.session.clone();
        (said.i, said.e) = (principal.issued_at, principal.expires_at);
    }
    let said = URL_SAFE_NO_PAD.encode(records::to_bytes(&said)?);
    let signature = URL_SAFE_NO_PAD.encode(sign(&key(chat).await?, &said).finalize().into_bytes());
    let access = format!("{said}.{signature}");
    match access.len() <= MAX_WORD_BYTES {
        true => Ok(Access { access, expires_at }),
        false => Err(Failure::new(
            "too_large",
            "your token says too much to stand in an address; send it as `Authorization: Bearer` instead",
        )),
    }
}

impl Chat {
    /// Whose word this is.
    ///
    /// # Errors
    /// `unauthorized` if it's nobody's, or not any more.
    pub async fn shown(&self, word: &str) -> Result<Shown, Failure> {
        let key = key(self).await?;
        let said = verify(&key, word, self.now_ms()).ok_or_else(|| {
            Failure::new(
                "unauthorized",
                "this word of access is over, or is none; ask for another with attachment:access",
            )
        })?;
        let person = Person {
            id: said.u,
            name: said.n,
        };
        if said.b {
            return Ok(Shown {
                asker: Asker::person(person),
                principal: None,
            });
        }
        let principal = Principal {
            admin: said.a,
            roles: said.r,
            grants: said
                .g
                .iter()
                .filter_map(|grant| grant.parse().ok())
                .collect(),
            token: said.t,
            session: said.s,
            issued_at: said.i,
            expires_at: said.e,
            ..Principal::person(person.id, person.name)
        };
        Ok(Shown {
            asker: Asker::signed_in(self.0.namespace.hub(), principal.clone())?,
            principal: Some(principal),
        })
    }
}

fn sign(key: &[u8; 32], said: &str) -> Hmac<Sha256> {
    let mac = Hmac::<Sha256>::new_from_slice(key);
    let mut mac = mac.expect("HMAC takes keys of any length");
    mac.update(said.as_bytes());
    mac
}

/// What a word says, if it was signed with the key and counts still.
fn verify(key: &[u8; 32], word: &str, now_ms: u64) -> Option<Said> {
    let (said, signature) = word
        .split_once('.')
        .filter(|_| word.len() <= MAX_WORD_BYTES)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    // In a time that tells nothing about where they differ.
    sign(key, said).verify_slice(&signature).ok()?;
    let said: Said = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(said).ok()?).ok()?;
    (now_ms < said.x).then_some(said)
}

/// The key, which the first node that needs it makes.
async fn key(chat: &Chat) -> Result<[u8; 32], Failure> {
    if let Some(key) = chat.0.access_key.get() {
        return Ok(*key);
    }
    loop {
        let (found, condition) = record::record::<KeyRecord>(chat, names::KEYS, KEY).await?;
        if let Some(found) = found {
            let key = read_key(&found.key)?;
            return Ok(*chat.0.access_key.get_or_init(|| key));
        }
        let (one, two) = (lakh_files::random_word(), lakh_files::random_word());
        let key = one.zip(two).map(|(one, two)| one + &two);
        let made = KeyRecord {
            key: key.ok_or_else(no_random)?,
        };
        debug_assert_eq!(condition, Condition::Absent);
        let batch = lakh_hub::store::Batch::new(chat.now_ms());
        let bytes = records::to_bytes(&made)?;
        // Whoever comes second reads the first one's.
        stored::try_write(chat, batch.put(names::KEYS, KEY, bytes, condition, None)).await?;
    }
}

fn read_key(text: &str) -> Result<[u8; 32], Failure> {
    let digits: Option<Vec<u8>> = (0..text.len() / 2)
        .map(|at| u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok())
        .collect();
    let key = digits.and_then(|digits| digits.try_into().ok());
    key.ok_or_else(|| Failure::new("internal", "the key of files in the store can't be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(key: &[u8; 32], said: &str) -> String {
        let said = URL_SAFE_NO_PAD.encode(said);
        let signature = URL_SAFE_NO_PAD.encode(sign(key, &said).finalize().into_bytes());
        format!("{said}.{signature}")
    }

    #[test]
    fn a_word_counts_with_its_key_and_until_its_end() {
        let (key, other) = ([7; 32], [8; 32]);
        let ada = word(&key, r#"{"x":1000,"u":"ada","n":"Ada"}"#);
        assert_eq!(
            verify(&key, &ada, 999).map(|said| said.u).as_deref(),
            Some("ada")
        );
        assert!(verify(&key, &ada, 1_000).is_none(), "it is over");
        assert!(verify(&other, &ada, 999).is_none());
        let eve = word(&other, r#"{"x":1000,"u":"ada","n":"Ada"}"#);
        let mixed = format!(
            "{}.{}",
            ada.split_once('.').expect("two parts").0,
            eve.split_once('.').expect("two parts").1
        );
        for forged in [
            eve,
            mixed,
            String::new(),
            ".".into(),
            "a.b".into(),
            ada.replace('.', ""),
        ] {
            assert!(verify(&key, &forged, 999).is_none(), "{forged}");
        }
        for at in 0..ada.len() {
            let mut bytes = ada.clone().into_bytes();
            bytes[at] ^= 1;
            let changed = String::from_utf8(bytes).expect("still ASCII");
            assert!(verify(&key, &changed, 999).is_none(), "{at}");
        }
    }

    #[test]
    fn a_key_is_32_bytes() {
        assert_eq!(read_key(&"0a".repeat(32)).expect("a key"), [10; 32]);
        for text in ["", "0a", &"zz".repeat(32), &"é".repeat(32)] {
            assert!(read_key(text).is_err(), "{text}");
        }
    }
}
