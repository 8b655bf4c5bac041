//! Who is in: a stay begins with entering, goes on over a lost connection for a while, and ends.

use std::sync::Arc;

use lakh_hub::Failure;

use super::{Being, Core, refused};
use crate::engine::entities::Spawn;
use crate::engine::quantise::Value;
use crate::engine::schema::FieldType;
use crate::play::acts::{Entered, Entering, News};
use crate::play::shapes::{cut, defaults, read};

/// Ticks in a row that end stays look at all of them at most this often: what is over by a second is over.
const LOOK_EVERY: u32 = 8;

/// Somebody who is in.
#[derive(Clone, Debug)]
pub(super) struct Stay {
    pub(super) entity: Option<u32>,
    pub(super) person: Option<Arc<str>>,
    /// The node that their connection is to.
    pub(super) node: Arc<str>,
    /// When it ends, if the connection is lost.
    pub(super) ends_ms: Option<u64>,
}

impl Core {
    /// How many are in, those with a lost connection too.
    pub(crate) fn stays(&self) -> usize {
        self.stays.len()
    }

    /// Lets somebody in. They get back the entity that they have here, if they name their stay or come back within its
    /// grace.
    ///
    /// # Errors
    /// `full`; `bad_request`.
    pub(super) fn enter(&mut self, entering: &Entering) -> Result<Entered, Failure> {
        let person: Option<Arc<str>> = entering.actor.person.as_deref().map(Arc::from);
        let session: Arc<str> = entering.fresh.as_str().into();
        // Asked twice, because the answer to the first was lost.
        if self.stays.contains_key(&session) {
            return Ok(self.entered(&session, entering));
        }
        let entity = match self.former(entering, person.as_deref()) {
            Some(former) if !entering.spectates => {
                let entity = self.take_over(&former, &session);
                let kind = self.plan.kind(self.plan.person());
                for (field, value) in read(kind, &entering.fields)? {
                    self.set(entity, field, &value);
                }
                if let Some(at) = entering.wish.filter(|_| self.config.choose_place) {
                    self.put(entity, self.plan.within(at))?;
                }
                Some(entity)
            }
            _ if entering.spectates => None,
            _ => Some(self.come(entering, person.as_ref(), &session)?),
        };
        let stay = Stay {
            entity,
            person,
            node: entering.node.as_str().into(),
            ends_ms: None,
        };
        self.stays.insert(Arc::clone(&session), stay);
        self.tell_stay(&session);
        Ok(self.entered(&session, entering))
    }

    fn entered(&self, session: &Arc<str>, entering: &Entering) -> Entered {
        let stay = self.stays.get(session);
        let entity = stay.and_then(|stay| stay.entity);
        let at = match entity {
            Some(entity) => self.at(entity),
            None => self.first_place(entering),
        };
        let person = stay.and_then(|stay| stay.person.as_deref());
        Entered {
            entity,
            at,
            session: session.to_string(),
            groups: person.map_or_else(Vec::new, |person| self.groups.of(person)),
        }
    }

    /// The stay that goes on.
    fn former(&self, entering: &Entering, person: Option<&str>) -> Option<Arc<str>> {
        let named = entering.actor.session.as_deref();
        let named = named.and_then(|session| self.stays.get_key_value(session));
        // Who signs in as somebody else gets nothing of it.
        let named = named.filter(|(_, stay)| stay.person.as_deref() == person);
        let waits = || {
            let person = person?;
            self.stays
                .iter()
                .find(|(_, stay)| stay.ends_ms.is_some() && stay.person.as_deref() == Some(person))
        };
        let found = named.or_else(waits);
        let (session, _) = found.filter(|(_, stay)| stay.entity.is_some())?;
        Some(Arc::clone(session))
    }

