//! The hub: namespaces by name, the shards' mailboxes, and the way of a broadcast.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use lakh_auth::limits::Ledger;
use lakh_broker::NameHasher;
use parking_lot::RwLock;

use crate::access::Access;
use crate::caught::caught_while;
use crate::cluster::Cluster;
use crate::engine_io::EngineHandlers;
use crate::gate::Gate;
use crate::ids::{MAX_SHARDS, NodeTag};
use crate::mailbox::{Command, Full, Mailbox};
use crate::namespace::{
    Handlers, Matcher, Namespace, NamespaceInner, ParentInner, ParentNamespace,
};
use crate::occurrence::Watcher;
use crate::settings::{Clock, Settings};
use crate::shard::{CurrentShard, Shard};
use crate::sign_in::AlarmHook;
use crate::stats::{ShardStats, Stats};

/// Namespaces that patterns and functions may make, over all. Clients name them, so there must be a bound.
const MAX_DYNAMIC_NAMESPACES: usize = 10_000;

/// Everything that is connected to this node, and the way to reach it. Cheap to clone; any thread may use it.
#[derive(Clone)]
pub struct Hub(pub(crate) Arc<HubInner>);

pub(crate) struct HubInner {
    pub settings: Settings,
    clock: Box<dyn Clock>,
    pub(crate) mailboxes: Box<[Mailbox]>,
    pub stats: Box<[ShardStats]>,
    registry: RwLock<Registry>,
    next_namespace: AtomicU32,
    pub engine_io: ArcSwap<EngineHandlers>,
    pub cluster: OnceLock<Cluster>,
    pub access: Access,
    pub watchers: ArcSwap<Vec<Arc<dyn Watcher>>>,
    pub gate: OnceLock<Arc<dyn Gate>>,
    pub alarm: OnceLock<AlarmHook>,
    pub ledger: OnceLock<Arc<Ledger>>,
}

#[derive(Default)]
struct Registry {
    namespaces: HashMap<Box<str>, Arc<NamespaceInner>, NameHasher>,
    parents: Vec<Arc<ParentInner>>,
    dynamic: usize,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hub({})", self.0.settings.node)
    }
}

impl Hub {
    /// A hub with no namespaces yet.
    #[must_use]
    pub fn new(mut settings: Settings, clock: impl Clock) -> Self {
        settings.shards = settings.shards.clamp(1, MAX_SHARDS);
        let bound = settings.hub_limits.mailbox_bytes;
        Self(Arc::new(HubInner {
            mailboxes: (0..settings.shards).map(|_| Mailbox::new(bound)).collect(),
            stats: (0..settings.shards)
                .map(|_| ShardStats::default())
                .collect(),
            settings,
            clock: Box::new(clock),
            registry: RwLock::default(),
            next_namespace: AtomicU32::new(0),
            engine_io: ArcSwap::default(),
            cluster: OnceLock::new(),
            access: Access::default(),
            watchers: ArcSwap::default(),
            gate: OnceLock::new(),
            alarm: OnceLock::new(),
            ledger: OnceLock::new(),
        }))
    }

    /// What the hub was built with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Event loops.
    #[must_use]
    pub fn shard_count(&self) -> usize {
        self.0.mailboxes.len()
    }

    /// The tag of this node in every id.
    #[must_use]
    pub fn node_tag(&self) -> NodeTag {
        NodeTag::from_name(&self.0.settings.node)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn wall_ms(&self) -> u64 {
        self.0.clock.wall_ms()
    }

    /// Milliseconds on the hub's monotonic clock.
    #[must_use]
    pub fn clock_ms(&self) -> u64 {
        self.now().0
    }

    /// Time on the hub's monotonic clock, as finely as it goes: for how long something takes.
    #[must_use]
    pub fn clock(&self) -> std::time::Duration {
        std::time::Duration::from_micros(self.0.clock.now_us())
    }

    pub(crate) fn now(&self) -> lakh_wire::Millis {
        self.0.clock.now()
    }

    /// Counters over all loops.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::sum(&self.0.stats)
    }

    /// The namespace of this name, made if it isn't there. A `/` is put in front if it's missing.
    #[must_use]
    pub fn of(&self, name: &str) -> Namespace {
        let name = if name.starts_with('/') {
            name.to_owned()
        } else {
            format!("/{name}")
        };
        let mut registry = self.0.registry.write();
        let inner = match registry.namespaces.get(&*name) {
            Some(inner) => Arc::clone(inner),
            None => {
                let inner = Arc::new(self.make_namespace(&name, Arc::default(), false));
                registry.namespaces.insert(name.into(), Arc::clone(&inner));
                inner
            }
        };
        Namespace {
            hub: self.clone(),
            inner,
        }
    }

