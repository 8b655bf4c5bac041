//! Which occurrences a sink wants.

use lakh_hub::{Occurrence, What};

/// What a sink wants to be sent. An empty list is no bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Kinds.
    pub kinds: Vec<What>,
    /// Namespaces; `*` stands for any run of characters in these and the following.
    pub namespaces: Vec<String>,
    /// Rooms. What happens in no room fits none.
    pub rooms: Vec<String>,
    /// Names of events.
    pub events: Vec<String>,
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

fn any(patterns: &[String], text: Option<&str>) -> bool {
    patterns.is_empty()
        || text.is_some_and(|text| patterns.iter().any(|pattern| fits(pattern, text)))
}

/// Whether a text is what a pattern says, in which `*` stands for any run of characters.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        // The first place is as good as any: what follows may stand anywhere behind it.
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    true
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
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("a", "b"),
            ("a", "ab"),
            ("a*a", "a"),
            ("a*c", "acb"),
            ("*b", "bc"),
            ("", "a"),
        ] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn each_bound_must_hold() {
        let filter = Filter {
            kinds: vec![What::Message, What::Join],
            namespaces: vec!["/".to_owned()],
            rooms: vec!["board:*".to_owned()],
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
