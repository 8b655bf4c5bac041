//! Good and bad sign-ins, as tables.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::*;
use crate::config::value::Secret;

const NOW: u64 = 1_800_000_000;
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn auth() -> Auth {
    Auth {
        secret: Some(Secret(SECRET.into())),
        ..Auth::default()
    }
}

fn strict() -> Auth {
    Auth {
        issuer: Some("https://id.example".into()),
        audience: Some("lakh".into()),
        ..auth()
    }
}

fn signed(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key).unwrap()
}

fn token(claims: &Value) -> String {
    signed(Algorithm::HS256, SECRET, claims)
}

#[test]
fn good_tokens_become_a_principal() {
    let ada = |admin, exp| Principal {
        id: "u1".into(),
        name: "Ada".into(),
        admin,
        expires_at: Some(exp),
    };
    let table = [
        (
            auth(),
            json!({"sub": "u1", "name": "Ada", "exp": NOW + 60}),
            ada(false, NOW + 60),
        ),
        (
            auth(),
            json!({"sub": "u1", "name": "Ada", "exp": NOW + 60, "admin": true}),
            ada(true, NOW + 60),
        ),
        // Within the leeway of 30 s, at both ends.
        (
            auth(),
            json!({"sub": "u1", "name": " Ada ", "exp": NOW - 29}),
            ada(false, NOW - 29),
        ),
        (
            auth(),
            json!({"sub": "u1", "name": "Ada", "exp": NOW + 9, "nbf": NOW + 30}),
            ada(false, NOW + 9),
        ),
        (
            auth(),
            json!({"sub": "u1", "name": "Ada", "exp": NOW as f64 + 0.5}),
            ada(false, NOW),
        ),
        // Not asked for, so not looked at.
        (
            auth(),
            json!({"sub": "u1", "name": "Ada", "exp": NOW + 9, "aud": "x", "iss": "y"}),
            ada(false, NOW + 9),
        ),
        (
            strict(),
            json!({"sub": "u1", "name": "Ada", "exp": NOW + 9, "aud": ["x", "lakh"], "iss": "https://id.example"}),
            ada(false, NOW + 9),
        ),
    ];
    for (auth, claims, principal) in table {
        let tokens = Tokens::new(&auth).unwrap();
        assert_eq!(
            tokens.verify(&token(&claims), NOW),
            Ok(principal),
            "{claims}"
        );
    }
}

#[test]
fn bad_tokens_are_refused() {
    let good = json!({"sub": "u1", "exp": NOW + 60});
    let none = {
        let signed = token(&good);
        let claims = signed.split('.').nth(1).unwrap();
        // {"alg":"none","typ":"JWT"}
        format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.")
    };
    let cut = token(&good).rsplit_once('.').unwrap().0.to_owned() + ".";
    use SignInError::{BadToken, Expired, NotYet};
    let table = [
        (
            "expired",
            token(&json!({"sub": "u1", "exp": NOW - 30})),
            Expired,
        ),
        (
            "not yet",
            token(&json!({"sub": "u1", "exp": NOW + 99, "nbf": NOW + 31})),
            NotYet,
        ),
        ("without end", token(&json!({"sub": "u1"})), BadToken),
        (
            "an end that is text",
            token(&json!({"sub": "u1", "exp": "tomorrow"})),
            BadToken,
        ),
        (
            "an end below zero",
            token(&json!({"sub": "u1", "exp": -1})),
            BadToken,
        ),
        (
            "an end out of range",
            token(&json!({"sub": "u1", "exp": 1e300})),
            BadToken,
        ),
        ("without owner", token(&json!({"exp": NOW + 60})), BadToken),
        (
            "an empty owner",
            token(&json!({"sub": " ", "exp": NOW + 60})),
            BadToken,
        ),
        (
            "a name of control characters",
            token(&json!({"sub": "a", "name": "a\nb", "exp": NOW + 60})),
            BadToken,
        ),
        (
            "a name that is too long",
            token(&json!({"sub": "a", "name": "x".repeat(65), "exp": NOW + 60})),
            BadToken,
        ),
        (
            "another secret",
            signed(Algorithm::HS256, &"y".repeat(32), &good),
            BadToken,
        ),
        (
            "another algorithm",
            signed(Algorithm::HS512, SECRET, &good),
            BadToken,
        ),
        ("alg none", none, BadToken),
        ("signature cut off", cut, BadToken),
        ("no token at all", "hello".into(), BadToken),
        ("empty", String::new(), BadToken),
        ("huge", "a".repeat(MAX_TOKEN_BYTES + 1), BadToken),
    ];
    let tokens = Tokens::new(&auth()).unwrap();
    assert!(
        tokens.verify(&token(&good), NOW).is_ok(),
        "the base is good"
    );
    for (what, token, error) in table {
        assert_eq!(tokens.verify(&token, NOW), Err(error), "{what}");
    }
}

