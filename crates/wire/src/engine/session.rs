//! The Engine.IO session under virtual time: heartbeats, the upgrade to WebSocket, and the end.
//!
//! Invariants: [`Action::Closed`] comes exactly once and last; while the session is open there is always a
//! deadline, so a silent peer is always found out. The caller passes each packet with its time, then takes actions
//! with [`Session::poll`] until there are none, and calls [`Session::timer`] when [`Session::next_deadline`] has come.
//!
//! Source: "Heartbeat" and "Upgrade" of the protocol page, and the `Socket` of Node's engine.io. Two departures from
//! Node, both where it would keep a dead session: a close packet over a WebSocket closes at once, and an upgrade
//! starts the heartbeat's time-out again instead of dropping it.

use super::handshake::HandshakeError;
use super::{Message, Packet, Transport, Version};
use crate::{CloseReason, Millis};

/// The times of a session. One for a whole server; each call of the session takes it by reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// Between a pong and the next ping. Node's default: 25 s.
    pub ping_interval: Millis,
    /// How long a pong may take. Node's default: 20 s.
    pub ping_timeout: Millis,
    /// How long an upgrade may take. Node's default: 10 s.
    pub upgrade_timeout: Millis,
    /// Whether a polling session may move to a WebSocket.
    pub allow_upgrades: bool,
}

impl Default for SessionConfig {
    fn default() -> Self {
        SessionConfig {
            ping_interval: Millis(25_000),
            ping_timeout: Millis(20_000),
            upgrade_timeout: Millis(10_000),
            allow_upgrades: true,
        }
    }
}

/// Which transport of a session: the one that carries its packets, or the WebSocket that wants to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The transport in use.
    Main,
    /// A WebSocket that came with the session's id and has not taken over yet.
    Probe,
}

/// How a transport ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In good order.
    Closed,
    /// By an error, or by a misuse such as two polls at once.
    Error,
}

/// A packet that the session itself sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Heartbeat of revision 4.
    Ping,
    /// Heartbeat of revision 3. Plain, whatever the ping carried: Node echoes nothing but a probe.
    Pong,
    /// The answer to a probe.
    PongProbe,
    /// Nothing; ends a poll.
    Noop,
    /// The transport closes.
    Close,
}

impl Control {
    /// The packet as text, the same in both revisions.
    #[must_use]
    pub const fn as_text(self, version: Version) -> &'static str {
        let (Version::V3 | Version::V4) = version;
        match self {
            Control::Ping => "2",
            Control::Pong => "3",
            Control::PongProbe => "3probe",
            Control::Noop => "6",
            Control::Close => "1",
        }
    }
}

/// What the caller has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Queue this packet on the main transport. A [`Control::Close`] comes on polling only: it answers the pending
    /// poll, or the next one if the caller still serves it.
    Send(Control),
    /// Send this packet on the probe.
    SendProbe(Control),
    /// Answer the pending poll with a noop, if there is one and nothing else to send.
    AnswerPoll,
    /// The probe is now the main transport: send the queue over it, end a poll that is still pending with a noop, and
    /// drop what still comes over polling.
    Upgraded,
    /// Close the probe. Whatever it still sends is not the session's.
    CloseProbe,
    /// The session is over: send what is queued, close the main transport, forget the session.
    Closed(CloseReason),
}

/// In the order in which [`Session::poll`] hands them out.
mod pending {
    pub(super) const PONG_PROBE: u8 = 1;
    pub(super) const PONG: u8 = 1 << 1;
    pub(super) const PING: u8 = 1 << 2;
    pub(super) const ANSWER_POLL: u8 = 1 << 3;
    pub(super) const CLOSE_PROBE: u8 = 1 << 4;
    pub(super) const UPGRADED: u8 = 1 << 5;
    pub(super) const CLOSE: u8 = 1 << 6;
    pub(super) const CLOSED: u8 = 1 << 7;
    /// What still has to be done when the session is over.
    pub(super) const OUTLIVES: u8 = CLOSE_PROBE | UPGRADED;
}

/// No deadline. A clock that reaches it has run for 584 million years.
const NEVER: Millis = Millis(u64::MAX);

/// While an upgrade is under way, a pending poll is answered this often, so that the client's poll ends and it can
/// go on. Node's figure.
const POLL_CHECK: Millis = Millis(100);

