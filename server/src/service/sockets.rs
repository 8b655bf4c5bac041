//! Who is connected: lists of sockets, and one of them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lakh_hub::{Look, Person, Room, Socket};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::caller::{Caller, Thing, act};
use super::emit::{Whom, root};
use super::others::{MissingNodes, Question};
use super::problem::Problem;
use super::{Service, names};

/// Entries of a page when no number is named.
pub(super) const PAGE: usize = 50;
/// Entries of a page at most.
pub(super) const MAX_PAGE: usize = 1_000;

/// A person as others see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// Names the person for good.
    #[schema(example = "ada")]
    pub id: String,
    /// What others see.
    #[schema(example = "Ada")]
    pub name: String,
}

impl From<&Person> for User {
    fn from(person: &Person) -> Self {
        Self {
            id: person.id.clone(),
            name: person.name.clone(),
        }
    }
}

impl From<User> for Person {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            name: user.name,
        }
    }
}

/// A client in a namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SocketInfo {
    /// Its id, as the client knows it.
    #[schema(example = "n01AbcdefghijklmnopQ")]
    pub id: String,
    /// The namespace.
    pub namespace: String,
    /// The node that it is on.
    pub node: String,
    /// Who is behind it, if somebody is signed in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<User>,
    /// The rooms that it is in.
    pub rooms: Vec<String>,
    /// Where it comes from, as far as proxies in front tell.
    pub address: String,
    /// Whether it comes over TLS.
    pub secure: bool,
    /// When its connection was made, in milliseconds since 1970.
    pub connected_at: u64,
    /// What the server keeps with it for other servers.
    pub data: Value,
}

/// Which sockets are wanted.
#[derive(Clone, Debug, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct SocketFilter {
    /// The namespace.
    pub namespace: String,
    /// Only those in this room.
    pub room: Option<String>,
    /// Only those of this person.
    pub person: Option<String>,
    /// Where the page before ended: its `next`.
    pub cursor: Option<String>,
    /// How many at most, 1 to 1000.
    pub limit: Option<usize>,
}

impl Default for SocketFilter {
    fn default() -> Self {
        Self {
            namespace: root(),
            room: None,
            person: None,
            cursor: None,
            limit: None,
        }
    }
}

/// Sockets in the order of their ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SocketPage {
    /// The sockets.
    pub sockets: Vec<SocketInfo>,
    /// The `cursor` of the next page; none if this is the last.
    pub next: Option<String>,
    /// Nodes whose sockets are not among them.
    pub missing: MissingNodes,
}

/// A page of sockets, as nodes ask each other for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SocketsWanted {
    pub namespace: String,
    /// Rooms of the hub.
    pub rooms: Vec<String>,
    pub except: Vec<String>,
    /// All of these are to be in; a room beside those above.
    pub within: Option<String>,
    pub after: String,
    pub limit: usize,
}

/// How many entries a page has.
pub(super) fn page_of(limit: Option<usize>) -> Result<usize, Problem> {
    match limit {
        None => Ok(PAGE),
        Some(limit) if (1..=MAX_PAGE).contains(&limit) => Ok(limit),
        Some(_) => Err(Problem::bad(format!("`limit` is 1 to {MAX_PAGE}"))),
    }
}

/// Where a page begins.
pub(super) fn after_cursor(cursor: Option<&str>) -> Result<String, Problem> {
    let Some(cursor) = cursor else {
        return Ok(String::new());
    };
    let text = URL_SAFE_NO_PAD.decode(cursor).ok();
    text.and_then(|text| String::from_utf8(text).ok())
        .ok_or_else(|| Problem::bad("`cursor` is the `next` of the page before"))
}

pub(super) fn cursor_after(last: &str) -> String {
    URL_SAFE_NO_PAD.encode(last)
}

