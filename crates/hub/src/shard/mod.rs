//! A shard: everything that belongs to one event loop.
//!
//! Sessions, sockets and room members of a loop live in one `State` without locks; only its own thread touches it.
//! User code (handlers, hooks) never runs while the state is borrowed, so it may call anything.
//!
//! Who drives a shard, the loop of `net` or a test, calls the methods of `session.rs` with what arrived, then takes the
//! dirty sessions and writes their outboxes. The shard names no socket and reads no clock but the hub's.

mod acks;
mod close;
mod connect;
mod deliver;
mod fleet;
mod inbound;
mod limited;
mod look;
mod members;
mod parts;
mod restore;
mod session;
mod targets;
mod write_out;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use hashbrown::HashTable;
use lakh_broker::{NameHasher, Room};
use lakh_wire::{Millis, engine, socketio};
use rustc_hash::{FxBuildHasher, FxHashMap};
use slab::Slab;
use smallvec::SmallVec;
use std::hash::BuildHasher;

use crate::ack::{Collector, Slot};
use crate::caught::caught;
use crate::engine_io::EngineSocket;
use crate::event::Event;
use crate::handshake::Handshake;
use crate::hub::Hub;
use crate::ids::{Id, IdMaker};
use crate::mailbox::Command;
use crate::outbox::{Outbox, Spare};
use crate::sign_in::Alarm;
use crate::socket::Socket;
use crate::stats::ShardStats;
use crate::wheel::Wheel;

pub use session::{App, Opened, PayloadRefused};
pub use write_out::Outboxes;

/// A session of this shard. The generation tells it from an earlier one in the same slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct SessionKey {
    /// Place in the shard's table, small and dense: a transport can keep its own table by it.
    pub slot: u32,
    pub(crate) generation: u32,
}

/// A socket of this shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) struct SocketKey {
    pub slot: u32,
    pub generation: u32,
}

impl SocketKey {
    /// No socket: for work that belongs to none.
    pub(crate) const NOBODY: Self = Self {
        slot: u32::MAX,
        generation: 0,
    };
}

/// The shard of the calling thread.
pub(crate) type CurrentShard = Rc<Shard>;

thread_local! {
    /// A thread drives one shard. This is how a handle finds out that it's used on its own loop.
    static CURRENT: RefCell<Option<Rc<Shard>>> = const { RefCell::new(None) };
}

/// Everything that belongs to one event loop.
pub struct Shard {
    hub: Hub,
    index: usize,
    pub(crate) state: RefCell<State>,
    draining: Cell<bool>,
    /// An outbox fills up that could be written out.
    pressed: Cell<bool>,
    /// Whose handler runs at the moment.
    running: Cell<Option<SocketKey>>,
    /// What was taken out of the mailbox and is still to be done.
    commands: RefCell<VecDeque<Command>>,
}

pub(crate) struct State {
    ids: IdMaker,
    /// What follows the session's id in the engine's first packet, by what it depends on.
    openings: [Option<Box<str>>; 4],
    /// The query of the latest session.
    query: Arc<str>,
    sessions: Slab<SessionEntry>,
    by_session: HashTable<u32>,
    pub(crate) sockets: Slab<SocketEntry>,
    by_socket: HashTable<u32>,
    spaces: FxHashMap<u32, Space>,
    /// Sessions whose outbox wants the transport's attention.
    dirty: Vec<SessionKey>,
    flusher: Option<Waker>,
    /// When sessions want to be looked at. Apart from the other timers: every session has an entry, of 16 bytes then.
    heartbeats: Wheel<SessionKey>,
    timers: Wheel<Timer>,
    /// When sockets want to be looked at. Apart, for the same reason: each sign-in that ends has an entry.
    alarms: Wheel<Alarm>,
    timer_waker: Option<Waker>,
    /// The deadline that whoever drives the timers knows of.
    armed: Millis,
    pool: Vec<Spare>,
    /// Marks the sockets that a broadcast has reached or passes over.
    mark: u32,
    generation: u32,
    fleet: fleet::Fleet,
    meters: limited::Meters,
}

