//! `Sec-WebSocket-Extensions`: any header is answered, declined or refused; an answer is one that may be given.
#![no_main]

use lakh_wire::ws::extensions::negotiate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|header: &str| {
    if let Ok(Some(deflate)) = negotiate(header) {
        assert!(header.to_ascii_lowercase().contains("permessage-deflate"));
        let response = deflate.response();
        if response.contains("server_max_window_bits") {
            assert!(header.contains("server_max_window_bits"));
        }
        assert_eq!(negotiate(response).map(|answer| answer.is_some()), Ok(true));
    }
});
