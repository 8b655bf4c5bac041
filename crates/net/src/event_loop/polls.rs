//! Long polls of a loop's sessions: taken, answered, and the last words of sessions that are over.

use lakh_hub::shard::SessionKey;
use lakh_hub::{CloseReason, Id, Item, Signals};
use lakh_wire::engine::payload::{ContentType, Writer};
use lakh_wire::engine::{Control, End, HandshakeError, Side};
use tokio::sync::oneshot;

use super::EventLoop;
use crate::polling::{PollAnswer, PostRefused};

impl EventLoop {
    /// Whether a session's client must wait until handlers, or other loops, have caught up: what a WebSocket isn't read
    /// for, a POST isn't taken for.
    pub(super) fn holds_back(&self, sid: &Id) -> bool {
        let key = self.shard.find(sid);
        key.is_some_and(|key| self.shard.is_paused(key) || self.shared.hub.is_congested())
    }

    pub(super) fn poll(&self, sid: Id, reply: oneshot::Sender<PollAnswer>) {
        let Some(key) = self.shard.find(&sid) else {
            // It may have ended in this very turn, and its last words be still in its outbox.
            self.flush_all();
            let now = self.shard.clock_now().0;
            let last_words = self.farewells.borrow_mut().hear(&sid, now);
            let answer = last_words.map_or(
                PollAnswer::Refused(HandshakeError::UnknownSid),
                |(body, content_type)| PollAnswer::Payload(body, content_type),
            );
            return drop(reply.send(answer));
        };
        if !self.is_polling(key) {
            return drop(reply.send(PollAnswer::Refused(HandshakeError::BadRequest)));
        }
        if !self.shard.poll_opened(key) {
            // The earlier poll is answered by the close that this leads to.
            return drop(reply.send(PollAnswer::Refused(HandshakeError::BadRequest)));
        }
        self.with_link(key, |link| link.polling().poll = Some(reply));
    }

    pub(super) fn post(&self, sid: Id, body: &[u8], is_binary: bool) -> Result<(), PostRefused> {
        let Some(key) = self.shard.find(&sid) else {
            self.flush_all();
            // It can't know yet that the session is over, or says goodbye because it does.
            let knows_not = self.farewells.borrow().waits(&sid);
            return knows_not.then_some(()).ok_or(PostRefused::Unknown);
        };
        if !self.is_polling(key) {
            return Err(PostRefused::Mismatch);
        }
        self.count_in(body.len());
        self.shard.received(key, body.len());
        self.relieve();
        self.shard
            .payload(key, body, is_binary)
            .map_err(|error| PostRefused::Bad(error.to_string()))
    }

    /// The server has closed a session, and nobody polls for what is left to say: the next polls are told.
    pub(super) fn keep_last_words(&self, key: SessionKey, signals: Signals) {
        let by_server = matches!(
            signals.closed,
            Some(
                CloseReason::ForcedClose
                    | CloseReason::ForcedServerClose
                    | CloseReason::ServerShuttingDown
                    | CloseReason::ConnectTimeout
            )
        );
        if !by_server {
            return;
        }
        let Some(sid) = self.shard.id_of(key) else {
            return;
        };
        let now = self.shard.clock_now().0;
        while let Some((body, content_type)) = self.poll_body(key, signals) {
            let mut farewells = self.farewells.borrow_mut();
            farewells.keep(sid, body, content_type, now);
            if !self.has_more(key) {
                return;
            }
        }
    }

    fn has_more(&self, key: SessionKey) -> bool {
        let more = self.shard.with_outbox(key, |outbox, _| !outbox.is_empty());
        more.unwrap_or_default()
    }

    /// What waits as the answer to a poll, or a noop if it must be answered and nothing does.
    ///
    /// A close packet stands alone, as in Node: the JavaScript client handles it at once and what came with it later, so
    /// it would miss the last events, and take being thrown out for a broken connection.
    fn poll_body(&self, key: SessionKey, signals: Signals) -> Option<(Vec<u8>, ContentType)> {
        let supports_binary = self.with_link(key, |link| !link.polling().text_only);
        let body = self.shard.with_outbox(key, |outbox, version| {
            let mut writer = Writer::new(version, supports_binary);
            let is_close = |item: &Item| matches!(item, Item::Control(Control::Close));
            while (writer.is_empty() || !outbox.iter().next().is_some_and(is_close))
                && let Some(item) = outbox.pop()
            {
                match item {
                    Item::Packet(packet) => packet.write_polling(&mut writer),
                    Item::Control(control) => writer.push_text(control.as_text(version).as_bytes()),
                    Item::Open(text) => writer.push_text(text.as_bytes()),
                }
            }
            let last_word = match signals.closed {
                // The client said goodbye, and knows.
                Some(CloseReason::TransportClose) => Some(Control::Noop),
                Some(_) => Some(Control::Close),
                None => signals.answer_poll.then_some(Control::Noop),
            };
            if let Some(control) = last_word.filter(|_| writer.is_empty()) {
                writer.push_text(control.as_text(version).as_bytes());
            }
            (!writer.is_empty()).then(|| {
                outbox.poll_pending = false;
                writer.finish()
            })
        });
        body.flatten()
    }

    pub(super) fn answer_poll(&self, key: SessionKey, signals: Signals) {
        let Some((body, content_type)) = self.poll_body(key, signals) else {
            return;
        };
        let poller = self.with_link(key, super::Link::take_poll);
        self.count_out(body.len());
        if signals.closed.is_some() && self.has_more(key) {
            self.keep_last_words(key, signals);
        }
        let lost = poller
            .is_some_and(|reply| reply.send(PollAnswer::Payload(body, content_type)).is_err());
        if lost && signals.closed.is_none() {
            // The client went away with the poll, and what was in the answer with it.
            self.shard.end(key, Side::Main, End::Error);
        }
    }
}
