//! What a source needs of the server: to publish.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use lakh_hub::Bytes;
use serde_json::value::RawValue;

/// An event to be published.
#[derive(Clone, Debug)]
pub struct Event {
    /// The source's name.
    pub source: Box<str>,
    /// The namespace.
    pub namespace: Box<str>,
    /// The room, as clients know it.
    pub room: Box<str>,
    /// The event's name.
    pub event: Box<str>,
    /// Its data. Binary values are placeholders.
    pub data: Box<RawValue>,
    /// The binary values.
    pub attachments: Vec<Bytes>,
    /// Tells it from all others of all sources, and stays the same if it is published twice; empty if nothing does.
    pub id: String,
    /// How long that is to be remembered.
    pub dedupe: Duration,
}

/// Why an event was not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// It never will be.
    #[error("{0}")]
    Refused(String),
    /// It may be, later.
    #[error("{0}")]
    Unavailable(String),
}

/// An event under way: its number in its room when it is kept as well as the room keeps events.
pub type Publishing = Pin<Box<dyn Future<Output = Result<Option<u64>, PublishError>> + Send>>;

/// Whether an event was published before.
pub type Known = Pin<Box<dyn Future<Output = Result<bool, PublishError>> + Send>>;

/// Whoever publishes.
pub trait Publish: Send + Sync + 'static {
    /// Awaited for all events of a window before the first of them is published: whether this one was published before, by a
    /// process that ended before that was noted. What publishing it would have to wait for is there then.
    fn known(&self, event: &Event) -> Known;

    /// Publishes an event. It has its place in its room's order when this returns, not when the future is done.
    ///
    /// # Errors
    /// If it was refused at once. Nothing was sent then.
    fn publish(&self, event: Event) -> Result<Publishing, PublishError>;
}
