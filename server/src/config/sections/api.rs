//! `[api]`: the API for backends, under `/api/v1`.

use lakh_auth::api_key::SecretHash;
use lakh_auth::{ApiKey, Grant};
use toml::Value;
use toml::de::DeValue;

use crate::config::problem::suggestion;
use crate::config::section::{above_zero, section};
use crate::config::value::{Raw, Secret, Setting, mismatch};

/// A secret that requests are signed with is used as the key of an HMAC: shorter ones can be guessed offline.
const MIN_SIGNING_BYTES: usize = 32;
/// The keys of such a table.
const KEYS: [&str; 7] = [
    "id",
    "name",
    "hash",
    "grants",
    "admin",
    "expires_at",
    "signing_secret",
];

/// A key of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// What finds it: 16 hex digits.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// SHA-256 of its secret.
    pub hash: SecretHash,
    /// What it may do.
    pub grants: Vec<Grant>,
    /// Whether it may do everything.
    pub admin: bool,
    /// When it ends, in seconds since 1970.
    pub expires_at: Option<u64>,
    /// What its requests may be signed with.
    pub signing_secret: Option<Secret>,
}

impl KeyEntry {
    /// As keys are checked.
    pub fn key(&self) -> ApiKey {
        let secret = self.signing_secret.as_ref();
        ApiKey {
            id: self.id.clone(),
            name: self.name.clone(),
            hash: self.hash,
            grants: self.grants.clone(),
            admin: self.admin,
            expires_at: self.expires_at,
            signing_secret: secret.map(|secret| lakh_auth::api_key::SigningSecret::new(&secret.0)),
        }
    }
}

impl Setting for KeyEntry {
    fn expected() -> String {
        "a table such as { id = \"…\", hash = \"sha256:…\", grants = [\"api:emit:*\"] }, as `lakh key` prints it"
            .into()
    }

    fn read(raw: Raw<'_>) -> Result<Self, String> {
        let Raw::Toml(DeValue::Table(table)) = raw else {
            return Err(mismatch::<Self>(&raw));
        };
        let (mut id, mut name, mut hash) = (String::new(), None, None);
        let (mut grants, mut admin) = (Vec::new(), false);
        let (mut expires_at, mut signing_secret) = (None, None);
        for (key, value) in table {
            let raw = Raw::Toml(value.get_ref());
            match key.get_ref().as_ref() {
                "id" => id = String::read(raw)?,
                "name" => name = Some(String::read(raw)?),
                "hash" => hash = Some(String::read(raw)?),
                "grants" => grants = Vec::<String>::read(raw)?,
                "admin" => admin = bool::read(raw)?,
                "expires_at" => expires_at = Some(u64::read(raw)?),
                "signing_secret" => signing_secret = Some(Secret::read(raw)?),
                other => {
                    let hint = suggestion(other, KEYS);
                    return Err(format!("unknown key `{other}` in an API key{hint}"));
                }
            }
        }
        let of_id = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if id.len() != 16 || !id.bytes().all(of_id) {
            return Err(
                "an API key needs its `id` of 16 hex digits, as `lakh key` prints it".into(),
            );
        }
        let hash =
            hash.ok_or("an API key needs the `hash` of its secret, as `lakh key` prints it")?;
        if let Some(secret) = &signing_secret
            && secret.0.len() < MIN_SIGNING_BYTES
        {
            return Err(format!(
                "`signing_secret` has {} bytes, needs at least {MIN_SIGNING_BYTES}: make one with `openssl rand -base64 32`",
                secret.0.len()
            ));
        }
        let grants = grants.iter().map(|grant| grant.parse::<Grant>());
        Ok(Self {
            name: name.unwrap_or_else(|| id.clone()),
            hash: hash
                .parse()
                .map_err(|error: lakh_auth::api_key::HashError| error.to_string())?,
            grants: grants
                .collect::<Result<_, _>>()
                .map_err(|error| error.to_string())?,
            id,
            admin,
            expires_at,
            signing_secret,
        })
    }

    fn show(&self) -> Option<Value> {
        let mut table = toml::Table::new();
        let mut put = |key: &str, value: Value| drop(table.insert(key.into(), value));
        put("id", self.id.clone().into());
        put("name", self.name.clone().into());
        put("hash", self.hash.to_string().into());
        let grants = self.grants.iter().map(|grant| grant.to_string().into());
        put("grants", Value::Array(grants.collect()));
        if self.admin {
            put("admin", true.into());
        }
        if let Some(end) = self.expires_at.and_then(|end| i64::try_from(end).ok()) {
            put("expires_at", end.into());
        }
        if let Some(secret) = self.signing_secret.as_ref().and_then(Setting::show) {
            put("signing_secret", secret);
        }
        Some(Value::Table(table))
    }
}

section! {
    /// The API for backends, under `/api/v1`. Who may do what is said by grants and rules for the module `api`.
    Api as "api" {
        /// Keys of backends, each a table with `id`, `hash` and `grants`, as `lakh key` prints it, and, if wanted, `name`,
        /// `admin`, `expires_at` (seconds since 1970) and `signing_secret`, by which requests may be signed instead.
        keys: Vec<KeyEntry> = Vec::new();
        /// Whether people can be addressed: each socket of somebody who is signed in is then in a room of that person's,
        /// which takes some memory.
        people: bool = true;
        /// Whether the API's description is served to everybody: `/api/v1/docs` and `/api/v1/openapi.json`.
        docs: bool = true;
        /// Requests a second of one key or person. As many may come at once; an operation of a batch counts as a request.
        requests_per_second: u32 = 200;
        /// Longest body of a request.
        max_body_bytes: u64 = 1_000_000;
        /// Operations in one batch at most.
        max_batch: u32 = 100;
        /// How long `emit_with_ack` may wait for answers at most.
        max_ack_timeout_ms: u64 = 30_000;
        /// How long other nodes are waited for before they count as missing.
        nodes_timeout_ms: u64 = 2_000;
        /// How long the answer to a request with an idempotency key is kept.
        idempotency_ms: u64 = 86_400_000;
    }
    check |api, wrong| {
        above_zero(wrong, &[
            ("requests_per_second", api.requests_per_second.into()),
            ("max_body_bytes", api.max_body_bytes),
            ("max_batch", api.max_batch.into()),
            ("max_ack_timeout_ms", api.max_ack_timeout_ms),
            ("nodes_timeout_ms", api.nodes_timeout_ms),
        ]);
        if api.max_batch > 1_000 {
            wrong.push(("max_batch", "must be at most 1000".into()));
        }
        if api.max_ack_timeout_ms > 60_000 {
            wrong.push(("max_ack_timeout_ms", "must be at most 60000 (a minute)".into()));
        }
        if api.nodes_timeout_ms > 30_000 {
            wrong.push(("nodes_timeout_ms", "must be at most 30000".into()));
        }
        // What is under way is remembered for two minutes.
        if !(180_000..=2_592_000_000).contains(&api.idempotency_ms) {
            wrong.push(("idempotency_ms", "must be 180000 (3 minutes) to 2592000000 (30 days)".into()));
        }
        for (at, entry) in api.keys.iter().enumerate() {
            if api.keys[..at].iter().any(|other| other.id == entry.id) {
                wrong.push(("keys", format!("has the id {:?} twice", entry.id)));
            }
        }
    };
}
