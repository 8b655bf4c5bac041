//! The server: event loops, the acceptor, and their end.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use lakh_hub::Hub;
use thiserror::Error;
use tokio::runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use crate::accept::{AcceptAction, AcceptErrors, Accepted, ListenError, Listener, LoopLoads};
use crate::drain::{LifePhase, Lifecycle};
use crate::event_loop::EventLoop;
use crate::limits::{ConnectionCap, HandshakeRate, Refusal};
use crate::options::Options;
use crate::pressure::Pressure;
use crate::response::write_refusal;
use crate::shared::{Counters, Message, REFUSALS, Shared};
use crate::stream::Guard;

/// Messages from other loops that may wait for one loop. Who sends more waits.
const INBOX: usize = 4096;
/// Connections accepted before the sessions of the acceptor's own loop get their turn.
const ACCEPTS_A_TURN: usize = 64;
/// How long connections that were begun here, where another process takes the next, get to say what they want. Longer
/// than a handshake takes around the world.
const LEAVE: Duration = Duration::from_secs(1);
/// What is left of HTTP answers after the drain window gets this long.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// Why the server did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// There is no listening.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A thread or its event loop can't be made.
    #[error("can't start an event loop: {0}; check the limits of threads and file descriptors")]
    Loop(#[from] std::io::Error),
}

/// A server that isn't running yet.
#[derive(Debug)]
pub struct Server {
    hub: Hub,
    options: Options,
    router: Option<axum::Router>,
}

impl Server {
    /// A server for this hub.
    #[must_use]
    pub fn new(hub: Hub, options: Options) -> Self {
        Self {
            hub,
            options,
            router: None,
        }
    }

    /// Answers all HTTP requests that aren't the engine's. Requests carry the client's address as
    /// `ConnectInfo<SocketAddr>`.
    #[must_use]
    pub fn router(mut self, router: axum::Router) -> Self {
        self.router = Some(router);
        self
    }

    /// Starts the event loops and listens.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(self) -> Result<Running, StartError> {
        let loops = self.hub.shard_count();
        let (inboxes, receivers): (Vec<_>, Vec<_>) =
            (0..loops).map(|_| mpsc::channel(INBOX)).unzip();
        let shared = Arc::new(Shared {
            cap: ConnectionCap::new(self.options.connections),
            rate: HandshakeRate::new(self.options.handshakes),
            pressure: Arc::new(Pressure::new(self.options.max_lag_ms, loops)),
            lifecycle: Lifecycle::new(),
            router: self.router,
            inboxes: inboxes.into(),
            counters: Counters::new(loops),
            hub: self.hub,
            options: self.options,
        });
        let (listening, bound) = std::sync::mpsc::channel();
        let mut threads = Vec::new();
        for (index, inbox) in receivers.into_iter().enumerate() {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let (shared, listening) =
                (Arc::clone(&shared), (index == 0).then(|| listening.clone()));
            let thread = std::thread::Builder::new().name(format!("loop-{index}"));
            threads
                .push(thread.spawn(move || run_loop(&runtime, &shared, index, inbox, listening))?);
        }
        drop(listening);
        let bound = bound
            .recv()
            .unwrap_or_else(|_| Err(std::io::Error::other("it ended at once").into()));
        if bound.is_err() {
            shared.lifecycle.advance(LifePhase::Stopped);
        }
        Ok(Running {
            address: bound?,
            shared,
            threads,
        })
    }

    /// Starts, and runs until SIGTERM or SIGINT: then drains and returns. A second signal ends the process at once.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn run(self) -> Result<(), StartError> {
        let running = self.start()?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            terminated().await?;
            tokio::select! {
                () = running.drain() => Ok(()),
                _ = terminated() => std::process::exit(130),
            }
        })
    }
}

async fn terminated() -> Result<(), std::io::Error> {
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = term.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}

fn listen(shared: &Shared) -> Result<Listener, ListenError> {
    let options = &shared.options;
    let write_ms = options.timeouts.write_ms;
    match &options.inherited {
        Some(inherited) => {
            Listener::adopt(inherited, write_ms).map_err(|error| ListenError::Other {
                address: "the inherited socket".to_owned(),
                error,
            })
        }
        None => Listener::bind(&options.listen, options.port, options.backlog, write_ms),
    }
}

type Listening = std::sync::mpsc::Sender<Result<Option<SocketAddr>, StartError>>;