    /// Namespaces whose names match a pattern: each is made when a client first asks for it.
    #[must_use]
    pub fn of_pattern(&self, pattern: regex::Regex) -> ParentNamespace {
        self.of_fn(async move |name, _| pattern.is_match(&name))
    }

    /// Namespaces that a function lets be made: it gets the name and the client's `auth` as JSON text.
    #[must_use]
    pub fn of_fn(
        &self,
        matcher: impl AsyncFn(String, Option<String>) -> bool + Send + Sync + 'static,
    ) -> ParentNamespace {
        let matcher = Arc::new(matcher);
        let matcher: Matcher = Arc::new(move |name: &str, auth: Option<&str>| {
            let (matcher, name, auth) = (
                Arc::clone(&matcher),
                name.to_owned(),
                auth.map(str::to_owned),
            );
            Box::pin(async move { matcher(name, auth).await })
        });
        let inner = Arc::new(ParentInner {
            matcher,
            handlers: Arc::new(ArcSwap::from_pointee(Handlers::default())),
            children: RwLock::default(),
            recovery: std::sync::OnceLock::new(),
        });
        self.0.registry.write().parents.push(Arc::clone(&inner));
        ParentNamespace {
            hub: self.clone(),
            inner,
        }
    }

    /// The namespaces that exist now.
    #[must_use]
    pub fn namespaces(&self) -> Vec<Namespace> {
        let registry = self.0.registry.read();
        let mut all: Vec<Namespace> = registry
            .namespaces
            .values()
            .map(|inner| Namespace {
                hub: self.clone(),
                inner: Arc::clone(inner),
            })
            .collect();
        all.sort_by(|a, b| a.name().cmp(b.name()));
        all
    }

    /// Sets what an Engine.IO endpoint without Socket.IO does.
    pub fn set_engine_io(&self, handlers: EngineHandlers) {
        self.0.engine_io.store(Arc::new(handlers));
    }

    fn make_namespace(
        &self,
        name: &str,
        handlers: Arc<ArcSwap<Handlers>>,
        dynamic: bool,
    ) -> NamespaceInner {
        let id = self.0.next_namespace.fetch_add(1, Ordering::Relaxed);
        if let Some(cluster) = self.cluster() {
            cluster.subscribe(name);
        }
        NamespaceInner::new(id, name, handlers, dynamic)
    }

    /// The namespace that a client asks for. Its socket count is already raised, so that an empty child isn't removed
    /// before the client is in; [`Hub::left`] takes it back.
    pub(crate) async fn enter(&self, name: &str, auth: Option<&str>) -> Option<Namespace> {
        if let Some(namespace) = self.enter_existing(name) {
            return Some(namespace);
        }
        let parents = self.0.registry.read().parents.clone();
        for parent in parents {
            let matched = caught_while("the function of a parent", (parent.matcher)(name, auth));
            if matched.await == Some(true) {
                return self.enter_child(&parent, name);
            }
        }
        None
    }

    /// The namespace of this name, if it's there.
    pub(crate) fn existing(&self, name: &str) -> Option<Namespace> {
        let inner = self.0.registry.read().namespaces.get(name).cloned()?;
        Some(Namespace {
            hub: self.clone(),
            inner,
        })
    }

    /// As [`Hub::enter`], if the namespace is there already.
    pub(crate) fn enter_existing(&self, name: &str) -> Option<Namespace> {
        let registry = self.0.registry.read();
        let inner = registry.namespaces.get(name)?;
        inner.sockets.fetch_add(1, Ordering::Relaxed);
        Some(Namespace {
            hub: self.clone(),
            inner: Arc::clone(inner),
        })
    }

    fn enter_child(&self, parent: &Arc<ParentInner>, name: &str) -> Option<Namespace> {
        let mut registry = self.0.registry.write();
        if let Some(inner) = registry.namespaces.get(name) {
            inner.sockets.fetch_add(1, Ordering::Relaxed);
            return Some(Namespace {
                hub: self.clone(),
                inner: Arc::clone(inner),
            });
        }
        if registry.dynamic >= MAX_DYNAMIC_NAMESPACES {
            tracing::warn!(
                namespace = name,
                "too many namespaces made by clients; this one was refused"
            );
            return None;
        }
        let inner = Arc::new(self.make_namespace(name, Arc::clone(&parent.handlers), true));
        inner.sockets.fetch_add(1, Ordering::Relaxed);
        registry.dynamic += 1;
        registry.namespaces.insert(name.into(), Arc::clone(&inner));
        parent.children.write().push(Arc::clone(&inner));
        drop(registry);
        let namespace = Namespace {
            hub: self.clone(),
            inner,
        };
        if let Some(limits) = parent.recovery.get() {
            namespace.recoverable(*limits);
        }
        Some(namespace)
    }

