//! One connection, and how the server that may be written to is found.
//!
//! A store keeps all its keys in one slot, so even in a cluster there is one server to talk to: an answer `MOVED` says which, and
//! a plain connection to it is all that is needed. Sentinels are asked for the primary's address each time anew.

use std::sync::Arc;
use std::time::Duration;

use redis::{
    Client, Cmd, Connection, ConnectionInfo, RedisError, RedisResult, ServerError, Value, cmd,
};

use super::Settings;
use super::address::{Primary, Target, moved};
use super::fault::{Fault, fault, reason};
use super::scripts::{CONNECT, FORMAT};

/// `MOVED` answers that are followed in a row.
const HOPS: usize = 5;
/// How long a writer's mark stays when nobody renews it; a writer that finds its own gone makes a new one.
const MARK_MS: u64 = 24 * 60 * 60 * 1000;

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The keys were written by a newer version.
    Format(u64),
    Other(Arc<str>),
}

impl From<RedisError> for Refusal {
    fn from(error: RedisError) -> Self {
        Self::Other(reason(&error))
    }
}

impl From<&str> for Refusal {
    fn from(reason: &str) -> Self {
        Self::Other(reason.into())
    }
}

pub(crate) struct Link {
    conn: Connection,
    pub(crate) server: ConnectionInfo,
    /// The mark that this connection's writes must find.
    pub(crate) mark: String,
    /// The script that was loaded, as EVALSHA calls it.
    pub(crate) sha: String,
}

impl Link {
    /// A connection on which one script is ready to be called.
    pub(crate) fn open(
        server: &ConnectionInfo,
        settings: &Settings,
        script: &str,
    ) -> RedisResult<Self> {
        let client = Client::open(server.clone())?;
        let conn = client.get_connection_with_timeout(settings.connect_timeout)?;
        // Connecting ends with the time-outs taken off.
        conn.set_read_timeout(Some(settings.connect_timeout))?;
        conn.set_write_timeout(Some(settings.answer_timeout))?;
        let mut link = Self {
            conn,
            server: server.clone(),
            mark: String::new(),
            sha: String::new(),
        };
        link.load(script)?;
        link.conn.set_read_timeout(Some(settings.answer_timeout))?;
        Ok(link)
    }

    pub(crate) fn load(&mut self, script: &str) -> RedisResult<()> {
        self.sha = redis::from_redis_value(self.ask(cmd("SCRIPT").arg("LOAD").arg(script))?)?;
        Ok(())
    }

    pub(crate) fn send(&mut self, packed: &[u8]) -> RedisResult<()> {
        self.conn.send_packed_command(packed)
    }

