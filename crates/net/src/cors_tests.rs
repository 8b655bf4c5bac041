//! Tests of CORS answers; the expected headers are those of the npm module `cors` for the same options.
#![allow(clippy::unwrap_used)] // A panic is how a test fails.

use super::*;

fn listed(origins: &[&str]) -> CorsOptions {
    CorsOptions::new(Origins::List(
        origins.iter().map(|origin| (*origin).into()).collect(),
    ))
}

fn answer(options: &CorsOptions, origin: Option<&str>) -> HeaderMap {
    let mut out = HeaderMap::new();
    let origin = origin.map(|text| HeaderValue::from_str(text).unwrap());
    Cors::new(options).unwrap().apply(origin.as_ref(), &mut out);
    out
}

/// The value of a header, its lines joined.
fn get(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines: Vec<_> = headers
        .get_all(name)
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

const ALLOW_ORIGIN: &str = "access-control-allow-origin";
const ALLOW_CREDENTIALS: &str = "access-control-allow-credentials";

#[test]
fn any_origin_without_credentials_gets_the_star_and_no_vary() {
    for origin in [None, Some("https://a.example")] {
        let headers = answer(&CorsOptions::new(Origins::Any), origin);
        assert_eq!(get(&headers, ALLOW_ORIGIN).as_deref(), Some("*"));
        assert_eq!(headers.len(), 1);
    }
}

#[test]
fn any_origin_with_credentials_is_echoed_and_never_the_star() {
    let mut options = CorsOptions::new(Origins::Any);
    options.credentials = true;
    let headers = answer(&options, Some("https://a.example"));
    assert_eq!(
        get(&headers, ALLOW_ORIGIN).as_deref(),
        Some("https://a.example")
    );
    assert_eq!(get(&headers, ALLOW_CREDENTIALS).as_deref(), Some("true"));
    assert_eq!(get(&headers, "vary").as_deref(), Some("origin"));
    let headers = answer(&options, None);
    assert_eq!(get(&headers, ALLOW_ORIGIN), None);
    assert_eq!(get(&headers, "vary").as_deref(), Some("origin"));
}

#[test]
fn a_listed_origin_is_echoed_and_another_gets_only_vary() {
    let mut options = listed(&["https://a.example", "http://localhost:5173/"]);
    options.credentials = true;
    for origin in ["https://a.example", "http://localhost:5173"] {
        let headers = answer(&options, Some(origin));
        assert_eq!(get(&headers, ALLOW_ORIGIN).as_deref(), Some(origin));
        assert_eq!(get(&headers, "vary").as_deref(), Some("origin"));
    }
    for origin in [
        "https://b.example",
        "http://a.example",
        "https://a.example:444",
        "https://a.example.evil.com",
        "null",
        "",
    ] {
        let headers = answer(&options, Some(origin));
        assert_eq!(get(&headers, ALLOW_ORIGIN), None, "{origin}");
        assert_eq!(get(&headers, ALLOW_CREDENTIALS), None, "{origin}");
        assert_eq!(get(&headers, "vary").as_deref(), Some("origin"));
    }
}

#[test]
fn a_wildcard_takes_subdomains_of_any_depth_and_nothing_else() {
    let cors = Cors::new(&listed(&[
        "https://*.example.com",
        "http://*.dev.test:8080",
    ]))
    .unwrap();
    for origin in [
        "https://app.example.com",
        "https://a.b.example.com",
        "https://APP.Example.com",
        "http://x.dev.test:8080",
    ] {
        assert!(cors.allows(origin), "{origin}");
    }
    for origin in [
        "https://example.com",
        "https://.example.com",
        "https://..example.com",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://evil.com/.example.com",
        "https://evil.com#.example.com",
        "https://user@.example.com",
        "https://evilexample.com",
        "https://app.example.com.evil.com",
        "http://x.dev.test",
        "https://",
        "https://é.example.com",
    ] {
        assert!(!cors.allows(origin), "{origin}");
    }
}

#[test]
fn a_preflight_echoes_the_headers_it_asks_for() {
    let mut request = HeaderMap::new();
    request.insert(ORIGIN, "https://a.example".parse().unwrap());
    request.insert(
        ACCESS_CONTROL_REQUEST_HEADERS,
        "x-one,x-two".parse().unwrap(),
    );
    let mut out = HeaderMap::new();
    let mut options = listed(&["https://a.example"]);
    options.max_age_s = Some(600);
    Cors::new(&options)
        .unwrap()
        .apply_preflight(&request, &mut out);
    let expected = [
        (ALLOW_ORIGIN, "https://a.example"),
        (
            "access-control-allow-methods",
            "GET,HEAD,PUT,PATCH,POST,DELETE",
        ),
        ("access-control-allow-headers", "x-one,x-two"),
        ("access-control-max-age", "600"),
        ("vary", "origin, access-control-request-headers"),
    ];
    for (name, value) in expected {
        assert_eq!(get(&out, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(out.keys_len(), expected.len());
}

#[test]
fn a_preflight_with_configured_headers_answers_those() {
    let mut options = CorsOptions::new(Origins::Any);
    options.allowed_headers = vec!["my-header".into(), "authorization".into()];
    options.exposed_headers = vec!["x-total".into()];
    options.methods = vec!["GET".into(), "POST".into()];
    let mut out = HeaderMap::new();
    let asked = HeaderValue::from_static("x-other");
    Cors::new(&options)
        .unwrap()
        .preflight(None, Some(&asked), &mut out);
    let got = |name| get(&out, name);
    assert_eq!(
        got("access-control-allow-headers").as_deref(),
        Some("my-header,authorization")
    );
    assert_eq!(
        got("access-control-allow-methods").as_deref(),
        Some("GET,POST")
    );
    assert_eq!(
        got("access-control-expose-headers").as_deref(),
        Some("x-total")
    );
    assert_eq!(got("vary"), None);
}

#[test]
fn headers_that_a_hook_set_before_are_kept() {
    let mut out = HeaderMap::new();
    out.insert(VARY, HeaderValue::from_static("accept-encoding"));
    let origin = HeaderValue::from_static("https://a.example");
    Cors::new(&listed(&["https://a.example"]))
        .unwrap()
        .apply(Some(&origin), &mut out);
    assert_eq!(
        get(&out, "vary").as_deref(),
        Some("accept-encoding, origin")
    );
}

#[test]
fn entries_that_no_browser_could_send_are_refused() {
    for entry in [
        "example.com",
        "https://",
        "https://*",
        "https://*.",
        "https://a.example/path",
        "https://a.*.example",
        "https://a b",
        "://a",
    ] {
        assert_eq!(
            Cors::new(&listed(&[entry])).unwrap_err(),
            CorsError::Origin(entry.into())
        );
    }
    let mut options = CorsOptions::new(Origins::Any);
    options.exposed_headers = vec!["x\r\ny: z".into()];
    assert!(matches!(
        Cors::new(&options),
        Err(CorsError::Name { what: "header", .. })
    ));
}

#[test]
fn a_star_in_a_list_is_any() {
    let headers = answer(&listed(&["*"]), Some("https://a.example"));
    assert_eq!(get(&headers, ALLOW_ORIGIN).as_deref(), Some("*"));
}

#[test]
fn a_websocket_is_opened_by_own_pages_listed_pages_and_programs() {
    let cors = Cors::new(&listed(&["https://app.example"])).unwrap();
    let may = |origin, host| websocket_origin_allowed(Some(&cors), origin, host);
    assert!(may(None, "lakh.example"));
    assert!(may(Some("https://app.example"), "lakh.example"));
    assert!(may(Some("https://lakh.example"), "lakh.example"));
    assert!(may(Some("https://lakh.example"), "Lakh.example:443"));
    assert!(may(Some("http://[::1]:3000"), "[::1]:3000"));
    assert!(!may(Some("https://evil.example"), "lakh.example"));
    assert!(!may(Some("http://lakh.example:8080"), "lakh.example"));
    assert!(!may(Some("http://lakh.example"), "lakh.example:443"));
    assert!(!may(Some("null"), "lakh.example"));
    assert!(!may(Some("https://"), ""));
    assert!(!websocket_origin_allowed(
        None,
        Some("https://app.example"),
        "lakh.example"
    ));
}

#[test]
fn polls_of_other_pages_are_known_by_their_origin_or_by_what_browsers_say_of_scripts() {
    let cors = Cors::new(&listed(&["https://friend.example"])).unwrap();
    for (origin, site, allowed) in [
        (None, None, true),
        (None, Some("same-origin"), true),
        (None, Some("none"), true),
        (None, Some("same-site"), false),
        (None, Some("cross-site"), false),
        (Some("https://chat.example"), None, true),
        (Some("https://friend.example"), Some("cross-site"), true),
        (Some("https://evil.example"), None, false),
        (Some("https://evil.example"), Some("same-origin"), false),
        (Some("null"), Some("cross-site"), false),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("host", "chat.example".parse().unwrap());
        if let Some(origin) = origin {
            headers.insert("origin", origin.parse().unwrap());
        }
        if let Some(site) = site {
            headers.insert("sec-fetch-site", site.parse().unwrap());
        }
        let found = polling_origin_allowed(Some(&cors), &headers);
        assert_eq!(found, allowed, "{origin:?} {site:?}");
    }
}
