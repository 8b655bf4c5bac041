//! `[auth]`: who may come in.

use std::path::PathBuf;

use crate::config::section::section;
use crate::config::value::Secret;

/// HS256 wants a key at least as long as its hash (RFC 7518 section 3.2); shorter ones can be guessed offline.
pub const MIN_SECRET_BYTES: usize = 32;

section! {
    /// Who may come in. Without a secret the server is in development: a name is sign-in enough, on loopback only.
    Auth as "auth" {
        /// Secret that signs the tokens (JWT, HS256), at least 32 bytes. Make one with `openssl rand -base64 32`.
        secret: Option<Secret> = None;
        /// File that holds the secret instead, for example one that a service manager provides.
        secret_file: Option<PathBuf> = None;
        /// What a token's `iss` must be. Unset: not looked at.
        issuer: Option<String> = None;
        /// What a token's `aud` must hold. Unset: not looked at.
        audience: Option<String> = None;
        /// How far the clocks of the token's maker and of this machine may differ.
        leeway_ms: u64 = 30_000;
    }
    check |auth, wrong| {
        if let Some(secret) = &auth.secret
            && secret.0.len() < MIN_SECRET_BYTES
        {
            wrong.push((
                "secret",
                format!(
                    "has {} bytes, needs at least {MIN_SECRET_BYTES}: make one with `openssl rand -base64 32`",
                    secret.0.len()
                ),
            ));
        }
        for (key, value) in [("issuer", &auth.issuer), ("audience", &auth.audience)] {
            if value.as_deref() == Some("") {
                wrong.push((key, "must not be empty; leave it out to not look at it".into()));
            }
        }
        if auth.leeway_ms > 300_000 {
            wrong.push(("leeway_ms", "must be at most 300000 (5 minutes)".into()));
        }
    };
}
