//! Which occurrences a sink wants.

use lakh_hub::auth::Pattern;
use lakh_hub::{Occurrence, What};

/// What a sink wants to be sent. An empty list is no bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Kinds.
    pub kinds: Vec<What>,
    /// Namespaces; `*` stands for any run of characters in these and the following.
    pub namespaces: Vec<Pattern>,
    /// Rooms. What happens in no room fits none.
    pub rooms: Vec<Pattern>,
    /// Names of events.
    pub events: Vec<Pattern>,
}

impl Filter {
    pub(super) fn may_want(&self, what: What, namespace: &str) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&what))
            && any(&self.namespaces, Some(namespace))
    }

    pub(super) fn wants(&self, occurrence: &Occurrence) -> bool {
        self.may_want(occurrence.what, &occurrence.namespace)
            && any(&self.rooms, occurrence.room.as_deref())
            && any(&self.events, occurrence.event.as_deref())
    }
}

fn any(patterns: &[Pattern], text: Option<&str>) -> bool {
    let fits = |text: &str| patterns.iter().any(|pattern| pattern.fits(text, None));
    patterns.is_empty() || text.is_some_and(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run() {
        for (pattern, text) in [
            ("a", "a"),
            ("*", ""),
            ("*", "abc"),
            ("a*", "a"),
            ("a*c", "abbc"),
            ("*b*", "abc"),
            ("a*b*c", "a-b-b-c"),
            ("a**c", "ac"),
            ("é*", "éa"),
        ] {
            assert!(any(&[pattern.into()], Some(text)), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("a", "b"),
            ("a", "ab"),
            ("a*a", "a"),
            ("a*c", "acb"),
            ("*b", "bc"),
            ("", "a"),
        ] {
            assert!(!any(&[pattern.into()], Some(text)), "{pattern} {text}");
        }
    }

    #[test]
    fn each_bound_must_hold() {
        let filter = Filter {
            kinds: vec![What::Message, What::Join],
            namespaces: vec!["/".into()],
            rooms: vec!["board:*".into()],
            events: Vec::new(),
        };
        let told = |what, namespace| Occurrence::new(what, namespace, "rooms", 0);
        assert!(filter.wants(&told(What::Join, "/").in_room("board:1")));
        assert!(!filter.wants(&told(What::Join, "/").in_room("post:1")));
        assert!(!filter.wants(&told(What::Join, "/chat").in_room("board:1")));
        assert!(!filter.wants(&told(What::Leave, "/").in_room("board:1")));
        assert!(!filter.wants(&told(What::Join, "/")));
        assert!(Filter::default().wants(&told(What::Connect, "/")));
    }
}
