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

use crate::accept::{
    AcceptAction, AcceptErrors, Accepted, ListenAddress, ListenError, Listener, LoopLoads, Port,
};
use crate::drain::{LifePhase, Lifecycle};
use crate::event_loop::EventLoop;
use crate::limits::{ConnectionCap, HandshakeRate, Refusal};
use crate::observe::Observer;
use crate::options::Options;
use crate::pressure::Pressure;
use crate::response::write_refusal;
use crate::shared::{Counters, Door, Message, Shared};
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
            bound: bound?,
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

/// The listener of the nodes' own door, if there is one.
fn listen_to_nodes(shared: &Shared) -> Result<Option<Listener>, ListenError> {
    let options = &shared.options;
    let address = options.fleet.as_ref().and_then(|fleet| fleet.listen);
    let bind = |address| {
        let (address, write_ms) = (ListenAddress::Tcp(address), options.timeouts.write_ms);
        Listener::bind(&address, Port::Alone, options.backlog, write_ms)
    };
    address.map(bind).transpose()
}

/// Where a server listens.
#[derive(Clone, Copy, Debug)]
struct Bound {
    clients: Option<SocketAddr>,
    nodes: Option<SocketAddr>,
}

type Listening = std::sync::mpsc::Sender<Result<Bound, StartError>>;

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
            let both = listen_to_nodes(&shared).and_then(|nodes| Ok((listen(&shared)?, nodes)));
            let (clients, nodes) = match both {
                Ok(listeners) => listeners,
                // `start` waits for this; it can't be gone.
                Err(error) => return drop(listening.send(Err(error.into()))),
            };
            drop(listening.send(Ok(Bound {
                clients: clients.local_addr(),
                nodes: nodes.as_ref().and_then(Listener::local_addr),
            })));
            let loads = LoopLoads::new(shared.inboxes.len());
            if let Some(nodes) = nodes {
                let (lp, loads) = (Rc::clone(&lp), Arc::clone(&loads));
                tokio::task::spawn_local(async move {
                    let mut acceptor = Acceptor::new(&lp, &nodes, loads, Door::Nodes);
                    acceptor.accept_until(LifePhase::Stopped).await;
                });
            }
            tokio::task::spawn_local(listen_while_due(Rc::clone(&lp), clients, loads));
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
async fn listen_while_due(lp: Rc<EventLoop>, listener: Listener, loads: Arc<LoopLoads>) {
    let options = &lp.shared.options;
    let mut acceptor = Acceptor::new(&lp, &listener, loads, Door::Public);
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
    door: Door,
    errors: AcceptErrors,
}

impl<'a> Acceptor<'a> {
    fn new(
        lp: &'a Rc<EventLoop>,
        listener: &'a Listener,
        loads: Arc<LoopLoads>,
        door: Door,
    ) -> Self {
        Self {
            lp,
            listener,
            loads,
            door,
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
                Ok(connection) => deal(self.lp, &self.loads, connection, self.door).await,
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

async fn deal(lp: &Rc<EventLoop>, loads: &Arc<LoopLoads>, connection: Accepted, door: Door) {
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
        return crate::greet::start(lp, connection, guard, door);
    }
    // Fails only when that loop has ended, and then the server is ending.
    let _ = shared.inboxes[index]
        .send(Message::Accepted(connection, guard, door))
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
    bound: Bound,
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

impl Running {
    /// Where it listens; `None` on a Unix socket.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.bound.clients
    }

    /// Where it listens for other nodes alone: [`Fleet::listen`](crate::Fleet::listen) with the port that was chosen.
    #[must_use]
    pub fn nodes_addr(&self) -> Option<SocketAddr> {
        self.bound.nodes
    }

    /// A view on its sockets.
    #[must_use]
    pub fn observer(&self) -> Observer {
        Observer::new(&self.shared)
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
                    if self.is_empty() {
                        break;
                    }
                }
            }
        }
        tokio::time::sleep(LAST_ANSWERS).await;
        self.stop().await;
    }

    fn is_empty(&self) -> bool {
        let forwarded = self.shared.counters.forwards.open_websockets();
        self.shared.hub.stats().sessions == 0 && forwarded == 0
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
