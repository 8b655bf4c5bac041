//! Cross-origin requests: which pages may talk to this server, and the headers that tell the browser so.
//!
//! Invariants: `*` and credentials never meet; whatever depends on a request header is named in `Vary`. Behaves as
//! the npm module `cors` behind Engine.IO's `cors` option (fixed, reflected and listed origins, preflight answered
//! with 204), which sets its headers on every answer of the path, on the 101 of a WebSocket too. Sources: the Fetch
//! standard (CORS protocol), RFC 6455 section 10.2 for WebSocket, which browsers don't guard by CORS.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};

/// Which origins may read answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Every page. With credentials this means that any site can act as a signed-in visitor: only for servers
    /// whose sign-in is not a cookie.
    Any,
    /// These: `https://example.com`, or with one `*.` for all subdomains (not the domain itself),
    /// `https://*.example.com`. A port that isn't the scheme's default belongs to the origin. `null` is the origin
    /// of sandboxed frames and local files.
    List(Vec<String>),
}

/// What may be done across origins. The defaults are those of the npm module, but for the list of origins, which
/// has none that fits everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsOptions {
    /// Who.
    pub origins: Origins,
    /// With cookies and HTTP sign-in. Default false.
    pub credentials: bool,
    /// Default `GET,HEAD,PUT,PATCH,POST,DELETE`.
    pub methods: Vec<String>,
    /// Request headers that may be sent. Empty (the default): those that the browser asks for.
    pub allowed_headers: Vec<String>,
    /// Response headers that the page may read. Default none beyond the safe ones.
    pub exposed_headers: Vec<String>,
    /// Seconds for which a browser keeps a preflight's answer. Default: the browser's own (5 s).
    pub max_age_s: Option<u32>,
}

impl CorsOptions {
    /// The defaults for these origins.
    #[must_use]
    pub fn new(origins: Origins) -> Self {
        Self {
            origins,
            credentials: false,
            methods: ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"]
                .map(String::from)
                .into(),
            allowed_headers: Vec::new(),
            exposed_headers: Vec::new(),
            max_age_s: None,
        }
    }
}

/// Why the options don't make sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CorsError {
    /// It could never equal what a browser sends.
    #[error(
        "origin {0:?}: write scheme://host[:port] without a path, like https://app.example.com or https://*.example.com"
    )]
    Origin(String),
    /// Not a token of RFC 9110.
    #[error("{what} {value:?}: not a valid name")]
    Name {
        /// `method` or `header`.
        what: &'static str,
        /// As configured.
        value: String,
    },
}

/// Checked options with all header values that never change.
#[derive(Clone, Debug)]
pub struct Cors {
    origins: Option<Vec<Pattern>>,
    credentials: bool,
    methods: Option<HeaderValue>,
    allowed_headers: Option<HeaderValue>,
    exposed_headers: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
}

/// One entry of the list, lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Exact(String),
    /// `https://*.example.com:8443` as (`https://`, `.example.com:8443`).
    Subdomains(String, String),
}

const REQUEST_HEADERS_NAME: HeaderValue =
    HeaderValue::from_static("access-control-request-headers");

impl Cors {
    /// Checks the options.
    ///
    /// # Errors
    /// [`CorsError`] with the first entry that can't be used.
    pub fn new(options: &CorsOptions) -> Result<Self, CorsError> {
        let origins = match &options.origins {
            Origins::Any => None,
            // npm's `origin: "*"` within a list means any, too.
            Origins::List(list) if list.iter().any(|entry| entry == "*") => None,
            Origins::List(list) => Some(
                list.iter()
                    .map(|entry| Pattern::parse(entry))
                    .collect::<Result<_, _>>()?,
            ),
        };
        Ok(Self {
            origins,
            credentials: options.credentials,
            methods: joined("method", &options.methods)?,
            allowed_headers: joined("header", &options.allowed_headers)?,
            exposed_headers: joined("header", &options.exposed_headers)?,
            max_age: options.max_age_s.map(HeaderValue::from),
        })
    }

    /// Whether a page of this origin may read answers.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        self.origins
            .as_ref()
            .is_none_or(|list| list.iter().any(|pattern| pattern.matches(origin)))
    }

    /// Adds the headers of an answer to a request with this `Origin`.
    pub fn apply(&self, origin: Option<&HeaderValue>, out: &mut HeaderMap) {
        self.apply_origin(origin, out);
        set(
            out,
            ACCESS_CONTROL_EXPOSE_HEADERS,
            self.exposed_headers.as_ref(),
        );
    }

    /// Adds the headers of the answer to a preflight: a request whose method is OPTIONS. Its status is 204 and it
    /// has no body.
    pub fn apply_preflight(&self, request: &HeaderMap, out: &mut HeaderMap) {
        self.preflight(
            request.get(ORIGIN),
            request.get(ACCESS_CONTROL_REQUEST_HEADERS),
            out,
        );
    }

    /// As [`Self::apply_preflight`], for a request of which only these two headers are at hand.
    pub fn preflight(
        &self,
        origin: Option<&HeaderValue>,
        requested_headers: Option<&HeaderValue>,
        out: &mut HeaderMap,
    ) {
        self.apply_origin(origin, out);
        set(out, ACCESS_CONTROL_ALLOW_METHODS, self.methods.as_ref());
        if self.allowed_headers.is_some() {
            set(
                out,
                ACCESS_CONTROL_ALLOW_HEADERS,
                self.allowed_headers.as_ref(),
            );
        } else {
            // What the browser asks for is what the answer depends on, also when it asks for nothing.
            out.append(VARY, REQUEST_HEADERS_NAME);
            set(out, ACCESS_CONTROL_ALLOW_HEADERS, requested_headers);
        }
        set(out, ACCESS_CONTROL_MAX_AGE, self.max_age.as_ref());
        set(
            out,
            ACCESS_CONTROL_EXPOSE_HEADERS,
            self.exposed_headers.as_ref(),
        );
    }

    fn apply_origin(&self, origin: Option<&HeaderValue>, out: &mut HeaderMap) {
        if self.origins.is_none() && !self.credentials {
            out.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            return;
        }
        // Also when this origin gets nothing: a cache must not give this answer to one that would.
        out.append(VARY, HeaderValue::from_static("origin"));
        let allowed = origin.filter(|value| value.to_str().is_ok_and(|text| self.allows(text)));
        if let Some(origin) = allowed {
            out.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            if self.credentials {
                out.insert(
                    ACCESS_CONTROL_ALLOW_CREDENTIALS,
                    HeaderValue::from_static("true"),
                );
            }
        }
    }
}

