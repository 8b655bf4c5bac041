//! Each kind of token, good and bad.

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::*;

pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const NOW: u64 = 1_800_000_000;

macro_rules! pem {
    ($name:literal) => {
        include_str!(concat!("test_keys/", $name, ".pem"))
    };
}
pub(crate) use pem;

pub(crate) fn checks() -> Checks {
    Checks {
        leeway_s: 30,
        ..Checks::default()
    }
}

fn strict() -> Checks {
    Checks {
        issuers: vec!["https://id.example".into(), "https://other.example".into()],
        audiences: vec!["lakh".into(), "lakh-test".into()],
        ..checks()
    }
}

pub(crate) fn secret_key() -> Key {
    Key::secret(Algorithm::HS256, SECRET.as_bytes()).unwrap()
}

fn keys() -> KeySet {
    KeySet::new(vec![secret_key()])
}

/// A token with any head and claims, signed by the rules of `algorithm`.
fn forged(head: &Value, claims: &Value, algorithm: Algorithm, key: &EncodingKey) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(head), part(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

pub(crate) fn token(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

pub(crate) fn good() -> Value {
    json!({"sub": "u1", "exp": NOW + 60})
}

pub(crate) fn ada(exp: u64) -> Principal {
    Principal {
        expires_at: Some(exp),
        ..Principal::person("u1", "Ada")
    }
}

#[test]
fn good_tokens_become_a_principal() {
    let table = [
        (
            checks(),
            json!({"sub": "u1", "name": "Ada", "exp": NOW + 60}),
            ada(NOW + 60),
        ),
        (
            checks(),
            json!({"sub": "u1", "name": "Ada", "exp": NOW + 60, "admin": true}),
            Principal {
                admin: true,
                ..ada(NOW + 60)
            },
        ),
        // Within the leeway of 30 s, at both ends.
        (
            checks(),
            json!({"sub": "u1", "name": " Ada ", "exp": NOW - 29}),
            ada(NOW - 29),
        ),
        (
            checks(),
            json!({"sub": "u1", "name": "Ada", "exp": NOW + 9, "nbf": NOW + 30, "iat": NOW + 30}),
            Principal {
                issued_at: Some(NOW + 30),
                ..ada(NOW + 9)
            },
        ),
        (
            checks(),
            json!({"sub": "u1", "name": "Ada", "exp": NOW as f64 + 0.5}),
            ada(NOW),
        ),
        // Not asked for, so not looked at.
        (
            checks(),
            json!({"sub": "u1", "name": "Ada", "exp": NOW + 9, "aud": "x", "iss": "y"}),
            ada(NOW + 9),
        ),
        (
            strict(),
            json!({"sub": "u1", "name": "Ada", "exp": NOW + 9, "aud": ["x", "lakh"], "iss": "https://id.example"}),
            ada(NOW + 9),
        ),
        (
            strict(),
            json!({"sub": "u1", "name": "Ada", "exp": NOW + 9, "aud": "lakh-test", "iss": "https://other.example"}),
            ada(NOW + 9),
        ),
        (
            checks(),
            json!({
                "sub": "u1", "name": "Ada", "exp": NOW + 9, "iat": NOW - 5, "jti": "t1", "sid": "s1",
                "roles": ["editor", "a role"], "grants": ["rooms:join:board 7", "chat:*:*"]
            }),
            Principal {
                roles: vec!["editor".into(), "a role".into()],
                grants: vec![
                    "rooms:join:board 7".parse().unwrap(),
                    "chat:*:*".parse().unwrap(),
                ],
                token: Some("t1".into()),
                session: Some("s1".into()),
                issued_at: Some(NOW - 5),
                ..ada(NOW + 9)
            },
        ),
    ];
    for (checks, claims, principal) in table {
        let verified = checks.verify(&token(&claims), &[&keys()], NOW);
        assert_eq!(verified, Ok(principal), "{claims}");
    }
}

#[test]
fn bad_claims_are_refused() {
    use TokenError::{Claim, Expired, NotYet};
    let with = |name: &str, value: Value| {
        let mut claims = good();
        claims[name] = value;
        claims
    };
    let table = [
        (with("exp", json!(NOW - 30)), Expired),
        (with("nbf", json!(NOW + 31)), NotYet),
        (with("iat", json!(NOW + 31)), NotYet),
        (json!({"sub": "u1"}), Claim("exp")),
        (with("exp", json!("tomorrow")), Claim("exp")),
        (with("exp", json!(null)), Claim("exp")),
        (with("exp", json!(-1)), Claim("exp")),
        (with("exp", json!(1e300)), Claim("exp")),
        (with("nbf", json!("now")), Claim("nbf")),
        (json!({"exp": NOW + 60}), Claim("sub")),
        (with("sub", json!(" ")), Claim("sub")),
        (with("sub", json!(5)), Claim("sub")),
        (with("sub", json!("x".repeat(129))), Claim("sub")),
        (with("name", json!("a\nb")), Claim("name")),
        (with("name", json!("\u{202e}ada")), Claim("name")),
        (with("name", json!("x".repeat(65))), Claim("name")),
        (with("admin", json!("true")), Claim("admin")),
        (with("roles", json!({"a": 1})), Claim("roles")),
        (with("roles", json!(["a", 5])), Claim("roles")),
        (with("roles", json!(vec!["a"; 257])), Claim("roles")),
        (with("grants", json!(["everything"])), Claim("grants")),
        (with("jti", json!(5)), Claim("jti")),
        (with("sid", json!("x".repeat(257))), Claim("sid")),
        (json!([1]), TokenError::Malformed),
    ];
    let verify = |token: &str| checks().verify(token, &[&keys()], NOW);
    assert!(verify(&token(&good())).is_ok(), "the base is good");
    for (claims, error) in table {
        assert_eq!(verify(&token(&claims)), Err(error), "{claims}");
    }
}

#[test]
fn what_is_no_token_of_ours_is_refused() {
    use TokenError::{Algorithm as Alg, Critical, Malformed, Signature, TooLong, UnknownKey};
    let own = EncodingKey::from_secret(SECRET.as_bytes());
    let whole = token(&good());
    let (message, signature) = whole.rsplit_once('.').unwrap();
    let claims = message.split_once('.').unwrap().1;
    let none = |alg: &str| {
        let head = URL_SAFE_NO_PAD.encode(json!({"alg": alg, "typ": "JWT"}).to_string());
        (
            format!("{head}.{claims}."),
            format!("{head}.{claims}.{signature}"),
        )
    };
    let hs256 = |head: Value| forged(&head, &good(), Algorithm::HS256, &own);
    let table = [
        (
            "another secret",
            {
                let other = EncodingKey::from_secret(&[b'y'; 32]);
                forged(&json!({"alg": "HS256"}), &good(), Algorithm::HS256, &other)
            },
            Signature,
        ),
        (
            "another algorithm of the same type",
            { forged(&json!({"alg": "HS512"}), &good(), Algorithm::HS512, &own) },
            UnknownKey,
        ),
        (
            "an algorithm swapped in the head",
            { forged(&json!({"alg": "HS256"}), &good(), Algorithm::HS512, &own) },
            Signature,
        ),
        ("none", none("none").0, Alg),
        ("none in capitals", none("NONE").0, Alg),
        ("none with a signature", none("none").1, Alg),
        ("no algorithm", hs256(json!({"typ": "JWT"})), Malformed),
        (
            "an algorithm twice",
            {
                let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","alg":"none"}"#);
                format!("{head}.{claims}.{signature}")
            },
            Malformed,
        ),
        (
            "critical",
            hs256(json!({"alg": "HS256", "crit": ["b64"], "b64": false})),
            Critical,
        ),
        ("signature cut off", format!("{message}."), Signature),
        (
            "another one's claims",
            {
                let other = token(&json!({"sub": "u2", "exp": NOW + 60}));
                format!("{}.{signature}", other.rsplit_once('.').unwrap().0)
            },
            Signature,
        ),
        ("padded", format!("{whole}="), Signature),
        ("four parts", format!("{whole}.x"), Signature),
        ("two parts", message.to_owned(), Malformed),
        ("no token at all", "hello".into(), Malformed),
        ("empty", String::new(), Malformed),
        ("huge", "a".repeat(MAX_TOKEN_BYTES + 1), TooLong),
    ];
    for (what, token, error) in table {
        let verified = checks().verify(&token, &[&keys()], NOW);
        assert_eq!(verified, Err(error), "{what}");
    }
}

#[test]
fn a_key_or_an_address_in_the_head_is_nothing_to_us() {
    // Signed with a key of the attacker's, which the head brings along.
    let attackers = EncodingKey::from_secret(&[b'x'; 32]);
    let jwk = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode([b'x'; 32])});
    for head in [
        json!({"alg": "HS256", "jwk": jwk}),
        json!({"alg": "HS256", "jku": "https://evil.example/keys"}),
        json!({"alg": "HS256", "x5u": "https://evil.example/cert"}),
        json!({"alg": "HS256", "x5c": ["MIIB"]}),
    ] {
        let token = forged(&head, &good(), Algorithm::HS256, &attackers);
        let verified = checks().verify(&token, &[&keys()], NOW);
        assert_eq!(verified, Err(TokenError::Signature), "{head}");
    }
    // Some providers write them: a token that our own key signed is still one.
    let own = EncodingKey::from_secret(SECRET.as_bytes());
    let head = json!({"alg": "HS256", "jku": "https://id.example/keys", "x5t": "abc"});
    let token = forged(&head, &good(), Algorithm::HS256, &own);
    assert!(checks().verify(&token, &[&keys()], NOW).is_ok());
}

