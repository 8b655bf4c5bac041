//! Grants and patterns: a grant is read as it's written, and a pattern fits what the plainest way to match says.
#![no_main]

use lakh_auth::{Grant, Pattern};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(grant) = text.parse::<Grant>() {
        let again: Grant = grant.to_string().parse().expect("as it's written");
        assert_eq!(again, grant);
    }
    let mut parts = text.splitn(3, '\n');
    let (Some(pattern), Some(name)) = (parts.next(), parts.next()) else {
        return;
    };
    // The slow way is a table of both lengths.
    if pattern.len() > 200 || name.len() > 200 {
        return;
    }
    let user = parts.next();
    let fits = Pattern::new(pattern).fits(name, user);
    assert_eq!(fits, plainly(pattern, name, user), "{pattern:?} {name:?} {user:?}");
});

fn plainly(pattern: &str, name: &str, user: Option<&str>) -> bool {
    const USER: &str = "{user}";
    if pattern.contains(USER) && user.is_none_or(str::is_empty) {
        return false;
    }
    let mut wanted: Vec<Option<u8>> = Vec::new();
    for (at, part) in pattern.split(USER).enumerate() {
        if at > 0 {
            wanted.extend(user.unwrap_or_default().bytes().map(Some));
        }
        wanted.extend(part.bytes().map(|byte| (byte != b'*').then_some(byte)));
    }
    // Whether what is wanted up to here fits the name's first so many bytes.
    let name = name.as_bytes();
    let mut fits = vec![false; name.len() + 1];
    fits[0] = true;
    for want in wanted {
        let before = fits.clone();
        for end in 0..fits.len() {
            fits[end] = match want {
                None => before[end] || (end > 0 && fits[end - 1]),
                Some(byte) => end > 0 && before[end - 1] && name[end - 1] == byte,
            };
        }
    }
    fits[name.len()]
}
