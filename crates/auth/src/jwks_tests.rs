//! Sets of keys as providers publish them, and as nobody should.

use serde_json::json;

use super::*;
use crate::keys::KeySet;
use crate::tokens::TokenError;
use crate::tokens::tests::{NOW, SECRET, ada, checks, good, pem, token};

/// The public keys of the tests as a provider would publish them.
fn published() -> Value {
    use rsa::pkcs8::DecodePublicKey as _;
    use rsa::traits::PublicKeyParts as _;
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let rsa = rsa::RsaPublicKey::from_public_key_pem(pem!("rsa.pub")).unwrap();
    let p256 = p256::PublicKey::from_public_key_pem(pem!("p256.pub")).unwrap();
    let p256 = p256::EncodedPoint::from(p256);
    let p384 = p384::PublicKey::from_public_key_pem(pem!("p384.pub")).unwrap();
    let p384 = p384::EncodedPoint::from(p384);
    let ed = ed25519_dalek::VerifyingKey::from_public_key_pem(pem!("ed25519.pub")).unwrap();
    json!([
        {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "r",
         "n": encode(&rsa.n().to_bytes_be()), "e": encode(&rsa.e().to_bytes_be())},
        {"kty": "EC", "crv": "P-256", "kid": "e1", "x": encode(p256.x().unwrap()), "y": encode(p256.y().unwrap())},
        {"kty": "EC", "crv": "P-384", "kid": "e2", "alg": "ES384", "key_ops": ["verify"],
         "x": encode(p384.x().unwrap()), "y": encode(p384.y().unwrap())},
        {"kty": "OKP", "crv": "Ed25519", "kid": "d", "alg": "EdDSA", "x": encode(ed.as_bytes())},
    ])
}

fn parsed(keys: &Value) -> Jwks {
    Jwks::parse(json!({ "keys": keys }).to_string().as_bytes(), None).unwrap()
}

#[test]
fn tokens_are_checked_with_published_keys() {
    let jwks = parsed(&published());
    assert_eq!((jwks.keys.len(), jwks.skipped), (4, 0));
    for (algorithm, id, private) in [
        (Algorithm::RS256, "r", pem!("rsa")),
        (Algorithm::ES256, "e1", pem!("p256")),
        (Algorithm::ES384, "e2", pem!("p384")),
        (Algorithm::EdDSA, "d", pem!("ed25519")),
    ] {
        let issue = |algorithm, private, id| {
            let key = Key::private_pem(algorithm, private).unwrap().with_id(id);
            let set = KeySet::new(vec![key]);
            checks().issue(&set, &ada(0), None, NOW, 60).unwrap()
        };
        let verify = |token: &str| checks().verify(token, &[&jwks.keys], NOW);
        for id in [Some(id), None] {
            assert!(verify(&issue(algorithm, private, id)).is_ok(), "{id:?}");
        }
        let unknown = verify(&issue(algorithm, private, Some("x")));
        assert_eq!(unknown, Err(TokenError::UnknownKey));
    }
    // The key says RS256, so nothing else is taken from it; one of the other provider has the same id.
    let other = |algorithm, private| {
        let key = Key::private_pem(algorithm, private).unwrap();
        let set = KeySet::new(vec![key.with_id(Some("r"))]);
        let token = checks().issue(&set, &ada(0), None, NOW, 60).unwrap();
        checks().verify(&token, &[&jwks.keys], NOW)
    };
    let padding = other(Algorithm::PS256, pem!("rsa"));
    assert_eq!(padding, Err(TokenError::UnknownKey));
    let key = other(Algorithm::RS256, pem!("rsa2"));
    assert_eq!(key, Err(TokenError::Signature));
}

#[test]
fn what_is_no_public_key_for_signatures_is_skipped() {
    let published = published();
    let with = |at: usize, changes: &Value| {
        let mut key = published[at].clone();
        for (name, value) in changes.as_object().unwrap() {
            key[name] = value.clone();
        }
        key
    };
    let zero = "A".repeat(43);
    let skipped = [
        with(0, &json!({"use": "enc"})),
        with(0, &json!({"use": null, "key_ops": ["encrypt"]})),
        with(0, &json!({"alg": "RSA-OAEP"})),
        with(0, &json!({"alg": "HS256"})),
        with(0, &json!({"alg": "none"})),
        with(0, &json!({"n": "AQAB"})),
        with(0, &json!({"e": null})),
        with(0, &json!({"n": "not base64!"})),
        with(0, &json!({"kid": ""})),
        with(0, &json!({"kid": "x".repeat(257)})),
        with(0, &json!({"kid": 5})),
        with(1, &json!({"crv": "P-384"})),
        with(1, &json!({"crv": "P-521"})),
        with(1, &json!({"crv": "secp256k1"})),
        with(1, &json!({"alg": "ES384"})),
        // Not on the curve, and too short.
        with(1, &json!({"x": zero})),
        with(1, &json!({"x": "AQ"})),
        with(3, &json!({"crv": "X25519"})),
        with(3, &json!({"x": "AQ"})),
        with(3, &json!({"x": zero, "alg": "EdDSA"})),
        json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(SECRET), "alg": "HS256"}),
        json!({"kty": "AKP"}),
        json!({}),
        json!("key"),
        json!(null),
    ];
    let jwks = parsed(&Value::from(skipped.to_vec()));
    let ids: Vec<_> = jwks.keys.iter().map(Key::id).collect();
    assert!(ids.is_empty(), "{ids:?}");
    assert_eq!(jwks.skipped, skipped.len());
    // Among them the others are found.
    let mixed = [&skipped[..3], published.as_array().unwrap()].concat();
    assert_eq!(parsed(&mixed.into()).keys.len(), 4);
    let secret = token(&good());
    assert_eq!(
        checks().verify(&secret, &[&jwks.keys], NOW),
        Err(TokenError::UnknownKey)
    );
}

#[test]
fn a_set_has_bounds() {
    let parse = |text: &str| Jwks::parse(text.as_bytes(), None).map(|jwks| jwks.skipped);
    let many = |count| json!({"keys": vec![json!({}); count]}).to_string();
    assert_eq!(parse(&many(MAX_JWKS_KEYS)), Ok(MAX_JWKS_KEYS));
    let more = MAX_JWKS_KEYS + 1;
    assert_eq!(parse(&many(more)), Err(JwksError::TooMany(more)));
    assert_eq!(parse(&" ".repeat(MAX_JWKS_BYTES)), Err(JwksError::NotASet));
    assert_eq!(
        parse(&" ".repeat(MAX_JWKS_BYTES + 1)),
        Err(JwksError::TooLarge)
    );
    for bad in [
        "",
        "[]",
        "{}",
        r#"{"keys":{}}"#,
        "<html>",
        r#"{"keys":null}"#,
    ] {
        assert_eq!(parse(bad), Err(JwksError::NotASet), "{bad}");
    }
}
