//! Rooms: which there are, how many are in them, and who.

use std::collections::BTreeMap;

use lakh_rooms::PresenceRange;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::caller::{Caller, Thing, act};
use super::emit::root;
use super::others::{MissingNodes, Question};
use super::problem::Problem;
use super::sockets::{MAX_PAGE, SocketsWanted, User, after_cursor, cursor_after, page_of};
use super::{Service, names};

/// Sorts behind every name that begins with a control character, as those of rooms do that are nobody's to see.
const BEHIND_OWN: &str = "\u{1f}\u{10ffff}";
/// Members that are looked at for who is in a room.
const MAX_MEMBERS: usize = 10_000;

/// A room with its occupancy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoomInfo {
    /// The namespace.
    pub namespace: String,
    /// The room, by the name that clients know.
    #[schema(example = "board:7")]
    pub room: String,
    /// Sockets in it, on all nodes.
    pub occupancy: usize,
}

/// One room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoomDetail {
    /// The namespace.
    pub namespace: String,
    /// The room, by the name that clients know.
    #[schema(example = "board:7")]
    pub room: String,
    /// Sockets in it, on all nodes.
    pub occupancy: usize,
    /// Number of its last event, in rooms of `/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Nodes whose sockets are not counted.
    pub missing: MissingNodes,
}

/// Which rooms are wanted.
#[derive(Clone, Debug, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct RoomFilter {
    /// The namespace.
    pub namespace: String,
    /// Only those whose names begin so.
    pub prefix: String,
    /// Where the page before ended: its `next`.
    pub cursor: Option<String>,
    /// How many at most, 1 to 1000.
    pub limit: Option<usize>,
}

impl Default for RoomFilter {
    fn default() -> Self {
        Self {
            namespace: root(),
            prefix: String::new(),
            cursor: None,
            limit: None,
        }
    }
}

/// Rooms in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoomPage {
    /// The rooms that have members.
    pub rooms: Vec<RoomInfo>,
    /// The `cursor` of the next page; none if this is the last.
    pub next: Option<String>,
    /// Nodes whose rooms and members are not counted.
    pub missing: MissingNodes,
}

/// Somebody in a room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Present {
    /// The person's id; of somebody who is not signed in, the socket's id.
    pub id: String,
    /// Who, if they are signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
    /// With how many sockets. 0: the last one broke off a moment ago.
    pub sockets: usize,
    /// What they tell about themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl From<lakh_rooms::Present> for Present {
    fn from(present: lakh_rooms::Present) -> Self {
        Self {
            id: present.id,
            user: present.user.as_ref().map(User::from),
            sockets: present.sockets,
            data: present.data,
        }
    }
}

/// Who is in a room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Presence {
    /// The namespace.
    pub namespace: String,
    /// The room.
    #[schema(example = "board:7")]
    pub room: String,
    /// People in it, on all nodes, each once however many sockets they have.
    pub people: usize,
    /// Sockets in it, on all nodes.
    pub occupancy: usize,
    /// A page of them, in the order of their ids.
    pub members: Vec<Present>,
    /// Whether all were looked at. In rooms without presence of their own it's the first ten thousand sockets.
    pub complete: bool,
    /// The `cursor` of the next page; none if this is the last.
    pub next: Option<String>,
    /// Nodes whose members are not among them.
    pub missing: MissingNodes,
}

/// A page of a room's people.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PresencePage {
    /// Where the page before ended: its `next`.
    pub cursor: Option<String>,
    /// How many people at most, 1 to 1000.
    pub limit: Option<usize>,
}

/// Who was seen in a room.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// By their ids.
    pub people: BTreeMap<String, Present>,
    /// Sockets of all of them.
    pub occupancy: usize,
    /// Whether all were looked at.
    pub complete: bool,
    /// Nodes whose members are not among them.
    pub missing: MissingNodes,
}

