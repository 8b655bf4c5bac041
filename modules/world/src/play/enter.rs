//! Coming in and going: `world:enter`, `world:leave`, `world:look`, and lost connections.

use std::sync::Arc;

use lakh_hub::{Failure, Socket};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::acts::{Act, Actor, Done, Entered, Entering, unexpected};
use super::live::Live;
use super::queries::View;
use super::registry::open;
use super::saving;
use super::seats::Seat;
use super::shapes::{Fields, Numbers, shown};
use crate::Worlds;
use crate::asker::Asker;
use crate::engine::query::QueryError;
use crate::engine::viewer::{Sight, Viewer};
use crate::land::viewer::LandViewer;

/// Where a socket is. Kept with it.
#[derive(Debug, Default)]
pub(crate) struct Place(Mutex<Option<Here>>);

/// A socket's seat.
#[derive(Clone)]
pub(crate) struct Here {
    pub(crate) live: Arc<Live>,
    pub(crate) session: Arc<str>,
    /// The loop's row, and the seat in it.
    pub(crate) shard: usize,
    pub(crate) seat: usize,
}

impl std::fmt::Debug for Here {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Here({} of {})", self.seat, self.live.name)
    }
}

impl Place {
    /// Where a socket is now.
    pub(crate) fn of(socket: &Socket) -> Option<Here> {
        socket.get::<Self>()?.0.lock().clone()
    }

    /// The same.
    ///
    /// # Errors
    /// `not_in` if it's nowhere.
    pub(crate) fn need(socket: &Socket) -> Result<Here, Failure> {
        Self::of(socket).ok_or_else(|| {
            Failure::new("not_in", "you are in no world; enter one with world:enter")
        })
    }

    fn swap(socket: &Socket, here: Option<Here>) -> Option<Here> {
        let place = socket.get::<Self>().unwrap_or_else(|| {
            socket.insert(Self::default());
            // What was just put there is there.
            socket.get::<Self>().unwrap_or_default()
        });
        let mut place = place.0.lock();
        std::mem::replace(&mut *place, here)
    }

    /// Its seat is gone.
    pub(crate) fn left(socket: &Socket, session: &Arc<str>) {
        if let Some(place) = socket.get::<Self>() {
            let mut place = place.0.lock();
            if place.as_ref().is_some_and(|here| here.session == *session) {
                *place = None;
            }
        }
    }
}

/// The world where a socket is.
pub(crate) fn world_of(socket: &Socket) -> Option<String> {
    Place::of(socket).map(|here| here.live.name.to_string())
}

#[derive(Debug, Deserialize)]
pub(crate) struct EnterRequest {
    world: String,
    at: Option<Numbers>,
    view: Option<View>,
    budget: Option<u32>,
    #[serde(default, deserialize_with = "lakh_hub::or_default")]
    fields: Fields,
    #[serde(default, deserialize_with = "lakh_hub::or_default")]
    spectate: bool,
    session: Option<String>,
}

/// `world:enter`.
pub(crate) async fn enter(
    worlds: &Worlds,
    asker: &Asker,
    request: EnterRequest,
) -> Result<Json, Failure> {
    let socket = asker.need_socket()?;
    asker.allow("enter", &request.world)?;
    let live = open(worlds, &request.world).await?;
    let config = &worlds.0.config;
    if live.people() >= config.max_people {
        return Err(Failure::new(
            "full",
            "there are too many people in this world; try again later",
        ));
    }
    let view = request.view.unwrap_or(View::Radius(config.view));
    let sight = view.sight(&live.plan, config)?;
    let budget = request
        .budget
        .unwrap_or(config.budget)
        .min(config.max_budget);
    let viewer = Viewer::new(&live.layout, &sight, budget).map_err(wrong_query)?;
    let wish = request.at.map(|at| at.vector(live.plan.dims(), "at"));
    let actor = Actor {
        session: request.session,
        ..actor_of(asker, &request.world)
    };
    let remembered = match &actor.person {
        Some(person) => saving::place_of(worlds, &request.world, person).await?,
        None => None,
    };
    let entering = Entering {
        actor,
        wish: wish.transpose()?,
        remembered,
        fields: request.fields,
        fresh: fresh_session(worlds),
        spectates: request.spectate,
        node: worlds.hub().settings().node.clone(),
    };
    // Who is somewhere else leaves that first: the places of the two are not to be mixed up. Who comes into the same world
    // anew keeps their entity.
    let same = Place::of(socket).is_some_and(|here| {
        let named = entering.actor.session.as_deref() == Some(&*here.session);
        here.live.name == live.name && (named || entering.actor.person.is_some())
    });
    leave_now(socket, same).await;
    let Done::Entered(entered) = live.act(Act::Enter(entering)).await? else {
        return Err(unexpected());
    };
    let old = sit_down(socket, &live, (viewer, view.reach()), &entered);
    if let Some(old) = old {
        end(old, socket, false).await;
    }
    if !socket.is_connected() {
        leave_now(socket, true).await;
    }
    Ok(json!({
        "world": live.plan.shown(&live.name, live.tick()),
        "entity": entered.entity,
        "at": shown(entered.at, live.plan.dims()),
        "session": entered.session,
    }))
}

