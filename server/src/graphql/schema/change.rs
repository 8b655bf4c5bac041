//! Mutations. Each takes an `idempotencyKey`, as the requests over HTTP do.

use std::future::Future;

use async_graphql::{Context, InputObject, Json, Object, Result, SimpleObject};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::ask::root;
use super::types::{Long, Missing, NumberedEvent, Person, WhomInput, long};
use super::{asked, error};
use crate::service::ask::Ask;
use crate::service::change::{Disconnect, Move, Moved};
use crate::service::emit::Emit;
use crate::service::once::fingerprint;
use crate::service::{Caller, Problem, Service};

/// What can be done.
#[derive(Debug)]
pub(crate) struct Mutation;

/// Who gets an event.
#[derive(InputObject)]
struct ToInput {
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

/// An event. `{"$binary":"<base64>"}` anywhere in its arguments is a binary value.
#[derive(InputObject)]
struct EventInput {
    event: String,
    /// Its one argument.
    data: Option<Json<Value>>,
    /// Its arguments, where there are none or several; instead of `data`.
    args: Option<Vec<Json<Value>>>,
    /// Dropped for whoever can't take it right now; never replayed, never numbered.
    #[graphql(default)]
    volatile: bool,
    /// Whether it gets a number in each room of `/` and a place in its history. So it is unless this says `false`.
    numbered: Option<bool>,
}

/// What became of an event.
#[derive(SimpleObject)]
struct EventSent {
    /// The numbers that it got, one for each room.
    numbered: Vec<NumberedEvent>,
    /// Whether this is the answer to an earlier request with the same key.
    repeated: bool,
}

/// A socket that answered.
#[derive(SimpleObject)]
struct SocketAnswer {
    socket: String,
    user: Option<Person>,
    /// The first argument of its answer.
    answer: Json<Value>,
}

/// A socket that did not answer.
#[derive(SimpleObject)]
struct SocketSilence {
    socket: String,
    user: Option<Person>,
    /// "timeout", "disconnected", "overloaded" or "too_large".
    reason: String,
}

/// What came of a question.
#[derive(SimpleObject)]
struct EventAnswers {
    answers: Vec<SocketAnswer>,
    /// Who was asked and did not answer.
    silent: Vec<SocketSilence>,
    /// Nodes whose sockets were perhaps not asked.
    missing: Missing,
}

/// What was done to sockets.
#[derive(SimpleObject)]
struct SocketsChanged {
    /// How many it concerned; null where there were more than 1000.
    sockets: Option<Long>,
    missing: Missing,
    /// Whether this is the answer to an earlier request with the same key.
    repeated: bool,
}

/// What becomes of a node that is to end.
#[derive(SimpleObject)]
struct NodeDraining {
    node: String,
    /// Whether it had begun before.
    already: bool,
}

#[Object]
impl Mutation {
    /// Sends an event.
    #[graphql(complexity = 20)]
    async fn emit(
        &self,
        context: &Context<'_>,
        to: ToInput,
        event: EventInput,
        idempotency_key: Option<String>,
    ) -> Result<EventSent> {
        let emit = Emit {
            namespace: to.namespace,
            rooms: to.rooms,
            people: to.people,
            sockets: to.sockets,
            all: to.all,
            except: to.except.into(),
            event: event.event,
            data: event.data.as_ref().map(raw).transpose()?,
            args: event
                .args
                .map(|args| args.iter().map(raw).collect())
                .transpose()?,
            tags: std::collections::BTreeMap::new(),
            user: None,
            volatile: event.volatile,
            numbered: event.numbered,
        };
        let what = format!("graphql emit {emit:?}");
        let work = move |service: Service, caller: Caller| async move {
            service.emit(&caller, &emit).await
        };
        let (emitted, repeated) = once(context, idempotency_key, &what, work).await?;
        Ok(EventSent {
            numbered: emitted
                .numbered
                .into_iter()
                .map(NumberedEvent::from)
                .collect(),
            repeated,
        })
    }

