//! Where tokens come from, and keys of providers that come and go, over real HTTP.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::routing::get;
use parking_lot::Mutex;
use serde_json::json;
use tokio::task::JoinHandle;

use super::provider::Pace;
use super::*;
use crate::config::sections::{JwksUrl, KeyAlgorithm, TokenKey};
use crate::config::value::Secret;

const NOW_S: u64 = 1_800_000_000;
const JWKS: &str = include_str!("../../../crates/auth/src/test_keys/jwks.json");

fn secret() -> Auth {
    Auth {
        secret: Some(Secret("0123456789abcdef0123456789abcdef".into())),
        ..Auth::default()
    }
}

fn by(auth: &Auth) -> SignIn {
    SignIn::new(auth, || NOW_S).unwrap()
}

fn token(auth: &Auth, id: &str) -> String {
    let person = Principal::person(id, id);
    by(auth).issue(&person, None, 60).unwrap()
}

#[tokio::test]
async fn the_first_place_that_has_a_token_counts() {
    let auth = Auth {
        cookie: Some("session".into()),
        ..secret()
    };
    let sign_in = by(&auth);
    let [a, b, c] = ["a", "b", "c"].map(|id| token(&auth, id));
    let (bearer, lower) = (format!("Bearer {b}"), format!("bearer  {b} "));
    let (basic, cookie) = (format!("Basic {b}"), format!("x=1; session={c}; y"));
    let quoted = format!("session=\"{c}\"");
    let other = format!("sessions={c}; Session={c}");
    use SignInError::{BadToken, Needed};
    for (what, token, authorization, cookies, expected) in [
        ("all three", Some(&a), Some(&bearer), Some(&cookie), Ok("a")),
        ("two", None, Some(&bearer), Some(&cookie), Ok("b")),
        ("small letters", None, Some(&lower), None, Ok("b")),
        ("cookie", None, None, Some(&cookie), Ok("c")),
        ("quoted", None, None, Some(&quoted), Ok("c")),
        ("another cookie", None, None, Some(&other), Err(Needed)),
        ("another scheme", None, Some(&basic), Some(&cookie), Ok("c")),
        ("no scheme", None, Some(&b), None, Err(Needed)),
        ("nothing", None, None, None, Err(Needed)),
        // A bad one hides no good one behind it.
        (
            "a bad one",
            Some(&basic),
            Some(&bearer),
            None,
            Err(BadToken),
        ),
    ] {
        let credentials = Credentials {
            token: token.map(String::as_str),
            authorization: authorization.map(String::as_str),
            cookies: cookies.map(String::as_str),
            name: Some("Eve"),
        };
        let person = sign_in.check(&credentials).await.map(|person| person.id);
        assert_eq!(person.as_deref(), expected.as_ref().copied(), "{what}");
    }
    let cookies = Credentials {
        cookies: Some(&cookie),
        ..Credentials::default()
    };
    let unasked = by(&secret()).check(&cookies).await;
    assert_eq!(
        unasked,
        Err(Needed),
        "no cookie is looked at unless it's named"
    );
}

#[test]
fn what_a_connect_shows_is_taken_from_its_own_places() {
    let handshake = |query: &str| Handshake {
        address: ([127, 0, 0, 1], 1).into(),
        secure: false,
        time_ms: 0,
        query: query.into(),
        headers: Box::new([
            ("authorization".into(), "Bearer b".into()),
            ("cookie".into(), "c=d".into()),
        ]),
    };
    let auth = json!({"token": "a", "name": "n"});
    let (plain, script) = (handshake("EIO=4"), handshake("EIO=4&j=0"));
    let shown = Credentials::of_connect(&auth, &plain);
    assert_eq!(
        (shown.token, shown.authorization, shown.cookies, shown.name),
        (Some("a"), Some("Bearer b"), Some("c=d"), Some("n"))
    );
    // Any page may load a script, and read what it says.
    assert_eq!(Credentials::of_connect(&auth, &script).cookies, None);
    assert!(!format!("{shown:?}").contains("Bearer"));
}

#[tokio::test]
async fn a_name_is_no_sign_in_where_tokens_are_needed() {
    let named = Credentials {
        name: Some("Ada"),
        ..Credentials::default()
    };
    assert_eq!(by(&secret()).check(&named).await, Err(SignInError::Needed));
    let names = by(&Auth::default());
    assert_eq!(names.check(&named).await.unwrap().id, "dev:ada");
    let nothing = Credentials::default();
    assert_eq!(names.check(&nothing).await, Err(SignInError::Needed));
    let open = Auth {
        anonymous: true,
        ..secret()
    };
    let nobody = by(&open).check(&named).await;
    assert_eq!(nobody, Ok(Principal::anonymous()));
}

