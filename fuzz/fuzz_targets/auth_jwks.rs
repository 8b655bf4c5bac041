//! Key sets: whatever a provider says, its keys can be used without a panic, and are public keys of their own types.
#![no_main]

use lakh_auth::{Algorithm, Checks, Jwks};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // With the frame given, the fuzzer tries what stands in a key.
    let framed = [b"{\"keys\":[{".as_slice(), data, b"}]}"].concat();
    for bytes in [data, framed.as_slice()] {
        let Ok(jwks) = Jwks::parse(bytes, Some("issuer")) else {
            continue;
        };
        for key in jwks.keys.iter() {
            assert!(!key.signs());
            assert_eq!(key.issuer(), Some("issuer"));
            assert!(!key.algorithms().is_empty());
            let is_secret = |algorithm: &Algorithm| format!("{algorithm:?}").starts_with("HS");
            assert!(!key.algorithms().iter().any(is_secret));
        }
        for head in [
            "eyJhbGciOiJSUzI1NiJ9",
            "eyJhbGciOiJQUzI1NiJ9",
            "eyJhbGciOiJFUzI1NiJ9",
            "eyJhbGciOiJFUzM4NCJ9",
            "eyJhbGciOiJFZERTQSJ9",
        ] {
            let token = format!("{head}.e30.AAAA");
            assert!(Checks::default().verify(&token, &[&jwks.keys], 0).is_err());
        }
    }
});
