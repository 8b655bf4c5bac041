//! `world:input`: what clients do with their own entities, looked at on their own loops.
//!
//! An input that is refused counts as taken all the same: the next frame says its number, and where the entity is.

use lakh_hub::Failure;
use serde::Deserialize;

use super::core::Move;
use super::enter::{Here, Place};
use super::seats::Seat;
use super::shapes::{self, Fields, Numbers};
use crate::Worlds;
use crate::asker::Asker;
use crate::engine::entities::EntityId;

/// What looks at moves beside the checks of the module.
pub(crate) type OnInput = dyn Fn(&Moved<'_>) -> bool + Send + Sync;

/// A move that was found to be in order.
#[derive(Debug)]
#[non_exhaustive]
pub struct Moved<'a> {
    /// In which world.
    pub world: &'a str,
    /// Whose entity; nobody in particular has no id.
    pub person: Option<&'a str>,
    /// The entity.
    pub entity: EntityId,
    /// Where it was.
    pub from: [f64; 3],
    /// Where it is to be.
    pub to: [f64; 3],
    /// How it's to move from there on.
    pub velocity: [f64; 3],
}

#[derive(Debug, Deserialize)]
pub(crate) struct Input {
    seq: u32,
    at: Option<Numbers>,
    velocity: Option<Numbers>,
    rotation: Option<Numbers>,
    #[serde(default, deserialize_with = "lakh_hub::or_default")]
    fields: Fields,
    /// The tick of the last frame that was read.
    seen: Option<u32>,
}

/// `world:input`.
pub(crate) async fn input(worlds: &Worlds, asker: &Asker, input: Input) -> Result<(), Failure> {
    let here = Place::need(asker.need_socket()?)?;
    let taken = take(worlds, &here, &input);
    let counters = &worlds.0.counters;
    match taken {
        Ok(None) => Ok(()),
        Ok(Some(one)) => {
            let fits = here.live.push(one);
            counters.input(fits);
            fits.then_some(()).ok_or_else(|| {
                Failure::new("unavailable", "the world is too far behind to take this")
            })
        }
        Err(failure) => {
            counters.input(false);
            Err(failure)
        }
    }
}

fn take(worlds: &Worlds, here: &Here, input: &Input) -> Result<Option<Move>, Failure> {
    let mut row = here.live.rows[here.shard].lock();
    let seat = row.at(here.seat, &here.session);
    let Some((seat, entity)) = seat.and_then(|seat| {
        let entity = seat.entity?;
        Some((seat, entity))
    }) else {
        return Err(Failure::new("not_in", "you only look on in this world"));
    };
    if input.seq <= seat.seq {
        // It's late, or it came before.
        return Ok(None);
    }
    seat.seq = input.seq;
    seat.saw(input.seen);
    let checked = check(worlds, here, seat, entity, input);
    // Whoever predicts is set right.
    seat.corrected |= checked.is_err();
    checked.map(Some)
}

fn check(
    worlds: &Worlds,
    here: &Here,
    seat: &mut Seat,
    entity: u32,
    input: &Input,
) -> Result<Move, Failure> {
    let (config, plan, live) = (&worlds.0.config, &here.live.plan, &here.live);
    let most = config.inputs_per_second;
    if let Err(wait_ms) = seat.inputs.take(worlds.hub().clock_ms(), most, most) {
        return Err(Failure::new(
            "rate_limited",
            format!("{most} inputs a second are allowed; wait {wait_ms} ms"),
        ));
    }
    let (dims, kind) = (plan.dims(), plan.kind(plan.person()));
    let vector = |numbers: &Option<Numbers>, what| {
        let numbers = numbers.as_ref();
        numbers
            .map(|numbers| numbers.vector(dims, what))
            .transpose()
    };
    let (at, velocity) = (
        vector(&input.at, "at")?,
        vector(&input.velocity, "velocity")?,
    );
    let rotation = input.rotation.as_ref();
    let rotation = rotation
        .map(|rotation| rotation.rotation(kind))
        .transpose()?;
    let fields = match input.fields.is_empty() {
        true => Vec::new(),
        false => shapes::read(kind, &input.fields)?,
    };
    if velocity.is_some() && kind.velocity.is_none() {
        return Err(Failure::bad_request("this kind has no velocity"));
    }
    if let Some(at) = at {
        if !plan.holds(at) {
            return Err(Failure::new("out_of_bounds", "the world ends before that"));
        }
        if !seat.reaches(at, live.tick(), plan, config) {
            return Err(Failure::new(
                "too_fast",
                format!("one moves {} units a second at most here", plan.max_speed),
            ));
        }
    }
    let moved = Moved {
        world: &live.name,
        person: seat.person.as_deref(),
        entity: EntityId(entity),
        from: seat.at,
        to: at.unwrap_or(seat.at),
        velocity: velocity.unwrap_or(seat.velocity),
    };
    if let Some(hook) = worlds.0.on_input.get()
        && !hook(&moved)
    {
        return Err(Failure::new(
            "refused",
            "the server does not let you do this",
        ));
    }
    (seat.at, seat.velocity) = (moved.to, moved.velocity);
    Ok(Move {
        entity,
        at,
        velocity,
        rotation,
        fields,
    })
}
