//! Who looks on: each client of a world has a seat on its own loop. There its inputs are looked at, and its frames made.

use std::sync::Arc;

use lakh_hub::{Pace, Socket};
use rustc_hash::FxHashMap;
use serde_json::json;
use slab::Slab;

use super::acts::News;
use super::enter::Place;
use super::plan::Plan;
use crate::engine::entities::EntityId;
use crate::engine::frame::Own;
use crate::engine::view::View;
use crate::engine::viewer::Viewer;
use crate::figures::Tally;
use crate::land::cache::Land;
use crate::land::plan::Coords;
use crate::land::viewer::LandViewer;
use crate::{Config, Inner};

/// Seconds' worth of way that one may have in hand who stood still.
const REACH_S: f64 = 2.0;

/// The land of a world, and where it's noted what of it is to be read.
type Ground<'a, 'b> = (&'a Land, &'b mut Vec<Coords>);

/// A client's seat.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) socket: Socket,
    pub(crate) viewer: Viewer,
    pub(crate) land: Option<LandViewer>,
    pub(crate) session: Arc<str>,
    pub(crate) person: Option<Arc<str>>,
    pub(crate) entity: Option<u32>,
    /// Where its entity is, as far as was taken.
    pub(crate) at: [f64; 3],
    pub(crate) velocity: [f64; 3],
    /// The number of the last input.
    pub(crate) seq: u32,
    /// It's to be told where its entity is.
    pub(crate) corrected: bool,
    /// How far it may go now, as of the tick in which it moved last.
    reach: f64,
    moved_at: u32,
    /// The tick in which it came.
    came_at: u32,
    pub(crate) inputs: Pace,
    /// The tick of the last frame that it was sent, and of the last that it said it has read; 0: it says nothing.
    told: u32,
    seen: u32,
    /// Its connection was told to keep little back.
    is_limited: bool,
}

impl Seat {
    pub(crate) fn new(socket: Socket, viewer: Viewer, session: Arc<str>, at: [f64; 3]) -> Self {
        Self {
            person: socket
                .get::<lakh_hub::Person>()
                .map(|person| person.id.as_str().into()),
            socket,
            viewer,
            land: None,
            session,
            entity: None,
            at,
            velocity: [0.0; 3],
            seq: 0,
            corrected: false,
            reach: 0.0,
            moved_at: 0,
            came_at: 0,
            inputs: Pace::default(),
            told: 0,
            seen: 0,
            is_limited: false,
        }
    }

    /// Begins with the slack that there is for those whose clock runs a little ahead.
    pub(crate) fn begin(&mut self, plan: &Plan, config: &Config, tick: u32) {
        self.reach = plan.max_speed * config.slack_ms as f64 / 1e3;
        self.moved_at = tick;
        self.came_at = tick;
    }

    /// Whether it may have come so far by now; if so, that much of its reach is gone.
    pub(crate) fn reaches(
        &mut self,
        at: [f64; 3],
        tick: u32,
        plan: &Plan,
        config: &Config,
    ) -> bool {
        let passed = f64::from(tick.saturating_sub(self.moved_at)) / f64::from(plan.schema.hz);
        let most = REACH_S + config.slack_ms as f64 / 1e3;
        self.reach = (self.reach + plan.max_speed * passed).min(plan.max_speed * most);
        self.moved_at = tick;
        let off = at.iter().zip(self.at).map(|(to, from)| (to - from).powi(2));
        let way = off.sum::<f64>().sqrt();
        let within = way <= self.reach;
        if within {
            self.reach -= way;
        }
        within
    }

    /// It has read the frames up to a tick, as it says.
    pub(crate) fn saw(&mut self, tick: Option<u32>) {
        self.seen = self.seen.max(tick.unwrap_or_default()).min(self.told);
    }

    /// Whether its connection has taken what the client, as it says, has not read for a second. It gets a frame a second
    /// then, until it has.
    fn is_behind(&self, view: &View) -> bool {
        let second = view.layout().hz;
        self.seen != 0 && self.told > self.seen + second && view.tick() < self.told + second
    }

    /// Tells the client that it's no longer in this world.
    pub(crate) fn close(&self, world: &str, reason: &str, again: bool) {
        Place::left(&self.socket, &self.session);
        let told = json!({"world": world, "reason": reason, "again": again});
        if let Err(error) = self.socket.emit("world:closed", &told) {
            tracing::debug!(%error, "somebody was not told that a world has closed");
        }
    }

