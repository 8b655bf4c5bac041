//! A world on several nodes: it lives on one, and its people may be connected to any.
//!
//! Its owner (`lease`) makes the ticks. Each node with people in it that isn't the owner is a guest: once a tick it is sent
//! what changed, keeps a mirror of the world, and composes the frames of its own clients from that as the owner would. What
//! clients do goes to the owner the other way: moves once a tick, requests as they come, with answers. When the owner falls
//! silent a guest takes the world over (`guest`): what lasts is in the store, and who is in it the guests know.
//!
//! Nodes speak by events between servers, which pass and are in no log. Each names the node that it's for.

pub(crate) mod guest;
pub(crate) mod lease;
mod words;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lakh_hub::{Failure, Namespace, ServerEvent};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::Worlds;
use crate::play::{Act, Done, Live, registry};

use words::Told;
pub(crate) use words::{Stayed, Word};

const EVENT: &str = "world:fleet";
/// Told to all nodes when a world is deleted.
const DELETED: &str = "world:deleted";
/// How long an answer of another node is waited for.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// This node among those that have the same store.
#[derive(Debug)]
pub(crate) struct Fleet {
    namespace: Namespace,
    node: Arc<str>,
    asked: Mutex<HashMap<u64, oneshot::Sender<Told>>>,
    next: AtomicU64,
}

impl Fleet {
    pub(crate) fn new(namespace: &Namespace) -> Self {
        Self {
            namespace: namespace.clone(),
            node: namespace.hub().settings().node.as_str().into(),
            asked: Mutex::default(),
            next: AtomicU64::default(),
        }
    }

    /// This node's name.
    pub(crate) fn node(&self) -> &Arc<str> {
        &self.node
    }

    /// Says something to another node. What gets lost on the way is noticed by who waits for it.
    pub(crate) fn tell(&self, node: &str, word: &Word, bytes: &[u8]) {
        let said = (node, word, STANDARD.encode(bytes));
        if let Err(error) = self.namespace.server_side_emit(EVENT, &said) {
            tracing::warn!(%error, node, "another node of a world was not told something");
        }
    }

    /// Asks a world's owner to do something. `None`: it doesn't answer, or is the owner no more.
    pub(crate) async fn ask(&self, node: &str, world: &str, act: &Act) -> Option<Told> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (send, receive) = oneshot::channel();
        self.asked.lock().insert(id, send);
        let word = Word::Ask {
            world: world.to_owned(),
            from: self.node.to_string(),
            id,
            act: Box::new(act.clone()),
        };
        self.tell(node, &word, &[]);
        let answer = timeout(PATIENCE, receive).await;
        self.asked.lock().remove(&id);
        answer.ok()?.ok()
    }

    fn answered(&self, id: u64, told: Told) {
        if let Some(send) = self.asked.lock().remove(&id) {
            // Who asked may wait no longer.
            let _ = send.send(told);
        }
    }

    pub(crate) fn deleted(&self, world: &str) {
        if let Err(error) = self.namespace.server_side_emit(DELETED, &world) {
            tracing::warn!(%error, "other nodes were not told that a world is deleted");
        }
    }
}

/// Hears what other nodes say.
pub(crate) fn install(worlds: &Worlds) {
    let Some(fleet) = &worlds.0.fleet else { return };
    let module = worlds.clone();
    worlds
        .0
        .namespace
        .on_server_event(DELETED, async move |event| {
            if let Ok(world) = event.args::<String>() {
                module.0.registry.end(&world);
                module.0.grounds.forget(&world);
            }
        });
    let (module, node) = (worlds.clone(), Arc::clone(fleet.node()));
    worlds
        .0
        .namespace
        .on_server_event(EVENT, async move |event| listen(&module, &node, &event));
}

fn listen(worlds: &Worlds, node: &str, event: &ServerEvent) {
    // What is for others is not read any further.
    let Ok((to, word, bytes)) = event.args::<(String, Box<RawValue>, String)>() else {
        return tracing::warn!("another node said what can't be read");
    };
    if to != node {
        return;
    }
    let word = serde_json::from_str::<Word>(word.get());
    match (word, STANDARD.decode(bytes)) {
        (Ok(word), Ok(bytes)) => hear(worlds, word, bytes),
        (Err(error), _) => tracing::warn!(%error, "another node said what can't be read"),
        (_, Err(error)) => tracing::warn!(%error, "another node said what can't be read"),
    }
}

fn hear(worlds: &Worlds, word: Word, bytes: Vec<u8>) {
    let Some(fleet) = &worlds.0.fleet else { return };
    match word {
        Word::Answer { id, told } => fleet.answered(id, told),
        Word::Ask {
            world,
            from,
            id,
            act,
        } => {
            let told = match registry::at_work(worlds, &world) {
                Ok(live) => live.act_here(*act).map(Told::of),
                Err(_) => None,
            };
            // Who is not the owner leaves it to the one who asks to find out who is.
            if let Some(told) = told {
                fleet.tell(&from, &Word::Answer { id, told }, &[]);
            }
        }
        Word::Hello { world, from, anew } => {
            if let Ok(live) = registry::at_work(worlds, &world) {
                live.greet(&from, anew);
            }
        }
        Word::Bye { world, from } => {
            if let Ok(live) = registry::at_work(worlds, &world) {
                live.guests.lock().remove(&*from);
            }
        }
        Word::Moves { world, moves } => {
            if let Ok(live) = registry::at_work(worlds, &world) {
                // What is beyond the bound is as if it had been lost: clients send where they are again and again.
                let _ = moves.into_iter().all(|one| live.push(one));
            }
        }
        Word::Tick(told) => {
            if let Ok(live) = registry::at_work(worlds, &told.world) {
                let live = Arc::clone(&live);
                on_its_loop(worlds, live, told, bytes);
            }
        }
    }
}

/// A mirror is changed where its world's own loop would make the ticks.
fn on_its_loop(worlds: &Worlds, live: Arc<Live>, told: words::Ticked, bytes: Vec<u8>) {
    let shard = live.shard;
    let sent = worlds
        .hub()
        .run_on(shard, move |_| live.mirrored(told, &bytes));
    if let Err(full) = sent {
        tracing::warn!(%full, "a tick of another node was dropped; all of its world is asked for");
    }
}

impl Told {
    fn of(answer: Result<Done, Failure>) -> Self {
        match answer {
            Ok(done) => Self::Done(done),
            Err(failure) => Self::Refused {
                code: failure.code.to_owned(),
                message: failure.message,
            },
        }
    }

    /// The answer, as if it had been given here.
    pub(crate) fn answer(self) -> Result<Done, Failure> {
        match self {
            Self::Done(done) => Ok(done),
            Self::Refused { code, message } => Err(Failure::new(words::known(&code), message)),
        }
    }
}
