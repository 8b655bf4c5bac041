//! NATS JetStream: read through a durable pull consumer, written with `Nats-Msg-Id`.
//!
//! What a consumer has handed out and nobody acknowledged comes again only after its time, and behind what is new: that
//! would turn the order around. So a reader that finds such entries makes the consumer anew, behind the last one that is
//! done with; and where that is stands in our own store, so that nothing is lost if it dies between the two.

use std::time::Duration;

use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy};
use async_nats::jetstream::{self, Context, stream};
use async_nats::{Client, ConnectOptions, HeaderMap};
use futures_util::StreamExt as _;
use lakh_hub::Bytes;

use super::super::mapping::Entry;
use super::super::settings::{From, SourceSettings, Url};
use super::super::trouble::Trouble;
use super::{ANSWER, CONNECT, LINGER, Message, Positions, Pulled, Receipt, begins_at_end, epitaph};

/// After this time the server hands out again what was not acknowledged. Longer than anything takes that goes well.
const ACK_WAIT: Duration = Duration::from_secs(120);
/// What our headers take at most: rooms have names of at most 512 bytes.
const HEADERS_BYTES: usize = 1_024;
/// Tells a message from others; the server drops a second one for as long as the stream says.
const MESSAGE_ID: &str = "Nats-Msg-Id";

async fn connect(url: &Url) -> Result<Client, Trouble> {
    let options = ConnectOptions::new()
        .name("lakh")
        .connection_timeout(CONNECT)
        .request_timeout(Some(ANSWER))
        // Who uses it makes a new one, and begins where it must.
        .max_reconnects(1);
    let connected = options.connect(url.0.as_str()).await;
    // The kind alone: its text may hold the address.
    connected.map_err(|error| Trouble::away(error.kind()))
}

pub(crate) struct Reader {
    context: Context,
    consumer: Consumer<Config>,
}

impl Reader {
    pub(super) async fn open(
        settings: &SourceSettings,
        positions: &Positions,
    ) -> Result<Self, Trouble> {
        let From::Nats {
            url,
            stream,
            subject,
            durable,
        } = &settings.from
        else {
            return Err(Trouble::Refused("not a source of NATS".to_owned()));
        };
        let context = jetstream::new(connect(url).await?);
        let stream = context.get_stream(stream).await.map_err(Trouble::refused)?;
        let done = positions.get(&0).copied();
        let config = Config {
            durable_name: Some(durable.clone()),
            deliver_policy: match done {
                Some(done) => DeliverPolicy::ByStartSequence {
                    start_sequence: done + 1,
                },
                None if begins_at_end(settings.start, positions) => DeliverPolicy::New,
                None => DeliverPolicy::All,
            },
            ack_policy: AckPolicy::All,
            ack_wait: ACK_WAIT,
            filter_subject: subject.clone(),
            max_ack_pending: i64::try_from(settings.window_entries).unwrap_or(i64::MAX),
            ..Config::default()
        };
        let consumer = consumer(&stream, durable, config, done).await?;
        Ok(Self { context, consumer })
    }

    /// Waits for one, and takes what is there besides. A request that is given up while it's open would be answered into
    /// the void: so the one that waits is for one message, and the one for many doesn't wait.
    pub(super) async fn pull(&mut self, count: usize) -> Result<Vec<Pulled>, Trouble> {
        let first = self.consumer.batch().max_messages(1).expires(LINGER);
        let mut first = first.messages().await.map_err(Trouble::away)?;
        let mut pulled = Vec::new();
        let mut waiting = 0;
        while let Some(message) = first.next().await {
            let (one, behind) = entry(message.map_err(Trouble::away)?)?;
            pulled.push(one);
            waiting = behind;
        }
        let more = count
            .saturating_sub(1)
            .min(usize::try_from(waiting).unwrap_or(count));
        if more > 0 {
            let rest = self.consumer.fetch().max_messages(more);
            let mut rest = rest.messages().await.map_err(Trouble::away)?;
            while let Some(message) = rest.next().await {
                pulled.push(entry(message.map_err(Trouble::away)?)?.0);
            }
        }
        Ok(pulled)
    }

    /// The last one stands for all.
    pub(super) async fn acknowledge(&mut self, pulled: &[Pulled]) -> Result<(), Trouble> {
        match pulled.last().map(|last| &last.receipt) {
            Some(Receipt::Nats(message)) => message.double_ack().await.map_err(Trouble::away),
            _ => Ok(()),
        }
    }

    pub(super) async fn bury(&mut self, to: &str, entry: &Entry, why: &str) -> Result<(), Trouble> {
        let mut headers = HeaderMap::new();
        for (name, value) in epitaph(entry, why) {
            headers.insert(name, line(value).as_str());
        }
        headers.insert("lakh-subject", line(&entry.key).as_str());
        let sent = self
            .context
            .publish_with_headers(to.to_owned(), headers, entry.body.clone());
        sent.await.map_err(unsent)?.await.map_err(unsent)?;
        Ok(())
    }

