//! What is told of who comes and goes, and in crowds of who types: put together under the lock of who is where, told on this
//! node in its order.
//!
//! A crowd's counts are told every [`TICK_MS`] at most, and only if they have changed.

use std::collections::{BTreeMap, HashMap, VecDeque};

use lakh_hub::presence::{Agenda, Change, Ms, Occupancy, Table, Teller as Telling, Whereabouts};
use lakh_hub::store::Store;
use lakh_hub::{Namespace, Operator, Payload, Person, Room};
use serde::Serialize;

use super::{ACTIVE, AWAY, Counts, Status, presence_update, seen};
use crate::crowd::{Crowd, Limits};
use crate::shapes::event;
use crate::{names, told};

/// Between two counts of a crowd.
const TICK_MS: Ms = 2_000;
/// Who types is told again after so long: it's volatile, and some have come since.
const TYPING_AGAIN_MS: Ms = 6_000;
/// News that wait to be told; past it who comes and goes isn't told by name.
const MAX_NEWS: usize = 10_000;
/// Wait before something is told again that the server was too busy to take.
const AGAIN_MS: Ms = 100;
/// People who are named as typing in a crowd.
const NAMED_TYPERS: usize = 3;

impl From<Occupancy> for Counts {
    fn from(now: Occupancy) -> Self {
        Self {
            watching: now.sockets,
            online: now.people,
        }
    }
}

/// Something to be told.
enum News {
    Update {
        room: Room,
        user: Person,
        online: bool,
    },
    Crowd {
        room: Room,
        crowd: Crowd,
    },
    Count {
        room: Room,
        counts: Counts,
    },
    Typing {
        place: Room,
        now: Typers,
    },
    Status {
        id: String,
        status: Status,
        last_seen: Option<u64>,
    },
}

/// Who types in a crowd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Typers {
    users: Vec<Person>,
    count: usize,
}

/// What of a place was told.
#[derive(Default)]
struct Told {
    crowd: Crowd,
    counts: Option<Counts>,
    typers: Typers,
    /// When those who type were told.
    told_at: Ms,
    last_tick: Option<Ms>,
    /// A tick is to come.
    ticking: bool,
}

pub(crate) struct Teller {
    namespace: Namespace,
    store: Store,
    limits: Limits,
    places: HashMap<Room, Told>,
    /// Each with a number of its own.
    news: VecDeque<(u64, News)>,
    next_news: u64,
    /// Who is gone, and since when, until it's stored.
    pub(super) seen: BTreeMap<String, u64>,
    /// Somebody stores it now.
    pub(super) is_storing: bool,
}

impl Teller {
    pub(super) fn new(namespace: &Namespace, store: &Store, limits: Limits) -> Self {
        Self {
            namespace: namespace.clone(),
            store: store.clone(),
            limits,
            places: HashMap::new(),
            news: VecDeque::new(),
            next_news: 0,
            seen: BTreeMap::new(),
            is_storing: false,
        }
    }

