//! Tokens: JWT (RFC 7519) signed as JWS (RFC 7515), checked as RFC 8725 advises.
//!
//! What must hold: which keys count comes from the settings and never from the token, every token has an end, and what
//! the client is told ([`SignInError`]) says no more than a token's owner may know; why it was ([`TokenError`]) is for the
//! log. Nothing but the sizes and the head of a token is looked at before its signature is.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Header;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::keys::{self, Algorithm, Key, KeySet};
use crate::principal::{Grant, Principal};

/// Longest name, in characters.
pub const MAX_NAME_CHARS: usize = 64;
/// Longest id of a token's owner, in characters.
const MAX_ID_CHARS: usize = 128;
/// A longer token is refused unread: hashing megabytes is work that a stranger could order.
pub const MAX_TOKEN_BYTES: usize = 8_192;
/// Longest id of a token or sign-in, in bytes; they are kept with each connection.
const MAX_TOKEN_ID_BYTES: usize = 256;
/// Most roles and most grants of a token.
const MAX_RIGHTS: usize = 256;

/// Why nobody was signed in. The text may be shown to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignInError {
    /// Nothing was given.
    #[error("Sign-in needed")]
    Needed,
    /// The name is none.
    #[error("A name is 1 to 64 characters, without control characters")]
    BadName,
    /// It is no token of ours: broken, another algorithm, another secret, a claim missing or wrong.
    #[error("The token is not valid")]
    BadToken,
    /// It was one of ours.
    #[error("The token has expired")]
    Expired,
    /// It will be one of ours.
    #[error("The token is not valid yet")]
    NotYet,
    /// It was taken back before its end.
    #[error("The token was revoked: sign in again")]
    Revoked,
    /// The identity provider can't be asked for its keys.
    #[error("Sign-in can't be checked now, try again later")]
    Unavailable,
}

impl SignInError {
    /// The code in `data` of a `connect_error` and in errors of the HTTP API.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            _ => "unauthorized",
        }
    }
}

/// Why a token was refused, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Longer than any token.
    #[error("it has more than 8192 bytes")]
    TooLong,
    /// Not three parts, no base64, no JSON.
    #[error("it is no JWT")]
    Malformed,
    /// RFC 7515 section 4.1.11.
    #[error("its header has critical extensions, which nobody here understands")]
    Critical,
    /// `none`, or one that is not known.
    #[error("its algorithm is none that is taken")]
    Algorithm,
    /// No key in use has its algorithm and id. A provider may have a new one.
    #[error("no key fits its algorithm and `kid`")]
    UnknownKey,
    /// Signed with another key.
    #[error("its signature is not of any key that fits")]
    Signature,
    /// `iss` is another one's.
    #[error("its issuer is another one")]
    Issuer,
    /// `aud` is another one's.
    #[error("its audience is another one")]
    Audience,
    /// A claim is missing or can't be what it is.
    #[error("its claim `{0}` is missing or wrong")]
    Claim(&'static str),
    /// `exp` has passed.
    #[error("it has expired")]
    Expired,
    /// `nbf` or `iat` has not come.
    #[error("it is not valid yet")]
    NotYet,
}

impl From<TokenError> for SignInError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Expired => Self::Expired,
            TokenError::NotYet => Self::NotYet,
            _ => Self::BadToken,
        }
    }
}

/// Where a token says what. A name stands for the claim of that name, or, with dots in it, for one within others:
/// `realm_access.roles`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimNames {
    /// The person's name.
    pub name: String,
    /// Roles: a list, or a text with spaces between.
    pub roles: String,
    /// Grants: a list, or a text with spaces between.
    pub grants: String,
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self {
            name: "name".into(),
            roles: "roles".into(),
            grants: "grants".into(),
        }
    }
}

/// What a token must say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checks {
    /// `iss` must be one of these; none: it's not looked at, but for keys that are bound to an issuer.
    pub issuers: Vec<String>,
    /// `aud` must hold one of these; none: it's not looked at.
    pub audiences: Vec<String>,
    /// Seconds by which the clocks of the token's maker and of this machine may differ.
    pub leeway_s: u64,
    /// Where a token says what.
    pub claims: ClaimNames,
    /// Who has one of these roles may do everything, as with the claim `admin`.
    pub admin_roles: Vec<String>,
}

/// Why no token was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IssueError {
    /// Tokens come from elsewhere.
    #[error("no key here can sign: give a secret, or a key with a private_key file")]
    NoKey,
    /// It would end past all time.
    #[error("the token would be valid for too long")]
    TooLong,
    /// The server would refuse it.
    #[error("the server would refuse it: {0}")]
    Refused(TokenError),
}

#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
}