/// Each algorithm with its private and its public key.
fn pairs() -> Vec<(Algorithm, Key, Key)> {
    let secret = |algorithm| {
        let key = Key::secret(algorithm, &[7; 64]).unwrap();
        (algorithm, key.clone(), key)
    };
    let pair = |algorithm, private, public| {
        let private = Key::private_pem(algorithm, private).unwrap();
        let public = Key::public_pem(algorithm, public).unwrap();
        assert!(private.signs() && !public.signs());
        (algorithm, private, public)
    };
    let rsa = |algorithm| pair(algorithm, pem!("rsa"), pem!("rsa.pub"));
    vec![
        secret(Algorithm::HS256),
        secret(Algorithm::HS384),
        secret(Algorithm::HS512),
        rsa(Algorithm::RS256),
        rsa(Algorithm::RS384),
        rsa(Algorithm::RS512),
        rsa(Algorithm::PS256),
        rsa(Algorithm::PS384),
        rsa(Algorithm::PS512),
        pair(Algorithm::ES256, pem!("p256"), pem!("p256.pub")),
        pair(Algorithm::ES384, pem!("p384"), pem!("p384.pub")),
        pair(Algorithm::EdDSA, pem!("ed25519"), pem!("ed25519.pub")),
    ]
}

#[test]
fn a_token_of_each_algorithm_is_taken_by_its_own_key_and_by_no_other() {
    let pairs = pairs();
    assert_eq!(pairs.len(), keys::ALGORITHMS.len());
    for (of, private, _) in &pairs {
        let signing = KeySet::new(vec![private.clone()]);
        let token = checks().issue(&signing, &ada(0), None, NOW, 60).unwrap();
        assert!(checks().verify(&token, &[&signing], NOW).is_ok(), "{of:?}");
        for (by, _, public) in &pairs {
            let set = KeySet::new(vec![public.clone()]);
            let verified = checks().verify(&token, &[&set], NOW);
            assert_eq!(verified.is_ok(), of == by, "{of:?} by {by:?}");
        }
        let all = KeySet::new(pairs.iter().map(|pair| pair.2.clone()).collect());
        assert!(checks().verify(&token, &[&all], NOW).is_ok(), "{of:?}");
    }
}

