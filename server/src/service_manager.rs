//! What a service manager hands over and is told, in systemd's words: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3).
//!
//! What must hold: without a service manager nothing here does anything; and the watchdog hears of us only while every
//! event loop answers, so a process that is stuck is started again.

use std::future::Future;
use std::io;
use std::time::Duration;

use lakh_net::accept::Inherited;
use listenfd::ListenFd;
use sd_notify::NotifyState;

/// What closing takes beside the drain window: the last answers and the store.
const CLOSING: Duration = Duration::from_secs(30);

/// Why a socket that was handed over can't be used.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    /// Which one would be meant?
    #[error("{0} sockets were handed over: one is served, so name one in the .socket unit")]
    Several(usize),
    /// A datagram socket, a file, …
    #[error("what was handed over is no listening stream socket: {0}")]
    Other(io::Error),
}

/// The listening socket that was handed over, if one was.
pub fn inherited() -> Result<Option<Inherited>, InheritError> {
    let mut all = ListenFd::from_env();
    match all.len() {
        0 => return Ok(None),
        1 => {}
        several => return Err(InheritError::Several(several)),
    }
    if let Ok(Some(tcp)) = all.take_tcp_listener(0) {
        return Ok(Some(Inherited::Tcp(tcp)));
    }
    let unix = all.take_unix_listener(0).map_err(InheritError::Other)?;
    Ok(unix.map(Inherited::Unix))
}

/// Clients can connect now.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The end has begun; it takes the drain window and a little more.
pub fn stopping(drain_window: Duration) {
    let most = (drain_window + CLOSING).as_micros();
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status("draining"),
        NotifyState::ExtendTimeoutUsec(u32::try_from(most).unwrap_or(u32::MAX)),
    ]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// Gives the watchdog, where there is one, its signs of life, for as long as this is polled.
pub async fn watch<F: Future<Output = bool>>(is_well: impl Fn() -> F) {
    let Some(patience) = sd_notify::watchdog_enabled() else {
        return;
    };
    let sign = || tell(&[NotifyState::Watchdog]);
    feed(patience / 2, is_well, sign).await;
}

/// A sign each period in which all is well.
async fn feed<F: Future<Output = bool>>(
    period: Duration,
    is_well: impl Fn() -> F,
    sign: impl Fn(),
) {
    loop {
        tokio::time::sleep(period).await;
        if is_well().await {
            sign();
        } else {
            tracing::error!("event loops do not answer: the watchdog gets no sign of life");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_hears_of_us_only_while_all_is_well() {
        let (asked, signs) = (Cell::new(0), Cell::new(0));
        let is_well = || {
            asked.set(asked.get() + 1);
            // Stuck after the third.
            let well = asked.get() <= 3;
            async move { well }
        };
        let feeding = feed(Duration::from_secs(1), is_well, || {
            signs.set(signs.get() + 1)
        });
        let ended = tokio::time::timeout(Duration::from_millis(10_500), feeding).await;
        assert!(ended.is_err());
        assert_eq!((asked.get(), signs.get()), (10, 3));
    }

    #[test]
    fn without_a_service_manager_nothing_is_handed_over() {
        assert!(inherited().unwrap().is_none());
    }
}