impl Checks {
    /// Checks a token against sets of keys, and says who it is.
    ///
    /// # Errors
    /// Why not, for the log; as [`SignInError`], for the client.
    pub fn verify(
        &self,
        token: &str,
        sets: &[&KeySet],
        now_s: u64,
    ) -> Result<Principal, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (head, claims) = message.split_once('.').ok_or(TokenError::Malformed)?;
        let head: Head =
            serde_json::from_slice(&decode(head)?).map_err(|_| TokenError::Malformed)?;
        if head.crit.is_some() {
            return Err(TokenError::Critical);
        }
        let algorithm = keys::algorithm(&head.alg).ok_or(TokenError::Algorithm)?;
        let key = signer(
            message,
            signature,
            algorithm,
            head.kid.as_deref(),
            sets,
            now_s,
        )?;
        match serde_json::from_slice(&decode(claims)?) {
            Ok(Value::Object(claims)) => self.principal(&claims, key, now_s),
            _ => Err(TokenError::Malformed),
        }
    }

    fn principal(
        &self,
        claims: &Map<String, Value>,
        key: &Key,
        now_s: u64,
    ) -> Result<Principal, TokenError> {
        self.check_parties(claims, key)?;
        let (issued_at, expires_at) = self.check_times(claims, now_s)?;
        let id = text(claims.get("sub"), "sub")?;
        let id = id.and_then(|id| clean(id, MAX_ID_CHARS));
        let id = id.ok_or(TokenError::Claim("sub"))?;
        let name = match text(found(claims, &self.claims.name), "name")? {
            Some(name) => clean(name, MAX_NAME_CHARS).ok_or(TokenError::Claim("name"))?,
            None => id,
        };
        let admin = match claims.get("admin") {
            None => false,
            Some(Value::Bool(admin)) => *admin,
            Some(_) => return Err(TokenError::Claim("admin")),
        };
        let roles = words(found(claims, &self.claims.roles), "roles")?;
        let grants = words(found(claims, &self.claims.grants), "grants")?;
        let grants = grants.iter().map(|grant| grant.parse::<Grant>());
        let has_admins_role = roles.iter().any(|role| self.admin_roles.contains(role));
        Ok(Principal {
            admin: admin || has_admins_role,
            grants: grants
                .collect::<Result<_, _>>()
                .map_err(|_| TokenError::Claim("grants"))?,
            token: token_id(claims, "jti")?,
            session: token_id(claims, "sid")?,
            issued_at,
            expires_at: Some(expires_at),
            roles,
            ..Principal::person(id, name)
        })
    }

    fn check_parties(&self, claims: &Map<String, Value>, key: &Key) -> Result<(), TokenError> {
        let issuer = claims.get("iss").and_then(Value::as_str);
        let is_issuer = |own: &str| issuer == Some(own);
        let any_issuer = self.issuers.is_empty();
        if !(any_issuer || self.issuers.iter().any(|own| is_issuer(own)))
            || !key.issuer().is_none_or(is_issuer)
        {
            return Err(TokenError::Issuer);
        }
        let is_ours = |value: &Value| {
            let ours = |text: &str| self.audiences.iter().any(|own| own == text);
            value.as_str().is_some_and(ours)
        };
        let audience = match claims.get("aud") {
            Some(Value::Array(all)) => all.iter().any(is_ours),
            Some(one) => is_ours(one),
            None => false,
        };
        match audience || self.audiences.is_empty() {
            true => Ok(()),
            false => Err(TokenError::Audience),
        }
    }

    /// When it was issued, if it says so, and when it ends.
    fn check_times(
        &self,
        claims: &Map<String, Value>,
        now_s: u64,
    ) -> Result<(Option<u64>, u64), TokenError> {
        let expires_at = date(claims, "exp")?.ok_or(TokenError::Claim("exp"))?;
        if expires_at.saturating_add(self.leeway_s) <= now_s {
            return Err(TokenError::Expired);
        }
        let (begins, issued_at) = (date(claims, "nbf")?, date(claims, "iat")?);
        let ahead =
            |time: Option<u64>| time.is_some_and(|time| time > now_s.saturating_add(self.leeway_s));
        if ahead(begins) || ahead(issued_at) {
            return Err(TokenError::NotYet);
        }
        Ok((issued_at, expires_at))
    }

    /// Makes a token for somebody: what [`Checks::verify`] will find in it again. It's for the first of the audiences, or
    /// for the one that is named.
    ///
    /// # Errors
    /// If no key signs, or the server would refuse it.
    pub fn issue(
        &self,
        keys: &KeySet,
        principal: &Principal,
        audience: Option<&str>,
        now_s: u64,
        ttl_s: u64,
    ) -> Result<String, IssueError> {
        let key = keys.signer(now_s).ok_or(IssueError::NoKey)?;
        let (algorithm, signing) = key.signing().ok_or(IssueError::NoKey)?;
        let end = now_s.checked_add(ttl_s).ok_or(IssueError::TooLong)?;
        let mut claims = Map::new();
        let mut put = |name: &str, value: Value| drop(claims.insert(name.to_owned(), value));
        put("sub", principal.id.as_str().into());
        put(&self.claims.name, principal.name.as_str().into());
        put("iat", now_s.into());
        put("exp", end.into());
        if principal.admin {
            put("admin", true.into());
        }
        if !principal.roles.is_empty() {
            put(&self.claims.roles, principal.roles.clone().into());
        }
        if !principal.grants.is_empty() {
            let grants = principal.grants.iter().map(ToString::to_string);
            put(&self.claims.grants, grants.collect::<Vec<_>>().into());
        }
        for (name, value) in [
            ("jti", principal.token.as_deref()),
            ("sid", principal.session.as_deref()),
            (
                "iss",
                key.issuer().or(self.issuers.first().map(String::as_str)),
            ),
            (
                "aud",
                audience.or(self.audiences.first().map(String::as_str)),
            ),
        ] {
            if let Some(value) = value {
                put(name, value.into());
            }
        }
        let header = Header {
            kid: key.id().map(str::to_owned),
            ..Header::new(algorithm)
        };
        let token = jsonwebtoken::encode(&header, &claims, signing);
        let token = token.map_err(|_| IssueError::NoKey)?;
        // What the server would refuse (an id with control characters, a name too long) is better refused here. For
        // another audience, another server decides.
        match self.verify(&token, &[keys], now_s) {
            Err(TokenError::Audience) if audience.is_some() => Ok(token),
            Err(error) => Err(IssueError::Refused(error)),
            Ok(_) => Ok(token),
        }
    }
}

fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    let decoded = URL_SAFE_NO_PAD.decode(part);
    decoded.map_err(|_| TokenError::Malformed)
}

/// The key that a token was signed with.
fn signer<'k>(
    message: &str,
    signature: &str,
    algorithm: Algorithm,
    id: Option<&str>,
    sets: &[&'k KeySet],
    now_s: u64,
) -> Result<&'k Key, TokenError> {
    let mut error = TokenError::UnknownKey;
    for set in sets {
        for key in set.fitting(algorithm, id, now_s) {
            if key.verifies(signature, message.as_bytes(), algorithm) {
                return Ok(key);
            }
            // A key without an id says nothing on whether another has this one.
            if id.is_none() || key.id().is_some() {
                error = TokenError::Signature;
            }
        }
    }
    Err(error)
}

/// The claim of this name, or the one that its parts between dots lead to. Names of some providers are URLs, with dots.
fn found<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    if let Some(claim) = claims.get(name) {
        return Some(claim);
    }
    let (first, rest) = name.split_once('.')?;
    found(claims.get(first)?.as_object()?, rest)
}

fn text<'c>(claim: Option<&'c Value>, name: &'static str) -> Result<Option<&'c str>, TokenError> {
    match claim {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenError::Claim(name)),
    }
}

/// Words in a list, or in a text with spaces between. Whatever else it is, is refused: rules may deny by role, so a role
/// must never be lost.
fn words(claim: Option<&Value>, name: &'static str) -> Result<Vec<String>, TokenError> {
    let wrong = TokenError::Claim(name);
    let words: Vec<String> = match claim {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
        Some(Value::Array(all)) => {
            let words = all.iter().map(|word| word.as_str().map(str::to_owned));
            words.collect::<Option<_>>().ok_or(wrong)?
        }
        Some(_) => return Err(wrong),
    };
    match words.len() > MAX_RIGHTS {
        true => Err(wrong),
        false => Ok(words),
    }
}

fn token_id(claims: &Map<String, Value>, name: &'static str) -> Result<Option<String>, TokenError> {
    match text(claims.get(name), name)? {
        Some(id) if id.len() > MAX_TOKEN_ID_BYTES => Err(TokenError::Claim(name)),
        id => Ok(id.filter(|id| !id.is_empty()).map(str::to_owned)),
    }
}

/// A NumericDate (RFC 7519 lets it have a fraction) as whole seconds.
fn date(claims: &Map<String, Value>, name: &'static str) -> Result<Option<u64>, TokenError> {
    let wrong = TokenError::Claim(name);
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let seconds = value.as_f64().and_then(seconds);
            seconds.map(Some).ok_or(wrong)
        }
    }
}

/// A NumericDate as whole seconds, if it is a time.
fn seconds(date: f64) -> Option<u64> {
    // Past 2^53 the number has lost its seconds; such a date is a mistake, as are negative ones and NaN.
    if !(0.0..9_007_199_254_740_992.0).contains(&date) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range was just checked"
    )]
    Some(date as u64)
}

/// Somebody with a name and nothing else: `dev:` and the name in small letters is the id.
///
/// # Errors
/// If it's no name.
pub fn named(name: &str) -> Result<Principal, SignInError> {
    let name = clean(name, MAX_NAME_CHARS).ok_or(SignInError::BadName)?;
    Ok(Principal::person(
        format!("dev:{}", name.to_lowercase()),
        name,
    ))
}

/// The text without spaces around it, if it can be shown: neither empty nor too long nor with control characters.
fn clean(text: &str, max_chars: usize) -> Option<&str> {
    let text = text.trim();
    let shown = |letter: char| {
        // Direction marks let one name look like another.
        !letter.is_control() && !matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let fits = !text.is_empty() && text.chars().take(max_chars + 1).count() <= max_chars;
    (fits && text.chars().all(shown)).then_some(text)
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
pub(crate) mod tests;
