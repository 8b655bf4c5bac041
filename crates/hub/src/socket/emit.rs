//! Events to one socket.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use lakh_broker::Room;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Socket;
use crate::ack::{AckError, AckFuture, Slot};
use crate::args;
use crate::mailbox::Full;
use crate::namespace::Recovery;
use crate::operator::EmitError;
use crate::outgoing::{Flags, Outgoing, Targets};
use crate::payload::Payload;

impl Socket {
    /// Sends an event. A tuple is a list of arguments, `()` is none, anything else is one.
    ///
    /// # Errors
    /// If the arguments can't be written, or the server is overloaded.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> Result<(), EmitError> {
        let payload = args::encode(Some(event), args)?;
        Ok(self.emit_payload(payload, Flags::default())?)
    }

    /// Sends an event whose arguments are raw JSON, the event's name first.
    ///
    /// # Errors
    /// If the server is overloaded.
    pub fn emit_raw(&self, payload: Payload) -> Result<(), EmitError> {
        Ok(self.emit_payload(payload, Flags::default())?)
    }

    /// Sends an event that is dropped if the client can't take it right now.
    ///
    /// # Errors
    /// As [`Socket::emit`].
    pub fn emit_volatile<T: Serialize + ?Sized>(
        &self,
        event: &str,
        args: &T,
    ) -> Result<(), EmitError> {
        self.volatile().emit(event, args)
    }

    /// For an event that is dropped if the client can't take it right now: `socket.volatile().emit(…)`.
    pub fn volatile(&self) -> FlaggedSocket<'_> {
        FlaggedSocket::new(self).volatile()
    }

    /// For an event that may, or may not, be compressed where compression was negotiated; it may by default.
    pub fn compress(&self, compress: bool) -> FlaggedSocket<'_> {
        FlaggedSocket::new(self).compress(compress)
    }

    /// For an event that goes past the recovery log, at once from its own loop: who comes back does not get it again.
    pub fn unlogged(&self) -> FlaggedSocket<'_> {
        FlaggedSocket::new(self).unlogged()
    }

    pub(crate) fn emit_payload(&self, payload: Payload, flags: Flags) -> Result<(), Full> {
        let recovery = self.0.namespace.recovery.get();
        if let Some(recovery) = recovery.filter(|_| !flags.unlogged) {
            return self.emit_recoverable(recovery, payload, flags);
        }
        self.try_act(payload.len(), move |shard, socket| {
            shard.emit_to(socket, &payload, None, None, flags)
        })
    }

    /// As in Node: in a recoverable namespace an emit goes through the log, as a broadcast to one's own room.
    fn emit_recoverable(
        &self,
        recovery: &Recovery,
        payload: Payload,
        flags: Flags,
    ) -> Result<(), Full> {
        let Self(inner) = self;
        // What isn't logged needs neither a room nor a broadcast: a world's ticks go this way.
        if flags.volatile
            && let Some(shard) = inner.hub.current_shard(inner.shard())
        {
            let send = |at| shard.emit_to(self, &payload, None, Some(at), flags);
            if inner.hub.pass_now(&shard, recovery, send) {
                return Ok(());
            }
        }
        let targets = Targets {
            rooms: [Room::from(self.id())].into_iter().collect(),
            ..Targets::default()
        };
        let namespace = Arc::clone(&inner.namespace);
        let mut outgoing = Outgoing::new(namespace, payload, targets, flags);
        outgoing.only = Some((inner.shard(), inner.key));
        inner.hub.publish(outgoing)
    }

    /// Sends an event and waits for its answer, as long as the socket is connected.
    ///
    /// # Errors
    /// If the arguments can't be written, or the server is overloaded.
    pub fn emit_with_ack<R: DeserializeOwned>(
        &self,
        event: &str,
        args: &(impl Serialize + ?Sized),
    ) -> Result<AckFuture<R>, EmitError> {
        self.emit_with_ack_within(None, event, args)
    }

    /// Waits for acknowledgements this long.
    pub fn timeout(&self, timeout: Duration) -> TimedSocket<'_> {
        TimedSocket {
            socket: self,
            timeout,
        }
    }

    fn emit_with_ack_within<R: DeserializeOwned>(
        &self,
        timeout: Option<Duration>,
        event: &str,
        args: &(impl Serialize + ?Sized),
    ) -> Result<AckFuture<R>, EmitError> {
        let payload = args::encode(Some(event), args)?;
        Ok(self.emit_raw_with_ack_within(timeout, payload)?)
    }

    fn emit_raw_with_ack_within<R: DeserializeOwned>(
        &self,
        timeout: Option<Duration>,
        payload: Payload,
    ) -> Result<AckFuture<R>, Full> {
        let slot = Arc::new(Slot::default());
        let waiting = Arc::clone(&slot);
        if !self.is_connected() {
            slot.resolve(Err(AckError::Disconnected));
        } else {
            self.try_act(payload.len(), move |shard, socket| {
                shard.emit_with_ack(socket, &payload, &waiting, timeout);
            })?;
        }
        Ok(AckFuture {
            slot,
            kind: PhantomData,
        })
    }
}

/// A socket whose acknowledgements have a time limit.
#[derive(Debug)]
#[must_use = "nothing is sent until `emit_with_ack`"]
pub struct TimedSocket<'a> {
    socket: &'a Socket,
    timeout: Duration,
}

impl TimedSocket<'_> {
    /// Sends an event and waits for its answer within the time given.
    ///
    /// # Errors
    /// As [`Socket::emit_with_ack`].
    pub fn emit_with_ack<R: DeserializeOwned>(
        &self,
        event: &str,
        args: &(impl Serialize + ?Sized),
    ) -> Result<AckFuture<R>, EmitError> {
        self.socket
            .emit_with_ack_within(Some(self.timeout), event, args)
    }

    /// The same with arguments that are raw JSON, the event's name first.
    ///
    /// # Errors
    /// If the server is overloaded.
    pub fn emit_raw_with_ack<R: DeserializeOwned>(
        &self,
        payload: Payload,
    ) -> Result<AckFuture<R>, Full> {
        self.socket
            .emit_raw_with_ack_within(Some(self.timeout), payload)
    }
}

/// An event to one socket in the making.
#[derive(Debug)]
#[must_use = "nothing is sent until `emit`"]
pub struct FlaggedSocket<'a> {
    socket: &'a Socket,
    flags: Flags,
}

impl<'a> FlaggedSocket<'a> {
    fn new(socket: &'a Socket) -> Self {
        Self {
            socket,
            flags: Flags::default(),
        }
    }

    /// As [`Socket::volatile`].
    pub fn volatile(mut self) -> Self {
        self.flags.volatile = true;
        self
    }

    /// As [`Socket::unlogged`].
    pub fn unlogged(mut self) -> Self {
        self.flags.unlogged = true;
        self
    }

    /// As [`Socket::compress`].
    pub fn compress(mut self, compress: bool) -> Self {
        self.flags.compress = compress;
        self
    }

    /// Sends the event.
    ///
    /// # Errors
    /// As [`Socket::emit`].
    pub fn emit<T: Serialize + ?Sized>(self, event: &str, args: &T) -> Result<(), EmitError> {
        self.emit_raw(args::encode(Some(event), args)?)
    }

    /// Sends an event whose arguments are raw JSON, the event's name first.
    ///
    /// # Errors
    /// If the server is overloaded.
    pub fn emit_raw(self, payload: Payload) -> Result<(), EmitError> {
        Ok(self.socket.emit_payload(payload, self.flags)?)
    }
}
