//! Who is in one room, and who of them is typing.
//!
//! Nothing here knows sockets or reads a clock: times come in. A person is in the room from the first of their sockets
//! to the last; where the last one broke off, until a while after, in case it comes back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lakh_hub::Person;
use tokio::time::Instant;

#[derive(Default)]
pub(crate) struct People {
    here: HashMap<Box<str>, Here>,
}

struct Here {
    person: Arc<Person>,
    sockets: usize,
    /// When they count as gone, if no socket of theirs is here.
    gone_at: Option<Instant>,
    typing: Option<Typing>,
    /// When somebody looks after this entry again.
    look_at: Option<Instant>,
}

struct Typing {
    until: Instant,
    told_at: Instant,
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
                    typing: None,
                    look_at: None,
                };
                self.here.insert(person.id.as_str().into(), here);
                true
            }
        }
    }

    /// A socket of this person went. If it was the last, they are gone at the time given.
    pub(crate) fn leave(&mut self, id: &str, gone_at: Instant) {
        let Some(here) = self.here.get_mut(id) else {
            return;
        };
        here.sockets = here.sockets.saturating_sub(1);
        if here.sockets == 0 {
            here.gone_at = Some(gone_at);
        }
    }

    /// Takes out a person who is gone by now. Others are to be told.
    pub(crate) fn take_gone(&mut self, id: &str, now: Instant) -> Option<Arc<Person>> {
        let is_gone = self.here.get(id)?.gone_at.is_some_and(|at| at <= now);
        if is_gone {
            self.here.remove(id).map(|here| here.person)
        } else {
            None
        }
    }

    /// The person types until `now + lasts`. Whether others are to be told: at once, and again now and then, because
    /// they forget it by themselves.
    pub(crate) fn typing(&mut self, id: &str, now: Instant, lasts: Duration) -> bool {
        let Some(here) = self.here.get_mut(id) else {
            return false;
        };
        let until = now + lasts;
        match &mut here.typing {
            Some(typing) => {
                typing.until = until;
                let again = now >= typing.told_at + lasts / 3;
                if again {
                    typing.told_at = now;
                }
                again
            }
            None => {
                here.typing = Some(Typing {
                    until,
                    told_at: now,
                });
                true
            }
        }
    }

    /// The person types no longer. `None` if they didn't, otherwise others are to be told.
    pub(crate) fn stop_typing(&mut self, id: &str) -> Option<Arc<Person>> {
        let here = self.here.get_mut(id)?;
        here.typing.take().map(|_| Arc::clone(&here.person))
    }

    /// The same, if it's so long ago that they said so.
    pub(crate) fn take_typed(&mut self, id: &str, now: Instant) -> Option<Arc<Person>> {
        let over = self
            .here
            .get(id)?
            .typing
            .as_ref()
            .is_some_and(|typing| typing.until <= now);
        if over { self.stop_typing(id) } else { None }
    }

    /// When somebody has to look after this person next, if that is earlier than was planned.
    pub(crate) fn plan(&mut self, id: &str) -> Option<Instant> {
        let here = self.here.get_mut(id)?;
        let typed = here.typing.as_ref().map(|typing| typing.until);
        let next = [here.gone_at, typed].into_iter().flatten().min()?;
        if here.look_at.is_some_and(|planned| planned <= next) {
            return None;
        }
        here.look_at = Some(next);
        here.look_at
    }

    /// Somebody looks after this person now, as planned for `at`.
    pub(crate) fn looked(&mut self, id: &str, at: Instant) {
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

    /// Up to `limit` of them, by name.
    pub(crate) fn list(&self, limit: usize) -> Vec<Arc<Person>> {
        let mut people: Vec<_> = self
            .here
            .values()
            .take(limit)
            .map(|here| Arc::clone(&here.person))
            .collect();
        people.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        people
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LASTS: Duration = Duration::from_secs(6);

    fn person(name: &str) -> Arc<Person> {
        Arc::new(Person {
            id: name.to_lowercase(),
            name: name.to_owned(),
        })
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_person_comes_with_the_first_socket_and_goes_with_the_last() {
        let (mut people, now) = (People::default(), Instant::now());
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
        let (mut people, now) = (People::default(), Instant::now());
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
        let (mut people, now) = (People::default(), Instant::now());
        people.enter(&person("Ada"));
        let told: Vec<bool> = (0..6)
            .map(|second| people.typing("ada", now + seconds(second), LASTS))
            .collect();
        assert_eq!(told, [true, false, true, false, true, false]);
        assert_eq!(people.take_typed("ada", now + seconds(10)), None);
        assert_eq!(
            people.take_typed("ada", now + seconds(11)),
            Some(person("Ada"))
        );
        assert_eq!(people.stop_typing("ada"), None);
        assert!(!people.typing("nobody", now, LASTS));
    }

    #[test]
    fn an_entry_is_looked_after_at_its_nearest_time_and_planned_once() {
        let (mut people, now) = (People::default(), Instant::now());
        people.enter(&person("Ada"));
        assert_eq!(people.plan("ada"), None);
        people.typing("ada", now, LASTS);
        assert_eq!(people.plan("ada"), Some(now + LASTS));
        people.typing("ada", now + seconds(1), LASTS);
        assert_eq!(people.plan("ada"), None, "an earlier look is planned");
        people.leave("ada", now + seconds(5));
        assert_eq!(people.plan("ada"), Some(now + seconds(5)));
        people.looked("ada", now + LASTS);
        assert_eq!(people.plan("ada"), None);
        people.looked("ada", now + seconds(5));
        people.enter(&person("Ada"));
        assert_eq!(people.plan("ada"), Some(now + seconds(7)));
    }

    #[test]
    fn people_are_listed_by_name_up_to_a_limit() {
        let mut people = People::default();
        for name in ["Cy", "Ada", "Ben"] {
            people.enter(&person(name));
        }
        let names: Vec<String> = people
            .list(10)
            .iter()
            .map(|person| person.name.clone())
            .collect();
        assert_eq!(names, ["Ada", "Ben", "Cy"]);
        assert_eq!((people.list(2).len(), people.count()), (2, 3));
    }
}
