//! The three brokers, as a test sees them: fill, empty, kill, restart.

use std::time::Duration;

use async_nats::jetstream::{self, consumer, stream};
use futures_util::StreamExt as _;
use lakh_bridge::flows::{
    Filter, From, Mapping, Overflow, Pick, SinkSettings, SourceSettings, Start, To, Url,
};
use lakh_testkit::nats::Nats;
use lakh_testkit::rabbit::Rabbit;
use lakh_testkit::redis::Redis;
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use serde_json::Value;
use tokio::runtime::Runtime;

#[cfg(feature = "kafka")]
use crate::mock::Mock;

/// A broker.
pub(crate) enum Kind {
    Redis(Redis),
    Nats(Nats),
    Rabbit(Rabbit),
    /// What makes topics, and the address.
    #[cfg(feature = "kafka")]
    Kafka(std::sync::Mutex<Mock>, String),
}

/// A broker, and a runtime for those who fill and empty it.
pub(crate) struct Broker {
    kind: Kind,
    runtime: Runtime,
}

/// What is put in.
pub(crate) struct Put<'a> {
    pub(crate) room: &'a str,
    pub(crate) body: String,
    pub(crate) id: String,
}

/// A message as a receiver sees it: its id, and its JSON.
pub(crate) type Seen = (String, Value);

