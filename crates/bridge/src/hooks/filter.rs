//! What a hook wants to know of.

use lakh_hub::auth::Pattern;
use lakh_hub::{Occurrence, What};

/// Where something happens: namespace, room and event by their patterns; `None` is everywhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// The namespace.
    pub namespace: Option<Pattern>,
    /// The room. What happens outside of rooms fits no pattern.
    pub room: Option<Pattern>,
    /// The event's name. What has no name fits no pattern.
    pub event: Option<Pattern>,
}

impl Place {
    /// Whether it speaks of this namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> bool {
        fits(self.namespace.as_ref(), Some(namespace))
    }

    /// Whether it speaks of this.
    #[must_use]
    pub fn fits(&self, namespace: &str, room: Option<&str>, event: Option<&str>) -> bool {
        self.in_namespace(namespace)
            && fits(self.room.as_ref(), room)
            && fits(self.event.as_ref(), event)
    }
}

fn fits(pattern: Option<&Pattern>, name: Option<&str>) -> bool {
    match (pattern, name) {
        (None, _) => true,
        (Some(pattern), Some(name)) => pattern.fits(name, None),
        (Some(_), None) => false,
    }
}

/// A kind of thing that an endpoint is told of.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// All of this kind.
    Of(What),
    /// What modules have a name for, where the event's or the module's name fits: `module:<name>`.
    Named(Pattern),
}

impl Kind {
    /// Reads `connect`, `disconnect`, `join`, `leave`, `message`, `rate_limit`, `module` or `module:<name>`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        const ALL: [What; 7] = [
            What::Connect,
            What::Disconnect,
            What::Join,
            What::Leave,
            What::Message,
            What::RateLimit,
            What::Module,
        ];
        match word.strip_prefix("module:") {
            Some(name) if !name.is_empty() => Some(Self::Named(Pattern::new(name))),
            Some(_) => None,
            None => ALL
                .into_iter()
                .find(|what| what.word() == word)
                .map(Self::Of),
        }
    }

    pub(super) fn may_be(&self, what: What) -> bool {
        match self {
            Self::Of(own) => *own == what,
            Self::Named(_) => what == What::Module,
        }
    }

    pub(super) fn is(&self, occurrence: &Occurrence) -> bool {
        match self {
            Self::Of(own) => *own == occurrence.what,
            Self::Named(name) => {
                let event = occurrence.event.as_deref().unwrap_or_default();
                occurrence.what == What::Module
                    && (name.fits(event, None) || name.fits(occurrence.module, None))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use super::*;
    use crate::hooks::config::Endpoint;

    fn occurrence(what: What, module: &'static str, room: &str, event: &str) -> Occurrence {
        let mut occurrence = Occurrence::new(what, "/chat", module, 0).in_room(room);
        occurrence.event = (!event.is_empty()).then(|| event.into());
        occurrence
    }

    #[test]
    fn filters_are_a_table() {
        let pattern = |text: &str| Some(Pattern::new(text));
        let mut endpoint = Endpoint::new("a", "https://a.example", Vec::new());
        let message = occurrence(What::Message, "chat", "team-1", "message:new");
        let made = occurrence(What::Module, "chat", "team-1", "room:new");
        for (events, room, event, of_message, of_made) in [
            (&[][..], None, None, true, true),
            (&["message"], None, None, true, false),
            (&["message"], pattern("team-*"), None, true, false),
            (&["message"], pattern("x-*"), None, false, false),
            (&["module"], None, None, false, true),
            (&["module:room:*"], None, None, false, true),
            (&["module:chat"], None, None, false, true),
            (&["module:other"], None, None, false, false),
            (&["message", "module"], None, pattern("room:*"), false, true),
            (&["join"], None, None, false, false),
        ] {
            endpoint.events = events
                .iter()
                .map(|word| Kind::parse(word).unwrap())
                .collect();
            endpoint.place.room = room;
            endpoint.place.event = event;
            assert_eq!(endpoint.wants(&message), of_message, "{events:?}");
            assert_eq!(endpoint.wants(&made), of_made, "{events:?}");
        }
        endpoint.place.namespace = pattern("/other");
        assert!(!endpoint.may_want(What::Message, "/chat"));
    }

    #[test]
    fn each_word_is_a_kind_and_others_are_none() {
        for word in [
            "connect",
            "disconnect",
            "join",
            "leave",
            "message",
            "rate_limit",
            "module",
            "module:x",
        ] {
            assert!(Kind::parse(word).is_some(), "{word}");
        }
        for word in ["", "Connect", "module:", "messages"] {
            assert!(Kind::parse(word).is_none(), "{word}");
        }
    }
}
