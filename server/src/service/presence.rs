//! Watching who is in a room: first all who are there, then who comes and goes.
//!
//! Rooms with presence of their own (`presence` in `[[rooms.options]]`) tell it themselves, in their order and as thinned as
//! they tell their members. In other rooms nobody keeps count: there the members are looked at every few seconds, and
//! the difference is told.

use std::collections::BTreeMap;
use std::mem::replace;
use std::sync::Arc;
use std::time::Duration;

use lakh_hub::{Event, Heard, Listener};
use lakh_rooms::PresenceRange;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use super::Service;
use super::caller::{Caller, Thing, act};
use super::hear::MAX_WAITING;
use super::names;
use super::problem::{Kind, Problem};
use super::rooms::{Look, Present};
use super::sockets::MAX_PAGE;

/// How often members are looked at where nobody keeps count. Each look asks all nodes.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Those who may have a node look at the same time.
const MAX_LOOKS: usize = 64;
/// Looks that are passed over when a node gives no answer: its people have hardly gone all at once.
const MAX_PASSED_OVER: u32 = 5;

/// Who watches rooms that nobody keeps count of.
#[derive(Clone, Debug)]
pub struct Looks(Arc<Semaphore>);

impl Default for Looks {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_LOOKS)))
    }
}

/// Who came and went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PresenceNews {
    /// Whether this tells anew who is there, all of them in `joined`: what was known before is out of date.
    pub snapshot: bool,
    /// Who has come.
    pub joined: Vec<Present>,
    /// Who has gone.
    pub left: Vec<Present>,
    /// Who tells something else about themselves.
    pub updated: Vec<Present>,
    /// People in the room now, on all nodes.
    pub people: usize,
    /// Sockets in it now.
    pub occupancy: usize,
    /// Whether all are told by name. Not so in a crowd: there it's only said how many there are.
    pub complete: bool,
}

/// Hears who comes to a room and goes, until it's dropped.
#[derive(Debug)]
pub struct PresenceWatch {
    service: Service,
    namespace: String,
    room: String,
    /// What is told next.
    first: Option<PresenceNews>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Told(Told),
    Looked(Looked),
}

/// The room tells it.
#[derive(Debug)]
struct Told {
    listener: Listener,
    people: usize,
    occupancy: usize,
    /// Names were not told.
    torn: bool,
}

/// Its members are looked at.
#[derive(Debug)]
struct Looked {
    before: Look,
    passed_over: u32,
    _permit: OwnedSemaphorePermit,
}

/// `presence:join` and `presence:leave`.
#[derive(Deserialize)]
struct One {
    #[serde(flatten)]
    present: Present,
    people: usize,
    count: usize,
}

/// `presence:changes`.
#[derive(Deserialize)]
struct Several {
    joined: Vec<Present>,
    left: Vec<Present>,
    updated: Vec<Present>,
    people: usize,
    count: usize,
}

/// `room:occupancy`.
#[derive(Deserialize)]
struct Counted {
    people: usize,
    sockets: usize,
    named: bool,
}

impl Service {
    /// Watches who is in a room, on all nodes.
    ///
    /// # Errors
    /// [`Problem`]: `too_many` if the node is asked to look at too many rooms that don't tell.
    pub async fn watch_presence(
        &self,
        caller: &Caller,
        namespace: &str,
        room: &str,
    ) -> Result<PresenceWatch, Problem> {
        self.allow(caller, act::PRESENCE, Thing::Room(namespace, room))?;
        let inner = self.namespace(namespace)?;
        names::hub_room(namespace, room)?;
        let told_in = self.rooms().filter(|_| namespace == "/");
        let told_in = match told_in.map(|rooms| rooms.presence_room(room)) {
            Some(Ok(name)) => Some(name),
            Some(Err(failure)) if failure.code != "unsupported" => return Err(failure.into()),
            _ => None,
        };
        let (first, source) = match told_in {
            Some(name) => {
                // First this: what changes while the page is read is told besides, and says the same.
                let listener = inner.listen(name, MAX_WAITING);
                let first = self.all_present(room).await?;
                let told = Told {
                    listener,
                    people: first.people,
                    occupancy: first.occupancy,
                    torn: !first.complete,
                };
                (first, Source::Told(told))
            }
            None => {
                let permit = Arc::clone(&self.0.looks.0).try_acquire_owned();
                let permit = permit.map_err(|_| {
                    let message = format!(
                        "this node looks at {MAX_LOOKS} rooms already that keep no presence of their own; \
                         set `presence` in [[rooms.options]], or watch fewer"
                    );
                    Problem::new(Kind::TooMany, "too_many", message)
                })?;
                let looked = Looked {
                    before: self.look_at(namespace, room).await?,
                    passed_over: 0,
                    _permit: permit,
                };
                let joined = looked.before.people.values().cloned().collect();
                let first = PresenceNews {
                    snapshot: true,
                    joined,
                    ..looked.now()
                };
                (first, Source::Looked(looked))
            }
        };
        Ok(PresenceWatch {
            service: self.clone(),
            namespace: namespace.to_owned(),
            room: room.to_owned(),
            first: Some(first),
            source,
        })
    }

