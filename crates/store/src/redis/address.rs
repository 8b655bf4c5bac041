//! Where Redis is: the URL, and the servers to ask in turn.
//!
//! | URL | what it means |
//! |---|---|
//! | `redis://[user:password@]host[:port][,host[:port]…][/db]` | one server, or several to ask in turn |
//! | `redis+cluster://[user:password@]host[:port][,…]` | nodes of one Redis Cluster, to ask in turn |
//! | `redis+unix:///path[?db=…]` | a socket on this machine |
//! | `redis+sentinel://[user:password@]host[:port][,…]/name[/db]` | the primary that these sentinels know as `name` |
//!
//! `rediss`, `rediss+cluster` and `rediss+sentinel` are TLS to all of them, with the roots that the system trusts. With
//! sentinels, user and password are the primary's; `?sentinel_user=…&sentinel_password=…` are the sentinels' own. These are
//! the forms of the broker too: a node is given one URL for both.

use redis::io::tcp::TcpSettings;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// Servers to ask in turn.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Never empty.
    pub(crate) servers: Vec<ConnectionInfo>,
    /// If the servers are sentinels: the name that they know the primary by.
    pub(crate) primary: Option<Primary>,
}

#[derive(Clone, Debug)]
pub(crate) struct Primary {
    pub(crate) name: String,
    /// How to sign in there.
    pub(crate) settings: RedisConnectionInfo,
}

impl Target {
    /// Reads a URL, or says what is wrong with it (and never what its password is).
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url
            .split_once("://")
            .ok_or("it has no scheme such as redis://")?;
        match scheme {
            "redis" | "rediss" => Self::direct(scheme, rest, PORT),
            "redis+cluster" => Self::direct("redis", rest, PORT),
            "rediss+cluster" => Self::direct("rediss", rest, PORT),
            "redis+sentinel" => Self::sentinels("redis", rest),
            "rediss+sentinel" => Self::sentinels("rediss", rest),
            "redis+unix" | "unix" => Ok(Self {
                servers: vec![server(url)?],
                primary: None,
            }),
            other => Err(format!(
                "{other}:// is none of redis, rediss, redis+unix, redis+sentinel, rediss+sentinel, redis+cluster and \
                 rediss+cluster"
            )),
        }
    }

    fn direct(scheme: &str, rest: &str, port: u16) -> Result<Self, String> {
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, hosts) = user_and_hosts(authority);
        let servers = hosts.split(',').map(|host| {
            let port = if has_port(host) {
                String::new()
            } else {
                format!(":{port}")
            };
            server(&format!("{scheme}://{user}{host}{port}{path}"))
        });
        Ok(Self {
            servers: servers.collect::<Result<_, _>>()?,
            primary: None,
        })
    }

    fn sentinels(scheme: &str, rest: &str) -> Result<Self, String> {
        const NAMELESS: &str =
            "it names no primary after the sentinels, as in redis+sentinel://host:26379/name";
        let (rest, fragment) = rest.split_at(rest.find('#').unwrap_or(rest.len()));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').ok_or(NAMELESS)?;
        let (name, db) = path.split_at(path.find('/').unwrap_or(path.len()));
        if name.is_empty() {
            return Err(NAMELESS.to_owned());
        }
        let (user, hosts) = user_and_hosts(authority);
        // The host is the sentinels' to say.
        let primary = server(&format!("{scheme}://{user}localhost{db}{fragment}"))?;
        let own = match (
            option(query, "sentinel_user"),
            option(query, "sentinel_password"),
        ) {
            (user, Some(password)) => format!("{}:{password}@", user.unwrap_or_default()),
            _ => String::new(),
        };
        let sentinels = Self::direct(scheme, &format!("{own}{hosts}{fragment}"), SENTINEL_PORT)?;
        Ok(Self {
            servers: sentinels.servers,
            primary: Some(Primary {
                name: name.to_owned(),
                settings: primary.redis_settings().clone(),
            }),
        })
    }
}

/// Who signs in, with the `@`, and where. A password may hold an @ of its own, a host never does.
fn user_and_hosts(authority: &str) -> (&str, &str) {
    match authority.rfind('@') {
        Some(at) => authority.split_at(at + 1),
        None => ("", authority),
    }
}

fn option<'a>(query: &'a str, key: &str) -> Option<&'a str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find_map(|(name, value)| (name == key).then_some(value))
}

/// For people: without a password.
impl std::fmt::Display for Target {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(primary) = &self.primary {
            write!(out, "primary {} of ", primary.name)?;
        }
        for (index, server) in self.servers.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(out, "{comma}{}", server.addr())?;
        }
        Ok(())
    }
}