fn run_loop(
    runtime: &runtime::Runtime,
    shared: &Arc<Shared>,
    index: usize,
    inbox: mpsc::Receiver<Message>,
    listening: Option<Listening>,
) {
    let local = LocalSet::new();
    let shared = Arc::clone(shared);
    let serve = async move {
        let lp = EventLoop::new(Arc::clone(&shared), index);
        if let Some(listening) = listening {
            let listener = match listen(&shared) {
                Ok(listener) => listener,
                // `start` waits for this; it can't be gone.
                Err(error) => return drop(listening.send(Err(error.into()))),
            };
            drop(listening.send(Ok(listener.local_addr())));
            tokio::task::spawn_local(listen_while_due(Rc::clone(&lp), listener));
        }
        lp.run(inbox).await;
    };
    // As a task: what `block_on` itself waits for is polled in every turn, whatever it was that woke the thread.
    let served = local.spawn_local(serve);
    let ended = local.block_on(runtime, served);
    if let Some(panic) = ended.err().and_then(|error| error.try_into_panic().ok()) {
        std::panic::resume_unwind(panic);
    }
    // Connections end with the tasks that hold them, while the shard is still there for them.
    drop(local);
    lakh_hub::Shard::exit();
}

/// Takes connections for as long as this process shall.
///
/// A port of its own is held to the end: balancers then read from `/ready` that it drains. One that is shared is left to
/// the others as soon as the drain begins, and what came this way is served before.
async fn listen_while_due(lp: Rc<EventLoop>, listener: Listener) {
    let options = &lp.shared.options;
    let mut acceptor = Acceptor::new(&lp, &listener);
    if !options.shares_its_port() {
        return acceptor.accept_until(LifePhase::Stopped).await;
    }
    acceptor.accept_until(LifePhase::Leaving).await;
    // All who hold an inherited socket take from the same queue: what waits there is theirs.
    if options.inherited.is_some() {
        return;
    }
    if let Err(error) = listener.refuse_newcomers() {
        tracing::warn!(%error, "connections that are just being made may be reset");
    }
    acceptor.accept_until(LifePhase::Draining).await;
    // The last ones.
    let last = listener.try_accept();
    acceptor.deal_out(last).await;
}

/// Takes connections and deals them out to the loops.
struct Acceptor<'a> {
    lp: &'a Rc<EventLoop>,
    listener: &'a Listener,
    loads: Arc<LoopLoads>,
    errors: AcceptErrors,
}

impl<'a> Acceptor<'a> {
    fn new(lp: &'a Rc<EventLoop>, listener: &'a Listener) -> Self {
        Self {
            lp,
            listener,
            loads: LoopLoads::new(lp.shared.inboxes.len()),
            errors: AcceptErrors::default(),
        }
    }

