//! The ticks of a world: one task, on the loop that has the world.
//!
//! In each the world takes what clients did and makes a view; each loop with clients of this world composes their frames
//! from it, this one at once and the others as it comes to them. A loop that is still at an earlier tick is passed over: its
//! clients get what they missed with the next.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lakh_hub::Failure;
use lakh_hub::store::Batch;
use tokio::time::sleep;

use super::acts::News;
use super::live::Live;
use super::load::Load;
use super::saving::Saving;
use crate::engine::view::View;
use crate::fleet::guest;
use crate::fleet::lease::{BEAT, Lease};

/// Begins the ticks, or what is done instead of them where the world is another node's.
///
/// # Errors
/// `unavailable` if the loop that is to make them is too far behind.
pub(crate) fn start(live: &Arc<Live>, lease: Option<Arc<Lease>>) -> Result<(), Failure> {
    let running = Arc::clone(live);
    let started = live.worlds.hub().run_on(live.shard, move |_| {
        tokio::task::spawn_local(run(running, lease));
    });
    started.map_err(|_| Failure::new("unavailable", "the server is too busy now; try again"))
}

async fn run(live: Arc<Live>, mut lease: Option<Arc<Lease>>) {
    while !live.ended.load(Ordering::Acquire) {
        if live.is_owner() {
            let renewing = lease.clone().map(|lease| {
                let worlds = live.worlds.clone();
                tokio::task::spawn_local(async move { renew(&worlds, &lease).await })
            });
            own(&live, lease.as_ref()).await;
            if let Some(renewing) = renewing {
                renewing.abort();
            }
            if !live.ended.load(Ordering::Acquire) {
                tracing::warn!(
                    world = &*live.name,
                    "a world stands still: its owner can't say any more that it is"
                );
                live.become_guest(lease.as_ref().map(|lease| lease.word.clone()));
            }
        } else if let Some(taken) = guest::follow(&live).await {
            if let Err(failure) = live.inherit(&taken).await {
                tracing::warn!(
                    world = &*live.name,
                    reason = failure.message,
                    "a world could not be taken over; it is tried again"
                );
                taken.release(&live.worlds).await;
            } else {
                lease = Some(taken);
            }
        }
    }
    live.close_all();
}

/// Says again and again that the world is this node's.
async fn renew(worlds: &crate::Worlds, lease: &Lease) {
    loop {
        sleep(BEAT).await;
        lease.write(worlds, Batch::new(worlds.now_ms())).await;
    }
}

/// Ticks that a world may be behind.
const MOST_BEHIND: u32 = 2;

/// Makes the ticks, for as long as the world is this node's and somebody is in it.
async fn own(live: &Arc<Live>, lease: Option<&Arc<Lease>>) {
    let (mut load, mut saving) = (
        Load::default(),
        Saving::new(lease.cloned(), live.worlds.clock()),
    );
    let (hz, mut moves) = (live.plan.schema.hz, Vec::new());
    let clock = || live.worlds.clock();
    let mut next = clock();
    let mut empty_since = next;
    let rest = Duration::from_millis(live.worlds.0.config.rest_ms);
    while !live.ended.load(Ordering::Acquire) {
        let period = load.period(hz);
        let due = next + period;
        sleep(due.saturating_sub(clock())).await;
        if lease.is_some_and(|lease| !lease.is_held(clock())) {
            return;
        }
        let begun = clock();
        // What it could not make up for is forgotten, but not at once: all that the loop does beside ticks is seen by it.
        next = due.max(begun.saturating_sub(period * MOST_BEHIND));
        step(live, &load, &mut moves);
        let took = clock().saturating_sub(begun);
        live.worlds.0.counters.ticked(took);
        // Other loops compose at the same time.
        let composing = live.slowest_loop();
        let late = begun.saturating_sub(due);
        load.took(late + took.max(composing), hz);
        saving.tick(live);
        if live.people() > 0 || live.with_core(|core| core.stays() > 0) == Some(true) {
            empty_since = begun;
        } else if begun.saturating_sub(empty_since) >= rest && saving.is_at_rest() {
            // All of it is stored before anybody can have the world brought back from the store.
            if saving.finish(live).await && live.worlds.0.registry.lay_to_rest(live) {
                break;
            }
            empty_since = clock();
        }
        // What was composed is to be written out, even when the next tick is due already.
        tokio::task::yield_now().await;
    }
    saving.finish(live).await;
    if let Some(lease) = lease {
        lease.release(&live.worlds).await;
    }
}

/// Ticks between looks at who is still there.
const LOOK_EVERY: u32 = 16;

fn step(live: &Arc<Live>, load: &Load, moves: &mut Vec<super::core::Move>) {
    moves.clear();
    live.take_moves(moves);
    let now_ms = live.worlds.now_ms();
    let ticked = live.with_core(|core| core.tick(moves, load.pace(), now_ms));
    let Some((view, news)) = ticked else { return };
    live.ticked(view.tick(), load.pace());
    live.tell_guests(&view, &news);
    live.show(&view, &Arc::from(news));
    if view.tick().is_multiple_of(LOOK_EVERY) {
        live.forget_silent(now_ms);
    }
}

impl Live {
    /// Has each loop compose the frames of its clients.
    pub(crate) fn show(self: &Arc<Self>, view: &Arc<View>, news: &Arc<[News]>) {
        for shard in 0..self.rows.len() {
            if shard != self.shard {
                self.show_on(shard, view, news);
            }
        }
        self.compose(self.shard, view, news);
    }

    fn show_on(self: &Arc<Self>, shard: usize, view: &Arc<View>, news: &Arc<[News]>) {
        // News must not be lost; a view is followed by the next.
        let busy = self.busy[shard].swap(true, Ordering::AcqRel);
        if (busy && news.is_empty()) || self.rows[shard].lock().len() == 0 {
            self.busy[shard].store(busy, Ordering::Release);
            return;
        }
        let (live, view, news) = (Arc::clone(self), Arc::clone(view), Arc::clone(news));
        let sent = self.worlds.hub().run_on(shard, move |_| {
            live.compose(shard, &view, &news);
            live.busy[shard].store(false, Ordering::Release);
        });
        if sent.is_err() {
            self.busy[shard].store(false, Ordering::Release);
        }
    }

    fn compose(&self, shard: usize, view: &View, news: &[News]) {
        let begun = self.worlds.clock();
        let mut wanted = Vec::new();
        let (tally, closed) = {
            let mut row = self.rows[shard].lock();
            if row.len() == 0 {
                return self.composed(shard, Duration::ZERO);
            }
            let closed = row.hear(news);
            let land = self.ground.as_ref().map(|ground| ground.land().read());
            let land = land.as_deref().map(|land| (land, &mut wanted));
            (row.compose(&self.worlds.0, view, land), closed)
        };
        if let Some(ground) = &self.ground {
            ground.want(wanted);
        }
        self.composed(shard, self.worlds.clock().saturating_sub(begun));
        self.worlds.0.counters.composed(&tally);
        for (seat, reason) in closed {
            seat.close(&self.name, &reason, false);
        }
    }

    /// Tells everybody that the world is no more.
    fn close_all(self: &Arc<Self>) {
        for shard in 0..self.rows.len() {
            let live = Arc::clone(self);
            let sent = self.worlds.hub().run_on(shard, move |_| {
                let seats = live.rows[shard].lock().clear();
                for seat in seats {
                    seat.close(&live.name, "deleted", false);
                }
            });
            if let Err(full) = sent {
                tracing::warn!(%full, "people of a world that was deleted were not told");
            }
        }
    }
}
