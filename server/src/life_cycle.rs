//! Start, drain, end: what a signal does.
//!
//! What must hold: the first SIGTERM or SIGINT starts the drain and the process then ends with 0; a second one ends it
//! at once with 128 and the signal's number, as a shell would report it.

use std::future::Future;
use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// A signal that asks the server to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: a service manager asks.
    Terminate,
    /// SIGINT: a person pressed Ctrl-C.
    Interrupt,
    /// No signal: the API asks.
    Asked,
}

impl Signal {
    /// The exit code of a process that it ended at once.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            // What the API asks is asked once, so it cuts nothing short.
            Self::Terminate | Self::Asked => 143,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::Asked => "a request to the API",
        }
    }
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End<T> {
    /// After a signal, drained: what the drain gave.
    Drained(T),
    /// At once, by a second signal.
    Cut(Signal),
}

/// Takes over SIGTERM and SIGINT; each arrives in the channel, and so does what is sent to it. Needs a tokio runtime.
pub fn signals() -> io::Result<(mpsc::Sender<Signal>, mpsc::Receiver<Signal>)> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (ask, receive) = mpsc::channel(4);
    let send = ask.clone();
    tokio::spawn(async move {
        loop {
            let signal = tokio::select! {
                Some(()) = terminate.recv() => Signal::Terminate,
                Some(()) = interrupt.recv() => Signal::Interrupt,
                else => return,
            };
            // Full means that two are waiting already, and no third can say more.
            if let Err(mpsc::error::TrySendError::Closed(_)) = send.try_send(signal) {
                return;
            }
        }
    });
    Ok((ask, receive))
}

/// Takes over SIGHUP, and calls `reload` for each.
pub fn on_hangup(mut reload: impl FnMut() + Send + 'static) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            reload();
        }
    });
    Ok(())
}

/// Waits for a signal and for the drain that it starts, or for the next signal.
pub async fn run<D: Future>(
    signals: &mut mpsc::Receiver<Signal>,
    drain: impl FnOnce(Signal) -> D,
) -> End<D::Output> {
    // The channel stays open: what feeds it lives as long as the runtime.
    let Some(first) = signals.recv().await else {
        return std::future::pending().await;
    };
    tokio::select! {
        output = drain(first) => End::Drained(output),
        Some(second) = signals.recv() => End::Cut(second),
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn the_first_signal_starts_the_drain_and_its_end_is_the_end() {
        let (send, mut signals) = mpsc::channel(2);
        send.send(Signal::Terminate).await.unwrap();
        let end = run(&mut signals, |signal| async move {
            tokio::task::yield_now().await;
            signal
        })
        .await;
        assert_eq!(end, End::Drained(Signal::Terminate));
    }

    #[tokio::test]
    async fn a_second_signal_ends_at_once() {
        let (send, mut signals) = mpsc::channel(2);
        send.send(Signal::Terminate).await.unwrap();
        send.send(Signal::Interrupt).await.unwrap();
        let end = run(&mut signals, |_| pending::<()>()).await;
        assert_eq!(end, End::Cut(Signal::Interrupt));
        assert_eq!(Signal::Interrupt.exit_code(), 130);
        assert_eq!(Signal::Terminate.exit_code(), 143);
    }
}