    pub(crate) fn crowd(&self, place: &Room) -> Crowd {
        self.places
            .get(place)
            .map(|told| told.crowd)
            .unwrap_or_default()
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    fn push(&mut self, news: News) {
        self.next_news += 1;
        self.news.push_back((self.next_news, news));
    }

    /// Somebody has come to those who watch a room, or gone, with one device or all.
    fn watcher(&mut self, table: &Table, agenda: &mut Agenda, change: Change) {
        let Change {
            place,
            before,
            after,
            now,
            is_ours,
            ..
        } = change;
        let came = after.is_some();
        let is_news = before.is_some() != came;
        let user = after.or(before).and_then(|one| one.user);
        if let (Some(user), Some(room)) = (&user, names::chat_room(&place))
            && is_news
            && is_ours
        {
            told::presence(&self.namespace, room, user, came);
        }
        let here = table.occupancy(&place);
        let told = self.places.entry(Room::clone(&place)).or_default();
        let crowd = Crowd::of(here.sockets, told.crowd, self.limits);
        let old = std::mem::replace(&mut told.crowd, crowd);
        if crowd != Crowd::None {
            told.tick(agenda, &place, now);
        } else if here.people == 0 && !told.ticking {
            self.places.remove(&place);
        }
        // Whoever makes it a crowd is told by name, and whoever ends it.
        let by_name = old == Crowd::None || crowd == Crowd::None;
        if let Some(user) = user
            && is_news
            && by_name
            && self.news.len() < MAX_NEWS
        {
            self.push(News::Update {
                room: Room::clone(&place),
                user,
                online: came,
            });
        }
        if old != crowd && here.people > 0 {
            self.push(News::Crowd { room: place, crowd });
        }
    }

    /// Somebody has come to the namespace, has gone, or has called a device away.
    fn person(&mut self, table: &Table, change: &Change) {
        let after = status(table, &change.key);
        let was_here = change.before.is_some();
        let is_active = table.is_in(ACTIVE, &change.key);
        let is_away = table.is_in(AWAY, &change.key);
        let before = match &*change.place == ACTIVE {
            true => status_of(was_here, is_away),
            false => status_of(is_active, was_here),
        };
        if before == after {
            return;
        }
        let Some((_, id)) = change.key.split_once(':') else {
            return;
        };
        let last_seen =
            (after == Status::Offline).then(|| seen::coarse(self.namespace.hub().wall_ms()));
        if let Some(at) = last_seen
            && change.is_ours
        {
            seen::note(&mut self.seen, id, at);
        }
        if self.news.len() < MAX_NEWS {
            self.push(News::Status {
                id: id.to_owned(),
                status: after,
                last_seen,
            });
        }
    }

    /// The next of what is to be told, and to whom.
    fn front(&self) -> Option<(u64, Operator)> {
        let (number, news) = self.news.front()?;
        // A node that is alone keeps what it tells, as it does with messages: who comes back gets it. Nodes of a fleet
        // each tell their own.
        let here = || match self.namespace.hub().cluster_state() {
            None => self.namespace.local(),
            Some(_) => self.namespace.local().unlogged(),
        };
        let to = match news {
            News::Update { room, user, .. } => here()
                .to(Room::clone(room))
                .except(Person::room_of(&user.id)),
            News::Crowd { room, .. } => here().to(Room::clone(room)),
            // Told again soon enough.
            News::Count { room, .. } => here().unlogged().to(Room::clone(room)),
            News::Typing { place, .. } => {
                let (room, _) = names::typing_of(place)?;
                let to = self.namespace.local().unlogged();
                to.to(names::hub_room(room)).volatile()
            }
            News::Status { id, .. } => here().to(names::seen_room(id)),
        };
        Some((*number, to))
    }
}

impl Typers {
    fn of(table: &Table, place: &Room, named: usize) -> Self {
        let page = table.page(place, None, named);
        Self {
            users: page
                .members
                .into_iter()
                .filter_map(|one| one.user)
                .collect(),
            count: page.people,
        }
    }
}

impl Told {
    fn tick(&mut self, agenda: &mut Agenda, place: &Room, now: Ms) {
        if !std::mem::replace(&mut self.ticking, true) {
            let next = self.last_tick.map_or(now, |last| now.max(last + TICK_MS));
            agenda.later(next, Room::clone(place));
        }
    }
}

impl Telling for Teller {
    fn minds(&self, _: &Room) -> bool {
        true
    }

    fn changed(&mut self, table: &Table, agenda: &mut Agenda, change: Change) {
        match &*change.place {
            ACTIVE | AWAY => self.person(table, &change),
            place if names::typing_of(place).is_some() => {
                let told = self.places.entry(Room::clone(&change.place)).or_default();
                told.tick(agenda, &change.place, change.now);
            }
            _ => self.watcher(table, agenda, change),
        }
    }

