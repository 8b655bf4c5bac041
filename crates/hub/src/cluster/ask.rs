//! Requests to the other nodes, and what becomes of their answers.

use std::sync::Arc;
use std::time::Duration;

use lakh_broker::Room;
use lakh_broker::cluster::{Answers, Ask, Data, Finished, Form, Message, RequestId, Response, Uid};
use parking_lot::Mutex;
use rustc_hash::FxHashSet;

use super::{Cluster, data, opts, remote};
use crate::ack::{Collector, Told};
use crate::hub::Hub;
use crate::namespace::Namespace;
use crate::operator::RemoteSocket;
use crate::outgoing::{Flags, Outgoing, Targets};

/// How long after its time a broadcast's answers of other nodes are waited for: requests are looked at every few
/// milliseconds, and Redis is asked first who the others are.
const GRACE: Duration = Duration::from_secs(2);

/// Who is told how a request has ended. `None`: it could not be made.
pub(super) type Done = Box<dyn FnOnce(Option<Finished>) + Send>;

/// Makes a request's message, when its id is known.
type Make = Box<dyn FnOnce(&Cluster, &RequestId) -> Message + Send>;

/// A request that waits to be made.
pub(super) struct Job {
    pub namespace: Box<str>,
    pub ask: Ask,
    pub timeout: Duration,
    pub message: Make,
    pub done: Done,
}

/// Nodes that did not answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// How many.
    pub count: usize,
    /// Those of them that are known by name. Node's servers that use the classic adapter don't say who they are: then
    /// these are all that were not heard.
    pub names: Vec<String>,
    /// Redis was away, so no other node was asked.
    pub unreachable: bool,
}

impl Missing {
    /// Whether everybody answered.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        self.count == 0 && !self.unreachable
    }

    pub(super) fn of(finished: Option<&Finished>) -> Self {
        match finished {
            None => Self {
                unreachable: true,
                ..Self::default()
            },
            Some(finished) => Self {
                count: finished.missing,
                names: finished.silent.iter().map(Uid::to_string).collect(),
                unreachable: false,
            },
        }
    }
}

impl Cluster {
    /// Has a request made. If there are too many already, it counts as not made.
    pub(super) fn ask(&self, job: Job) {
        if let Err(refused) = self.jobs.try_send(job) {
            (refused.into_inner().done)(None);
        }
    }

    /// Makes a request: counts the other nodes, notes whom to wait for, and sends it.
    pub(super) async fn carry_out(&self, hub: &Hub, job: Job) {
        let others = self.tie.others(&job.namespace).await;
        let (Ok(others), Some(request)) = (others, self.tie.request_id()) else {
            return (job.done)(None);
        };
        let timeout_ms = u64::try_from(job.timeout.as_millis()).unwrap_or(u64::MAX);
        let deadline_ms = hub.clock_ms().saturating_add(timeout_ms);
        let alone = others.count == 0;
        // First, for it may end at once.
        self.answers.lock().insert(request.clone(), job.done);
        let asked = self
            .requests
            .lock()
            .ask(&request, job.ask, others, deadline_ms);
        match asked {
            Ok(Some(finished)) => return self.finish(finished),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "a request to other nodes was not made");
                return self.give_up(&request);
            }
        }
        if !alone {
            let message = (job.message)(self, &request);
            if self.tie.tell(&job.namespace, &message).is_err() {
                self.requests.lock().cancel(&request);
                return self.give_up(&request);
            }
        }
        if job.ask == Ask::Acks {
            // Clients of this node are counted where they are.
            let count = Response::ClientCount { request, count: 0 };
            self.answered(Some(&self.tie.uid()), count);
        }
    }

    fn give_up(&self, request: &RequestId) {
        let done = self.answers.lock().remove(request);
        if let Some(done) = done {
            done(None);
        }
    }

    fn finish(&self, finished: Finished) {
        let done = self.answers.lock().remove(&finished.request);
        if let Some(done) = done {
            done(Some(finished));
        }
    }

    /// Takes in what another node answers.
    pub(super) fn answered(&self, from: Option<&Uid>, response: Response) {
        let finished = self.requests.lock().handle(from, response);
        if let Some(finished) = finished {
            self.finish(finished);
        }
    }

    /// Ends the requests whose time is over.
    pub(super) fn expire(&self, now_ms: u64) {
        let finished = self.requests.lock().expire(now_ms);
        for finished in finished {
            self.finish(finished);
        }
    }
}

impl Cluster {
    /// Asks the other nodes for their sockets.
    pub(crate) fn fetch(
        &self,
        namespace: &Namespace,
        targets: &Targets,
        timeout: Duration,
        done: impl FnOnce(Vec<RemoteSocket>, Missing) + Send + 'static,
    ) {
        let (asked, targets) = (namespace.clone(), targets.clone());
        self.ask(Job {
            namespace: namespace.name().into(),
            ask: Ask::Sockets,
            timeout,
            message: Box::new(move |_, request| Message::FetchSockets {
                request: request.clone(),
                opts: opts(&targets, Flags::default()),
            }),
            done: Box::new(move |finished| {
                let missing = Missing::of(finished.as_ref());
                let sockets = match finished.map(|finished| finished.answers) {
                    Some(Answers::Sockets(sockets)) => sockets,
                    _ => Vec::new(),
                };
                let limits = &asked.hub.settings().limits;
                let sockets = sockets
                    .into_iter()
                    .map(|socket| remote::read(&asked, socket, limits));
                done(sockets.collect(), missing);
            }),
        });
    }

