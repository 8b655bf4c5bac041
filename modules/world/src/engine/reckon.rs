//! Dead reckoning: clients move an entity on by its velocity, and it's told again when that is off.
//!
//! Server and client come to the same place by the same arithmetic, from what was sent: the position in steps, the
//! velocity's number, and the ticks between.

use super::entities::Entity;
use super::quantise;
use super::schema::{Channel, KindLayout, Layout};

/// What moves is told again after so many ticks, however right clients are: they go on for no longer than that.
pub(crate) const KEEPALIVE: u32 = 60;

/// Where a client has an entity that was at `from` (steps) some ticks ago.
pub(crate) fn reckoned(from: f64, velocity: f64, ticks: u32, layout: &Layout) -> f64 {
    from * layout.precision + velocity * (f64::from(ticks.min(KEEPALIVE)) / f64::from(layout.hz))
}

/// Whether where clients have an entity by now is too far from where it is.
pub(crate) fn is_off(
    entity: &Entity,
    kind: &KindLayout,
    error: f64,
    tick: u32,
    layout: &Layout,
) -> bool {
    let Some(&Channel::Velocity { step, bits, dims }) = kind.channels.first() else {
        return true;
    };
    let standing = quantise::standing(bits, dims);
    // A start and a stop are told at once: they are what is seen.
    if (entity.values[0] == standing) != (entity.sent_velocity == standing) {
        return true;
    }
    let ticks = tick - entity.sent_at;
    if entity.sent_velocity != standing && ticks >= KEEPALIVE {
        return true;
    }
    let v = quantise::velocity_back(entity.sent_velocity, step, bits, dims);
    let off: f64 = (0..layout.dims)
        .map(|axis| {
            let there = reckoned(f64::from(entity.sent[axis]), v[axis], ticks, layout);
            (there - entity.position[axis]).powi(2)
        })
        .sum();
    off > error * error
}

/// Whether clients go on moving it.
pub(crate) fn rolls(kind: &KindLayout, sent_velocity: u64) -> bool {
    match kind.channels.first() {
        Some(&Channel::Velocity { bits, dims, .. }) if kind.error.is_some() => {
            sent_velocity != quantise::standing(bits, dims)
        }
        _ => false,
    }
}