    fn due(&mut self, table: &Table, agenda: &mut Agenda, place: Room, now: Ms) {
        let here = table.occupancy(&place);
        let room = names::typing_of(&place).map(|(room, _)| names::hub_room(room));
        let crowd = room.map(|room| self.crowd(&room));
        let Some(told) = self.places.get_mut(&place) else {
            return;
        };
        told.ticking = false;
        told.last_tick = Some(now);
        let news = if let Some(crowd) = crowd {
            let some = match crowd {
                Crowd::Counts => 0,
                _ => NAMED_TYPERS,
            };
            let typers = Typers::of(table, &place, some);
            let is_new = told.typers != typers || now >= told.told_at + TYPING_AGAIN_MS;
            if is_new {
                told.typers = typers.clone();
                told.told_at = now;
            }
            if typers.count > 0 {
                told.tick(agenda, &place, now);
            }
            is_new.then(|| News::Typing {
                place: Room::clone(&place),
                now: typers,
            })
        } else {
            let counts = Counts::from(here);
            let is_new = told.counts != Some(counts) && told.crowd != Crowd::None;
            told.counts = Some(counts);
            is_new.then(|| News::Count {
                room: Room::clone(&place),
                counts,
            })
        };
        if here.people == 0 {
            self.places.remove(&place);
        }
        if let Some(news) = news {
            self.push(news);
        }
    }

    fn tell(whereabouts: &Whereabouts<Self>) {
        flush(whereabouts);
        seen::store(whereabouts);
    }
}

fn status_of(is_active: bool, is_away: bool) -> Status {
    match (is_active, is_away) {
        (true, _) => Status::Online,
        (false, true) => Status::Away,
        (false, false) => Status::Offline,
    }
}

/// What a person is, by the name that they have in places.
pub(super) fn status(table: &Table, key: &str) -> Status {
    status_of(table.is_in(ACTIVE, key), table.is_in(AWAY, key))
}

/// Tells the news to this node's sockets, in their order.
fn flush(whereabouts: &Whereabouts<Teller>) {
    loop {
        let next = whereabouts.lock().teller.front();
        let Some((number, to)) = next else { return };
        let told = to.emit_ordered(|| {
            let mut known = whereabouts.lock();
            // Another loop may have told it meanwhile.
            let teller = &mut known.teller;
            teller.news.front().filter(|(first, _)| *first == number)?;
            let (_, news) = teller.news.pop_front()?;
            Some((payload(&news)?, known))
        });
        if let Err(error) = told {
            tracing::debug!(%error, "presence is told a little later");
            let at = whereabouts.namespace().hub().clock_ms() + AGAIN_MS;
            // No room has this name: what has waited is told behind it.
            return whereabouts.lock().agenda.later(at, "".into());
        }
    }
}

#[derive(Serialize)]
struct Changed<'a> {
    room: &'a str,
    crowd: Crowd,
}

#[derive(Serialize)]
struct Count<'a> {
    room: &'a str,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Serialize)]
struct TypingCount<'a> {
    room: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<u64>,
    users: &'a [Person],
    count: usize,
}

/// The argument of `presence:change`, and what is answered of people.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    pub id: &'a str,
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<u64>,
}

fn payload(news: &News) -> Option<Payload> {
    match news {
        News::Update { room, user, online } => {
            presence_update(names::chat_room(room)?, user, *online)
        }
        News::Crowd { room, crowd } => event(
            "crowd:changed",
            &Changed {
                room: names::chat_room(room)?,
                crowd: *crowd,
            },
        ),
        News::Count { room, counts } => event(
            "presence:count",
            &Count {
                room: names::chat_room(room)?,
                counts: *counts,
            },
        ),
        News::Typing { place, now } => {
            let (room, thread) = names::typing_of(place)?;
            event(
                "typing:count",
                &TypingCount {
                    room,
                    thread,
                    users: &now.users,
                    count: now.count,
                },
            )
        }
        News::Status {
            id,
            status,
            last_seen,
        } => event(
            "presence:change",
            &Shown {
                id,
                status: *status,
                last_seen: *last_seen,
            },
        ),
    }
}
