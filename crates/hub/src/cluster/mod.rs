//! This node among others: what it tells them, and what it does at their word.
//!
//! A broadcast goes to the sockets of this node at once and to the other nodes over the link. Where the link keeps a
//! stream, recoverable namespaces follow it instead: their broadcasts only go to the stream, and are delivered when they
//! come back out of it, on every node in the same order and each with the place that clients name when they come back.

mod ask;
mod data;
mod inbound;
mod remote;
mod server_side;
mod sessions;
mod store_log;
mod tie;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lakh_broker::Once;
use lakh_broker::cluster::{self, Data, Message, Opts, Requests};
use lakh_broker::redis::{Inbound, Link, LinkState, LinkStats, PublishError};
use lakh_store::Store;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};

use crate::hub::Hub;
use crate::mailbox::Full;
use crate::namespace::{Namespace, NamespaceInner};
use crate::outgoing::{Flags, Outgoing, Targets};

pub use ask::Missing;
pub(crate) use server_side::ServerHook;
pub use server_side::{ServerEvent, ServerSideAcks};
pub(crate) use sessions::{Recorded, Recording, Session};
use store_log::StoreLog;
use tie::{Tie, TieInbound};

/// Requests to other nodes that wait to be sent.
const MAX_JOBS: usize = 10_000;
/// A client that enters a new namespace is kept waiting for Redis at most this long.
const MOST_SUBSCRIBING: Duration = Duration::from_secs(5);

/// What is known of an entry that now stands in the stream, and was delivered here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Confirmed {
    /// Its number, if it was counted.
    pub number: Option<u64>,
}

/// The tie to the other nodes, or to the log that outlives this one.
pub(crate) struct Cluster {
    tie: Tie,
    /// Recoverable namespaces follow the tie's log.
    follows: bool,
    requests: Mutex<Requests>,
    answers: Mutex<FxHashMap<cluster::RequestId, ask::Done>>,
    jobs: mpsc::Sender<ask::Job>,
    /// What the tie gives a ticket below this has been appended and delivered here.
    released: AtomicU64,
    /// Who waits for which ticket.
    confirmations: Mutex<BTreeMap<u64, Vec<oneshot::Sender<Confirmed>>>>,
    /// Which shards hold acknowledgements back.
    pub(crate) waiting: Box<[AtomicBool]>,
    pub(crate) recorder: sessions::Recorder,
    ready: watch::Sender<bool>,
    /// Entries of the stream that were lost before this node read them, as often as that happened.
    gaps: AtomicU64,
    /// The newest entry of the stream that was handed to the loops, packed.
    seen: AtomicU64,
}

/// Why a fleet can't be joined.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum JoinError {
    /// A hub has one link, or one log.
    #[error("this server is in a fleet already, or keeps its log in a store")]
    Twice,
    /// Namespaces can't change what they follow.
    #[error("a fleet must be joined, or a log kept, before namespaces are made recoverable")]
    TooLate,
}

/// The state of this node's tie to the others.
#[derive(Clone, Debug)]
pub struct ClusterState {
    /// Whether Redis is there, and since when; or whether the store takes what is to be logged.
    pub link: LinkState,
    /// What was counted.
    pub stats: LinkStats,
    /// Whether everything that others publish arrives: the link has settled, and the log was read.
    pub ready: bool,
    /// How often something was missed, because the stream was trimmed or lost before it was read here.
    pub gaps: u64,
}

impl Hub {
    /// Joins a fleet. The link is to be opened with [`lakh_broker::redis::Config::echo`]. To be called before namespaces
    /// are made recoverable and before the loops start; the future that it gives is to be spawned, and ends when the
    /// fleet is left.
    ///
    /// # Errors
    /// [`JoinError`].
    pub fn join_cluster(
        &self,
        link: Link,
        inbound: Inbound,
    ) -> Result<impl Future<Output = ()> + Send + use<>, JoinError> {
        self.tie(Tie::Redis(link), TieInbound::Redis(inbound))
    }