/// A WebSocket on its way to take over.
#[derive(Clone, Debug)]
struct Upgrade {
    /// When it must be done.
    until: Millis,
    /// When to answer a poll because of it; `NEVER` before the probe's ping.
    poll_check: Millis,
}

/// One Engine.IO session. See the module's page for the rules of use.
#[derive(Clone, Debug)]
pub struct Session {
    /// The next ping, or the time-out of the last one (v4); the end of the client's silence (v3).
    heartbeat: Millis,
    /// The upgrade under way. Boxed: a session has one for some milliseconds of its life, if at all.
    upgrade: Option<Box<Upgrade>>,
    /// Actions to take: bits of `pending`.
    pending: u8,
    /// Counts once the session is closed.
    reason: CloseReason,
    version: Version,
    transport: Transport,
    awaits_pong: bool,
    open: bool,
}

impl Session {
    /// A session that has just opened. The caller sends the open packet.
    #[must_use]
    pub fn new(
        version: Version,
        transport: Transport,
        now: Millis,
        cfg: &SessionConfig,
    ) -> Session {
        let mut session = Session {
            heartbeat: NEVER,
            upgrade: None,
            pending: 0,
            reason: CloseReason::TransportClose,
            version,
            transport,
            awaits_pong: false,
            open: true,
        };
        session.heard(now, cfg);
        session
    }

    /// The revision that the client speaks.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The main transport; [`Transport::WebSocket`] from the moment of the upgrade.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Whether the session takes and delivers packets.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Whether a probe is there and has not taken over.
    #[must_use]
    pub fn is_upgrading(&self) -> bool {
        self.upgrade.is_some()
    }

