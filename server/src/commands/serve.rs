//! `lakh serve`: from settings to a running server and back.
//!
//! What must hold: everything that can be wrong is found before the port is bound (or a socket that was handed over is
//! used), and nothing acknowledged is lost at
//! the end: first the connections are closed, then the store is written out.

use std::env;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use lakh_auth::revocations::Revoked;
use lakh_bridge::flows::Flows;
use lakh_bridge::hooks::Hooks;
use lakh_hub::{Clock as _, Hub};
use lakh_net::accept::Inherited;
use lakh_net::limits::ConnectionLimits;
use lakh_net::tls::TlsReloader;
use lakh_net::{Running, Server, SystemClock};
use tokio::sync::mpsc::Sender;

use super::Failure;
use crate::config::load::Loaded;
use crate::config::{Broker, Settings, StoreKind};
use crate::console::{self, Console};
use crate::files::{Files, Plan};
use crate::http::door::Door;
use crate::http::{self, HttpState, VERSION, page};
use crate::life_cycle::{self, End, Signal};
use crate::mode::{self, Mode};
use crate::node::{self, Backing, Neighbours, Node, Prepared, Revocations, Served};
use crate::service::Service;
use crate::service_manager;
use crate::sign_in::SignIn;
use crate::telemetry::logs;

/// How long requests to hooks may take at the end.
const HOOKS_END: Duration = Duration::from_secs(5);

/// Starts the server and waits for its end.
pub fn run(mut loaded: Loaded) -> Result<ExitCode, Failure> {
    let inherited = inherit(&mut loaded.settings)?;
    let mode = mode::mode(&loaded.settings)?;
    let sign_in = SignIn::new(&loaded.settings.auth, super::now_s)?;
    let console = console::Plan::new(&loaded.settings, mode)?;
    let rust_log = env::var("RUST_LOG").ok();
    let _flushed = logs::init(&loaded.settings.log, rust_log.as_deref())
        .map_err(|error| Failure::Usage(error.to_string()))?;
    tracing::info!("lakh {VERSION}, {}", super::source(&loaded));
    tell(mode, &loaded.settings);
    let name = match &loaded.settings.server.node {
        Some(name) => name.clone(),
        None => node::random_name().map_err(anyhow::Error::from)?,
    };
    let mut prepared = Prepared::new(&loaded.settings, name, super::cores())?;
    prepared.options.inherited = inherited;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime can't be started")?;
    Ok(runtime.block_on(serve(loaded.settings, mode, sign_in, console, prepared))?)
}

/// The socket that a service manager handed over. Its address counts from here on: whether strangers can reach it decides
/// whether a sign-in is needed.
fn inherit(settings: &mut Settings) -> anyhow::Result<Option<Arc<Inherited>>> {
    let inherited = service_manager::inherited()?;
    if let Some(address) = inherited.as_ref().and_then(Inherited::local_addr) {
        settings.server.bind.0 = address;
    }
    Ok(inherited.map(Arc::new))
}

/// Says what the mode means for whoever may come in.
fn tell(mode: Mode, settings: &Settings) {
    match mode {
        Mode::Development => tracing::warn!(
            "development: no sign-in is configured, so a name is enough and only this machine can connect; \
             set auth.secret for production"
        ),
        Mode::Open => tracing::warn!(
            bind = %settings.server.bind.0,
            "open: everybody who reaches this address may come in with any name, as --open says"
        ),
        Mode::Production => tell_production(settings),
    }
    let redis = &settings.redis;
    let Some(url) = &redis.url else { return };
    let (broker, store) = (redis.broker(), redis.store());
    tracing::info!(redis = %url, broker = broker.word(), store = store.word(), "a fleet");
    if (broker, store) == (Broker::Local, StoreKind::Sqlite) {
        tracing::warn!("nothing is kept in Redis: redis.broker and redis.store both say so");
    }
    if settings.server.node.is_none() {
        tracing::warn!(
            "this node of a fleet has no name (--node), so one is made at each start: balancers can't route by it"
        );
    }
}

