//! Where Redis is, as a setting: one URL for the broker and the store.
//!
//! What must hold: a URL that is no place is refused before the start, and no password in it is ever shown.

use std::fmt;

use lakh_store::RedisOptions;
use toml::Value;

use super::value::{Raw, Setting, mismatch};

/// What stands in the place of a password.
const HIDDEN: &str = "***";

/// The URL of a Redis that the broker and the store understand. Shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(String);

impl RedisUrl {
    /// All of it, to connect with.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Whether it speaks TLS.
    pub fn is_tls(&self) -> bool {
        self.0.starts_with("rediss")
    }
}

impl std::str::FromStr for RedisUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let one_server = ["redis://", "rediss://"];
        let several = one_server.iter().any(|scheme| {
            text.strip_prefix(scheme)
                .is_some_and(|rest| hosts(rest).contains(','))
        });
        if several {
            return Err(
                "names several servers: write redis+cluster://… for those of a cluster, \
                        redis+sentinel://…/NAME for sentinels"
                    .into(),
            );
        }
        RedisOptions::default()
            .check(text)
            .map_err(|error| error.to_string())?;
        Ok(Self(text.to_owned()))
    }
}

fn authority(rest: &str) -> &str {
    &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())]
}

fn hosts(rest: &str) -> &str {
    let authority = authority(rest);
    authority
        .rsplit_once('@')
        .map_or(authority, |(_, hosts)| hosts)
}

/// For people. A user's name is shown, as long as a password stands behind it.
impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return f.write_str(HIDDEN);
        };
        write!(f, "{scheme}://")?;
        let (authority, after) = rest.split_at(authority(rest).len());
        if let Some((user, hosts)) = authority.rsplit_once('@') {
            match user.split_once(':') {
                Some((name, _)) => write!(f, "{name}:{HIDDEN}@{hosts}")?,
                None => write!(f, "{HIDDEN}@{hosts}")?,
            }
        } else {
            f.write_str(authority)?;
        }
        let (path, query) = after.split_at(after.find('?').unwrap_or(after.len()));
        f.write_str(path)?;
        for pair in query.split_inclusive('&') {
            match pair.split_once('=') {
                Some((key, value)) if key.contains("pass") => {
                    let and = if value.ends_with('&') { "&" } else { "" };
                    write!(f, "{key}={HIDDEN}{and}")?;
                }
                _ => f.write_str(pair)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

impl Setting for RedisUrl {
    const SECRET: bool = true;

    fn expected() -> String {
        "a URL such as \"redis://localhost:6379\"".into()
    }

    fn read(raw: Raw<'_>) -> Result<Self, String> {
        let text = raw.text().ok_or_else(|| mismatch::<Self>(&raw))?;
        text.parse()
    }

    fn show(&self) -> Option<Value> {
        Some(Value::String(self.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str) -> String {
        url.parse::<RedisUrl>().unwrap().to_string()
    }

    #[test]
    fn what_is_shown_holds_no_password() {
        for (url, expected) in [
            ("redis://localhost", "redis://localhost"),
            ("redis://:secret@h:1/2", "redis://:***@h:1/2"),
            ("rediss://ann:se%40cret@h", "rediss://ann:***@h"),
            ("redis://secret@h", "redis://***@h"),
            (
                "redis+unix:///run/r.sock?db=1&pass=secret",
                "redis+unix:///run/r.sock?db=1&pass=***",
            ),
            (
                "redis+sentinel://:secret@a,b:1/main/3?sentinel_password=secret&sentinel_user=x",
                "redis+sentinel://:***@a,b:1/main/3?sentinel_password=***&sentinel_user=x",
            ),
            ("redis+cluster://u:se@cret@a,b", "redis+cluster://u:***@a,b"),
        ] {
            assert_eq!(shown(url), expected);
            assert!(!format!("{:?}", url.parse::<RedisUrl>()).contains("secret"));
        }
    }

    #[test]
    fn what_is_no_place_is_refused_without_its_password() {
        for (url, part) in [
            ("localhost:6379", "no scheme"),
            ("http://:secret@h", "none of redis"),
            ("redis://:secret@a,b", "redis+cluster://"),
            ("redis+sentinel://:secret@a", "names no primary"),
            ("redis://:secret@a:port", "URL"),
        ] {
            let error = url.parse::<RedisUrl>().unwrap_err();
            assert!(error.contains(part), "{url}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn an_at_sign_in_a_password_does_not_end_it() {
        assert_eq!(shown("redis://:a%40b@h"), "redis://:***@h");
        assert!("redis://:p,w@h".parse::<RedisUrl>().is_ok());
    }
}