    /// Takes a packet that came on `side`, and returns the message in it, if it has one to deliver.
    pub fn packet<'a>(
        &mut self,
        side: Side,
        packet: Packet<'a>,
        now: Millis,
        cfg: &SessionConfig,
    ) -> Option<Message<'a>> {
        if !self.open {
            return None;
        }
        if self.is_probe(side) {
            self.probe_packet(&packet, now, cfg);
            return None;
        }
        match packet {
            Packet::Message(message) => return Some(message),
            Packet::Ping(_) if self.version == Version::V3 => {
                self.heard(now, cfg);
                self.pending |= pending::PONG;
            }
            Packet::Pong(_) if self.version == Version::V4 => self.heard(now, cfg),
            // A heartbeat in the wrong direction.
            Packet::Ping(_) | Packet::Pong(_) => self.end(CloseReason::TransportError, true),
            Packet::Close => {
                if self.transport == Transport::Polling {
                    self.pending |= pending::ANSWER_POLL;
                }
                self.end(CloseReason::TransportClose, false);
            }
            Packet::Open(_) | Packet::Upgrade | Packet::Noop => {}
        }
        None
    }

    /// Whether a message on `side` is for the application. Messages change nothing else, so they need not go through
    /// [`Session::packet`].
    #[must_use]
    pub fn takes_messages(&self, side: Side) -> bool {
        self.open && !self.is_probe(side)
    }

    /// Bytes came on `side` that are no packet.
    pub fn parse_error(&mut self, side: Side) {
        if !self.open {
        } else if self.is_probe(side) {
            self.drop_probe();
        } else {
            self.end(CloseReason::ParseError, true);
        }
    }

    /// The transport on `side` is gone, or was misused. A probe that ends leaves the session as it was.
    pub fn transport_ended(&mut self, side: Side, end: End) {
        if !self.open {
            return;
        }
        if self.is_probe(side) {
            self.forget_probe();
            return;
        }
        match end {
            End::Closed => self.end(CloseReason::TransportClose, false),
            End::Error => self.end(CloseReason::TransportError, true),
        }
    }

    /// A WebSocket came with this session's id and asks to take over.
    ///
    /// # Errors
    /// If the session is closed, is not on polling, already has a probe, or upgrades are off: the caller closes the
    /// newcomer, and the session goes on.
    pub fn probe_opened(&mut self, now: Millis, cfg: &SessionConfig) -> Result<(), HandshakeError> {
        if !self.open {
            return Err(HandshakeError::UnknownSid);
        }
        if self.transport == Transport::WebSocket || self.is_upgrading() || !cfg.allow_upgrades {
            return Err(HandshakeError::BadRequest);
        }
        self.upgrade = Some(Box::new(Upgrade {
            until: now + cfg.upgrade_timeout,
            poll_check: NEVER,
        }));
        Ok(())
    }

    /// The server closes the session.
    pub fn close(&mut self, reason: CloseReason) {
        if self.open {
            self.end(reason, true);
        }
    }

    /// A deadline has come (or time has passed; calling too early does no harm).
    pub fn timer(&mut self, now: Millis, cfg: &SessionConfig) {
        if !self.open {
            return;
        }
        if self.upgrade.as_ref().is_some_and(|it| it.until <= now) {
            self.drop_probe();
        }
        if let Some(upgrade) = self.upgrade.as_mut().filter(|it| it.poll_check <= now) {
            self.pending |= pending::ANSWER_POLL;
            upgrade.poll_check = now + POLL_CHECK;
        }
        if self.heartbeat > now {
            return;
        }
        if self.version == Version::V3 || self.awaits_pong {
            self.end(CloseReason::PingTimeout, true);
        } else {
            self.pending |= pending::PING;
            self.awaits_pong = true;
            self.heartbeat = now + cfg.ping_timeout;
        }
    }

    /// When to call [`Session::timer`] next; `None` once the session is closed.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Millis> {
        let upgrade = self.upgrade.as_ref();
        let sooner = upgrade.map_or(NEVER, |it| it.until.min(it.poll_check));
        self.open.then(|| self.heartbeat.min(sooner))
    }

    /// What to do next; call until it returns `None`, after each call that changes the session.
    pub fn poll(&mut self) -> Option<Action> {
        if self.pending == 0 {
            return None;
        }
        let bit = self.pending & self.pending.wrapping_neg();
        self.pending &= !bit;
        Some(match bit {
            pending::PONG_PROBE => Action::SendProbe(Control::PongProbe),
            pending::PONG => Action::Send(Control::Pong),
            pending::PING => Action::Send(Control::Ping),
            pending::ANSWER_POLL => Action::AnswerPoll,
            pending::CLOSE_PROBE => Action::CloseProbe,
            pending::UPGRADED => Action::Upgraded,
            pending::CLOSE => Action::Send(Control::Close),
            _ => Action::Closed(self.reason),
        })
    }

    /// The caller may still call the new main transport the probe, until it has seen [`Action::Upgraded`].
    fn is_probe(&self, side: Side) -> bool {
        side == Side::Probe && self.transport == Transport::Polling
    }

    /// A sign of life that counts: the heartbeat starts again.
    fn heard(&mut self, now: Millis, cfg: &SessionConfig) {
        self.awaits_pong = false;
        self.heartbeat = match self.version {
            Version::V4 => now + cfg.ping_interval,
            Version::V3 => now + cfg.ping_interval + cfg.ping_timeout,
        };
    }

    fn probe_packet(&mut self, packet: &Packet<'_>, now: Millis, cfg: &SessionConfig) {
        // The probe was given up; what it sends before it is closed means nothing.
        let Some(upgrade) = &mut self.upgrade else {
            return;
        };
        match packet {
            Packet::Ping("probe") => {
                self.pending |= pending::PONG_PROBE;
                upgrade.poll_check = now + POLL_CHECK;
            }
            Packet::Upgrade => {
                self.forget_probe();
                self.transport = Transport::WebSocket;
                self.pending |= pending::UPGRADED;
                // A ping that waits for its next turn stays where it is: the client counts from the last one.
                if self.version == Version::V3 {
                    self.heard(now, cfg);
                } else if self.awaits_pong {
                    self.heartbeat = now + cfg.ping_timeout;
                }
            }
            _ => self.drop_probe(),
        }
    }

    fn drop_probe(&mut self) {
        if self.is_upgrading() {
            self.pending |= pending::CLOSE_PROBE;
        }
        self.forget_probe();
    }

    fn forget_probe(&mut self) {
        self.pending &= !(pending::PONG_PROBE | pending::ANSWER_POLL);
        self.upgrade = None;
    }

    fn end(&mut self, reason: CloseReason, say_close: bool) {
        let answer_poll = self.pending & pending::ANSWER_POLL;
        self.drop_probe();
        self.pending = self.pending & pending::OUTLIVES | pending::CLOSED;
        if say_close && self.transport == Transport::Polling {
            self.pending |= pending::CLOSE;
        } else {
            self.pending |= answer_poll;
        }
        self.open = false;
        self.reason = reason;
    }
}

#[cfg(test)]
mod tests;
