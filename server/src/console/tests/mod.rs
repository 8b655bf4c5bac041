//! The sign-in as a browser sees it, without a socket. With a real provider and a real browser: `tests/oidc`.

mod local;
mod requests;
mod sessions;

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::person::Person;
use super::*;
use crate::config::value::{Address, Secret};
use crate::http::{self, HttpState};

const NOW: u64 = 1_800_000_000_000;
const PASSWORD: &str = "correct horse";
const OWN: &str = "https://lakh.example";

thread_local! {
    static CLOCK: Cell<u64> = const { Cell::new(NOW) };
}

fn now() -> u64 {
    CLOCK.get()
}

fn pass(ms: u64) {
    CLOCK.set(CLOCK.get() + ms);
}

fn hash() -> Secret {
    static HASH: OnceLock<String> = OnceLock::new();
    let hash = HASH.get_or_init(|| lakh_auth::password::hash(PASSWORD, &[7; 16]).unwrap());
    Secret(hash.clone())
}

fn settings() -> Settings {
    let console = config::Console {
        public_url: Some(OWN.into()),
        oidc_issuer: Some("http://127.0.0.1:1".into()),
        oidc_client_id: Some("lakh".into()),
        admin_roles: vec!["ops".into()],
        reader_roles: vec!["staff".into()],
        admin_user: Some("ada".into()),
        admin_password_hash: Some(hash()),
        ..config::Console::default()
    };
    Settings {
        console,
        ..Settings::default()
    }
}

fn console(settings: &Settings, store: &Store) -> Arc<Console> {
    let plan = Plan::new(settings, Mode::Production).unwrap().unwrap();
    Arc::new(Console::new(plan, store.clone(), now))
}

fn with(console: &Arc<Console>) -> HttpState {
    HttpState {
        console: Some(Arc::clone(console)),
        ..http::tests::state(Mode::Production)
    }
}

fn state() -> HttpState {
    with(&console(&settings(), &Store::memory()))
}

async fn ask(state: &HttpState, request: Request<Body>) -> Response<Body> {
    http::router(state.clone()).oneshot(request).await.unwrap()
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: Value) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let address: SocketAddr = "192.0.2.1:9".parse().unwrap();
    let request = request.extension(ConnectInfo(address));
    let body = match body {
        Value::Null => Body::empty(),
        body => Body::from(body.to_string()),
    };
    request.body(body).unwrap()
}

fn get(path: &str, cookie: &str) -> Request<Body> {
    request("GET", path, &[("cookie", cookie)], Value::Null)
}

fn post(path: &str, cookie: &str) -> Request<Body> {
    let headers = [("cookie", cookie), ("sec-fetch-site", "same-origin")];
    request("POST", path, &headers, Value::Null)
}

fn try_password(user: &str, password: &str) -> Request<Body> {
    let body = json!({ "user": user, "password": password });
    request("POST", "/api/v1/session", &[("origin", OWN)], body)
}

fn set_cookies(response: &Response<Body>) -> Vec<String> {
    let cookies = response.headers().get_all("set-cookie").iter();
    cookies
        .map(|cookie| cookie.to_str().unwrap().to_owned())
        .collect()
}

/// Name and value of the session's cookie.
fn session_cookie(response: &Response<Body>) -> String {
    let cookies = set_cookies(response);
    let mut set = cookies
        .iter()
        .filter(|cookie| cookie.starts_with("__Host-lakh="));
    let cookie = set.next().unwrap().split(';').next().unwrap().to_owned();
    assert!(set.next().is_none());
    cookie
}

async fn sign_in(state: &HttpState) -> String {
    let response = ask(state, try_password("ada", PASSWORD)).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    session_cookie(&response)
}

/// A session as the provider's way makes it.
async fn session_with(console: &Console, roles: &[&str]) -> String {
    let person = Person {
        id: "oidc:7".into(),
        name: "Grace".into(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
    };
    let how = How::Provider {
        issuer: console.plan.provider.as_ref().unwrap().issuer().into(),
        hint: None,
    };
    let token = console.sessions.begin(person, how, now()).await.unwrap();
    format!("__Host-lakh={}", token.as_str())
}

async fn body(response: Response<Body>) -> Value {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

async fn code(response: Response<Body>) -> (u16, String) {
    let status = response.status().as_u16();
    let code = body(response).await["error"]["code"].clone();
    (status, code.as_str().unwrap_or_default().to_owned())
}

fn location(response: &Response<Body>) -> &str {
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    response.headers()["location"].to_str().unwrap()
}
