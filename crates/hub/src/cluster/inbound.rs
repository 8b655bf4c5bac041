//! What comes in from the other nodes, and the work that belongs to no loop.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lakh_broker::Position;
use lakh_broker::cluster::streams::StreamId;
use lakh_broker::cluster::{EMITTER, Message, Opts, Uid};
use lakh_broker::redis::{Event, Gap, Received};
use tokio::sync::mpsc;

use super::tie::{TieError, TieInbound};
use super::{Cluster, ask, data, flags, targets};
use crate::ack::Collector;
use crate::caught::caught;
use crate::hub::Hub;
use crate::namespace::{Joining, Namespace, Recovery};
use crate::outgoing::Outgoing;

/// Events handled before the loops are given a chance to keep up.
const BATCH: usize = 256;
/// Requests that are being made at the same time.
const MAX_MAKING: usize = 64;
/// How often it's looked whether a request's time is over.
const TICK: Duration = Duration::from_millis(50);
/// Every how many of those looks silent namespaces learn how far the stream has come.
const ADVANCE: u64 = 20;
/// How often a log of this node's own is trimmed.
const TIDY: Duration = Duration::from_secs(10);
/// Wait for loops that are behind.
const BREATH: Duration = Duration::from_millis(2);
/// Entries of the log read at once.
pub(super) const PAGE: usize = 512;
/// Clients that answer a broadcast of another node are waited for at most this long; that node has its own limit.
const MOST_WAIT: Duration = Duration::from_secs(60);

/// Runs until the link is closed.
pub(super) async fn run(hub: Hub, inbound: TieInbound, jobs: mpsc::Receiver<ask::Job>) {
    let Some(cluster) = hub.cluster() else {
        return;
    };
    tokio::select! {
        () = receive(&hub, cluster, inbound) => {}
        () = make(&hub, cluster, jobs) => {}
        () = tick(&hub, cluster) => {}
        () = cluster.recorder.run(&hub, &cluster.tie) => {}
        () = tidy(&hub, cluster) => {}
    }
}

async fn make(hub: &Hub, cluster: &Cluster, mut jobs: mpsc::Receiver<ask::Job>) {
    let mut making = FuturesUnordered::new();
    loop {
        tokio::select! {
            job = jobs.recv(), if making.len() < MAX_MAKING => match job {
                Some(job) => making.push(cluster.carry_out(hub, job)),
                None => return,
            },
            Some(()) = making.next(), if !making.is_empty() => {}
        }
    }
}

async fn tick(hub: &Hub, cluster: &Cluster) {
    for turn in 1_u64.. {
        tokio::time::sleep(TICK).await;
        cluster.expire(hub.clock_ms());
        if turn.is_multiple_of(ADVANCE) {
            cluster.advance(hub);
        }
    }
}

/// Keeps a log of this node's own within the bounds of the namespaces that follow it.
async fn tidy(hub: &Hub, cluster: &Cluster) {
    loop {
        tokio::time::sleep(TIDY).await;
        let (mut age_ms, mut bytes) = (0, 0_u64);
        for namespace in hub.namespaces() {
            if let Some(recovery) = namespace.inner.recovery.get() {
                age_ms = recovery.window_ms.max(age_ms);
                bytes = bytes.saturating_add(recovery.max_bytes as u64);
            }
        }
        cluster.tie.tidy(hub, age_ms, bytes).await;
    }
}

async fn receive(hub: &Hub, cluster: &Cluster, mut inbound: TieInbound) {
    let mut receiver = Receiver {
        hub,
        cluster,
        seen: StreamId::default(),
        appended: VecDeque::new(),
    };
    if cluster.follows {
        receiver.catch_up().await;
    }
    cluster.ready.send_replace(true);
    loop {
        let events = inbound.recv_many(hub, BATCH).await;
        if events.is_empty() {
            return;
        }
        for event in events {
            receiver.event(event);
        }
        receiver.release();
        while hub.is_congested() {
            tokio::time::sleep(BREATH).await;
        }
    }
}

