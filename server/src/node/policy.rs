//! Who may do what, from the settings.

use lakh_auth::{Effect, Grant, Policy, Rule, Who};

use crate::config;
use crate::config::{RoomRule, Settings};

/// The one policy of this node.
pub(super) fn policy(settings: &Settings) -> Policy {
    let rules = settings.rooms.rules.iter().flat_map(of_rooms);
    Policy::new(rules.collect(), Effect::Allow)
}

/// Of the rules for rooms the first whose pattern fits counts: whom it doesn't name may not.
fn of_rooms(rule: &RoomRule) -> impl Iterator<Item = Rule> {
    let acts = [("join", &rule.join), ("emit", &rule.emit)];
    acts.into_iter().flat_map(|(act, people)| {
        let what = vec![Grant::new(lakh_rooms::MODULE, act, &rule.pattern)];
        [
            Rule {
                who: people.iter().map(who).collect(),
                what: what.clone(),
                effect: Effect::Allow,
            },
            Rule {
                who: vec![Who::Anyone],
                what,
                effect: Effect::Deny,
            },
        ]
    })
}

fn who(who: &config::Who) -> Who {
    match who {
        config::Who::Anyone => Who::Anyone,
        config::Who::SignedIn => Who::SignedIn,
        config::Who::Nobody => Who::Nobody,
        config::Who::Name(id) => Who::Person(id.clone()),
    }
}
