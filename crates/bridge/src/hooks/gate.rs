//! Hooks in the way: the hub's gate, which asks over HTTP.
//!
//! The loop only writes the question down; the waiting is in a task of the runtime that the hooks were started on. Each
//! hook has so many requests under way and so many that wait for them: past it, when it fails and when it's left alone,
//! its policy for silence says what happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use lakh_hub::{Asking, Failure, Gate, Hub, Limits, Socket, Verdict, Wish};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::answer::{Said, read};
use super::breaker::{Breaker, BreakerState};
use super::config::{GateHook, On, Silence};
use super::counts::Counter;
use super::post::{ClientError, Post};
use super::question::{Question, on};

/// All hooks in the way.
pub(crate) struct Gates {
    hub: Hub,
    hooks: Vec<Arc<One>>,
    runtime: Handle,
    prefix: String,
    asked: AtomicU64,
}

struct One {
    hook: GateHook,
    hub: Hub,
    post: Post,
    breaker: Mutex<Breaker>,
    places: Semaphore,
    /// Under way or waiting for it.
    open: AtomicUsize,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    allowed: Counter,
    refused: Counter,
    changed: Counter,
    failed: Counter,
    unasked: Counter,
}

/// How a hook in the way is doing. Counts are this node's since its start.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GateStatus {
    /// Its name.
    pub name: String,
    /// Where to.
    pub url: String,
    /// Whether it's asked at all.
    pub breaker: BreakerState,
    /// How often it was left alone because it failed.
    pub opened: u64,
    /// Wishes that it allowed as they were.
    pub allowed: u64,
    /// Wishes that it refused.
    pub refused: u64,
    /// Wishes that it changed.
    pub changed: u64,
    /// Wishes to which it gave no good answer in time.
    pub failed: u64,
    /// Wishes about which it was not asked: it's left alone, or too many wait.
    pub unasked: u64,
    /// Wishes under way, or waiting for it.
    pub open: u64,
}

/// A question that is open, for as long as this is there.
struct Open<'a> {
    count: &'a AtomicUsize,
    before: usize,
}

impl<'a> Open<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        let before = count.fetch_add(1, Ordering::AcqRel);
        Self { count, before }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::AcqRel);
    }
}

/// One answer, or none.
enum Heard {
    Pass,
    Change(Box<RawValue>),
    Refuse(Failure),
}

impl Gates {
    /// To be called on the runtime that shall make the requests.
    pub(crate) fn new(hub: &Hub, hooks: Vec<GateHook>) -> Result<Self, ClientError> {
        let hooks = hooks.into_iter().map(|hook| One::new(hub, hook));
        let hooks: Result<Vec<_>, _> = hooks.map(|one| one.map(Arc::new)).collect();
        Ok(Self {
            hub: hub.clone(),
            hooks: hooks?,
            runtime: Handle::current(),
            prefix: format!("ask_{:08x}{:08x}_", hub.random(), hub.random()),
            asked: AtomicU64::new(0),
        })
    }

    pub(crate) fn status(&self) -> Vec<GateStatus> {
        self.hooks.iter().map(|one| one.status()).collect()
    }
}

impl Gate for Gates {
    fn ask(&self, socket: &Socket, wish: Wish<'_>) -> Option<Asking> {
        let namespace = socket.namespace();
        let kind = on(&wish);
        let (room, event) = match wish {
            Wish::Connect => (None, None),
            Wish::Subscribe { room } => (Some(room), None),
            Wish::Publish { room, event, .. } => (Some(room), Some(event)),
        };
        let hooks: Vec<_> = self
            .hooks
            .iter()
            .filter(|one| {
                let hook = &one.hook;
                hook.on.contains(&kind) && hook.place.fits(namespace.name(), room, event)
            })
            .map(Arc::clone)
            .collect();
        if hooks.is_empty() {
            return None;
        }
        let question = Question::new(socket, &wish, &self.hub.settings().node);
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}{number:x}", self.prefix);
        let asking = self.runtime.spawn(ask_all(hooks, question, kind, id));
        Some(Box::pin(async move {
            let answered = asking.await;
            // The runtime is gone, and the server with it.
            answered.unwrap_or_else(|_| Verdict::Refuse(unavailable()))
        }))
    }
}

