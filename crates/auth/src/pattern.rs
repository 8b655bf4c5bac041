//! Patterns of room names: `*` stands for any run of characters, `{user}` for the id of whoever asks.

use std::borrow::Cow;
use std::fmt;

/// What stands for the id of whoever asks.
const USER: &str = "{user}";

/// A pattern such as `board:*` or `inbox:{user}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    names_user: bool,
}

impl Pattern {
    /// The pattern of this text. Every text is one.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self {
            text: text.into(),
            names_user: text.contains(USER),
        }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a room's name fits, for the person with this id. What names a person fits nobody's without one.
    ///
    /// Each part between stars is looked for at the first place it's found: a later place would only leave less for the
    /// parts after it. So the work is bounded by name times pattern, whatever the two are.
    #[must_use]
    pub fn fits(&self, name: &str, user: Option<&str>) -> bool {
        if self.names_user && user.is_none_or(str::is_empty) {
            return false;
        }
        // The id is put into each part and not into the whole: a star in somebody's id stands for itself.
        let part = |text| match user {
            Some(user) if self.names_user => Cow::Owned(str::replace(text, USER, user)),
            _ => Cow::Borrowed(text),
        };
        let Some((first, rest)) = self.text.split_once('*') else {
            return part(&self.text) == name;
        };
        let (middle, last) = rest
            .rsplit_once('*')
            .map_or(("", rest), |(middle, last)| (middle, last));
        let Some(mut left) = name
            .strip_prefix(&*part(first))
            .and_then(|left| left.strip_suffix(&*part(last)))
        else {
            return false;
        };
        for text in middle.split('*') {
            let text = part(text);
            match left.find(&*text) {
                Some(at) => left = &left[at + text.len()..],
                None => return false,
            }
        }
        true
    }
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
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
            let fits = Pattern::new(pattern).fits(name, None);
            assert_eq!(fits, expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_room_may_be_bound_to_a_person() {
        for (pattern, name, user, expected) in [
            ("inbox:{user}", "inbox:ada", Some("ada"), true),
            ("inbox:{user}", "inbox:eve", Some("ada"), false),
            ("inbox:{user}", "inbox:", Some(""), false),
            ("inbox:{user}", "inbox:{user}", None, false),
            ("dm:*{user}*", "dm:ada:eve", Some("eve"), true),
            ("dm:*{user}*", "dm:ada:eve", Some("bob"), false),
            ("{user}/*", "ada/notes", Some("ada"), true),
            // An id is no pattern.
            ("inbox:{user}", "inbox:anybody", Some("*"), false),
            ("inbox:{user}", "inbox:*", Some("*"), true),
            ("{user}", "{user}", Some("{user}"), true),
        ] {
            let fits = Pattern::new(pattern).fits(name, user);
            assert_eq!(fits, expected, "{pattern} {name} {user:?}");
        }
    }
}