    /// Sends an event and collects the answers of all who got it.
    #[graphql(complexity = "100 + child_complexity")]
    async fn emit_with_ack(
        &self,
        context: &Context<'_>,
        to: ToInput,
        event: EventInput,
        #[graphql(desc = "How long answers are waited for; 5000 if it isn't given.")]
        timeout_ms: Option<Long>,
    ) -> Result<EventAnswers> {
        let (service, caller) = asked(context)?;
        if event.volatile || event.numbered.is_some() {
            let message = "an event that is answered is neither volatile nor numbered";
            return Err(error(Problem::bad(message)));
        }
        let ask = Ask {
            namespace: to.namespace,
            rooms: to.rooms,
            people: to.people,
            sockets: to.sockets,
            all: to.all,
            except: to.except.into(),
            event: event.event,
            data: event.data.as_ref().map(raw).transpose()?,
            args: event
                .args
                .map(|args| args.iter().map(raw).collect())
                .transpose()?,
            timeout_ms: timeout_ms.map(|ms| ms.0),
        };
        let answers = service.emit_with_ack(&caller, &ask).await.map_err(error)?;
        let answered = answers.answers.into_iter().map(|answered| SocketAnswer {
            socket: answered.socket,
            user: answered.user.map(Person::from),
            answer: Json(answered.answer),
        });
        let silent = answers.silent.into_iter().map(|silent| SocketSilence {
            socket: silent.socket,
            user: silent.user.map(Person::from),
            reason: silent.reason,
        });
        Ok(EventAnswers {
            answers: answered.collect(),
            silent: silent.collect(),
            missing: answers.missing.into(),
        })
    }

    /// Makes sockets join rooms, on all nodes.
    #[graphql(complexity = 20)]
    async fn join(
        &self,
        context: &Context<'_>,
        #[graphql(default_with = "root()")] namespace: String,
        whom: WhomInput,
        rooms: Vec<String>,
        idempotency_key: Option<String>,
    ) -> Result<SocketsChanged> {
        let change = moving(namespace, whom, rooms);
        let what = format!("graphql join {change:?}");
        let work = move |service: Service, caller: Caller| async move {
            service.join(&caller, &change).await
        };
        changed(once(context, idempotency_key, &what, work).await?)
    }

    /// Makes sockets leave rooms, on all nodes.
    #[graphql(complexity = 20)]
    async fn leave(
        &self,
        context: &Context<'_>,
        #[graphql(default_with = "root()")] namespace: String,
        whom: WhomInput,
        rooms: Vec<String>,
        idempotency_key: Option<String>,
    ) -> Result<SocketsChanged> {
        let change = moving(namespace, whom, rooms);
        let what = format!("graphql leave {change:?}");
        let work = move |service: Service, caller: Caller| async move {
            service.leave(&caller, &change).await
        };
        changed(once(context, idempotency_key, &what, work).await?)
    }

    /// Disconnects sockets, on all nodes.
    #[graphql(complexity = 20)]
    async fn disconnect(
        &self,
        context: &Context<'_>,
        whom: ToInput,
        #[graphql(default, desc = "Whether the whole connection is closed.")] close: bool,
        #[graphql(desc = "Why, for the client: it gets `server:disconnect` first.")] reason: Option<
            String,
        >,
        idempotency_key: Option<String>,
    ) -> Result<SocketsChanged> {
        let request = Disconnect {
            namespace: whom.namespace,
            rooms: whom.rooms,
            people: whom.people,
            sockets: whom.sockets,
            all: whom.all,
            except: whom.except.into(),
            close,
            reason,
        };
        let what = format!("graphql disconnect {request:?}");
        let work = move |service: Service, caller: Caller| async move {
            service.disconnect(&caller, &request).await
        };
        changed(once(context, idempotency_key, &what, work).await?)
    }

    /// Has a node end, as SIGTERM does.
    #[graphql(complexity = 20)]
    async fn drain(&self, context: &Context<'_>, node: String) -> Result<NodeDraining> {
        let (service, caller) = asked(context)?;
        let draining = service.drain(&caller, &node).await.map_err(error)?;
        Ok(NodeDraining {
            node: draining.node,
            already: draining.already,
        })
    }
}

fn moving(namespace: String, whom: WhomInput, rooms: Vec<String>) -> Move {
    Move {
        namespace,
        whom: whom.into(),
        rooms,
    }
}

fn changed((moved, repeated): (Moved, bool)) -> Result<SocketsChanged> {
    Ok(SocketsChanged {
        sockets: moved.sockets.map(long),
        missing: moved.missing.into(),
        repeated,
    })
}

fn raw(value: &Json<Value>) -> Result<Box<RawValue>> {
    Ok(to_raw_value(&value.0)?)
}

/// Does something once for each idempotency key of the caller.
async fn once<T, F>(
    context: &Context<'_>,
    key: Option<String>,
    what: &str,
    work: impl FnOnce(Service, Caller) -> F,
) -> Result<(T, bool)>
where
    T: Serialize + DeserializeOwned + Send + 'static,
    F: Future<Output = std::result::Result<T, Problem>> + Send + 'static,
{
    let (service, caller) = asked(context)?;
    let request = fingerprint(what, &[]);
    let work = work(service.clone(), caller.clone());
    let once = service.once(&caller, key.as_deref(), request, work).await;
    let once = once.map_err(error)?;
    Ok((once.result, once.repeated))
}
