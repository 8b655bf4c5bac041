//! Rules: who may do what in which rooms.

use lakh_hub::{Failure, Person};

/// Who may do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everybody who is connected.
    Anyone,
    /// Everybody whose sign-in was checked.
    SignedIn,
    /// Nobody.
    Nobody,
    /// The person with this id.
    Name(String),
}

impl Who {
    fn is(&self, person: Option<&Person>) -> bool {
        match self {
            Self::Anyone => true,
            Self::SignedIn => person.is_some(),
            Self::Nobody => false,
            Self::Name(id) => person.is_some_and(|person| person.id == *id),
        }
    }
}

/// What holds in the rooms whose names fit a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The room's name; `*` stands for any run of characters, also an empty one.
    pub pattern: String,
    /// Who may join: one that fits is enough, an empty list is nobody.
    pub join: Vec<Who>,
    /// Who may emit, likewise. Only members emit: whoever may not join can't emit either.
    pub emit: Vec<Who>,
}

/// An act that rules speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Join,
    Emit,
}

/// Refuses an act that the first fitting rule does not allow.
pub(crate) fn check(
    rules: &[Rule],
    act: Act,
    room: &str,
    person: Option<&Person>,
) -> Result<(), Failure> {
    let Some(rule) = rules.iter().find(|rule| fits(&rule.pattern, room)) else {
        return Ok(());
    };
    let (who, what) = match act {
        Act::Join => (&rule.join, "join"),
        Act::Emit => (&rule.emit, "emit in"),
    };
    if who.iter().any(|who| who.is(person)) {
        return Ok(());
    }
    Err(Failure::new(
        "forbidden",
        format!("the rules of this server don't let you {what} this room"),
    ))
}

/// Whether a name fits a pattern with `*` for any run of characters.
///
/// Each part between stars is looked for at the first place it's found: a later place would only leave less for the
/// parts after it. So the work is bounded by name times pattern, whatever the two are.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let (middle, last) = rest
        .rsplit_once('*')
        .map_or(("", rest), |(middle, last)| (middle, last));
    let Some(mut left) = name
        .strip_prefix(first)
        .and_then(|left| left.strip_suffix(last))
    else {
        return false;
    };
    for part in middle.split('*') {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_run_of_characters() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*", "anything", true),
            ("board:*", "board:7", true),
            ("board:*", "board:", true),
            ("board:*", "aboard:7", false),
            ("*:public", "a:public", true),
            ("*:public", "a:publics", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("**", "x", true),
            ("é*", "é7", true),
            ("plain", "plain", true),
            ("plain", "plain2", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn rights_are_as_the_table_says() {
        let ada = Person {
            id: "ada".into(),
            name: "Ada".into(),
        };
        let eve = Person {
            id: "eve".into(),
            name: "Eve".into(),
        };
        let name = |id: &str| Who::Name(id.into());
        for (who, nobody, is_ada, is_eve) in [
            (vec![], false, false, false),
            (vec![Who::Nobody], false, false, false),
            (vec![Who::Anyone], true, true, true),
            (vec![Who::SignedIn], false, true, true),
            (vec![name("ada")], false, true, false),
            (vec![name("ada"), name("eve")], false, true, true),
            (vec![Who::Nobody, Who::SignedIn], false, true, true),
        ] {
            for act in [Act::Join, Act::Emit] {
                let (join, emit) = match act {
                    Act::Join => (who.clone(), vec![]),
                    Act::Emit => (vec![], who.clone()),
                };
                let rules = [Rule {
                    pattern: "r".into(),
                    join,
                    emit,
                }];
                let may = |person: Option<&Person>| check(&rules, act, "r", person).is_ok();
                assert_eq!(
                    (may(None), may(Some(&ada)), may(Some(&eve))),
                    (nobody, is_ada, is_eve),
                    "{who:?} {act:?}"
                );
            }
        }
    }

    #[test]
    fn the_first_rule_that_fits_counts_and_without_one_everybody_may() {
        let rule = |pattern: &str, who: Who| Rule {
            pattern: pattern.into(),
            join: vec![who.clone()],
            emit: vec![who],
        };
        let rules = [
            rule("a:b", Who::Anyone),
            rule("a:*", Who::Nobody),
            rule("a:c", Who::Anyone),
        ];
        let may = |room: &str| check(&rules, Act::Join, room, None).is_ok();
        assert_eq!(
            (may("a:b"), may("a:c"), may("a:d"), may("other")),
            (true, false, false, true)
        );
        assert_eq!(
            check(&rules, Act::Emit, "a:c", None).map_err(|failure| failure.code),
            Err("forbidden")
        );
    }
}