#[test]
fn issuer_and_audience_are_needed_when_they_are_set() {
    let tokens = Tokens::new(&strict()).unwrap();
    for claims in [
        json!({"sub": "u1", "exp": NOW + 9}),
        json!({"sub": "u1", "exp": NOW + 9, "aud": "lakh"}),
        json!({"sub": "u1", "exp": NOW + 9, "iss": "https://id.example"}),
        json!({"sub": "u1", "exp": NOW + 9, "aud": "other", "iss": "https://id.example"}),
        json!({"sub": "u1", "exp": NOW + 9, "aud": "lakh", "iss": "https://evil.example"}),
    ] {
        let result = tokens.verify(&token(&claims), NOW);
        assert_eq!(result, Err(SignInError::BadToken), "{claims}");
    }
}

#[test]
fn an_issued_token_is_taken_until_it_ends() {
    let tokens = Tokens::new(&strict()).unwrap();
    let ada = Principal {
        id: "u1".into(),
        name: "Ada".into(),
        admin: true,
        expires_at: Some(NOW + 60),
    };
    let token = tokens.issue(&ada, NOW, 60).unwrap();
    assert_eq!(tokens.verify(&token, NOW + 89), Ok(ada));
    assert_eq!(tokens.verify(&token, NOW + 90), Err(SignInError::Expired));
}

#[test]
fn a_secret_of_less_than_32_bytes_is_refused() {
    let short = Auth {
        secret: Some(Secret("x".repeat(31))),
        ..Auth::default()
    };
    assert_eq!(
        SignIn::new(&short).unwrap_err(),
        SetUpError::ShortSecret(31)
    );
}

#[test]
fn names_are_trimmed_and_make_an_id_in_small_letters() {
    let ada = named("  Ada Lovelace ").unwrap();
    assert_eq!(
        (ada.id.as_str(), ada.name.as_str()),
        ("dev:ada lovelace", "Ada Lovelace")
    );
    assert!(!ada.admin);
    assert!(
        named(&"ü".repeat(64)).is_ok(),
        "characters count, not bytes"
    );
}

#[test]
fn names_that_could_not_be_shown_are_refused() {
    for name in ["", "   ", "a\u{0}b", "a\nb", "\u{202e}ada", &"x".repeat(65)] {
        assert_eq!(named(name), Err(SignInError::BadName), "{name:?}");
    }
}

#[test]
fn a_name_is_no_sign_in_where_tokens_are_needed() {
    let sign_in = SignIn::new(&auth()).unwrap();
    let refused = |auth: Value| sign_in.check(&auth, NOW).unwrap_err();
    assert_eq!(refused(json!({"name": "Ada"})), SignInError::Needed);
    assert_eq!(refused(json!({"token": 3})), SignInError::Needed);
    assert_eq!(refused(json!(null)), SignInError::Needed);
    let good = token(&json!({"sub": "u1", "exp": NOW + 60}));
    assert_eq!(
        sign_in.check(&json!({"token": good}), NOW).unwrap().name,
        "u1"
    );
}

#[test]
fn a_header_wants_the_scheme_bearer() {
    let sign_in = SignIn::new(&auth()).unwrap();
    let good = token(&json!({"sub": "u1", "exp": NOW + 60}));
    let check = |header: Option<&str>| sign_in.check_header(header, NOW).unwrap();
    assert!(check(Some(&format!("bearer {good}"))).is_ok());
    assert_eq!(
        check(Some(&format!("Basic {good}"))),
        Err(SignInError::Needed)
    );
    assert_eq!(check(Some(&good)), Err(SignInError::Needed));
    assert_eq!(check(None), Err(SignInError::Needed));
    assert_eq!(SignIn::Names.check_header(None, NOW), None);
}