    /// Keeps the logs of recoverable namespaces, their sessions and their counters in a store: then clients come back to what
    /// they missed even if this node has ended meanwhile, whichever way. For a node that is alone, and a store that no other
    /// node writes to. An event is delivered when the store has committed it. To be called as [`Hub::join_cluster`], and
    /// instead of it; [`Hub::cluster_ready`] and [`Hub::leave_cluster`] belong to this, too. Sessions and counters expire:
    /// whoever owns the store is to call [`Store::purge`] every now and then.
    ///
    /// # Errors
    /// [`JoinError`].
    pub fn keep_log(
        &self,
        store: Store,
    ) -> Result<impl Future<Output = ()> + Send + use<>, JoinError> {
        let (log, writer) = StoreLog::new(store, self.clock_ms());
        self.tie(Tie::Store(log), TieInbound::Store(Box::new(writer)))
    }

    fn tie(
        &self,
        tie: Tie,
        inbound: TieInbound,
    ) -> Result<impl Future<Output = ()> + Send + use<>, JoinError> {
        if self.namespaces().iter().any(|ns| ns.is_recoverable()) {
            return Err(JoinError::TooLate);
        }
        let (jobs, to_do) = mpsc::channel(MAX_JOBS);
        let cluster = Cluster {
            follows: tie.has_log(),
            tie,
            requests: Mutex::default(),
            answers: Mutex::default(),
            jobs,
            released: AtomicU64::new(0),
            confirmations: Mutex::default(),
            waiting: (0..self.shard_count())
                .map(|_| AtomicBool::new(false))
                .collect(),
            recorder: sessions::Recorder::default(),
            ready: watch::Sender::new(false),
            gaps: AtomicU64::new(0),
            seen: AtomicU64::new(0),
        };
        self.0.cluster.set(cluster).map_err(|_| JoinError::Twice)?;
        if let Some(cluster) = self.cluster() {
            for namespace in self.namespaces() {
                cluster.tie.subscribe(namespace.name());
            }
        }
        Ok(inbound::run(self.clone(), inbound, to_do))
    }

    /// Waits until what other nodes publish arrives here, and who was on another node can be taken up. At once, if this
    /// node is alone.
    pub async fn cluster_ready(&self) {
        if let Some(cluster) = self.cluster() {
            // The sender lives as long as the hub.
            let _ = cluster.ready.subscribe().wait_for(|ready| *ready).await;
            cluster.tie.settled().await;
        }
    }

    /// Waits until what other nodes publish in a namespace that was just made for a client arrives here: who was let in is to
    /// miss nothing. While Redis is away they'd miss it in any other namespace as well, so nobody waits for it.
    pub(crate) async fn subscribed(&self, namespace: &NamespaceInner) {
        if namespace.subscribed.load(Ordering::Acquire) {
            return;
        }
        if let Some(cluster) = self.cluster() {
            let settled = tokio::time::timeout(MOST_SUBSCRIBING, cluster.tie.settled());
            if !cluster.tie.is_up() || settled.await.is_err() {
                return;
            }
        }
        namespace.subscribed.store(true, Ordering::Release);
    }

    /// Sends what is on its way to the other nodes, or to the log, and leaves them.
    pub async fn leave_cluster(&self) {
        if let Some(cluster) = self.cluster() {
            cluster.recorder.finish().await;
            cluster.tie.close().await;
        }
    }

    /// How this node is tied to others. `None`: it's alone.
    #[must_use]
    pub fn cluster_state(&self) -> Option<ClusterState> {
        let cluster = self.cluster()?;
        Some(ClusterState {
            link: cluster.tie.state(),
            stats: cluster.tie.stats(),
            ready: *cluster.ready.borrow(),
            gaps: cluster.gaps.load(Ordering::Relaxed),
        })
    }