#[test]
fn a_public_key_is_no_secret() {
    let set = KeySet::new(vec![
        Key::public_pem(Algorithm::RS256, pem!("rsa.pub")).unwrap(),
        secret_key(),
    ]);
    let pem = pem!("rsa.pub");
    let der = pem.lines().filter(|line| !line.starts_with('-'));
    let der = base64::engine::general_purpose::STANDARD.decode(der.collect::<String>());
    for bytes in [pem.as_bytes(), pem.trim().as_bytes(), &der.unwrap()] {
        let confused = EncodingKey::from_secret(bytes);
        for name in ["HS256", "RS256"] {
            let head = json!({"alg": name, "kid": "k"});
            let token = forged(&head, &good(), Algorithm::HS256, &confused);
            assert!(checks().verify(&token, &[&set], NOW).is_err(), "{name}");
        }
    }
    // Nor can anybody configure that by mistake.
    let as_secret = Key::secret(Algorithm::HS256, pem.as_bytes()).unwrap_err();
    assert_eq!(as_secret, keys::KeyError::PemAsSecret);
}

#[test]
fn issuer_and_audience_are_needed_when_they_are_set() {
    use TokenError::{Audience, Issuer};
    for (iss, aud, error) in [
        (json!(null), json!(null), Issuer),
        (json!(null), json!("lakh"), Issuer),
        (json!("https://evil.example"), json!("lakh"), Issuer),
        (json!(["https://id.example"]), json!("lakh"), Issuer),
        (json!("https://id.example"), json!(null), Audience),
        (json!("https://id.example"), json!("other"), Audience),
        (json!("https://id.example"), json!(["other", 5]), Audience),
        (json!("https://id.example"), json!({"lakh": 1}), Audience),
    ] {
        let claims = json!({"sub": "u1", "exp": NOW + 9, "aud": aud, "iss": iss});
        let verified = strict().verify(&token(&claims), &[&keys()], NOW);
        assert_eq!(verified, Err(error), "{claims}");
    }
}

