//! Keys in `[auth]`: each a table, with the addresses of those that providers publish.

use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use lakh_auth::Algorithm;
use lakh_auth::keys::{ALGORITHMS, algorithm};
use reqwest::Url;
use toml::Value;
use toml::de::DeValue;

use crate::config::problem::suggestion;
use crate::config::value::{Raw, Secret, Setting, mismatch};

/// The algorithm of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyAlgorithm(pub Algorithm);

impl Setting for KeyAlgorithm {
    fn expected() -> String {
        let names: Vec<&str> = ALGORITHMS.iter().map(|(name, _)| *name).collect();
        format!("one of {}", names.join(", "))
    }

    fn read(raw: Raw<'_>) -> Result<Self, String> {
        let name = String::read(raw)?;
        algorithm(&name).map(Self).ok_or_else(|| {
            let hint = suggestion(&name, ALGORITHMS.iter().map(|(name, _)| *name));
            format!("unknown algorithm `{name}`{hint}")
        })
    }

    fn show(&self) -> Option<Value> {
        let mut all = ALGORITHMS.iter();
        let (name, _) = all.find(|(_, own)| *own == self.0)?;
        Some(Value::String((*name).into()))
    }
}

/// A date, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date(pub u64);

impl Setting for Date {
    fn expected() -> String {
        "a date with its zone, such as 2030-01-01T00:00:00Z".into()
    }

    fn read(raw: Raw<'_>) -> Result<Self, String> {
        let text = match raw {
            Raw::Toml(DeValue::Datetime(date)) => date.to_string(),
            _ => String::read(raw)?,
        };
        let date = humantime::parse_rfc3339(&text).ok();
        let since = date.and_then(|date| date.duration_since(UNIX_EPOCH).ok());
        since
            .map(|since| Self(since.as_secs()))
            .ok_or_else(|| mismatch::<Self>(&raw))
    }

    fn show(&self) -> Option<Value> {
        let date = UNIX_EPOCH.checked_add(std::time::Duration::from_secs(self.0))?;
        Some(Value::String(
            humantime::format_rfc3339_seconds(date).to_string(),
        ))
    }
}

/// A key that tokens are checked with, and may be signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenKey {
    /// What it's used for.
    pub algorithm: KeyAlgorithm,
    /// The `kid` of its tokens.
    pub id: Option<String>,
    /// A secret.
    pub secret: Option<Secret>,
    /// A file with a secret.
    pub secret_file: Option<PathBuf>,
    /// A file with a public key, in PEM.
    pub file: Option<PathBuf>,
    /// A file with a private key, in PEM.
    pub private_key: Option<PathBuf>,
    /// The only issuer whose tokens it checks.
    pub issuer: Option<String>,
    /// From when it's used.
    pub not_before: Option<Date>,
    /// Until when it's used.
    pub not_after: Option<Date>,
}

const KEYS: [&str; 9] = [
    "algorithm",
    "id",
    "secret",
    "secret_file",
    "file",
    "private_key",
    "issuer",
    "not_before",
    "not_after",
];

impl Setting for TokenKey {
    fn expected() -> String {
        "a table such as { algorithm = \"RS256\", file = \"/etc/lakh/key.pub.pem\", id = \"2030\" }"
            .into()
    }

