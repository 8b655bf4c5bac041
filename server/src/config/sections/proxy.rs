//! `[proxy]`: who may say where a connection really comes from.

use crate::config::section::section;
use crate::config::value::{Network, words};

words! {
    /// The header by which proxies tell the client's address.
    ForwardedHeader {
        /// `X-Forwarded-For`, with `X-Forwarded-Proto` for the scheme.
        XForwardedFor = "x-forwarded-for",
        /// `Forwarded` (RFC 7239).
        Forwarded = "forwarded",
        /// `X-Real-IP`, with `X-Forwarded-Proto` for the scheme.
        XRealIp = "x-real-ip",
    }
}

/// Names for ranges of addresses, beside the ranges themselves.
const NAMES: [&str; 5] = ["loopback", "linklocal", "uniquelocal", "private", "unix"];

section! {
    /// Proxies in front of the server. Only these may say where a connection really comes from.
    Proxy as "proxy" {
        /// Addresses (10.0.0.7), networks (10.0.0.0/8) or names of them: loopback, linklocal, private, unix.
        trusted: Vec<String> = Vec::new();
        /// The header in which they tell a client's address: "x-forwarded-for", "forwarded" or "x-real-ip".
        header: ForwardedHeader = ForwardedHeader::XForwardedFor;
        /// Whether they speak the PROXY protocol (version 1 or 2) before anything else.
        protocol: bool = false;
    }
    check |proxy, wrong| {
        if proxy.protocol && proxy.trusted.is_empty() {
            wrong.push(("protocol", "needs `proxy.trusted`: anybody could forge an address otherwise".into()));
        }
        for entry in proxy.trusted.iter().filter(|entry| !NAMES.contains(&entry.as_str())) {
            match entry.parse::<Network>() {
                Err(_) => wrong.push((
                    "trusted",
                    format!("`{entry}` is neither an address, a network nor one of {}", NAMES.join(", ")),
                )),
                Ok(network) if network.0.prefix_len() == 0 => wrong.push((
                    "trusted",
                    format!("`{entry}` is everybody, and anybody could forge an address"),
                )),
                Ok(_) => {}
            }
        }
    };
}
