//! Each step of a session's life under virtual time.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

const CFG: SessionConfig = SessionConfig {
    ping_interval: Millis(25_000),
    ping_timeout: Millis(20_000),
    upgrade_timeout: Millis(10_000),
    allow_upgrades: true,
};

/// A session with its clock.
struct Driven {
    session: Session,
    now: Millis,
}

impl Driven {
    fn new(version: Version, transport: Transport) -> Driven {
        let now = Millis(1_000_000);
        Driven {
            session: Session::new(version, transport, now, &CFG),
            now,
        }
    }

    fn v4(transport: Transport) -> Driven {
        Driven::new(Version::V4, transport)
    }

    fn upgrading() -> Driven {
        let mut driven = Driven::v4(Transport::Polling);
        driven.session.probe_opened(driven.now, &CFG).unwrap();
        driven
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.session.poll()).collect()
    }

    fn receive(&mut self, side: Side, packet: Packet<'static>) -> Vec<Action> {
        let message = self.session.packet(side, packet, self.now, &CFG);
        assert_eq!(message, None);
        self.actions()
    }

    fn main(&mut self, packet: Packet<'static>) -> Vec<Action> {
        self.receive(Side::Main, packet)
    }

    fn probe(&mut self, packet: Packet<'static>) -> Vec<Action> {
        self.receive(Side::Probe, packet)
    }

    /// Lets time pass, serving each deadline on its way.
    fn pass(&mut self, span: u64) -> Vec<Action> {
        let until = self.now + Millis(span);
        let mut actions = Vec::new();
        while let Some(deadline) = self.session.next_deadline().filter(|d| *d <= until) {
            assert!(deadline >= self.now, "a deadline lies in the past");
            self.now = deadline;
            self.session.timer(self.now, &CFG);
            actions.extend(self.actions());
        }
        self.now = until;
        actions
    }
}

#[test]
fn a_session_is_small() {
    assert!(size_of::<Session>() <= 32, "{}", size_of::<Session>());
}

#[test]
fn v4_server_pings_after_the_interval_and_not_before() {
    let mut driven = Driven::v4(Transport::WebSocket);
    assert_eq!(driven.pass(24_999), []);
    assert_eq!(driven.pass(1), [Action::Send(Control::Ping)]);
    assert_eq!(driven.main(Packet::Pong("")), []);
    assert_eq!(driven.pass(24_999), []);
    assert_eq!(driven.pass(1), [Action::Send(Control::Ping)]);
}

#[test]
fn an_hour_of_heartbeats_keeps_the_session_open() {
    let mut driven = Driven::v4(Transport::Polling);
    for _ in 0..144 {
        assert_eq!(driven.pass(25_000), [Action::Send(Control::Ping)]);
        assert_eq!(driven.main(Packet::Pong("")), []);
    }
    assert!(driven.session.is_open());
}

#[test]
fn v4_session_without_a_pong_times_out() {
    let mut driven = Driven::v4(Transport::WebSocket);
    assert_eq!(driven.pass(44_999), [Action::Send(Control::Ping)]);
    assert_eq!(driven.pass(1), [Action::Closed(CloseReason::PingTimeout)]);
    assert_eq!(driven.session.next_deadline(), None);
    assert_eq!(driven.pass(1_000_000), []);
}

#[test]
fn messages_are_no_sign_of_life() {
    let mut driven = Driven::v4(Transport::WebSocket);
    for _ in 0..44 {
        driven.pass(1000);
        let message = Packet::Message(Message::Text("x"));
        assert!(
            driven
                .session
                .packet(Side::Main, message, driven.now, &CFG)
                .is_some()
        );
    }
    assert_eq!(
        driven.pass(1000),
        [Action::Closed(CloseReason::PingTimeout)]
    );
}

#[test]
fn a_ping_timeout_on_polling_answers_the_pending_poll_with_a_close() {
    let mut driven = Driven::v4(Transport::Polling);
    assert_eq!(
        driven.pass(45_000),
        [
            Action::Send(Control::Ping),
            Action::Send(Control::Close),
            Action::Closed(CloseReason::PingTimeout)
        ]
    );
}

