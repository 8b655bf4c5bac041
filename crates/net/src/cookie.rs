//! The cookie that carries the session id, for balancers that keep a client on its node by cookie.
//!
//! Invariant: whatever the session id holds, the result is one cookie; everything else is checked once, when the
//! server is configured. Sources: RFC 6265 section 4.1.1, RFC 6265bis (SameSite and the name prefixes). The order
//! of attributes is that of the npm module `cookie`, which Engine.IO uses.

use std::fmt::Write as _;

use http::HeaderValue;

/// When a browser sends the cookie with requests that another site started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameSite {
    /// Never.
    Strict,
    /// Only when the person follows a link.
    #[default]
    Lax,
    /// Always; wants `secure`.
    None,
}

/// What the cookie looks like. The defaults are Engine.IO's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieOptions {
    /// Its name. Default `io`.
    pub name: String,
    /// The paths that get it. Default `/`.
    pub path: Option<String>,
    /// The domain that gets it, with its subdomains. Default: this host alone.
    pub domain: Option<String>,
    /// Only over TLS. Default false.
    pub secure: bool,
    /// Hidden from the page's scripts. Default true.
    pub http_only: bool,
    /// Default [`SameSite::Lax`].
    pub same_site: Option<SameSite>,
    /// Seconds that it is kept. Default: until the browser closes.
    pub max_age_s: Option<u64>,
}

impl Default for CookieOptions {
    fn default() -> Self {
        Self {
            name: "io".into(),
            path: Some("/".into()),
            domain: None,
            secure: false,
            http_only: true,
            same_site: Some(SameSite::Lax),
            max_age_s: None,
        }
    }
}

/// Why the options make no cookie.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CookieError {
    /// RFC 6265 wants a token.
    #[error("cookie name {0:?}: use letters, digits and -_.!#$%&'*+^`|~")]
    Name(String),
    /// A semicolon or a control character would end the attribute.
    #[error("cookie {attribute} {value:?}: use printable ASCII without a semicolon")]
    Attribute {
        /// `path` or `domain`.
        attribute: &'static str,
        /// As configured.
        value: String,
    },
    /// Browsers drop such a cookie.
    #[error("a cookie with SameSite=None must be secure: set secure, or SameSite=Lax")]
    NoneNeedsSecure,
    /// Browsers drop such a cookie.
    #[error("cookie name {0:?}: __Secure- wants secure; __Host- also the path / and no domain")]
    Prefix(String),
}

/// A cookie that is ready but for its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StickyCookie {
    name: String,
    attributes: String,
}

impl StickyCookie {
    /// Checks the options and prepares all that stays the same.
    ///
    /// # Errors
    /// [`CookieError`], which names the option.
    pub fn new(options: &CookieOptions) -> Result<Self, CookieError> {
        check(options)?;
        Ok(Self {
            name: options.name.clone(),
            attributes: attributes(options),
        })
    }

    /// The name, to look for in requests.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of `Set-Cookie` for a session. Session ids need no escaping; any other byte gets some.
    #[must_use]
    pub fn set_cookie(&self, session_id: &str) -> HeaderValue {
        let mut value =
            String::with_capacity(self.name.len() + session_id.len() + self.attributes.len() + 1);
        value.push_str(&self.name);
        value.push('=');
        for byte in session_id.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
                value.push(char::from(byte));
            } else {
                // Writing to a String can't fail.
                let _ = write!(value, "%{byte:02X}");
            }
        }
        value.push_str(&self.attributes);
        // All of it was checked to be printable ASCII, so the fallback is never taken.
        HeaderValue::try_from(value).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

fn check(options: &CookieOptions) -> Result<(), CookieError> {
    let name = &options.name;
    if name.is_empty() || !name.bytes().all(is_token_byte) {
        return Err(CookieError::Name(name.clone()));
    }
    for (attribute, value) in [("path", &options.path), ("domain", &options.domain)] {
        if let Some(value) = value
            && (value.is_empty() || !value.bytes().all(is_attribute_byte))
        {
            return Err(CookieError::Attribute {
                attribute,
                value: value.clone(),
            });
        }
    }
    if options.same_site == Some(SameSite::None) && !options.secure {
        return Err(CookieError::NoneNeedsSecure);
    }
    let host_ok = options.path.as_deref() == Some("/") && options.domain.is_none();
    let needs_host = name.starts_with("__Host-");
    let needs_secure = needs_host || name.starts_with("__Secure-");
    if (needs_secure && !options.secure) || (needs_host && !host_ok) {
        return Err(CookieError::Prefix(name.clone()));
    }
    Ok(())
}