/// A connection.
pub(crate) struct SessionEntry {
    generation: u32,
    id: Id,
    engine: engine::Session,
    decoder: socketio::Decoder,
    pub(crate) outbox: Outbox,
    handshake: Arc<Handshake>,
    app: App,
    /// Sockets of this connection.
    pub(crate) sockets: SmallVec<[u32; 2]>,
    /// Namespaces that are being entered.
    entering: u16,
    /// When it's closed unless it has joined a namespace by then; `NEVER` after.
    connect_by: Millis,
    /// The nearest timer entry that is in the wheel.
    timer_at: Millis,
    dirty: bool,
    paused: bool,
    /// It came too fast for a limit, and is read no further for a while.
    slowed: bool,
    /// The session is over; only the outbox is still of use.
    over: bool,
}

/// One client in one namespace, as its shard sees it.
pub(crate) struct SocketEntry {
    generation: u32,
    pub(crate) socket: Socket,
    pub(crate) session: SessionKey,
    /// Room and place among its members, own room not counted.
    rooms: SmallVec<[(u32, u32); 2]>,
    /// Rooms that were joined after the session began: what was said there up to this place in the log is not for the
    /// socket. Beside the rooms: only those who may come back need it.
    joined_after: Option<Box<FxHashMap<u32, u64>>>,
    /// Place among the members of the namespace.
    place: u32,
    mark: u32,
    running: u32,
    /// What was logged up to here it has, or was never meant to have.
    after: u64,
    in_own_room: bool,
    /// What goes to it is kept back until its session is recorded as it is now.
    held: bool,
    /// Set when the socket can be recovered.
    pid: Option<Id>,
    /// Where in the log its session began, if it can be recovered.
    start: u64,
    acks: Option<Box<FxHashMap<u64, Waiting>>>,
    /// Events that wait for a middleware to be done with an earlier one. Boxed: 8 bytes in each socket, not 32.
    #[allow(clippy::box_collection)]
    inbox: Option<Box<VecDeque<Event>>>,
}

/// Who waits for an acknowledgement.
pub(crate) enum Waiting {
    One(Arc<Slot>),
    Many(Arc<Collector>),
}

/// A namespace on this shard.
#[derive(Default)]
pub(crate) struct Space {
    /// Sockets in the namespace.
    members: Vec<u32>,
    rooms: Slab<RoomEntry>,
    by_room: HashTable<u32>,
    hasher: NameHasher,
}

pub(crate) struct RoomEntry {
    name: Room,
    /// Socket, and place of this room in the socket's own list.
    members: Vec<(u32, u32)>,
    /// Where some of a room's members have filters: each filter's members are a room of their own.
    kin: Option<Box<Kin>>,
}

/// How rooms belong together.
#[derive(Default)]
struct Kin {
    /// The room that this one is a part of.
    base: Option<u32>,
    /// The parts of this one.
    parts: Vec<u32>,
}

pub(crate) enum Timer {
    Ack(SocketKey, u64),
    Collect(Arc<Collector>),
    /// Sockets that were asked by one broadcast.
    Asked(u64, Box<[SocketKey]>),
    /// Records of sessions are written again before they expire.
    Refresh,
    /// A connection may be read on.
    ReadOn(SessionKey),
}

const NEVER: Millis = Millis(u64::MAX);

fn hash<T: std::hash::Hash + ?Sized>(value: &T) -> u64 {
    FxBuildHasher.hash_one(value)
}