#[test]
fn a_secret_of_less_than_32_bytes_is_refused() {
    let short = Auth {
        secret: Some(Secret("x".repeat(31))),
        ..Auth::default()
    };
    let error = SignIn::new(&short, || NOW_S).unwrap_err().to_string();
    assert!(
        error.contains("auth.secret has 31 bytes, HS256 needs at least 32"),
        "{error}"
    );
}

fn file(name: &str) -> PathBuf {
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/auth/src/test_keys");
    PathBuf::from(keys).join(name)
}

fn private(algorithm: &str, name: &str, id: &str) -> TokenKey {
    TokenKey {
        algorithm: KeyAlgorithm(lakh_auth::keys::algorithm(algorithm).unwrap()),
        id: Some(id.into()),
        secret: None,
        secret_file: None,
        file: None,
        private_key: Some(file(name)),
        issuer: None,
        not_before: None,
        not_after: None,
    }
}

/// The token of a provider with this key.
fn signed(algorithm: &str, name: &str, id: &str) -> String {
    let auth = Auth {
        keys: vec![private(algorithm, name, id)],
        ..Auth::default()
    };
    token(&auth, "u1")
}

#[tokio::test]
async fn keys_of_the_settings_are_read_from_their_files() {
    let public = |mut key: TokenKey, name: &str| {
        key.private_key = None;
        key.file = Some(file(name));
        key
    };
    let auth = Auth {
        keys: vec![
            public(private("RS256", "rsa.pem", "r"), "rsa.pub.pem"),
            private("ES256", "p256.pem", "e"),
        ],
        ..secret()
    };
    let own = token(&auth, "u1");
    let sign_in = by(&auth);
    let check = async |token: &str| {
        let shown = Credentials {
            token: Some(token),
            ..Credentials::default()
        };
        sign_in.check(&shown).await.is_ok()
    };
    assert!(check(&own).await, "by the first that signs");
    assert!(check(&signed("RS256", "rsa.pem", "r")).await);
    assert!(check(&token(&secret(), "u1")).await, "by auth.secret");
    assert!(!check(&signed("RS256", "rsa2.pem", "r")).await);
    for (key, text) in [
        (
            private("ES256", "rsa.pem", "r"),
            "number 1: is no private key for ES256",
        ),
        (
            private("RS256", "weak.pem", "r"),
            "is an RSA key of 1024 bits",
        ),
        (private("RS256", "nowhere.pem", "r"), "can't be read"),
        (
            public(private("RS256", "rsa.pem", "r"), "rsa.pem"),
            "is no public key for RS256",
        ),
    ] {
        let auth = Auth {
            keys: vec![key],
            ..Auth::default()
        };
        let error = SignIn::new(&auth, || NOW_S).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}

/// An identity provider on a port of its own.
struct Idp {
    url: String,
    says: Arc<Mutex<(u16, String)>>,
    asked: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Idp {
    async fn start(keys: String) -> Self {
        let says = Arc::new(Mutex::new((200, keys)));
        let asked = Arc::new(AtomicUsize::new(0));
        let (saying, asking) = (Arc::clone(&says), Arc::clone(&asked));
        let answer = async move || {
            asking.fetch_add(1, Ordering::SeqCst);
            let (status, body) = saying.lock().clone();
            let status = StatusCode::from_u16(status).unwrap();
            (status, [("location", "/elsewhere")], body).into_response()
        };
        let router = Router::new()
            .route("/keys", get(answer))
            .route("/elsewhere", get(async || JWKS));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            says,
            asked,
            serving,
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// A sign-in by this provider's keys alone.
    fn sign_in(&self, pace: Pace) -> Tested {
        let auth = Auth {
            jwks_url: vec![JwksUrl {
                url: self.url.parse().unwrap(),
                issuer: None,
            }],
            ..Auth::default()
        };
        Tested::new(&auth, pace)
    }
}

struct Tested {
    sign_in: SignIn,
    fetching: JoinHandle<()>,
}

impl Tested {
    fn new(auth: &Auth, pace: Pace) -> Self {
        let sign_in = SignIn::with_pace(auth, || NOW_S, pace).unwrap();
        let fetching = sign_in.clone();
        Self {
            sign_in,
            fetching: tokio::spawn(async move { fetching.keep_keys().await }),
        }
    }

    async fn check(&self, token: &str) -> Result<String, SignInError> {
        let shown = Credentials {
            token: Some(token),
            ..Credentials::default()
        };
        self.sign_in.check(&shown).await.map(|person| person.id)
    }
}

impl Drop for Tested {
    fn drop(&mut self) {
        self.fetching.abort();
    }
}

/// Fetches at once when somebody asks, and never by itself.
fn eager() -> Pace {
    Pace {
        min_gap: Duration::ZERO,
        back_off: Duration::from_secs(3_600),
    }
}

fn set(ids: &[&str]) -> String {
    let all: Value = serde_json::from_str(JWKS).unwrap();
    let all = all["keys"].as_array().unwrap().iter();
    let keys = all.filter(|key| ids.iter().any(|id| key["kid"] == *id));
    json!({"keys": keys.collect::<Vec<_>>()}).to_string()
}

#[tokio::test]
async fn a_providers_keys_come_and_go() {
    let idp = Idp::start(set(&["r", "e"])).await;
    let tested = idp.sign_in(eager());
    let [rsa, p256, ed] = [
        signed("RS256", "rsa.pem", "r"),
        signed("ES256", "p256.pem", "e"),
        signed("EdDSA", "ed25519.pem", "d"),
    ];
    // The first waits until the keys have come; both are used side by side.
    assert_eq!(tested.check(&rsa).await.as_deref(), Ok("u1"));
    assert_eq!(tested.check(&p256).await.as_deref(), Ok("u1"));
    assert_eq!(idp.asked(), 1);
    // One of another provider with the same id, and a wrong curve under a right id, ask for nothing.
    let forged = signed("RS256", "rsa2.pem", "r");
    assert_eq!(tested.check(&forged).await, Err(SignInError::BadToken));
    assert_eq!(idp.asked(), 1);
    // A rotation: the new key is found because a token names it, and the one that is gone is gone.
    assert_eq!(tested.check(&ed).await, Err(SignInError::BadToken));
    assert_eq!(idp.asked(), 2);
    idp.says.lock().1 = set(&["e", "d"]);
    assert_eq!(tested.check(&ed).await.as_deref(), Ok("u1"));
    assert_eq!(idp.asked(), 3);
    assert_eq!(tested.check(&p256).await.as_deref(), Ok("u1"));
    assert_eq!(tested.check(&rsa).await, Err(SignInError::BadToken));
}

#[tokio::test]
async fn the_last_keys_stay_while_the_provider_is_away() {
    let idp = Idp::start(set(&["r"])).await;
    let tested = idp.sign_in(eager());
    let (rsa, p256) = (
        signed("RS256", "rsa.pem", "r"),
        signed("ES256", "p256.pem", "e"),
    );
    assert!(tested.check(&rsa).await.is_ok());
    let large = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(300_000));
    for (status, body) in [
        (500, String::new()),
        (200, "<html>".into()),
        (200, large),
        // Nobody is followed elsewhere.
        (302, String::new()),
    ] {
        let asked = idp.asked();
        *idp.says.lock() = (status, body);
        assert_eq!(tested.check(&p256).await, Err(SignInError::BadToken));
        assert_eq!(idp.asked(), asked + 1);
        assert!(tested.check(&rsa).await.is_ok(), "{status}");
    }
    idp.serving.abort();
    assert_eq!(tested.check(&p256).await, Err(SignInError::BadToken));
    assert!(tested.check(&rsa).await.is_ok(), "gone altogether");
}

#[tokio::test]
async fn without_any_keys_sign_in_is_unavailable() {
    let idp = Idp::start(String::new()).await;
    idp.says.lock().0 = 503;
    let tested = idp.sign_in(eager());
    let rsa = signed("RS256", "rsa.pem", "r");
    assert_eq!(tested.check(&rsa).await, Err(SignInError::Unavailable));
    *idp.says.lock() = (200, set(&["r"]));
    assert!(tested.check(&rsa).await.is_ok(), "as soon as it's back");
}

#[tokio::test]
async fn strangers_cannot_make_the_server_ask_again_and_again() {
    let idp = Idp::start(set(&["r"])).await;
    let slow = Pace {
        min_gap: Duration::from_secs(3_600),
        ..eager()
    };
    let tested = idp.sign_in(slow);
    assert!(tested.check(&signed("RS256", "rsa.pem", "r")).await.is_ok());
    for id in ["x", "y", "z"] {
        let unknown = tested.check(&signed("RS256", "rsa.pem", id)).await;
        assert_eq!(unknown, Err(SignInError::BadToken));
    }
    assert_eq!(idp.asked(), 1);
}

#[tokio::test]
async fn a_providers_keys_may_be_bound_to_its_issuer() {
    let idp = Idp::start(set(&["r"])).await;
    let auth = Auth {
        jwks_url: vec![JwksUrl {
            url: idp.url.parse().unwrap(),
            issuer: Some("https://one.example".into()),
        }],
        ..Auth::default()
    };
    let tested = Tested::new(&auth, eager());
    for (issuer, good) in [
        ("https://one.example", true),
        ("https://two.example", false),
    ] {
        let key = TokenKey {
            issuer: Some(issuer.into()),
            ..private("RS256", "rsa.pem", "r")
        };
        let signing = Auth {
            keys: vec![key],
            ..Auth::default()
        };
        let checked = tested.check(&token(&signing, "u1")).await;
        assert_eq!(checked.is_ok(), good, "{issuer}");
    }
}
