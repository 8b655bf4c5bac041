//! Time: one monotonic clock for schedules and stamps, and a timer that wakes the loop in time.
//!
//! `epoll_wait` knows milliseconds only. At 2,000 broadcasts a second that would send them in pairs, which is another
//! load than the one asked for; a timerfd wakes to the microsecond.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

use crate::error::LoadError;

/// Nanoseconds of the machine's monotonic clock: generators that run beside each other read the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    zero: Instant,
    /// What the machine's clock showed then.
    zero_ns: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let zero = Instant::now();
        let shown = clock_gettime(ClockId::Monotonic);
        // Since the machine was started, so never negative.
        let zero_ns = shown.tv_sec as u64 * 1_000_000_000 + shown.tv_nsec as u64;
        Self { zero, zero_ns }
    }

    #[inline]
    pub(crate) fn now_ns(&self) -> u64 {
        self.zero_ns + self.zero.elapsed().as_nanos() as u64
    }
}

/// A timer that the epoll loop waits for.
#[derive(Debug)]
pub(crate) struct Timer {
    pub(crate) fd: OwnedFd,
}

impl Timer {
    pub(crate) fn new() -> Result<Self, LoadError> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)
            .map_err(LoadError::system("making a timer"))?;
        Ok(Self { fd })
    }

    /// Fires once after `delay`, which must not be zero: zero would switch the timer off.
    pub(crate) fn arm(&self, delay: Duration) -> Result<(), LoadError> {
        let value = Timespec {
            tv_sec: delay.as_secs() as i64,
            tv_nsec: i64::from(delay.subsec_nanos().max(1)),
        };
        let once = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: value,
        };
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &once)
            .map_err(LoadError::system("arming a timer"))?;
        Ok(())
    }

    /// Takes note that it has fired.
    pub(crate) fn clear(&self) {
        // Fails only if it hasn't fired, which is as good.
        let _ = rustix::io::read(&self.fd, &mut [0u8; 8]);
    }
}
