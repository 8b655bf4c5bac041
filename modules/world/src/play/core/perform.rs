//! Acts that are answered: coming and going, and what is done to entities.

use std::sync::Arc;

use lakh_hub::Failure;
use serde_json::json;

use super::{Being, Core, no_entity, refused};
use crate::engine::entities::{EntityId, Spawn};
use crate::engine::quantise::Value;
use crate::play::acts::{Act, Actor, Done, News, State};
use crate::play::shapes::{defaults, read, shown, shown_fields, shown_rotation};

impl Core {
    /// Does what is asked for.
    ///
    /// # Errors
    /// What the request is answered.
    pub(crate) fn perform(&mut self, act: Act, now_ms: u64) -> Result<Done, Failure> {
        match act {
            Act::Enter(entering) => self.enter(&entering).map(Done::Entered),
            Act::Leave { session, graced } => {
                let until = graced.then(|| now_ms + self.config.grace_ms);
                self.go_away(&session, until);
                Ok(Done::Nothing)
            }
            Act::Spawn {
                actor,
                kind,
                state,
                lasting,
            } => self.make(&actor, kind, state, lasting).map(Done::Spawned),
            Act::Change {
                actor,
                entity,
                state,
            } => {
                self.need_power(&actor, entity)?;
                self.alter(entity, state)?;
                Ok(Done::Nothing)
            }
            Act::Remove { actor, entity } => {
                let session = self.need_power(&actor, entity)?;
                self.remove(entity, session);
                Ok(Done::Nothing)
            }
            Act::Look { actor, entity } => self.look_at(&actor, entity),
            Act::Bots(count) => self.set_bots(count).map(Done::Bots),
        }
    }

    fn make(
        &mut self,
        actor: &Actor,
        kind: u8,
        state: State,
        lasting: bool,
    ) -> Result<u32, Failure> {
        let owner: Option<Arc<str>> = actor.key().map(Into::into);
        let most = self.config.entities_each;
        if let Some(owner) = &owner
            && !actor.moderates
            && self.counts.get(owner).is_some_and(|count| *count >= most)
        {
            return Err(Failure::new(
                "too_many",
                format!("one may have {most} entities in a world; remove some"),
            ));
        }
        let being = Being {
            kind,
            lasting,
            owner,
            ..Being::default()
        };
        self.spawn(None, being, state)
    }

    /// Puts an entity into the world: a new one, or one of before under its number.
    pub(super) fn spawn(
        &mut self,
        number: Option<u32>,
        mut being: Being,
        state: State,
    ) -> Result<u32, Failure> {
        let plan = Arc::clone(&self.plan);
        let kind = plan.kind(being.kind);
        let at = state.at.unwrap_or_else(|| plan.spawn());
        if !plan.holds(at) {
            return Err(outside());
        }
        being.fields = defaults(kind);
        for (field, value) in read(kind, &state.fields)? {
            being.fields[usize::from(field)] = value;
        }
        if state.velocity.is_some() && kind.velocity.is_none() {
            return Err(Failure::bad_request(format!(
                "`{}` has no velocity",
                kind.name
            )));
        }
        being.velocity = [0.0; 3];
        being.rotation = state.rotation.unwrap_or_default();
        being.always = state.always.unwrap_or_default();
        being.audience = state.audience.unwrap_or_default();
        let (audience, group) = self.audience(&being.audience);
        being.group = group;
        let spawn = Spawn {
            kind: being.kind,
            position: at,
            velocity: state.velocity.unwrap_or_default(),
            rotation: being.rotation,
            fields: being.fields.clone(),
            audience,
            always: being.always,
        };
        let spawned = match number {
            Some(number) => self.world.restore(EntityId(number), &spawn),
            None => self.world.spawn(&spawn),
        };
        let entity = match spawned {
            Ok(id) => id.0,
            Err(error) => {
                group.into_iter().for_each(|group| self.release(group));
                return Err(refused(error));
            }
        };
        if let Some(owner) = being.owner.as_ref().filter(|_| being.session.is_none()) {
            *self.counts.entry(Arc::clone(owner)).or_default() += 1;
        }
        self.beings.insert(entity, being);
        if let Some(velocity) = state.velocity {
            self.go(entity, velocity);
        }
        self.touched(entity);
        Ok(entity)
    }

    /// Whether somebody may change an entity; gives the stay whose own it is.
    fn need_power(&self, actor: &Actor, entity: u32) -> Result<Option<Arc<str>>, Failure> {
        let being = self.beings.get(&entity).ok_or_else(no_entity)?;
        let own = being.owner.is_some() && being.owner.as_deref() == actor.key().as_deref();
        if own || actor.moderates {
            return Ok(being.session.clone());
        }
        Err(Failure::new(
            "forbidden",
            "this entity is somebody else's; its owner and moderators may change it",
        ))
    }

