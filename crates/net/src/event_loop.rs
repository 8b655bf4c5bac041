//! One event loop: a thread with a current-thread runtime, its shard, and the transports of the shard's sessions.
//!
//! Some tasks serve the loop besides one a connection: the flusher, which writes out the outboxes that turned dirty in
//! this turn; the timer; the mailbox of the shard; the inbox, through which other loops hand over connections and
//! requests; the drain; housekeeping. All state of the transports is in `links`, by the session's slot.

mod flush;
mod polls;

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use lakh_hub::shard::{SessionKey, Shard};
use lakh_hub::{CloseReason, Id, Item};
use lakh_wire::engine::{End, HandshakeError, Side, Transport, Version};
use lakh_wire::ws;
use tokio::sync::{mpsc, oneshot};

use crate::drain::{DrainSchedule, LifePhase};
use crate::farewell::Farewells;
use crate::forward::{Upstream, upstream};
use crate::give_back::{self, GiveBack};
use crate::polling::PollAnswer;
use crate::ring::Ring;
use crate::shared::{Attach, Handed, LoopCounters, Message, Shared};
use crate::ws::{Wrote, WsConn};

/// The buffer that connections of a loop read into, in turn.
const SCRATCH_BYTES: usize = 64 * 1024;
/// How often a POST that is held back looks whether it may go on.
const HELD_BACK: Duration = Duration::from_millis(2);

/// The loop's ring, if it's wanted and the kernel gives one.
fn ring_of(shared: &Shared, index: usize) -> Option<Ring> {
    let ring = shared.options.io_uring.then(Ring::new)?;
    if let Err(error) = &ring {
        tracing::debug!(%error, "the kernel offers no io_uring; each message takes a system call");
    }
    let counters = &shared.counters.loops[index];
    counters.io_uring.store(ring.is_ok(), Ordering::Relaxed);
    ring.ok()
}

/// The transports of one session.
#[derive(Default)]
struct Link {
    main: Option<Rc<WsConn>>,
    /// Boxed: most sessions begin with a WebSocket.
    polling: Option<Box<Polling>>,
}

/// What a session has that began with long polling.
#[derive(Default)]
struct Polling {
    probe: Option<Rc<WsConn>>,
    poll: Option<oneshot::Sender<PollAnswer>>,
    /// Said at the handshake: polls are answered with text only.
    text_only: bool,
}

impl Link {
    fn polling(&mut self) -> &mut Polling {
        self.polling.get_or_insert_default()
    }

    fn take_probe(&mut self) -> Option<Rc<WsConn>> {
        self.polling.as_mut()?.probe.take()
    }

    fn take_poll(&mut self) -> Option<oneshot::Sender<PollAnswer>> {
        self.polling.as_mut()?.poll.take()
    }
}

/// One event loop.
pub(crate) struct EventLoop {
    pub shared: Arc<Shared>,
    pub shard: Rc<Shard>,
    pub index: usize,
    pub scratch: RefCell<Box<[u8]>>,
    links: RefCell<Vec<Link>>,
    turn: RefCell<flush::Turn>,
    /// Connections that wait until other loops have caught up.
    held: RefCell<Vec<std::task::Waker>>,
    farewells: RefCell<Farewells>,
    /// What was read from connections that are read slower now: less than a buffer each.
    rests: RefCell<HashMap<SessionKey, Vec<u8>>>,
    upstream: OnceCell<Upstream>,
}

impl EventLoop {
    pub(crate) fn new(shared: Arc<Shared>, index: usize) -> Rc<Self> {
        let ring = ring_of(&shared, index);
        Rc::new(Self {
            shard: Shard::enter(&shared.hub, index),
            shared,
            index,
            scratch: RefCell::new(vec![0; SCRATCH_BYTES].into()),
            links: RefCell::default(),
            turn: RefCell::new(flush::Turn::new(ring)),
            held: RefCell::default(),
            farewells: RefCell::default(),
            rests: RefCell::default(),
            upstream: OnceCell::new(),
        })
    }

    /// Runs until the server stops.
    pub(crate) async fn run(self: Rc<Self>, mut inbox: mpsc::Receiver<Message>) {
        let tasks = [
            tokio::task::spawn_local(Rc::clone(&self).flusher()),
            tokio::task::spawn_local(Rc::clone(&self).timer()),
            tokio::task::spawn_local(Rc::clone(&self).mailbox()),
            tokio::task::spawn_local(Rc::clone(&self).drain()),
            tokio::task::spawn_local(Rc::clone(&self).housekeeping()),
        ];
        let lifecycle = self.shared.lifecycle.clone();
        let mut stopped = std::pin::pin!(lifecycle.reached(LifePhase::Stopped));
        loop {
            tokio::select! {
                message = inbox.recv() => match message {
                    Some(message) => self.handle(message),
                    None => break,
                },
                () = &mut stopped => break,
            }
        }
        self.flush_all();
        for task in tasks {
            task.abort();
        }
    }