impl Broker {
    fn new(kind: Kind) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self { kind, runtime }
    }

    pub(crate) fn redis() -> Self {
        // What was acknowledged survives a kill.
        let args = ["--appendonly", "yes", "--appendfsync", "always"];
        Self::new(Kind::Redis(Redis::start(&args).unwrap()))
    }

    pub(crate) fn nats() -> Self {
        Self::new(Kind::Nats(Nats::start().unwrap()))
    }

    pub(crate) fn rabbit() -> Self {
        Self::new(Kind::Rabbit(Rabbit::start().unwrap()))
    }

    #[cfg(feature = "kafka")]
    pub(crate) fn kafka() -> Self {
        let mock = Mock::start();
        let url = mock.url.clone();
        Self::new(Kind::Kafka(mock.into(), url))
    }

    pub(crate) fn url(&self) -> Url {
        Url(match &self.kind {
            Kind::Redis(redis) => redis.url(),
            Kind::Nats(nats) => nats.url(),
            Kind::Rabbit(rabbit) => rabbit.url(),
            #[cfg(feature = "kafka")]
            Kind::Kafka(_, url) => url.clone(),
        })
    }

    pub(crate) fn kill(&mut self) {
        match &mut self.kind {
            Kind::Redis(redis) => redis.kill(),
            Kind::Nats(nats) => nats.kill(),
            Kind::Rabbit(rabbit) => rabbit.kill(),
            #[cfg(feature = "kafka")]
            Kind::Kafka(..) => panic!("it keeps nothing over its end"),
        }
        .unwrap();
    }

    pub(crate) fn restart(&mut self) {
        match &mut self.kind {
            Kind::Redis(redis) => redis.restart(),
            Kind::Nats(nats) => nats.restart(),
            Kind::Rabbit(rabbit) => rabbit.restart(),
            #[cfg(feature = "kafka")]
            Kind::Kafka(..) => panic!("it keeps nothing over its end"),
        }
        .unwrap();
    }

    /// Makes what a source reads, and where its dead go.
    pub(crate) fn prepare_source(&self, name: &str) {
        let url = self.url().0;
        self.runtime.block_on(async {
            match &self.kind {
                Kind::Redis(_) => {}
                Kind::Nats(_) => {
                    make_stream(&url, name, &format!("{name}.>")).await;
                    make_stream(&url, &format!("{name}-dead"), &format!("dead.{name}")).await;
                }
                Kind::Rabbit(_) => {
                    let (_connection, channel) = channel(&url).await;
                    declare(&channel, &format!("dead.{name}")).await;
                    // As a source would: then there is something to fill before it comes.
                    let mut arguments = FieldTable::default();
                    arguments.insert(
                        "x-queue-type".into(),
                        AMQPValue::LongString("quorum".into()),
                    );
                    arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
                    let durable = QueueDeclareOptions::durable();
                    channel
                        .queue_declare(name.into(), durable, arguments)
                        .await
                        .unwrap();
                }
                #[cfg(feature = "kafka")]
                Kind::Kafka(mock, _) => {
                    let mut mock = mock.lock().unwrap();
                    mock.make(name);
                    mock.make(&format!("dead.{name}"));
                }
            }
        });
    }

    pub(crate) fn source(&self, name: &str) -> SourceSettings {
        let url = self.url();
        let from = match &self.kind {
            Kind::Redis(_) => From::Redis {
                url,
                stream: name.to_owned(),
                group: "lakh".to_owned(),
                body: "data".to_owned(),
            },
            Kind::Nats(_) => From::Nats {
                url,
                stream: name.to_owned(),
                subject: String::new(),
                durable: "lakh".to_owned(),
            },
            Kind::Rabbit(_) => From::Rabbit {
                url,
                queue: name.to_owned(),
                exchange: None,
                routing_key: String::new(),
            },
            #[cfg(feature = "kafka")]
            Kind::Kafka(..) => From::Kafka {
                url,
                topic: name.to_owned(),
            },
        };
        SourceSettings {
            name: name.to_owned(),
            from,
            start: Start::All,
            mapping: Mapping {
                event: Pick::Fixed("said".to_owned()),
                ..Mapping::default()
            },
            dead_letter: Some(format!("dead.{name}")),
            window_entries: 16,
            window_bytes: 1 << 20,
            dedupe: Duration::from_secs(600),
        }
    }

    /// Puts entries in, one after the other, each confirmed.
    pub(crate) fn put(&self, name: &str, entries: &[Put<'_>]) {
        let url = self.url().0;
        self.runtime.block_on(async {
            match &self.kind {
                Kind::Redis(_) => put_redis(&url, name, entries).await,
                Kind::Nats(_) => put_nats(&url, name, entries).await,
                Kind::Rabbit(_) => put_rabbit(&url, name, entries).await,
                #[cfg(feature = "kafka")]
                Kind::Kafka(..) => crate::kafka::put(&url, name, entries).await,
            }
        });
    }

    /// Makes what a sink sends to.
    pub(crate) fn prepare_sink(&self, name: &str) {
        let url = self.url().0;
        self.runtime.block_on(async {
            match &self.kind {
                Kind::Redis(_) => {}
                Kind::Nats(_) => make_stream(&url, name, &format!("{name}.>")).await,
                Kind::Rabbit(_) => declare(&channel(&url).await.1, name).await,
                #[cfg(feature = "kafka")]
                Kind::Kafka(mock, _) => mock.lock().unwrap().make(name),
            }
        });
    }

    pub(crate) fn sink(&self, name: &str) -> SinkSettings {
        let url = self.url();
        let to = match &self.kind {
            Kind::Redis(_) => To::Redis {
                url,
                stream: name.to_owned(),
                max_len: 0,
            },
            Kind::Nats(_) => To::Nats {
                url,
                subject: format!("{name}.{{room}}"),
            },
            Kind::Rabbit(_) => To::Rabbit {
                url,
                exchange: String::new(),
                routing_key: name.to_owned(),
            },
            #[cfg(feature = "kafka")]
            Kind::Kafka(..) => To::Kafka {
                url,
                topic: name.to_owned(),
            },
        };
        SinkSettings {
            name: name.to_owned(),
            to,
            filter: Filter::default(),
            queue_bytes: 64 << 20,
            overflow: Overflow::DropOldest,
            batch: 8,
        }
    }

    /// All that lies there.
    pub(crate) fn all(&self, name: &str) -> Vec<Seen> {
        let url = self.url().0;
        self.runtime.block_on(async {
            match &self.kind {
                Kind::Redis(_) => all_redis(&url, name).await,
                Kind::Nats(_) => all_nats(&url, name).await,
                Kind::Rabbit(_) => all_rabbit(&url, name).await,
                #[cfg(feature = "kafka")]
                Kind::Kafka(..) => crate::kafka::all(&url, name).await,
            }
        })
    }

    /// What lies where the dead of a source go.
    pub(crate) fn dead(&self, name: &str) -> usize {
        let at = match &self.kind {
            Kind::Nats(_) => format!("{name}-dead"),
            _ => format!("dead.{name}"),
        };
        self.all(&at).len()
    }

    /// Whether the broker drops by itself what it is sent twice.
    pub(crate) fn takes_once(&self) -> bool {
        matches!(self.kind, Kind::Redis(_) | Kind::Nats(_))
    }
}

