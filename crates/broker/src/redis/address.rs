//! Where Redis is, as one URL.
//!
//! | form | what |
//! |---|---|
//! | `redis://[user[:password]@]host[:port][/db]` | one server |
//! | `rediss://…` | the same, over TLS |
//! | `redis+unix:///path[?db=…]` | one server, over its socket |
//! | `redis+sentinel://[user[:password]@]host[:port],…/service[/db]` | the master that these sentinels name |
//! | `redis+cluster://[user[:password]@]host[:port],…` | a cluster that these nodes belong to |
//!
//! `rediss+sentinel` and `rediss+cluster` are TLS to all of them. With sentinels, user and password are those of the
//! master; `?sentinel_user=…&sentinel_password=…` are the sentinels' own.

use redis::{
    ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
};
use thiserror::Error;

/// A URL that names no Redis.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AddressError {
    /// Of none of the known forms.
    #[error(
        "not a Redis URL: write redis://host:6379, rediss://…, redis+unix:///path, \
         redis+sentinel://host:26379,host:26379/service or redis+cluster://host:6379,host:6379"
    )]
    Unknown,
    /// The name of the service is missing.
    #[error("a sentinel URL ends with the name of its service, such as /mymaster")]
    NoService,
    /// A part of it can't be read.
    #[error("broken Redis URL: {0}")]
    Broken(String),
}

/// A place to connect to. Shows no password when printed.
#[derive(Clone)]
pub(crate) enum Address {
    Single(ConnectionInfo),
    Sentinel {
        sentinels: Vec<ConnectionInfo>,
        service: String,
        tls: bool,
        redis: RedisConnectionInfo,
    },
    Cluster(Vec<ConnectionInfo>),
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Single(info) => write!(f, "Single({})", info.addr()),
            Self::Sentinel { service, .. } => write!(f, "Sentinel({service})"),
            Self::Cluster(nodes) => write!(f, "Cluster({} nodes)", nodes.len()),
        }
    }
}

/// Pub/sub and commands share a connection, which only RESP3 allows.
fn resp3(info: ConnectionInfo) -> ConnectionInfo {
    let redis = info.redis_settings().clone();
    info.set_redis_settings(redis.set_protocol(ProtocolVersion::RESP3))
}

fn info(url: &str) -> Result<ConnectionInfo, AddressError> {
    let info = url
        .into_connection_info()
        .map_err(|error| AddressError::Broken(error.to_string()))?;
    Ok(resp3(info))
}

impl Address {
    /// Reads a URL.
    pub(crate) fn parse(url: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = url.split_once("://").ok_or(AddressError::Unknown)?;
        let tls = scheme.starts_with("rediss");
        match scheme {
            "redis" | "rediss" => Ok(Self::Single(info(url)?)),
            "redis+unix" | "unix" => Ok(Self::Single(info(url)?)),
            "redis+sentinel" | "rediss+sentinel" => sentinel(rest, tls),
            "redis+cluster" | "rediss+cluster" => {
                let parts = Parts::of(rest);
                let infos: Result<Vec<_>, _> =
                    parts.urls(tls, 6379, "").map(|url| info(&url)).collect();
                Ok(Self::Cluster(infos?))
            }
            _ => Err(AddressError::Unknown),
        }
    }
}

impl Address {
    /// The hosts of the URL, with their ports. None over a socket file.
    pub(crate) fn hosts(&self) -> Vec<(String, u16)> {
        let infos = match self {
            Self::Single(info) => std::slice::from_ref(info),
            Self::Sentinel { sentinels, .. } => sentinels,
            Self::Cluster(nodes) => nodes,
        };
        let hosts = infos.iter().filter_map(|info| match info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Some((host.clone(), *port))
            }
            _ => None,
        });
        hosts.collect()
    }
}

