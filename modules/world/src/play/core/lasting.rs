//! What is stored of a world: entities that last, and the places of people.

use serde::{Deserialize, Serialize};

use super::{Being, Core, Places};
use crate::play::acts::{Seen, State};
use crate::play::shapes::{Fields, shown_fields};

/// An entity as it's stored, in `world_entities` under its world and number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    kind: String,
    at: [f64; 3],
    #[serde(default, skip_serializing_if = "is_zero")]
    velocity: [f64; 3],
    rotation: [f64; 4],
    fields: Fields,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(default)]
    always: bool,
    #[serde(default)]
    audience: Seen,
}

fn is_zero(velocity: &[f64; 3]) -> bool {
    *velocity == [0.0; 3]
}

impl Core {
    /// Lasting entities that changed, at most so many: what they are now, or that they are gone.
    pub(crate) fn take_unsaved(&mut self, most: usize) -> Vec<(u32, Option<Record>)> {
        let some: Vec<u32> = self.unsaved.iter().copied().take(most).collect();
        some.into_iter()
            .map(|entity| {
                self.unsaved.remove(&entity);
                self.saving.insert(entity);
                (entity, self.record(entity))
            })
            .collect()
    }

    /// What was taken to be stored is; or it's not, and is tried again.
    pub(crate) fn saved(&mut self, done: bool) {
        match done {
            true => {
                self.saving.clear();
                self.saving_places.clear();
            }
            false => {
                self.unsaved.extend(self.saving.drain());
                for (person, at) in self.saving_places.drain() {
                    self.places.entry(person).or_insert(at);
                }
            }
        }
    }

    /// Where somebody was last, as far as the store may not know it yet.
    pub(super) fn last_place(&self, person: &str) -> Option<[f64; 3]> {
        let saving = || self.saving_places.get(person);
        self.places.get(person).or_else(saving).copied()
    }

    /// Whether the store has this entity as it is.
    pub(super) fn is_stored(&self, entity: u32) -> bool {
        !self.unsaved.contains(&entity) && !self.saving.contains(&entity)
    }

    /// Places that are to be stored.
    pub(crate) fn take_places(&mut self) -> Places {
        self.saving_places = std::mem::take(&mut self.places);
        self.saving_places.clone()
    }

    fn record(&self, entity: u32) -> Option<Record> {
        let being = self.beings.get(&entity)?;
        let kind = self.plan.kind(being.kind);
        // A stay is no owner that anybody could come back as.
        let owner = being.owner.as_deref();
        let owner = owner.filter(|owner| !owner.starts_with('\u{1}'));
        Some(Record {
            kind: kind.name.clone(),
            at: self.at(entity),
            velocity: being.velocity,
            rotation: being.rotation,
            fields: shown_fields(kind, &being.fields),
            owner: owner.map(str::to_owned),
            always: being.always,
            audience: being.audience.clone(),
        })
    }

    /// Puts back what was stored. To be called in the order of the entities' places, lowest first, before anybody is in.
    pub(crate) fn restore(&mut self, entity: u32, record: Record) {
        let kind = match self.plan.kind_named(&record.kind) {
            Ok(kind) => kind,
            Err(failure) => {
                tracing::warn!(entity, reason = failure.message, "an entity is left out");
                return;
            }
        };
        let has_velocity = self.plan.kind(kind).velocity.is_some();
        let being = Being {
            kind,
            lasting: true,
            owner: record.owner.map(Into::into),
            ..Being::default()
        };
        let state = State {
            at: Some(self.plan.within(record.at)),
            velocity: has_velocity.then_some(record.velocity),
            rotation: Some(record.rotation),
            fields: record.fields,
            always: Some(record.always),
            audience: Some(record.audience),
        };
        match self.spawn(Some(entity), being, state) {
            Ok(_) => {
                self.unsaved.remove(&entity);
            }
            Err(failure) => {
                tracing::warn!(entity, reason = failure.message, "an entity is left out");
            }
        }
    }
}