#[test]
fn a_late_timer_still_gives_the_client_its_whole_timeout() {
    let mut driven = Driven::v4(Transport::WebSocket);
    driven.now += Millis(60_000);
    driven.session.timer(driven.now, &CFG);
    assert_eq!(driven.actions(), [Action::Send(Control::Ping)]);
    assert_eq!(
        driven.session.next_deadline(),
        Some(driven.now + Millis(20_000))
    );
}

#[test]
fn an_early_timer_does_nothing() {
    let mut driven = Driven::v4(Transport::WebSocket);
    let deadline = driven.session.next_deadline();
    driven.session.timer(driven.now, &CFG);
    assert_eq!(driven.actions(), []);
    assert_eq!(driven.session.next_deadline(), deadline);
}

#[test]
fn v3_server_answers_pings_without_their_data_and_times_out_after_silence() {
    let mut driven = Driven::new(Version::V3, Transport::WebSocket);
    assert_eq!(driven.pass(44_999), []);
    assert_eq!(
        driven.main(Packet::Ping("x")),
        [Action::Send(Control::Pong)]
    );
    assert_eq!(driven.pass(44_999), []);
    assert_eq!(driven.pass(1), [Action::Closed(CloseReason::PingTimeout)]);
}

#[test]
fn heartbeats_in_the_wrong_direction_are_transport_errors() {
    let mut v4 = Driven::v4(Transport::WebSocket);
    assert_eq!(
        v4.main(Packet::Ping("")),
        [Action::Closed(CloseReason::TransportError)]
    );
    let mut v3 = Driven::new(Version::V3, Transport::WebSocket);
    assert_eq!(
        v3.main(Packet::Pong("")),
        [Action::Closed(CloseReason::TransportError)]
    );
}

#[test]
fn packets_that_mean_nothing_here_are_ignored() {
    let mut driven = Driven::v4(Transport::WebSocket);
    for packet in [Packet::Open("{}"), Packet::Upgrade, Packet::Noop] {
        assert_eq!(driven.main(packet), []);
    }
    assert!(driven.session.is_open());
}

#[test]
fn a_close_packet_over_polling_frees_the_poll_and_closes() {
    let mut driven = Driven::v4(Transport::Polling);
    assert_eq!(
        driven.main(Packet::Close),
        [
            Action::AnswerPoll,
            Action::Closed(CloseReason::TransportClose)
        ]
    );
}

#[test]
fn a_close_packet_over_a_websocket_closes() {
    let mut driven = Driven::v4(Transport::WebSocket);
    assert_eq!(
        driven.main(Packet::Close),
        [Action::Closed(CloseReason::TransportClose)]
    );
}

#[test]
fn bytes_that_are_no_packet_are_a_parse_error() {
    let mut driven = Driven::v4(Transport::WebSocket);
    driven.session.parse_error(Side::Main);
    assert_eq!(driven.actions(), [Action::Closed(CloseReason::ParseError)]);
    let mut driven = Driven::v4(Transport::Polling);
    driven.session.parse_error(Side::Main);
    assert_eq!(
        driven.actions(),
        [
            Action::Send(Control::Close),
            Action::Closed(CloseReason::ParseError)
        ]
    );
}

#[test]
fn the_end_of_the_transport_is_the_end_of_the_session() {
    let mut driven = Driven::v4(Transport::WebSocket);
    driven.session.transport_ended(Side::Main, End::Closed);
    assert_eq!(
        driven.actions(),
        [Action::Closed(CloseReason::TransportClose)]
    );
    let mut driven = Driven::v4(Transport::WebSocket);
    driven.session.transport_ended(Side::Main, End::Error);
    assert_eq!(
        driven.actions(),
        [Action::Closed(CloseReason::TransportError)]
    );
}

#[test]
fn overlapping_polls_close_the_session_and_the_first_poll() {
    let mut driven = Driven::v4(Transport::Polling);
    driven.session.transport_ended(Side::Main, End::Error);
    assert_eq!(
        driven.actions(),
        [
            Action::Send(Control::Close),
            Action::Closed(CloseReason::TransportError)
        ]
    );
}