impl Shard {
    /// The shard of this number, made the calling thread's own: handles used on this thread act on it at once.
    #[must_use]
    pub fn enter(hub: &Hub, index: usize) -> Rc<Self> {
        let now = hub.now();
        let shard = Rc::new(Self {
            hub: hub.clone(),
            index,
            state: RefCell::new(State {
                ids: IdMaker::new(hub.node_tag(), index),
                openings: Default::default(),
                query: Arc::default(),
                sessions: Slab::new(),
                by_session: HashTable::new(),
                sockets: Slab::new(),
                by_socket: HashTable::new(),
                spaces: FxHashMap::default(),
                dirty: Vec::new(),
                flusher: None,
                heartbeats: Wheel::new(now),
                timers: Wheel::new(now),
                alarms: Wheel::new(now),
                timer_waker: None,
                armed: NEVER,
                pool: Vec::new(),
                mark: 0,
                generation: 0,
                fleet: fleet::Fleet::default(),
                meters: limited::Meters::default(),
            }),
            draining: Cell::new(false),
            pressed: Cell::new(false),
            running: Cell::new(None),
            commands: RefCell::default(),
        });
        drop(CURRENT.replace(Some(Rc::clone(&shard))));
        shard
    }

    /// Ends the thread's tie to its shard. To be called when the loop ends: a thread may drive another one later.
    pub fn exit() {
        // Taken out first: values that users kept with their sockets are dropped with it, and may look for the shard.
        drop(CURRENT.with_borrow_mut(Option::take));
    }

    pub(crate) fn current(hub: &Hub) -> Option<Rc<Self>> {
        CURRENT.with_borrow(|current| {
            current
                .as_ref()
                .filter(|shard| Arc::ptr_eq(&shard.hub.0, &hub.0))
                .cloned()
        })
    }

    /// The hub.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Its number.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn stats(&self) -> &ShardStats {
        &self.hub.0.stats[self.index]
    }

    fn now(&self) -> Millis {
        self.hub.now()
    }

    /// The time by the hub's clock.
    #[must_use]
    pub fn clock_now(&self) -> Millis {
        self.hub.now()
    }

    /// Works through what other threads have sent, and what arrives meanwhile, as far as one turn goes: outboxes must
    /// be written out in between, or those who read well would pass for slow readers. Call it again while
    /// [`Shard::register_mailbox`] says that there is more.
    pub fn drain_mailbox(&self) {
        // A handler that runs inside may publish: the outer call goes on with that, in order.
        if self.draining.replace(true) {
            return;
        }
        let mailbox = self.hub.mailbox(self.index);
        let mut left = self.hub.settings().hub_limits.outbox_bytes / 4;
        while left > 0 && !mailbox.is_empty() {
            // They change places with the mailbox's own queue, so neither is ever made anew.
            let taken = mailbox.take(&mut self.commands.borrow_mut(), left);
            left = left.saturating_sub(taken);
            while let Some(command) = self.next_command() {
                match command {
                    Command::Deliver(outgoing) => self.deliver(&outgoing),
                    Command::Run(work, _) => {
                        caught("work sent to an event loop", || work(self));
                    }
                }
            }
        }
        self.draining.set(false);
    }

    /// Not in the head of the loop: the commands would stay borrowed while one is carried out.
    fn next_command(&self) -> Option<Command> {
        self.commands.borrow_mut().pop_front()
    }

    /// Of what was sent to this shard and is still to be done, the first in which this is found.
    fn first_waiting<T>(&self, find: impl Fn(&Command) -> Option<T>) -> Option<T> {
        let taken = self.commands.borrow().iter().find_map(&find);
        taken.or_else(|| self.hub.mailbox(self.index).find(find))
    }

    /// Whether nothing that was sent to this shard is still to be done: what is done now comes in its turn.
    pub(crate) fn is_settled(&self) -> bool {
        !self.draining.get() && self.hub.mailbox(self.index).is_empty()
    }

    /// Asks to be woken when something is in the mailbox. `false`: there is something already.
    pub fn register_mailbox(&self, waker: &Waker) -> bool {
        self.hub.mailbox(self.index).register(waker)
    }

    /// When `advance` wants to be called next; the waker is woken when that becomes earlier.
    pub fn next_deadline(&self, waker: &Waker) -> Option<Millis> {
        let mut state = self.state.borrow_mut();
        let heartbeat = state.heartbeats.next_deadline();
        let timer = state.timers.next_deadline();
        let all = [heartbeat, timer, state.alarms.next_deadline()];
        let next = all.into_iter().flatten().min();
        state.armed = next.unwrap_or(NEVER);
        state.timer_waker = Some(waker.clone());
        next
    }

    /// Does what is due.
    pub fn advance(&self) {
        let now = self.now();
        let (mut sessions, mut timers, mut alarms) = (Vec::new(), Vec::new(), Vec::new());
        {
            let mut state = self.state.borrow_mut();
            state.heartbeats.advance(now, &mut sessions);
            state.timers.advance(now, &mut timers);
            state.alarms.advance(now, &mut alarms);
        }
        for key in sessions {
            self.session_timer(key, now);
        }
        for timer in timers {
            match timer {
                Timer::Ack(key, id) => self.ack_timed_out(key, id),
                Timer::Collect(collector) => collector.time_is_up(),
                Timer::Asked(id, asked) => self.forget_asked(id, &asked),
                Timer::Refresh => self.refresh_records(),
                Timer::ReadOn(key) => self.read_on(key),
            }
        }
        for alarm in alarms {
            self.alarm(&alarm);
        }
    }

    fn engine_socket(&self, key: SessionKey, entry: &SessionEntry) -> EngineSocket {
        EngineSocket {
            hub: self.hub.clone(),
            shard: self.index,
            key,
            id: entry.id,
            handshake: Arc::clone(&entry.handshake),
        }
    }
}