    /// How many other nodes there are.
    ///
    /// # Errors
    /// If Redis is away.
    pub async fn other_nodes(&self) -> Result<usize, lakh_broker::redis::LinkError> {
        match self.cluster() {
            Some(cluster) => {
                // All nodes have the same namespaces; which one is asked for makes no difference.
                let all = self.namespaces();
                let name = all.first().map_or("/", |namespace| namespace.name());
                Ok(cluster.tie.others(name).await?.count)
            }
            None => Ok(0),
        }
    }

    pub(crate) fn cluster(&self) -> Option<&Cluster> {
        self.0.cluster.get()
    }

    /// The cluster, if recoverable namespaces follow its stream.
    pub(crate) fn followed(&self) -> Option<&Cluster> {
        self.cluster().filter(|cluster| cluster.follows)
    }

    /// Tells the other nodes to do what was done here.
    pub(crate) fn tell_others(
        &self,
        namespace: &str,
        targets: &Targets,
        message: impl FnOnce(Opts) -> Message,
    ) {
        if let Some(cluster) = self.cluster().filter(|cluster| !cluster.tie.is_alone()) {
            cluster.tell(namespace, &message(opts(targets, Flags::default())));
        }
    }
}

impl Namespace {
    /// Whether events can be counted over all nodes; see [`crate::Operator::emit_counted`].
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.is_recoverable() && self.hub.followed().is_some()
    }

    /// Waits until what was emitted so far is in the log, so that it reaches every client that can be recovered, whatever
    /// becomes of this node. At once, where the log is this node's own. `false`: it may have been lost.
    ///
    /// An answer to a client's event waits for what its own handler emitted without this; it's for what others emit on
    /// its behalf.
    pub async fn logged(&self) -> bool {
        match self.hub.followed().filter(|_| self.is_recoverable()) {
            Some(cluster) => cluster.logged().await,
            None => true,
        }
    }

    /// The last number that [`crate::Operator::emit_counted`] gave for this counter. `None`: no stream is followed here,
    /// or Redis is away.
    pub async fn count_of(&self, counter: &str) -> Option<u64> {
        let cluster = self.hub.followed()?;
        let tie = &cluster.tie;
        tie.count_of(&self.hub, self.name(), counter).await.ok()
    }
}

