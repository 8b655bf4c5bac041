//! What a request shows in its headers: a cookie is found under its own name only, and as RFC 6265 reads it.
#![no_main]

use lakh_auth::shown::{bearer, cookies};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (name, line) = text.split_once('\n').unwrap_or(("sign-in", text));
    for value in cookies([line].into_iter(), name) {
        assert!(line.contains(value), "nothing is made up");
        assert!(!value.contains(';'), "{value:?}");
        assert_eq!(value, value.trim());
    }
    // One among others, whatever they are.
    let plain = |text: &str| !text.is_empty() && text.trim() == text && !text.contains([';', '=', '"']);
    if plain(name) {
        let lines = [format!("{line}; {name}=the value"), format!("{name}=the value;{line}")];
        for line in &lines {
            assert!(cookies([line.as_str()].into_iter(), name).any(|value| value == "the value"), "{line:?}");
        }
    }
    if let Some(token) = bearer(text) {
        assert!(text.ends_with(token.trim_end()) || text.trim_end().ends_with(token));
        assert!(text[..6].eq_ignore_ascii_case("bearer"));
    }
});