/// Asks one after the other: each is asked about what those before it have made of the wish.
async fn ask_all(hooks: Vec<Arc<One>>, mut question: Question, kind: On, id: String) -> Verdict {
    let mut changed = None;
    for one in hooks {
        match one.ask(&question, kind, &id).await {
            Heard::Pass => {}
            Heard::Refuse(failure) => return Verdict::Refuse(failure),
            Heard::Change(data) => {
                question.data = Some(data.clone());
                changed = Some(data);
            }
        }
    }
    changed.map_or(Verdict::Pass, Verdict::Change)
}

fn unavailable() -> Failure {
    Failure::new(
        "unavailable",
        "the server's backend can't be asked now; try again later",
    )
}

impl One {
    fn new(hub: &Hub, hook: GateHook) -> Result<Self, ClientError> {
        let post = Post::new(&hook.url, &hook.secrets, hook.timeout, hook.concurrency)?;
        Ok(Self {
            hub: hub.clone(),
            post,
            breaker: Mutex::new(Breaker::new(hook.breaker_failures, hook.breaker_open_ms)),
            places: Semaphore::new(hook.concurrency),
            open: AtomicUsize::new(0),
            counts: Counts::default(),
            hook,
        })
    }

    fn status(&self) -> GateStatus {
        let (state, opened) = {
            let breaker = self.breaker.lock();
            (breaker.state(), breaker.opened)
        };
        GateStatus {
            name: self.hook.name.clone(),
            url: self.hook.url.clone(),
            breaker: state,
            opened,
            allowed: self.counts.allowed.get(),
            refused: self.counts.refused.get(),
            changed: self.counts.changed.get(),
            failed: self.counts.failed.get(),
            unasked: self.counts.unasked.get(),
            open: self.open.load(Ordering::Relaxed) as u64,
        }
    }

    async fn ask(&self, question: &Question, kind: On, id: &str) -> Heard {
        let most = self.hook.concurrency + self.hook.waiting;
        let open = Open::new(&self.open);
        if open.before < most && self.may_ask() {
            return self.asked(question, kind, id).await;
        }
        self.counts.unasked.add(1);
        self.silence()
    }

    fn may_ask(&self) -> bool {
        self.breaker.lock().may_ask(self.hub.clock_ms())
    }

    async fn asked(&self, question: &Question, kind: On, id: &str) -> Heard {
        let limits: &Limits = &self.hub.settings().limits;
        let posting = async {
            // It is never closed.
            let _place = self.places.acquire().await;
            let body = serde_json::to_vec(question).map_err(|error| error.to_string())?;
            let answer = self.post.send(id, self.hub.wall_ms(), body).await;
            let answer = answer.map_err(|trouble| trouble.to_string())?;
            let asked = question.data.as_ref().map(|data| data.get());
            read(&answer, kind, asked, limits).map_err(|nonsense| nonsense.to_string())
        };
        let answer = timeout(self.hook.timeout, posting).await;
        let answer = answer.unwrap_or_else(|_| {
            let timeout_ms = self.hook.timeout.as_millis();
            Err(format!("no answer within {timeout_ms} ms"))
        });
        self.told(answer.is_ok());
        match answer {
            Ok(Said::Allow) => {
                self.counts.allowed.add(1);
                Heard::Pass
            }
            Ok(Said::Refuse(failure)) => {
                self.counts.refused.add(1);
                Heard::Refuse(failure)
            }
            Ok(Said::Change(data)) => {
                self.counts.changed.add(1);
                Heard::Change(data)
            }
            Err(reason) => {
                self.counts.failed.add(1);
                tracing::warn!(hook = self.hook.name, reason, "a hook gave no good answer");
                self.silence()
            }
        }
    }

    fn told(&self, has_answered: bool) {
        let mut breaker = self.breaker.lock();
        let before = breaker.state();
        breaker.told(has_answered, self.hub.clock_ms());
        let after = breaker.state();
        drop(breaker);
        if before != after {
            tracing::warn!(
                hook = self.hook.name,
                breaker = after.word(),
                "the breaker of a hook has changed"
            );
        }
    }

    fn silence(&self) -> Heard {
        match self.hook.silence {
            Silence::Allow => Heard::Pass,
            Silence::Refuse => Heard::Refuse(unavailable()),
        }
    }
}
