//! Files: whatever is asked for lies within the file, and no name or type gets out of its header.
#![no_main]

use lakh_files::range::{Wanted, is_known, may_part, wanted};
use lakh_files::{kind, name};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, &str, &[u8])| {
    let (size, text, head) = input;
    for header in [text.to_owned(), format!("bytes={text}")] {
        if let Wanted::Part(part) = wanted(Some(&header), size) {
            assert!(part.start < part.end && part.end <= size);
        }
    }
    assert!(!is_known(Some(text), "\"a\"") || text.contains("\"a\"") || text.trim() == "*");
    assert!(!may_part(Some(text), "\"a\"") || text.trim() == "\"a\"");
    for named in [Some(text.to_owned()), name::clean(text)].into_iter().flatten() {
        for shown in [true, false] {
            let value = name::disposition(shown, &named);
            assert!(value.bytes().all(|byte| (b' '..0x7f).contains(&byte)));
            assert_eq!(value.matches('"').count(), 2);
        }
        let path = name::in_path(&named);
        assert!(!path.contains(['/', '?', '#', ' ']) && path != "." && path != "..");
    }
    if let Some(claimed) = kind::plain(text)
        && let Ok(settled) = kind::settle(&claimed, head)
    {
        assert!(kind::is_type(&settled));
        let is_picture = kind::begins_as(head).is_some_and(|found| found.starts_with("image/"));
        assert!(!settled.starts_with("image/") || is_picture || settled == "image/svg+xml");
    }
});
