//! Queues of RabbitMQ: read with manual acknowledgements, written with publisher confirms.
//!
//! A queue that isn't there is declared as quorum queue, durable, with a single active consumer. What a reader that died
//! has not acknowledged goes back to where it was in the queue when its connection ends, so a takeover keeps the order.
//! That holds for a connection or channel that ends, and not for a consumer that is cancelled: then the next one becomes
//! active at once, and gets what comes behind while the first one's channel still holds what it has not acknowledged. The
//! client cancels a consumer that is dropped, so a reader closes its connection before.

use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use lakh_hub::Bytes;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer};
use tokio::time::timeout;

use super::super::mapping::Entry;
use super::super::settings::{From, SourceSettings, Url};
use super::super::trouble::Trouble;
use super::{LINGER, Message, Pulled, Receipt, epitaph};

/// What AMQP calls a message that is written to disk.
const PERSISTENT: u8 = 2;
/// What it calls an end without an error.
const OK: u16 = 200;
/// Entries that the broker sends ahead at most.
const MAX_PREFETCH: usize = 1_000;
/// How long the end of a connection is waited for.
const CLOSING: Duration = Duration::from_secs(1);

async fn connect(url: &Url) -> Result<Connection, Trouble> {
    let properties = ConnectionProperties::default().with_connection_name("lakh".into());
    Connection::connect(&url.0, properties)
        .await
        .map_err(trouble)
}

/// Its text has no address in it: that is parsed away before anything is tried.
fn trouble(error: lapin::Error) -> Trouble {
    match error.kind() {
        lapin::ErrorKind::ProtocolError(_) => Trouble::refused(error),
        _ => Trouble::away(error),
    }
}

pub(crate) struct Reader {
    connection: Connection,
    channel: Channel,
    consumer: Consumer,
    queue: String,
}

impl Reader {
    pub(super) async fn open(settings: &SourceSettings) -> Result<Self, Trouble> {
        let From::Rabbit {
            url,
            queue,
            exchange,
            routing_key,
        } = &settings.from
        else {
            return Err(Trouble::Refused("not a source of RabbitMQ".to_owned()));
        };
        let connection = connect(url).await?;
        let channel = declare(&connection, queue).await?;
        if let Some(exchange) = exchange {
            let bound = channel.queue_bind(
                queue.as_str().into(),
                exchange.as_str().into(),
                routing_key.as_str().into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            );
            bound.await.map_err(trouble)?;
        }
        let confirms = channel.confirm_select(ConfirmSelectOptions::default());
        confirms.await.map_err(trouble)?;
        let window = settings.window_entries.min(MAX_PREFETCH);
        let prefetch = u16::try_from(window).unwrap_or(u16::MAX);
        let limited = channel.basic_qos(prefetch, BasicQosOptions::default());
        limited.await.map_err(trouble)?;
        let consumer = channel.basic_consume(
            queue.as_str().into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        Ok(Self {
            consumer: consumer.await.map_err(trouble)?,
            channel,
            connection,
            queue: queue.clone(),
        })
    }

    /// Ends the connection, and waits until the queue has back what is not acknowledged.
    pub(super) async fn close(self) {
        let closing = self.connection.close(OK, "".into());
        // Cut off or late: then the broker finds out by itself, and gives nothing to the next reader before.
        let _ = timeout(CLOSING, closing).await;
    }

    /// Waits for one, and takes what has come besides.
    pub(super) async fn pull(&mut self, count: usize) -> Result<Vec<Pulled>, Trouble> {
        let ended = || Trouble::Away("the queue gives no more to this consumer".to_owned());
        let Ok(first) = timeout(LINGER, self.consumer.next()).await else {
            return Ok(Vec::new());
        };
        let first = first.ok_or_else(ended)?.map_err(trouble)?;
        let mut pulled = vec![entry(first)];
        while pulled.len() < count {
            match self.consumer.next().now_or_never() {
                None => break,
                Some(None) => return Err(ended()),
                Some(Some(next)) => pulled.push(entry(next.map_err(trouble)?)),
            }
        }
        Ok(pulled)
    }

    /// The last tag stands for all before it.
    pub(super) async fn acknowledge(&mut self, pulled: &[Pulled]) -> Result<(), Trouble> {
        let Some(Receipt::Tag(tag)) = pulled.last().map(|last| &last.receipt) else {
            return Ok(());
        };
        let acknowledged = self
            .channel
            .basic_ack(*tag, BasicAckOptions { multiple: true });
        acknowledged.await.map_err(trouble)
    }

    pub(super) async fn bury(&mut self, to: &str, entry: &Entry, why: &str) -> Result<(), Trouble> {
        let mut headers = FieldTable::default();
        for (name, value) in &entry.fields {
            let value = String::from_utf8_lossy(value).into_owned();
            headers.insert(name.as_str().into(), AMQPValue::LongString(value.into()));
        }
        for (name, value) in epitaph(entry, why) {
            headers.insert(name.into(), AMQPValue::LongString(value.to_owned().into()));
        }
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_headers(headers);
        let sent = publish(&self.channel, "", to, &entry.body, properties).await?;
        confirmed(&sent.await.map_err(trouble)?)
    }

    pub(super) async fn lag(&mut self) -> Result<Option<u64>, Trouble> {
        if !self.connection.status().connected() {
            return Err(Trouble::Away("the connection is closed".to_owned()));
        }
        let asked = self.channel.queue_declare(
            self.queue.as_str().into(),
            QueueDeclareOptions::durable().passive(),
            FieldTable::default(),
        );
        let queue = asked.await.map_err(trouble)?;
        Ok(Some(u64::from(queue.message_count())))
    }
}

impl Drop for Reader {
    /// The connection's end is under way before the consumer is dropped; else that would be cancelled first.
    fn drop(&mut self) {
        // Polled once, it is sent.
        let _ = self.connection.close(OK, "".into()).now_or_never();
    }
}

/// A channel, with the queue there. Asking for a queue that isn't there closes the channel that asked.
async fn declare(connection: &Connection, queue: &str) -> Result<Channel, Trouble> {
    let channel = connection.create_channel().await.map_err(trouble)?;
    let asked = channel.queue_declare(
        queue.into(),
        QueueDeclareOptions::durable().passive(),
        FieldTable::default(),
    );
    if asked.await.is_ok() {
        return Ok(channel);
    }
    let channel = connection.create_channel().await.map_err(trouble)?;
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    let made = channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments);
    made.await.map_err(trouble)?;
    Ok(channel)
}