    /// Asks the clients of the other nodes too. What they answer goes into the collector, as if they were one loop more.
    pub(crate) fn ask_clients(
        &self,
        outgoing: &Arc<Outgoing>,
        collector: &Arc<Collector>,
        hub: &Hub,
        timeout: Duration,
    ) {
        let last = hub.now()
            + lakh_wire::Millis(
                u64::try_from(timeout.saturating_add(GRACE).as_millis()).unwrap_or(u64::MAX),
            );
        let waited = Arc::clone(collector);
        hub.run_surely_on(0, move |shard| shard.collect_until(&waited, last));
        let (sent, collector, hub) = (Arc::clone(outgoing), Arc::clone(collector), hub.clone());
        self.ask(Job {
            namespace: outgoing.namespace.name.clone(),
            ask: Ask::Acks,
            timeout,
            message: Box::new(move |cluster, request| cluster.broadcast(&sent, Some(request))),
            done: Box::new(move |finished| {
                let Some(finished) = finished else {
                    // The others were not reached, and nobody knows how many clients they have: one that did not answer.
                    collector.answered(Err(crate::AckError::Disconnected));
                    return collector.asked(1);
                };
                let silent = finished.missing;
                let Answers::Acks { clients, acks } = finished.answers else {
                    return collector.asked(silent);
                };
                let limits = &hub.settings().limits;
                let asked = usize::try_from(clients).unwrap_or(usize::MAX);
                let asked = asked.saturating_add(silent);
                for ack in acks {
                    let answer = data::answer(ack, limits);
                    collector.answered(answer.ok_or(crate::AckError::Disconnected));
                }
                collector.asked(asked);
            }),
        });
    }

    /// Answers another node.
    pub(super) fn answer(&self, namespace: &Namespace, to: &Uid, response: Response) {
        if let Err(error) = self.tie.respond(namespace.name(), to, response) {
            tracing::debug!(%error, "an answer did not reach the node that asked");
        }
    }

    /// The form in which answers of this kind are given.
    fn form_of(&self, response: Response) -> Form {
        self.tie.form(&Message::Response(response))
    }
}

/// Collects what all shards know, and hands it on when the last one has said it.
fn gather(
    namespace: &Namespace,
    targets: &Targets,
    done: impl FnOnce(Vec<RemoteSocket>) + Send + 'static,
) {
    let left = namespace.hub.shard_count();
    let gathered = Arc::new(Mutex::new((left, Vec::new(), Some(done))));
    let (inner, targets) = (Arc::clone(&namespace.inner), targets.clone());
    namespace.hub.on_each_shard(move |shard| {
        let some = shard.targets_fetch(&inner, &targets);
        let mut all = gathered.lock();
        all.0 -= 1;
        all.1.extend(some);
        if all.0 == 0 {
            let (sockets, done) = (std::mem::take(&mut all.1), all.2.take());
            drop(all);
            if let Some(done) = done {
                done(sockets);
            }
        }
    });
}

/// Tells another node which sockets are here.
pub(super) fn tell_sockets(namespace: &Namespace, to: Uid, request: RequestId, targets: &Targets) {
    let asked = namespace.clone();
    gather(namespace, targets, move |sockets| {
        let Some(cluster) = asked.hub.cluster() else {
            return;
        };
        let none = Response::Sockets {
            request: request.clone(),
            sockets: Vec::new(),
        };
        let form = cluster.form_of(none);
        let sockets = sockets.iter().map(|socket| remote::write(socket, form));
        let sockets = sockets.collect();
        cluster.answer(&asked, &to, Response::Sockets { request, sockets });
    });
}

/// Tells another node the ids of the sockets in rooms.
pub(super) fn tell_ids(namespace: &Namespace, to: Uid, request: RequestId, rooms: &[Room]) {
    let asked = namespace.clone();
    let targets = Targets {
        rooms: rooms.iter().cloned().collect(),
        ..Targets::default()
    };
    gather(namespace, &targets, move |sockets| {
        let ids = sockets.into_iter().map(|socket| socket.id).collect();
        if let Some(cluster) = asked.hub.cluster() {
            cluster.answer(&asked, &to, Response::SocketIds { request, ids });
        }
    });
}

/// Tells another node the rooms that have members here.
pub(super) fn tell_rooms(namespace: &Namespace, to: Uid, request: RequestId) {
    let (asked, left) = (namespace.clone(), namespace.hub.shard_count());
    let gathered = Arc::new(Mutex::new((left, FxHashSet::default())));
    namespace.each_room(move |rooms| {
        let mut all = gathered.lock();
        all.0 -= 1;
        all.1.extend(rooms);
        if all.0 > 0 {
            return;
        }
        let rooms = std::mem::take(&mut all.1).into_iter().collect();
        drop(all);
        if let Some(cluster) = asked.hub.cluster() {
            let request = request.clone();
            cluster.answer(&asked, &to, Response::AllRooms { request, rooms });
        }
    });
}

/// Tells another node how many clients it has asked, or what one of them has answered.
pub(super) fn tell_ack(namespace: &Namespace, to: &Uid, request: &RequestId, told: &Told<'_>) {
    let Some(cluster) = namespace.hub.cluster() else {
        return;
    };
    let request = request.clone();
    let response = match told {
        Told::Asked(clients) => Response::ClientCount {
            request,
            count: *clients as u64,
        },
        Told::Answered(payload) => {
            let some = Response::Ack {
                request: request.clone(),
                data: Some(Data::Json(String::new())),
            };
            let form = cluster.form_of(some);
            let data = data::first(payload, form);
            Response::Ack { request, data }
        }
    };
    cluster.answer(namespace, to, response);
}