struct Receiver<'a> {
    hub: &'a Hub,
    cluster: &'a Cluster,
    /// The newest entry of the stream that was handed to the loops.
    seen: StreamId,
    /// Own entries that stand in the stream and have not come back yet.
    appended: VecDeque<(u64, StreamId, Option<u64>)>,
}

impl Receiver<'_> {
    /// Reads the log of before this node came: who was on another node then may come back to this one.
    async fn catch_up(&mut self) {
        let mut state = self.cluster.tie.watch_state();
        loop {
            let start = self.cluster.tie.start(self.hub).await;
            if let Some(start) = start {
                match self.load(start).await {
                    Ok(()) => {
                        self.seen = start;
                        // Namespaces that are made from now on begin there.
                        return self.release();
                    }
                    Err(error) => tracing::warn!(%error, "the log can't be read; trying again"),
                }
            }
            // Woken by Redis' coming, or after a while: the connection may have gone and come unnoticed.
            let changed = tokio::time::timeout(Duration::from_millis(200), state.changed());
            let _ = changed.await;
        }
    }

    async fn load(&self, start: StreamId) -> Result<(), TieError> {
        for namespace in self.hub.namespaces() {
            let Some(recovery) = namespace.inner.recovery.get() else {
                continue;
            };
            let tie = &self.cluster.tie;
            let before = tie.before_window(start, recovery.window_ms).await?;
            let before = before.unwrap_or_default();
            recovery
                .channel
                .begin_at(before.packed().unwrap_or_default());
            let mut page = tie.read_log(namespace.name(), before, PAGE).await?;
            loop {
                if !page.whole {
                    // What stood before its first entry was trimmed.
                    let first = page.entries.first().map(|first| first.offset);
                    let begin = match first.and_then(StreamId::packed) {
                        Some(first) => Some(first.saturating_sub(1)),
                        None => page.last.packed(),
                    };
                    recovery.channel.begin_at(begin.unwrap_or_default());
                }
                for logged in std::mem::take(&mut page.entries) {
                    if logged.offset > start {
                        break;
                    }
                    if let Message::Broadcast { data, opts, .. } = logged.message {
                        let made = self.broadcast(&namespace, data, &opts, logged.number);
                        if let Some(made) = made.filter(|made| !made.flags.volatile) {
                            counted(made, logged.number, |made| {
                                keep(self.hub, recovery, made, logged.offset, |_| {});
                            });
                        }
                    }
                }
                if page.end || page.last >= start {
                    break;
                }
                page = tie.read_log(namespace.name(), page.last, PAGE).await?;
            }
            if let Some(start) = start.packed() {
                recovery.channel.advance(start);
            }
        }
        Ok(())
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Message(received) => self.message(received),
            Event::Response { from, response, .. } => {
                self.cluster.answered(from.as_ref(), response);
            }
            Event::Appended {
                ticket,
                offset,
                number,
            } => self.appended.push_back((ticket, offset, number)),
            Event::Gap(gap) => self.gap(gap),
        }
    }

    /// Something was missed.
    fn gap(&self, gap: Gap) {
        self.cluster.gaps.fetch_add(1, Ordering::Relaxed);
        match gap {
            Gap::Trimmed => tracing::error!(
                "entries of the stream were trimmed or lost before this node read them; its recoverable clients are \
                 closed, and come back to where nothing is missing, or are told"
            ),
            Gap::Reconnected => tracing::warn!(
                "Redis was away: what other nodes published meanwhile did not reach this one"
            ),
            Gap::Overflow => tracing::warn!(
                "other nodes publish more than this one takes: some of it was dropped"
            ),
        }
        for namespace in self.hub.namespaces() {
            if let Some(recovery) = namespace.inner.recovery.get() {
                if let Some(seen) = self.seen.packed().filter(|_| self.cluster.follows) {
                    // Up to here nothing was missed, in namespaces that were silent either.
                    recovery.channel.advance(seen);
                }
                recovery.channel.lose();
            }
        }
        if self.cluster.follows {
            for shard in 0..self.hub.shard_count() {
                self.hub
                    .run_surely_on(shard, |shard| shard.close_recoverable());
            }
            // What was on its way may be among what is lost.
            self.cluster.confirmations.lock().clear();
        }
    }

    fn message(&mut self, received: Received) {
        let Received {
            nsp,
            from,
            own,
            offset,
            number,
            message,
        } = received;
        if let Some(offset) = offset {
            self.seen = self.seen.max(offset);
        }
        let Some(namespace) = self.hub.existing(&nsp) else {
            return;
        };
        if let Message::Broadcast {
            data,
            opts,
            ack: None,
        } = message
        {
            return match (namespace.inner.recovery.get(), offset) {
                (Some(recovery), Some(offset)) => {
                    if let Some(made) = self.broadcast(&namespace, data, &opts, number) {
                        counted(made, number, |made| {
                            deliver(self.hub, recovery, made, offset);
                        });
                    }
                }
                _ if own => {}
                _ => {
                    if let Some(made) = self.broadcast(&namespace, data, &opts, number) {
                        // Into this node's own log, where it has one.
                        self.hub.log_and_route(made, None);
                    }
                }
            };
        }
        // All else was done here when it was told to the others.
        if !own {
            self.order(&namespace, from, message);
        }
    }

    fn broadcast(
        &self,
        namespace: &Namespace,
        data: lakh_broker::cluster::Data,
        opts: &Opts,
        number: Option<u64>,
    ) -> Option<Outgoing> {
        let Some(mut payload) = data::event(data, &self.hub.settings().limits) else {
            tracing::warn!(
                namespace = namespace.name(),
                "a broadcast of another node was not understood"
            );
            return None;
        };
        if let Some(number) = number {
            payload.put_number(number);
        }
        let inner = Arc::clone(&namespace.inner);
        Some(Outgoing::new(inner, payload, targets(opts), flags(opts)))
    }

    /// What another node wants done or known.
    fn order(&self, namespace: &Namespace, from: Option<Uid>, message: Message) {
        let from = from.filter(|from| from.as_str() != EMITTER);
        match message {
            Message::Broadcast {
                data,
                opts,
                ack: Some(request),
            } => {
                let made = self.broadcast(namespace, data, &opts, None);
                if let (Some(made), Some(from)) = (made, from) {
                    self.ask_clients(namespace, made, from, request);
                }
            }
            Message::Join { opts, rooms } => {
                let targets = targets(&opts);
                let joining = Arc::new(Joining::new(&namespace.inner));
                let namespace = Arc::clone(&namespace.inner);
                self.hub.on_each_shard(move |shard| {
                    let _until_done = &joining;
                    shard.targets_join(&namespace, &targets, &rooms);
                });
            }
            Message::Leave { opts, rooms } => {
                let (targets, namespace) = (targets(&opts), Arc::clone(&namespace.inner));
                self.hub
                    .on_each_shard(move |shard| shard.targets_leave(&namespace, &targets, &rooms));
            }
            Message::Disconnect { opts, close } => {
                let (targets, namespace) = (targets(&opts), Arc::clone(&namespace.inner));
                self.hub.on_each_shard(move |shard| {
                    shard.targets_disconnect(&namespace, &targets, close);
                });
            }
            Message::FetchSockets { request, opts } => {
                if let Some(from) = from {
                    super::ask::tell_sockets(namespace, from, request, &targets(&opts));
                }
            }
            Message::SocketIds { request, rooms } => {
                if let Some(from) = from {
                    super::ask::tell_ids(namespace, from, request, &rooms);
                }
            }
            Message::AllRooms { request } => {
                if let Some(from) = from {
                    super::ask::tell_rooms(namespace, from, request);
                }
            }
            Message::ServerSideEmit { request, data } => {
                super::server_side::heard(namespace, from, request, data);
            }
            Message::Broadcast { ack: None, .. }
            | Message::Heartbeat { .. }
            | Message::Close
            | Message::Response(_) => {}
        }
    }

    /// Asks the clients of this node what another node wants to know of them all.
    fn ask_clients(
        &self,
        namespace: &Namespace,
        mut outgoing: Outgoing,
        from: Uid,
        request: lakh_broker::cluster::RequestId,
    ) {
        outgoing.ack = Some(namespace.inner.next_ack());
        let namespace = namespace.clone();
        let collector = Collector::telling(self.hub.shard_count(), move |told| {
            super::ask::tell_ack(&namespace, &from, &request, &told);
        });
        let asked = self
            .hub
            .publish_with_ack(&Arc::new(outgoing), &Arc::new(collector), MOST_WAIT);
        if let Err(error) = asked {
            tracing::warn!(%error, "clients were not asked what another node wants to know");
        }
    }

    /// Lets go of what waited for entries that have been delivered by now.
    fn release(&mut self) {
        if let Some(seen) = self.seen.packed() {
            self.cluster.seen.store(seen, Ordering::Release);
        }
        let mut released = false;
        while let Some((ticket, offset, number)) = self.appended.front().copied() {
            if offset > self.seen {
                break;
            }
            self.appended.pop_front();
            released = true;
            self.cluster.confirm(ticket, number);
        }
        if released {
            self.cluster.release(self.hub);
        }
    }
}

