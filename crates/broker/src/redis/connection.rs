//! A connection to Redis, to one server or to a cluster, with all that is asked of it in a batch.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, ProtocolVersion, PushInfo, RedisError,
    RedisResult, TlsMode, Value,
};

use super::address::Address;

/// What takes messages and the news that a connection is gone.
pub(crate) type OnPush = Arc<dyn Fn(PushInfo) + Send + Sync>;

/// Waits that a connection bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    pub(crate) connect: Duration,
    pub(crate) response: Duration,
}

#[derive(Clone)]
pub(crate) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Connects once. With `on_push` the connection may subscribe.
pub(crate) async fn connect(
    address: &Address,
    waits: Waits,
    on_push: Option<OnPush>,
) -> RedisResult<Connection> {
    if let Address::Cluster(nodes) = address {
        let mut builder = ClusterClientBuilder::new(nodes.iter().cloned())
            .use_protocol(ProtocolVersion::RESP3)
            .connection_timeout(waits.connect)
            .response_timeout(waits.response)
            // A command that fails is repeated by whoever knows whether that does harm.
            .retries(1);
        if let Some(on_push) = on_push {
            builder = builder.push_sender(move |push| {
                on_push(push);
                Ok::<(), ()>(())
            });
        }
        let client = builder.build()?;
        return Ok(Connection::Cluster(client.get_async_connection().await?));
    }
    let mut config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(waits.connect))
        .set_response_timeout(Some(waits.response));
    if let Some(on_push) = on_push {
        config = config.set_push_sender(move |push| {
            on_push(push);
            Ok::<(), ()>(())
        });
    }
    let client = client(address, waits).await?;
    let single = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    Ok(Connection::Single(single))
}

async fn client(address: &Address, waits: Waits) -> RedisResult<Client> {
    match address {
        Address::Single(info) => Client::open(info.clone()),
        Address::Sentinel {
            sentinels,
            service,
            tls,
            redis,
        } => {
            let mut node =
                SentinelNodeConnectionInfo::default().set_redis_connection_info(redis.clone());
            if *tls {
                node = node.set_tls_mode(TlsMode::Secure);
            }
            let mut client = SentinelClient::build(
                sentinels.clone(),
                service,
                Some(node),
                SentinelServerType::Master,
            )?;
            // The library asks one sentinel after the other, and has no bound of its own for all of them.
            let all = waits.connect.saturating_mul(4);
            tokio::time::timeout(all, client.async_get_client())
                .await
                .map_err(|_| RedisError::from((ErrorKind::Io, "no sentinel answered in time")))?
        }
        Address::Cluster(_) => Err(RedisError::from((
            ErrorKind::InvalidClientConfig,
            "a cluster is connected to otherwise",
        ))),
    }
}

impl Connection {
    /// Sends one command.
    pub(crate) async fn ask(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Single(single) => single.req_packed_command(cmd).await,
            Self::Cluster(cluster) => cluster.req_packed_command(cmd).await,
        }?
        .extract_error()
    }

    /// Sends commands, in order as far as they go to the same place. The outer error is that of the connection.
    pub(crate) async fn ask_all(&mut self, cmds: Vec<Cmd>) -> RedisResult<Vec<RedisResult<Value>>> {
        if cmds.is_empty() {
            return Ok(Vec::new());
        }
        match self {
            Self::Single(single) => {
                let mut pipeline = Pipeline::with_capacity(cmds.len());
                let count = cmds.len();
                for cmd in cmds {
                    pipeline.add_command(cmd);
                }
                pipeline.ignore_errors();
                let replies = single.req_packed_commands(&pipeline, 0, count).await?;
                Ok(replies.into_iter().map(Value::extract_error).collect())
            }
            Self::Cluster(cluster) => {
                let send = |cmd: Cmd| {
                    let mut cluster = cluster.clone();
                    async move { cluster.req_packed_command(&cmd).await?.extract_error() }
                };
                let replies = join_all(cmds.into_iter().map(send)).await;
                for reply in &replies {
                    if let Err(error) = reply
                        && is_about_the_connection(error)
                    {
                        return Err(error.clone());
                    }
                }
                Ok(replies)
            }
        }
    }

    /// Asks each master, where there are several. The reply then holds one for each.
    pub(crate) async fn ask_everywhere(&mut self, cmd: Cmd) -> RedisResult<Value> {
        match self {
            Self::Single(_) => self.ask(&cmd).await,
            Self::Cluster(cluster) => {
                let masters = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                cluster.route_command(cmd, masters).await?.extract_error()
            }
        }
    }

    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }
}

/// Whether an error says that the connection is of no use, or that the server takes no writes (any more).
pub(crate) fn is_about_the_connection(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_connection_refusal()
        || error.is_unrecoverable_error()
        || error.is_cluster_error()
        || matches!(
            error.code(),
            Some("READONLY" | "MASTERDOWN" | "LOADING" | "CLUSTERDOWN" | "NOAUTH")
        )
}

/// The sum of all numbers in a reply: of `NUMSUB`, from one server or from several.
pub(crate) fn sum(value: &Value) -> u64 {
    match value {
        Value::Int(count) => u64::try_from(*count).unwrap_or_default(),
        Value::Array(items) | Value::Set(items) => items.iter().map(sum).sum(),
        Value::Map(pairs) => pairs.iter().map(|(key, value)| sum(key) + sum(value)).sum(),
        _ => 0,
    }
}

/// All texts in a reply: of `CHANNELS`, from one server or from several.
pub(crate) fn texts(value: Value, into: &mut Vec<String>) {
    match value {
        Value::BulkString(bytes) => into.extend(String::from_utf8(bytes)),
        Value::SimpleString(text) => into.push(text),
        Value::Array(items) | Value::Set(items) => {
            for item in items {
                texts(item, into);
            }
        }
        Value::Map(pairs) => {
            for (_, value) in pairs {
                texts(value, into);
            }
        }
        _ => {}
    }
}
