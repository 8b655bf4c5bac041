//! `[auth]`: who may come in, and who may do what.

use std::path::PathBuf;

use super::rules::AuthRule;
use super::token_keys::{JwksUrl, TokenKey};
use crate::config::section::{above_zero, section};
use crate::config::value::{OneOrMore, Secret};

/// HS256 wants a key at least as long as its hash (RFC 7518 section 3.2); shorter ones can be guessed offline.
pub const MIN_SECRET_BYTES: usize = 32;

section! {
    /// Who may come in, and who may do what (docs/auth.md). Without a secret, keys or a provider's keys the server is in
    /// development: a name is sign-in enough, on loopback only, and everybody may do everything that no rule denies.
    Auth as "auth" {
        /// Secret that signs the tokens (JWT, HS256), at least 32 bytes. Make one with `openssl rand -base64 32`.
        secret: Option<Secret> = None;
        /// File that holds the secret instead, for example one that a service manager provides.
        secret_file: Option<PathBuf> = None;
        /// More keys, several at once, such as those of a rotation. Each is a table with `algorithm` (HS256, HS384, HS512,
        /// RS256, …, PS256, …, ES256, ES384 or EdDSA) and one of `secret`, `secret_file`, `file` (public key, PEM) or
        /// `private_key` (PEM; makes tokens too). `id` is the `kid` of its tokens; `not_before` and `not_after` (dates) say
        /// when it's used; `issuer` binds it to one. The first that can sign makes the tokens of `lakh token`.
        keys: Vec<TokenKey> = Vec::new();
        /// Addresses where identity providers publish their keys (JWKS): https, or http on this machine. Each is a text, or
        /// a table with `url` and `issuer`, to which its keys are then bound.
        jwks_url: Vec<JwksUrl> = Vec::new();
        /// How often those are fetched again; a provider's Cache-Control may make it sooner. A token with an unknown `kid`
        /// makes it at once, every 5 s at most.
        jwks_refresh_ms: u64 = 600_000;
        /// What a token's `iss` must be: one, or a list of them. Empty: not looked at.
        issuer: OneOrMore = OneOrMore::default();
        /// What a token's `aud` must hold: one, or a list of which one is enough. Empty: not looked at.
        audience: OneOrMore = OneOrMore::default();
        /// How far the clocks of the token's maker and of this machine may differ.
        leeway_ms: u64 = 30_000;
        /// Where a token has its owner's name. A name with dots in it may lead into other claims: `realm_access.roles`.
        claim_name: String = "name".into();
        /// Where a token has its owner's roles: a list, or a text with spaces between.
        claim_roles: String = "roles".into();
        /// Where a token has its grants: a list, or a text with spaces between.
        claim_grants: String = "grants".into();
        /// Roles that may do everything that no rule denies, as with the claim `admin`.
        admin_roles: Vec<String> = Vec::new();
        /// Name of a cookie that carries a token, for pages of the same site. It counts after `auth.token` and the header
        /// `Authorization: Bearer …` of the handshake. Unset: cookies are not looked at.
        cookie: Option<String> = None;
        /// Whether those without a token come in, as nobody in particular, where tokens are checked. They may do what rules
        /// with `who = "anonymous"` (or "anyone") allow.
        anonymous: bool = false;
        /// Rules, of which the first that speaks of an act counts: tables with `who` and either `allow` or `deny`. `who` is
        /// "anyone", "signed-in", "anonymous", "service", "nobody", "role:ROLE", "name:ID" or a list of them;
        /// `allow` and `deny` take "module:acts:rooms" or a list of them, such as "rooms:join,emit:board:*". Those of [rooms]
        /// come after them. Where none speaks, the token's grants count; then, where tokens are checked, the answer is no.
        rules: Vec<AuthRule> = Vec::new();
        /// How long before its sign-in ends a client that is connected is told (`auth:expiring`), so that it can go on with a
        /// new token (`auth:refresh`).
        expiry_notice_ms: u64 = 30_000;
        /// Tokens, sign-ins and persons that may be taken back at the same time.
        max_revocations: u64 = 100_000;
        /// How long something stays taken back of which nobody says until when: longer than any token lives.
        revocations_keep_ms: u64 = 2_592_000_000;
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
            if value.0.iter().any(String::is_empty) {
                wrong.push((key, "must not be empty; leave it out to not look at it".into()));
            }
        }
        for (key, value) in [
            ("claim_name", &auth.claim_name),
            ("claim_roles", &auth.claim_roles),
            ("claim_grants", &auth.claim_grants),
        ] {
            if value.is_empty() {
                wrong.push((key, "must not be empty".into()));
            }
        }
        above_zero(wrong, &[
            ("max_revocations", auth.max_revocations),
            ("revocations_keep_ms", auth.revocations_keep_ms),
        ]);
        if auth.leeway_ms > 300_000 {
            wrong.push(("leeway_ms", "must be at most 300000 (5 minutes)".into()));
        }
        if auth.jwks_refresh_ms < 5_000 {
            wrong.push(("jwks_refresh_ms", "must be at least 5000 (5 seconds)".into()));
        }
        let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if let Some(cookie) = &auth.cookie
            && (cookie.is_empty() || !cookie.bytes().all(of_name))
        {
            wrong.push(("cookie", "is no name of a cookie: letters, digits, - and _ are".into()));
        }
        if auth.anonymous && !auth.needs_tokens() {
            wrong.push((
                "anonymous",
                "has a meaning only where tokens are checked: give a secret, keys or jwks_url too".into(),
            ));
        }
    };
}

impl Auth {
    /// Whether there is something to check tokens with; otherwise a name is enough.
    pub fn needs_tokens(&self) -> bool {
        self.secret.is_some() || !self.keys.is_empty() || !self.jwks_url.is_empty()
    }
}
