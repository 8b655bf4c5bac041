//! Acknowledgements of this shard's sockets.

use std::sync::Arc;
use std::time::Duration;

use lakh_wire::Millis;

use super::{Shard, SocketKey, Timer, Waiting};
use crate::ack::{AckError, Collector, Slot};
use crate::outgoing::{self, Flags};
use crate::payload::Payload;
use crate::socket::Socket;

impl Shard {
    /// Sends an event, and puts the answer into the slot.
    pub(crate) fn emit_with_ack(
        &self,
        socket: &Socket,
        payload: &Payload,
        slot: &Arc<Slot>,
        timeout: Option<Duration>,
    ) {
        let limit = self.hub.settings().hub_limits.max_pending_acks;
        let id = socket.0.namespace.next_ack();
        let refused = {
            let mut state = self.state.borrow_mut();
            match state.socket(socket.0.key) {
                None => Some(AckError::Disconnected),
                Some(entry) => {
                    let acks = entry.acks.get_or_insert_default();
                    if acks.len() >= limit {
                        Some(AckError::TooMany)
                    } else {
                        acks.insert(id, Waiting::One(Arc::clone(slot)));
                        if let Some(timeout) = timeout {
                            let span =
                                Millis(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
                            state.arm(self.now() + span, Timer::Ack(socket.0.key, id));
                        }
                        None
                    }
                }
            }
        };
        match refused {
            Some(error) => slot.resolve(Err(error)),
            None => self.emit_to(socket, payload, Some(id), None, Flags::default()),
        }
    }

    /// The collector is told at this time that its time is up.
    pub(crate) fn collect_until(&self, collector: &Arc<Collector>, at: Millis) {
        self.state
            .borrow_mut()
            .arm(at, Timer::Collect(Arc::clone(collector)));
    }

    /// The time of a broadcast is up: answers that come later have nobody to go to.
    pub(super) fn forget_asked(&self, id: u64, asked: &[SocketKey]) {
        for key in asked {
            drop(self.take_waiting(*key, id));
        }
    }

    pub(super) fn acknowledged(&self, key: SocketKey, id: u64, answer: Payload) {
        // An answer that nobody waits for (it came too late, or twice) is dropped.
        if let Some(waiting) = self.take_waiting(key, id) {
            waiting.resolve(Ok(answer));
        }
    }

    pub(super) fn ack_timed_out(&self, key: SocketKey, id: u64) {
        if let Some(waiting) = self.take_waiting(key, id) {
            waiting.resolve(Err(AckError::Timeout));
        }
    }

    fn take_waiting(&self, key: SocketKey, id: u64) -> Option<Waiting> {
        let mut state = self.state.borrow_mut();
        let entry = state.socket(key)?;
        let acks = entry.acks.as_mut()?;
        let waiting = acks.remove(&id);
        if acks.is_empty() {
            entry.acks = None;
        }
        waiting
    }

    /// Answers a client's event.
    pub(crate) fn send_ack(&self, socket: &Socket, id: u64, answer: &Payload) {
        let mut state = self.state.borrow_mut();
        let Some(key) = state.socket(socket.0.key).map(|entry| entry.session) else {
            return;
        };
        let parser = state.parser(key);
        drop(state);
        let packet = outgoing::ack(parser, &socket.0.namespace.name, answer, id);
        if self.hub.followed().is_some() && self.keep_ack(socket.0.key, &packet) {
            return;
        }
        self.send_packet(key, &packet);
    }
}

impl Waiting {
    pub(super) fn resolve(self, answer: Result<Payload, AckError>) {
        match self {
            Self::One(slot) => slot.resolve(answer),
            Self::Many(collector) => collector.answered(answer),
        }
    }
}