    /// The people of a room that keeps count of them, as many as a page holds.
    async fn all_present(&self, room: &str) -> Result<PresenceNews, Problem> {
        let rooms = self
            .rooms()
            .ok_or_else(|| Problem::not_found("there are no rooms here"))?;
        let range = PresenceRange {
            after: None,
            limit: MAX_PAGE,
        };
        let page = rooms.presence(room, range).await?;
        Ok(PresenceNews {
            snapshot: true,
            joined: page.members.into_iter().map(Present::from).collect(),
            people: page.people,
            occupancy: page.sockets,
            complete: page.next.is_none(),
            ..PresenceNews::default()
        })
    }
}

impl PresenceWatch {
    /// What is told next. The first is a snapshot.
    pub async fn next(&mut self) -> PresenceNews {
        if let Some(first) = self.first.take() {
            return first;
        }
        let (service, room) = (&self.service, &*self.room);
        match &mut self.source {
            Source::Told(told) => told.next(service, room).await,
            Source::Looked(looked) => loop {
                sleep(LOOK_EVERY).await;
                match service.look_at(&self.namespace, room).await {
                    Ok(look) => {
                        if let Some(news) = looked.saw(look) {
                            return news;
                        }
                    }
                    Err(problem) => tracing::debug!(%problem, "a room is looked at again soon"),
                }
            },
        }
    }
}

impl Told {
    async fn next(&mut self, service: &Service, room: &str) -> PresenceNews {
        let mut anew = false;
        loop {
            if anew {
                match service.all_present(room).await {
                    Ok(all) => {
                        (self.people, self.occupancy) = (all.people, all.occupancy);
                        self.torn = !all.complete;
                        return all;
                    }
                    Err(problem) => {
                        tracing::debug!(%problem, "who is there is asked again soon");
                        sleep(LOOK_EVERY).await;
                        continue;
                    }
                }
            }
            match self.listener.next().await {
                Heard::Missed(_) => anew = true,
                Heard::Event(event) => match self.heard(&event) {
                    Said::News(news) => return news,
                    Said::Nothing => {}
                    Said::NamesAgain => anew = true,
                },
            }
        }
    }

    fn heard(&mut self, event: &Event) -> Said {
        let news = match event.name() {
            "presence:join" => first::<One>(event).map(|one| PresenceNews {
                joined: vec![one.present],
                people: one.people,
                occupancy: one.count,
                ..PresenceNews::default()
            }),
            "presence:leave" => first::<One>(event).map(|one| PresenceNews {
                left: vec![one.present],
                people: one.people,
                occupancy: one.count,
                ..PresenceNews::default()
            }),
            "presence:update" => first::<Present>(event).map(|present| PresenceNews {
                updated: vec![present],
                people: self.people,
                occupancy: self.occupancy,
                ..PresenceNews::default()
            }),
            "presence:changes" => first::<Several>(event).map(|several| PresenceNews {
                joined: several.joined,
                left: several.left,
                updated: several.updated,
                people: several.people,
                occupancy: several.count,
                ..PresenceNews::default()
            }),
            "room:occupancy" => {
                let Some(counted) = first::<Counted>(event) else {
                    return Said::Nothing;
                };
                let was_torn = replace(&mut self.torn, !counted.named);
                if was_torn && counted.named {
                    return Said::NamesAgain;
                }
                let now = (counted.people, counted.sockets);
                if counted.named && now == (self.people, self.occupancy) {
                    return Said::Nothing;
                }
                Some(PresenceNews {
                    people: now.0,
                    occupancy: now.1,
                    ..PresenceNews::default()
                })
            }
            _ => None,
        };
        let Some(news) = news else {
            return Said::Nothing;
        };
        (self.people, self.occupancy) = (news.people, news.occupancy);
        Said::News(PresenceNews {
            complete: !self.torn,
            ..news
        })
    }
}

