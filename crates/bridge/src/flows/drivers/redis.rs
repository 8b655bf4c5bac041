//! Streams of Redis: read through a consumer group, written with XADD.
//!
//! What a reader that died has not acknowledged is claimed first, oldest first, and only then comes what is new: so a
//! takeover keeps the order. A writer's XADD is a script that remembers the last id of each sender in a hash beside the
//! stream: what is sent again after an answer was lost is not added again.

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, RedisError, Value, cmd};

use super::super::mapping::Entry;
use super::super::settings::{From, SourceSettings, Start, Url};
use super::super::trouble::Trouble;
use super::{ANSWER, CONNECT, LINGER, Message, Pulled, Receipt, epitaph};
use lakh_hub::Bytes;

/// KEYS: the stream, and ids of late. ARGV: the message's id, how long it is remembered (ms), length of the stream (0: any),
/// then the fields. A message whose id is known is not added again.
const ADD_ONCE: &str = "
local key = KEYS[2] .. ARGV[1]
if redis.call('EXISTS', key) == 1 then return false end
local id
if ARGV[3] == '0' then
  id = redis.call('XADD', KEYS[1], '*', unpack(ARGV, 4))
else
  id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, 4))
end
redis.call('SET', key, id, 'PX', ARGV[2])
return id";

/// How long a sent message is remembered by Redis: what is sent twice is so within one failure.
const REMEMBERED_MS: u64 = 60 * 60 * 1_000;

fn trouble(error: RedisError) -> Trouble {
    match error.is_io_error() || error.is_timeout() || error.is_connection_dropped() {
        true => Trouble::away(error),
        false => Trouble::refused(error),
    }
}

async fn connect(url: &Url) -> Result<MultiplexedConnection, Trouble> {
    if url.0.starts_with("rediss") {
        // Set already, maybe by somebody else.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let client = Client::open(url.0.as_str()).map_err(|error| {
        // Its text may hold the address.
        Trouble::Refused(format!("the URL can't be understood ({:?})", error.kind()))
    })?;
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(ANSWER));
    let connected = client.get_multiplexed_async_connection_with_config(&config);
    connected.await.map_err(trouble)
}

pub(crate) struct Reader {
    connection: MultiplexedConnection,
    stream: String,
    group: String,
    consumer: String,
    body: String,
    /// Where claiming goes on; `None` once all that a predecessor left is claimed.
    claim_from: Option<String>,
}

impl Reader {
    pub(super) async fn open(settings: &SourceSettings, node: &str) -> Result<Self, Trouble> {
        let From::Redis {
            url,
            stream,
            group,
            body,
        } = &settings.from
        else {
            return Err(Trouble::Refused("not a source of Redis".to_owned()));
        };
        let mut connection = connect(url).await?;
        let begin = match settings.start {
            Start::All => "0",
            Start::New => "$",
        };
        let mut create = cmd("XGROUP");
        create.arg("CREATE").arg(stream).arg(group).arg(begin);
        let created = create.arg("MKSTREAM").query_async::<()>(&mut connection);
        match created.await {
            Err(error) if error.code() != Some("BUSYGROUP") => return Err(trouble(error)),
            _ => {}
        }
        Ok(Self {
            connection,
            stream: stream.clone(),
            group: group.clone(),
            consumer: node.to_owned(),
            body: body.clone(),
            claim_from: Some("0-0".to_owned()),
        })
    }

    pub(super) async fn pull(&mut self, count: usize) -> Result<Vec<Pulled>, Trouble> {
        while let Some(from) = self.claim_from.take() {
            let mut claim = cmd("XAUTOCLAIM");
            claim.arg(&self.stream).arg(&self.group).arg(&self.consumer);
            claim.arg(0).arg(&from).arg("COUNT").arg(count);
            let found: Result<Value, _> = claim.query_async(&mut self.connection).await;
            let found = found
                .inspect_err(|_| self.claim_from = Some(from))
                .map_err(trouble)?;
            let Value::Array(reply) = found else { break };
            // Where to go on, the entries, and from Redis 7 on which of them are gone.
            let mut reply = reply.into_iter();
            if let Some(Value::BulkString(next)) = reply.next()
                && next != b"0-0"
            {
                self.claim_from = Some(String::from_utf8_lossy(&next).into_owned());
            }
            let claimed = self.entries(reply.next());
            if !claimed.is_empty() {
                return Ok(claimed);
            }
        }
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(&self.group).arg(&self.consumer);
        read.arg("COUNT")
            .arg(count)
            .arg("BLOCK")
            .arg(LINGER.as_millis() as u64);
        read.arg("STREAMS").arg(&self.stream).arg(">");
        let found: Value = read
            .query_async(&mut self.connection)
            .await
            .map_err(trouble)?;
        // One stream was asked for: its name, and the entries.
        let streams = match found {
            Value::Array(streams) => streams,
            _ => Vec::new(),
        };
        Ok(match streams.into_iter().next() {
            Some(Value::Array(stream)) => self.entries(stream.into_iter().nth(1)),
            _ => Vec::new(),
        })
    }

