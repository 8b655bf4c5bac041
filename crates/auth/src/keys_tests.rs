//! Reading keys, and which of several counts.

use jsonwebtoken::Header;
use serde_json::json;

use super::*;
use crate::tokens::TokenError;
use crate::tokens::tests::{NOW, ada, checks, pem, secret_key};

#[test]
fn keys_are_read_in_each_of_their_forms_and_of_their_own_type_only() {
    use Algorithm::{ES256, ES384, EdDSA, HS256, HS384, HS512, PS256, RS256};
    assert!(Key::public_pem(RS256, pem!("rsa.pkcs1.pub")).is_ok());
    assert!(Key::private_pem(PS256, pem!("rsa.pkcs1")).is_ok());
    assert!(Key::private_pem(ES256, pem!("p256.sec1")).is_ok());
    for (algorithm, private, public) in [
        (RS256, pem!("p256"), pem!("p256.pub")),
        (ES256, pem!("p384"), pem!("p384.pub")),
        (ES384, pem!("p256"), pem!("p256.pub")),
        (ES256, pem!("rsa"), pem!("rsa.pub")),
        (EdDSA, pem!("p256"), pem!("p256.pub")),
        (ES256, pem!("ed25519"), pem!("ed25519.pub")),
        // A private key where a public one belongs is a mistake that somebody would like to know of.
        (ES256, pem!("p256.pub"), pem!("p256")),
        (
            RS256,
            "",
            "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
        ),
    ] {
        let read = Key::private_pem(algorithm, private).unwrap_err();
        assert_eq!(read, KeyError::NotPrivate(algorithm));
        let read = Key::public_pem(algorithm, public).unwrap_err();
        assert_eq!(read, KeyError::NotPublic(algorithm));
    }
    let weak = Key::private_pem(RS256, pem!("weak")).unwrap_err();
    assert_eq!(weak, KeyError::RsaBits(1_024));
    for (algorithm, least) in [(HS256, 32), (HS384, 48), (HS512, 64)] {
        assert!(Key::secret(algorithm, &vec![1; least]).is_ok());
        let short = Key::secret(algorithm, &vec![1; least - 1]).unwrap_err();
        assert!(
            short
                .to_string()
                .contains(&format!("has {} bytes", least - 1))
        );
        assert!(Key::public_pem(algorithm, pem!("rsa.pub")).is_err());
    }
    assert!(Key::secret(RS256, &[1; 64]).is_err());
    assert!(!format!("{:?}", secret_key()).contains("0123"));
}

#[test]
fn keys_are_told_apart_by_id_and_rotated_by_time() {
    let (old, new) = ([1; 32], [2; 32]);
    let key = |secret: &[u8; 32], id| Key::secret(Algorithm::HS256, secret).unwrap().with_id(id);
    let set = KeySet::new(vec![
        key(&new, Some("new")).within(Some(NOW), None),
        key(&old, Some("old")).within(None, Some(NOW + 100)),
    ]);
    let signed = |secret: &[u8; 32], id: Option<&str>| {
        let header = Header {
            kid: id.map(str::to_owned),
            ..Header::new(Algorithm::HS256)
        };
        let claims = json!({"sub": "u1", "exp": NOW + 1_000});
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap()
    };
    use TokenError::{Signature, UnknownKey};
    for (secret, id, now, expected) in [
        (&old, Some("old"), NOW - 1, Ok(())),
        (&new, Some("new"), NOW - 1, Err(UnknownKey)),
        (&old, Some("old"), NOW, Ok(())),
        (&new, Some("new"), NOW, Ok(())),
        (&old, Some("old"), NOW + 101, Err(UnknownKey)),
        (&new, Some("new"), NOW + 101, Ok(())),
        (&old, None, NOW, Ok(())),
        (&old, None, NOW + 101, Err(Signature)),
        (&old, Some("new"), NOW, Err(Signature)),
        (&new, Some("newer"), NOW, Err(UnknownKey)),
    ] {
        let verified = checks().verify(&signed(secret, id), &[&set], now);
        assert_eq!(verified.map(|_| ()), expected, "{id:?} at {now}");
    }
    // A key without an id is tried for all; the first that can sign makes the new ones.
    let without = KeySet::new(vec![key(&old, None)]);
    let token = signed(&old, Some("whatever"));
    assert!(checks().verify(&token, &[&without], NOW).is_ok());
    let before = checks().issue(&set, &ada(0), None, NOW - 1, 60).unwrap();
    let after = checks().issue(&set, &ada(0), None, NOW, 60).unwrap();
    for (token, id) in [(before, "old"), (after, "new")] {
        let header = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!(header.kid.as_deref(), Some(id));
    }
}
