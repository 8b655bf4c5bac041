//! The one place where rights are decided.
//!
//! An act is looked at in this order: the rules, of which the first that speaks of it counts; then the grants of whoever
//! asks; then the default. Who is an admin may do all that no rule denies.

use crate::principal::{Grant, Kind, Principal};

/// Something that somebody wants to do in a room of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Act<'a> {
    /// The module, such as `rooms`.
    pub module: &'a str,
    /// What is to be done, such as `join`. Each module says which there are.
    pub act: &'a str,
    /// The room's name, as the client gave it.
    pub room: &'a str,
}

/// Whom a rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everybody, signed in or not.
    Anyone,
    /// Every person who is signed in.
    SignedIn,
    /// Those who are not signed in.
    Anonymous,
    /// Backends with an API key.
    Service,
    /// Nobody.
    Nobody,
    /// The person with this id.
    Person(String),
    /// Those who have this role.
    Role(String),
}

impl Who {
    /// Whether it's this one. Without a principal it's nobody in particular.
    #[must_use]
    pub fn is(&self, principal: Option<&Principal>) -> bool {
        let kind = principal.map_or(Kind::Anonymous, |principal| principal.kind);
        match self {
            Self::Anyone => true,
            Self::SignedIn => kind != Kind::Anonymous,
            Self::Anonymous => kind == Kind::Anonymous,
            Self::Service => kind == Kind::Service,
            Self::Nobody => false,
            Self::Person(id) => principal.and_then(Principal::user) == Some(id),
            Self::Role(role) => {
                principal.is_some_and(|principal| principal.roles.iter().any(|own| own == role))
            }
        }
    }
}

/// What a rule does with the acts that it speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// They may.
    Allow,
    /// They may not, whatever their tokens say.
    Deny,
}

/// A rule of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whom it speaks of: one that fits is enough.
    pub who: Vec<Who>,
    /// What it speaks of: one that covers the act is enough.
    pub what: Vec<Grant>,
    /// What it says.
    pub effect: Effect,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Go on.
    Allowed,
    /// A rule says no.
    DeniedByRule,
    /// Neither a rule nor a grant says yes.
    NotGranted,
}

impl Decision {
    /// Whether it's a yes.
    #[must_use]
    pub fn is_allowed(self) -> bool {
        self == Self::Allowed
    }
}

/// Rules, and what holds where none speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    rules: Vec<Rule>,
    default: Effect,
    /// Modules where nobody may do what neither a rule nor a grant allows, whatever the default.
    closed: Vec<Box<str>>,
}

impl Policy {
    /// A policy of rules in the order in which they count.
    #[must_use]
    pub fn new(rules: Vec<Rule>, default: Effect) -> Self {
        Self {
            rules,
            default,
            closed: Vec::new(),
        }
    }

    /// The same, with a module in which the default is a no: for what no client shall have by default anywhere.
    #[must_use]
    pub fn closing(mut self, module: &str) -> Self {
        self.closed.push(module.into());
        self
    }

    /// Everybody may do everything.
    #[must_use]
    pub fn open() -> Self {
        Self::new(Vec::new(), Effect::Allow)
    }