    /// Makes the client's frame and sends it, if its connection takes it.
    fn compose(
        &mut self,
        house: &Inner,
        view: &View,
        frame: &mut Vec<u8>,
        land: Option<Ground<'_, '_>>,
        tally: &mut Tally,
    ) {
        if !self.socket.takes() || self.is_behind(view) {
            self.viewer.leave_out();
            tally.merged += 1;
            return;
        }
        let own = self.entity.filter(|_| self.corrected).map(|entity| Own {
            id: EntityId(entity),
            position: self.at,
            velocity: self.velocity,
        });
        self.corrected = false;
        self.viewer.stand(self.at, view.layout());
        self.viewer.answer(self.seq, own);
        frame.clear();
        let news = match (&mut self.land, &land) {
            (Some(viewer), Some((land, _))) => viewer.has_news(land, self.at),
            _ => false,
        };
        self.viewer.set_aside(news);
        let composed = self.viewer.compose(view, frame);
        tally.late += u64::from(composed.late);
        if let (Some(viewer), Some((land, wanted))) = (&mut self.land, land)
            && news
            && composed.bytes > 0
        {
            let composed = viewer.compose(land, self.at, self.viewer.left_aside(), frame);
            self.viewer.spend(composed.bytes);
            wanted.extend(composed.wanted);
        }
        if frame.is_empty() {
            return;
        }
        if self.socket.emit_binary(&house.frames, frame) {
            // Said behind the first frame, once the client no longer polls.
            self.is_limited =
                self.is_limited || self.socket.limit_unsent(house.config.unsent_bytes);
            self.told = view.tick();
            tally.frames += 1;
            tally.bytes += frame.len() as u64;
        } else {
            // It can't be told what the client has now.
            self.viewer.start_over();
            if let Some(land) = &mut self.land {
                land.start_over();
            }
        }
    }
}

/// The seats of one loop.
#[derive(Debug, Default)]
pub(crate) struct Row {
    seats: Slab<Seat>,
    by_session: FxHashMap<Arc<str>, usize>,
    /// Kept for its memory.
    frame: Vec<u8>,
}

impl Row {
    pub(crate) fn len(&self) -> usize {
        self.seats.len()
    }

    pub(crate) fn add(&mut self, seat: Seat) -> usize {
        let session = Arc::clone(&seat.session);
        let at = self.seats.insert(seat);
        self.by_session.insert(session, at);
        at
    }

    pub(crate) fn get(&mut self, session: &str) -> Option<&mut Seat> {
        let at = *self.by_session.get(session)?;
        self.seats.get_mut(at)
    }

    /// A seat by its place, if it's still the one of that stay.
    pub(crate) fn at(&mut self, at: usize, session: &Arc<str>) -> Option<&mut Seat> {
        let seat = self.seats.get_mut(at)?;
        Arc::ptr_eq(&seat.session, session).then_some(seat)
    }

    /// The stays of all seats, with the tick in which each came.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = (&Arc<str>, u32)> {
        let all = self.seats.iter();
        all.map(|(_, seat)| (&seat.session, seat.came_at))
    }

    pub(crate) fn remove(&mut self, session: &str) -> Option<Seat> {
        let at = self.by_session.remove(session)?;
        self.seats.try_remove(at)
    }

    pub(crate) fn clear(&mut self) -> Vec<Seat> {
        self.by_session.clear();
        self.seats.drain().collect()
    }

    /// Takes what happened beside the frames; gives the seats that are no more, and why.
    pub(crate) fn hear(&mut self, news: &[News]) -> Vec<(Seat, String)> {
        let mut closed = Vec::new();
        for one in news {
            match one {
                News::Moved {
                    session,
                    entity,
                    at,
                    velocity,
                } => {
                    if let Some(seat) = self.get(session) {
                        seat.entity = Some(*entity);
                        (seat.at, seat.velocity) = (*at, *velocity);
                        seat.corrected = true;
                    }
                }
                News::Gone { session, reason } => {
                    closed.extend(self.remove(session).map(|seat| (seat, reason.clone())));
                }
                News::Groups { person, groups } => {
                    let of = |seat: &Seat| seat.person.as_deref() == Some(person);
                    for (_, seat) in self.seats.iter_mut().filter(|(_, seat)| of(seat)) {
                        seat.viewer.set_groups(groups);
                    }
                }
                News::Stay(_) | News::Ended { .. } => {}
            }
        }
        closed
    }

    /// Makes and sends the frames of a tick.
    pub(crate) fn compose(
        &mut self,
        house: &Inner,
        view: &View,
        mut land: Option<Ground<'_, '_>>,
    ) -> Tally {
        let mut tally = Tally::default();
        let Self { seats, frame, .. } = self;
        for (_, seat) in seats.iter_mut() {
            let land = land.as_mut().map(|(land, wanted)| (*land, &mut **wanted));
            seat.compose(house, view, frame, land, &mut tally);
        }
        tally
    }
}
