//! A TCP proxy that breaks connections in the ways in which networks do.
//!
//! A [`Gate`] stands for one peer, a client or a node, and governs all of its connections, those to come as well. Clients
//! are told apart by their source address (each has one of its own out of 127.1.0.0/16), so the proxy reads nothing of
//! what it forwards, and keep-alive, upgrades and long polling go through it as they are.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How long the other side may take to answer a connect.
const DIAL: Duration = Duration::from_secs(10);

/// What becomes of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// They are forwarded.
    Open,
    /// They are forwarded late.
    Delayed(Duration),
    /// They are held back, and so is the news that a side has closed.
    Held,
    /// New connections are reset; those that are there go on.
    Refused,
}

/// How the connections that are there end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Both sides get a reset.
    Reset,
    /// The near side gets a reset. The far one is never told: it holds a half-open connection until its own heartbeat
    /// finds out.
    HalfOpen,
}

#[derive(Clone, Copy, Debug)]
struct State {
    flow: Flow,
    /// Rises with each cut. A connection ends when it is above what it was at its start.
    cuts: u64,
    cut: Cut,
}

/// What governs the connections of one peer.
#[derive(Debug)]
pub struct Gate(watch::Sender<State>);

impl Default for Gate {
    fn default() -> Self {
        let state = State {
            flow: Flow::Open,
            cuts: 0,
            cut: Cut::Reset,
        };
        Self(watch::Sender::new(state))
    }
}

impl Gate {
    /// Some gates, all open.
    #[must_use]
    pub fn row(count: usize) -> Arc<[Self]> {
        (0..count).map(|_| Self::default()).collect()
    }

    /// Sets what becomes of bytes from now on.
    pub fn set(&self, flow: Flow) {
        self.0.send_modify(|state| state.flow = flow);
    }

    /// Ends the connections that are there.
    pub fn cut(&self, cut: Cut) {
        self.0.send_modify(|state| {
            state.cuts += 1;
            state.cut = cut;
        });
    }
}

/// A listening proxy. It ends, with its connections, when it's dropped.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on `port` of loopback and forwards each connection to the next of `targets`. `gate_of` names the gate of a
    /// peer by its address.
    ///
    /// # Errors
    /// What the system says.
    pub async fn listen(
        port: u16,
        targets: Vec<SocketAddr>,
        gates: Arc<[Gate]>,
        gate_of: impl Fn(SocketAddr) -> Option<usize> + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let accepting = tokio::task::spawn_local(async move {
            for target in targets.iter().cycle() {
                let Ok((near, peer)) = listener.accept().await else {
                    // Out of descriptors: some will come back.
                    sleep(Duration::from_millis(10)).await;
                    continue;
                };
                match gate_of(peer).and_then(|index| gates.get(index)) {
                    Some(gate) => {
                        tokio::task::spawn_local(connection(near, *target, gate.0.subscribe()));
                    }
                    None => reset(&near),
                }
            }
        });
        Ok(Self { address, accepting })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Makes the drop of a socket tell the other side by a reset.
fn reset(stream: &TcpStream) {
    // Fails only on a socket that is gone already.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

async fn connection(mut near: TcpStream, target: SocketAddr, mut state: watch::Receiver<State>) {
    let start = *state.borrow();
    if start.flow == Flow::Refused {
        return reset(&near);
    }
    let passed = passes(&mut state, start.cuts).await;
    let far = timeout(DIAL, TcpStream::connect(target)).await;
    let (true, Ok(Ok(mut far))) = (passed, far) else {
        return reset(&near);
    };
    // Small packets, each one awaited by somebody. Fails only on a socket that is gone already.
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let cut = {
        let (near_read, near_write) = near.split();
        let (far_read, far_write) = far.split();
        let both = async {
            tokio::try_join!(
                pump(near_read, far_write, state.clone(), start.cuts),
                pump(far_read, near_write, state.clone(), start.cuts)
            )
        };
        let mut cuts = state.clone();
        tokio::select! {
            ended = both => ended.is_err().then_some(Cut::Reset),
            changed = cuts.wait_for(|state| state.cuts > start.cuts) =>
                Some(changed.map_or(Cut::Reset, |state| state.cut)),
        }
    };
    match cut {
        None => {}
        Some(Cut::Reset) => {
            reset(&near);
            reset(&far);
        }
        Some(Cut::HalfOpen) => {
            reset(&near);
            drop(near);
            swallow(far).await;
        }
    }
}

/// Reads on, as a kernel does whose packets get lost behind it, until the other side gives up.
async fn swallow(mut far: TcpStream) {
    let mut buffer = vec![0; 4096];
    while matches!(far.read(&mut buffer).await, Ok(length) if length > 0) {}
    reset(&far);
}

/// Waits until bytes may pass. False once the connection was cut.
async fn passes(state: &mut watch::Receiver<State>, cuts: u64) -> bool {
    let held = |state: &State| state.flow == Flow::Held && state.cuts == cuts;
    match state.wait_for(|state| !held(state)).await {
        Ok(state) => state.cuts == cuts,
        Err(_) => false,
    }
}

/// Forwards one direction to its end. An error ends the other direction as well: it would wait for a peer that is gone.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut state: watch::Receiver<State>,
    cuts: u64,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await;
        if !passes(&mut state, cuts).await {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let flow = state.borrow().flow;
        if let Flow::Delayed(by) = flow {
            sleep(by).await;
        }
        match read? {
            0 => return to.shutdown().await,
            length => to.write_all(&buffer[..length]).await?,
        }
    }
}
