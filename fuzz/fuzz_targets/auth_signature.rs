//! Signed requests: a header is read as it's written, and nothing that it covers can be changed.
#![no_main]

use lakh_auth::signature::{Request, Signed, WINDOW_S, sign};
use libfuzzer_sys::fuzz_target;

const SECRET: &[u8] = b"a secret of the fuzzer, long enough";

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // With the words given, the fuzzer tries what stands between them.
    for header in [text.to_owned(), format!("Lakh-HMAC-SHA256 {text}")] {
        let Ok(signed) = Signed::parse(&header) else {
            continue;
        };
        let plain = |word: &str| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        assert!(!signed.key.is_empty() && plain(&signed.key), "{:?}", signed.key);
        assert!(!signed.nonce.is_empty() && plain(&signed.nonce), "{:?}", signed.nonce);
        let request = Request { method: "POST", target: "/", body: data };
        assert!(signed.verify(SECRET, &request, signed.time_s).is_err(), "nobody signed");
    }

    let mut parts = text.splitn(4, '\n');
    let mut next = || parts.next().unwrap_or_default();
    let (key, nonce, method, target) = (next(), next(), next(), next());
    let time_s = 1_800_000_000 + data.len() as u64;
    let request = Request { method, target, body: data };
    let Some(header) = sign(SECRET, key, nonce, &request, time_s) else {
        return;
    };
    let signed = Signed::parse(&header).expect("as it's written");
    assert_eq!((signed.key.as_str(), signed.nonce.as_str(), signed.time_s), (key, nonce, time_s));
    assert!(signed.verify(SECRET, &request, time_s).is_ok());
    assert!(signed.verify(SECRET, &request, time_s + WINDOW_S + 1).is_err());
    assert!(signed.verify(b"another secret", &request, time_s).is_err());
    let longer = format!("{target}x");
    let changed = Request { target: &longer, ..request };
    assert!(signed.verify(SECRET, &changed, time_s).is_err());
    let changed = Request { body: &[data, b"x"].concat(), ..request };
    assert!(signed.verify(SECRET, &changed, time_s).is_err());
});
