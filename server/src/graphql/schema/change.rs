//! Mutations of what is going on. Each takes an `idempotencyKey`, as the requests over HTTP do.

use std::fmt::Debug;
use std::future::Future;

use async_graphql::{Context, Json, Object, Result, SimpleObject};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::inputs::{EventInput, OperationInput, QuestionInput, ToInput, WhomInput};
use super::types::{Long, Missing, NumberedEvent, Person, long};
use super::{asked, error, inputs, root};
use crate::http::HttpState;
use crate::service::ask::Answers;
use crate::service::batch::{Batch, Outcome, Outcomes};
use crate::service::change::Moved;
use crate::service::emit::Emitted;
use crate::service::once::fingerprint;
use crate::service::{Caller, Problem, Service};

/// What can be done to events, sockets and nodes.
#[derive(Debug, Default)]
pub(super) struct Change;

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
    /// Whether this is the answer to an earlier request with the same key.
    repeated: bool,
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

/// Why one of several things was not done.
#[derive(SimpleObject)]
struct OperationError {
    code: String,
    message: String,
}

/// What became of one of several things.
#[derive(SimpleObject, Default)]
struct OperationResult {
    /// The numbers that an event got, one for each room.
    numbered: Vec<NumberedEvent>,
    /// Why it was not done; null if it was.
    error: Option<OperationError>,
}

/// What became of several things.
#[derive(SimpleObject)]
struct BatchDone {
    /// One for each operation, in their order.
    results: Vec<OperationResult>,
    /// How many of them were not done.
    failed: Long,
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
impl Change {
    /// Sends an event.
    #[graphql(complexity = 20)]
    async fn emit(
        &self,
        context: &Context<'_>,
        to: ToInput,
        event: EventInput,
        idempotency_key: Option<String>,
    ) -> Result<EventSent> {
        let emit = inputs::emit(to, event)?;
        let done = once(
            context,
            idempotency_key,
            "emit",
            emit,
            |service, caller, emit| async move { service.emit(&caller, &emit).await },
        );
        let (Emitted { numbered }, repeated) = done.await?;
        Ok(EventSent {
            numbered: numbered.into_iter().map(NumberedEvent::from).collect(),
            repeated,
        })
    }

    /// Sends an event and collects the answers of all who got it.
    #[graphql(complexity = "100 + child_complexity")]
    async fn emit_with_ack(
        &self,
        context: &Context<'_>,
        to: ToInput,
        event: QuestionInput,
        #[graphql(desc = "How long answers are waited for; 5000 if it isn't given.")]
        timeout_ms: Option<Long>,
        idempotency_key: Option<String>,
    ) -> Result<EventAnswers> {
        let ask = inputs::ask(to, event, timeout_ms)?;
        let done = once(
            context,
            idempotency_key,
            "ask",
            ask,
            |service, caller, ask| async move { service.emit_with_ack(&caller, &ask).await },
        );
        let (answers, repeated): (Answers, bool) = done.await?;
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
            repeated,
        })
    }

    /// Does several things, one after the other. What is wrong with one doesn't keep the others.
    #[graphql(complexity = "20 * operations.len() + child_complexity")]
    async fn batch(
        &self,
        context: &Context<'_>,
        operations: Vec<OperationInput>,
        idempotency_key: Option<String>,
    ) -> Result<BatchDone> {
        let (_, caller) = asked(context)?;
        let state = context.data::<HttpState>()?;
        let paced = state
            .door
            .pace_batch(&state.service, &caller, operations.len());
        paced.map_err(error)?;
        let operations = operations.into_iter().map(OperationInput::operation);
        let batch = Batch {
            operations: operations.collect::<Result<_>>()?,
        };
        let done = once(
            context,
            idempotency_key,
            "batch",
            batch,
            |service, caller, batch| async move { service.batch(&caller, &batch).await },
        );
        let (Outcomes { results, failed }, repeated) = done.await?;
        Ok(BatchDone {
            results: results.into_iter().map(OperationResult::from).collect(),
            failed: long(failed),
            repeated,
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
        let change = inputs::moving(namespace, whom, rooms);
        let done = once(
            context,
            idempotency_key,
            "join",
            change,
            |service, caller, change| async move { service.join(&caller, &change).await },
        );
        done.await.map(SocketsChanged::from)
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
        let change = inputs::moving(namespace, whom, rooms);
        let done = once(
            context,
            idempotency_key,
            "leave",
            change,
            |service, caller, change| async move { service.leave(&caller, &change).await },
        );
        done.await.map(SocketsChanged::from)
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
        let change = inputs::disconnect(whom, close, reason);
        let done = once(
            context,
            idempotency_key,
            "disconnect",
            change,
            |service, caller, change| async move { service.disconnect(&caller, &change).await },
        );
        done.await.map(SocketsChanged::from)
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

impl From<Outcome> for OperationResult {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Emit(Emitted { numbered }) => Self {
                numbered: numbered.into_iter().map(NumberedEvent::from).collect(),
                error: None,
            },
            Outcome::Error(problem) => Self {
                numbered: Vec::new(),
                error: Some(OperationError {
                    code: problem.code,
                    message: problem.message,
                }),
            },
            // Nobody counts in a batch.
            Outcome::Join(_) | Outcome::Leave(_) | Outcome::Disconnect(_) => Self::default(),
        }
    }
}

impl From<(Moved, bool)> for SocketsChanged {
    fn from((moved, repeated): (Moved, bool)) -> Self {
        Self {
            sockets: moved.sockets.map(long),
            missing: moved.missing.into(),
            repeated,
        }
    }
}

/// Does something once for each idempotency key of the caller.
pub(super) async fn once<R, T, F>(
    context: &Context<'_>,
    key: Option<String>,
    what: &str,
    request: R,
    work: impl FnOnce(Service, Caller, R) -> F,
) -> Result<(T, bool)>
where
    R: Debug,
    T: Serialize + DeserializeOwned + Send + 'static,
    F: Future<Output = std::result::Result<T, Problem>> + Send + 'static,
{
    let (service, caller) = asked(context)?;
    let print = fingerprint(&format!("graphql {what} {request:?}"), &[]);
    let work = work(service.clone(), caller.clone(), request);
    let once = service.once(&caller, key.as_deref(), print, work).await;
    let once = once.map_err(error)?;
    Ok((once.result, once.repeated))
}
