//! How long each phase of a connection may take, and how slow a request's body may trickle in.
//!
//! Invariant: every phase of a connection that waits for a stranger has a deadline from this file; what is idle on
//! purpose (an open session, a pending poll) is bounded by the session's own heartbeat instead. All times are
//! milliseconds on a monotonic clock and come in as arguments. The body rule is Kestrel's (240 bytes a second
//! after 5 s of grace), made strict: an early burst doesn't pay for an hour of silence.

/// What a connection is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The PROXY protocol header.
    ProxyHeader,
    /// The TLS handshake.
    Tls,
    /// A request's head, from its first byte (or from the start of the connection) to the blank line.
    Head,
    /// A request's body as a whole.
    Body,
    /// The next request on a connection kept alive.
    KeepAliveIdle,
    /// The peer's taking of bytes that are ready for it.
    Write,
    /// The peer's answer to our close (WebSocket close frame, TLS close_notify, FIN).
    Close,
}

/// The longest that each phase may last, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseTimeouts {
    /// A proxy sends its header with the first packet. Default 5 s.
    pub proxy_header_ms: u64,
    /// Two round trips and a signature. Default 10 s.
    pub tls_ms: u64,
    /// A head fits in a few packets. Default 10 s.
    pub head_ms: u64,
    /// A body within its size limit; [`BodyRate`] ends a trickle earlier. Default 60 s.
    pub body_ms: u64,
    /// Longer than the 60 s for which nginx keeps its connections, or it would sometimes send a request into a
    /// connection that is just being closed. Default 75 s.
    pub keep_alive_idle_ms: u64,
    /// A response that makes no progress. Default 30 s.
    pub write_ms: u64,
    /// A close that isn't answered. Default 5 s.
    pub close_ms: u64,
}

impl Default for PhaseTimeouts {
    fn default() -> Self {
        Self {
            proxy_header_ms: 5_000,
            tls_ms: 10_000,
            head_ms: 10_000,
            body_ms: 60_000,
            keep_alive_idle_ms: 75_000,
            write_ms: 30_000,
            close_ms: 5_000,
        }
    }
}

impl PhaseTimeouts {
    /// When a phase that began at `since_ms` ends.
    #[must_use]
    pub fn deadline_ms(&self, phase: Phase, since_ms: u64) -> u64 {
        since_ms.saturating_add(match phase {
            Phase::ProxyHeader => self.proxy_header_ms,
            Phase::Tls => self.tls_ms,
            Phase::Head => self.head_ms,
            Phase::Body => self.body_ms,
            Phase::KeepAliveIdle => self.keep_alive_idle_ms,
            Phase::Write => self.write_ms,
            Phase::Close => self.close_ms,
        })
    }
}

/// The least speed of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyRate {
    /// Bytes a second. 0 switches the rule off.
    pub min_bytes_per_s: u32,
    /// How long a body may pause, however fast it came before. Milliseconds.
    pub grace_ms: u64,
}

impl Default for BodyRate {
    fn default() -> Self {
        Self {
            min_bytes_per_s: 240,
            grace_ms: 5_000,
        }
    }
}

/// One body on its way in. Its deadline moves on with each byte, by the time that the byte is worth, and never
/// further than the grace from now: so one timer a body is enough, and no history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyProgress {
    rate: BodyRate,
    deadline_us: u64,
}

impl BodyProgress {
    /// A body that begins now.
    #[must_use]
    pub fn new(rate: BodyRate, now_ms: u64) -> Self {
        let deadline_us = us(now_ms.saturating_add(rate.grace_ms));
        Self { rate, deadline_us }
    }

    /// `bytes` of the body came.
    pub fn received(&mut self, bytes: usize, now_ms: u64) {
        let rate = u64::from(self.rate.min_bytes_per_s).max(1);
        // Microseconds, since a byte of a body at full trickle is worth 4 ms and a fraction.
        let worth_us = (bytes as u64).saturating_mul(1_000_000) / rate;
        self.deadline_us = self
            .deadline_us
            .saturating_add(worth_us)
            .min(us(now_ms.saturating_add(self.rate.grace_ms)));
    }

    /// When the body is too slow if nothing more comes; `None` when the rule is off.
    #[must_use]
    pub fn deadline_ms(&self) -> Option<u64> {
        (self.rate.min_bytes_per_s > 0).then(|| self.deadline_us.div_ceil(1000))
    }

    /// Whether the body is too slow by now.
    #[must_use]
    pub fn is_too_slow(&self, now_ms: u64) -> bool {
        self.deadline_ms()
            .is_some_and(|deadline| now_ms >= deadline)
    }
}

fn us(ms: u64) -> u64 {
    ms.saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: BodyRate = BodyRate {
        min_bytes_per_s: 240,
        grace_ms: 5_000,
    };

    /// Sends `bytes` each `every_ms` and says when the body was given up, if it was within an hour.
    fn trickle(bytes: usize, every_ms: u64) -> Option<u64> {
        let mut body = BodyProgress::new(RATE, 0);
        for now in (every_ms..3_600_000).step_by(usize::try_from(every_ms).ok()?) {
            if body.is_too_slow(now) {
                return body.deadline_ms();
            }
            body.received(bytes, now);
        }
        None
    }

    #[test]
    fn a_body_at_the_least_speed_is_never_too_slow() {
        assert_eq!(trickle(240, 1_000), None);
        assert_eq!(trickle(24, 100), None);
    }

    #[test]
    fn a_body_below_the_least_speed_is_given_up() {
        // Half the speed loses half a second each second: the grace of 5 s lasts for 9.
        assert_eq!(trickle(120, 1_000), Some(9_000));
        assert_eq!(trickle(1, 1_000), Some(5_021));
    }

    #[test]
    fn silence_ends_a_body_after_the_grace() {
        let body = BodyProgress::new(RATE, 100);
        assert!(!body.is_too_slow(5_099));
        assert!(body.is_too_slow(5_100));
    }

    #[test]
    fn an_early_burst_does_not_pay_for_a_later_silence() {
        let mut body = BodyProgress::new(RATE, 0);
        body.received(1_000_000, 10);
        assert_eq!(body.deadline_ms(), Some(5_010));
    }

    #[test]
    fn a_rate_of_zero_switches_the_rule_off() {
        let off = BodyRate {
            min_bytes_per_s: 0,
            grace_ms: 1,
        };
        let mut body = BodyProgress::new(off, 0);
        body.received(5, 1);
        assert!(!body.is_too_slow(u64::MAX));
    }

    #[test]
    fn every_phase_has_a_deadline_after_its_start() {
        let timeouts = PhaseTimeouts::default();
        assert_eq!(timeouts.deadline_ms(Phase::Head, 1_000), 11_000);
        assert_eq!(timeouts.deadline_ms(Phase::KeepAliveIdle, 0), 75_000);
        assert_eq!(timeouts.deadline_ms(Phase::Tls, u64::MAX), u64::MAX);
    }
}