    /// Sends to the loop that owns a session: at once if it's this one.
    pub(crate) async fn send(self: &Rc<Self>, shard: usize, message: Message) {
        if shard == self.index {
            self.handle(message);
        } else if let Some(inbox) = self.shared.inboxes.get(shard) {
            // Fails only when the loop has ended, and then the answer's sender goes with the message.
            let _ = inbox.send(message).await;
        }
    }

    fn handle(self: &Rc<Self>, message: Message) {
        // A session that is due to end is not found any more, however early in the turn its client asks.
        self.shard.advance();
        match message {
            Message::Accepted(accepted, guard, door) => {
                crate::greet::start(self, accepted, guard, door);
            }
            Message::Poll { sid, reply } => self.poll(sid, reply),
            Message::PollGone(sid) => {
                if let Some(key) = self.shard.find(&sid) {
                    self.shard.end(key, Side::Main, End::Error);
                }
            }
            Message::Post {
                sid,
                body,
                is_binary,
                reply,
            } => {
                if self.holds_back(&sid) {
                    let lp = Rc::clone(self);
                    let waits = async move {
                        while lp.holds_back(&sid) {
                            tokio::time::sleep(HELD_BACK).await;
                        }
                        let _ = reply.send(lp.post(sid, &body, is_binary));
                    };
                    tokio::task::spawn_local(waits);
                    return;
                }
                // Who asked may be gone.
                let _ = reply.send(self.post(sid, &body, is_binary));
            }
            Message::Probe { sid, reply } => {
                let _ = reply.send(self.probe(sid));
            }
            Message::Attach(attach) => self.attach(*attach),
        }
    }

    fn is_polling(&self, key: SessionKey) -> bool {
        self.shard
            .kind(key)
            .is_some_and(|(_, transport, _)| transport == Transport::Polling)
    }

    fn probe(&self, sid: Id) -> Result<(), HandshakeError> {
        let key = self.shard.find(&sid).ok_or(HandshakeError::UnknownSid)?;
        self.shard.probe(key)
    }

    fn attach(self: &Rc<Self>, attach: Attach) {
        let stream = match attach.stream {
            Handed::Here(stream) => Ok(stream),
            Handed::Detached(detached) => detached.attach(),
        };
        let (Ok(stream), Some(key)) = (stream, self.shard.find(&attach.sid)) else {
            return;
        };
        let conn = WsConn::new(stream, key, Side::Probe, attach.deflate, attach.preamble);
        self.with_link(key, |link| link.polling().probe = Some(Rc::clone(&conn)));
        self.send_own(&conn, &[]);
        tokio::task::spawn_local(Rc::clone(self).serve(conn, attach.early));
    }

    /// Notes what the client of a new long-polling session can read.
    pub(crate) fn set_text_only(&self, key: SessionKey, text_only: bool) {
        self.with_link(key, |link| link.polling().text_only = text_only);
    }

    /// Notes the WebSocket of a new session.
    pub(crate) fn set_main(&self, conn: &Rc<WsConn>) {
        self.with_link(conn.key(), |link| link.main = Some(Rc::clone(conn)));
    }

    /// Moves the session's first packet behind the answer to its handshake: one write less to be put together.
    pub(crate) fn take_open_packet(&self, key: SessionKey, answer: &mut BytesMut) {
        let open = self.shard.with_outbox(key, |outbox, _| {
            let is_open = matches!(outbox.iter().next(), Some(Item::Open(_)));
            is_open.then(|| outbox.pop()).flatten()
        });
        if let Some(Some(Item::Open(text))) = open {
            self.count_out(text.len());
            answer.extend_from_slice(&ws::text_frame(&text));
        }
    }

    /// What a WebSocket's task does.
    pub(crate) fn serve(
        self: Rc<Self>,
        conn: Rc<WsConn>,
        early: Vec<u8>,
    ) -> impl Future<Output = ()> {
        let max = self.shared.hub.settings().limits.max_payload_bytes;
        let decoder = ws::Decoder::new(max, conn.is_deflating());
        crate::ws::serve(self, conn, decoder, early)
    }

    fn with_link<R>(&self, key: SessionKey, work: impl FnOnce(&mut Link) -> R) -> R {
        let mut links = self.links.borrow_mut();
        let slot = key.slot as usize;
        if links.len() <= slot {
            links.resize_with(slot + 1, Link::default);
        }
        work(&mut links[slot])
    }

    /// Sends bytes of a connection itself: a pong, the answer to a handshake.
    pub(crate) fn send_own(&self, conn: &WsConn, bytes: &[u8]) {
        conn.push_own(bytes);
        if self.flush_ws(conn.key(), conn) == Wrote::Failed {
            self.shard.end(conn.key(), conn.side(), End::Error);
        }
    }