/// Says what clients need, and what they may do.
fn tell_production(settings: &Settings) {
    match settings.auth.anonymous {
        false => tracing::info!("production: clients need a token"),
        true => tracing::info!(
            "production: who shows no token is nobody in particular, as auth.anonymous says"
        ),
    }
    let console = &settings.console;
    let ways = [
        console.oidc_issuer.as_ref().map(|_| "its OpenID provider"),
        console
            .admin_user
            .as_ref()
            .map(|_| "the local admin's password"),
        Some("a token (`lakh token --admin`)"),
    ];
    let ways: Vec<&str> = ways.into_iter().flatten().collect();
    tracing::info!("the page at / takes a sign-in by {}", ways.join(", or "));
    if settings.auth.rules.is_empty() && settings.rooms.rules.is_empty() {
        tracing::warn!(
            "there are no rules: a client may do only what its token grants (the claim `{}`, or `lakh token --grant`), and \
             admins everything. To let everybody who is signed in do everything: \
             rules = [{{ who = \"signed-in\", allow = \"*:*:*\" }}] in [auth]; docs/auth.md has narrower ones",
            settings.auth.claim_grants
        );
    }
}

async fn serve(
    settings: Settings,
    mode: Mode,
    sign_in: SignIn,
    console: Option<console::Plan>,
    mut prepared: Prepared,
) -> anyhow::Result<ExitCode> {
    // Before anything is bound: a signal must never find the process without a handler.
    let (ask, mut signals) = life_cycle::signals().context("signals can't be handled")?;
    let tls = prepared.options.tls.clone();
    if let Some(tls) = tls.clone() {
        life_cycle::on_hangup(move || reload(&tls)).context("SIGHUP can't be handled")?;
    }
    fit_connections(mode, &mut prepared.options.connections);
    // Redis may be waited for; whoever asks for the end meanwhile gets it.
    let up = tokio::select! {
        up = start(&settings, mode, sign_in, console, prepared, ask) => up?,
        Some(signal) = signals.recv() => {
            tracing::info!(signal = signal.name(), "ended before it served");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let Up {
        running,
        node,
        backing,
        neighbours,
        hooks,
        flows,
    } = up;
    tokio::spawn(node::tidy(backing.store().clone(), now_ms));
    tokio::spawn({
        let node = Arc::clone(&node);
        service_manager::watch(move || {
            let node = Arc::clone(&node);
            async move { node.loops_answer().await }
        })
    });
    announce(&settings, &running, node.name(), tls.is_some());

    let end = life_cycle::run(&mut signals, async |signal| {
        let window_ms = settings.drain.window_ms;
        service_manager::stopping(Duration::from_millis(window_ms));
        tracing::info!(
            signal = signal.name(),
            window_ms,
            "draining; a second signal ends at once"
        );
        running.drain().await;
        if let Some(neighbours) = &neighbours {
            neighbours.leave().await;
        }
        if let Some(hooks) = &hooks {
            // Everybody is gone: what happened is all there, and is sent or stored.
            hooks.close(HOOKS_END).await;
        }
        if let Some(flows) = &flows {
            // Everybody is gone: what happened is all there.
            flows.stop().await;
        }
        backing.close().await
    })
    .await;
    match end {
        End::Drained(closed) => {
            closed.context("the store was not closed well")?;
            tracing::info!("drained, all is written");
            Ok(ExitCode::SUCCESS)
        }
        End::Cut(signal) => {
            tracing::warn!(signal = signal.name(), "second signal: ended at once");
            Ok(ExitCode::from(signal.exit_code()))
        }
    }
}

/// Lowers the bound to what the system has descriptors for: a client past it then gets a plain 503 instead of silence.
fn fit_connections(mode: Mode, limits: &mut ConnectionLimits) {
    let wanted = limits.total.unwrap_or(usize::MAX);
    let Some(fit) = node::raise_descriptor_limit(wanted) else {
        return;
    };
    limits.total = Some(fit);
    let text = format!(
        "the limit of file descriptors leaves room for {fit} connections, limits.max_connections allows {wanted}: \
         raise it with `ulimit -n` or LimitNOFILE"
    );
    match mode {
        Mode::Production => tracing::warn!("{text}"),
        // Nobody tries a hundred thousand connections unawares.
        Mode::Development | Mode::Open => tracing::debug!("{text}"),
    }
}

/// What serves.
struct Up {
    running: Running,
    node: Arc<Node>,
    backing: Arc<Backing>,
    neighbours: Option<Arc<Neighbours>>,
    hooks: Option<Hooks>,
    flows: Option<Arc<Flows>>,
}

/// Opens what stands behind the node, and then the node.
async fn start(
    settings: &Settings,
    mode: Mode,
    sign_in: SignIn,
    console: Option<console::Plan>,
    mut prepared: Prepared,
    ask: Sender<Signal>,
) -> anyhow::Result<Up> {
    let (mut backing, hub) = open(settings, &mut prepared).await?;
    let revocations = backing.make_revocations(&hub, settings, now_ms);
    let console = console.map(|plan| open_console(plan, &backing, &revocations));
    node::guard(
        &hub,
        &sign_in,
        &revocations,
        console.as_ref(),
        settings,
        now_ms,
    );
    tokio::spawn({
        let sign_in = sign_in.clone();
        async move { sign_in.keep_keys().await }
    });
    let served = node::install(&hub, backing.store(), settings, &sign_in, &revocations);
    let leases = node::leases(&backing, now_ms)?;
    let hooks = node::start_hooks(&hub, &leases, settings)?;
    let backing = Arc::new(backing);
    let neighbours = Neighbours::open(settings, &prepared.hub.node, &mut prepared.options)?;
    let name = prepared.hub.node.clone();
    let node = Node::new(
        name,
        now_ms(),
        hub,
        Arc::clone(&backing),
        ask,
        hooks.clone(),
    );
    node.refuses(sign_in.clone());
    let service = node::service(&node, served.clone(), &sign_in, settings, now_ms);
    let files = attach(&node, &served, settings)?;
    let settled = match backing.settle().await {
        Ok(()) => backing.hear_revocations().await,
        Err(error) => Err(error),
    };
    let service = (service, files);
    let listens =
        settled.and_then(|()| listen(settings, mode, sign_in, console, prepared, &node, service));
    let running = match listens {
        Ok(running) => running,
        Err(error) => {
            // The error in hand says more than one of closing would.
            let _ = backing.close().await;
            return Err(error);
        }
    };
    // Who listens can be reached by what a source publishes.
    let flows = node::start_flows(node.hub(), served.rooms, &leases, settings, node.name())?;
    if let Some(flows) = &flows {
        node.bridges(Arc::clone(flows));
    }
    if let Some(neighbours) = &neighbours {
        neighbours.announce(&running).await;
    }
    Ok(Up {
        running,
        node,
        backing,
        neighbours,
        hooks,
        flows,
    })
}

/// The hub, and what stands behind it.
async fn open(settings: &Settings, prepared: &mut Prepared) -> anyhow::Result<(Backing, Hub)> {
    let plan = prepared.fleet.take();
    let name = prepared.hub.node.clone();
    let data = &settings.server.data;
    let mut backing = Backing::open(plan.as_ref(), data, name, now_ms).await?;
    if let Some(name) = backing.name() {
        prepared.hub.node = name.to_owned();
    }
    if backing.store_is_shared() {
        tracing::info!("the store is in Redis");
    } else {
        tracing::info!("data folder {}", data.display());
    }
    let hub = Hub::new(prepared.hub.clone(), SystemClock::default());
    hub.set_limits(prepared.limits);
    backing.join(plan.as_ref(), &hub)?;
    if prepared.keeps_log {
        backing.keep_log(&hub)?;
        tracing::info!("recovery logs are kept in the store");
    }
    Ok((backing, hub))
}

/// The console, which ends the sockets of a session with it.
fn open_console(
    plan: console::Plan,
    backing: &Backing,
    revocations: &Arc<Revocations>,
) -> Arc<Console> {
    let revocations = Arc::clone(revocations);
    let ended = move |session, until_s| end_sockets(&revocations, session, until_s);
    Arc::new(Console::new(plan, backing.store().clone(), now_ms).on_end(Box::new(ended)))
}

/// Gives the node what modules have beside their namespaces: worlds to count, the chat's files.
fn attach(node: &Node, served: &Served, settings: &Settings) -> anyhow::Result<Option<Files>> {
    if let Some(worlds) = served.worlds.clone() {
        node.has_worlds(worlds);
    }
    let Some(chat) = served.chat.clone() else {
        return Ok(None);
    };
    tokio::spawn(node::tidy_chat(chat.clone()));
    let files = Files::new(chat, &Plan::new(settings), now_ms)?;
    tokio::spawn(files.clone().keep_tidy());
    node.chats(files.clone());
    Ok(Some(files))
}

/// Whoever came in by a session of the page goes with it.
fn end_sockets(revocations: &Arc<Revocations>, session: String, until_s: u64) {
    let revocations = Arc::clone(revocations);
    tokio::spawn(async move {
        let ended = Revoked::Session(session);
        if let Err(error) = revocations.revoke(ended, Some(until_s)).await {
            tracing::error!(%error, "sockets of a session that has ended may still be there");
        }
    });
}

/// Puts HTTP side and sockets before the hub.
fn listen(
    settings: &Settings,
    mode: Mode,
    sign_in: SignIn,
    console: Option<Arc<Console>>,
    prepared: Prepared,
    node: &Arc<Node>,
    (service, files): (Service, Option<Files>),
) -> anyhow::Result<Running> {
    let hub = service.hub().clone();
    let router = http::router(HttpState {
        observed: Arc::clone(node) as Arc<dyn http::Observed>,
        service,
        door: Arc::new(Door::new(settings, prepared.options.cors.clone())),
        sign_in,
        console,
        mode,
        index: page::Index::new(&settings.server.path),
        metrics: settings.metrics.clone(),
        files,
    });
    let server = Server::new(hub, prepared.options).router(router);
    let running = server.start()?;
    node.listens(running.observer());
    Ok(running)
}

fn reload(tls: &TlsReloader) {
    match tls.reload() {
        Ok(()) => tracing::info!("certificates read again"),
        Err(error) => {
            tracing::error!(%error, "certificates could not be read again; those in use stay");
        }
    }
}

/// Says what is served, and last where.
fn announce(settings: &Settings, running: &Running, node: &str, tls: bool) {
    let modules = settings.server.modules.iter().map(|module| {
        let (name, namespace) = (module.word(), node::namespace(*module));
        format!("{name} on {namespace}")
    });
    let modules = modules.collect::<Vec<_>>().join(", ");
    let path = &settings.server.path;
    tracing::info!("serving {modules}; clients connect at the path {path}");
    let at = match running.local_addr() {
        Some(address) => {
            let scheme = if tls { "https" } else { "http" };
            format!("{scheme}://{}", reachable(address))
        }
        None => "the socket file that was handed over".to_owned(),
    };
    tracing::info!(node, "listening on {at}");
    service_manager::ready(&format!("{modules} at {at}"));
}

/// What a person on this machine can open: the address of a listener on all addresses is none.
fn reachable(address: SocketAddr) -> SocketAddr {
    super::healthcheck::reachable(address)
}

fn now_ms() -> u64 {
    SystemClock::default().wall_ms()
}