/// What an event of a room's presence means.
enum Said {
    News(PresenceNews),
    /// Nothing that isn't known.
    Nothing,
    /// The crowd is gone: names are told again, and those that were not told are to be asked for.
    NamesAgain,
}

/// The first argument of an event of the module's own.
fn first<T: DeserializeOwned>(event: &Event) -> Option<T> {
    let (_, argument): (String, T) = serde_json::from_str(event.payload().text()).ok()?;
    Some(argument)
}

impl Looked {
    fn now(&self) -> PresenceNews {
        PresenceNews {
            people: self.before.people.len(),
            occupancy: self.before.occupancy,
            complete: self.before.complete,
            ..PresenceNews::default()
        }
    }

    /// What is new, if anything is.
    fn saw(&mut self, look: Look) -> Option<PresenceNews> {
        if look.missing.count > self.before.missing.count && self.passed_over < MAX_PASSED_OVER {
            self.passed_over += 1;
            return None;
        }
        self.passed_over = 0;
        let before = replace(&mut self.before, look);
        let now = &self.before;
        let not_in = |some: &BTreeMap<String, Present>, others: &BTreeMap<String, Present>| {
            let gone = some.values().filter(|one| !others.contains_key(&one.id));
            gone.cloned().collect::<Vec<_>>()
        };
        // Of a crowd only a part was looked at, each time another one perhaps.
        let all_named = before.complete && now.complete;
        let (joined, left) = match all_named {
            true => (
                not_in(&now.people, &before.people),
                not_in(&before.people, &now.people),
            ),
            false => (Vec::new(), Vec::new()),
        };
        let names_again = now.complete && !before.complete;
        let is_new = !joined.is_empty()
            || !left.is_empty()
            || names_again
            || (now.occupancy, now.complete) != (before.occupancy, before.complete);
        is_new.then(|| PresenceNews {
            snapshot: names_again,
            joined: match names_again {
                true => now.people.values().cloned().collect(),
                false => joined,
            },
            left,
            ..self.now()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::MissingNodes;

    fn look(people: &[&str], complete: bool, missing: usize) -> Look {
        let present = |id: &&str| {
            let one = Present {
                id: (*id).to_owned(),
                user: None,
                sockets: 1,
                data: None,
            };
            (one.id.clone(), one)
        };
        Look {
            people: people.iter().map(present).collect(),
            occupancy: people.len(),
            complete,
            missing: MissingNodes {
                count: missing,
                ..MissingNodes::default()
            },
        }
    }

    fn looked(before: Look) -> Looked {
        Looked {
            before,
            passed_over: 0,
            _permit: Looks::default().0.try_acquire_owned().unwrap(),
        }
    }

    fn ids(list: &[Present]) -> Vec<&str> {
        list.iter().map(|one| &*one.id).collect()
    }

    #[tokio::test]
    async fn two_looks_tell_who_came_and_went() {
        let mut looked = looked(look(&["a", "b"], true, 0));
        assert_eq!(looked.saw(look(&["a", "b"], true, 0)), None);
        let news = looked.saw(look(&["b", "c"], true, 0)).unwrap();
        assert_eq!((ids(&news.joined), ids(&news.left)), (vec!["c"], vec!["a"]));
        assert_eq!((news.people, news.occupancy, news.complete), (2, 2, true));
        let crowd = looked.saw(look(&["d"], false, 0)).unwrap();
        assert!(crowd.joined.is_empty() && crowd.left.is_empty() && !crowd.complete);
        let again = looked.saw(look(&["d", "e"], true, 0)).unwrap();
        assert_eq!((again.snapshot, ids(&again.joined)), (true, vec!["d", "e"]));
    }

    #[tokio::test]
    async fn people_of_a_node_that_is_silent_for_a_moment_have_not_left() {
        let mut looked = looked(look(&["a", "b"], true, 1));
        for _ in 0..MAX_PASSED_OVER {
            assert_eq!(looked.saw(look(&["a"], true, 2)), None);
        }
        let news = looked.saw(look(&["a"], true, 2)).unwrap();
        assert_eq!(ids(&news.left), ["b"]);
    }
}