fn wrong_query(error: QueryError) -> Failure {
    Failure::bad_request(format!("view: {error}"))
}

/// Names a stay: who shows it takes it up, so it can't be guessed.
fn fresh_session(worlds: &Worlds) -> String {
    (0..4)
        .map(|_| format!("{:08x}", worlds.hub().random()))
        .collect()
}

/// Who acts in a world.
pub(super) fn actor_of(asker: &Asker, world: &str) -> Actor {
    let person = asker.who();
    Actor {
        person: person.map(|person| person.id.clone()),
        name: person.map_or_else(String::new, |person| person.name.clone()),
        session: None,
        moderates: asker.is_system() || asker.has("moderate", world),
    }
}

/// Gives a socket its seat; what comes back is one that it has taken meanwhile.
fn sit_down(
    socket: &Socket,
    live: &Arc<Live>,
    (viewer, reach): (Viewer, f64),
    entered: &Entered,
) -> Option<Here> {
    let session: Arc<str> = entered.session.as_str().into();
    let shard = shard_of(socket);
    let mut seat = Seat::new(socket.clone(), viewer, Arc::clone(&session), entered.at);
    seat.entity = entered.entity;
    seat.viewer.set_groups(&entered.groups);
    seat.land = live.ground.as_ref().map(|ground| {
        let plan = ground.land().read().plan().clone();
        LandViewer::new(&plan, reach)
    });
    seat.begin(&live.plan, &live.worlds.0.config, live.tick());
    let seat = live.rows[shard].lock().add(seat);
    let here = Here {
        live: Arc::clone(live),
        session,
        shard,
        seat,
    };
    Place::swap(socket, Some(here))
}

/// The loop that a socket is of.
fn shard_of(socket: &Socket) -> usize {
    socket.loop_index()
}

#[derive(Debug, Deserialize)]
pub(crate) struct Nothing {}

/// `world:leave`.
pub(crate) async fn leave(_: &Worlds, asker: &Asker, _: Nothing) -> Result<(), Failure> {
    leave_now(asker.need_socket()?, false).await;
    Ok(())
}

/// A connection is lost.
pub(super) async fn lost(_: &Worlds, socket: &Socket) {
    leave_now(socket, true).await;
}

async fn leave_now(socket: &Socket, graced: bool) {
    if socket.get::<Place>().is_none() {
        return;
    }
    if let Some(here) = Place::swap(socket, None) {
        end(here, socket, graced).await;
    }
}

async fn end(here: Here, socket: &Socket, graced: bool) {
    here.live.rows[here.shard].lock().remove(&here.session);
    let session = here.session.to_string();
    if let Err(failure) = here.live.act(Act::Leave { session, graced }).await {
        tracing::warn!(
            socket = socket.id(),
            reason = failure.message,
            "somebody who has left a world is still shown in it"
        );
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct LookRequest {
    view: Option<View>,
    queries: Option<View>,
    budget: Option<u32>,
    /// The tick of the last frame that was read.
    seen: Option<u32>,
}

/// `world:look`.
pub(crate) async fn look(
    worlds: &Worlds,
    asker: &Asker,
    request: LookRequest,
) -> Result<(), Failure> {
    let here = Place::need(asker.need_socket()?)?;
    let config = &worlds.0.config;
    let view = request.view.or(request.queries);
    let sight = view.map(|view| Ok((view.sight(&here.live.plan, config)?, view.reach())));
    let sight: Option<(Sight, f64)> = sight.transpose()?;
    let mut row = here.live.rows[here.shard].lock();
    let Some(seat) = row.at(here.seat, &here.session) else {
        return Ok(());
    };
    if let Some((sight, reach)) = sight {
        seat.viewer
            .look(&sight, &here.live.layout)
            .map_err(wrong_query)?;
        if let (Some(land), Some(plan)) = (&mut seat.land, &here.live.plan.land) {
            land.set_reach(plan, reach);
        }
    }
    seat.saw(request.seen);
    if let Some(budget) = request.budget {
        seat.viewer.set_budget(budget.min(config.max_budget));
    }
    Ok(())
}
