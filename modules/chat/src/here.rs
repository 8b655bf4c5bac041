//! Who is in one room, and who of them is typing.
//!
//! Nothing here knows sockets or reads a clock: times come in. A person is in the room from the first of their sockets
//! to the last; where the last one broke off, until a while after, in case it comes back.

use std::collections::HashMap;
use std::sync::Arc;

use lakh_hub::Person;
use lakh_hub::presence::Ms;

/// Places of a room where one person is shown as typing at once.
const MAX_TYPING: usize = 5;

/// Somebody who types no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Typed {
    pub person: Arc<Person>,
    /// In which thread, or in the room itself.
    pub thread: Option<u64>,
    /// Others were told of it by a count.
    pub counted: bool,
}

#[derive(Default)]
pub(crate) struct People {
    here: HashMap<Box<str>, Here>,
}

struct Here {
    person: Arc<Person>,
    sockets: usize,
    /// When they count as gone, if no socket of theirs is here.
    gone_at: Option<Ms>,
    /// In the room itself and in its threads.
    typing: Vec<Typing>,
    /// When somebody looks after this entry again.
    look_at: Option<Ms>,
}

struct Typing {
    thread: Option<u64>,
    /// Others are told of it by a count.
    counted: bool,
    until: Ms,
    told_at: Ms,
}

impl People {
    /// A socket of this person came. Whether others are to be told: not if they were here, or broke off just now.
    pub(crate) fn enter(&mut self, person: &Arc<Person>) -> bool {
        match self.here.get_mut(&*person.id) {
            Some(here) => {
                here.person = Arc::clone(person);
                here.sockets += 1;
                here.gone_at = None;
                false
            }
            None => {
                let here = Here {
                    person: Arc::clone(person),
                    sockets: 1,
                    gone_at: None,
                    typing: Vec::new(),
                    look_at: None,
                };
                self.here.insert(person.id.as_str().into(), here);
                true
            }
        }
    }

    /// A socket of this person went. If it was the last, they are gone at the time given.
    pub(crate) fn leave(&mut self, id: &str, gone_at: Ms) {
        let Some(here) = self.here.get_mut(id) else {
            return;
        };
        here.sockets = here.sockets.saturating_sub(1);
        if here.sockets == 0 {
            here.gone_at = Some(gone_at);
        }
    }

    /// Takes out a person who is gone by now.
    pub(crate) fn take_gone(&mut self, id: &str, now: Ms) -> Option<Arc<Person>> {
        match self.is_gone(id, now) {
            true => self.here.remove(id).map(|here| here.person),
            false => None,
        }
    }

    /// The person types until `now + lasts`. Whether others are to be told: at once, and again now and then, because
    /// they forget it by themselves. `None`: it isn't kept.
    pub(crate) fn typing(
        &mut self,
        id: &str,
        (thread, counted): (Option<u64>, bool),
        now: Ms,
        lasts: Ms,
    ) -> Option<bool> {
        let here = self.here.get_mut(id)?;
        let until = now + lasts;
        let mut all = here.typing.iter_mut();
        if let Some(typing) = all.find(|typing| typing.thread == thread) {
            typing.until = until;
            let again = now >= typing.told_at + lasts / 3 || typing.counted != counted;
            typing.counted = counted;
            if again {
                typing.told_at = now;
            }
            return Some(again);
        }
        // Nobody writes in very many places.
        if here.typing.len() >= MAX_TYPING {
            return None;
        }
        here.typing.push(Typing {
            thread,
            counted,
            until,
            told_at: now,
        });
        Some(true)
    }

    /// The person types no longer in a thread, or the room itself. `None` if they didn't, otherwise others are to be told.
    pub(crate) fn stop_typing(&mut self, id: &str, thread: Option<u64>) -> Option<Typed> {
        self.take_typing(id, |typing| typing.thread == thread)
    }

    /// The same, in one place where it's so long ago that they said so, or in any if they are gone.
    pub(crate) fn take_typed(&mut self, id: &str, now: Ms) -> Option<Typed> {
        let is_gone = self.is_gone(id, now);
        self.take_typing(id, |typing| is_gone || typing.until <= now)
    }

    /// The same, in one place, whichever.
    pub(crate) fn stop_any_typing(&mut self, id: &str) -> Option<Typed> {
        self.take_typing(id, |_| true)
    }

    fn take_typing(&mut self, id: &str, is_over: impl Fn(&Typing) -> bool) -> Option<Typed> {
        let here = self.here.get_mut(id)?;
        let at = here.typing.iter().position(is_over)?;
        let typing = here.typing.swap_remove(at);
        Some(Typed {
            person: Arc::clone(&here.person),
            thread: typing.thread,
            counted: typing.counted,
        })
    }

    fn is_gone(&self, id: &str, now: Ms) -> bool {
        let here = self.here.get(id);
        here.is_some_and(|here| here.gone_at.is_some_and(|at| at <= now))
    }

    /// When somebody has to look after this person next, if that is earlier than was planned.
    pub(crate) fn plan(&mut self, id: &str) -> Option<Ms> {
        let here = self.here.get_mut(id)?;
        let typed = here.typing.iter().map(|typing| typing.until).min();
        let next = [here.gone_at, typed].into_iter().flatten().min()?;
        if here.look_at.is_some_and(|planned| planned <= next) {
            return None;
        }
        here.look_at = Some(next);
        here.look_at
    }

