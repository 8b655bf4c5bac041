//! The two cookies: that of a session, and the short-lived one that binds a sign-in to the browser that began it.
//!
//! What must hold: over TLS both have the prefix `__Host-`, so that neither a neighbouring host nor an unencrypted page can
//! plant one (RFC 6265bis section 4.1.3.2). Neither is readable by scripts.

use axum::http::HeaderValue;
use lakh_auth::shown;
use lakh_net::cookie::{CookieError, CookieOptions, SameSite, StickyCookie};

use super::secret::Token;

/// How long somebody may take at the provider, in seconds.
pub(super) const LOGIN_S: u64 = 600;

/// The cookies of this console.
#[derive(Debug)]
pub(super) struct Cookies {
    session: Cookie,
    login: Cookie,
}

#[derive(Debug)]
struct Cookie {
    name: &'static str,
    set: StickyCookie,
    clear: StickyCookie,
}

impl Cookie {
    fn new(
        name: &'static str,
        secure: bool,
        same_site: SameSite,
        max_age_s: u64,
    ) -> Result<Self, CookieError> {
        let of = |max_age_s| {
            StickyCookie::new(&CookieOptions {
                name: name.into(),
                path: Some("/".into()),
                domain: None,
                secure,
                http_only: true,
                same_site: Some(same_site),
                max_age_s: Some(max_age_s),
            })
        };
        Ok(Self {
            name,
            set: of(max_age_s)?,
            clear: of(0)?,
        })
    }
}

impl Cookies {
    /// `secure`: people come over TLS.
    pub(super) fn new(secure: bool, session_s: u64) -> Result<Self, CookieError> {
        let (session, login) = match secure {
            true => ("__Host-lakh", "__Host-lakh-login"),
            false => ("lakh-session", "lakh-login"),
        };
        Ok(Self {
            session: Cookie::new(session, secure, SameSite::Strict, session_s)?,
            // The provider's page leads back here, which makes the way back one that another site started.
            login: Cookie::new(login, secure, SameSite::Lax, LOGIN_S)?,
        })
    }

    pub(super) fn set_session(&self, token: &Token) -> HeaderValue {
        self.session.set.set_cookie(token.as_str())
    }

    pub(super) fn clear_session(&self) -> HeaderValue {
        self.session.clear.set_cookie("")
    }

    pub(super) fn set_login(&self, token: &Token) -> HeaderValue {
        self.login.set.set_cookie(token.as_str())
    }

    pub(super) fn clear_login(&self) -> HeaderValue {
        self.login.clear.set_cookie("")
    }

    /// The session that a request brings.
    pub(super) fn session<'a>(&self, cookies: impl Iterator<Item = &'a str>) -> Option<Token> {
        find(self.session.name, cookies)
    }

    /// The beginning of the sign-in that a request brings.
    pub(super) fn login<'a>(&self, cookies: impl Iterator<Item = &'a str>) -> Option<Token> {
        find(self.login.name, cookies)
    }
}

/// The one cookie of this name, if it has the form of a token. Two of one name: somebody planted one, so neither counts.
fn find<'a>(name: &str, cookies: impl Iterator<Item = &'a str>) -> Option<Token> {
    let mut named = shown::cookies(cookies, name);
    let value = named.next()?;
    match named.next() {
        None => Token::parse(value),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token::parse(&"0a".repeat(32)).unwrap()
    }

    #[test]
    fn over_tls_the_cookies_are_bound_to_the_host() {
        let cookies = Cookies::new(true, 60).unwrap();
        let value = "0a".repeat(32);
        assert_eq!(
            cookies.set_session(&token()),
            format!("__Host-lakh={value}; Max-Age=60; Path=/; HttpOnly; Secure; SameSite=Strict")
        );
        assert_eq!(
            cookies.set_login(&token()),
            format!(
                "__Host-lakh-login={value}; Max-Age=600; Path=/; HttpOnly; Secure; SameSite=Lax"
            )
        );
        let cleared = cookies.clear_session();
        assert!(
            cleared
                .to_str()
                .unwrap()
                .starts_with("__Host-lakh=; Max-Age=0;")
        );
    }

    #[test]
    fn on_this_machine_there_is_no_prefix() {
        let cookies = Cookies::new(false, 60).unwrap();
        let set = cookies.set_session(&token());
        let set = set.to_str().unwrap();
        assert!(set.starts_with("lakh-session="), "{set}");
        assert!(
            set.contains("HttpOnly") && set.contains("SameSite=Strict"),
            "{set}"
        );
        assert!(!set.contains("Secure"), "{set}");
    }

    #[test]
    fn a_session_is_found_among_others_and_two_of_one_name_are_none() {
        let cookies = Cookies::new(true, 60).unwrap();
        let (a, b) = ("0a".repeat(32), "0b".repeat(32));
        let of = |lines: &[&str]| cookies.session(lines.iter().copied()).is_some();
        assert!(of(&[&format!("x=1; __Host-lakh={a}; y=2")]));
        assert!(of(&["x=1", &format!("__Host-lakh={a}")]));
        assert!(!of(&[&format!(
            "lakh={a}; lakh-session={a}; __Host-lakh-login={a}"
        )]));
        assert!(!of(&[&format!("__Host-lakh={a}; __Host-lakh={b}")]));
        for bad in ["", "short", &"0A".repeat(32), &"0a".repeat(33), "é"] {
            assert!(!of(&[&format!("__Host-lakh={bad}")]), "{bad}");
        }
    }
}
