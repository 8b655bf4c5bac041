//! Sending events from outside: to rooms, people, sockets, or everybody.

use std::collections::BTreeMap;
use std::time::Duration;

use lakh_hub::{Operator, Person, Room};
use lakh_rooms::Publish;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::caller::{Caller, Thing, act};
use super::problem::{Kind, Problem};
use super::sockets::User;
use super::values::Arguments;
use super::{Service, names};

/// Rooms, people and sockets that one request may name.
const MAX_NAMED: usize = 1_000;

pub(super) fn root() -> String {
    "/".to_owned()
}

/// How long the place of an event in the order is waited for: Redis may be away.
const CONFIRMED: Duration = Duration::from_secs(10);

/// What is waited for no longer than that.
async fn confirmed<T>(placed: impl Future<Output = T>) -> Result<T, Problem> {
    let placed = tokio::time::timeout(CONFIRMED, placed).await;
    placed.map_err(|_| {
        Problem::unknown(
            "the event has no place in the order yet, because Redis is away or slow; it may arrive later, or not",
        )
    })
}

/// Whom something concerns. Who is named in several ways is concerned once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Whom {
    /// Members of these rooms.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["board:7"]))]
    pub rooms: Vec<String>,
    /// All sockets of these people, by their ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<String>,
    /// These sockets, by their ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sockets: Vec<String>,
}

impl Whom {
    /// Whether nobody is named.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        self.rooms.is_empty() && self.people.is_empty() && self.sockets.is_empty()
    }

    fn count(&self) -> usize {
        self.rooms.len() + self.people.len() + self.sockets.len()
    }

    /// What rights call them.
    pub(super) fn things<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = Thing<'a>> {
        let rooms = self.rooms.iter();
        let rooms = rooms.map(move |room| Thing::Room(namespace, room));
        let people = self.people.iter().map(|id| Thing::Person(id));
        let sockets = self.sockets.iter().map(|id| Thing::Socket(id));
        rooms.chain(people).chain(sockets)
    }

    /// The hub's rooms for them.
    pub(super) fn hub_rooms(&self, namespace: &str) -> Result<Vec<Room>, Problem> {
        if self.count() > MAX_NAMED {
            return Err(Problem::new(
                Kind::TooLarge,
                "too_large",
                format!("a request names up to {MAX_NAMED} rooms, people and sockets"),
            ));
        }
        let rooms = self
            .rooms
            .iter()
            .map(|room| names::hub_room(namespace, room));
        let people = self.people.iter().map(|id| names::person_room(id));
        let sockets = self.sockets.iter().map(|id| names::socket_room(id));
        rooms.chain(people).chain(sockets).collect()
    }
}

/// Who gets an event, or is asked something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct To {
    /// The namespace.
    #[serde(default = "root")]
    #[schema(example = "/")]
    pub namespace: String,
    /// Members of these rooms.
    #[serde(default)]
    #[schema(example = json!(["board:7"]))]
    pub rooms: Vec<String>,
    /// All sockets of these people, by their ids.
    #[serde(default)]
    pub people: Vec<String>,
    /// These sockets, by their ids.
    #[serde(default)]
    pub sockets: Vec<String>,
    /// Everybody in the namespace; then nobody is named besides.
    #[serde(default)]
    pub all: bool,
    /// Who is left out.
    #[serde(default)]
    pub except: Whom,
}

impl To {
    /// Those who are named.
    #[must_use]
    pub fn whom(&self) -> Whom {
        Whom {
            rooms: self.rooms.clone(),
            people: self.people.clone(),
            sockets: self.sockets.clone(),
        }
    }
}

/// An event to be sent.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Emit {
    /// The namespace.
    #[serde(default = "root")]
    #[schema(example = "/")]
    pub namespace: String,
    /// To the members of these rooms.
    #[serde(default)]
    #[schema(example = json!(["board:7"]))]
    pub rooms: Vec<String>,
    /// To all sockets of these people, by their ids.
    #[serde(default)]
    pub people: Vec<String>,
    /// To these sockets, by their ids.
    #[serde(default)]
    pub sockets: Vec<String>,
    /// To everybody in the namespace; then nobody is named besides.
    #[serde(default)]
    pub all: bool,
    /// Not to these.
    #[serde(default)]
    pub except: Whom,
    /// The event's name.
    #[schema(example = "moved")]
    pub event: String,
    /// Its one argument. `{"$binary":"<base64>"}` anywhere in it is a binary value.
    #[serde(default)]
    #[schema(value_type = Option<Value>, example = json!({"card": 3}))]
    pub data: Option<Box<RawValue>>,
    /// Its arguments, where there are none or several; instead of `data`.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Value>>)]
    pub args: Option<Vec<Box<RawValue>>>,
    /// What filters of members look at, in rooms of `/`: text, numbers, true or false.
    #[serde(default)]
    pub tags: BTreeMap<String, Value>,
    /// On whose behalf it's sent, in rooms of `/`: members read it as `user`. Takes `api:emit` on that person, too.
    #[serde(default)]
    pub user: Option<User>,
    /// Dropped for whoever can't take it right now; never replayed, never numbered.
    #[serde(default)]
    pub volatile: bool,
    /// Whether the event gets a number in each room and its place in the room's history, as one that a member sends with
    /// `room:emit`. So it is in rooms of `/`, unless this says `false` or the event is volatile. Other events have none.
    #[serde(default)]
    pub numbered: Option<bool>,
}

/// What became of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Emitted {
    /// The numbers that it got, one for each room.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub numbered: Vec<Numbered>,
}

/// The place of an event in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Numbered {
    /// The room.
    #[schema(example = "board:7")]
    pub room: String,
    /// The event's number there.
    pub seq: u64,
    /// When, in milliseconds since 1970.
    pub time: u64,
}

