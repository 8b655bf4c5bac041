//! The other nodes of a fleet: who made a session, and how one node vouches to another for a client.
//!
//! A node that forwards a request tells the owner of the session who sent it, for whom, and the owner's own secret, in one
//! header. Invariants: only with the secret is the client believed, so the header is of no use to strangers; a request
//! that carries the header, with or without the secret, is never forwarded again, so there are no loops.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderValue, StatusCode};

use crate::forwarded::{Client, HeaderSource, parse_node};
use crate::head::HeadError;

/// What a forwarded request carries: the tag of the node that sends it, the secret of the one that gets it, the client's
/// address, the client's scheme.
pub(crate) const HEADER: &str = "lakh-forwarded";

/// What a client gets that finds the door of the nodes.
pub(crate) const NODES_ONLY: HeadError = HeadError {
    status: StatusCode::FORBIDDEN,
    message: "Only nodes of this fleet are served here",
};

/// Where the other nodes are. Asked on the loop, so nothing here may block.
pub trait Peers: fmt::Debug + Send + Sync + 'static {
    /// The node with this tag, as far as it is known.
    fn find(&self, tag: &str) -> Option<Node>;
    /// Ready when what [`Self::find`] knows has been looked up anew. Called for tags that are unknown, and anybody can
    /// invent such: it is for the implementation to let many wait for the same look, and to bound how often it looks.
    fn read_again(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// Another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where it takes requests of other nodes, over plain HTTP.
    pub address: SocketAddr,
    /// What shows it that a request comes from a node.
    pub secret: Secret,
}

/// What a node gives to the other nodes, and to nobody else. Shows nothing when printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes 16 to 128 letters and digits, which should be random. `None` for any other text.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (plain && (16..=128).contains(&text.len())).then(|| Self(text.into()))
    }

    /// The secret itself, to be announced.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// In the same time wherever the difference is.
    fn is(&self, other: &str) -> bool {
        let bytes = self.0.bytes().zip(other.bytes());
        self.0.len() == other.len() && bytes.fold(0, |all, (own, said)| all | (own ^ said)) == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What a node of a fleet knows of the others.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// Where they are.
    pub peers: Arc<dyn Peers>,
    /// What this node gives to them.
    pub secret: Secret,
    /// A listener of its own for what they forward: plain HTTP, for nodes alone. Without it they come to where clients
    /// come, which must then speak plain HTTP, without a PROXY header, on a port that no other process shares.
    pub listen: Option<SocketAddr>,
}

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// From a client, or a proxy.
    Directly,
    /// It says that a node forwarded it, and doesn't prove it.
    Unproven,
    /// From a node, for this client.
    From(Client),
}

impl Fleet {
    /// Reads the header.
    pub(crate) fn came(&self, headers: &impl HeaderSource) -> Came {
        let mut values = headers.values(HEADER);
        match (values.next(), values.next()) {
            (None, _) => Came::Directly,
            (Some(value), None) => self.read(value).map_or(Came::Unproven, Came::From),
            _ => Came::Unproven,
        }
    }

    fn read(&self, value: &[u8]) -> Option<Client> {
        let mut words = std::str::from_utf8(value).ok()?.split(' ');
        let (_, secret, address) = (words.next()?, words.next()?, words.next()?);
        let secure = words.next()? == "https";
        if !self.secret.is(secret) || words.next().is_some() {
            return None;
        }
        let node = parse_node(address.as_bytes());
        Some(Client {
            address: node.map(|(address, _)| address),
            port: node.and_then(|(_, port)| port),
            secure,
        })
    }
}

impl Node {
    /// Writes the header.
    pub(crate) fn vouch(&self, tag: &str, client: Client) -> Option<HeaderValue> {
        let address = match (client.address, client.port) {
            (Some(address), Some(port)) => SocketAddr::new(address, port).to_string(),
            (Some(address), None) => address.to_string(),
            (None, _) => "-".to_owned(),
        };
        let scheme = if client.secure { "https" } else { "http" };
        let text = format!("{tag} {} {address} {scheme}", self.secret.0);
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use super::*;
    use http::HeaderMap;

    #[derive(Debug)]
    struct Nobody;
    impl Peers for Nobody {
        fn find(&self, _: &str) -> Option<Node> {
            None
        }
        fn read_again(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(async {})
        }
    }

    const OWN: &str = "0123456789abcdef";

    fn fleet() -> Fleet {
        Fleet {
            peers: Arc::new(Nobody),
            secret: Secret::new(OWN).unwrap(),
            listen: None,
        }
    }

    fn came(values: &[&str]) -> Came {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, value.parse().unwrap());
        }
        fleet().came(&headers)
    }

    fn vouched(secret: &str, client: Client) -> String {
        let node = Node {
            address: ([127, 0, 0, 1], 1).into(),
            secret: Secret::new(secret).unwrap(),
        };
        let value = node.vouch("n1-", client).unwrap();
        value.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_client_that_a_node_vouches_for_is_believed() {
        let clients = [
            (Some("192.0.2.7"), Some(5), true),
            (Some("2001:db8::7"), Some(5), false),
            (Some("2001:db8::7"), None, false),
            (None, None, true),
        ];
        for (address, port, secure) in clients {
            let client = Client {
                address: address.map(|address| address.parse().unwrap()),
                port,
                secure,
            };
            assert_eq!(came(&[&vouched(OWN, client)]), Came::From(client));
        }
    }

    #[test]
    fn without_the_secret_nothing_is_believed_and_nothing_forwarded() {
        let client = Client {
            address: Some([192, 0, 2, 7].into()),
            port: None,
            secure: true,
        };
        let good = vouched(OWN, client);
        let other = vouched("0123456789abcdeg", client);
        let longer = vouched("0123456789abcdef0", client);
        let more = format!("{good} more");
        let bad: [&[&str]; 8] = [
            &[&other],
            &[&longer],
            &[""],
            &["x"],
            &["n1-  192.0.2.7 https"],
            &[&good, &good],
            &[&good, &other],
            &[&more],
        ];
        for bad in bad {
            assert_eq!(came(bad), Came::Unproven, "{bad:?}");
        }
        assert_eq!(came(&[]), Came::Directly);
    }

    proptest::proptest! {
        #[test]
        fn any_client_is_read_as_it_was_written_and_any_other_text_is_not_believed(
            address: Option<std::net::IpAddr>,
            port: Option<u16>,
            secure: bool,
            junk: Vec<u8>,
        ) {
            let client = Client {
                address: address.map(|address| address.to_canonical()),
                port: port.filter(|_| address.is_some()),
                secure,
            };
            proptest::prop_assert_eq!(came(&[&vouched(OWN, client)]), Came::From(client));
            let mut headers = HeaderMap::new();
            if let Ok(junk) = HeaderValue::from_bytes(&junk) {
                headers.insert(HEADER, junk);
                proptest::prop_assert_eq!(fleet().came(&headers), Came::Unproven);
            }
        }
    }

    #[test]
    fn a_secret_is_plain_and_long_and_is_not_printed() {
        for bad in [
            "",
            "short",
            "0123456789abcde ",
            "0123456789abcdé",
            "0123456789abcd\r\n",
        ] {
            assert_eq!(Secret::new(bad), None, "{bad}");
        }
        assert_eq!(format!("{:?}", Secret::new(OWN)), "Some(Secret)");
    }
}
