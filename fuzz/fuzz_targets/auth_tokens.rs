//! Tokens, API keys and signed requests: what nobody signed is never taken, and what was signed says only what can be.
#![no_main]

use lakh_auth::api_key::{ApiKeys, looks_like_key};
use lakh_auth::signature::{Request, Signed};
use lakh_auth::{Algorithm, Checks, Key, KeySet, Principal};
use libfuzzer_sys::fuzz_target;

const NOW: u64 = 1_800_000_000;
const P256: &str = include_str!("../../crates/auth/src/test_keys/p256.pub.pem");

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let keys = KeySet::new(vec![
        Key::secret(Algorithm::HS256, &[7; 32]).expect("long enough"),
        Key::public_pem(Algorithm::ES256, P256).expect("a key"),
    ]);
    let checks = Checks {
        leeway_s: 30,
        ..Checks::default()
    };
    assert!(checks.verify(text, &[&keys], NOW).is_err(), "nobody signed");
    // A head that is right lets the fuzzer get as far as the signature.
    for head in ["eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJFUzI1NiJ9"] {
        let token = format!("{head}.{text}");
        assert!(checks.verify(&token, &[&keys], NOW).is_err(), "nobody signed");
    }

    // Names and ids that are given: either they're refused, or they come back.
    let (id, name) = text.split_once('\n').unwrap_or((text, text));
    let person = Principal {
        token: Some(name.to_owned()),
        roles: name.split(' ').map(str::to_owned).collect(),
        ..Principal::person(id, name)
    };
    if let Ok(token) = checks.issue(&keys, &person, None, NOW, 60) {
        let found = checks.verify(&token, &[&keys], NOW).expect("was checked");
        assert_eq!((found.id.as_str(), found.name.as_str()), (id.trim(), name.trim()));
        assert_eq!(found.roles, person.roles);
        assert!(!found.id.is_empty() && !found.id.contains(char::is_control));
        assert!(!found.admin && found.grants.is_empty());
    }

    if let Ok(signed) = Signed::parse(text) {
        let request = Request {
            method: "POST",
            target: "/",
            body: data,
        };
        assert!(signed.verify(b"secret", &request, signed.time_s).is_err());
    }
    assert!(ApiKeys::default().check(text, NOW).is_err());
    let _ = looks_like_key(text);
});
