//! Settings as the sockets and the hub want them.

use std::sync::Arc;

use lakh_auth::limits::{Bounds, Limits, Past};
use lakh_hub::{HubLimits, Millis, SessionConfig};
use lakh_net::accept::{ListenAddress, Port};
use lakh_net::cookie::{self, CookieError, CookieOptions, StickyCookie};
use lakh_net::cors::{Cors, CorsError, CorsOptions, Origins};
use lakh_net::forwarded::ForwardedBy;
use lakh_net::limits::{ConnectionLimits, Rate, RateLimits};
use lakh_net::slow::{BodyRate, PhaseTimeouts};
use lakh_net::tls::{TlsError, TlsFiles, TlsReloader};
use lakh_net::trust::{TrustError, TrustedProxies};

use super::fleet::FleetPlan;
use super::policy::{self, RuleError};
use crate::config::{
    self, ForwardedHeader, RecoveryLog, SameSite, Settings, SlowReader, Transport,
};
use crate::console;

/// Settings that are right each and make no server.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// `[tls]`
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// `[proxy]`
    #[error("`proxy.trusted`: {0}")]
    Trust(#[from] TrustError),
    /// `[cors]`
    #[error("`cors.origins`: {0}")]
    Cors(#[from] CorsError),
    /// The cookie of `[engine]`.
    #[error("`engine.cookie_…`: {0}")]
    Cookie(#[from] CookieError),
    /// A rule of `[auth]` speaks of what isn't there.
    #[error(transparent)]
    Rule(#[from] RuleError),
}

/// All that the sockets and the hub are built with.
#[derive(Debug)]
pub struct Prepared {
    /// For the sockets.
    pub options: lakh_net::Options,
    /// For the hub.
    pub hub: lakh_hub::Settings,
    /// What persons, addresses and the node may do.
    pub limits: lakh_auth::limits::Limits,
    /// What is shared with other nodes, in a fleet.
    pub fleet: Option<FleetPlan>,
    /// Whether recovery logs are kept in this node's store.
    pub keeps_log: bool,
}

impl Prepared {
    /// Reads the certificates and checks what belongs together. `node` is the node's name, `cores` how many this
    /// machine has.
    pub fn new(settings: &Settings, node: String, cores: usize) -> Result<Self, PrepareError> {
        policy::check(settings)?;
        Ok(Self {
            options: options(settings)?,
            hub: hub(settings, node, cores),
            limits: limits(&settings.limits),
            fleet: FleetPlan::new(settings),
            keeps_log: settings.recovery.enabled && settings.recovery.log == RecoveryLog::Store,
        })
    }
}

fn hub(settings: &Settings, node: String, cores: usize) -> lakh_hub::Settings {
    let (limits, engine) = (&settings.limits, &settings.engine);
    lakh_hub::Settings {
        node,
        shards: settings.server.loops.map_or(cores, count32),
        limits: lakh_hub::Limits {
            max_payload_bytes: count(limits.max_payload_bytes),
            max_attachments: count32(limits.max_attachments),
            max_depth: count32(limits.max_depth),
            max_packets_per_payload: count32(limits.max_packets_per_payload),
        },
        hub_limits: HubLimits {
            max_namespaces: count32(limits.max_namespaces),
            max_rooms: count32(limits.max_rooms_per_socket),
            max_pending_acks: count32(limits.max_pending_acks),
            max_running_handlers: count32(limits.max_running_handlers),
            outbox_bytes: count(limits.outbox_bytes),
            mailbox_bytes: count(limits.mailbox_bytes),
        },
        engine: SessionConfig {
            ping_interval: Millis(engine.ping_interval_ms),
            ping_timeout: Millis(engine.ping_timeout_ms),
            upgrade_timeout: Millis(engine.upgrade_timeout_ms),
            allow_upgrades: engine.allow_upgrades && serves(settings, Transport::Websocket),
        },
        connect_timeout: Millis(engine.connect_timeout_ms),
        slow_reader: match limits.slow_reader {
            SlowReader::Disconnect => lakh_hub::SlowReader::Disconnect,
            SlowReader::Drop => lakh_hub::SlowReader::Drop,
        },
        // Each connection's first packet tells.
        parser: None,
        keep_headers: kept_headers(settings),
    }
}

/// The headers of a handshake that may carry a token. They stay with the connection, so where no token can come that way
/// none is kept.
fn kept_headers(settings: &Settings) -> Vec<String> {
    let auth = &settings.auth;
    let bearer = auth.needs_tokens().then_some("authorization");
    let cookie = (auth.needs_tokens() && auth.cookie.is_some()).then_some("cookie");
    // Whose session of the page a socket comes from.
    let session: &[&str] = match settings.console.is_on() {
        true => &console::KEPT_HEADERS,
        false => &[],
    };
    let others = session.iter().copied().filter(|name| Some(*name) != cookie);
    bearer
        .into_iter()
        .chain(cookie)
        .chain(others)
        .map(str::to_owned)
        .collect()
}

fn limits(limits: &config::Limits) -> Limits {
    Limits {
        person: Bounds {
            events: limits.events_per_second_per_person,
            joins: limits.joins_per_second_per_person,
            bytes: limits.bytes_per_second_per_person,
            connections: limits.max_connections_per_person,
            rooms: limits.max_rooms_per_person,
        },
        address: Bounds {
            events: limits.events_per_second_per_address,
            joins: limits.joins_per_second_per_address,
            bytes: limits.bytes_per_second_per_address,
            ..Bounds::default()
        },
        node: Bounds {
            events: limits.events_per_second,
            joins: limits.joins_per_second,
            bytes: limits.bytes_per_second,
            ..Bounds::default()
        },
        past_events: past(limits.past_events),
        past_joins: past(limits.past_joins),
        past_bytes: past(limits.past_bytes),
        past_connections: match limits.past_connections {
            config::PastConnections::Refuse => Past::Refuse,
            config::PastConnections::Disconnect => Past::Disconnect,
        },
    }
}

fn past(past: config::Past) -> Past {
    match past {
        config::Past::Refuse => Past::Refuse,
        config::Past::Slow => Past::Slow,
        config::Past::Disconnect => Past::Disconnect,
    }
}

fn options(settings: &Settings) -> Result<lakh_net::Options, PrepareError> {
    let (limits, engine) = (&settings.limits, &settings.engine);
    let defaults = lakh_net::Options::default();
    Ok(lakh_net::Options {
        listen: ListenAddress::Tcp(settings.server.bind.0),
        port: match settings.server.reuse_port {
            true => Port::Shared,
            false => Port::Alone,
        },
        path: settings.server.path.clone(),
        engine_path: engine.engine_path.clone(),
        polling: serves(settings, Transport::Polling),
        websocket: serves(settings, Transport::Websocket),
        allow_eio3: engine.allow_eio3,
        compression: engine.compression,
        cors: cors(settings)?,
        io_uring: settings.server.io_uring,
        // Browsers ask nobody before they open a WebSocket to another origin.
        check_origin: true,
        check_polling_origin: settings.auth.cookie.is_some() || settings.console.is_on(),
        cookie: sticky_cookie(settings)?,
        tls: tls(settings)?,
        trusted: TrustedProxies::parse(&settings.proxy.trusted)?,
        forwarded_by: match settings.proxy.header {
            ForwardedHeader::XForwardedFor => ForwardedBy::XForwardedFor,
            ForwardedHeader::Forwarded => ForwardedBy::Forwarded,
            ForwardedHeader::XRealIp => ForwardedBy::XRealIp,
        },
        proxy_protocol: settings.proxy.protocol,
        connections: ConnectionLimits {
            total: Some(count(limits.max_connections)),
            per_address: limits
                .max_connections_per_address
                .map(|most| u32::try_from(most).unwrap_or(u32::MAX)),
        },
        handshakes: RateLimits {
            process: limits.handshakes_per_second.map(a_second),
            per_address: limits.handshakes_per_second_per_address.map(a_second),
            ..RateLimits::default()
        },
        max_lag_ms: Some(limits.max_lag_ms),
        timeouts: PhaseTimeouts {
            head_ms: limits.head_timeout_ms,
            body_ms: limits.body_timeout_ms,
            write_ms: limits.write_timeout_ms,
            tls_ms: limits.tls_timeout_ms,
            keep_alive_idle_ms: limits.keep_alive_ms,
            ..defaults.timeouts
        },
        body_rate: BodyRate {
            min_bytes_per_s: limits.body_min_bytes_per_second,
            ..defaults.body_rate
        },
        max_head_bytes: count(limits.max_head_bytes),
        drain_window_ms: settings.drain.window_ms,
        ..defaults
    })
}

fn serves(settings: &Settings, transport: Transport) -> bool {
    settings.engine.transports.contains(&transport)
}

fn cors(settings: &Settings) -> Result<Option<Cors>, PrepareError> {
    let cors = &settings.cors;
    if cors.origins.is_empty() {
        return Ok(None);
    }
    let origins = match cors.origins.iter().any(|origin| origin == "*") {
        true => Origins::Any,
        false => Origins::List(cors.origins.clone()),
    };
    let options = CorsOptions {
        credentials: cors.credentials,
        max_age_s: Some(u32::try_from(cors.max_age_ms / 1_000).unwrap_or(u32::MAX)),
        ..CorsOptions::new(origins)
    };
    Ok(Some(Cors::new(&options)?))
}

fn sticky_cookie(settings: &Settings) -> Result<Option<StickyCookie>, PrepareError> {
    let engine = &settings.engine;
    let Some(name) = &engine.cookie_name else {
        return Ok(None);
    };
    let options = CookieOptions {
        name: name.clone(),
        path: Some(engine.cookie_path.clone()),
        secure: engine.cookie_secure,
        http_only: engine.cookie_http_only,
        same_site: Some(match engine.cookie_same_site {
            SameSite::Strict => cookie::SameSite::Strict,
            SameSite::Lax => cookie::SameSite::Lax,
            SameSite::None => cookie::SameSite::None,
        }),
        ..CookieOptions::default()
    };
    Ok(Some(StickyCookie::new(&options)?))
}

fn tls(settings: &Settings) -> Result<Option<Arc<TlsReloader>>, PrepareError> {
    let (Some(certificate), Some(key)) = (&settings.tls.cert, &settings.tls.key) else {
        return Ok(None);
    };
    let files = TlsFiles {
        certificate: certificate.clone(),
        key: key.clone(),
    };
    Ok(Some(Arc::new(TlsReloader::new(files)?)))
}

/// As many may come at once after a pause.
fn a_second(per_second: u32) -> Rate {
    Rate {
        per_second,
        burst: per_second,
    }
}

/// A bound past what this machine can count is none.
pub(super) fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

pub(in crate::node) fn count32(number: u32) -> usize {
    count(number.into())
}
