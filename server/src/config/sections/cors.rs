//! `[cors]`: which pages of other origins may use the server from a browser.

use crate::config::section::section;

section! {
    /// Which pages of other origins may use the server from a browser.
    Cors as "cors" {
        /// Origins, such as "https://example.org" or "https://*.example.org", or "*" for every one. Empty: only pages of
        /// the server's own origin, by WebSocket too; a proxy in front must pass on the `Host` that the browser sent.
        origins: Vec<String> = Vec::new();
        /// Whether those pages may send cookies and sign-in headers of the browser.
        credentials: bool = false;
        /// Time for which a browser may remember the answer to a preflight.
        max_age_ms: u64 = 600_000;
    }
    check |cors, wrong| {
        for origin in &cors.origins {
            if origin != "*" && origin != "null" && !is_origin(origin) {
                wrong.push((
                    "origins",
                    format!("`{origin}` is no origin: it must look like `https://example.org`, without a path"),
                ));
            }
        }
        // Every site could then act with the visitor's cookies.
        if cors.credentials && cors.origins.iter().any(|origin| origin == "*") {
            wrong.push(("origins", "\"*\" and `cors.credentials = true` exclude each other: name the origins".into()));
        }
    };
}

fn is_origin(text: &str) -> bool {
    // One label may be a star, which no URI has.
    let Ok(uri) = text.replacen("://*.", "://any.", 1).parse::<http::Uri>() else {
        return false;
    };
    let bare = uri.path_and_query().is_none_or(|rest| rest.as_str() == "/");
    uri.scheme().is_some()
        && uri.host().is_some_and(|host| !host.contains('*'))
        && bare
        && !text.ends_with('/')
}