fn has_port(host: &str) -> bool {
    // Colons between brackets are an IPv6 address.
    host.rsplit(']').next().is_some_and(|end| end.contains(':'))
}

fn server(url: &str) -> Result<ConnectionInfo, String> {
    let info = url
        .into_connection_info()
        .map_err(|error| error.to_string())?;
    Ok(info.set_tcp_settings(TcpSettings::default().set_nodelay(true)))
}

/// The same way in at another host: where a sentinel or a node of a cluster points to (`host:port`).
pub(crate) fn moved(from: &ConnectionInfo, place: &str) -> Option<ConnectionInfo> {
    let (host, port) = place.rsplit_once(':')?;
    let (host, port) = (host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?);
    let addr = match from.addr() {
        // A node that doesn't know its own name leaves it out: it means the host that was asked.
        ConnectionAddr::Tcp(own, _) => ConnectionAddr::Tcp(or(host, own), port),
        ConnectionAddr::TcpTls {
            host: own,
            insecure,
            tls_params,
            ..
        } => ConnectionAddr::TcpTls {
            host: or(host, own),
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => ConnectionAddr::Tcp(host, port),
    };
    Some(from.clone().set_addr(addr))
}

fn or(host: String, own: &str) -> String {
    if host.is_empty() {
        own.to_owned()
    } else {
        host
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn parsed(url: &str) -> (String, i64) {
        let target = Target::parse(url).unwrap();
        let settings = match &target.primary {
            Some(primary) => &primary.settings,
            None => target.servers[0].redis_settings(),
        };
        (target.to_string(), settings.db())
    }

    #[test]
    fn urls_name_servers_and_a_database() {
        for (url, place, db) in [
            ("redis://localhost", "localhost:6379", 0),
            ("redis://localhost:7000/3", "localhost:7000", 3),
            ("rediss://a,b:7001,[::1]/2", "a:6379,b:7001,::1:6379", 2),
            (
                "redis+sentinel://s1,s2:5000/mymaster/4",
                "primary mymaster of s1:26379,s2:5000",
                4,
            ),
            ("redis+unix:///run/redis.sock?db=1", "/run/redis.sock", 1),
            ("redis+cluster://a:7000,b", "a:7000,b:6379", 0),
        ] {
            assert_eq!(parsed(url), (place.to_owned(), db), "{url}");
        }
    }

    #[test]
    fn a_password_goes_to_each_server_and_is_never_shown() {
        let target = Target::parse("redis://ann:se%40cret@a,b").unwrap();
        for server in &target.servers {
            assert_eq!(server.redis_settings().username(), Some("ann"));
            assert_eq!(server.redis_settings().password(), Some("se@cret"));
        }
        let target = Target::parse("redis+sentinel://:secret@s/main").unwrap();
        assert_eq!(target.servers[0].redis_settings().password(), None);
        assert_eq!(
            target.primary.as_ref().unwrap().settings.password(),
            Some("secret")
        );
        assert!(!target.to_string().contains("secret"));
        let own = "redis+sentinel://s/main/2?sentinel_user=ann&sentinel_password=s%40t";
        let target = Target::parse(own).unwrap();
        let sentinel = target.servers[0].redis_settings();
        assert_eq!(
            (sentinel.username(), sentinel.password()),
            (Some("ann"), Some("s@t"))
        );
        assert_eq!(sentinel.db(), 0, "sentinels have no databases");
        let primary = &target.primary.as_ref().unwrap().settings;
        assert_eq!((primary.password(), primary.db()), (None, 2));
        let wrong = Target::parse("redis://:secret@a:port").unwrap_err();
        assert!(!wrong.contains("secret"), "{wrong}");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for url in [
            "localhost:6379",
            "http://localhost",
            "redis://",
            "redis://a,,b",
            "redis+sentinel://s",
            "redis://a/x",
        ] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_redirection_keeps_the_way_in() {
        let from = Target::parse("rediss://ann:pw@seed:7000")
            .unwrap()
            .servers
            .remove(0);
        let there = moved(&from, "10.0.0.2:7001").unwrap();
        assert!(
            matches!(there.addr(), ConnectionAddr::TcpTls { host, port: 7001, .. } if host == "10.0.0.2")
        );
        assert_eq!(there.redis_settings().password(), Some("pw"));
        assert_eq!(
            moved(&from, ":7001").unwrap().addr().to_string(),
            "seed:7001"
        );
        assert!(moved(&from, "nowhere").is_none());
    }
}