/// A page of rooms, as nodes ask each other for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RoomsWanted {
    pub namespace: String,
    /// Of names in the hub.
    pub prefix: String,
    pub after: String,
    pub limit: usize,
}

impl Service {
    /// A page of the rooms that have members on any node.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn list_rooms(
        &self,
        caller: &Caller,
        filter: &RoomFilter,
    ) -> Result<RoomPage, Problem> {
        let namespace = &*filter.namespace;
        let thing = Thing::RoomsWith(namespace, &filter.prefix);
        self.allow(caller, act::ROOMS, thing)?;
        self.namespace(namespace)?;
        let limit = page_of(filter.limit)?;
        let after = after_cursor(filter.cursor.as_deref())?;
        let wanted = RoomsWanted {
            namespace: namespace.to_owned(),
            prefix: names::hub_prefix(namespace, &filter.prefix),
            after: after.max(BEHIND_OWN.to_owned()),
            limit: limit + 1,
        };
        let question = Question::Rooms(wanted.clone());
        let patience = self.config().patience;
        let others = self.ask_others::<Vec<(String, usize)>>(&question, patience);
        let (here, others) = tokio::join!(self.rooms_here(&wanted), others);
        let (told, missing) = others?;
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for (room, count) in here
            .into_iter()
            .chain(told.into_iter().flat_map(|told| told.answer))
        {
            *counts.entry(room).or_default() += count;
        }
        let more = counts.len() > limit;
        let mut last = None;
        let rooms = counts.into_iter().take(limit).filter_map(|(name, count)| {
            let room = names::client_room(namespace, &name)
                .filter(|room| room.starts_with(&filter.prefix))
                .map(|room| RoomInfo {
                    namespace: namespace.to_owned(),
                    room: room.to_owned(),
                    occupancy: count,
                });
            last = Some(name);
            room
        });
        Ok(RoomPage {
            rooms: rooms.collect(),
            next: last.filter(|_| more).map(|last| cursor_after(&last)),
            missing,
        })
    }

    /// How many are in a room, and the number of its last event.
    ///
    /// # Errors
    /// [`Problem`]. A room that nobody is in is one all the same.
    pub async fn room(
        &self,
        caller: &Caller,
        namespace: &str,
        room: &str,
    ) -> Result<RoomDetail, Problem> {
        self.allow(caller, act::ROOMS, Thing::Room(namespace, room))?;
        self.namespace(namespace)?;
        let name = names::hub_room(namespace, room)?;
        let (occupancy, missing) = self.members_everywhere(namespace, &name).await?;
        let numbered = self.rooms().filter(|_| namespace == "/");
        let seq = match numbered {
            Some(rooms) => Some(rooms.last_seq(room).await?),
            None => None,
        };
        Ok(RoomDetail {
            namespace: namespace.to_owned(),
            room: room.to_owned(),
            occupancy,
            seq,
            missing,
        })
    }

    /// Who is in a room, over all nodes.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn presence(
        &self,
        caller: &Caller,
        namespace: &str,
        room: &str,
        page: &PresencePage,
    ) -> Result<Presence, Problem> {
        self.allow(caller, act::PRESENCE, Thing::Room(namespace, room))?;
        self.namespace(namespace)?;
        let limit = page_of(page.limit)?;
        let after = after_cursor(page.cursor.as_deref())?;
        if let Some(rooms) = self.rooms().filter(|_| namespace == "/") {
            let range = PresenceRange {
                after: (!after.is_empty()).then(|| after.clone()),
                limit,
            };
            match rooms.presence(room, range).await {
                Ok(found) => return Ok(told(room, found)),
                // Nobody keeps count there: it's done now.
                Err(failure) if failure.code == "unsupported" => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        self.count_presence(namespace, room, (&after, limit)).await
    }

    /// The same by a look at the members themselves.
    async fn count_presence(
        &self,
        namespace: &str,
        room: &str,
        (after, limit): (&str, usize),
    ) -> Result<Presence, Problem> {
        let look = self.look_at(namespace, room).await?;
        let people = look.people.len();
        let rest = look.people.into_values();
        let rest = rest.filter(|present| *present.id > *after);
        let mut members: Vec<Present> = rest.take(limit + 1).collect();
        let more = members.len() > limit;
        members.truncate(limit);
        let last = members.last().filter(|_| more);
        Ok(Presence {
            namespace: namespace.to_owned(),
            room: room.to_owned(),
            people,
            occupancy: look.occupancy,
            next: last.map(|present| cursor_after(&present.id)),
            members,
            complete: look.complete,
            missing: look.missing,
        })
    }

    /// Looks at the members of a room on all nodes, one by one.
    pub(super) async fn look_at(&self, namespace: &str, room: &str) -> Result<Look, Problem> {
        let name = names::hub_room(namespace, room)?;
        let (occupancy, _) = self.members_everywhere(namespace, &name).await?;
        let mut wanted = SocketsWanted {
            namespace: namespace.to_owned(),
            rooms: vec![name.to_string()],
            except: Vec::new(),
            within: None,
            after: String::new(),
            limit: MAX_PAGE,
        };
        let (mut people, mut seen) = (BTreeMap::<String, Present>::new(), 0);
        let (complete, missing) = loop {
            let (sockets, missing) = self.sockets_everywhere(&wanted).await?;
            let is_last = sockets.len() < wanted.limit;
            seen += sockets.len();
            if let Some(last) = sockets.last() {
                wanted.after.clone_from(&last.id);
            }
            for socket in sockets {
                let id = socket.user.as_ref().map(|user| user.id.clone());
                let id = id.unwrap_or(socket.id);
                let present = people.entry(id.clone()).or_insert_with(|| Present {
                    id,
                    user: socket.user,
                    sockets: 0,
                    data: None,
                });
                present.sockets += 1;
            }
            if is_last || seen >= MAX_MEMBERS {
                break (is_last, missing);
            }
        };
        Ok(Look {
            people,
            occupancy,
            complete,
            missing,
        })
    }

    async fn members_everywhere(
        &self,
        namespace: &str,
        room: &str,
    ) -> Result<(usize, MissingNodes), Problem> {
        let question = Question::Members {
            namespace: namespace.to_owned(),
            room: room.to_owned(),
        };
        let patience = self.config().patience;
        let others = self.ask_others::<usize>(&question, patience);
        let (here, others) = tokio::join!(self.members_here(namespace, room), others);
        let (told, missing) = others?;
        let there: usize = told.iter().map(|told| told.answer).sum();
        Ok((here + there, missing))
    }

    pub(super) async fn members_here(&self, namespace: &str, room: &str) -> usize {
        match self.hub().get(namespace) {
            Some(namespace) => namespace.count_of_members(room).await,
            None => 0,
        }
    }

    pub(super) async fn rooms_here(&self, wanted: &RoomsWanted) -> Vec<(String, usize)> {
        let Some(namespace) = self.hub().get(&wanted.namespace) else {
            return Vec::new();
        };
        let limit = wanted.limit.min(MAX_PAGE + 1);
        let rooms = namespace.page_of_rooms(&wanted.prefix, &wanted.after, limit);
        let rooms = rooms.await.into_iter();
        rooms
            .map(|(room, count)| (room.to_string(), count))
            .collect()
    }
}

/// What the module rooms keeps count of.
fn told(room: &str, found: lakh_rooms::PresencePage) -> Presence {
    let members = found.members.into_iter().map(Present::from);
    Presence {
        namespace: "/".to_owned(),
        room: room.to_owned(),
        people: found.people,
        occupancy: found.sockets,
        members: members.collect(),
        complete: true,
        next: found.next.as_deref().map(cursor_after),
        missing: MissingNodes::default(),
    }
}