    fn alter(&mut self, entity: u32, state: State) -> Result<(), Failure> {
        let plan = Arc::clone(&self.plan);
        let being = self.beings.get(&entity).ok_or_else(no_entity)?;
        let kind = plan.kind(being.kind);
        // All of it is looked at before any of it is done.
        let fields: Vec<(u8, Value)> = read(kind, &state.fields)?;
        if state.at.is_some_and(|at| !plan.holds(at)) {
            return Err(outside());
        }
        if state.velocity.is_some() && kind.velocity.is_none() {
            return Err(Failure::bad_request(format!(
                "`{}` has no velocity",
                kind.name
            )));
        }
        if let Some(rotation) = state.rotation {
            self.world
                .turn(EntityId(entity), rotation)
                .map_err(refused)?;
        }
        for (field, value) in &fields {
            self.set(entity, *field, value);
        }
        if let Some(velocity) = state.velocity {
            self.go(entity, velocity);
        }
        let tick = self.tick_number();
        if let Some(being) = self.beings.get_mut(&entity) {
            being.rotation = state.rotation.unwrap_or(being.rotation);
            being.input_at = tick;
        }
        if state.always.is_some() || state.audience.is_some() {
            self.show(entity, state.always, state.audience);
        }
        if state.at.is_some() || state.velocity.is_some() {
            self.put(entity, state.at.unwrap_or_else(|| self.at(entity)))?;
        }
        self.touched(entity);
        Ok(())
    }

    fn show(&mut self, entity: u32, always: Option<bool>, seen: Option<crate::play::acts::Seen>) {
        let Some(being) = self.beings.get(&entity) else {
            return;
        };
        let (always, seen) = (
            always.unwrap_or(being.always),
            seen.unwrap_or_else(|| being.audience.clone()),
        );
        let former = being.group;
        // The new one is taken before the old one is given back: it may be the same.
        let (audience, group) = self.audience(&seen);
        let _ = self.world.show(EntityId(entity), audience, always);
        if let Some(being) = self.beings.get_mut(&entity) {
            (being.always, being.audience, being.group) = (always, seen, group);
        }
        if let Some(former) = former {
            self.release(former);
        }
    }

    /// Puts an entity somewhere, and tells the client whose own it is.
    pub(super) fn put(&mut self, entity: u32, at: [f64; 3]) -> Result<(), Failure> {
        self.world.place(EntityId(entity), at).map_err(refused)?;
        let Some(being) = self.beings.get(&entity) else {
            return Ok(());
        };
        if let Some(session) = &being.session {
            self.news.push(News::Moved {
                session: session.to_string(),
                entity,
                at,
                velocity: being.velocity,
            });
        }
        Ok(())
    }

    fn remove(&mut self, entity: u32, session: Option<Arc<str>>) {
        self.take_away(entity);
        if let Some(session) = session {
            self.stays.remove(&session);
            self.tell_ended(&session);
            self.news.push(News::Gone {
                session: session.to_string(),
                reason: "removed".to_owned(),
            });
        }
    }

    fn look_at(&self, actor: &Actor, entity: u32) -> Result<Done, Failure> {
        let being = self.beings.get(&entity).ok_or_else(no_entity)?;
        let own = being.owner.is_some() && being.owner.as_deref() == actor.key().as_deref();
        let seen = match &being.audience {
            crate::play::acts::Seen::All => true,
            crate::play::acts::Seen::None => false,
            crate::play::acts::Seen::People { people } => actor
                .person
                .as_ref()
                .is_some_and(|person| people.contains(person)),
        };
        // Who must not see it doesn't learn that it's there.
        if !(seen || own || actor.moderates) {
            return Err(no_entity());
        }
        let (kind, dims) = (self.plan.kind(being.kind), self.plan.dims());
        let owner = being.owner.as_deref();
        let mut told = json!({
            "entity": entity,
            "kind": kind.name,
            "at": shown(self.at(entity), dims),
            "fields": shown_fields(kind, &being.fields),
            "owner": owner.filter(|owner| !owner.starts_with('\u{1}')),
            "own": own,
            "lasting": being.lasting,
            "stored": being.lasting && self.is_stored(entity),
            "always": being.always,
        });
        if kind.velocity.is_some() {
            told["velocity"] = json!(shown(being.velocity, dims));
        }
        if let Some(rotation) = shown_rotation(kind, being.rotation) {
            told["rotation"] = rotation;
        }
        if own || actor.moderates {
            told["audience"] = json!(being.audience);
        }
        Ok(Done::Shown(told))
    }
}

fn outside() -> Failure {
    Failure::bad_request("the place is outside of the bounds of this world")
}
