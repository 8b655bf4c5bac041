//! The HTTP side as a client sees it, without a socket.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::config::Auth;
use crate::config::Settings;
use crate::config::value::{Network, Secret};
use crate::service::nodes::NodeReport;
use crate::service::{self, Host, Parts};
use crate::telemetry::snapshot::NamespaceCount;
use lakh_auth::{Effect, Policy, Principal};
use lakh_hub::Hub;
use lakh_net::SystemClock;
use lakh_store::Store;

const NOW_S: u64 = 1_800_000_000;

struct Fake {
    draining: bool,
    store: bool,
    broker: bool,
}

impl Observed for Fake {
    fn snapshot(&self) -> Later<'_, Snapshot> {
        Box::pin(async {
            Snapshot {
                node: "n1".into(),
                uptime_ms: 61_999,
                connections_websocket: 2,
                connections_polling: 1,
                namespaces: vec![NamespaceCount {
                    name: "/chat".into(),
                    sockets: 3,
                    rooms: 1,
                }],
                ..Snapshot::default()
            }
        })
    }

    fn checks(&self) -> Later<'_, Vec<health::Check>> {
        let store = (!self.store).then(|| "the disk is full".into());
        let broker = (!self.broker).then(|| "Redis is away".into());
        Box::pin(async {
            vec![
                health::Check::of_a_need("store", store),
                health::Check::of_a_help("broker", broker),
            ]
        })
    }

    fn draining(&self) -> bool {
        self.draining
    }
}

fn auth() -> Auth {
    Auth {
        secret: Some(Secret("0123456789abcdef0123456789abcdef".into())),
        ..Auth::default()
    }
}

pub(crate) fn state(mode: Mode) -> HttpState {
    let auth = match mode {
        Mode::Production => auth(),
        _ => Auth::default(),
    };
    let settings = Settings {
        auth: auth.clone(),
        ..Settings::default()
    };
    let sign_in = SignIn::new(&auth, || NOW_S).unwrap();
    HttpState {
        service: service(&sign_in),
        door: Arc::new(door::Door::new(&settings, None)),
        observed: Arc::new(Fake {
            draining: false,
            store: true,
            broker: true,
        }),
        sign_in,
        console: None,
        mode,
        index: page::Index::default(),
        metrics: Metrics::default(),
        files: None,
    }
}

struct Nobody;

impl Host for Nobody {
    fn name(&self) -> &str {
        "n1"
    }

    fn report(&self) -> Later<'_, NodeReport> {
        Box::pin(std::future::pending())
    }

    fn known_names(&self) -> Later<'_, Vec<String>> {
        Box::pin(async { Vec::new() })
    }

    fn drain(&self) -> bool {
        false
    }
}

/// A service whose loops don't run: for what is decided before anything is done.
fn service(sign_in: &SignIn) -> Service {
    let hub = Hub::new(lakh_hub::Settings::default(), SystemClock::default());
    hub.set_policy(Policy::new(Vec::new(), Effect::Deny).closing("api"));
    Service::new(Parts {
        hub,
        store: Store::memory(),
        store_is_shared: false,
        rooms: None,
        chat: None,
        worlds: None,
        hooks: None,
        host: Arc::new(Nobody),
        sign_in: sign_in.clone(),
        revoker: None,
        common: "/".into(),
        now_ms: || NOW_S * 1_000,
        config: service::Config::default(),
        looks: service::presence::Looks::default(),
    })
}

fn token(admin: bool) -> String {
    let principal = Principal {
        admin,
        ..Principal::person("u1", "Ada")
    };
    let sign_in = SignIn::new(&auth(), || NOW_S).unwrap();
    format!("Bearer {}", sign_in.issue(&principal, None, 60).unwrap())
}