    /// Ends only between two connections: what is taken must be dealt.
    async fn accept_until(&mut self, phase: LifePhase) {
        let over = self.lp.shared.lifecycle.reached(phase);
        tokio::pin!(over);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut over => return,
                accepted = self.listener.accept() => accepted,
            };
            if !self.deal_out(accepted).await {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Deals this one, and as many of those that wait behind it as fit into a turn. `false`: the listener is broken.
    async fn deal_out(&mut self, mut accepted: std::io::Result<Accepted>) -> bool {
        let mut turns = 1;
        loop {
            match accepted {
                Ok(connection) => deal(self.lp, &self.loads, connection).await,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return true,
                Err(error) => match self.errors.decide(&error, self.lp.shared.hub.clock_ms()) {
                    AcceptAction::Next => {}
                    AcceptAction::BackOff { ms, log } => {
                        if let Some(failed) = log {
                            tracing::warn!(%error, failed, "no connection can be accepted for now; check `ulimit -n`");
                        }
                        tokio::time::sleep(Duration::from_millis(ms)).await;
                        return true;
                    }
                    AcceptAction::Fatal => {
                        tracing::error!(%error, "the listener failed; no further connection will come");
                        return false;
                    }
                },
            }
            // Asked before the next one is taken: what is taken must be dealt.
            if turns == ACCEPTS_A_TURN {
                return true;
            }
            turns += 1;
            accepted = self.listener.try_accept();
        }
    }
}

async fn deal(lp: &Rc<EventLoop>, loads: &Arc<LoopLoads>, connection: Accepted) {
    let shared = &lp.shared;
    shared.counters.accepted.fetch_add(1, Ordering::Relaxed);
    let permit = match shared.cap.try_open() {
        Ok(permit) => permit,
        Err(refusal) => {
            shared.counters.refused("full");
            return turn_away(connection, refusal, shared.hub.random());
        }
    };
    let place = loads.assign();
    let index = place.index();
    let guard = Guard::new(permit, place);
    if index == lp.index {
        return crate::greet::start(lp, connection, guard);
    }
    // Fails only when that loop has ended, and then the server is ending.
    let _ = shared.inboxes[index]
        .send(Message::Accepted(connection, guard))
        .await;
}

/// Answers without waiting for the request: it's cheaper than a task, and clients read it as the answer all the same.
fn turn_away(connection: Accepted, refusal: Refusal, random: u32) {
    use std::io::Write;
    let mut answer = bytes::BytesMut::new();
    write_refusal(&mut answer, refusal, random);
    // A fresh connection's buffer takes these few bytes; if not, closing says enough.
    match connection {
        Accepted::Tcp(mut stream, _) => {
            let _ = stream.write(&answer);
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        Accepted::Unix(mut stream) => {
            let _ = stream.write(&answer);
        }
    }
}

/// A server that is running. Dropping it stops the loops without draining.
#[derive(Debug)]
pub struct Running {
    address: Option<SocketAddr>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// What the sockets count, from the start on.
#[derive(Clone, Debug, Default)]
pub struct NetStats {
    /// Connections open now.
    pub connections: usize,
    /// Connections accepted.
    pub accepted: u64,
    /// Bytes of messages and payloads received.
    pub bytes_in: u64,
    /// Bytes of messages and payloads sent.
    pub bytes_out: u64,
    /// Loops that write through io_uring.
    pub io_uring_loops: usize,
    /// Connections and handshakes refused, by reason.
    pub refused: Vec<(&'static str, u64)>,
}

/// A view on a running server's sockets, for metrics.
#[derive(Clone, Debug)]
pub struct Observer(Arc<Shared>);

impl Observer {
    /// The counters.
    #[must_use]
    pub fn stats(&self) -> NetStats {
        let counters = &self.0.counters;
        let refused = REFUSALS
            .iter()
            .zip(&counters.refused)
            .map(|(why, count)| (*why, count.load(Ordering::Relaxed)));
        NetStats {
            connections: self.0.cap.open(),
            accepted: counters.accepted.load(Ordering::Relaxed),
            bytes_in: counters.loops.iter().map(|own| own.bytes_in.get()).sum(),
            bytes_out: counters.loops.iter().map(|own| own.bytes_out.get()).sum(),
            io_uring_loops: counters
                .loops
                .iter()
                .filter(|own| own.io_uring.load(Ordering::Relaxed))
                .count(),
            refused: refused.collect(),
        }
    }

    /// Whether new sessions are taken.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.lifecycle.is_ready()
    }
}

impl Running {
    /// Where it listens; `None` on a Unix socket.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.address
    }

    /// A view on its sockets.
    #[must_use]
    pub fn observer(&self) -> Observer {
        Observer(Arc::clone(&self.shared))
    }

    /// Takes no new sessions, closes those that are open spread over the drain window, and stops the loops. Where other
    /// processes take connections on the same port, it is left to them first.
    pub async fn drain(self) {
        if self.shared.options.shares_its_port() {
            self.shared.lifecycle.advance(LifePhase::Leaving);
            tokio::time::sleep(LEAVE).await;
        }
        self.shared.lifecycle.advance(LifePhase::Draining);
        let window = Duration::from_millis(self.shared.options.drain_window_ms);
        let over = tokio::time::sleep(window);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => break,
                () = tokio::time::sleep(Duration::from_millis(20)) => {
                    if self.shared.hub.stats().sessions == 0 {
                        break;
                    }
                }
            }
        }
        tokio::time::sleep(LAST_ANSWERS).await;
        self.stop().await;
    }

    /// Stops at once.
    pub async fn stop(mut self) {
        self.shared.lifecycle.advance(LifePhase::Stopped);
        let threads = std::mem::take(&mut self.threads);
        let (done, wait) = oneshot::channel();
        std::thread::spawn(move || {
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("an event loop had panicked");
                }
            }
            // Who waited may have given up.
            let _ = done.send(());
        });
        let _ = wait.await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.lifecycle.advance(LifePhase::Stopped);
    }
}
