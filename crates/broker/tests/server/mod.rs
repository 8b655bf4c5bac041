//! Links to a redis-server of the tests' own.

// Not each of the tests' programs needs all of it.
#![allow(dead_code)]

pub(crate) mod between;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lakh_broker::cluster::{Data, Message, Opts};
use lakh_broker::redis::{Backend, Config, Event, Inbound, Link, Received};
pub(crate) use lakh_testkit::redis::Redis;

pub(crate) type Tested = Result<(), Box<dyn Error>>;

/// Longest wait for anything in these tests; far more than any of it takes.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// Awaits something that must come.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> Result<T, Box<dyn Error>> {
    Ok(tokio::time::timeout(BOUND, what).await?)
}

/// A clock that goes on by one with each look.
fn clock() -> Arc<dyn Fn() -> u64 + Send + Sync> {
    let now = AtomicU64::new(1);
    Arc::new(move || now.fetch_add(1, Ordering::Relaxed))
}

/// What a link is made of in these tests: it tries again quickly.
pub(crate) fn config(url: &str, backend: Backend) -> Config {
    let ms = Duration::from_millis;
    Config {
        backoff: (ms(5), ms(50)),
        ..Config::new(url, backend, clock())
    }
}

/// A link that listens to the main namespace already.
pub(crate) async fn linked(config: Config) -> Result<(Link, Inbound), Box<dyn Error>> {
    let (link, inbound) = Link::open(config)?;
    link.subscribe("/");
    soon(link.settled()).await?;
    Ok((link, inbound))
}

/// The next event.
pub(crate) async fn next(inbound: &mut Inbound) -> Result<Event, Box<dyn Error>> {
    Ok(soon(inbound.recv()).await?.ok_or("the link has ended")?)
}

/// The next message. That entries of one's own have got their place is passed over.
pub(crate) async fn message(inbound: &mut Inbound) -> Result<Received, Box<dyn Error>> {
    loop {
        match next(inbound).await? {
            Event::Message(received) => return Ok(received),
            Event::Appended { .. } => {}
            other => return Err(format!("no message but {other:?}").into()),
        }
    }
}

pub(crate) fn event(text: &str) -> Message {
    event_to(text, Opts::default())
}

pub(crate) fn event_to(text: &str, opts: Opts) -> Message {
    Message::Broadcast {
        data: Data::Json(format!("[\"{text}\"]")),
        opts,
        ack: None,
    }
}

/// The event's name out of what came, whatever the form.
pub(crate) fn name(message: &Message) -> String {
    let Message::Broadcast { data, .. } = message else {
        return format!("{message:?}");
    };
    match data {
        Data::Json(text) => text[2..text.len() - 2].to_owned(),
        Data::Msgpack(bytes) => String::from_utf8_lossy(&bytes[2..]).into_owned(),
    }
}

pub(crate) async fn wait_for(link: &Link, up: bool) -> Tested {
    let mut state = link.watch_state();
    soon(state.wait_for(|state| state.up == up)).await??;
    Ok(())
}

pub(crate) fn packed(text: &str) -> Message {
    packed_to(text, Opts::default())
}

pub(crate) fn packed_to(text: &str, opts: Opts) -> Message {
    let mut bytes = vec![0x91, 0xa0 | u8::try_from(text.len()).unwrap_or(0)];
    bytes.extend(text.as_bytes());
    Message::Broadcast {
        data: Data::Msgpack(bytes.into()),
        opts,
        ack: None,
    }
}