async fn ask(state: HttpState, request: Request<Body>) -> Response<Body> {
    router(state).oneshot(request).await.unwrap()
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn with(path: &str, name: &str, value: &str) -> Request<Body> {
    Request::get(path)
        .header(name, value)
        .body(Body::empty())
        .unwrap()
}

fn from(address: &str, mut request: Request<Body>) -> Request<Body> {
    let address: SocketAddr = address.parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(address));
    request
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

async fn bytes(response: Response<Body>) -> Vec<u8> {
    response
        .into_body()
        .collect()
        .await
        .unwrap()
        .to_bytes()
        .to_vec()
}

async fn json(response: Response<Body>) -> Value {
    serde_json::from_slice(&bytes(response).await).unwrap()
}

#[tokio::test]
async fn ready_says_503_while_draining_or_when_a_check_fails() {
    let away = StatusCode::SERVICE_UNAVAILABLE;
    for (draining, store, broker, status, word) in [
        (false, true, true, StatusCode::OK, "ready"),
        (false, true, false, StatusCode::OK, "impaired"),
        (true, true, true, away, "draining"),
        (true, true, false, away, "draining"),
        (false, false, true, away, "unready"),
        (false, false, false, away, "unready"),
    ] {
        let mut state = state(Mode::Development);
        state.observed = Arc::new(Fake {
            draining,
            store,
            broker,
        });
        let live = ask(state.clone(), get("/live")).await;
        assert_eq!(live.status(), StatusCode::OK, "it lives all the while");
        let response = ask(state, get("/ready")).await;
        assert_eq!(response.status(), status);
        let body = json(response).await;
        assert_eq!(body["status"], word);
        assert_eq!(body["checks"][0]["ok"], store);
    }
}

#[tokio::test]
async fn stats_are_open_in_development() {
    let body = json(ask(state(Mode::Development), get("/api/v1/stats")).await).await;
    assert_eq!(body["connections"]["total"], 3);
    assert_eq!(body["uptime_s"], 61);
    assert_eq!(body["mode"], "development");
    assert_eq!(body["namespaces"][0]["name"], "/chat");
    assert_eq!(body["ready"], true);
    assert!(body["resident_bytes"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn in_production_numbers_want_a_token_that_allows_it() {
    for path in ["/api/v1/stats"] {
        let none = ask(state(Mode::Production), get(path)).await;
        assert_eq!(none.status(), StatusCode::UNAUTHORIZED);
        assert!(header(&none, "www-authenticate").starts_with("Bearer"));
        assert_eq!(json(none).await["error"]["code"], "unauthorized");
        for (token, status) in [
            (token(true), StatusCode::OK),
            (token(false), StatusCode::FORBIDDEN),
            ("Bearer x.y.z".into(), StatusCode::UNAUTHORIZED),
        ] {
            let request = with(path, "authorization", &token);
            assert_eq!(ask(state(Mode::Production), request).await.status(), status);
        }
    }
}

#[tokio::test]
async fn health_needs_no_token_in_production() {
    for path in ["/live", "/ready"] {
        assert_eq!(
            ask(state(Mode::Production), get(path)).await.status(),
            StatusCode::OK
        );
    }
}

#[tokio::test]
async fn metrics_are_for_loopback_and_allowed_networks() {
    let mut allowing = state(Mode::Development);
    allowing.metrics.allowed = vec![Network("10.0.0.0/8".parse().unwrap())];
    let mut public = state(Mode::Development);
    public.metrics.public = true;
    let plain = || state(Mode::Development);
    let forwarded = || with("/metrics", "x-forwarded-for", "8.8.8.8");
    for (state, request, status) in [
        (plain(), from("127.0.0.1:9", get("/metrics")), 200),
        (plain(), from("[::ffff:127.0.0.1]:9", get("/metrics")), 200),
        (plain(), from("10.1.2.3:9", get("/metrics")), 403),
        (plain(), get("/metrics"), 403),
        (plain(), from("127.0.0.1:9", forwarded()), 403),
        (allowing, from("10.1.2.3:9", get("/metrics")), 200),
        (public, from("8.8.8.8:9", get("/metrics")), 200),
    ] {
        assert_eq!(ask(state, request).await.status(), status);
    }
    let response = ask(plain(), from("127.0.0.1:9", get("/metrics"))).await;
    assert!(header(&response, "content-type").starts_with("text/plain; version=0.0.4"));
    let text = String::from_utf8(bytes(response).await).unwrap();
    assert!(
        text.contains("lakh_connections{transport=\"websocket\"} 2\n"),
        "{text}"
    );
}

#[tokio::test]
async fn metrics_that_are_switched_off_are_not_there() {
    let mut state = state(Mode::Development);
    state.metrics.enabled = false;
    let response = ask(state, from("127.0.0.1:9", get("/metrics"))).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn unknown_paths_and_methods_under_api_are_told_in_json() {
    for path in ["/api", "/api/", "/api/v1/nothing", "/api/v2/stats"] {
        let response = ask(state(Mode::Development), get(path)).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(json(response).await["error"]["code"], "not_found");
    }
    let post = Request::post("/api/v1/stats").body(Body::empty()).unwrap();
    let response = ask(state(Mode::Development), post).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert!(header(&response, "allow").contains("GET"));
    assert_eq!(json(response).await["error"]["code"], "method_not_allowed");
}

#[tokio::test]
async fn the_page_comes_with_its_headers_on_every_route_of_its_own() {
    for path in ["/", "/chat", "/chat/general", "/index.html"] {
        let response = ask(state(Mode::Production), get(path)).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(
            header(&response, "content-type"),
            "text/html; charset=utf-8"
        );
        assert_eq!(header(&response, "cache-control"), "no-cache");
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        assert!(header(&response, "content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(header(&response, "referrer-policy"), "no-referrer");
        let page = String::from_utf8(bytes(response).await).unwrap();
        assert!(page.contains("<html"), "{page}");
    }
}

#[tokio::test]
async fn a_page_that_was_told_another_path_comes_plain_under_a_tag_of_its_own() {
    let told = || HttpState {
        index: page::Index::new("/rt/"),
        ..state(Mode::Development)
    };
    let usual = ask(state(Mode::Development), get("/")).await;
    let response = ask(told(), with("/chat", "accept-encoding", "br, gzip")).await;
    assert_eq!(header(&response, "content-encoding"), "");
    let tag = header(&response, "etag").to_owned();
    assert_ne!(tag, header(&usual, "etag"));
    let page = String::from_utf8(bytes(response).await).unwrap();
    assert!(
        page.contains("name=\"lakh-path\" content=\"/rt/\""),
        "{page}"
    );
    let again = ask(told(), with("/", "if-none-match", &tag)).await;
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn a_client_of_socket_io_at_another_path_hears_404_and_gets_no_page() {
    let response = ask(
        state(Mode::Development),
        get("/socket.io/?EIO=4&transport=polling"),
    )
    .await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_missing_file_is_404_and_never_the_page() {
    for path in [
        "/favicon-x.ico",
        "/assets/nothing",
        "/assets/gone-123.js",
        "/../Cargo.toml",
    ] {
        let response = ask(state(Mode::Development), get(path)).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn an_unchanged_page_is_304_without_a_body() {
    let first = ask(state(Mode::Development), get("/")).await;
    let tag = header(&first, "etag").to_owned();
    assert!(tag.len() > 10, "{tag}");
    for matching in [tag.clone(), format!("\"x\", W/{tag}"), "*".into()] {
        let response = ask(
            state(Mode::Development),
            with("/", "if-none-match", &matching),
        )
        .await;
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{matching}");
        assert_eq!(header(&response, "etag"), tag);
        assert!(bytes(response).await.is_empty());
    }
    let other = ask(
        state(Mode::Development),
        with("/", "if-none-match", "\"x\""),
    )
    .await;
    assert_eq!(other.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_page_takes_get_and_head_alone() {
    let head = Request::head("/").body(Body::empty()).unwrap();
    let response = ask(state(Mode::Development), head).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(bytes(response).await.is_empty());
    let post = Request::post("/").body(Body::empty()).unwrap();
    let response = ask(state(Mode::Development), post).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_client_that_takes_compressed_pages_gets_fewer_bytes_under_another_tag() {
    let plain = ask(state(Mode::Development), get("/")).await;
    assert_eq!(header(&plain, "content-encoding"), "");
    let tag = header(&plain, "etag").to_owned();
    let whole = bytes(plain).await;
    for (accepted, encoding, magic) in [
        ("gzip", "gzip", &[0x1f, 0x8b][..]),
        ("gzip, br", "br", &[]),
        ("gzip, br;q=0", "gzip", &[0x1f, 0x8b]),
    ] {
        let response = ask(
            state(Mode::Development),
            with("/", "accept-encoding", accepted),
        )
        .await;
        assert_eq!(header(&response, "content-encoding"), encoding);
        assert_eq!(header(&response, "vary"), "accept-encoding");
        assert_eq!(
            header(&response, "content-type"),
            "text/html; charset=utf-8"
        );
        assert_ne!(header(&response, "etag"), tag);
        let small = bytes(response).await;
        assert!(
            small.len() < whole.len() && small.starts_with(magic),
            "{accepted}"
        );
    }
}
