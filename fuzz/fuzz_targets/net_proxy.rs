//! PROXY headers: bounded, found at the same place whatever follows, and never found before they are whole.
#![no_main]

use lakh_net::fuzzing::{ProxyHeader, parse_proxy_header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // A byte in front says how it begins, since a fuzzer needs long for twelve right bytes.
    let Some((start, rest)) = data.split_first() else {
        return;
    };
    let start: &[u8] = match start % 3 {
        0 => b"",
        1 => b"PROXY ",
        _ => b"\r\n\r\n\0\r\nQUIT\n",
    };
    let bytes = [start, rest].concat();
    match parse_proxy_header(&bytes) {
        ProxyHeader::NeedMore => assert!(bytes.len() < 536),
        ProxyHeader::Invalid(_) => {
            let longer = [&bytes[..], b"more"].concat();
            assert!(matches!(
                parse_proxy_header(&longer),
                ProxyHeader::Invalid(_)
            ));
        }
        whole @ ProxyHeader::Complete(proxied) => {
            assert!(proxied.consumed <= bytes.len().min(536));
            assert_eq!(parse_proxy_header(&bytes[..proxied.consumed]), whole);
            for end in 0..proxied.consumed {
                assert_eq!(parse_proxy_header(&bytes[..end]), ProxyHeader::NeedMore);
            }
        }
    }
});
