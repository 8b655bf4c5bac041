//! Who may do what, from the settings: the rules of `[auth]`, then those of `[rooms]`, then what tokens grant, then yes
//! in development and no where tokens are checked.
//!
//! What must hold: a rule that speaks of a module or an act that isn't there is a mistake, and is told before anything
//! starts: one that denies would do nothing otherwise.

use lakh_auth::{Effect, Grant, Policy, Rule, Who};

use crate::config;
use crate::config::problem::suggestion;
use crate::config::{AuthRule, RoomRule, Settings};
use crate::service::caller;

/// What rules may speak of: each module with its acts.
const MODULES: [(&str, &[&str]); 4] = [
    (lakh_rooms::MODULE, lakh_rooms::ACTS),
    (lakh_chat::MODULE, lakh_chat::ACTS),
    (lakh_world::MODULE, lakh_world::ACTS),
    (caller::MODULE, caller::ACTS),
];

/// A rule, or the grant of a key, speaks of what isn't there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{list}`, number {number}: `{grant}` speaks of {what}")]
pub struct RuleError {
    list: &'static str,
    number: usize,
    grant: String,
    what: String,
}

/// The one policy of this node.
pub(super) fn policy(settings: &Settings) -> Policy {
    let of_auth = settings.auth.rules.iter().map(of_auth);
    let of_rooms = settings.rooms.rules.iter().flat_map(of_rooms);
    let default = match settings.auth.needs_tokens() {
        true => Effect::Deny,
        false => Effect::Allow,
    };
    // What backends may do, others may not unless it is said, in development either.
    Policy::new(of_auth.chain(of_rooms).collect(), default).closing(caller::MODULE)
}

/// Finds rules that speak of what isn't there.
pub(super) fn check(settings: &Settings) -> Result<(), RuleError> {
    let rules = settings.auth.rules.iter().map(|rule| &rule.what);
    let keys = settings.api.keys.iter().map(|key| &key.grants);
    let rules = rules.enumerate().map(|(at, what)| ("auth.rules", at, what));
    let keys = keys.enumerate().map(|(at, what)| ("api.keys", at, what));
    for (list, at, grants) in rules.chain(keys) {
        for grant in grants {
            if let Some(what) = unknown(grant) {
                return Err(RuleError {
                    list,
                    number: at + 1,
                    grant: grant.to_string(),
                    what,
                });
            }
        }
    }
    Ok(())
}

/// What a grant speaks of that isn't there.
#[must_use]
pub fn unknown(grant: &Grant) -> Option<String> {
    let names = MODULES.map(|(name, _)| name);
    let known: Vec<&str> = match grant.module() {
        None => MODULES
            .iter()
            .flat_map(|(_, acts)| *acts)
            .copied()
            .collect(),
        Some(module) => match MODULES.iter().find(|(name, _)| *name == module) {
            Some((_, acts)) => acts.to_vec(),
            None => {
                let hint = suggestion(module, names);
                return Some(format!("the module `{module}`, which isn't there{hint}"));
            }
        },
    };
    let act = grant.acts().find(|act| !known.contains(act))?;
    let hint = suggestion(act, known);
    Some(format!("the act `{act}`, which isn't there{hint}"))
}

fn of_auth(rule: &AuthRule) -> Rule {
    Rule {
        who: rule.who.iter().map(who).collect(),
        what: rule.what.clone(),
        effect: match rule.allows {
            true => Effect::Allow,
            false => Effect::Deny,
        },
    }
}

/// Of the rules for rooms the first whose pattern fits counts: whom it doesn't name may not.
fn of_rooms(rule: &RoomRule) -> impl Iterator<Item = Rule> {
    let acts = [
        ("join", &rule.join),
        ("state.read", &rule.join),
        ("cursor", &rule.join),
        ("emit", &rule.emit),
        ("state.write", &rule.emit),
        ("lock", &rule.emit),
    ];
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
        config::Who::Anonymous => Who::Anonymous,
        config::Who::Service => Who::Service,
        config::Who::Nobody => Who::Nobody,
        config::Who::Name(id) => Who::Person(id.clone()),
        config::Who::Role(role) => Who::Role(role.clone()),
    }
}

#[cfg(test)]
mod tests {
    use lakh_auth::{Act, Principal};

    use super::*;
    use crate::config::value::Secret;

    fn settings(rules: &[(config::Who, bool, &str)]) -> Settings {
        let rule = |(who, allows, what): &(config::Who, bool, &str)| AuthRule {
            who: vec![who.clone()],
            allows: *allows,
            what: vec![what.parse().unwrap()],
        };
        let mut settings = Settings::default();
        settings.auth.secret = Some(Secret("x".repeat(32)));
        settings.auth.rules = rules.iter().map(rule).collect();
        settings
    }