#[test]
fn a_key_may_be_bound_to_one_issuer() {
    // Else one provider could speak for the other.
    let bound = KeySet::new(vec![secret_key().of_issuer(Some("https://id.example"))]);
    for (iss, good) in [
        (json!("https://id.example"), true),
        (json!("https://other.example"), false),
        (json!(null), false),
    ] {
        let claims = json!({"sub": "u1", "exp": NOW + 9, "iss": iss, "aud": "lakh"});
        for checks in [checks(), strict()] {
            let verified = checks.verify(&token(&claims), &[&bound], NOW);
            assert_eq!(verified.is_ok(), good, "{claims}");
        }
    }
}

#[test]
fn claims_may_stand_where_other_providers_put_them() {
    let checks = Checks {
        claims: ClaimNames {
            name: "preferred_username".into(),
            roles: "realm_access.roles".into(),
            grants: "https://lakh.example/grants".into(),
        },
        admin_roles: vec!["realm-admin".into()],
        ..checks()
    };
    let claims = json!({
        "sub": "u1", "exp": NOW + 9, "preferred_username": "ada", "name": 5,
        "realm_access": {"roles": ["editor", "realm-admin"]}, "roles": "not these",
        "https://lakh.example/grants": "rooms:join:* chat:send:team-*",
    });
    let ada = checks.verify(&token(&claims), &[&keys()], NOW).unwrap();
    assert_eq!(ada.name, "ada");
    assert_eq!(ada.roles, ["editor", "realm-admin"]);
    assert_eq!(ada.grants.len(), 2);
    assert!(ada.admin);
    let elsewhere = json!({"sub": "u1", "exp": NOW + 9, "realm_access": "x"});
    let nobody = checks.verify(&token(&elsewhere), &[&keys()], NOW).unwrap();
    assert!(nobody.roles.is_empty() && !nobody.admin);
}

#[test]
fn an_issued_token_says_what_was_asked_for() {
    let principal = Principal {
        admin: true,
        roles: vec!["editor".into()],
        grants: vec!["rooms:*:board:*".parse().unwrap()],
        token: Some("t1".into()),
        session: Some("s1".into()),
        issued_at: Some(NOW),
        ..ada(NOW + 60)
    };
    let checks = Checks {
        claims: ClaimNames {
            roles: "realm_access.roles".into(),
            ..ClaimNames::default()
        },
        ..strict()
    };
    let token = checks.issue(&keys(), &principal, None, NOW, 60).unwrap();
    assert_eq!(
        checks.verify(&token, &[&keys()], NOW + 89),
        Ok(principal.clone())
    );
    assert_eq!(
        checks.verify(&token, &[&keys()], NOW + 90),
        Err(TokenError::Expired)
    );
    let elsewhere = checks.issue(&keys(), &principal, Some("b"), NOW, 60);
    let verified = checks.verify(&elsewhere.unwrap(), &[&keys()], NOW);
    assert_eq!(verified, Err(TokenError::Audience));
    let public = Key::public_pem(Algorithm::RS256, pem!("rsa.pub")).unwrap();
    let none = checks.issue(&KeySet::new(vec![public]), &principal, None, NOW, 60);
    assert_eq!(none, Err(IssueError::NoKey));
    let bad = Principal::person("a\nb", "Ada");
    let refused = checks.issue(&keys(), &bad, None, NOW, 60);
    assert_eq!(refused, Err(IssueError::Refused(TokenError::Claim("sub"))));
    let endless = checks.issue(&keys(), &principal, None, NOW, u64::MAX);
    assert_eq!(endless, Err(IssueError::TooLong));
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
fn the_client_is_told_no_more_than_it_may_know() {
    for (error, told) in [
        (TokenError::Expired, SignInError::Expired),
        (TokenError::NotYet, SignInError::NotYet),
        (TokenError::Signature, SignInError::BadToken),
        (TokenError::UnknownKey, SignInError::BadToken),
        (TokenError::Audience, SignInError::BadToken),
        (TokenError::Claim("sub"), SignInError::BadToken),
    ] {
        assert_eq!(SignInError::from(error), told);
        assert_eq!(told.code(), "unauthorized");
    }
    assert_eq!(SignInError::Unavailable.code(), "unavailable");
}
