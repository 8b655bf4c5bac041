//! Tests of who is believed to be the client.
#![allow(clippy::unwrap_used)] // A panic is how a test fails.

use super::*;
use proptest::prelude::*;

/// Resolves a request with these headers that came from `peer`; proxies are 10.0.0.0/8 and ::1.
fn client_by(by: ForwardedBy, peer: &str, headers: &[(&'static str, &str)]) -> Client {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().unwrap());
    }
    let peer = Peer {
        address: Some(peer.parse().unwrap()),
        secure: false,
    };
    let trusted = "10.0.0.0/8, ::1".parse().unwrap();
    resolve_client(peer, by, &trusted, &map)
}

fn address_by(by: ForwardedBy, peer: &str, header: &'static str, lines: &[&str]) -> String {
    let headers: Vec<_> = lines.iter().map(|line| (header, *line)).collect();
    client_by(by, peer, &headers).address.unwrap().to_string()
}

fn xff(lines: &[&str]) -> String {
    address_by(
        ForwardedBy::XForwardedFor,
        "10.0.0.1:9",
        "x-forwarded-for",
        lines,
    )
}

fn forwarded(lines: &[&str]) -> String {
    address_by(ForwardedBy::Forwarded, "10.0.0.1:9", "forwarded", lines)
}

#[test]
fn an_untrusted_peer_is_the_client_whatever_it_says() {
    let headers = [
        ("x-forwarded-for", "1.2.3.4"),
        ("x-real-ip", "1.2.3.4"),
        ("forwarded", "for=1.2.3.4;proto=https"),
        ("x-forwarded-proto", "https"),
    ];
    for by in [
        ForwardedBy::XForwardedFor,
        ForwardedBy::Forwarded,
        ForwardedBy::XRealIp,
    ] {
        let client = client_by(by, "203.0.113.9:77", &headers);
        assert_eq!(client.address, Some("203.0.113.9".parse().unwrap()));
        assert_eq!((client.port, client.secure), (Some(77), false));
    }
}

#[test]
fn only_the_configured_header_is_read() {
    let spoofed = [
        ("forwarded", "for=6.6.6.6"),
        ("x-real-ip", "6.6.6.6"),
        ("x-forwarded-for", "203.0.113.9"),
    ];
    let client = client_by(ForwardedBy::XForwardedFor, "10.0.0.1:9", &spoofed);
    assert_eq!(client.address, Some("203.0.113.9".parse().unwrap()));
}

#[test]
fn the_walk_goes_from_the_right_and_stops_at_the_first_stranger() {
    assert_eq!(xff(&["203.0.113.9"]), "203.0.113.9");
    // The client wrote 6.6.6.6 itself.
    assert_eq!(xff(&["6.6.6.6, 203.0.113.9, 10.0.0.2"]), "203.0.113.9");
    assert_eq!(xff(&["6.6.6.6", "203.0.113.9,10.0.0.2"]), "203.0.113.9");
    assert_eq!(xff(&["6.6.6.6, 203.0.113.9", "10.0.0.2"]), "203.0.113.9");
}

#[test]
fn a_chain_of_trusted_ones_alone_gives_the_furthest() {
    assert_eq!(xff(&["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    assert_eq!(xff(&[]), "10.0.0.1");
}

#[test]
fn what_does_not_parse_ends_the_walk_at_the_one_who_said_it() {
    assert_eq!(xff(&["1.2.3.4, unknown, 10.0.0.2"]), "10.0.0.2");
    assert_eq!(xff(&["1.2.3.4,"]), "10.0.0.1");
    assert_eq!(xff(&["1.2.3.4, 300.1.1.1"]), "10.0.0.1");
    assert_eq!(xff(&[""]), "10.0.0.1");
}

#[test]
fn ports_brackets_and_mapped_addresses_are_understood() {
    assert_eq!(xff(&["203.0.113.9:4711"]), "203.0.113.9");
    assert_eq!(xff(&["[2001:db8::9]:4711"]), "2001:db8::9");
    assert_eq!(xff(&["[2001:db8::9]"]), "2001:db8::9");
    assert_eq!(xff(&["2001:db8::9, ::1"]), "2001:db8::9");
    assert_eq!(xff(&["::ffff:203.0.113.9"]), "203.0.113.9");
    assert_eq!(xff(&["1.2.3.4, [10.0.0.2]"]), "10.0.0.1");
    let client = client_by(
        ForwardedBy::XForwardedFor,
        "10.0.0.1:9",
        &[("x-forwarded-for", "1.2.3.4:5")],
    );
    assert_eq!(client.port, Some(5));
}

#[test]
fn no_more_hops_than_the_bound_are_followed() {
    let chain = format!("1.2.3.4{}", ", 10.0.0.2".repeat(MAX_HOPS));
    assert_eq!(xff(&[&chain]), "10.0.0.2");
    let chain = format!("1.2.3.4{}", ", 10.0.0.2".repeat(MAX_HOPS - 1));
    assert_eq!(xff(&[&chain]), "1.2.3.4");
}

#[test]
fn x_real_ip_tells_one_address() {
    let by = ForwardedBy::XRealIp;
    assert_eq!(
        address_by(by, "10.0.0.1:9", "x-real-ip", &["1.2.3.4"]),
        "1.2.3.4"
    );
    assert_eq!(
        address_by(by, "10.0.0.1:9", "x-real-ip", &["junk"]),
        "10.0.0.1"
    );
}

#[test]
fn forwarded_elements_are_read_as_the_rfc_writes_them() {
    assert_eq!(forwarded(&["for=192.0.2.43, for=10.0.0.2"]), "192.0.2.43");
    assert_eq!(
        forwarded(&[r#"For="[2001:db8:cafe::17]:4711";by="a,b;c""#]),
        "2001:db8:cafe::17"
    );
    assert_eq!(
        forwarded(&["for=192.0.2.60;proto=http;by=203.0.113.43"]),
        "192.0.2.60"
    );
    assert_eq!(forwarded(&["for=6.6.6.6", "for=192.0.2.43"]), "192.0.2.43");
    assert_eq!(forwarded(&["for=192.0.2.43, for=_hidden"]), "10.0.0.1");
    assert_eq!(forwarded(&["for=192.0.2.43, for=unknown"]), "10.0.0.1");
}

#[test]
fn quotes_can_not_smuggle_an_element() {
    // A comma or a semicolon within quotes separates nothing, even after an escaped quote.
    assert_eq!(
        forwarded(&[r#"for=192.0.2.43;by="x\", for=6.6.6.6""#]),
        "192.0.2.43"
    );
    // A quote that is left open hides neither what the proxy wrote behind it, nor vouches for what stands before.
    assert_eq!(
        forwarded(&[r#"for=6.6.6.6;a=", for=192.0.2.43"#]),
        "192.0.2.43"
    );
    assert_eq!(forwarded(&[r#"for=6.6.6.6;a=", for=10.0.0.2"#]), "10.0.0.2");
    assert_eq!(forwarded(&[r#"for=6.6.6.6, for="192.0.2.43"#]), "10.0.0.1");
    assert_eq!(forwarded(&["for=192.0.2.43;for=6.6.6.6"]), "10.0.0.1");
}

#[test]
fn the_scheme_is_taken_from_the_same_hop() {
    let secure = |headers: &[(&'static str, &str)]| {
        client_by(ForwardedBy::XForwardedFor, "10.0.0.1:9", headers).secure
    };
    assert!(secure(&[("x-forwarded-proto", "https")]));
    assert!(secure(&[
        ("x-forwarded-proto", "WSS"),
        ("x-forwarded-for", "1.2.3.4")
    ]));
    assert!(!secure(&[("x-forwarded-proto", "ftp")]));
    // The client wrote the leftmost itself.
    assert!(!secure(&[
        ("x-forwarded-for", "6.6.6.6, 1.2.3.4"),
        ("x-forwarded-proto", "https, http"),
    ]));
    assert!(secure(&[
        ("x-forwarded-for", "1.2.3.4, 10.0.0.2"),
        ("x-forwarded-proto", "https, http"),
    ]));
    let by = |line| client_by(ForwardedBy::Forwarded, "10.0.0.1:9", &[("forwarded", line)]);
    assert!(by("for=1.2.3.4;proto=https").secure);
    assert!(!by("for=6.6.6.6;proto=https, for=1.2.3.4;proto=http").secure);
    assert!(by("proto=https;for=unknown").secure);
}

#[test]
fn a_unix_peer_is_believed_only_when_unix_is_trusted() {
    let mut headers = HeaderMap::new();
    headers.insert("x-forwarded-for", "1.2.3.4".parse().unwrap());
    let peer = Peer {
        address: None,
        secure: false,
    };
    let by = ForwardedBy::XForwardedFor;
    let ask = |list: &str| resolve_client(peer, by, &list.parse().unwrap(), &headers).address;
    assert_eq!(ask("unix"), Some("1.2.3.4".parse().unwrap()));
    assert_eq!(ask("loopback"), None);
}

proptest! {
    #[test]
    fn no_header_makes_an_untrusted_address_vouch_for_another(
        line in r#"[ -~]{0,80}"#,
        by in 0..3usize,
    ) {
        let (by, name) = [
            (ForwardedBy::XForwardedFor, "x-forwarded-for"),
            (ForwardedBy::Forwarded, "forwarded"),
            (ForwardedBy::XRealIp, "x-real-ip"),
        ][by];
        // The client wrote `line`; our proxy put the client's address after it, as its own header line.
        let ours = if by == ForwardedBy::Forwarded { "for=203.0.113.9" } else { "203.0.113.9" };
        prop_assert_eq!(address_by(by, "10.0.0.1:9", name, &[&line, ours]), "203.0.113.9");
        // Nor when it was appended to the client's own line.
        let joined = format!("{line}, {ours}");
        prop_assert_eq!(address_by(by, "10.0.0.1:9", name, &[&joined]), "203.0.113.9");
    }
}