/// Whether a page may open a WebSocket here. Browsers let any page try, with the visitor's cookies, and leave the
/// decision to the server. Requests without `Origin` don't come from a page and are let through; so is the page
/// that this host served itself, and the origins of `cors` when there is one.
///
/// Node's server doesn't check this: a server that takes its clients' word from cookies should.
#[must_use]
pub fn websocket_origin_allowed(cors: Option<&Cors>, origin: Option<&str>, host: &str) -> bool {
    origin.is_none_or(|origin| {
        is_same_host(origin, host) || cors.is_some_and(|cors| cors.allows(origin))
    })
}

/// The same for a request of long polling. Scripts, which JSONP is made of, have no `Origin`; but browsers say of every
/// request whether it comes from another site (W3C Fetch Metadata).
#[must_use]
pub fn polling_origin_allowed(cors: Option<&Cors>, headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(&name).map(HeaderValue::to_str);
    let host = match text(HOST) {
        Some(Ok(host)) => host,
        _ => "",
    };
    match text(ORIGIN) {
        Some(Ok(origin)) => websocket_origin_allowed(cors, Some(origin), host),
        Some(Err(_)) => false,
        None => {
            let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
            !matches!(site, Some(b"cross-site" | b"same-site"))
        }
    }
}

/// Compares host and port. The scheme can't be: behind a proxy that ends TLS the server doesn't see it.
fn is_same_host(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    // Browsers leave the default port out on both sides; other clients write it on one.
    let default_port = match scheme {
        "https" | "wss" => ":443",
        "http" | "ws" => ":80",
        _ => return false,
    };
    let bare = |text: &str| -> String {
        let lower = text.to_ascii_lowercase();
        lower
            .strip_suffix(default_port)
            .unwrap_or(&lower)
            .to_owned()
    };
    !authority.is_empty() && bare(authority) == bare(host)
}

impl Pattern {
    fn parse(entry: &str) -> Result<Self, CorsError> {
        let wrong = || CorsError::Origin(entry.to_owned());
        let lower = entry.trim().to_ascii_lowercase();
        let lower = lower.strip_suffix('/').unwrap_or(&lower);
        if lower == "null" {
            return Ok(Self::Exact(lower.to_owned()));
        }
        let (scheme, authority) = lower.split_once("://").ok_or_else(wrong)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        let subdomains = authority.strip_prefix("*.");
        let host = subdomains.unwrap_or(authority);
        let dotted = host.starts_with('.') || host.ends_with('.');
        if scheme.is_empty() || host.is_empty() || dotted || !host.bytes().all(plain) {
            return Err(wrong());
        }
        Ok(match subdomains {
            Some(host) => Self::Subdomains(format!("{scheme}://"), format!(".{host}")),
            None => Self::Exact(lower.to_owned()),
        })
    }

    /// An origin is compared without case: browsers send it in lower case, others may not.
    fn matches(&self, origin: &str) -> bool {
        match self {
            Self::Exact(exact) => exact.eq_ignore_ascii_case(origin),
            Self::Subdomains(start, end) => between(origin, start, end).is_some_and(|label| {
                // Letters alone, or `https://evil.com/.example.com` would fit.
                !label.is_empty()
                    && !label.starts_with('.')
                    && label
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
            }),
        }
    }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let inner = start.len()..text.len().checked_sub(end.len())?;
    let (head, tail) = (text.get(..inner.start)?, text.get(inner.end..)?);
    (head.eq_ignore_ascii_case(start) && tail.eq_ignore_ascii_case(end))
        .then(|| text.get(inner))
        .flatten()
}

/// A comma-separated value of names, or nothing for none.
fn joined(what: &'static str, names: &[String]) -> Result<Option<HeaderValue>, CorsError> {
    for name in names {
        // Methods and headers are both tokens; a header's name says whether this is one.
        if name != "*" && HeaderName::from_bytes(name.as_bytes()).is_err() {
            let value = name.clone();
            return Err(CorsError::Name { what, value });
        }
    }
    Ok(HeaderValue::try_from(names.join(","))
        .ok()
        .filter(|value| !value.is_empty()))
}

fn set(out: &mut HeaderMap, name: HeaderName, value: Option<&HeaderValue>) {
    if let Some(value) = value {
        out.insert(name, value.clone());
    }
}

#[cfg(test)]
#[path = "cors_tests.rs"]
mod tests;
