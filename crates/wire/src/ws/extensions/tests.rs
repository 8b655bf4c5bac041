//! What clients offer, and the answers.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;

use super::{BadExtensions, Deflate, negotiate};

#[test]
fn offers_are_answered() {
    let answer = |header| negotiate(header).unwrap().map(Deflate::response);
    let plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    for header in [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate;client_max_window_bits=10; server_no_context_takeover",
        "Permessage-Deflate ; client_max_window_bits = \"15\"",
        "x-webkit-deflate-frame, permessage-deflate; client_no_context_takeover",
        "permessage-deflate; server_max_window_bits=10, permessage-deflate",
        "permessage-deflate; unknown, permessage-deflate",
    ] {
        assert_eq!(answer(header), Some(plain), "{header}");
    }
    assert_eq!(
        answer("permessage-deflate; server_max_window_bits=15"),
        Some(
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15"
        )
    );
}

#[test]
fn offers_that_cannot_be_met_are_declined() {
    for header in [
        "x-unknown",
        "permessage-deflate; unknown=1",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=10",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; client_max_window_bits=08",
        "permessage-deflate; client_max_window_bits=100",
        "permessage-deflate; client_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
    ] {
        assert_eq!(negotiate(header), Ok(None), "{header}");
    }
}

#[test]
fn malformed_offers_are_refused() {
    for header in [
        "",
        ",",
        "permessage-deflate,",
        "permessage-deflate;",
        "permessage-deflate; =1",
        "permessage-deflate; a=",
        "permessage-deflate; a=\"1",
        "permessage-deflate; a=\"\"",
        "permessage-deflate a",
        "permessage-deflate; a b",
        "(x)",
    ] {
        assert_eq!(negotiate(header), Err(BadExtensions), "{header}");
    }
}

proptest! {
    #[test]
    fn no_header_makes_the_negotiation_panic(header in "[a-z;,= \"0-9_-]{0,60}") {
        let _ = negotiate(&header);
    }
}