    fn read(raw: Raw<'_>) -> Result<Self, String> {
        let Raw::Toml(DeValue::Table(table)) = raw else {
            // Not with what was found: it may be a secret.
            return Err(format!("expected {}", Self::expected()));
        };
        let mut algorithm: Option<KeyAlgorithm> = None;
        let mut key = Self {
            algorithm: KeyAlgorithm(Algorithm::HS256),
            id: None,
            secret: None,
            secret_file: None,
            file: None,
            private_key: None,
            issuer: None,
            not_before: None,
            not_after: None,
        };
        for (name, value) in table {
            let raw = Raw::Toml(value.get_ref());
            match name.get_ref().as_ref() {
                "algorithm" => algorithm = Some(Setting::read(raw)?),
                "id" => key.id = Setting::read(raw)?,
                "secret" => key.secret = Setting::read(raw)?,
                "secret_file" => key.secret_file = Setting::read(raw)?,
                "file" => key.file = Setting::read(raw)?,
                "private_key" => key.private_key = Setting::read(raw)?,
                "issuer" => key.issuer = Setting::read(raw)?,
                "not_before" => key.not_before = Setting::read(raw)?,
                "not_after" => key.not_after = Setting::read(raw)?,
                other => {
                    let hint = suggestion(other, KEYS);
                    return Err(format!("unknown key `{other}` in a token's key{hint}"));
                }
            }
        }
        key.algorithm = algorithm.ok_or("a key needs an `algorithm`, such as \"RS256\"")?;
        let given = [
            key.secret.is_some(),
            key.secret_file.is_some(),
            key.file.is_some(),
            key.private_key.is_some(),
        ];
        if given.iter().filter(|is_given| **is_given).count() != 1 {
            return Err(
                "a key has one of `secret`, `secret_file`, `file` and `private_key`".into(),
            );
        }
        Ok(key)
    }

    fn show(&self) -> Option<Value> {
        let shown = [
            ("algorithm", self.algorithm.show()),
            ("id", self.id.show()),
            ("secret", self.secret.show()),
            ("secret_file", self.secret_file.show()),
            ("file", self.file.show()),
            ("private_key", self.private_key.show()),
            ("issuer", self.issuer.show()),
            ("not_before", self.not_before.show()),
            ("not_after", self.not_after.show()),
        ];
        let set = shown
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Some(Value::Table(set.collect()))
    }
}

/// Where a provider publishes its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwksUrl {
    /// `https://…`, or `http://…` on this machine.
    pub url: Url,
    /// The only issuer whose tokens its keys check.
    pub issuer: Option<String>,
}

impl JwksUrl {
    fn parse(text: &str) -> Result<Url, String> {
        let url = Url::parse(text).map_err(|error| format!("`{text}` is no address: {error}"))?;
        let on_this_machine = url.host_str().is_some_and(|host| {
            let host = host.trim_matches(['[', ']']);
            host == "localhost"
                || host
                    .parse()
                    .is_ok_and(|ip: std::net::IpAddr| ip.to_canonical().is_loopback())
        });
        match url.scheme() {
            "https" => Ok(url),
            "http" if on_this_machine => Ok(url),
            // Whoever stands in between would give keys of their own.
            _ => Err(format!(
                "`{text}`: keys are fetched over https, or over http from this machine only"
            )),
        }
    }
}

impl Setting for JwksUrl {
    fn expected() -> String {
        "an address such as \"https://id.example/keys\", or { url = \"…\", issuer = \"…\" }".into()
    }

    fn read(raw: Raw<'_>) -> Result<Self, String> {
        let table = match raw {
            Raw::Toml(DeValue::Table(table)) => table,
            _ => {
                let text = raw.text().ok_or_else(|| mismatch::<Self>(&raw))?;
                return Ok(Self {
                    url: Self::parse(text)?,
                    issuer: None,
                });
            }
        };
        let (mut url, mut issuer) = (None, None);
        for (name, value) in table {
            let text = String::read(Raw::Toml(value.get_ref()))?;
            match name.get_ref().as_ref() {
                "url" => url = Some(Self::parse(&text)?),
                "issuer" => issuer = Some(text),
                other => {
                    let hint = suggestion(other, ["url", "issuer"]);
                    return Err(format!("unknown key `{other}` in a provider{hint}"));
                }
            }
        }
        let url = url.ok_or("a provider needs a `url`")?;
        Ok(Self { url, issuer })
    }

    fn show(&self) -> Option<Value> {
        let url = Value::String(self.url.to_string());
        let Some(issuer) = &self.issuer else {
            return Some(url);
        };
        let mut table = toml::Table::new();
        table.insert("url".into(), url);
        table.insert("issuer".into(), Value::String(issuer.clone()));
        Some(Value::Table(table))
    }
}