async fn make_stream(url: &str, name: &str, subject: &str) {
    let context = jetstream::new(async_nats::connect(url).await.unwrap());
    let config = stream::Config {
        name: name.to_owned(),
        subjects: vec![subject.to_owned()],
        ..stream::Config::default()
    };
    context.create_stream(config).await.unwrap();
}

async fn channel(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

async fn declare(channel: &Channel, queue: &str) {
    let durable = QueueDeclareOptions::durable();
    channel
        .queue_declare(queue.into(), durable, FieldTable::default())
        .await
        .unwrap();
}

async fn put_redis(url: &str, name: &str, entries: &[Put<'_>]) {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    for entry in entries {
        let mut add = redis::cmd("XADD");
        add.arg(name).arg("*").arg("room").arg(entry.room);
        add.arg("data").arg(&entry.body);
        add.query_async::<()>(&mut connection).await.unwrap();
    }
}

async fn put_nats(url: &str, name: &str, entries: &[Put<'_>]) {
    let context = jetstream::new(async_nats::connect(url).await.unwrap());
    for entry in entries {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("room", entry.room);
        headers.insert("Nats-Msg-Id", entry.id.as_str());
        let subject = format!("{name}.put");
        let sent = context.publish_with_headers(subject, headers, entry.body.clone().into());
        sent.await.unwrap().await.unwrap();
    }
}

async fn put_rabbit(url: &str, name: &str, entries: &[Put<'_>]) {
    let (_connection, channel) = channel(url).await;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    for entry in entries {
        let mut headers = FieldTable::default();
        headers.insert("room".into(), AMQPValue::LongString(entry.room.into()));
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_message_id(entry.id.as_str().into())
            .with_headers(headers);
        let options = BasicPublishOptions::default();
        let sent = channel.basic_publish(
            "".into(),
            name.into(),
            options,
            entry.body.as_bytes(),
            properties,
        );
        assert!(sent.await.unwrap().await.unwrap().is_ack());
    }
}

async fn all_redis(url: &str, name: &str) -> Vec<Seen> {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut range = redis::cmd("XRANGE");
    range.arg(name).arg("-").arg("+");
    let found: Vec<(String, std::collections::HashMap<String, String>)> =
        range.query_async(&mut connection).await.unwrap();
    let seen = found.into_iter().map(|(_, fields)| {
        let text = |name: &str| fields.get(name).cloned().unwrap_or_default();
        (
            text("id"),
            serde_json::from_str(&text("data")).unwrap_or_default(),
        )
    });
    seen.collect()
}

async fn all_nats(url: &str, name: &str) -> Vec<Seen> {
    let context = jetstream::new(async_nats::connect(url).await.unwrap());
    let mut stream = context.get_stream(name).await.unwrap();
    let count = usize::try_from(stream.info().await.unwrap().state.messages).unwrap();
    let consumer = stream.create_consumer(consumer::pull::OrderedConfig::default());
    let messages = consumer.await.unwrap().messages().await.unwrap();
    let seen = messages.take(count).map(|message| {
        let message = message.unwrap();
        let id = message
            .headers
            .as_ref()
            .and_then(|headers| headers.get("Nats-Msg-Id"));
        let id = id.map(|id| id.as_str().to_owned()).unwrap_or_default();
        (
            id,
            serde_json::from_slice(&message.payload).unwrap_or_default(),
        )
    });
    seen.collect().await
}

/// Takes them out without acknowledging, so they are there again afterwards.
async fn all_rabbit(url: &str, name: &str) -> Vec<Seen> {
    let (connection, channel) = channel(url).await;
    let mut seen = Vec::new();
    while let Some(message) = channel
        .basic_get(name.into(), BasicGetOptions::default())
        .await
        .unwrap()
    {
        let id = message.properties.message_id().as_ref();
        let id = id.map(|id| id.as_str().to_owned()).unwrap_or_default();
        seen.push((
            id,
            serde_json::from_slice(&message.data).unwrap_or_default(),
        ));
    }
    connection.close(200, "done".into()).await.unwrap();
    seen
}
