//! What of a request's and an answer's head is passed on (RFC 9110 section 7.6.1).

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderName, TE, TRAILER};
use http::header::{FORWARDED, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue};

use crate::forwarded::{Client, ForwardedBy};
use crate::peers::HEADER;

/// Fields about one connection.
fn is_of_the_connection(name: &HeaderName) -> bool {
    [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE].contains(name)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// Fields that proxies write about the client, and that a client can write as well.
fn is_about_the_client(name: &HeaderName) -> bool {
    *name == FORWARDED
        || matches!(
            name.as_str(),
            "x-forwarded-for" | "x-forwarded-proto" | "x-real-ip" | HEADER
        )
}

fn without(headers: &HeaderMap, leave_out: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let named = |name: &HeaderName| {
        let lines = headers.get_all(CONNECTION).into_iter();
        let mut words = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
        words.any(|word| {
            word.trim_ascii()
                .eq_ignore_ascii_case(name.as_str().as_bytes())
        })
    };
    let mut kept = HeaderMap::with_capacity(headers.len() + 4);
    for (name, value) in headers {
        if !is_of_the_connection(name) && !leave_out(name) && !named(name) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

/// What of a request's fields goes to the owner. Its body has come whole, so its length is written anew.
pub(super) fn request(headers: &HeaderMap) -> HeaderMap {
    without(headers, |name| {
        is_about_the_client(name) || *name == CONTENT_LENGTH || *name == EXPECT
    })
}

/// What of an answer's fields goes to the client.
pub(super) fn answer(headers: &HeaderMap) -> HeaderMap {
    without(headers, |_| false)
}

/// Says who the client is in the words of the proxies in front, for the rules of the server that look there.
pub(super) fn tell(headers: &mut HeaderMap, by: ForwardedBy, client: Client) {
    let scheme = if client.secure { "https" } else { "http" };
    let address = client.address.map(|address| match by {
        ForwardedBy::Forwarded if address.is_ipv6() => format!("for=\"[{address}]\";"),
        ForwardedBy::Forwarded => format!("for={address};"),
        _ => address.to_string(),
    });
    let (name, text) = match by {
        ForwardedBy::Forwarded => {
            let text = format!("{}proto={scheme}", address.unwrap_or_default());
            (FORWARDED, Some(text))
        }
        ForwardedBy::XForwardedFor => (HeaderName::from_static("x-forwarded-for"), address),
        ForwardedBy::XRealIp => (HeaderName::from_static("x-real-ip"), address),
    };
    // Addresses and schemes are always valid values.
    if let Some(Ok(value)) = text.map(HeaderValue::try_from) {
        headers.insert(name, value);
    }
    if by != ForwardedBy::Forwarded {
        headers.insert("x-forwarded-proto", HeaderValue::from_static(scheme));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use super::*;
    use crate::forwarded::{Peer, resolve_client};

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let fields = fields.iter().map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, value.parse::<HeaderValue>().unwrap())
        });
        fields.collect()
    }

    #[test]
    fn fields_of_the_connection_stay_behind() {
        let headers = map(&[
            ("host", "a.example"),
            ("connection", "keep-alive, X-Hop"),
            ("keep-alive", "5"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("expect", "100-continue"),
            ("cookie", "a=b"),
            ("content-type", "text/plain"),
        ]);
        let kept = request(&headers);
        let names: Vec<_> = kept.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["host", "cookie", "content-type"]);
        assert_eq!(answer(&headers).get("content-length").unwrap(), "5");
        assert_eq!(answer(&headers).get("transfer-encoding"), None);
    }

    #[test]
    fn what_a_client_says_of_itself_is_replaced_by_what_is_known() {
        let claimed = map(&[
            ("x-forwarded-for", "203.0.113.1"),
            ("x-real-ip", "203.0.113.1"),
            ("forwarded", "for=203.0.113.1"),
            ("x-forwarded-proto", "https"),
            ("lakh-forwarded", "n1- 0123456789abcdef 203.0.113.1 https"),
        ]);
        assert!(request(&claimed).is_empty());
        let peer = Peer {
            address: Some(([10, 0, 0, 1], 9).into()),
            secure: false,
        };
        let trusted = "10.0.0.1".parse().unwrap();
        for by in [
            ForwardedBy::XForwardedFor,
            ForwardedBy::Forwarded,
            ForwardedBy::XRealIp,
        ] {
            for address in ["192.0.2.7", "2001:db8::7"] {
                let client = Client {
                    address: Some(address.parse().unwrap()),
                    port: None,
                    secure: true,
                };
                let mut headers = request(&claimed);
                tell(&mut headers, by, client);
                assert_eq!(resolve_client(peer, by, &trusted, &headers), client);
            }
        }
    }
}