    /// A socket has left, or did not get in after all.
    pub(crate) fn left(&self, namespace: &Arc<NamespaceInner>) {
        let before = namespace.sockets.fetch_sub(1, Ordering::AcqRel);
        if before != 1 || !namespace.dynamic {
            return;
        }
        let mut registry = self.0.registry.write();
        // Someone may have entered since; whoever enters holds at least the read lock.
        let is_this = registry
            .namespaces
            .get(&namespace.name)
            .is_some_and(|found| Arc::ptr_eq(found, namespace));
        // By the time of the lock another one may have this name.
        if is_this && namespace.sockets.load(Ordering::Acquire) == 0 {
            registry.namespaces.remove(&namespace.name);
            registry.dynamic -= 1;
            if let Some(cluster) = self.cluster() {
                cluster.unsubscribe(&namespace.name);
            }
            for parent in &registry.parents {
                parent
                    .children
                    .write()
                    .retain(|child| !Arc::ptr_eq(child, namespace));
            }
        }
    }

    /// A number that can't be foreseen by accident: for jitter and epochs, not for secrets.
    #[must_use]
    pub fn random(&self) -> u32 {
        let mut bytes = [0; 4];
        // The time is good enough for these purposes if the kernel has nothing.
        match getrandom::fill(&mut bytes) {
            Ok(()) => u32::from_le_bytes(bytes),
            Err(_) => u32::try_from(self.wall_ms() & 0xffff_ffff).unwrap_or(1),
        }
    }

    /// The shard of this number, if the calling thread is its loop.
    pub(crate) fn current_shard(&self, index: usize) -> Option<CurrentShard> {
        Shard::current(self).filter(|shard| shard.index() == index)
    }

    pub(crate) fn mailbox(&self, shard: usize) -> &Mailbox {
        &self.0.mailboxes[shard]
    }

    pub(crate) fn send(&self, shard: usize, command: Command) -> Result<(), Full> {
        self.mailbox(shard).send(command)
    }

    /// Runs something on another loop, in its turn.
    ///
    /// # Errors
    /// [`Full`] if that loop is too far behind.
    pub fn run_on(
        &self,
        shard: usize,
        work: impl FnOnce(&Shard) + Send + 'static,
    ) -> Result<(), Full> {
        self.send(shard, Command::Run(Box::new(work), 128))
    }

    /// The same for what must not be lost; there can't be much of it.
    pub(crate) fn run_surely_on(&self, shard: usize, work: impl FnOnce(&Shard) + Send + 'static) {
        self.mailbox(shard).force(Command::Run(Box::new(work), 128));
    }

    /// Whether any loop is so far behind that whoever publishes should hold back.
    #[must_use]
    pub fn is_congested(&self) -> bool {
        self.0.mailboxes.iter().any(Mailbox::is_full)
    }

    pub(crate) fn on_each_shard(&self, work: impl FnOnce(&Shard) + Clone + Send + 'static) {
        for shard in 0..self.shard_count() {
            if let Err(full) = self.run_on(shard, work.clone()) {
                tracing::warn!(shard, %full, "an operation on many sockets did not reach all of them");
            }
        }
        self.settle();
    }

    /// Works through this loop's own mailbox, if the calling thread is a loop.
    pub(crate) fn settle(&self) {
        if let Some(shard) = Shard::current(self) {
            shard.drain_mailbox();
        }
    }

    /// Drops log entries and session records past their age. To be called every few seconds.
    pub fn trim_logs(&self) {
        for namespace in self.namespaces() {
            if let Some(recovery) = namespace.inner.recovery.get() {
                let now = self.now().0;
                recovery.channel.trim(now);
                recovery.sessions.trim(now, recovery.window_ms);
            }
        }
    }

    /// What the recovery logs hold: namespace, entries, bytes, and how far back they reach.
    #[must_use]
    pub fn log_stats(&self) -> Vec<(String, lakh_broker::LogStats)> {
        let now = self.now().0;
        let all = self.namespaces().into_iter();
        all.filter_map(|ns| {
            let recovery = ns.inner.recovery.get()?;
            Some((ns.name().to_owned(), recovery.channel.stats(now)))
        })
        .collect()
    }
}
