//! Origins: what a wildcard lets through is a subdomain and nothing else.
#![no_main]

use lakh_net::fuzzing::{Cors, CorsOptions, Origins, websocket_origin_allowed};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let list = vec!["https://*.example.com".to_owned()];
    let cors = Cors::new(&CorsOptions::new(Origins::List(list))).expect("a good list");
    // With the fixed parts given, the fuzzer tries what stands between them.
    for origin in [text.to_owned(), format!("https://{text}.example.com")] {
        let allowed = cors.allows(&origin);
        assert_eq!(
            websocket_origin_allowed(Some(&cors), Some(&origin), ""),
            allowed
        );
        if allowed {
            let lower = origin.to_ascii_lowercase();
            let labels = lower
                .strip_prefix("https://")
                .and_then(|rest| rest.strip_suffix(".example.com"))
                .expect("begins and ends as listed");
            assert!(
                labels
                    .split('.')
                    .next()
                    .is_some_and(|label| !label.is_empty())
            );
            assert!(
                labels
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
            );
        }
    }
    // Any entry is either refused or stands for itself, a wildcard aside.
    let entry = Origins::List(vec![text.to_owned()]);
    if let Ok(cors) = Cors::new(&CorsOptions::new(entry))
        && !text.contains('*')
    {
        assert!(cors.allows(text.trim().trim_end_matches('/')));
    }
});
