//! Who is it: tokens (JWT, HS256; RFC 7519, RFC 8725) or, in development, a name.
//!
//! What must hold: the algorithm comes from the settings and never from the token, every token has an end, and no
//! message says more about a refused token than its owner may know. Time comes in as an argument.

use std::fmt;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::Auth;
use crate::config::sections::MIN_SECRET_BYTES;

/// Longest id or name, in characters.
pub const MAX_NAME_CHARS: usize = 64;
/// Longest id of a token's owner, in characters.
const MAX_ID_CHARS: usize = 128;
/// A longer token is refused unread: HMAC over megabytes is work that a stranger could order.
const MAX_TOKEN_BYTES: usize = 8_192;

/// A person or program whose sign-in was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Stable id: the token's `sub`, or `dev:` and the name in small letters.
    pub id: String,
    /// What others see.
    pub name: String,
    /// Whether the HTTP API is open to it.
    pub admin: bool,
    /// When the sign-in ends, in seconds since 1970; a development name has no end.
    pub expires_at: Option<u64>,
}

/// Why nobody was signed in. The text may be shown to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
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
}

impl SignInError {
    /// The code in `data` of a `connect_error` and in errors of the HTTP API.
    pub fn code(self) -> &'static str {
        "unauthorized"
    }
}

/// Why no sign-in can be made of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SetUpError {
    /// It could be guessed.
    #[error(
        "auth.secret has {0} bytes, needs at least 32: make one with `openssl rand -base64 32`"
    )]
    ShortSecret(usize),
}

/// Checks sign-ins.
#[derive(Debug)]
pub enum SignIn {
    /// A name is enough.
    Names,
    /// A token is needed.
    Tokens(Box<Tokens>),
}

impl SignIn {
    /// By tokens if there is a secret, by names otherwise.
    pub fn new(auth: &Auth) -> Result<Self, SetUpError> {
        match &auth.secret {
            None => Ok(Self::Names),
            Some(_) => Ok(Self::Tokens(Box::new(Tokens::new(auth)?))),
        }
    }

    /// Checks the `auth` of a CONNECT: `{token}`, or `{name}` where names are enough.
    ///
    /// `now_s` is the time in seconds since 1970.
    pub fn check(&self, auth: &Value, now_s: u64) -> Result<Principal, SignInError> {
        match self {
            Self::Names => match auth.get("name").and_then(Value::as_str) {
                Some(name) => named(name),
                None => Err(SignInError::Needed),
            },
            Self::Tokens(tokens) => match auth.get("token").and_then(Value::as_str) {
                Some(token) => tokens.verify(token, now_s),
                None => Err(SignInError::Needed),
            },
        }
    }

    /// Checks the header `Authorization` of a request: `Bearer <token>`. `None` where names are enough.
    pub fn check_header(
        &self,
        header: Option<&str>,
        now_s: u64,
    ) -> Option<Result<Principal, SignInError>> {
        let Self::Tokens(tokens) = self else {
            return None;
        };
        let token = header
            .and_then(|header| header.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        Some(match token {
            Some(token) => tokens.verify(token, now_s),
            None => Err(SignInError::Needed),
        })
    }
}

/// Somebody with a name and nothing else.
pub fn named(name: &str) -> Result<Principal, SignInError> {
    let name = clean(name, MAX_NAME_CHARS).ok_or(SignInError::BadName)?;
    Ok(Principal {
        id: format!("dev:{}", name.to_lowercase()),
        name: name.to_owned(),
        admin: false,
        expires_at: None,
    })
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

/// What a token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// Whose it is.
    pub sub: String,
    /// Their name; the id where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether the HTTP API is open to them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub admin: bool,
    /// When it ends, in seconds since 1970. RFC 7519 lets it have a fraction.
    pub exp: f64,
    /// When it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<f64>,
}

/// Makes and checks tokens.
pub struct Tokens {
    decoding: DecodingKey,
    encoding: EncodingKey,
    validation: Validation,
    issuer: Option<String>,
    audience: Option<String>,
    leeway_s: u64,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(***)")
    }
}

impl Tokens {
    /// From the settings; a missing secret counts as one of 0 bytes.
    pub fn new(auth: &Auth) -> Result<Self, SetUpError> {
        let secret = auth.secret.as_ref().map_or("", |secret| &secret.0);
        if secret.len() < MIN_SECRET_BYTES {
            return Err(SetUpError::ShortSecret(secret.len()));
        }
        let mut validation = Validation::new(Algorithm::HS256);
        // The ends of a token are checked here, against the time that comes in.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = auth.audience.is_some();
        validation.set_required_spec_claims(&["exp", "sub"]);
        if let Some(issuer) = &auth.issuer {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".into());
        }
        if let Some(audience) = &auth.audience {
            validation.set_audience(&[audience]);
            validation.required_spec_claims.insert("aud".into());
        }
        Ok(Self {
            decoding: DecodingKey::from_secret(secret.as_bytes()),
            encoding: EncodingKey::from_secret(secret.as_bytes()),
            validation,
            issuer: auth.issuer.clone(),
            audience: auth.audience.clone(),
            leeway_s: auth.leeway_ms.div_ceil(1_000),
        })
    }

    /// Checks a token.
    pub fn verify(&self, token: &str, now_s: u64) -> Result<Principal, SignInError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(SignInError::BadToken);
        }
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation)
            .map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature => SignInError::Expired,
                _ => SignInError::BadToken,
            })?
            .claims;
        let expires_at = seconds(claims.exp).ok_or(SignInError::BadToken)?;
        if expires_at.saturating_add(self.leeway_s) <= now_s {
            return Err(SignInError::Expired);
        }
        if let Some(begin) = claims.nbf
            && seconds(begin).ok_or(SignInError::BadToken)? > now_s.saturating_add(self.leeway_s)
        {
            return Err(SignInError::NotYet);
        }
        let id = clean(&claims.sub, MAX_ID_CHARS).ok_or(SignInError::BadToken)?;
        let name = match &claims.name {
            Some(name) => clean(name, MAX_NAME_CHARS).ok_or(SignInError::BadToken)?,
            None => id,
        };
        Ok(Principal {
            id: id.to_owned(),
            name: name.to_owned(),
            admin: claims.admin,
            expires_at: Some(expires_at),
        })
    }

    /// Makes a token for `principal` that ends `ttl_s` seconds after `now_s`.
    pub fn issue(&self, principal: &Principal, now_s: u64, ttl_s: u64) -> Option<String> {
        let mut claims = serde_json::json!({
            "sub": principal.id,
            "name": principal.name,
            "iat": now_s,
            "exp": now_s.checked_add(ttl_s)?,
        });
        if principal.admin {
            claims["admin"] = true.into();
        }
        if let Some(issuer) = &self.issuer {
            claims["iss"] = issuer.as_str().into();
        }
        if let Some(audience) = &self.audience {
            claims["aud"] = audience.as_str().into();
        }
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding).ok()
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

#[cfg(test)]
#[path = "sign_in_tests.rs"]
mod tests;