impl Emit {
    fn to(&self) -> To {
        To {
            namespace: self.namespace.clone(),
            rooms: self.rooms.clone(),
            people: self.people.clone(),
            sockets: self.sockets.clone(),
            all: self.all,
            except: self.except.clone(),
        }
    }

    fn arguments(&self) -> Result<Vec<&RawValue>, Problem> {
        match (&self.data, &self.args) {
            (Some(_), Some(_)) => Err(Problem::bad("give `data` or `args`, not both")),
            (Some(data), None) => Ok(vec![data]),
            (None, Some(args)) => Ok(args.iter().map(|value| &**value).collect()),
            (None, None) => Ok(Vec::new()),
        }
    }
}

impl Service {
    /// Sends an event. When this returns, it has its place in the order, and in the log where there is one.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn emit(&self, caller: &Caller, emit: &Emit) -> Result<Emitted, Problem> {
        let to = emit.to();
        self.may_reach(caller, act::EMIT, &to)?;
        if let Some(user) = &emit.user {
            self.allow(caller, act::EMIT, Thing::Person(&user.id))?;
        }
        let limits = &self.hub().settings().limits;
        let arguments = Arguments::read(&emit.arguments()?, limits)?;
        let could = !emit.volatile && !to.rooms.is_empty() && self.numbers(&to.namespace);
        let numbers = could && emit.numbered != Some(false);
        if emit.numbered == Some(true) && !could {
            return Err(Problem::bad(
                "only events of rooms of `/` are numbered, and no volatile ones",
            ));
        }
        if !numbers && (emit.user.is_some() || !emit.tags.is_empty()) {
            return Err(Problem::bad(
                "`user` and `tags` belong to numbered events, in rooms of `/`",
            ));
        }
        names::event(&emit.event)?;
        let mut emitted = Emitted::default();
        let mut plain = to.clone();
        if numbers {
            let except = to.except.hub_rooms(&to.namespace)?;
            // All names are checked before anything is sent.
            to.whom().hub_rooms(&to.namespace)?;
            emitted.numbered = self.publish(emit, &arguments, &except).await?;
            plain.rooms.clear();
        }
        if plain.all || !plain.whom().is_nobody() {
            let operator = self.operator(&plain)?;
            let operator = match emit.volatile {
                true => operator.volatile(),
                false => operator,
            };
            operator.emit_raw(arguments.payload(&emit.event))?;
            let namespace = self.namespace(&to.namespace)?;
            if !emit.volatile && !confirmed(namespace.logged()).await? {
                return Err(Problem::unknown(
                    "the server is about to stop, and can't say whether the event will arrive",
                ));
            }
        }
        Ok(emitted)
    }

    /// Whether rooms of this namespace number their events.
    fn numbers(&self, namespace: &str) -> bool {
        namespace == "/" && self.rooms().is_some()
    }

    async fn publish(
        &self,
        emit: &Emit,
        arguments: &Arguments,
        except: &[Room],
    ) -> Result<Vec<Numbered>, Problem> {
        let Some(rooms) = self.rooms() else {
            return Ok(Vec::new());
        };
        let data = match &arguments.texts[..] {
            [] => RawValue::NULL.to_owned(),
            [one] => RawValue::from_string(one.clone())
                .map_err(|error| Problem::bad(error.to_string()))?,
            _ => {
                return Err(Problem::bad(
                    "a numbered event has one argument; give `data`, or `numbered: false`",
                ));
            }
        };
        let mut numbered = Vec::with_capacity(emit.rooms.len());
        for (at, room) in emit.rooms.iter().enumerate() {
            if emit.rooms[..at].contains(room) {
                continue;
            }
            let publish = Publish {
                room: room.clone(),
                event: emit.event.clone(),
                data: Some(data.clone()),
                attachments: arguments.attachments.clone(),
                tags: emit.tags.clone(),
                user: emit.user.clone().map(Person::from),
                except: except.to_vec(),
                ..Publish::default()
            };
            let published = confirmed(rooms.publish(publish)).await??;
            numbered.push(Numbered {
                room: room.clone(),
                seq: published.seq,
                time: published.time_ms,
            });
        }
        Ok(numbered)
    }

    /// Whether somebody may do this to all who are named, and whether it's clear who that is.
    pub(super) fn may_reach(
        &self,
        caller: &Caller,
        act: &'static str,
        to: &To,
    ) -> Result<(), Problem> {
        let whom = to.whom();
        self.can_address(!whom.people.is_empty() || !to.except.people.is_empty())?;
        match (to.all, whom.is_nobody()) {
            (true, true) => self.allow(caller, act, Thing::Everybody(&to.namespace)),
            (false, false) => whom
                .things(&to.namespace)
                .try_for_each(|thing| self.allow(caller, act, thing)),
            (true, false) => Err(Problem::bad(
                "`all` is everybody: name no rooms, people or sockets besides",
            )),
            (false, true) => Err(Problem::bad(
                "say whom this is for: `rooms`, `people`, `sockets`, or `all`",
            )),
        }
    }

    /// The hub's way to those who are named.
    pub(super) fn operator(&self, to: &To) -> Result<Operator, Problem> {
        let namespace = self.namespace(&to.namespace)?;
        let rooms = to.whom().hub_rooms(&to.namespace)?;
        let except = to.except.hub_rooms(&to.namespace)?;
        // Compressed where it was negotiated: what holds without being said.
        let operator = rooms
            .into_iter()
            .fold(namespace.compress(true), Operator::to);
        Ok(except.into_iter().fold(operator, Operator::except))
    }
}