    /// The next answer, or the server's error in place of it. The outer error is the connection's: nothing comes after it.
    pub(crate) fn receive(&mut self) -> RedisResult<Result<Value, ServerError>> {
        match self.conn.recv_response() {
            Ok(Value::ServerError(error)) => Ok(Err(error)),
            Ok(value) => Ok(Ok(value)),
            Err(error) if error.code().is_some() => match error.clone().into_server_errors() {
                Some(errors) if !errors.is_empty() => Ok(Err(errors[0].1.clone())),
                _ => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// Sends one command and waits for its answer.
    pub(crate) fn ask(&mut self, command: &Cmd) -> RedisResult<Value> {
        self.send(&command.get_packed_command())?;
        Ok(self.receive()??)
    }

    /// Takes the store over for this connection: see `connect.lua`. `Err` of the server is given as it is.
    pub(crate) fn make_mark(
        &mut self,
        settings: &Settings,
    ) -> RedisResult<Result<u64, ServerError>> {
        let mark = format!("{:016x}", settings.random());
        let mut eval = cmd("EVAL");
        eval.arg(CONNECT).arg(1).arg(&settings.mark_key).arg(&mark);
        eval.arg(&settings.prefix).arg(FORMAT).arg(MARK_MS);
        self.send(&eval.get_packed_command())?;
        Ok(match self.receive()? {
            Ok(format) => {
                self.mark = mark;
                Ok(redis::from_redis_value(format)?)
            }
            Err(error) => Err(error),
        })
    }
}

/// Finds the server that may be written to, and takes the store over there.
pub(crate) fn connect(target: &Target, settings: &Settings) -> Result<Link, Refusal> {
    let mut last = Refusal::from("no server is given");
    for server in &target.servers {
        let found = match &target.primary {
            Some(primary) => ask_sentinel(server, primary, settings),
            None => Ok(server.clone()),
        };
        match found.and_then(|server| connect_to(server, settings)) {
            Err(Refusal::Other(reason)) => {
                last = Refusal::Other(format!("{}: {reason}", server.addr()).into());
            }
            decided => return decided,
        }
    }
    Err(last)
}

fn ask_sentinel(
    sentinel: &ConnectionInfo,
    primary: &Primary,
    settings: &Settings,
) -> Result<ConnectionInfo, Refusal> {
    let client = Client::open(sentinel.clone())?;
    let mut conn = client.get_connection_with_timeout(settings.connect_timeout)?;
    conn.set_read_timeout(Some(settings.connect_timeout))?;
    conn.set_write_timeout(Some(settings.connect_timeout))?;
    let found: Option<(String, String)> = cmd("SENTINEL")
        .arg("get-master-addr-by-name")
        .arg(&primary.name)
        .query(&mut conn)?;
    let (host, port) = found.ok_or("the sentinel knows no primary of this name")?;
    let place = moved(sentinel, &format!("{host}:{port}"))
        .ok_or("the sentinel gave an address that is none")?;
    Ok(place.set_redis_settings(primary.settings.clone()))
}

fn connect_to(mut server: ConnectionInfo, settings: &Settings) -> Result<Link, Refusal> {
    for _ in 0..HOPS {
        let mut link = Link::open(&server, settings, &settings.write_script)?;
        match link.make_mark(settings)? {
            Ok(FORMAT) => {
                inspect(&mut link)?;
                return Ok(link);
            }
            Ok(format) => return Err(Refusal::Format(format)),
            Err(error) => {
                server = elsewhere(&server, &error).ok_or_else(|| refused(&error))?;
            }
        }
    }
    Err("the servers of the cluster send us from one to the other".into())
}

/// Where `MOVED slot host:port` points to.
fn elsewhere(server: &ConnectionInfo, error: &ServerError) -> Option<ConnectionInfo> {
    if error.code() != "MOVED" {
        return None;
    }
    moved(server, error.details()?.split(' ').nth(1)?)
}

fn refused(error: &ServerError) -> Refusal {
    match fault(error) {
        Fault::Elsewhere => "it is a replica, which can't be written to".into(),
        _ => Refusal::Other(RedisError::from(error.clone()).to_string().into()),
    }
}

/// Refuses a server that is too old, and warns of settings with which it may lose what it has acknowledged.
fn inspect(link: &mut Link) -> Result<(), Refusal> {
    // A user who may not ask for this is not told about it.
    let Ok(Value::BulkString(info)) = link.ask(&cmd("INFO")) else {
        return Ok(());
    };
    let info = String::from_utf8_lossy(&info);
    let field = |name: &str| {
        let values = info.lines().filter_map(|line| line.split_once(':'));
        values
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    };
    if let Some(version) = field("redis_version")
        && too_old(version)
    {
        return Err(Refusal::Other(
            format!("it is Redis {version}; 6.2 or newer is needed").into(),
        ));
    }
    let server = link.server.addr();
    if field("aof_enabled") == Some("0") {
        tracing::warn!(%server, "Redis keeps no append-only file: what was written since its last snapshot is lost when it stops; set `appendonly yes`");
    }
    if field("maxmemory_policy").is_some_and(|policy| policy != "noeviction") {
        tracing::warn!(%server, "Redis may throw away what is stored when its memory is full; set `maxmemory-policy noeviction`");
    }
    Ok(())
}

fn too_old(version: &str) -> bool {
    let mut numbers = version
        .split('.')
        .map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) < (Some(6), Some(2))
}

impl Settings {
    /// A number that no other connection has; a system without randomness gives 0, and a mark that is no longer unique.
    pub(crate) fn random(&self) -> u64 {
        getrandom::u64().unwrap_or_default()
    }

    /// A part of a wait that differs from node to node, so that they don't all come back at once.
    pub(crate) fn jittered(&self, wait: Duration) -> Duration {
        wait.mul_f64(0.75 + (self.random() % 1000) as f64 / 2000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        for (version, old) in [
            ("6.0.16", true),
            ("6.2.0", false),
            ("7.0.15", false),
            ("10.1", false),
            ("5.0", true),
        ] {
            assert_eq!(too_old(version), old, "{version}");
        }
    }
}