    /// Whether somebody may do this; without a principal it's nobody in particular.
    #[must_use]
    pub fn decide(&self, principal: Option<&Principal>, act: Act<'_>) -> Decision {
        let user = principal.and_then(Principal::user);
        let covers = |grant: &Grant| grant.covers(act.module, act.act, act.room, user);
        let speaks = |rule: &&Rule| {
            rule.what.iter().any(covers) && rule.who.iter().any(|who| who.is(principal))
        };
        match self.rules.iter().find(speaks).map(|rule| rule.effect) {
            Some(Effect::Allow) => return Decision::Allowed,
            Some(Effect::Deny) => return Decision::DeniedByRule,
            None => {}
        }
        let granted = principal
            .is_some_and(|principal| principal.admin || principal.grants.iter().any(covers));
        let closed = self.closed.iter().any(|module| **module == *act.module);
        match (granted, self.default) {
            (true, _) => Decision::Allowed,
            (false, Effect::Allow) if !closed => Decision::Allowed,
            (false, _) => Decision::NotGranted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(who: Who, effect: Effect, what: &str) -> Rule {
        Rule {
            who: vec![who],
            what: vec![what.parse().unwrap()],
            effect,
        }
    }

    fn of(role: &str) -> Option<Principal> {
        let mut principal = match role {
            "nobody" => return None,
            "anonymous" => return Some(Principal::anonymous()),
            role => Principal::person(role, role),
        };
        match role {
            "editor" => principal.roles.push("editor".into()),
            "admin" => principal.admin = true,
            "guest" => principal
                .grants
                .push("rooms:join:board:lobby".parse().unwrap()),
            "service" => principal.kind = Kind::Service,
            _ => {}
        }
        Some(principal)
    }

    #[test]
    fn rights_are_as_the_table_says() {
        let policy = Policy::new(
            vec![
                rule(Who::Person("banned".into()), Effect::Deny, "*:*:*"),
                rule(Who::Anyone, Effect::Allow, "rooms:join:news"),
                rule(
                    Who::Role("editor".into()),
                    Effect::Allow,
                    "rooms:join,emit:board:*",
                ),
                rule(Who::SignedIn, Effect::Deny, "chat:ban:*"),
                rule(Who::SignedIn, Effect::Allow, "chat:*:*"),
                rule(Who::SignedIn, Effect::Allow, "*:join:inbox:{user}"),
                rule(Who::Service, Effect::Allow, "rooms:emit:*"),
                rule(Who::Anonymous, Effect::Allow, "rooms:history:news"),
            ],
            Effect::Deny,
        );
        // Who, and for each act whether they may.
        let acts = [
            ("rooms", "join", "news"),
            ("rooms", "emit", "news"),
            ("rooms", "history", "news"),
            ("rooms", "join", "board:lobby"),
            ("rooms", "emit", "board:lobby"),
            ("chat", "join", "general"),
            ("chat", "ban", "general"),
            ("rooms", "join", "inbox:ada"),
            ("world", "enter", "earth"),
        ];
        for (role, may) in [
            ("nobody", "y.y......"),
            ("anonymous", "y.y......"),
            ("ada", "y....y.y."),
            ("eve", "y....y..."),
            ("guest", "y..y.y..."),
            ("editor", "y..yyy..."),
            ("service", "yy..yy..."),
            ("admin", "yyyyyy.yy"),
            ("banned", "........."),
        ] {
            let principal = of(role);
            let decided: String = acts
                .iter()
                .map(|(module, act, room)| {
                    let act = Act { module, act, room };
                    match policy.decide(principal.as_ref(), act).is_allowed() {
                        true => 'y',
                        false => '.',
                    }
                })
                .collect();
            assert_eq!(decided, may, "{role}");
        }
    }

    #[test]
    fn a_closed_module_takes_a_rule_or_a_grant_whatever_the_default() {
        let rules = vec![rule(
            Who::Role("editor".into()),
            Effect::Allow,
            "api:emit:*",
        )];
        let policy = Policy::new(rules, Effect::Allow).closing("api");
        for (role, module, may) in [
            ("nobody", "api", false),
            ("ada", "api", false),
            ("service", "api", false),
            ("editor", "api", true),
            ("admin", "api", true),
            ("ada", "rooms", true),
        ] {
            let act = Act {
                module,
                act: "emit",
                room: "a",
            };
            let decided = policy.decide(of(role).as_ref(), act).is_allowed();
            assert_eq!(decided, may, "{role} {module}");
        }
    }

    #[test]
    fn the_first_rule_that_speaks_of_an_act_counts_and_then_the_default() {
        let rules = vec![
            rule(Who::Anyone, Effect::Allow, "rooms:join:a:b"),
            rule(Who::Anyone, Effect::Deny, "rooms:join:a:*"),
            rule(Who::Anyone, Effect::Allow, "rooms:join:a:c"),
        ];
        for (default, other) in [
            (Effect::Allow, Decision::Allowed),
            (Effect::Deny, Decision::NotGranted),
        ] {
            let policy = Policy::new(rules.clone(), default);
            let decide = |room| {
                policy.decide(
                    None,
                    Act {
                        module: "rooms",
                        act: "join",
                        room,
                    },
                )
            };
            assert_eq!(decide("a:b"), Decision::Allowed);
            assert_eq!(decide("a:c"), Decision::DeniedByRule);
            assert_eq!(decide("b"), other);
        }
        let admin = of("admin");
        let act = Act {
            module: "rooms",
            act: "join",
            room: "a:d",
        };
        assert_eq!(
            Policy::new(rules, Effect::Allow).decide(admin.as_ref(), act),
            Decision::DeniedByRule
        );
    }
}
