//! What was asked of the other nodes and is not yet answered: written once, for every backend.
//!
//! Time comes in as milliseconds of any one clock. A request ends when all nodes have answered, when the last silent one
//! is known to be gone, or at its deadline; then with what there is, and with who is missing. The number of requests
//! and the bytes of their answers are bounded.

use std::collections::{BTreeSet, HashSet};

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use thiserror::Error;

use super::message::{Data, RemoteSocket, RequestId, Response, Uid};
use crate::Room;

/// Milliseconds that Node's adapters wait for answers.
pub const DEFAULT_TIMEOUT_MS: u64 = 5000;

/// How much may be outstanding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Requests at a time.
    pub max_pending: usize,
    /// Bytes of the answers that all of them hold together.
    pub max_answer_bytes: usize,
}

impl Default for Bounds {
    /// 10,000 requests, and 128 MiB of answers.
    fn default() -> Self {
        Self {
            max_pending: 10_000,
            max_answer_bytes: 128 << 20,
        }
    }
}

/// The other nodes of a namespace, as the backend knows them when a request is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// How many.
    pub count: usize,
    /// Their names, as far as known: of all, of some or of none.
    pub names: Vec<Uid>,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The matching sockets of each node.
    Sockets,
    /// One answer of each node to an event between servers.
    ServerSideEmit,
    /// An acknowledgement of each client that a broadcast reached. The asker's own clients count like another node's:
    /// their number and their answers are handed to [`Requests::handle`] under the asker's own name.
    Acks,
    /// Ids of sockets.
    SocketIds,
    /// Names of rooms.
    AllRooms,
}

/// What came together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answers {
    /// To [`Ask::Sockets`].
    Sockets(Vec<RemoteSocket>),
    /// To [`Ask::ServerSideEmit`], an entry a node.
    ServerSideEmit(Vec<Option<Data>>),
    /// To [`Ask::Acks`].
    Acks {
        /// Clients that were asked, as far as their nodes have told.
        clients: u64,
        /// What they answered, in the order it came.
        acks: Vec<Option<Data>>,
    },
    /// To [`Ask::SocketIds`], each once.
    SocketIds(FxHashSet<String>),
    /// To [`Ask::AllRooms`], each once.
    AllRooms(FxHashSet<Room>),
}

/// Why a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All that was asked for is there.
    Complete,
    /// Its time was over.
    TimedOut,
    /// The bound on answers was reached: what came later is left out.
    TooLarge,
}

/// A request that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Which.
    pub request: RequestId,
    /// What came together, complete or not.
    pub answers: Answers,
    /// Why it ended.
    pub end: End,
    /// How many nodes did not answer.
    pub missing: usize,
    /// Who of them is known by name. With nodes that don't say who they are (Node's classic adapter), these are the
    /// suspects: all that were there and were not heard by name.
    pub silent: Vec<Uid>,
}

/// A request that can't be made.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AskError {
    /// [`Bounds::max_pending`] is reached.
    #[error("{pending} requests to other nodes are outstanding: try again when some are answered")]
    TooMany {
        /// How many there are.
        pending: usize,
    },
    /// The id is taken.
    #[error("a request of that id is outstanding")]
    Taken,
}

/// A node of which something is known about a request.
#[derive(Debug)]
struct Heard {
    uid: Uid,
    /// Clients of its that have not acknowledged yet.
    outstanding: u64,
}

#[derive(Debug)]
struct Pending {
    deadline_ms: u64,
    /// Nodes that answers are expected of.
    expected: usize,
    /// Nodes that have answered; for acknowledgements, that have told how many clients they asked.
    answered: usize,
    heard: SmallVec<[Heard; 4]>,
    names: Vec<Uid>,
    answers: Answers,
    bytes: usize,
}

impl Pending {
    fn is_complete(&self) -> bool {
        let all = self.answered >= self.expected;
        match &self.answers {
            Answers::Acks { clients, acks } => all && acks.len() as u64 >= *clients,
            _ => all,
        }
    }

    fn finish(self, request: RequestId, end: End) -> Finished {
        let heard: HashSet<&Uid> = self.heard.iter().map(|heard| &heard.uid).collect();
        let missing = self.expected.saturating_sub(self.answered);
        let mut silent = self.names;
        if missing == 0 {
            silent.clear();
        }
        silent.retain(|uid| !heard.contains(uid));
        Finished {
            request,
            answers: self.answers,
            end,
            missing,
            silent,
        }
    }

    /// Takes a node's answer in. Whether it was one to this request, and not a second one of the same node.
    fn take(&mut self, from: Option<&Uid>, response: Response) -> bool {
        let known = from.and_then(|uid| self.heard.iter().position(|heard| heard.uid == *uid));
        match (&mut self.answers, response) {
            (Answers::Acks { acks, .. }, Response::Ack { data, .. }) => {
                acks.push(data);
                if let Some(known) = known {
                    let left = &mut self.heard[known].outstanding;
                    *left = left.saturating_sub(1);
                }
                return true;
            }
            _ if known.is_some() => return false,
            (Answers::Acks { clients, .. }, Response::ClientCount { count, .. }) => {
                *clients = clients.saturating_add(count);
                self.note(from, count);
                return true;
            }
            (Answers::Sockets(all), Response::Sockets { sockets, .. }) => all.extend(sockets),
            (Answers::ServerSideEmit(all), Response::ServerSideEmit { data, .. }) => all.push(data),
            (Answers::SocketIds(all), Response::SocketIds { ids, .. }) => all.extend(ids),
            // A node without sockets answers with a list of nothing in particular.
            (Answers::SocketIds(_), Response::Sockets { sockets, .. }) if sockets.is_empty() => {}
            (Answers::AllRooms(all), Response::AllRooms { rooms, .. }) => all.extend(rooms),
            _ => return false,
        }
        self.note(from, 0);
        true
    }