impl Cluster {
    /// Up to where the stream was handed to the loops.
    pub(crate) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Acquire)
    }

    pub(crate) fn subscribe(&self, namespace: &str) {
        self.tie.subscribe(namespace);
    }

    pub(crate) fn unsubscribe(&self, namespace: &str) {
        self.tie.unsubscribe(namespace);
    }

    pub(crate) fn want_room(&self, namespace: &str, room: &str) {
        self.tie.want_room(namespace, room);
    }

    pub(crate) fn unwant_room(&self, namespace: &str, room: &str) {
        self.tie.unwant_room(namespace, room);
    }

    /// Sends what needs no answer. That Redis is away is seen in the state, and is no error of whoever publishes: the
    /// sockets of this node are reached.
    fn tell(&self, namespace: &str, message: &Message) {
        match self.tie.tell(namespace, message) {
            Ok(()) | Err(PublishError::Down) => {}
            Err(error) => {
                tracing::warn!(namespace, %error, "something did not reach the other nodes");
            }
        }
    }

    /// Whether a broadcast goes into the stream, and is delivered when it comes back. What may be lost does so only while
    /// Redis is there.
    pub(crate) fn takes(&self, outgoing: &Outgoing) -> bool {
        let Flags {
            volatile, local, ..
        } = outgoing.flags;
        let logged = self.follows && outgoing.namespace.recovery.get().is_some();
        let now = !volatile || outgoing.only.is_none() && self.tie.is_up();
        logged && !local && now && outgoing.ack.is_none()
    }

    /// Sends a broadcast to the other nodes, beside those of this one.
    pub(crate) fn pass_on(&self, outgoing: &Outgoing) {
        let of_use = !outgoing.flags.volatile || self.tie.is_up();
        let others = !outgoing.flags.local && !self.tie.is_alone();
        if others && outgoing.only.is_none() && of_use {
            let message = self.broadcast(outgoing, None);
            self.tell(&outgoing.namespace.name, &message);
        }
    }

    /// Appends a broadcast to the stream, by which it will come back. Gives its ticket.
    pub(crate) fn append(&self, outgoing: &Outgoing) -> Result<u64, Full> {
        let message = self.broadcast(outgoing, None);
        self.taken(self.tie.append(&outgoing.namespace.name, message))
    }

    /// The same for a broadcast that is counted. What it becomes is told when it was delivered here.
    pub(crate) fn append_counted(
        &self,
        outgoing: &Outgoing,
        counter: (&str, u64),
        once: Option<&Once>,
    ) -> Result<(u64, oneshot::Receiver<Confirmed>), Full> {
        let message = self.broadcast(outgoing, None);
        let (send, receive) = oneshot::channel();
        // Held until the ticket is known here: its confirmation takes this lock as well.
        let mut confirmations = self.confirmations.lock();
        let name = &outgoing.namespace.name;
        let ticket = self.taken(self.tie.append_counted(name, message, counter, once))?;
        confirmations.entry(ticket).or_default().push(send);
        Ok((ticket, receive))
    }

    /// Waits until all that was published so far stands in the stream, and was handed to the loops.
    async fn logged(&self) -> bool {
        let waiting = {
            let mut confirmations = self.confirmations.lock();
            let last = self.tie.last_ticket();
            if self.is_released(last) {
                return true;
            }
            let (send, receive) = oneshot::channel();
            confirmations.entry(last).or_default().push(send);
            receive
        };
        waiting.await.is_ok()
    }

    /// What has this ticket was handed to the loops.
    fn confirm(&self, ticket: u64, number: Option<u64>) {
        let waiting = {
            let mut confirmations = self.confirmations.lock();
            // Under the lock: who looks finds it released, or is found here.
            self.released.fetch_max(ticket, Ordering::SeqCst);
            confirmations.remove(&ticket)
        };
        for waiting in waiting.into_iter().flatten() {
            // Who waited may be gone.
            let _ = waiting.send(Confirmed { number });
        }
    }

    fn taken(&self, ticket: Result<u64, PublishError>) -> Result<u64, Full> {
        ticket.map_err(|error| {
            if !matches!(error, PublishError::Full | PublishError::Closed) {
                tracing::warn!(%error, "a broadcast could not be sent");
            }
            Full {
                waiting: self.tie.waiting_bytes(),
                queue: self.tie.queue(),
            }
        })
    }

    /// Whether all that was published up to a ticket was delivered here.
    pub(crate) fn is_released(&self, ticket: u64) -> bool {
        ticket <= self.released.load(Ordering::SeqCst)
    }

    fn broadcast(&self, outgoing: &Outgoing, ack: Option<&cluster::RequestId>) -> Message {
        let make = |data| Message::Broadcast {
            data,
            opts: opts(&outgoing.targets, outgoing.flags),
            ack: ack.cloned(),
        };
        let form = self.tie.form(&make(Data::Json(String::new())));
        let payload = &outgoing.payload;
        make(data::encode(&payload.text, &payload.attachments, form))
    }
}

fn opts(targets: &Targets, flags: Flags) -> Opts {
    Opts {
        rooms: targets.rooms.to_vec(),
        except: targets.except.to_vec(),
        flags: cluster::Flags {
            volatile: flags.volatile,
            compress: (!flags.compress).then_some(false),
            ..cluster::Flags::default()
        },
    }
}

fn targets(opts: &Opts) -> Targets {
    Targets {
        rooms: opts.rooms.iter().cloned().collect(),
        except: opts.except.iter().cloned().collect(),
    }
}

fn flags(opts: &Opts) -> Flags {
    Flags {
        volatile: opts.flags.volatile,
        compress: opts.flags.compress.unwrap_or(true),
        ..Flags::default()
    }
}