/// What stands behind the scheme of a URL with more than one host.
struct Parts<'a> {
    /// With its `@`.
    user: &'a str,
    hosts: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn of(rest: &'a str) -> Self {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // A password may hold an @ of its own, a host never does.
        let (user, hosts) = match authority.rfind('@') {
            Some(at) => authority.split_at(at + 1),
            None => ("", authority),
        };
        Self {
            user,
            hosts,
            path,
            query,
        }
    }

    fn urls(&self, tls: bool, port: u16, db: &str) -> impl Iterator<Item = String> {
        urls(self.hosts, self.user, tls, port, db)
    }

    fn option(&self, key: &str) -> Option<&'a str> {
        let pairs = self
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        pairs
            .into_iter()
            .find_map(|(name, value)| (name == key).then_some(value))
    }
}

fn urls(hosts: &str, user: &str, tls: bool, port: u16, db: &str) -> impl Iterator<Item = String> {
    let scheme = if tls { "rediss" } else { "redis" };
    let has_port = |host: &str| {
        let after = host.rsplit(']').next().unwrap_or(host);
        after.contains(':')
    };
    hosts.split(',').map(move |host| {
        if has_port(host) {
            format!("{scheme}://{user}{host}/{db}")
        } else {
            format!("{scheme}://{user}{host}:{port}/{db}")
        }
    })
}

fn sentinel(rest: &str, tls: bool) -> Result<Address, AddressError> {
    let parts = Parts::of(rest);
    let (service, db) = parts.path.split_once('/').unwrap_or((parts.path, ""));
    if service.is_empty() {
        return Err(AddressError::NoService);
    }
    let own = match (
        parts.option("sentinel_user"),
        parts.option("sentinel_password"),
    ) {
        (user, Some(password)) => format!("{}:{password}@", user.unwrap_or_default()),
        _ => String::new(),
    };
    let sentinels = urls(parts.hosts, &own, tls, 26379, "").map(|url| info(&url));
    // The host is the sentinels' to say; from this URL only user, password and database are taken.
    let master = info(&format!("redis://{}localhost/{db}", parts.user))?;
    Ok(Address::Sentinel {
        sentinels: sentinels.collect::<Result<_, _>>()?,
        service: service.to_owned(),
        tls,
        redis: master.redis_settings().clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read() -> Result<(), AddressError> {
        let single = Address::parse("redis://u:p@h:1/3")?;
        let Address::Single(info) = single else {
            panic!("not one server");
        };
        assert_eq!(info.addr().to_string(), "h:1");
        assert_eq!(
            Address::parse("rediss://h")?.hosts(),
            [("h".to_owned(), 6379)]
        );
        assert_eq!(info.redis_settings().db(), 3);
        assert_eq!(info.redis_settings().password(), Some("p"));

        let unix = format!("{:?}", Address::parse("redis+unix:///run/redis.sock")?);
        assert_eq!(unix, "Single(/run/redis.sock)");
        assert!(Address::parse("unix:///run/redis.sock")?.hosts().is_empty());

        let url = "rediss+sentinel://:p%40w@a,[::1]:9,b:27000/mine/2?sentinel_password=s";
        let Address::Sentinel {
            sentinels,
            service,
            tls,
            redis,
        } = Address::parse(url)?
        else {
            panic!("no sentinels");
        };
        let hosts: Vec<String> = sentinels.iter().map(|one| one.addr().to_string()).collect();
        assert_eq!(hosts, ["a:26379", "::1:9", "b:27000"]);
        assert_eq!((service.as_str(), tls, redis.db()), ("mine", true, 2));
        assert_eq!(redis.password(), Some("p@w"));
        assert_eq!(sentinels[0].redis_settings().password(), Some("s"));

        let Address::Cluster(nodes) = Address::parse("redis+cluster://u:p@a:7000,b")? else {
            panic!("no cluster");
        };
        assert_eq!(nodes[1].addr().to_string(), "b:6379");
        assert_eq!(nodes[1].redis_settings().username(), Some("u"));
        Ok(())
    }

    #[test]
    fn what_is_no_url_is_refused_with_the_forms_that_are() {
        for bad in [
            "localhost",
            "http://a",
            "redis+sentinel://a:1",
            "redis://a:b",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }
}