impl Cluster {
    /// Sessions of a silent namespace begin where the stream is, and not at its last broadcast, which may be trimmed soon.
    fn advance(&self, hub: &Hub) {
        let seen = self.seen();
        for namespace in hub.namespaces() {
            if let Some(recovery) = namespace.inner.recovery.get().filter(|_| self.follows) {
                recovery.channel.advance(seen);
            }
        }
    }

    /// Has the loops send what waited for entries that were handed to them by now.
    fn release(&self, hub: &Hub) {
        for (shard, waiting) in self.waiting.iter().enumerate() {
            if waiting.load(Ordering::SeqCst) {
                hub.run_surely_on(shard, |shard| shard.release_acks());
            }
        }
    }
}

/// Lets whoever wants to see a counted event see it, and puts it on its way.
fn counted(made: Outgoing, number: Option<u64>, go: impl FnOnce(Outgoing)) {
    let handlers = made.namespace.handlers.load_full();
    let room = made.targets.rooms.first().cloned();
    let (Some(hook), Some(number), Some(room)) = (handlers.counted.first(), number, room) else {
        return go(made);
    };
    let payload = made.payload.clone();
    let mut on_its_way = Some((made, go));
    let mut send = || {
        if let Some((made, go)) = on_its_way.take() {
            go(made);
        }
    };
    caught("a hook of counted events", || {
        hook(&room, number, &payload, &mut send);
    });
    // A hook that broke must not cost anybody the event.
    send();
}

/// Delivers what came out of the stream.
fn deliver(hub: &Hub, recovery: &Recovery, outgoing: Outgoing, offset: StreamId) {
    if outgoing.flags.volatile {
        recovery
            .channel
            .pass(|at| hub.route(Arc::new(outgoing.at(at)), None));
        return;
    }
    keep(hub, recovery, outgoing, offset, |made| {
        hub.route(made, None);
    });
}

fn keep(
    hub: &Hub,
    recovery: &Recovery,
    outgoing: Outgoing,
    offset: StreamId,
    deliver: impl FnOnce(Arc<Outgoing>),
) {
    let Some(position) = Position::in_stream(offset) else {
        return;
    };
    let rooms = outgoing.targets.rooms.clone();
    let weight = (outgoing.cost(), hub.clock_ms());
    let made = Arc::new(outgoing.at(position));
    // What was here before is passed over.
    recovery
        .channel
        .take(made, position.seq, &rooms, weight, deliver);
}
