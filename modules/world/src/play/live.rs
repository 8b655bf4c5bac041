//! A world at work on this node: its own, or one that another node has and this one follows.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use lakh_hub::{Bytes, Failure};
use parking_lot::Mutex;
use tokio::time::sleep;

use super::acts::{Act, Done};
use super::core::{Core, Move};
use super::plan;
use super::seats::Row;
use crate::Worlds;
use crate::engine::relay::Source;
use crate::engine::schema::Layout;
use crate::engine::world::Pace;
use crate::fleet::guest::{Former, Guest};
use crate::land::ground::Ground;

/// Moves that may wait for the next tick.
const MAX_MOVES: usize = 1 << 17;
/// How long it's tried to reach the owner of a world: long enough for another to take it over.
const TRIED: Duration = Duration::from_secs(6);
/// Wait before it's tried again.
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// Whose world it is.
#[derive(Debug)]
enum Role {
    Owner(Box<Core>),
    Guest(Guest),
}

/// Another node with people in this world, as its owner knows it.
#[derive(Debug)]
pub(crate) struct GuestNode {
    pub(crate) source: Source,
    /// When it was there last, by the hub's clock.
    pub(crate) heard: Option<Duration>,
    /// It knows nothing yet of who is in.
    pub(crate) is_new: bool,
}

impl Default for GuestNode {
    fn default() -> Self {
        Self {
            source: Source::new(),
            heard: None,
            is_new: true,
        }
    }
}

/// A world at work.
pub(crate) struct Live {
    pub(crate) worlds: Worlds,
    pub(crate) name: Box<str>,
    pub(crate) plan: plan::Shared,
    pub(crate) layout: Arc<Layout>,
    /// The loop that makes its ticks.
    pub(crate) shard: usize,
    /// Short steps only; never held while waiting.
    role: Mutex<Role>,
    /// What clients did since the last tick.
    moves: Mutex<Vec<Move>>,
    /// Who looks on, by loop. Other loops take the lock for short looks only.
    pub(crate) rows: Box<[Mutex<Row>]>,
    /// Loops that still compose an earlier tick.
    pub(crate) busy: Box<[AtomicBool]>,
    /// Microseconds that each loop took for its part of the last tick.
    composing_us: Box<[AtomicU32]>,
    /// The world's land, if it has some.
    pub(crate) ground: Option<Arc<Ground>>,
    /// Other nodes that follow this world, where it's this node's.
    pub(crate) guests: Mutex<HashMap<Arc<str>, GuestNode>>,
    tick: AtomicU32,
    /// Dilation, and ease above it.
    pace: AtomicU16,
    /// Entities, where the world is another node's.
    pub(crate) far_entities: AtomicUsize,
    /// Requests that hold on to it: it doesn't go to rest meanwhile. Raised under the registry's lock.
    pub(crate) holds: AtomicUsize,
    pub(crate) ended: AtomicBool,
}

/// What a world is now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) people: usize,
    pub(crate) entities: usize,
    pub(crate) pace: Pace,
}

impl Live {
    /// A world of this node.
    pub(crate) fn owner(worlds: &Worlds, name: &str, core: Core) -> Self {
        let (plan, view) = (Arc::clone(&core.plan), core.view());
        let live = Self::new(worlds, name, plan, Arc::clone(view.layout()), |_| {
            Role::Owner(Box::new(core))
        });
        live.tick.store(view.tick(), Ordering::Relaxed);
        live
    }

    /// A world of another node.
    ///
    /// # Errors
    /// If its plan can't be, which was looked at when it was made.
    pub(crate) fn guest(
        worlds: &Worlds,
        name: &str,
        plan: plan::Shared,
        owner: &str,
    ) -> Result<Self, Failure> {
        let layout = Layout::new(&plan.schema, plan.cell_bits)
            .map_err(|error| Failure::bad_request(format!("schema: {error}")))?;
        let role = |layout: &Arc<Layout>| Role::Guest(Guest::new(layout, owner));
        Ok(Self::new(worlds, name, plan, Arc::new(layout), role))
    }

    fn new(
        worlds: &Worlds,
        name: &str,
        plan: plan::Shared,
        layout: Arc<Layout>,
        role: impl FnOnce(&Arc<Layout>) -> Role,
    ) -> Self {
        let shards = worlds.hub().shard_count();
        let hash = name.bytes().fold(0_usize, |hash, byte| {
            hash.wrapping_mul(31).wrapping_add(usize::from(byte))
        });
        let land = plan.land.as_ref();
        let ground = land.map(|land| worlds.0.grounds.of(worlds, name, land));
        if let Some(ground) = &ground {
            ground.keep_true();
        }
        Self {
            worlds: worlds.clone(),
            name: name.into(),
            plan,
            role: Mutex::new(role(&layout)),
            layout,
            shard: hash % shards,
            ground,
            moves: Mutex::default(),
            rows: (0..shards).map(|_| Mutex::default()).collect(),
            busy: (0..shards).map(|_| AtomicBool::default()).collect(),
            composing_us: (0..shards).map(|_| AtomicU32::default()).collect(),
            guests: Mutex::default(),
            tick: AtomicU32::new(0),
            pace: AtomicU16::new(128),
            far_entities: AtomicUsize::new(0),
            holds: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        }
    }

