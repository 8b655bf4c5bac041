//! A session under any sequence of operations: it closes once and says so last, its deadlines lie ahead, and when the
//! peer falls silent it closes in bounded time.
#![no_main]

use arbitrary::Arbitrary;
use lakh_wire::engine::{
    Action, Control, End, Message, Packet, Session, SessionConfig, Side, Transport, Version,
};
use lakh_wire::{CloseReason, Millis};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Op {
    Pass(u16),
    Receive(bool, u8),
    ParseError(bool),
    Ended(bool, bool),
    ProbeOpened,
    Close,
}

#[derive(Arbitrary, Debug)]
struct Input {
    v3: bool,
    websocket: bool,
    interval: u16,
    timeout: u16,
    upgrade_timeout: u16,
    allow_upgrades: bool,
    ops: Vec<Op>,
}

struct Driven {
    session: Session,
    cfg: SessionConfig,
    now: Millis,
    closed: bool,
    probe: bool,
    upgraded: bool,
}

fuzz_target!(|input: Input| {
    let cfg = SessionConfig {
        ping_interval: Millis(u64::from(input.interval) + 1),
        ping_timeout: Millis(u64::from(input.timeout) + 1),
        upgrade_timeout: Millis(u64::from(input.upgrade_timeout) + 1),
        allow_upgrades: input.allow_upgrades,
    };
    let version = if input.v3 { Version::V3 } else { Version::V4 };
    let transport = if input.websocket {
        Transport::WebSocket
    } else {
        Transport::Polling
    };
    let mut driven = Driven {
        session: Session::new(version, transport, Millis(5), &cfg),
        cfg,
        now: Millis(5),
        closed: false,
        probe: false,
        upgraded: input.websocket,
    };
    for op in input.ops.into_iter().take(200) {
        driven.apply(op);
        driven.take_actions();
    }
    driven.fall_silent();
});

impl Driven {
    fn apply(&mut self, op: Op) {
        let side = |probe| if probe { Side::Probe } else { Side::Main };
        match op {
            Op::Pass(span) => {
                self.now += Millis(u64::from(span));
                self.session.timer(self.now, &self.cfg);
            }
            Op::Receive(probe, kind) => self.receive(side(probe && self.probe), kind),
            Op::ParseError(probe) => self.session.parse_error(side(probe && self.probe)),
            Op::Ended(probe, error) => {
                let end = if error { End::Error } else { End::Closed };
                if probe && self.probe {
                    self.session.transport_ended(Side::Probe, end);
                    self.probe = false;
                    assert_eq!(self.session.is_open(), !self.closed);
                } else {
                    self.session.transport_ended(Side::Main, end);
                    assert!(!self.session.is_open());
                }
            }
            Op::ProbeOpened => {
                let may = !self.closed && !self.probe && !self.upgraded && self.cfg.allow_upgrades;
                let opened = self.session.probe_opened(self.now, &self.cfg);
                assert_eq!(opened.is_ok(), may);
                self.probe |= may;
            }
            Op::Close => {
                self.session.close(CloseReason::ForcedClose);
                assert!(!self.session.is_open());
            }
        }
    }

    fn receive(&mut self, side: Side, kind: u8) {
        let packet = match kind % 9 {
            0 => Packet::Open("{}"),
            1 => Packet::Close,
            2 => Packet::Ping(""),
            3 => Packet::Ping("probe"),
            4 => Packet::Pong(""),
            5 => Packet::Upgrade,
            6 => Packet::Noop,
            _ => Packet::Message(Message::Text("x")),
        };
        let is_message = matches!(packet, Packet::Message(_));
        let delivered = self.session.packet(side, packet, self.now, &self.cfg);
        let due = is_message && side == Side::Main && !self.closed;
        assert_eq!(delivered.is_some(), due);
    }

    fn take_actions(&mut self) {
        while let Some(action) = self.session.poll() {
            assert!(!self.closed, "an action after the end");
            match action {
                Action::Closed(_) => self.closed = true,
                Action::CloseProbe => {
                    assert!(self.probe, "no probe to close");
                    self.probe = false;
                }
                Action::Upgraded => {
                    assert!(self.probe && !self.upgraded);
                    (self.probe, self.upgraded) = (false, true);
                }
                Action::SendProbe(control) => {
                    assert!(self.probe);
                    assert_eq!(control, Control::PongProbe);
                }
                Action::Send(Control::Close) | Action::AnswerPoll => assert!(!self.upgraded),
                Action::Send(_) => {}
            }
        }
        assert_eq!(self.session.is_open(), !self.closed);
        assert_eq!(self.session.is_upgrading(), self.probe && !self.closed);
        match self.session.next_deadline() {
            Some(deadline) => assert!(!self.closed && deadline > Millis(0)),
            None => assert!(self.closed),
        }
    }

    fn fall_silent(&mut self) {
        let longest = self.cfg.ping_interval + self.cfg.ping_timeout;
        let end = self.now + longest + longest;
        while let Some(deadline) = self.session.next_deadline() {
            self.now = self.now.max(deadline);
            assert!(self.now <= end, "a silent peer is kept");
            self.session.timer(self.now, &self.cfg);
            self.take_actions();
            if let Some(next) = self.session.next_deadline() {
                assert!(next > self.now, "a deadline does not lie ahead");
            }
        }
        assert!(self.closed, "the end was not told");
    }
}