impl State {
    pub(crate) fn session(&mut self, key: SessionKey) -> Option<&mut SessionEntry> {
        self.sessions
            .get_mut(key.slot as usize)
            .filter(|entry| entry.generation == key.generation)
    }

    pub(crate) fn socket(&mut self, key: SocketKey) -> Option<&mut SocketEntry> {
        self.sockets
            .get_mut(key.slot as usize)
            .filter(|entry| entry.generation == key.generation)
    }

    /// The session's outbox has something for the transport.
    fn touch(&mut self, slot: u32) {
        touch(&mut self.sessions, &mut self.dirty, &mut self.flusher, slot);
    }

    fn arm(&mut self, at: Millis, timer: Timer) {
        self.timers.insert(at, timer);
        self.hurry(at);
    }

    pub(crate) fn arm_alarm(&mut self, at: Millis, alarm: Alarm) {
        self.alarms.insert(at, alarm);
        self.hurry(at);
    }

    fn arm_session(&mut self, at: Millis, key: SessionKey) {
        self.heartbeats.insert(at, key);
        self.hurry(at);
    }

    /// Wakes who drives the timers, if they know of none as early.
    fn hurry(&mut self, at: Millis) {
        if at < self.armed {
            self.armed = at;
            if let Some(waker) = self.timer_waker.take() {
                waker.wake();
            }
        }
    }

    fn next_generation(&mut self) -> u32 {
        self.generation = self.generation.wrapping_add(1);
        self.generation
    }

    fn find_session(&self, id: &Id) -> Option<SessionKey> {
        let found = self.by_session.find(hash(id.bytes()), |slot| {
            self.sessions[*slot as usize].id == *id
        })?;
        Some(SessionKey {
            slot: *found,
            generation: self.sessions[*found as usize].generation,
        })
    }
}

/// Free-standing so that callers can hold other parts of the state meanwhile.
fn touch(
    sessions: &mut Slab<SessionEntry>,
    dirty: &mut Vec<SessionKey>,
    flusher: &mut Option<Waker>,
    slot: u32,
) {
    let Some(entry) = sessions.get_mut(slot as usize) else {
        return;
    };
    if !std::mem::replace(&mut entry.dirty, true) {
        dirty.push(SessionKey {
            slot,
            generation: entry.generation,
        });
        if let Some(waker) = flusher.take() {
            waker.wake();
        }
    }
}
