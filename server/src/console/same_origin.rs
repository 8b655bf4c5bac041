//! Whether a request comes from the console's own page. A cookie goes along with whatever request a browser makes; this
//! says which of them a session counts for, so that no other site can act with it.
//!
//! Two headers tell, and scripts can set neither: `Sec-Fetch-Site` (Fetch Metadata), which all browsers send to secure
//! origins and to this machine, and `Origin` (RFC 6454), which they send with everything that isn't a GET, and with
//! WebSockets. What changes something needs one of them; both, if there, must say that it's our own page.

use axum::http::{HeaderMap, header};
use lakh_hub::Handshake;
use openidconnect::url::{Origin, Url};

/// What a request says of where it comes from.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct From<'a> {
    pub(super) origin: Option<&'a str>,
    pub(super) site: Option<&'a str>,
    pub(super) host: Option<&'a str>,
}

impl<'a> From<'a> {
    pub(super) fn headers(headers: &'a HeaderMap) -> Self {
        let text = |name: &str| {
            let value = headers.get(name)?;
            // What can't be read is not ours.
            Some(value.to_str().unwrap_or("?"))
        };
        Self {
            origin: text("origin"),
            site: text("sec-fetch-site"),
            host: text(header::HOST.as_str()),
        }
    }

    pub(super) fn handshake(handshake: &'a Handshake) -> Self {
        Self {
            origin: handshake.header("origin"),
            site: handshake.header("sec-fetch-site"),
            host: handshake.header("host"),
        }
    }

    /// Whether it may change something with a session, or make one. `own` is the page's origin, where it's known.
    pub(super) fn may_change(self, own: Option<&Origin>) -> bool {
        let told = self.origin.is_some() || self.site.is_some();
        told && self.site.is_none_or(|site| site == "same-origin") && self.origin_is(own)
    }

    /// Whether it may look at something with a session. `none`: the person typed the address.
    pub(super) fn may_look(self, own: Option<&Origin>) -> bool {
        self.site
            .is_none_or(|site| matches!(site, "same-origin" | "none"))
            && self.origin_is(own)
    }

    fn origin_is(self, own: Option<&Origin>) -> bool {
        let Some(origin) = self.origin else {
            return true;
        };
        // `null`, which sandboxed pages and some redirects send, is no URL.
        let Ok(origin) = Url::parse(origin) else {
            return false;
        };
        match own {
            Some(own) => origin.origin() == *own,
            // Nobody said where people reach the page; then the page is where its browser asked for it.
            None => self.host.is_some_and(|host| {
                let same = format!("{}://{host}", origin.scheme());
                Url::parse(&same).is_ok_and(|same| same.origin() == origin.origin())
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "https://lakh.example";

    fn from<'a>(origin: Option<&'a str>, site: Option<&'a str>) -> From<'a> {
        From {
            origin,
            site,
            host: Some("lakh.example"),
        }
    }

    #[test]
    fn only_the_page_itself_acts_with_a_session() {
        let own = Url::parse(OWN).unwrap().origin();
        for (origin, site, change, look) in [
            (Some(OWN), Some("same-origin"), true, true),
            (Some(OWN), None, true, true),
            (None, Some("same-origin"), true, true),
            // A browser that tells nothing: it may look, since no site can read the answer.
            (None, None, false, true),
            (None, Some("none"), false, true),
            (None, Some("cross-site"), false, false),
            (None, Some("same-site"), false, false),
            (Some(OWN), Some("cross-site"), false, false),
            (
                Some("https://evil.example"),
                Some("same-origin"),
                false,
                false,
            ),
            (Some("https://evil.example"), None, false, false),
            (Some("https://evil.lakh.example"), None, false, false),
            (Some("http://lakh.example"), None, false, false),
            (Some("https://lakh.example:444"), None, false, false),
            (
                Some("https://lakh.example.evil.example"),
                None,
                false,
                false,
            ),
            (Some("null"), None, false, false),
            (Some(""), None, false, false),
            (Some("?"), None, false, false),
        ] {
            let request = from(origin, site);
            assert_eq!(
                request.may_change(Some(&own)),
                change,
                "{origin:?} {site:?}"
            );
            assert_eq!(request.may_look(Some(&own)), look, "{origin:?} {site:?}");
        }
    }

    #[test]
    fn without_a_public_url_the_page_is_where_it_was_asked_for() {
        let of = |origin: &'static str, host: Option<&'static str>| {
            let request = From {
                origin: Some(origin),
                site: None,
                host,
            };
            request.may_change(None)
        };
        assert!(of("http://127.0.0.1:3000", Some("127.0.0.1:3000")));
        assert!(of("http://localhost:80", Some("localhost")));
        assert!(!of("http://127.0.0.1:3001", Some("127.0.0.1:3000")));
        assert!(!of("http://evil.example", Some("127.0.0.1:3000")));
        assert!(!of("http://127.0.0.1:3000", None));
        assert!(!of("null", Some("127.0.0.1:3000")));
    }
}
