//! Events between servers: Socket.IO's `serverSideEmit`.

use std::sync::Arc;
use std::time::Duration;

use lakh_broker::cluster::{Answers, Ask, Data, Message, RequestId, Response, Uid};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::ask::{Job, Missing};
use super::{Cluster, data, sessions};
use crate::args::{self, ArgsError};
use crate::handler::LocalFuture;
use crate::namespace::Namespace;
use crate::operator::EmitError;
use crate::payload::Payload;

pub(crate) type ServerHook = Arc<dyn Fn(ServerEvent) -> LocalFuture + Send + Sync>;

/// An event of another server.
pub struct ServerEvent {
    namespace: Namespace,
    payload: Payload,
    /// Who asks, if an answer is wanted.
    asks: Option<(Uid, RequestId)>,
}

impl std::fmt::Debug for ServerEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerEvent")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl ServerEvent {
    /// The namespace that it was sent in.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The arguments after the name: one is read as itself, several as a tuple.
    ///
    /// # Errors
    /// If they are not of this type.
    pub fn args<T: DeserializeOwned>(&self) -> Result<T, ArgsError> {
        args::decode(&self.payload.text, 1, &self.payload.attachments)
    }

    /// The name and the arguments as they came.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// Whether the other server waits for an answer.
    #[must_use]
    pub fn wants_answer(&self) -> bool {
        self.asks.is_some()
    }

    /// Answers with one value.
    ///
    /// # Errors
    /// If it can't be written as JSON.
    pub fn answer<T: Serialize + ?Sized>(self, value: &T) -> Result<(), ArgsError> {
        let answer = args::encode(None, &(value,))?;
        if let (Some((to, request)), Some(cluster)) = (self.asks, self.namespace.hub.cluster()) {
            let empty = Response::ServerSideEmit {
                request: request.clone(),
                data: Some(Data::Json(String::new())),
            };
            let form = cluster.tie.form(&Message::Response(empty));
            let data = data::first(&answer, form);
            let response = Response::ServerSideEmit { request, data };
            cluster.answer(&self.namespace, &to, response);
        }
        Ok(())
    }
}

/// What other servers have answered.
#[derive(Debug)]
pub struct ServerSideAcks<T> {
    /// Their answers, in the order they came. One that isn't of the type asked for is left out.
    pub answers: Vec<T>,
    /// Who did not answer.
    pub missing: Missing,
}

impl Namespace {
    /// Handles events of other servers; the one that sends doesn't hear its own. The handler runs on an event loop: it
    /// may wait, it must not block.
    pub fn on_server_event(
        &self,
        event: &str,
        handler: impl AsyncFn(ServerEvent) + Send + Sync + 'static,
    ) {
        let handler = Arc::new(handler);
        let hook: ServerHook = Arc::new(move |event| {
            let handler = Arc::clone(&handler);
            Box::pin(async move { handler(event).await })
        });
        self.add_server_hook(event, &hook);
    }

    /// Sends an event to the other servers.
    ///
    /// # Errors
    /// If the arguments can't be written.
    pub fn server_side_emit<T: Serialize + ?Sized>(
        &self,
        event: &str,
        args: &T,
    ) -> Result<(), EmitError> {
        self.server_side_emit_raw(&args::encode(Some(event), args)?);
        Ok(())
    }

    /// The same with arguments that are raw JSON, the event's name first.
    pub fn server_side_emit_raw(&self, payload: &Payload) {
        if let Some(cluster) = self.hub.cluster() {
            let message = cluster.server_side(payload, None);
            cluster.tell(self.name(), &message);
        }
    }

    /// Sends an event to the other servers and waits for an answer of each, for as long as is given.
    ///
    /// # Errors
    /// If the arguments can't be written.
    pub async fn server_side_emit_with_ack<R: DeserializeOwned>(
        &self,
        event: &str,
        args: &(impl Serialize + ?Sized),
        timeout: Duration,
    ) -> Result<ServerSideAcks<R>, EmitError> {
        let payload = args::encode(Some(event), args)?;
        Ok(self.server_side_emit_raw_with_ack(payload, timeout).await)
    }

    /// The same with arguments that are raw JSON, the event's name first.
    pub async fn server_side_emit_raw_with_ack<R: DeserializeOwned>(
        &self,
        payload: Payload,
        timeout: Duration,
    ) -> ServerSideAcks<R> {
        let Some(cluster) = self.hub.cluster() else {
            return ServerSideAcks {
                answers: Vec::new(),
                missing: Missing::default(),
            };
        };
        let (send, receive) = oneshot::channel();
        cluster.ask(Job {
            namespace: self.name().into(),
            ask: Ask::ServerSideEmit,
            timeout,
            message: Box::new(move |cluster, request| cluster.server_side(&payload, Some(request))),
            // Who asked may be gone.
            done: Box::new(move |finished| drop(send.send(finished))),
        });
        let finished = receive.await.ok().flatten();
        let missing = Missing::of(finished.as_ref());
        let answers = match finished.map(|finished| finished.answers) {
            Some(Answers::ServerSideEmit(answers)) => answers,
            _ => Vec::new(),
        };
        let limits = &self.hub.settings().limits;
        let read = |answer| {
            let payload = data::answer(answer, limits)?;
            args::decode(&payload.text, 0, &payload.attachments).ok()
        };
        ServerSideAcks {
            answers: answers.into_iter().filter_map(read).collect(),
            missing,
        }
    }
}

impl Cluster {
    pub(super) fn server_side(&self, payload: &Payload, request: Option<&RequestId>) -> Message {
        let make = |data| Message::ServerSideEmit {
            request: request.cloned(),
            data,
        };
        let form = self.tie.form(&make(Data::Json(String::new())));
        make(data::encode(&payload.text, &payload.attachments, form))
    }
}

/// Hands an event of another server to its handler.
pub(super) fn heard(
    namespace: &Namespace,
    from: Option<Uid>,
    request: Option<RequestId>,
    data: Data,
) {
    let Some(payload) = data::event(data, &namespace.hub.settings().limits) else {
        return tracing::warn!("an event of another server was not understood");
    };
    let Ok((name,)) = args::decode::<(String,)>(&payload.text, 0, &[]) else {
        return;
    };
    if name == sessions::EVICT {
        return sessions::evicted(namespace, &payload);
    }
    let Some(hook) = namespace.inner.handlers.load().server.get(&*name).cloned() else {
        return;
    };
    let event = ServerEvent {
        namespace: namespace.clone(),
        payload,
        asks: from.zip(request),
    };
    // Any loop will do.
    namespace
        .hub
        .run_surely_on(0, move |shard| shard.run_hook(hook(event)));
}