fn attributes(options: &CookieOptions) -> String {
    let mut out = String::new();
    if let Some(max_age_s) = options.max_age_s {
        // Writing to a String can't fail.
        let _ = write!(out, "; Max-Age={max_age_s}");
    }
    if let Some(domain) = &options.domain {
        let _ = write!(out, "; Domain={domain}");
    }
    if let Some(path) = &options.path {
        let _ = write!(out, "; Path={path}");
    }
    if options.http_only {
        out.push_str("; HttpOnly");
    }
    if options.secure {
        out.push_str("; Secure");
    }
    out.push_str(match options.same_site {
        Some(SameSite::Strict) => "; SameSite=Strict",
        Some(SameSite::Lax) => "; SameSite=Lax",
        Some(SameSite::None) => "; SameSite=None",
        None => "",
    });
    out
}

/// RFC 9110 section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_attribute_byte(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte) && byte != b';'
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use super::*;

    fn cookie(options: &CookieOptions, id: &str) -> String {
        let cookie = StickyCookie::new(options).unwrap();
        cookie.set_cookie(id).to_str().unwrap().to_owned()
    }

    #[test]
    fn the_default_cookie_is_that_of_engine_io() {
        assert_eq!(
            cookie(&CookieOptions::default(), "lv_VI97HAXpY6yYWAAAC"),
            "io=lv_VI97HAXpY6yYWAAAC; Path=/; HttpOnly; SameSite=Lax"
        );
    }

    #[test]
    fn every_attribute_is_written() {
        let options = CookieOptions {
            name: "__Secure-node".into(),
            path: Some("/socket.io/".into()),
            domain: Some("example.com".into()),
            secure: true,
            http_only: false,
            same_site: Some(SameSite::None),
            max_age_s: Some(86_400),
        };
        assert_eq!(
            cookie(&options, "a"),
            "__Secure-node=a; Max-Age=86400; Domain=example.com; Path=/socket.io/; Secure; SameSite=None"
        );
    }

    #[test]
    fn a_value_can_not_leave_its_place() {
        assert_eq!(
            cookie(&CookieOptions::default(), "a;b\r\nX: \"é,\0%"),
            "io=a%3Bb%0D%0AX%3A%20%22%C3%A9%2C%00%25; Path=/; HttpOnly; SameSite=Lax"
        );
    }

    #[test]
    fn options_that_would_break_out_are_refused() {
        for name in ["", "a b", "a=b", "a;b", "a\r\nb", "ä"] {
            let options = CookieOptions {
                name: name.into(),
                ..CookieOptions::default()
            };
            assert_eq!(
                StickyCookie::new(&options),
                Err(CookieError::Name(name.into()))
            );
        }
        for path in ["", "/;HttpOnly", "/\r\nA: b", "/ä"] {
            let options = CookieOptions {
                path: Some(path.into()),
                ..CookieOptions::default()
            };
            assert!(matches!(
                StickyCookie::new(&options),
                Err(CookieError::Attribute {
                    attribute: "path",
                    ..
                })
            ));
        }
    }

    #[test]
    fn cookies_that_a_browser_would_drop_are_refused() {
        let options = CookieOptions {
            same_site: Some(SameSite::None),
            ..CookieOptions::default()
        };
        assert_eq!(
            StickyCookie::new(&options),
            Err(CookieError::NoneNeedsSecure)
        );
        let mut host = CookieOptions {
            name: "__Host-io".into(),
            ..CookieOptions::default()
        };
        assert!(matches!(
            StickyCookie::new(&host),
            Err(CookieError::Prefix(_))
        ));
        host.secure = true;
        assert!(StickyCookie::new(&host).is_ok());
        host.domain = Some("example.com".into());
        assert!(matches!(
            StickyCookie::new(&host),
            Err(CookieError::Prefix(_))
        ));
    }
}
