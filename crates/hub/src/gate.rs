//! Hooks in the way: somebody outside who may refuse or change what a client wants, before it happens.
//!
//! The hub knows only that there may be such a [`Gate`]. Modules send what a client wants through it with
//! [`Socket::pass`]; where nobody is to be asked, that costs a look at a flag and waits for nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use crate::hub::Hub;
use crate::request::Failure;
use crate::socket::Socket;

/// What a client wants to do.
#[derive(Clone, Copy, Debug)]
pub enum Wish<'a> {
    /// To come into the socket's namespace.
    Connect,
    /// To join a room, with what its request says besides.
    Subscribe {
        /// The room's name, as the client gave it.
        room: &'a str,
    },
    /// To publish an event in a room.
    Publish {
        /// The room's name, as the client gave it.
        room: &'a str,
        /// The event's name.
        event: &'a str,
        /// The event's data as JSON. Binary values are placeholders.
        data: &'a str,
    },
}

/// What was said to it.
#[derive(Debug)]
pub enum Verdict {
    /// As it is.
    Pass,
    /// With this data instead. It may have fewer of the placeholders of binary values, and no others.
    Change(Box<RawValue>),
    /// No.
    Refuse(Failure),
}

/// An answer that comes later.
pub type Asking = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// Somebody who is asked first.
pub trait Gate: Send + Sync + 'static {
    /// Asks about a wish; `None` if nobody wants to be asked about it. Called on the loop: the waiting is in the future.
    fn ask(&self, socket: &Socket, wish: Wish<'_>) -> Option<Asking>;
}

/// A wish that came through. Until this is dropped, what the same socket wanted after it waits.
#[derive(Debug, Default)]
pub struct Passed {
    /// The data to go on with, if it was changed.
    pub changed: Option<Box<RawValue>>,
    /// Closes the way for those behind until it's dropped.
    _turn: Option<Turn>,
}

/// A wish's place among those of its socket.
#[derive(Debug)]
struct Turn {
    /// The end of the wish before, until it has come.
    before: Option<End>,
    /// For the one behind.
    done: Option<oneshot::Sender<Instead>>,
}

/// The end of a wish. One that was given up before its turn names the end that it waited for.
type End = oneshot::Receiver<Instead>;

/// Whom to wait for instead.
#[derive(Debug)]
struct Instead(End);

impl Turn {
    /// Waits until all before are done.
    async fn comes(&mut self) {
        while let Some(before) = &mut self.before {
            // Without a word whoever was before is done, or gone.
            self.before = before.await.ok().map(|Instead(earlier)| earlier);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let (Some(before), Some(done)) = (self.before.take(), self.done.take()) {
            // Nobody may be behind.
            let _ = done.send(Instead(before));
        }
    }
}

/// The end of the last wish of a socket that was asked about.
#[derive(Default)]
struct Last(Mutex<Option<End>>);

impl Hub {
    /// Sets who is asked first. To be called before the loops start; later calls change nothing.
    pub fn set_gate(&self, gate: Arc<dyn Gate>) {
        let _ = self.0.gate.set(gate);
    }
}

impl Socket {
    /// Whether anybody may be asked about wishes at all: where nobody is, there is no need to put one together.
    #[must_use]
    pub fn is_gated(&self) -> bool {
        self.0.hub.0.gate.get().is_some()
    }

    /// Sends a wish through the gate, if there is one. Several wishes of a socket are asked about at the same time, and
    /// come through in the order in which they were made: what this returns is to be kept until the wish has come true.
    ///
    /// # Errors
    /// What the gate refuses it with; and for a join beyond the limits of whoever asks `rate_limited` or `too_many_rooms`.
    pub async fn pass(&self, wish: Wish<'_>) -> Result<Passed, Failure> {
        if matches!(wish, Wish::Subscribe { .. }) {
            self.may_join()?;
        }
        let Some(gate) = self.0.hub.0.gate.get() else {
            return Ok(Passed::default());
        };
        let asking = gate.ask(self, wish);
        let last = self.get::<Last>();
        if asking.is_none() && last.is_none() {
            return Ok(Passed::default());
        }
        let last = last.unwrap_or_else(|| {
            self.insert(Last::default());
            self.get().unwrap_or_default()
        });
        let (done, end) = oneshot::channel();
        let mut turn = Turn {
            before: last.0.lock().replace(end),
            done: Some(done),
        };
        let verdict = match asking {
            Some(asking) => asking.await,
            None => Verdict::Pass,
        };
        turn.comes().await;
        let changed = match verdict {
            Verdict::Pass => None,
            Verdict::Change(data) => Some(data),
            Verdict::Refuse(failure) => return Err(failure),
        };
        Ok(Passed {
            changed,
            _turn: Some(turn),
        })
    }
}
