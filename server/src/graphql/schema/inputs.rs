//! What mutations take, and what the service calls it.

use std::collections::BTreeMap;

use async_graphql::{InputObject, Json, OneofObject, Result};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::root;
use super::types::Long;
use crate::service::ask::Ask;
use crate::service::batch::Operation;
use crate::service::change::{Disconnect, Move};
use crate::service::emit::{Emit, Whom};
use crate::service::sockets::User;

/// Whom something concerns. Who is named in several ways is concerned once.
#[derive(InputObject, Default, Clone, Debug)]
pub(super) struct WhomInput {
    /// Members of these rooms.
    #[graphql(default)]
    rooms: Vec<String>,
    /// All sockets of these people, by their ids.
    #[graphql(default)]
    people: Vec<String>,
    /// These sockets, by their ids.
    #[graphql(default)]
    sockets: Vec<String>,
}

impl From<WhomInput> for Whom {
    fn from(whom: WhomInput) -> Self {
        Self {
            rooms: whom.rooms,
            people: whom.people,
            sockets: whom.sockets,
        }
    }
}

/// Who gets an event.
#[derive(InputObject)]
pub(super) struct ToInput {
    #[graphql(default_with = "root()")]
    namespace: String,
    /// The members of these rooms.
    #[graphql(default)]
    rooms: Vec<String>,
    /// All sockets of these people, by their ids.
    #[graphql(default)]
    people: Vec<String>,
    /// These sockets, by their ids.
    #[graphql(default)]
    sockets: Vec<String>,
    /// Everybody in the namespace; then nobody is named besides.
    #[graphql(default)]
    all: bool,
    /// Not these.
    #[graphql(default)]
    except: WhomInput,
}

/// Somebody on whose behalf an event is sent.
#[derive(InputObject)]
struct UserInput {
    id: String,
    name: String,
}

/// An event. `{"$binary":"<base64>"}` anywhere in its arguments is a binary value.
#[derive(InputObject)]
pub(super) struct EventInput {
    event: String,
    /// Its one argument.
    data: Option<Json<Value>>,
    /// Its arguments, where there are none or several; instead of `data`.
    args: Option<Vec<Json<Value>>>,
    /// What filters of members look at, in rooms of `/`: text, numbers, true or false.
    tags: Option<Json<BTreeMap<String, Value>>>,
    /// On whose behalf it's sent, in rooms of `/`. Takes `api:emit` on that person, too.
    user: Option<UserInput>,
    /// Dropped for whoever can't take it right now; never replayed, never numbered.
    #[graphql(default)]
    volatile: bool,
    /// Whether it gets a number in each room of `/` and a place in its history. So it is unless this says `false`.
    numbered: Option<bool>,
}

/// A question to clients. `{"$binary":"<base64>"}` anywhere in its arguments is a binary value.
#[derive(InputObject)]
pub(super) struct QuestionInput {
    event: String,
    /// Its one argument.
    data: Option<Json<Value>>,
    /// Its arguments, where there are none or several; instead of `data`.
    args: Option<Vec<Json<Value>>>,
}

/// An event of a batch.
#[derive(InputObject)]
pub(super) struct EmitInput {
    to: ToInput,
    event: EventInput,
}

/// Sockets that join or leave rooms, in a batch.
#[derive(InputObject)]
pub(super) struct MoveInput {
    #[graphql(default_with = "root()")]
    namespace: String,
    whom: WhomInput,
    rooms: Vec<String>,
}

/// Sockets that are to go, in a batch.
#[derive(InputObject)]
pub(super) struct DisconnectInput {
    whom: ToInput,
    /// Whether the whole connection is closed.
    #[graphql(default)]
    close: bool,
    /// Why, for the client: it gets `server:disconnect` first.
    reason: Option<String>,
}

/// One thing of a batch.
#[derive(OneofObject)]
pub(super) enum OperationInput {
    Emit(EmitInput),
    Join(MoveInput),
    Leave(MoveInput),
    Disconnect(DisconnectInput),
}

fn raw(value: &Json<Value>) -> Result<Box<RawValue>> {
    Ok(to_raw_value(&value.0)?)
}

fn raws(values: Option<Vec<Json<Value>>>) -> Result<Option<Vec<Box<RawValue>>>> {
    values
        .map(|values| values.iter().map(raw).collect())
        .transpose()
}

pub(super) fn emit(to: ToInput, event: EventInput) -> Result<Emit> {
    Ok(Emit {
        namespace: to.namespace,
        rooms: to.rooms,
        people: to.people,
        sockets: to.sockets,
        all: to.all,
        except: to.except.into(),
        event: event.event,
        data: event.data.as_ref().map(raw).transpose()?,
        args: raws(event.args)?,
        tags: event.tags.map(|tags| tags.0).unwrap_or_default(),
        user: event.user.map(|UserInput { id, name }| User { id, name }),
        volatile: event.volatile,
        numbered: event.numbered,
    })
}

pub(super) fn ask(to: ToInput, question: QuestionInput, timeout_ms: Option<Long>) -> Result<Ask> {
    Ok(Ask {
        namespace: to.namespace,
        rooms: to.rooms,
        people: to.people,
        sockets: to.sockets,
        all: to.all,
        except: to.except.into(),
        event: question.event,
        data: question.data.as_ref().map(raw).transpose()?,
        args: raws(question.args)?,
        timeout_ms: timeout_ms.map(|ms| ms.0),
    })
}

pub(super) fn moving(namespace: String, whom: WhomInput, rooms: Vec<String>) -> Move {
    Move {
        namespace,
        whom: whom.into(),
        rooms,
    }
}

pub(super) fn disconnect(whom: ToInput, close: bool, reason: Option<String>) -> Disconnect {
    Disconnect {
        namespace: whom.namespace,
        rooms: whom.rooms,
        people: whom.people,
        sockets: whom.sockets,
        all: whom.all,
        except: whom.except.into(),
        close,
        reason,
    }
}

impl OperationInput {
    pub(super) fn operation(self) -> Result<Operation> {
        let of = |change: MoveInput| moving(change.namespace, change.whom, change.rooms);
        Ok(match self {
            Self::Emit(one) => Operation::Emit(emit(one.to, one.event)?),
            Self::Join(change) => Operation::Join(of(change)),
            Self::Leave(change) => Operation::Leave(of(change)),
            Self::Disconnect(one) => {
                Operation::Disconnect(disconnect(one.whom, one.close, one.reason))
            }
        })
    }
}