    /// A stay ends, and its entity is another's from now on.
    fn take_over(&mut self, former: &Arc<str>, session: &Arc<str>) -> u32 {
        let stay = self.stays.remove(former);
        self.tell_ended(former);
        let (entity, waited) = stay.map_or((0, true), |stay| {
            (stay.entity.unwrap_or_default(), stay.ends_ms.is_some())
        });
        let tick = self.tick_number();
        if let Some(being) = self.beings.get_mut(&entity) {
            being.session = Some(Arc::clone(session));
            being.input_at = tick;
            if being
                .owner
                .as_deref()
                .is_some_and(|owner| owner.starts_with('\u{1}'))
            {
                being.owner = Some(format!("\u{1}{session}").into());
            }
        }
        if !waited {
            self.news.push(News::Gone {
                session: former.to_string(),
                reason: "taken".to_owned(),
            });
        }
        entity
    }

    fn first_place(&self, entering: &Entering) -> [f64; 3] {
        let wish = entering.wish;
        let person = entering.actor.person.as_deref();
        let last = person.and_then(|person| self.last_place(person));
        let remembered = last.or(entering.remembered);
        let chosen = wish.filter(|_| self.config.choose_place);
        let at = chosen.or(remembered).or(wish);
        self.plan.within(at.unwrap_or_else(|| self.plan.spawn()))
    }

    fn come(
        &mut self,
        entering: &Entering,
        person: Option<&Arc<str>>,
        session: &Arc<str>,
    ) -> Result<u32, Failure> {
        let number = self.plan.person();
        let plan = Arc::clone(&self.plan);
        let kind = plan.kind(number);
        let mut fields = defaults(kind);
        for (value, field) in fields.iter_mut().zip(&kind.fields) {
            if let FieldType::Text { max } = field.holds
                && field.name == "name"
            {
                *value = Value::Text(cut(&entering.actor.name, usize::from(max)).into());
            }
        }
        for (field, value) in read(kind, &entering.fields)? {
            fields[usize::from(field)] = value;
        }
        let spawn = Spawn {
            kind: number,
            position: self.first_place(entering),
            fields: fields.clone(),
            ..Spawn::default()
        };
        let entity = self.world.spawn(&spawn).map_err(refused)?.0;
        let owner = person.map_or_else(|| format!("\u{1}{session}").into(), Arc::clone);
        let being = Being {
            kind: number,
            owner: Some(owner),
            session: Some(Arc::clone(session)),
            fields,
            input_at: self.tick_number(),
            ..Being::default()
        };
        self.beings.insert(entity, being);
        Ok(entity)
    }

    /// Somebody goes, or has lost their connection.
    pub(super) fn go_away(&mut self, session: &str, until_ms: Option<u64>) {
        let Some((session, stay)) = self.stays.get_key_value(session) else {
            return;
        };
        let (session, stay) = (Arc::clone(session), stay.clone());
        // Their place counts from now on, whatever becomes of this node.
        if let (Some(person), Some(entity)) = (&stay.person, stay.entity) {
            self.places.insert(person.to_string(), self.at(entity));
        }
        match (until_ms, stay.entity) {
            (Some(_), Some(entity)) => {
                self.halt(entity);
                if let Some(stay) = self.stays.get_mut(&session) {
                    stay.ends_ms = until_ms;
                }
                self.tell_stay(&session);
            }
            _ => self.end_stay(&session),
        }
    }

    fn end_stay(&mut self, session: &str) {
        self.tell_ended(session);
        if let Some(entity) = self.stays.remove(session).and_then(|stay| stay.entity) {
            self.take_away(entity);
        }
    }

    /// Ends those whose grace is over.
    pub(super) fn end_stays(&mut self, now_ms: u64) {
        if !self.tick_number().is_multiple_of(LOOK_EVERY) {
            return;
        }
        let over = |stay: &Stay| stay.ends_ms.is_some_and(|ends| ends <= now_ms);
        let ended = self.stays.iter().filter(|(_, stay)| over(stay));
        let ended: Vec<Arc<str>> = ended.map(|(session, _)| Arc::clone(session)).collect();
        for session in ended {
            self.end_stay(&session);
        }
    }

    /// Where all are now who are somebody and in.
    pub(crate) fn note_places(&mut self) {
        let places = self.stays.values().filter_map(|stay| {
            let person = stay.person.as_ref()?;
            Some((person.to_string(), self.at(stay.entity?)))
        });
        let places: Vec<_> = places.collect();
        self.places.extend(places);
    }
}