    /// Somebody looks after this person now, as planned for `at`.
    pub(crate) fn looked(&mut self, id: &str, at: Ms) {
        if let Some(here) = self.here.get_mut(id)
            && here.look_at == Some(at)
        {
            here.look_at = None;
        }
    }

    /// Somebody is called something else now.
    pub(crate) fn rename(&mut self, person: &Arc<Person>) {
        if let Some(here) = self.here.get_mut(&*person.id) {
            here.person = Arc::clone(person);
        }
    }

    /// Whether they are here.
    pub(crate) fn is_here(&self, id: &str) -> bool {
        self.here.contains_key(id)
    }

    /// How many people are here.
    pub(crate) fn count(&self) -> usize {
        self.here.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LASTS: Ms = 6_000;

    fn person(name: &str) -> Arc<Person> {
        Arc::new(Person {
            id: name.to_lowercase(),
            name: name.to_owned(),
        })
    }

    fn typed(thread: Option<u64>) -> Typed {
        Typed {
            person: person("Ada"),
            thread,
            counted: false,
        }
    }

    fn seconds(seconds: u64) -> Ms {
        seconds * 1_000
    }

    #[test]
    fn a_person_comes_with_the_first_socket_and_goes_with_the_last() {
        let (mut people, now) = (People::default(), 1_000);
        assert!(people.enter(&person("Ada")));
        assert!(!people.enter(&person("Ada")));
        people.leave("ada", now);
        assert_eq!(people.take_gone("ada", now), None);
        people.leave("ada", now);
        assert_eq!(people.take_gone("ada", now), Some(person("Ada")));
        assert_eq!((people.count(), people.take_gone("ada", now)), (0, None));
    }

    #[test]
    fn who_comes_back_in_time_was_never_gone() {
        let (mut people, now) = (People::default(), 1_000);
        assert!(people.enter(&person("Ada")));
        people.leave("ada", now + seconds(5));
        assert_eq!(people.count(), 1);
        assert!(!people.enter(&person("Ada")));
        assert_eq!(people.take_gone("ada", now + seconds(9)), None);
        people.leave("ada", now + seconds(15));
        assert_eq!(people.take_gone("ada", now + seconds(14)), None);
        assert_eq!(
            people.take_gone("ada", now + seconds(15)),
            Some(person("Ada"))
        );
    }

    #[test]
    fn typing_is_told_at_once_and_then_now_and_then() {
        let (mut people, now) = (People::default(), 1_000);
        people.enter(&person("Ada"));
        let told: Vec<bool> = (0..6)
            .filter_map(|second| people.typing("ada", (None, false), now + seconds(second), LASTS))
            .collect();
        assert_eq!(told, [true, false, true, false, true, false]);
        assert_eq!(people.take_typed("ada", now + seconds(10)), None);
        assert_eq!(
            people.take_typed("ada", now + seconds(11)),
            Some(typed(None))
        );
        assert_eq!(people.stop_typing("ada", None), None);
        assert_eq!(people.typing("nobody", (None, false), now, LASTS), None);
    }

    #[test]
    fn threads_are_typed_in_by_themselves_and_there_are_few() {
        let (mut people, now) = (People::default(), 1_000);
        people.enter(&person("Ada"));
        for thread in [None, Some(1), Some(2), Some(3), Some(4)] {
            let told = people.typing("ada", (thread, false), now, LASTS);
            assert_eq!(told, Some(true));
        }
        assert_eq!(people.typing("ada", (Some(5), false), now, LASTS), None);
        assert_eq!(
            people.typing("ada", (Some(2), true), now, LASTS),
            Some(true),
            "it's told in another way now"
        );
        let counted = Typed {
            counted: true,
            ..typed(Some(2))
        };
        assert_eq!(people.stop_typing("ada", Some(2)), Some(counted));
        assert_eq!(people.stop_typing("ada", Some(2)), None);
        assert_eq!(people.take_typed("ada", now), None);
        people.leave("ada", now);
        let mut rest: Vec<_> =
            std::iter::from_fn(|| Some(people.take_typed("ada", now)?.thread)).collect();
        rest.sort_unstable();
        assert_eq!(rest, [None, Some(1), Some(3), Some(4)]);
    }

    #[test]
    fn an_entry_is_looked_after_at_its_nearest_time_and_planned_once() {
        let (mut people, now) = (People::default(), 1_000);
        people.enter(&person("Ada"));
        assert_eq!(people.plan("ada"), None);
        people.typing("ada", (None, false), now, LASTS);
        assert_eq!(people.plan("ada"), Some(now + LASTS));
        people.typing("ada", (None, false), now + seconds(1), LASTS);
        assert_eq!(people.plan("ada"), None, "an earlier look is planned");
        people.leave("ada", now + seconds(5));
        assert_eq!(people.plan("ada"), Some(now + seconds(5)));
        people.looked("ada", now + LASTS);
        assert_eq!(people.plan("ada"), None);
        people.looked("ada", now + seconds(5));
        people.enter(&person("Ada"));
        assert_eq!(people.plan("ada"), Some(now + seconds(7)));
    }
}
