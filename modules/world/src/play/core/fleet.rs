//! What other nodes know of who is in, and how a world goes on with that on one of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::stays::Stay;
use super::{Being, Core};
use crate::engine::found::Found;
use crate::fleet::Stayed;
use crate::play::acts::{News, State};
use crate::play::shapes::shown_fields;

impl Core {
    fn stayed(&self, session: &Arc<str>, stay: &Stay) -> Stayed {
        let person = stay.person.as_deref();
        Stayed {
            session: session.to_string(),
            person: person.map(str::to_owned),
            entity: stay.entity,
            node: stay.node.to_string(),
            ends_ms: stay.ends_ms,
            groups: person.map_or_else(Vec::new, |person| self.groups.of(person)),
        }
    }

    /// All who are in.
    pub(crate) fn all_stays(&self) -> Vec<Stayed> {
        let all = self.stays.iter();
        all.map(|(session, stay)| self.stayed(session, stay))
            .collect()
    }

    pub(super) fn tell_stay(&mut self, session: &Arc<str>) {
        if !self.config.fleet {
            return;
        }
        if let Some(stay) = self.stays.get(session) {
            let stayed = self.stayed(session, stay);
            self.news.push(News::Stay(stayed));
        }
    }

    pub(super) fn tell_ended(&mut self, session: &str) {
        if self.config.fleet {
            let session = session.to_owned();
            self.news.push(News::Ended { session });
        }
    }

    /// The nodes that people are connected to.
    pub(crate) fn nodes(&self) -> BTreeSet<String> {
        self.stays
            .values()
            .map(|stay| stay.node.to_string())
            .collect()
    }

    /// Those whose node is gone have lost their connections.
    pub(crate) fn keep_nodes(&mut self, keep: impl Fn(&str) -> bool, now_ms: u64) {
        let lost = self.stays.iter();
        let lost = lost.filter(|(_, stay)| stay.ends_ms.is_none() && !keep(&stay.node));
        let lost: Vec<Arc<str>> = lost.map(|(session, _)| Arc::clone(session)).collect();
        for session in lost {
            self.go_away(&session, Some(now_ms + self.config.grace_ms));
        }
    }

    /// Puts back somebody who was in when the world was on another node.
    pub(crate) fn revive(
        &mut self,
        stayed: &Stayed,
        found: Option<Found>,
        former: &str,
        now_ms: u64,
    ) {
        let session: Arc<str> = stayed.session.as_str().into();
        let person: Option<Arc<str>> = stayed.person.as_deref().map(Arc::from);
        let owner = person
            .clone()
            .unwrap_or_else(|| format!("\u{1}{session}").into());
        let entity = stayed.entity.zip(found).and_then(|(entity, found)| {
            let kind = self.plan.kind(found.kind);
            let state = State {
                at: Some(self.plan.within(found.position)),
                velocity: kind.velocity.map(|_| found.velocity),
                rotation: kind.rotation.map(|_| found.rotation),
                fields: shown_fields(kind, &found.fields),
                ..State::default()
            };
            let being = Being {
                kind: found.kind,
                owner: Some(owner),
                session: Some(Arc::clone(&session)),
                input_at: self.tick_number(),
                ..Being::default()
            };
            self.spawn(Some(entity), being, state).ok()
        });
        let lost = (*stayed.node == *former).then_some(now_ms + self.config.grace_ms);
        let stay = Stay {
            entity,
            person,
            node: stayed.node.as_str().into(),
            ends_ms: stayed.ends_ms.or(lost),
        };
        self.stays.insert(Arc::clone(&session), stay);
        if let Some(entity) = entity {
            // Its client may be ahead of what was mirrored, and it may have another number.
            self.news.push(News::Moved {
                session: session.to_string(),
                entity,
                at: self.at(entity),
                velocity: self
                    .beings
                    .get(&entity)
                    .map_or([0.0; 3], |being| being.velocity),
            });
        }
    }
}