    fn may(
        settings: &Settings,
        principal: &Principal,
        module: &str,
        act: &str,
        room: &str,
    ) -> bool {
        let act = Act { module, act, room };
        policy(settings).decide(Some(principal), act).is_allowed()
    }

    #[test]
    fn where_tokens_are_checked_nothing_is_allowed_by_itself() {
        let (ada, mut eve) = (
            Principal::person("ada", "Ada"),
            Principal::person("eve", "Eve"),
        );
        eve.grants.push("rooms:join:board:*".parse().unwrap());
        let mut closed = settings(&[]);
        assert!(!may(&closed, &ada, "rooms", "join", "board:7"));
        assert!(may(&closed, &eve, "rooms", "join", "board:7"));
        assert!(!may(&closed, &eve, "rooms", "emit", "board:7"));
        closed.auth.secret = None;
        assert!(
            may(&closed, &ada, "rooms", "join", "board:7"),
            "development"
        );
    }

    #[test]
    fn rules_of_auth_count_before_those_of_rooms() {
        let mut both = settings(&[
            (config::Who::Role("editor".into()), true, "rooms:emit:news"),
            (config::Who::Anonymous, false, "rooms:*:*"),
        ]);
        both.rooms.rules = vec![RoomRule {
            pattern: "news".into(),
            join: vec![config::Who::Anyone],
            emit: vec![config::Who::Nobody],
        }];
        let mut editor = Principal::person("ada", "Ada");
        editor.roles.push("editor".into());
        let (reader, nobody) = (Principal::person("eve", "Eve"), Principal::anonymous());
        for (who, join, emit) in [
            (&editor, true, true),
            (&reader, true, false),
            (&nobody, false, false),
        ] {
            assert_eq!(may(&both, who, "rooms", "join", "news"), join, "{who:?}");
            assert_eq!(may(&both, who, "rooms", "emit", "news"), emit, "{who:?}");
        }
    }

    #[test]
    fn a_rule_on_what_is_not_there_is_found() {
        for (what, found) in [
            ("rooms:join,emit:*", None),
            ("chat:*:*", None),
            ("*:join:*", None),
            ("*:*:*", None),
            (
                "room:join:*",
                Some("the module `room`, which isn't there: did you mean `rooms`?"),
            ),
            (
                "rooms:emmit:*",
                Some("the act `emmit`, which isn't there: did you mean `emit`?"),
            ),
            ("*:fly:*", Some("the act `fly`, which isn't there")),
        ] {
            let checked = check(&settings(&[(config::Who::Anyone, false, what)]));
            match (checked, found) {
                (Ok(()), None) => {}
                (Err(error), Some(text)) => {
                    let error = error.to_string();
                    assert!(error.starts_with("`auth.rules`, number 1: `"), "{error}");
                    assert!(error.contains(text), "{error}");
                }
                (checked, _) => panic!("{what}: {checked:?}"),
            }
        }
    }

    /// The cells of a table in the docs that begins with this head.
    fn table<'a>(page: &'a str, head: &str) -> Vec<Vec<&'a str>> {
        let start = page.find(head).expect("the table stands there") + head.len();
        let rows = page[start..].lines().skip(2);
        let rows = rows.take_while(|row| row.starts_with('|'));
        rows.map(|row| row.split('|').skip(1).map(str::trim).collect())
            .collect()
    }

    fn words(cell: &str) -> impl Iterator<Item = &str> {
        cell.split('`').skip(1).step_by(2)
    }

    #[test]
    fn the_docs_name_every_act_of_every_module_and_no_other() {
        let page = include_str!("../../../docs/auth.md");
        let mut documented: Vec<(&str, Vec<&str>)> = Vec::new();
        for row in table(page, "| module | act | what it is |") {
            documented.extend(words(row[0]).map(|module| (module, Vec::new())));
            let (_, acts) = documented.last_mut().unwrap();
            acts.extend(words(row[1]));
        }
        let mut known = MODULES.map(|(name, acts)| (name, acts.to_vec()));
        for (_, acts) in documented.iter_mut().chain(&mut known) {
            acts.sort_unstable();
        }
        assert_eq!(documented, known);
    }

    #[test]
    fn the_docs_of_the_api_say_what_each_of_its_acts_lets() {
        let page = include_str!("../../../docs/api.md");
        let rows = table(page, "| act | lets | on |");
        let mut documented: Vec<&str> = rows.iter().flat_map(|row| words(row[0])).collect();
        let mut known = caller::ACTS.to_vec();
        documented.sort_unstable();
        known.sort_unstable();
        assert_eq!(documented, known);
    }
}
