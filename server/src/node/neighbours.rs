//! The other nodes of a fleet, for requests whose session one of them has: each says in Redis where it is.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use lakh_broker::redis::{Announced, Directory, DirectoryConfig};
use lakh_hub::NodeTag;
use lakh_net::accept::Port;
use lakh_net::{Fleet, Options, Peers, Running, Secret};

use super::names::NoRandom;
use crate::config::Settings;

/// How long the start waits for the announcement. It goes on all the same, and is announced a little later.
const PATIENCE: Duration = Duration::from_secs(2);

/// The other nodes, and this one among them.
#[derive(Debug)]
pub struct Neighbours {
    directory: Directory,
    name: String,
    secret: Secret,
    /// Where the settings say that the others reach this node.
    advertise: Option<SocketAddr>,
    /// Why they can't come where clients come, if so.
    closed_to_nodes: Option<&'static str>,
}

/// There are no neighbours to be had.
#[derive(Debug, thiserror::Error)]
pub enum NeighboursError {
    /// Of the directory.
    #[error(transparent)]
    Open(#[from] lakh_broker::redis::OpenError),
    /// No secret can be made.
    #[error(transparent)]
    Random(#[from] NoRandom),
}

impl Neighbours {
    /// Begins to read of the others, and tells the sockets to forward. `None` without Redis. To be called on the runtime
    /// that this is to live on.
    pub fn open(
        settings: &Settings,
        name: &str,
        options: &mut Options,
    ) -> Result<Option<Arc<Self>>, NeighboursError> {
        let redis = &settings.redis;
        let Some(url) = &redis.url else {
            return Ok(None);
        };
        let own = (name.to_owned(), tag(name));
        let on_conflict = Arc::new(move |other: &Announced| {
            let ((name, tag), other) = (&own, &other.name);
            tracing::error!(
                name,
                other,
                tag,
                "two nodes run whose names begin alike: requests for the one reach the other; give each another --node"
            );
        });
        let config = DirectoryConfig {
            connect_timeout: Duration::from_millis(redis.connect_timeout_ms),
            response_timeout: Duration::from_millis(redis.answer_timeout_ms),
            ..DirectoryConfig::new(url.secret(), &redis.key, on_conflict)
        };
        let this = Arc::new(Self {
            directory: Directory::open(config)?,
            name: name.to_owned(),
            secret: random_secret()?,
            advertise: settings.server.advertise.map(|at| at.0),
            closed_to_nodes: closed_to_nodes(options),
        });
        options.fleet = Some(Fleet {
            peers: Arc::clone(&this) as Arc<dyn Peers>,
            secret: this.secret.clone(),
            listen: settings.server.nodes_bind.map(|at| at.0),
        });
        Ok(Some(this))
    }

    /// Tells the others where this node is, now that it listens.
    pub async fn announce(&self, running: &Running) {
        let place = match (self.advertise, running.nodes_addr()) {
            (Some(at), _) | (None, Some(at)) => Ok(at),
            (None, None) => match self.closed_to_nodes {
                Some(why) => Err(why),
                None => running.local_addr().ok_or("it listens on a socket file"),
            },
        };
        let at = match place {
            Ok(at) => at,
            Err(why) => {
                return tracing::warn!(
                    "{why}, so other nodes can't pass requests on to this one: set server.nodes_bind, or route by the \
                     beginning of the session id"
                );
            }
        };
        let announcing = self.directory.announce(Announced {
            tag: tag(&self.name),
            name: self.name.clone(),
            at,
            secret: self.secret.reveal().to_owned(),
        });
        match tokio::time::timeout(PATIENCE, announcing).await {
            Ok(Some(at)) => tracing::info!(%at, "other nodes pass requests on to this one there"),
            Ok(None) => tracing::warn!(
                "which of its addresses other nodes reach isn't known: set server.advertise, or they pass no requests on"
            ),
            Err(_) => tracing::warn!("other nodes will hear later where this one is"),
        }
    }

    /// Takes the announcement back.
    pub async fn leave(&self) {
        self.directory.leave().await;
    }
}

impl Peers for Neighbours {
    fn find(&self, tag: &str) -> Option<lakh_net::Node> {
        let found = self.directory.find(tag)?;
        Some(lakh_net::Node {
            address: found.at,
            secret: Secret::new(&found.secret)?,
        })
    }

    fn read_again(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.directory.read_again())
    }
}

fn tag(name: &str) -> String {
    NodeTag::from_name(name).as_str().to_owned()
}

/// Nodes speak plain HTTP to each other, to the one process that has the session.
fn closed_to_nodes(options: &Options) -> Option<&'static str> {
    if options.tls.is_some() {
        Some("clients speak TLS to this node")
    } else if options.proxy_protocol {
        Some("connections to this node begin with a PROXY header")
    } else if options.inherited.is_some() || options.port == Port::Shared {
        Some("other processes may listen on this node's port")
    } else {
        None
    }
}

fn random_secret() -> Result<Secret, NoRandom> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(NoRandom)?;
    let text = format!("{:032x}", u128::from_be_bytes(random));
    // Hexadecimal digits are what a secret may be made of.
    Ok(Secret::new(&text).expect("32 digits are a secret"))
}

#[cfg(test)]
mod tests {
    use lakh_net::accept::ListenAddress;

    use super::*;

    #[test]
    fn nodes_come_where_clients_come_only_if_that_is_plain_and_one_processes() {
        let plain = Options {
            listen: ListenAddress::Tcp(([127, 0, 0, 1], 0).into()),
            ..Options::default()
        };
        assert_eq!(closed_to_nodes(&plain), None);
        let proxied = Options {
            proxy_protocol: true,
            ..plain.clone()
        };
        assert!(closed_to_nodes(&proxied).unwrap().contains("PROXY"));
        let shared = Options {
            port: Port::Shared,
            ..plain
        };
        assert!(closed_to_nodes(&shared).unwrap().contains("port"));
    }

    #[test]
    fn secrets_are_long_and_differ() {
        let [one, two] = [random_secret().unwrap(), random_secret().unwrap()];
        assert_ne!(one, two);
        assert_eq!(one.reveal().len(), 32);
    }
}
