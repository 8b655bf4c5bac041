//! Which peers are our own proxies, and so are believed when they say whom they speak for.
//!
//! Invariant: an IPv4-mapped IPv6 address is the IPv4 address, in the list and in the question. The names for
//! ranges are those of Express's `trust proxy`, with `private` and `unix` added.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

/// Addresses that are trusted, as ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    ranges: Vec<IpNet>,
    unix: bool,
}

/// An entry that is neither a range nor a name for some.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "trusted proxy {0:?}: give an address (10.0.0.7), a range (10.0.0.0/8) or one of loopback, linklocal, \
     uniquelocal, private, unix"
)]
pub struct TrustError(String);

const LOOPBACK: &[&str] = &["127.0.0.0/8", "::1/128"];
const LINK_LOCAL: &[&str] = &["169.254.0.0/16", "fe80::/10"];
/// RFC 1918 and RFC 4193.
const UNIQUE_LOCAL: &[&str] = &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

impl TrustedProxies {
    /// Nobody is trusted.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads a list: addresses, ranges (`10.0.0.0/8`) and the names `loopback`, `linklocal`, `uniquelocal`
    /// (also called `private`: RFC 1918 and RFC 4193) and `unix` (peers on a Unix socket).
    ///
    /// # Errors
    /// [`TrustError`] with the first entry that is none of these.
    pub fn parse<I>(entries: I) -> Result<Self, TrustError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut list = Self::none();
        for entry in entries {
            list.add(entry.as_ref().trim())?;
        }
        list.ranges = IpNet::aggregate(&list.ranges);
        Ok(list)
    }

    fn add(&mut self, entry: &str) -> Result<(), TrustError> {
        let named = match entry {
            "loopback" => LOOPBACK,
            "linklocal" => LINK_LOCAL,
            "uniquelocal" | "private" => UNIQUE_LOCAL,
            "unix" => {
                self.unix = true;
                return Ok(());
            }
            _ => std::slice::from_ref(&entry),
        };
        for range in named {
            let range = parse_range(range).ok_or_else(|| TrustError(entry.to_owned()))?;
            self.ranges.push(range);
        }
        Ok(())
    }

    /// Whether a peer is trusted.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.ranges.iter().any(|range| range.contains(&address))
    }

    /// Whether peers on a Unix socket, which have no address, are trusted.
    #[must_use]
    pub fn contains_unix(&self) -> bool {
        self.unix
    }

    /// Whether nobody is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty() && !self.unix
    }
}

impl FromStr for TrustedProxies {
    type Err = TrustError;

    /// As [`TrustedProxies::parse`], the entries separated by commas.
    fn from_str(text: &str) -> Result<Self, TrustError> {
        Self::parse(text.split(',').filter(|entry| !entry.trim().is_empty()))
    }
}

/// A range, or one address. `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
fn parse_range(text: &str) -> Option<IpNet> {
    let range = match text.parse::<IpNet>() {
        Ok(range) => range,
        Err(_) => IpNet::from(text.parse::<IpAddr>().ok()?),
    };
    let mapped = match (range.addr().to_canonical(), range.prefix_len()) {
        (IpAddr::V4(v4), len @ 96..=128) if range.addr().is_ipv6() => {
            Ipv4Net::new(v4, len - 96).ok().map(IpNet::V4)
        }
        _ => None,
    };
    Some(mapped.unwrap_or(range).trunc())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use super::*;

    fn trusts(list: &str, address: &str) -> bool {
        list.parse::<TrustedProxies>()
            .unwrap()
            .contains(address.parse().unwrap())
    }

    #[test]
    fn ranges_addresses_and_names_are_understood() {
        assert!(trusts("10.0.0.0/8", "10.255.0.1"));
        assert!(!trusts("10.0.0.0/8", "11.0.0.1"));
        assert!(trusts("10.1.2.3/8", "10.255.0.1"));
        assert!(trusts("192.0.2.7", "192.0.2.7"));
        assert!(!trusts("192.0.2.7", "192.0.2.8"));
        assert!(trusts("::1", "::1"));
        assert!(trusts("loopback", "127.9.9.9") && trusts("loopback", "::1"));
        assert!(trusts("private", "172.31.0.1") && !trusts("private", "172.32.0.1"));
        assert!(trusts("uniquelocal", "fd00::1"));
        assert!(trusts("linklocal", "fe80::1") && trusts("linklocal", "169.254.1.1"));
        assert!(trusts("loopback, 2001:db8::/32", "2001:db8:1::9"));
        assert!(trusts("0.0.0.0/0", "8.8.8.8") && !trusts("0.0.0.0/0", "2001:db8::1"));
    }

    #[test]
    fn mapped_addresses_are_the_ipv4_addresses() {
        assert!(trusts("10.0.0.0/8", "::ffff:10.0.0.1"));
        assert!(trusts("::ffff:10.0.0.0/104", "10.0.0.1"));
        assert!(trusts("::ffff:10.0.0.1", "10.0.0.1"));
        assert!(!trusts("::ffff:10.0.0.0/104", "11.0.0.1"));
    }

    #[test]
    fn an_empty_list_trusts_nobody() {
        let nobody: TrustedProxies = "".parse().unwrap();
        assert!(nobody.is_empty() && !nobody.contains_unix());
        assert!(!nobody.contains("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn unix_peers_are_trusted_by_name_only() {
        let list: TrustedProxies = "unix".parse().unwrap();
        assert!(list.contains_unix() && !list.is_empty());
        assert!(
            !"loopback"
                .parse::<TrustedProxies>()
                .unwrap()
                .contains_unix()
        );
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for bad in ["localhost", "10.0.0.0/33", "10.0.0", "*", "10.0.0.0/8/8"] {
            let error = TrustedProxies::parse([bad]).unwrap_err();
            assert!(error.to_string().contains(bad), "{error}");
        }
    }
}
