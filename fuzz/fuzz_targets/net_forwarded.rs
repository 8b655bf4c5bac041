//! Forwarding headers: whatever a client writes, what our own proxy wrote behind it decides; and a peer that is not
//! trusted decides nothing.
#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use lakh_net::fuzzing::{ForwardedBy, Peer, TrustedProxies, resolve_client};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, line)) = data.split_first() else {
        return;
    };
    let (by, name, ours) = match choice % 3 {
        0 => (ForwardedBy::XForwardedFor, "x-forwarded-for", "203.0.113.9"),
        1 => (ForwardedBy::XRealIp, "x-real-ip", "203.0.113.9"),
        _ => (
            ForwardedBy::Forwarded,
            "forwarded",
            "for=\"203.0.113.9:4711\";by=\"_a\"",
        ),
    };
    let name = HeaderName::from_static(name);
    let joined = [line, b", ", ours.as_bytes()].concat();
    let (Ok(alone), Ok(joined)) = (
        HeaderValue::from_bytes(line),
        HeaderValue::from_bytes(&joined),
    ) else {
        return;
    };
    let trusted: TrustedProxies = "10.0.0.0/8".parse().expect("a range");
    let ask = |peer: [u8; 4], values: &[&HeaderValue]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, (*value).clone());
        }
        let peer = Peer {
            address: Some((peer, 9).into()),
            secure: false,
        };
        resolve_client(peer, by, &trusted, &headers).address
    };
    let client = Some([203, 0, 113, 9].into());
    assert_eq!(ask([10, 0, 0, 1], &[&joined]), client);
    assert_eq!(
        ask([10, 0, 0, 1], &[&alone, &HeaderValue::from_static(ours)]),
        client
    );
    assert_eq!(ask([203, 0, 113, 9], &[&alone]), client);
    // Whatever it means on its own, it has a meaning.
    assert!(ask([10, 0, 0, 1], &[&alone]).is_some());
});
