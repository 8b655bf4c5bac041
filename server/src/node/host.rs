//! The node as the service for backends sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lakh_auth::{Principal, Revocation, Revoked};
use tokio::sync::watch;

use super::door::Revocations;
use super::modules::{Served, namespace, service as config};
use super::observed::Node;
use crate::config::Settings;
use crate::http::{Later, Observed, VERSION, health};
use crate::service::nodes::{NodeCheck, NodeReport};
use crate::service::presence::Looks;
use crate::service::revocations::Revoker;
use crate::service::{Host, Kind, Parts, Problem, Service};
use crate::sign_in::SignIn;

struct Seen {
    node: Arc<Node>,
    now_ms: fn() -> u64,
    asked: AtomicBool,
}

/// What backends can have this node do.
pub fn service(
    node: &Arc<Node>,
    served: Served,
    sign_in: &SignIn,
    settings: &Settings,
    now_ms: fn() -> u64,
) -> Service {
    // There is one at least, and all nodes of a fleet serve the same.
    let common = settings.server.modules.first();
    Service::new(Parts {
        hub: node.hub().clone(),
        store: node.backing().store().clone(),
        store_is_shared: node.backing().store_is_shared(),
        rooms: served.rooms,
        chat: served.chat,
        worlds: served.worlds,
        hooks: node.hooks().cloned(),
        host: Arc::new(Seen {
            node: Arc::clone(node),
            now_ms,
            asked: AtomicBool::new(false),
        }),
        sign_in: sign_in.clone(),
        revoker: node.backing().revocations().map(|kept| {
            let kept: Arc<dyn Revoker> = Arc::clone(kept) as Arc<dyn Revoker>;
            kept
        }),
        common: common.map_or("/", |module| namespace(*module)).to_owned(),
        now_ms,
        config: config(settings),
        looks: Looks::default(),
    })
}

impl Revoker for Revocations {
    fn revoke(
        &self,
        what: Revoked,
        until_s: Option<u64>,
    ) -> Later<'_, Result<Revocation, Problem>> {
        Box::pin(async move {
            let revoked = Self::revoke(self, what, until_s).await;
            revoked.map_err(|error| {
                let kind = match error.code() {
                    "bad_request" => Kind::Bad,
                    "unavailable" => return Problem::unavailable(error.to_string()),
                    _ => Kind::Unprocessable,
                };
                Problem::new(kind, error.code(), error.to_string())
            })
        })
    }

    fn list(&self) -> Vec<Revocation> {
        Self::list(self)
    }

    fn is_revoked(&self, principal: &Principal) -> bool {
        Self::is_revoked(self, principal)
    }

    fn news(&self) -> watch::Receiver<()> {
        Self::news(self)
    }
}

impl Host for Seen {
    fn name(&self) -> &str {
        self.node.name()
    }

    fn report(&self) -> Later<'_, NodeReport> {
        Box::pin(async {
            let health = health::readiness(&*self.node).await;
            let stats = self.node.hub().stats();
            let checks = health.checks.into_iter().map(|check| NodeCheck {
                name: check.name.to_owned(),
                ok: check.ok,
                detail: check.detail,
            });
            NodeReport {
                name: self.node.name().to_owned(),
                version: VERSION.to_owned(),
                status: health.status.to_owned(),
                checks: checks.collect(),
                started_at: self.node.started_at_ms(),
                connections: stats.sessions,
                sockets: stats.sockets,
            }
        })
    }

    fn known_names(&self) -> Later<'_, Vec<String>> {
        Box::pin(async { self.node.backing().known_names((self.now_ms)()).await })
    }

    fn drain(&self) -> bool {
        if self.node.draining() || self.asked.swap(true, Ordering::AcqRel) {
            return false;
        }
        self.node.ask_for_the_end();
        true
    }
}