fn entry(delivery: Delivery) -> Pulled {
    let properties = &delivery.properties;
    let id = properties.message_id().as_ref();
    let id = id.map(|id| id.as_str().to_owned()).unwrap_or_default();
    let headers = properties.headers().iter();
    let headers = headers.flat_map(|headers| headers.inner().iter());
    let fields = headers.filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?)));
    Pulled {
        entry: Entry {
            id,
            fields: fields.collect(),
            key: delivery.routing_key.as_str().to_owned(),
            body: Bytes::from(delivery.data),
        },
        place: None,
        receipt: Receipt::Tag(delivery.delivery_tag),
    }
}

fn text(value: &AMQPValue) -> Option<Bytes> {
    Some(match value {
        AMQPValue::LongString(text) => Bytes::copy_from_slice(text.as_bytes()),
        AMQPValue::ShortString(text) => Bytes::copy_from_slice(text.as_str().as_bytes()),
        AMQPValue::Boolean(yes) => Bytes::from(yes.to_string()),
        AMQPValue::ShortShortInt(number) => Bytes::from(number.to_string()),
        AMQPValue::ShortInt(number) => Bytes::from(number.to_string()),
        AMQPValue::LongInt(number) => Bytes::from(number.to_string()),
        AMQPValue::LongLongInt(number) => Bytes::from(number.to_string()),
        _ => return None,
    })
}

async fn publish(
    channel: &Channel,
    exchange: &str,
    routing_key: &str,
    body: &[u8],
    properties: BasicProperties,
) -> Result<lapin::PublisherConfirm, Trouble> {
    // What no queue takes comes back, instead of being dropped in silence.
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let sent = channel.basic_publish(
        exchange.into(),
        routing_key.into(),
        options,
        body,
        properties,
    );
    sent.await.map_err(trouble)
}

fn confirmed(confirmation: &Confirmation) -> Result<(), Trouble> {
    match confirmation {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(_)) => Err(Trouble::Refused(
            "no queue is bound to the exchange for this routing key: declare and bind one"
                .to_owned(),
        )),
        Confirmation::Nack(_) => Err(Trouble::Refused("it did not take a message".to_owned())),
        Confirmation::NotRequested => Err(Trouble::Refused("it confirms nothing".to_owned())),
    }
}

pub(crate) struct Writer {
    connection: Connection,
    channel: Channel,
    exchange: String,
}

impl Writer {
    pub(super) async fn open(url: &Url, exchange: &str) -> Result<Self, Trouble> {
        let connection = connect(url).await?;
        let channel = connection.create_channel().await.map_err(trouble)?;
        let confirms = channel.confirm_select(ConfirmSelectOptions::default());
        confirms.await.map_err(trouble)?;
        Ok(Self {
            connection,
            channel,
            exchange: exchange.to_owned(),
        })
    }

    /// All are sent before the first confirmation is awaited: a channel keeps their order.
    pub(super) async fn send(&mut self, messages: &[Message]) -> Result<(), Trouble> {
        let mut confirmations = Vec::with_capacity(messages.len());
        for message in messages {
            let mut headers = FieldTable::default();
            headers.insert(
                "lakh-room".into(),
                AMQPValue::LongString(message.room.clone().into()),
            );
            let properties = BasicProperties::default()
                .with_delivery_mode(PERSISTENT)
                .with_content_type("application/json".into())
                .with_message_id(message.id.as_str().into())
                .with_type(message.kind.into())
                .with_headers(headers);
            let (exchange, key) = (&self.exchange, &message.target);
            let sent = publish(&self.channel, exchange, key, &message.body, properties);
            confirmations.push(sent.await?);
        }
        for confirmation in confirmations {
            confirmed(&confirmation.await.map_err(trouble)?)?;
        }
        Ok(())
    }

    pub(super) fn check(&self) -> Result<(), Trouble> {
        match self.connection.status().connected() && self.channel.status().connected() {
            true => Ok(()),
            false => Err(Trouble::Away("the connection is closed".to_owned())),
        }
    }
}