    /// Those of a list that are still there: of deleted ones Redis 6 gives nothing.
    fn entries(&self, list: Option<Value>) -> Vec<Pulled> {
        match list {
            Some(Value::Array(list)) => {
                let entries = list.into_iter();
                entries.filter_map(|entry| self.entry(entry)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn entry(&self, found: Value) -> Option<Pulled> {
        let Value::Array(pair) = found else {
            return None;
        };
        let [Value::BulkString(id), Value::Array(flat)] = <[Value; 2]>::try_from(pair).ok()? else {
            return None;
        };
        let id = String::from_utf8_lossy(&id).into_owned();
        let mut fields = Vec::with_capacity(flat.len() / 2);
        let mut body = Bytes::new();
        let mut flat = flat.into_iter();
        while let (Some(Value::BulkString(name)), Some(Value::BulkString(value))) =
            (flat.next(), flat.next())
        {
            let (name, value) = (
                String::from_utf8_lossy(&name).into_owned(),
                Bytes::from(value),
            );
            if name == self.body {
                body = value.clone();
            }
            fields.push((name, value));
        }
        Some(Pulled {
            entry: Entry {
                id: id.clone(),
                fields,
                key: self.stream.clone(),
                body,
            },
            place: None,
            receipt: Receipt::Id(id),
        })
    }

    pub(super) async fn acknowledge(&mut self, pulled: &[Pulled]) -> Result<(), Trouble> {
        let mut ack = cmd("XACK");
        ack.arg(&self.stream).arg(&self.group);
        for one in pulled {
            if let Receipt::Id(id) = &one.receipt {
                ack.arg(id);
            }
        }
        ack.query_async(&mut self.connection).await.map_err(trouble)
    }

    pub(super) async fn bury(&mut self, to: &str, entry: &Entry, why: &str) -> Result<(), Trouble> {
        let mut add = cmd("XADD");
        add.arg(to).arg("*");
        for (name, value) in epitaph(entry, why) {
            add.arg(name).arg(value);
        }
        for (name, value) in &entry.fields {
            add.arg(name).arg(value.as_ref());
        }
        add.query_async(&mut self.connection).await.map_err(trouble)
    }

    /// Redis 7 tells how many the group has not read; older ones tell only what is unacknowledged.
    pub(super) async fn lag(&mut self) -> Result<Option<u64>, Trouble> {
        let mut info = Cmd::new();
        info.arg("XINFO").arg("GROUPS").arg(&self.stream);
        let groups: Vec<std::collections::HashMap<String, Value>> = info
            .query_async(&mut self.connection)
            .await
            .map_err(trouble)?;
        let ours = |group: &&std::collections::HashMap<String, Value>| matches!(group.get("name"), Some(Value::BulkString(name)) if *name == self.group.as_bytes());
        let group = groups.iter().find(ours);
        let number = |key| match group.and_then(|group| group.get(key)) {
            Some(Value::Int(number)) => u64::try_from(*number).ok(),
            _ => None,
        };
        Ok(number("lag").map(|lag| lag + number("pending").unwrap_or(0)))
    }
}

pub(crate) struct Writer {
    connection: MultiplexedConnection,
    max_len: u64,
}

impl Writer {
    pub(super) async fn open(url: &Url, max_len: u64) -> Result<Self, Trouble> {
        Ok(Self {
            connection: connect(url).await?,
            max_len,
        })
    }

    /// One pipeline: Redis takes the commands of a connection in their order.
    pub(super) async fn send(&mut self, messages: &[Message]) -> Result<(), Trouble> {
        let mut pipe = redis::pipe();
        for message in messages {
            pipe.cmd("EVAL").arg(ADD_ONCE).arg(2);
            // In a cluster both keys lie together.
            pipe.arg(&message.target)
                .arg(format!("{{{}}}:lakh-sent:", message.target));
            pipe.arg(&message.id).arg(REMEMBERED_MS).arg(self.max_len);
            for (name, value) in [("id", &message.id), ("room", &message.room)] {
                pipe.arg(name).arg(value);
            }
            pipe.arg("kind")
                .arg(message.kind)
                .arg("data")
                .arg(message.body.as_ref());
        }
        pipe.query_async::<()>(&mut self.connection)
            .await
            .map_err(trouble)
    }

    pub(super) async fn check(&mut self) -> Result<(), Trouble> {
        cmd("PING")
            .query_async(&mut self.connection)
            .await
            .map_err(trouble)
    }
}
