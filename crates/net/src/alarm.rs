//! Waking a loop within microseconds of a time.
//!
//! The runtime's timers count in milliseconds and round up: they made two to three of a wait of 1.5 ms.

use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, Sleep};

use crate::accept::register;

/// One time to be woken at.
pub(crate) enum Alarm {
    Precise(AsyncFd<OwnedFd>),
    /// Where the kernel gives no timer: a little late is better than never.
    Late(Pin<Box<Sleep>>),
}

impl Alarm {
    /// Set to no time yet. To be called on a runtime.
    pub(crate) fn new() -> Self {
        Self::precise().unwrap_or_else(|error| {
            tracing::debug!(%error, "the kernel gives no timer; crowds are written to a little later");
            Self::Late(Box::pin(tokio::time::sleep(Duration::ZERO)))
        })
    }

    fn precise() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self::Precise(register(timer)?))
    }

    /// The one time that counts from now on.
    pub(crate) fn set(&mut self, wait: Duration) {
        let set = match self {
            Self::Late(sleep) => {
                sleep.as_mut().reset(Instant::now() + wait);
                return;
            }
            Self::Precise(timer) => set(timer, wait),
        };
        if let Err(error) = set {
            // It can't be, with a descriptor and a time such as these; whoever waits is not to wait for ever.
            tracing::warn!(%error, "a timer could not be set; crowds are written to a little later");
            *self = Self::Late(Box::pin(tokio::time::sleep(wait)));
        }
    }

    /// Ready when the time has come.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Late(sleep) => sleep.as_mut().poll(cx),
            Self::Precise(timer) => loop {
                let Ok(mut guard) = ready!(timer.poll_read_ready(cx)) else {
                    // The runtime ends.
                    return Poll::Ready(());
                };
                let rung = rustix::io::read(timer.get_ref(), &mut [0; size_of::<u64>()]);
                guard.clear_ready();
                // If not, it was set anew after it had rung.
                if rung.is_ok() {
                    return Poll::Ready(());
                }
            },
        }
    }
}

fn set(timer: &AsyncFd<OwnedFd>, wait: Duration) -> io::Result<()> {
    let none = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // A time of nothing would turn it off.
    let wait = wait.max(Duration::from_nanos(1));
    let time = Itimerspec {
        it_interval: none,
        it_value: Timespec {
            tv_sec: wait.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: wait.subsec_nanos().into(),
        },
    };
    timerfd_settime(timer.get_ref(), TimerfdTimerFlags::empty(), &time)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn rings(mut alarm: Alarm) {
        let began = Instant::now();
        let short = Duration::from_micros(300);
        for wait in [Duration::ZERO, short, short] {
            alarm.set(wait);
            poll_fn(|cx| alarm.poll(cx)).await;
        }
        assert!(began.elapsed() >= 2 * short);
        // What has rung and was not heard is over once another time is set.
        alarm.set(short);
        tokio::time::sleep(10 * short).await;
        alarm.set(Duration::from_secs(3600));
        let heard = tokio::time::timeout(10 * short, poll_fn(|cx| alarm.poll(cx)));
        assert!(heard.await.is_err());
    }

    #[tokio::test]
    async fn it_rings_once_for_each_time_and_never_early() {
        rings(Alarm::precise().expect("a timer")).await;
        rings(Alarm::Late(Box::pin(tokio::time::sleep(Duration::ZERO)))).await;
    }
}