#[test]
fn the_server_closes_with_its_reason_and_says_so_on_polling_only() {
    let mut driven = Driven::v4(Transport::Polling);
    driven.session.close(CloseReason::ForcedClose);
    assert_eq!(
        driven.actions(),
        [
            Action::Send(Control::Close),
            Action::Closed(CloseReason::ForcedClose)
        ]
    );
    let mut driven = Driven::v4(Transport::WebSocket);
    driven.session.close(CloseReason::ServerShuttingDown);
    assert_eq!(
        driven.actions(),
        [Action::Closed(CloseReason::ServerShuttingDown)]
    );
}

#[test]
fn nothing_happens_after_the_end() {
    let mut driven = Driven::v4(Transport::Polling);
    driven.session.close(CloseReason::SlowReader);
    driven.actions();
    let message = Packet::Message(Message::Text("late"));
    assert_eq!(
        driven.session.packet(Side::Main, message, driven.now, &CFG),
        None
    );
    driven.session.parse_error(Side::Main);
    driven.session.transport_ended(Side::Main, End::Error);
    driven.session.close(CloseReason::ForcedClose);
    driven.session.timer(driven.now + Millis(1_000_000), &CFG);
    assert_eq!(
        driven.session.probe_opened(driven.now, &CFG),
        Err(HandshakeError::UnknownSid)
    );
    assert_eq!(driven.actions(), []);
    assert!(!driven.session.is_open());
}

#[test]
fn a_ping_that_was_not_sent_yet_is_dropped_by_the_end() {
    let mut driven = Driven::v4(Transport::WebSocket);
    driven.now += Millis(25_000);
    driven.session.timer(driven.now, &CFG);
    driven.session.close(CloseReason::ForcedClose);
    assert_eq!(driven.actions(), [Action::Closed(CloseReason::ForcedClose)]);
}

#[test]
fn a_probe_is_answered_polls_are_freed_and_the_upgrade_switches() {
    let mut driven = Driven::upgrading();
    assert!(driven.session.is_upgrading());
    assert_eq!(
        driven.pass(1000),
        [],
        "polls are freed only after the probe's ping"
    );
    assert_eq!(
        driven.probe(Packet::Ping("probe")),
        [Action::SendProbe(Control::PongProbe)]
    );
    assert_eq!(driven.pass(99), []);
    assert_eq!(driven.pass(1), [Action::AnswerPoll]);
    assert_eq!(driven.pass(250), [Action::AnswerPoll, Action::AnswerPoll]);
    assert_eq!(driven.probe(Packet::Upgrade), [Action::Upgraded]);
    assert_eq!(driven.session.transport(), Transport::WebSocket);
    assert!(!driven.session.is_upgrading());
    assert_eq!(driven.pass(1000), [], "no more polls to free");
}

#[test]
fn a_message_over_polling_is_delivered_during_an_upgrade() {
    let mut driven = Driven::upgrading();
    driven.probe(Packet::Ping("probe"));
    let message = Packet::Message(Message::Text("hello"));
    let delivered = driven.session.packet(Side::Main, message, driven.now, &CFG);
    assert_eq!(delivered, Some(Message::Text("hello")));
    assert!(driven.session.is_upgrading());
}

#[test]
fn the_first_message_after_the_upgrade_is_delivered_whatever_its_side_is_called() {
    let mut driven = Driven::upgrading();
    driven.probe(Packet::Upgrade);
    for side in [Side::Probe, Side::Main] {
        let message = Packet::Message(Message::Text("hello"));
        let delivered = driven.session.packet(side, message, driven.now, &CFG);
        assert_eq!(delivered, Some(Message::Text("hello")));
    }
}

#[test]
fn any_other_packet_closes_the_probe_and_only_the_probe() {
    let others = [
        Packet::Message(Message::Text("x")),
        Packet::Ping(""),
        Packet::Pong("probe"),
        Packet::Close,
        Packet::Noop,
    ];
    for packet in others {
        let mut driven = Driven::upgrading();
        assert_eq!(driven.probe(packet), [Action::CloseProbe]);
        assert!(driven.session.is_open());
        assert!(!driven.session.is_upgrading());
        assert_eq!(driven.session.transport(), Transport::Polling);
        assert_eq!(
            driven.probe(Packet::Upgrade),
            [],
            "a probe given up can't take over"
        );
        assert_eq!(driven.session.transport(), Transport::Polling);
    }
}