    /// Does something with the truth, where it's here.
    pub(crate) fn with_core<R>(&self, work: impl FnOnce(&mut Core) -> R) -> Option<R> {
        match &mut *self.role.lock() {
            Role::Owner(core) => Some(work(core)),
            Role::Guest(_) => None,
        }
    }

    /// Does something with what is known of a world of another node.
    pub(crate) fn as_guest<R>(&self, work: impl FnOnce(&mut Guest) -> R) -> Option<R> {
        match &mut *self.role.lock() {
            Role::Owner(_) => None,
            Role::Guest(guest) => Some(work(guest)),
        }
    }

    pub(crate) fn is_owner(&self) -> bool {
        matches!(*self.role.lock(), Role::Owner(_))
    }

    pub(crate) fn become_owner(&self, core: Box<Core>) {
        // What was there may be large; it's dropped outside the lock.
        let former = std::mem::replace(&mut *self.role.lock(), Role::Owner(core));
        drop(former);
    }

    /// It can't be said any more that the world is this node's; it's to be found out whose it is. What is here is kept until
    /// another node is heard of: it may be that the store was away.
    pub(crate) fn become_guest(&self, word: Option<Bytes>) {
        let mut role = self.role.lock();
        let guest = Role::Guest(Guest::new(&self.layout, ""));
        let former = std::mem::replace(&mut *role, guest);
        if let (Role::Guest(guest), Role::Owner(core)) = (&mut *role, former) {
            guest.former = Some(Former { core, word });
        }
        drop(role);
        self.guests.lock().clear();
    }

    /// Has something done.
    ///
    /// # Errors
    /// What the request is answered.
    pub(crate) async fn act(&self, act: Act) -> Result<Done, Failure> {
        let until = self.worlds.clock() + TRIED;
        loop {
            let owner = match self.as_guest(|guest| Arc::clone(&guest.owner)) {
                Some(owner) => owner,
                None => match self.act_here(act.clone()) {
                    Some(answer) => return answer,
                    None => continue,
                },
            };
            if let Some(fleet) = &self.worlds.0.fleet
                && !owner.is_empty()
                && let Some(told) = fleet.ask(&owner, &self.name, &act).await
            {
                return told.answer();
            }
            if !act.is_repeatable() || self.worlds.clock() > until {
                return Err(Failure::new(
                    "unavailable",
                    "the node that has this world does not answer; try again",
                ));
            }
            sleep(TRY_AGAIN).await;
        }
    }

    /// Has something done, if the world is this node's.
    pub(crate) fn act_here(&self, act: Act) -> Option<Result<Done, Failure>> {
        let now_ms = self.worlds.now_ms();
        self.with_core(|core| core.perform(act, now_ms))
    }

    /// Takes a move for the next tick; `false` if too many wait.
    pub(crate) fn push(&self, one: Move) -> bool {
        let mut moves = self.moves.lock();
        let fits = moves.len() < MAX_MOVES;
        if fits {
            moves.push(one);
        }
        fits
    }

    /// What clients did; the list given takes its place.
    pub(crate) fn take_moves(&self, empty: &mut Vec<Move>) {
        std::mem::swap(&mut *self.moves.lock(), empty);
    }

    /// The last tick.
    pub(crate) fn tick(&self) -> u32 {
        self.tick.load(Ordering::Relaxed)
    }

    pub(crate) fn ticked(&self, tick: u32, pace: Pace) {
        self.tick.store(tick, Ordering::Relaxed);
        let pace = u16::from(pace.ease) << 8 | u16::from(pace.dilation);
        self.pace.store(pace, Ordering::Relaxed);
    }

    /// A loop is done with its part of a tick.
    pub(crate) fn composed(&self, shard: usize, took: Duration) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        self.composing_us[shard].store(micros, Ordering::Relaxed);
    }

    /// The longest that a loop took for its part of the last tick.
    pub(crate) fn slowest_loop(&self) -> Duration {
        let all = self.composing_us.iter();
        let most = all.map(|us| us.load(Ordering::Relaxed)).max();
        Duration::from_micros(most.unwrap_or_default().into())
    }

    pub(crate) fn people(&self) -> usize {
        self.rows.iter().map(|row| row.lock().len()).sum()
    }

    /// The stays of all who have seats here.
    pub(crate) fn sessions(&self) -> Vec<(Arc<str>, u32)> {
        let mut all = Vec::new();
        for row in &self.rows {
            let row = row.lock();
            all.extend(
                row.sessions()
                    .map(|(session, tick)| (Arc::clone(session), tick)),
            );
        }
        all
    }

    pub(crate) fn now(&self) -> Now {
        let [dilation, ease] = self.pace.load(Ordering::Relaxed).to_le_bytes();
        let here = self.with_core(|core| (core.stays(), core.entities()));
        let (people, entities) =
            here.unwrap_or_else(|| (self.people(), self.far_entities.load(Ordering::Relaxed)));
        Now {
            people,
            entities,
            pace: Pace { dilation, ease },
        }
    }
}

/// Keeps a world from going to rest.
pub(crate) struct Held(pub(super) Arc<Live>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.holds.fetch_sub(1, Ordering::AcqRel);
    }
}

impl std::ops::Deref for Held {
    type Target = Arc<Live>;

    fn deref(&self) -> &Arc<Live> {
        &self.0
    }
}
