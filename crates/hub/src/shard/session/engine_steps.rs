//! Steps of the engine's state machine: what it asks for is carried out, and its timer looked after.

use lakh_wire::engine::{self, Action, Transport, Version};
use lakh_wire::{CloseReason, Millis};

use super::super::{NEVER, SessionKey, Shard, State};
use crate::ids::Id;
use crate::outbox::Item;
use crate::settings::Settings;

impl Shard {
    pub(in crate::shard) fn session_timer(&self, key: SessionKey, now: Millis) {
        let late = {
            let mut state = self.state.borrow_mut();
            let Some(entry) = state.session(key) else {
                return;
            };
            // It has asked for another time since, and has its place in the wheel by that: without this look each
            // change of mind would leave one more entry that goes round and round.
            if entry.timer_at > now {
                return;
            }
            entry.timer_at = NEVER;
            now >= entry.connect_by && !entry.over
        };
        if late {
            return self.close(key, CloseReason::ConnectTimeout);
        }
        self.with_engine(key, |engine, cfg| engine.timer(now, cfg));
    }

    /// Lets the engine's state machine do something, and carries out what it asks for.
    pub(super) fn with_engine<R>(
        &self,
        key: SessionKey,
        work: impl FnOnce(&mut engine::Session, &engine::SessionConfig) -> R,
    ) -> Option<R> {
        let mut state = self.state.borrow_mut();
        let entry = state.session(key).filter(|entry| !entry.over)?;
        let result = work(&mut entry.engine, &self.hub.settings().engine);
        let outcome = state.carry_out(key);
        let bound = self.hub.settings().hub_limits.outbox_bytes;
        // Pongs: a client that asks for them without end and reads none.
        let slow = outcome.sent
            && state
                .session(key)
                .is_some_and(|entry| entry.outbox.bytes() > bound);
        drop(state);
        if outcome.upgraded {
            self.stats().websocket.add(1);
        }
        if let Some(reason) = outcome.closed {
            self.session_closed(key, reason);
        } else if slow {
            self.close_now(key, CloseReason::SlowReader);
        }
        Some(result)
    }
}

/// What a step of the engine led to.
#[derive(Default)]
struct Outcome {
    sent: bool,
    upgraded: bool,
    closed: Option<CloseReason>,
}

impl State {
    /// The engine's first packet. All but the id is written once for each kind of session.
    pub(super) fn open_packet(
        &mut self,
        id: &Id,
        version: Version,
        transport: Transport,
        settings: &Settings,
    ) -> Box<str> {
        const START: &str = r#"0{"sid":""#;
        let upgrades = transport == Transport::Polling && settings.engine.allow_upgrades;
        let newer = version == Version::V4;
        let kind = usize::from(upgrades) * 2 + usize::from(newer);
        let rest = self.openings[kind].get_or_insert_with(|| {
            let packet = engine::handshake::open_packet(
                "",
                if upgrades { &["websocket"] } else { &[] },
                settings.engine.ping_interval.0,
                settings.engine.ping_timeout.0,
                newer.then_some(settings.limits.max_payload_bytes),
            );
            packet[START.len()..].into()
        });
        [START, id.as_str(), rest].concat().into()
    }

    /// Queues something for the transport.
    pub(in crate::shard) fn push(&mut self, key: SessionKey, item: Item) {
        let State { sessions, pool, .. } = self;
        let entry = sessions.get_mut(key.slot as usize);
        if let Some(entry) = entry.filter(|entry| entry.generation == key.generation) {
            entry.outbox.push(item, pool);
            self.touch(key.slot);
        }
    }

    /// Does what the engine asks for, and looks after its timer.
    fn carry_out(&mut self, key: SessionKey) -> Outcome {
        let mut outcome = Outcome::default();
        while let Some(entry) = self.session(key) {
            let Some(action) = entry.engine.poll() else {
                break;
            };
            let signals = &mut entry.outbox.signals;
            match action {
                Action::Send(control) => {
                    outcome.sent = true;
                    self.push(key, Item::Control(control));
                }
                // The only packet that ever goes out on a probe is the pong.
                Action::SendProbe(_) => signals.pong_probe = true,
                Action::AnswerPoll => signals.answer_poll = true,
                Action::Upgraded => {
                    signals.upgraded = true;
                    entry.outbox.blocked = false;
                    outcome.upgraded = true;
                }
                Action::CloseProbe => signals.close_probe = true,
                Action::Closed(reason) => {
                    signals.closed = Some(reason);
                    entry.over = true;
                    outcome.closed = Some(reason);
                }
            }
            self.touch(key.slot);
        }
        if outcome.closed.is_none() {
            self.schedule(key);
        }
        outcome
    }

    /// Puts a timer for the session's nearest deadline into the wheel, unless one stands there that is as early.
    pub(in crate::shard) fn schedule(&mut self, key: SessionKey) {
        let Some(entry) = self.session(key) else {
            return;
        };
        let at = entry
            .engine
            .next_deadline()
            .unwrap_or(NEVER)
            .min(entry.connect_by);
        if at < entry.timer_at {
            entry.timer_at = at;
            self.arm_session(at, key);
        }
    }
}
