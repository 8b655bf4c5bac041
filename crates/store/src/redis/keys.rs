//! How keys are named: a prefix that makes them one hash slot, and names that can't run into each other.

use std::borrow::Cow;

/// Puts a hash tag behind a prefix that has none, so that all keys of a store lie in one slot of a cluster.
pub(crate) fn tagged(prefix: &str) -> String {
    if has_tag(prefix) {
        prefix.to_owned()
    } else {
        format!("{prefix}{{store}}:")
    }
}

/// Redis's rule: what stands between the first `{` and the next `}`, unless that is nothing.
fn has_tag(prefix: &str) -> bool {
    let tag = prefix
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'));
    tag.is_some_and(|(tag, _)| !tag.is_empty())
}

/// A document's key is its collection, a colon, and the rest: the collection must not hold a colon.
pub(crate) fn collection(name: &str) -> Cow<'_, str> {
    if name.contains([':', '%']) {
        Cow::Owned(name.replace('%', "%25").replace(':', "%3A"))
    } else {
        Cow::Borrowed(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_ends_up_with_a_tag() {
        assert_eq!(tagged("lakh:"), "lakh:{store}:");
        assert_eq!(tagged("{a}:"), "{a}:");
        assert_eq!(tagged("x{}"), "x{}{store}:");
    }

    #[test]
    fn collections_and_keys_stay_apart() {
        assert_eq!(collection("rooms"), "rooms");
        assert_eq!(collection("a:b%"), "a%3Ab%25");
        assert_ne!(collection("a%3A"), collection("a:"));
    }
}
