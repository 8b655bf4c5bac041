//! Where a sign-in leads to: whatever is asked for, a browser that is sent there stays on this page.
#![no_main]

#[path = "../../server/src/console/return_to.rs"]
mod return_to;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for wanted in [text.to_owned(), format!("/{text}")] {
        let safe = return_to::safe(Some(&wanted));
        assert!(safe == "/" || safe == wanted);
        // As the URL standard has browsers read it: tabs and line ends vanish, and `\` is `/`.
        let read: String = safe
            .chars()
            .filter(|c| !matches!(c, '\t' | '\n' | '\r'))
            .map(|c| if c == '\\' { '/' } else { c })
            .collect();
        assert!(read.starts_with('/') && !read.starts_with("//"), "{safe:?}");
        assert!(!safe.contains(char::is_control) && safe.is_ascii(), "{safe:?}");
        let path = safe.split(['?', '#']).next().unwrap_or_default();
        assert!(!path.starts_with("/console/") && !path.starts_with("/api/"), "{safe:?}");
    }
});