#[test]
fn a_probe_that_ends_or_fails_leaves_the_session_to_another() {
    for end in [End::Closed, End::Error] {
        let mut driven = Driven::upgrading();
        driven.probe(Packet::Ping("probe"));
        driven.session.transport_ended(Side::Probe, end);
        assert_eq!(driven.actions(), []);
        assert_eq!(driven.pass(1000), []);
        assert_eq!(driven.session.probe_opened(driven.now, &CFG), Ok(()));
    }
    let mut driven = Driven::upgrading();
    driven.session.parse_error(Side::Probe);
    assert_eq!(driven.actions(), [Action::CloseProbe]);
    assert!(driven.session.is_open());
}

#[test]
fn an_upgrade_that_takes_too_long_closes_the_probe_only() {
    let mut driven = Driven::upgrading();
    assert_eq!(driven.pass(9_999), []);
    assert_eq!(driven.pass(1), [Action::CloseProbe]);
    assert!(driven.session.is_open());
    assert_eq!(driven.pass(15_000), [Action::Send(Control::Ping)]);
}

#[test]
fn a_second_probe_is_refused_and_the_first_goes_on() {
    let mut driven = Driven::upgrading();
    assert_eq!(
        driven.session.probe_opened(driven.now, &CFG),
        Err(HandshakeError::BadRequest)
    );
    assert_eq!(driven.probe(Packet::Upgrade), [Action::Upgraded]);
    assert_eq!(
        driven.session.probe_opened(driven.now, &CFG),
        Err(HandshakeError::BadRequest)
    );
}

#[test]
fn a_probe_is_refused_where_upgrades_are_off() {
    let mut driven = Driven::v4(Transport::Polling);
    let cfg = SessionConfig {
        allow_upgrades: false,
        ..CFG
    };
    assert_eq!(
        driven.session.probe_opened(driven.now, &cfg),
        Err(HandshakeError::BadRequest)
    );
    let mut driven = Driven::v4(Transport::WebSocket);
    assert_eq!(
        driven.session.probe_opened(driven.now, &CFG),
        Err(HandshakeError::BadRequest)
    );
}

#[test]
fn a_ping_that_is_under_way_during_an_upgrade_still_times_out() {
    let mut driven = Driven::v4(Transport::Polling);
    assert_eq!(driven.pass(25_000), [Action::Send(Control::Ping)]);
    driven.session.probe_opened(driven.now, &CFG).unwrap();
    driven.pass(5000);
    assert_eq!(driven.probe(Packet::Upgrade), [Action::Upgraded]);
    assert_eq!(driven.pass(19_999), []);
    assert_eq!(driven.pass(1), [Action::Closed(CloseReason::PingTimeout)]);
}

#[test]
fn an_upgrade_does_not_put_off_the_next_ping() {
    let mut driven = Driven::upgrading();
    driven.pass(5000);
    driven.probe(Packet::Upgrade);
    assert_eq!(driven.pass(20_000), [Action::Send(Control::Ping)]);
}

#[test]
fn a_close_during_an_upgrade_closes_both_transports() {
    let mut driven = Driven::upgrading();
    driven.probe(Packet::Ping("probe"));
    driven.session.close(CloseReason::ForcedClose);
    assert_eq!(
        driven.actions(),
        [
            Action::CloseProbe,
            Action::Send(Control::Close),
            Action::Closed(CloseReason::ForcedClose)
        ]
    );
}

#[test]
fn the_end_of_polling_during_an_upgrade_ends_the_session_and_the_probe() {
    let mut driven = Driven::upgrading();
    driven.session.transport_ended(Side::Main, End::Closed);
    assert_eq!(
        driven.actions(),
        [
            Action::CloseProbe,
            Action::Closed(CloseReason::TransportClose)
        ]
    );
}

#[test]
fn the_clock_may_stand_near_its_end() {
    let now = Millis(u64::MAX - 1);
    let mut session = Session::new(Version::V4, Transport::Polling, now, &CFG);
    session.timer(now, &CFG);
    assert_eq!(session.poll(), None);
    assert_eq!(session.next_deadline(), Some(Millis(u64::MAX)));
}