    pub(super) async fn lag(&mut self) -> Result<Option<u64>, Trouble> {
        let info = self.consumer.info().await.map_err(Trouble::away)?;
        Ok(Some(info.num_pending + info.num_ack_pending as u64))
    }
}

/// The durable consumer as it is, unless it has handed out what nobody acknowledged, or is ahead of `done`.
async fn consumer(
    stream: &stream::Stream,
    durable: &str,
    mut config: Config,
    done: Option<u64>,
) -> Result<Consumer<Config>, Trouble> {
    let found = stream.get_or_create_consumer(durable, config.clone());
    let found = found.await.map_err(Trouble::refused)?;
    let info = found.cached_info();
    let as_wanted = info.config.filter_subject == config.filter_subject
        && info.config.ack_policy == AckPolicy::All;
    if info.num_ack_pending == 0 && as_wanted {
        return Ok(found);
    }
    let done = done.unwrap_or(0).max(info.ack_floor.stream_sequence);
    if done > 0 {
        config.deliver_policy = DeliverPolicy::ByStartSequence {
            start_sequence: done + 1,
        };
    } else if let DeliverPolicy::ByStartSequence { .. } | DeliverPolicy::New =
        info.config.deliver_policy
    {
        config.deliver_policy = info.config.deliver_policy;
        if config.deliver_policy == DeliverPolicy::New {
            // What it has handed out came after its making: from its first on.
            let handed_out = u64::try_from(info.num_ack_pending).unwrap_or(0);
            let first = (info.delivered.stream_sequence + 1).saturating_sub(handed_out);
            config.deliver_policy = DeliverPolicy::ByStartSequence {
                start_sequence: first.max(1),
            };
        }
    }
    let deleted = stream.delete_consumer(durable);
    deleted.await.map_err(Trouble::refused)?;
    let made = stream.create_consumer(config);
    made.await.map_err(Trouble::refused)
}

/// An entry, and how many wait behind it.
fn entry(message: jetstream::Message) -> Result<(Pulled, u64), Trouble> {
    let info = message.info().map_err(Trouble::refused)?;
    let (number, pending) = (info.stream_sequence, info.pending);
    let mut fields = Vec::new();
    for (name, values) in message.headers.iter().flat_map(HeaderMap::iter) {
        let value = values.first().map_or("", |value| value.as_str());
        fields.push((name.to_string(), Bytes::copy_from_slice(value.as_bytes())));
    }
    let mut fields_of = fields.iter();
    let id = fields_of.find(|(name, _)| name == MESSAGE_ID);
    let id = match id {
        Some((_, id)) => String::from_utf8_lossy(id).into_owned(),
        None => number.to_string(),
    };
    let pulled = Pulled {
        entry: Entry {
            id,
            fields,
            key: message.subject.to_string(),
            body: message.payload.clone(),
        },
        place: Some((0, number)),
        receipt: Receipt::Nats(Box::new(message)),
    };
    Ok((pulled, pending))
}

/// Headers are lines.
fn line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

fn unsent(error: jetstream::context::PublishError) -> Trouble {
    use jetstream::context::PublishErrorKind as Kind;
    match error.kind() {
        Kind::StreamNotFound => {
            Trouble::Refused("no stream of JetStream takes this subject: make one".to_owned())
        }
        Kind::TimedOut | Kind::BrokenPipe => Trouble::away(error),
        _ => Trouble::refused(error),
    }
}

pub(crate) struct Writer {
    context: Context,
}

impl Writer {
    pub(super) async fn open(url: &Url) -> Result<Self, Trouble> {
        let context = jetstream::new(connect(url).await?);
        Ok(Self { context })
    }

    /// All are sent before the first confirmation is awaited: the server takes those of a connection in their order.
    pub(super) async fn send(&mut self, messages: &[Message]) -> Result<usize, Trouble> {
        let most = self.context.client().server_info().max_payload;
        let mut confirmations = Vec::with_capacity(messages.len());
        for message in messages {
            if message.body.len() + HEADERS_BYTES > most {
                let (id, bytes) = (&message.id, message.body.len());
                tracing::warn!(id, bytes, most, "a message is larger than the server takes");
                continue;
            }
            let mut headers = HeaderMap::new();
            headers.insert(MESSAGE_ID, message.id.as_str());
            headers.insert("lakh-room", line(&message.room).as_str());
            headers.insert("lakh-kind", message.kind);
            let sent = self.context.publish_with_headers(
                message.target.clone(),
                headers,
                message.body.clone(),
            );
            confirmations.push(sent.await.map_err(unsent)?);
        }
        let sent = confirmations.len();
        for confirmation in confirmations {
            confirmation.await.map_err(unsent)?;
        }
        Ok(messages.len() - sent)
    }

    pub(super) async fn check(&mut self) -> Result<(), Trouble> {
        self.context.client().flush().await.map_err(Trouble::away)
    }
}