    /// Writes a connection's own bytes, and the outbox if it's the session's main transport.
    pub(crate) fn flush_ws(&self, key: SessionKey, conn: &WsConn) -> Wrote {
        let wrote = if conn.side() == Side::Main {
            let flush = self.shard.with_outbox(key, |outbox, version| {
                let before = outbox.bytes();
                let wrote = conn.flush(outbox, version);
                self.count_out(before.saturating_sub(outbox.bytes()));
                wrote
            });
            flush.unwrap_or(Wrote::All)
        } else {
            conn.flush(&mut lakh_hub::Outbox::default(), Version::V4)
        };
        conn.set_blocked(wrote == Wrote::Blocked);
        if wrote == Wrote::Blocked {
            conn.wake();
        }
        wrote
    }

    /// Holds a connection back until the loops that it publishes to have caught up.
    pub(crate) fn hold(self: &Rc<Self>, cx: &Context<'_>) {
        let mut held = self.held.borrow_mut();
        if held.is_empty() {
            tokio::task::spawn_local(Rc::clone(self).let_go());
        }
        held.push(cx.waker().clone());
    }

    async fn let_go(self: Rc<Self>) {
        while self.shared.hub.is_congested() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.held
            .take()
            .into_iter()
            .for_each(std::task::Waker::wake);
    }

    /// The way to the other nodes.
    pub(crate) fn upstream(&self) -> &Upstream {
        self.upstream.get_or_init(|| upstream(&self.shared))
    }

    fn counters(&self) -> &LoopCounters {
        &self.shared.counters.loops[self.index]
    }

    /// Keeps what was read and is not to be handled yet.
    pub(crate) fn keep_rest(&self, key: SessionKey, rest: &[u8]) {
        self.rests.borrow_mut().insert(key, rest.to_vec());
    }

    pub(crate) fn take_rest(&self, key: SessionKey) -> Option<Vec<u8>> {
        let mut rests = self.rests.borrow_mut();
        match rests.is_empty() {
            true => None,
            false => rests.remove(&key),
        }
    }

    pub(crate) fn drop_rest(&self, key: SessionKey) {
        drop(self.take_rest(key));
    }

    pub(crate) fn count_in(&self, bytes: usize) {
        self.counters().bytes_in.add(bytes);
    }

    fn count_out(&self, bytes: usize) {
        self.counters().bytes_out.add(bytes);
    }

    async fn timer(self: Rc<Self>) {
        loop {
            let mut sleep: std::pin::Pin<&mut Option<tokio::time::Sleep>> = std::pin::pin!(None);
            poll_fn(|cx| {
                let now = self.shard.clock_now();
                match self.shard.next_deadline(cx.waker()) {
                    None => Poll::Pending,
                    Some(at) if at <= now => Poll::Ready(()),
                    Some(at) => {
                        let wait = Duration::from_millis(at.0 - now.0);
                        sleep.set(Some(tokio::time::sleep(wait)));
                        sleep
                            .as_mut()
                            .as_pin_mut()
                            .map_or(Poll::Pending, |sleep| sleep.poll(cx))
                    }
                }
            })
            .await;
            self.shard.advance();
        }
    }

    /// Housekeeping; what is for all loops, the first does.
    async fn housekeeping(self: Rc<Self>) {
        const EVERY: Duration = Duration::from_secs(5);
        let mut give_back = GiveBack::default();
        loop {
            tokio::time::sleep(EVERY).await;
            let now = self.shard.clock_now().0;
            self.farewells.borrow_mut().forget(now);
            if self.index == 0 {
                self.shared.hub.trim_logs();
                self.shared.rate.sweep(now);
                let sessions = self.shared.hub.stats().sessions;
                if give_back.is_due(sessions, now) {
                    give_back::give_back();
                }
            }
        }
    }

    /// Works through what other threads sent to the shard.
    async fn mailbox(self: Rc<Self>) {
        loop {
            poll_fn(|cx| {
                if self.shard.register_mailbox(cx.waker()) {
                    Poll::Pending
                } else {
                    Poll::Ready(())
                }
            })
            .await;
            self.shard.drain_mailbox();
            tokio::task::yield_now().await;
        }
    }

    /// Closes the sessions of this loop, spread over the window, once the server drains.
    async fn drain(self: Rc<Self>) {
        self.shared.lifecycle.reached(LifePhase::Draining).await;
        let now = || self.shard.clock_now().0;
        let total = self.shard.sessions().len();
        let schedule = DrainSchedule::new(total, self.shared.options.drain_window_ms, now());
        loop {
            let sessions = self.shard.sessions();
            let due = schedule.due(sessions.len(), now());
            for key in sessions.iter().take(due) {
                self.shard.close(*key, CloseReason::ServerShuttingDown);
            }
            let left = sessions.len() - due;
            let Some(next) = schedule.next_ms(left, now(), self.shared.hub.random()) else {
                return;
            };
            tokio::time::sleep(Duration::from_millis(next.saturating_sub(now()))).await;
        }
    }
}