    fn note(&mut self, from: Option<&Uid>, outstanding: u64) {
        self.answered += 1;
        if let Some(uid) = from {
            let uid = uid.clone();
            self.heard.push(Heard { uid, outstanding });
        }
    }

    /// A node will say no more.
    fn forget(&mut self, gone: &Uid) {
        if let Some(index) = self.heard.iter().position(|heard| heard.uid == *gone) {
            let lost = std::mem::take(&mut self.heard[index].outstanding);
            if let Answers::Acks { clients, .. } = &mut self.answers {
                *clients = clients.saturating_sub(lost);
            }
        } else if let Some(index) = self.names.iter().position(|uid| uid == gone) {
            self.names.swap_remove(index);
            self.expected = self.expected.saturating_sub(1);
        }
    }
}

/// All requests that a node has outstanding.
#[derive(Debug, Default)]
pub struct Requests {
    bounds: Bounds,
    pending: FxHashMap<RequestId, Pending>,
    deadlines: BTreeSet<(u64, RequestId)>,
    bytes: usize,
}

impl Requests {
    /// None yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            ..Self::default()
        }
    }

    /// Notes a request, before it's sent. If there is nobody to answer, it has ended at once; so none is sent then.
    ///
    /// # Errors
    /// [`AskError`] if there are too many.
    pub fn ask(
        &mut self,
        request: &RequestId,
        ask: Ask,
        others: Others,
        deadline_ms: u64,
    ) -> Result<Option<Finished>, AskError> {
        let pending = self.pending.len();
        if pending >= self.bounds.max_pending {
            return Err(AskError::TooMany { pending });
        }
        if self.pending.contains_key(request) {
            return Err(AskError::Taken);
        }
        let (answers, own) = match ask {
            Ask::Sockets => (Answers::Sockets(Vec::new()), 0),
            Ask::ServerSideEmit => (Answers::ServerSideEmit(Vec::new()), 0),
            Ask::Acks => {
                let acks = Vec::new();
                (Answers::Acks { clients: 0, acks }, 1)
            }
            Ask::SocketIds => (Answers::SocketIds(FxHashSet::default()), 0),
            Ask::AllRooms => (Answers::AllRooms(FxHashSet::default()), 0),
        };
        let pending = Pending {
            deadline_ms,
            expected: others.count.max(others.names.len()) + own,
            answered: 0,
            heard: SmallVec::new(),
            names: others.names,
            answers,
            bytes: 0,
        };
        if pending.is_complete() {
            return Ok(Some(pending.finish(request.clone(), End::Complete)));
        }
        self.deadlines.insert((deadline_ms, request.clone()));
        self.pending.insert(request.clone(), pending);
        Ok(None)
    }

    /// Takes an answer in. Returns its request if it has ended by it. What answers no request of ours is left alone:
    /// on classic's shared channel each node hears all answers.
    pub fn handle(&mut self, from: Option<&Uid>, response: Response) -> Option<Finished> {
        let request = response.request().clone();
        let bytes = response.len();
        let pending = self.pending.get_mut(&request)?;
        if self.bytes.saturating_add(bytes) > self.bounds.max_answer_bytes {
            return self.end(&request, End::TooLarge);
        }
        if !pending.take(from, response) {
            return None;
        }
        pending.bytes += bytes;
        self.bytes += bytes;
        if pending.is_complete() {
            return self.end(&request, End::Complete);
        }
        None
    }

    /// A node is gone: nobody waits for it any longer. Returns what has ended by that.
    pub fn node_gone(&mut self, uid: &Uid) -> Vec<Finished> {
        for pending in self.pending.values_mut() {
            pending.forget(uid);
        }
        let complete = |(id, pending): (&RequestId, &Pending)| {
            let id = id.clone();
            pending.is_complete().then_some(id)
        };
        let ended: Vec<RequestId> = self.pending.iter().filter_map(complete).collect();
        ended
            .iter()
            .filter_map(|id| self.end(id, End::Complete))
            .collect()
    }

    /// Ends those whose time is over.
    pub fn expire(&mut self, now_ms: u64) -> Vec<Finished> {
        let mut ended = Vec::new();
        while let Some((deadline_ms, request)) = self.deadlines.first().cloned() {
            if deadline_ms > now_ms {
                break;
            }
            match self.end(&request, End::TimedOut) {
                Some(finished) => ended.push(finished),
                // Can't be, for both tables change together; but must not become an endless loop.
                None => drop(self.deadlines.pop_first()),
            }
        }
        ended
    }

    /// When [`Requests::expire`] has something to do next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|(deadline_ms, _)| *deadline_ms)
    }

    /// Drops a request that nobody waits for any more.
    pub fn cancel(&mut self, request: &RequestId) {
        self.end(request, End::TimedOut);
    }

    /// How many are outstanding, and the bytes that their answers hold.
    #[must_use]
    pub fn outstanding(&self) -> (usize, usize) {
        (self.pending.len(), self.bytes)
    }

    fn end(&mut self, request: &RequestId, end: End) -> Option<Finished> {
        let (request, pending) = self.pending.remove_entry(request)?;
        self.bytes -= pending.bytes;
        let key = (pending.deadline_ms, request);
        self.deadlines.remove(&key);
        Some(pending.finish(key.1, end))
    }
}

#[cfg(test)]
#[path = "requests_tests.rs"]
mod tests;