impl Service {
    /// A page of the sockets on all nodes.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn sockets(
        &self,
        caller: &Caller,
        filter: &SocketFilter,
    ) -> Result<SocketPage, Problem> {
        let namespace = &*filter.namespace;
        let thing = match (&filter.room, &filter.person) {
            (Some(room), _) => Thing::Room(namespace, room),
            (None, Some(person)) => Thing::Person(person),
            (None, None) => Thing::Everybody(namespace),
        };
        self.allow(caller, act::SOCKETS, thing)?;
        self.namespace(namespace)?;
        self.can_address(filter.person.is_some())?;
        let limit = page_of(filter.limit)?;
        let room = filter.room.as_deref();
        let room = room.map(|room| names::hub_room(namespace, room));
        let person = filter.person.as_deref().map(names::person_room);
        let (room, person) = (room.transpose()?, person.transpose()?);
        // The smaller one is walked through, and the other looked up.
        let (walked, within) = match (person, room) {
            (Some(person), room) => (Some(person), room),
            (None, room) => (room, None),
        };
        let wanted = SocketsWanted {
            namespace: namespace.to_owned(),
            rooms: walked.iter().map(ToString::to_string).collect(),
            except: Vec::new(),
            within: within.map(|room| room.to_string()),
            after: after_cursor(filter.cursor.as_deref())?,
            // One more than is given tells whether there are more.
            limit: limit + 1,
        };
        let (mut sockets, missing) = self.sockets_everywhere(&wanted).await?;
        let more = sockets.len() > limit;
        sockets.truncate(limit);
        let last = sockets.last().filter(|_| more);
        Ok(SocketPage {
            next: last.map(|socket| cursor_after(&socket.id)),
            sockets,
            missing,
        })
    }

    /// One socket by its id, whichever node it is on.
    ///
    /// # Errors
    /// [`Problem`]: `not_found` too if its node did not answer.
    pub async fn socket(
        &self,
        caller: &Caller,
        namespace: &str,
        id: &str,
    ) -> Result<SocketInfo, Problem> {
        self.allow(caller, act::SOCKETS, Thing::Socket(id))?;
        self.namespace(namespace)?;
        let wanted = SocketsWanted {
            namespace: namespace.to_owned(),
            rooms: vec![names::socket_room(id)?.to_string()],
            except: Vec::new(),
            within: None,
            after: String::new(),
            limit: 1,
        };
        if let Some(socket) = self.sockets_here(&wanted).await.pop() {
            return Ok(socket);
        }
        let (mut sockets, missing) = self.sockets_everywhere(&wanted).await?;
        sockets.pop().ok_or_else(|| {
            let of_whom = match missing.is_nobody() {
                true => "of any node",
                false => "of the nodes that answered",
            };
            Problem::not_found(format!("no socket {of_whom} has this id in {namespace}"))
        })
    }

    /// Whether people can be addressed, where that is wanted.
    pub(super) fn can_address(&self, people: bool) -> Result<(), Problem> {
        match people && !self.config().people {
            true => Err(Problem::new(
                super::Kind::Unprocessable,
                "people_off",
                "people can't be addressed on this server: set `api.people = true`",
            )),
            false => Ok(()),
        }
    }

    /// The first sockets of all nodes together, in the order of their ids.
    pub(super) async fn sockets_everywhere(
        &self,
        wanted: &SocketsWanted,
    ) -> Result<(Vec<SocketInfo>, MissingNodes), Problem> {
        let question = Question::Sockets(wanted.clone());
        let patience = self.config().patience;
        let others = self.ask_others::<Vec<SocketInfo>>(&question, patience);
        let (mut sockets, others) = tokio::join!(self.sockets_here(wanted), others);
        let (told, missing) = others?;
        sockets.extend(told.into_iter().flat_map(|told| told.answer));
        sockets.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        // One that has just moved is told by two nodes.
        sockets.dedup_by(|one, other| one.id == other.id);
        sockets.truncate(wanted.limit);
        Ok((sockets, missing))
    }

    /// How many sockets of all nodes these are, as far as the limit.
    pub(super) async fn count_everywhere(
        &self,
        wanted: &SocketsWanted,
    ) -> Result<(usize, MissingNodes), Problem> {
        let question = Question::Count(wanted.clone());
        let patience = self.config().patience;
        let others = self.ask_others::<usize>(&question, patience);
        let (here, others) = tokio::join!(self.count_here(wanted), others);
        let (told, missing) = others?;
        let there: usize = told.iter().map(|told| told.answer).sum();
        Ok((here + there, missing))
    }

    pub(super) async fn count_here(&self, wanted: &SocketsWanted) -> usize {
        self.handles_here(wanted).await.len()
    }

    pub(super) async fn sockets_here(&self, wanted: &SocketsWanted) -> Vec<SocketInfo> {
        let found = self.handles_here(wanted).await;
        let node = self.host().name();
        let shown = found
            .iter()
            .map(|(socket, rooms)| info(&wanted.namespace, node, socket, rooms));
        shown.collect()
    }

    /// The sockets of this node that are wanted, with their rooms.
    pub(super) async fn handles_here(&self, wanted: &SocketsWanted) -> Vec<(Socket, Vec<Room>)> {
        let Some(namespace) = self.hub().get(&wanted.namespace) else {
            return Vec::new();
        };
        let rooms = |names: &[String]| names.iter().map(|name| Room::from(&**name)).collect();
        let limit = wanted.limit.min(MAX_PAGE + 1);
        let mut look = Look {
            rooms: rooms(&wanted.rooms),
            except: rooms(&wanted.except),
            after: wanted.after.clone(),
            limit,
        };
        let mut found = Vec::new();
        loop {
            let mut page = namespace.page_of_sockets(look.clone()).await;
            let is_last = page.len() < limit;
            if let Some((last, _)) = page.last() {
                last.id().clone_into(&mut look.after);
            }
            if let Some(within) = &wanted.within {
                page.retain(|(_, rooms)| rooms.iter().any(|room| **room == **within));
            }
            found.append(&mut page);
            if is_last || found.len() >= limit {
                found.truncate(limit);
                return found;
            }
        }
    }
}

/// What is told of a socket. Neither what its client gave as `auth` nor its query: there may be tokens in them.
fn info(namespace: &str, node: &str, socket: &Socket, rooms: &[Room]) -> SocketInfo {
    let handshake = socket.handshake();
    let rooms = rooms
        .iter()
        .filter(|room| ***room != *socket.id())
        .filter_map(|room| names::client_room(namespace, room));
    SocketInfo {
        id: socket.id().to_owned(),
        namespace: namespace.to_owned(),
        node: node.to_owned(),
        user: socket.get::<Person>().map(|person| User::from(&*person)),
        rooms: rooms.map(str::to_owned).collect(),
        address: handshake.address.ip().to_string(),
        secure: handshake.secure,
        connected_at: handshake.time_ms,
        data: socket.data(),
    }
}

impl Whom {
    /// As nodes ask each other for them.
    pub(super) fn wanted(
        &self,
        namespace: &str,
        except: &Self,
        limit: usize,
    ) -> Result<SocketsWanted, Problem> {
        let written = |rooms: Vec<Room>| rooms.iter().map(ToString::to_string).collect();
        Ok(SocketsWanted {
            namespace: namespace.to_owned(),
            rooms: written(self.hub_rooms(namespace)?),
            except: written(except.hub_rooms(namespace)?),
            within: None,
            after: String::new(),
            limit,
        })
    }
}
