//! What stands behind a node: its store, and in a fleet its name among the others and the link to them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use lakh_hub::Hub;
use lakh_store::{CloseError, Health, Store};
use tokio::time::{Instant, timeout};

use super::door::{Revocations, serve_revocations};
use super::fleet::{self, FleetLink, FleetPlan};
use super::names::NodeName;
use super::stored;
use crate::config::Settings;
use crate::http::health::Check;

/// How long the log in the store may take to be read at the start.
const READ_LOG: Duration = Duration::from_secs(30);
/// How long the end waits for the log to be written: more than its records take by themselves.
const FAREWELL: Duration = Duration::from_secs(8);

/// All that a node keeps its data in, and reaches others by.
pub struct Backing {
    store: Store,
    /// Whether other nodes have the same store, so that what is wrong with it is wrong for all.
    store_is_shared: bool,
    fleet: Option<Fleet>,
    /// The hub, if it keeps its recovery logs in the store.
    logging: Option<Hub>,
    revocations: Option<Arc<Revocations>>,
}

struct Fleet {
    /// Where names are claimed; modules may keep their data elsewhere.
    shared: Store,
    name: Arc<NodeName>,
    link: Option<FleetLink>,
    /// By when all of it must be there.
    deadline: Instant,
}

impl std::fmt::Debug for Backing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backing")
            .field("store_is_shared", &self.store_is_shared)
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

impl Backing {
    /// A store of the node's own, and no others.
    pub fn alone(store: Store) -> Self {
        Self {
            store,
            store_is_shared: false,
            fleet: None,
            logging: None,
            revocations: None,
        }
    }

    /// Opens what the settings name: a file in `data`, or what the fleet shares. Waits for Redis as long as the plan says.
    pub async fn open(
        plan: Option<&FleetPlan>,
        data: &Path,
        name: String,
        now_ms: fn() -> u64,
    ) -> anyhow::Result<Self> {
        let Some(plan) = plan else {
            return Ok(Self::alone(stored::open(data)?));
        };
        let deadline = plan.deadline();
        let shared = fleet::open_store(plan, deadline).await?;
        let name = fleet::claim_name(plan, &shared, name, now_ms, deadline).await?;
        tokio::spawn({
            let name = Arc::clone(&name);
            async move { name.keep().await }
        });
        let store = match plan.keeps_data() {
            true => shared.clone(),
            false => stored::open(data)?,
        };
        Ok(Self {
            store,
            store_is_shared: plan.keeps_data(),
            fleet: Some(Fleet {
                shared,
                name,
                link: None,
                deadline,
            }),
            logging: None,
            revocations: None,
        })
    }

    /// Starts to reach the other nodes, if there are to be any. To be called on the runtime that the link lives on, before
    /// modules are put on the hub.
    pub fn join(&mut self, plan: Option<&FleetPlan>, hub: &Hub) -> anyhow::Result<()> {
        if let (Some(plan), Some(fleet)) = (plan, &mut self.fleet) {
            fleet.link = FleetLink::join(plan, hub)?;
        }
        Ok(())
    }

    /// Has the hub keep its recovery logs in the store. To be called on the runtime that shall write them, before modules are
    /// put on the hub.
    pub fn keep_log(&mut self, hub: &Hub) -> anyhow::Result<()> {
        tokio::spawn(hub.keep_log(self.store.clone())?);
        self.logging = Some(hub.clone());
        Ok(())
    }

    /// Waits until what other nodes publish arrives here, and what an earlier life has logged is there.
    pub async fn settle(&self) -> anyhow::Result<()> {
        if let Some(hub) = &self.logging {
            let ready = timeout(READ_LOG, hub.cluster_ready()).await;
            ready.context("the recovery log could not be read from the store")?;
        }
        let Some(fleet) = &self.fleet else {
            return Ok(());
        };
        match &fleet.link {
            Some(link) => link.settle(fleet.deadline).await,
            None => Ok(()),
        }
    }

    /// What was taken back, to be kept in the store. To be called once, before sign-in is put on the hub.
    pub fn make_revocations(
        &mut self,
        hub: &Hub,
        settings: &Settings,
        now_ms: fn() -> u64,
    ) -> Arc<Revocations> {
        let made = Revocations::new(hub, &self.store, settings, now_ms);
        self.revocations = Some(Arc::clone(&made));
        made
    }

    /// What was taken back.
    pub fn revocations(&self) -> Option<&Arc<Revocations>> {
        self.revocations.as_ref()
    }

    /// Reads what was taken back, and hears from now on what other nodes take back.
    pub async fn hear_revocations(&self) -> anyhow::Result<()> {
        match &self.revocations {
            Some(revocations) => {
                serve_revocations(revocations, self.store_is_shared, self.link().is_some()).await
            }
            None => Ok(()),
        }
    }

    /// The store of the modules.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Whether the store is the fleet's.
    pub fn store_is_shared(&self) -> bool {
        self.store_is_shared
    }

    /// The name that this node has made sure of, in a fleet.
    pub fn name(&self) -> Option<&str> {
        self.fleet.as_ref().map(|fleet| fleet.name.name())
    }

    /// Names of nodes that have said lately that they run, in a fleet.
    pub(super) async fn known_names(&self, now_ms: u64) -> Vec<String> {
        match &self.fleet {
            Some(fleet) => super::names::known(&fleet.shared, now_ms).await,
            None => Vec::new(),
        }
    }

    /// The link to the other nodes.
    pub(super) fn link(&self) -> Option<&FleetLink> {
        self.fleet.as_ref()?.link.as_ref()
    }

    /// How all of it is.
    pub fn checks(&self) -> Vec<Check> {
        let mut checks = vec![check_store(&self.store.health(), self.store_is_shared)];
        if let Some(fleet) = &self.fleet {
            checks.extend(fleet.link.as_ref().map(FleetLink::check));
            checks.push(fleet.name.check());
        }
        checks
    }

    /// Leaves the other nodes and writes out the store. Redis may be away or silent: then it takes a few seconds at most.
    pub async fn close(&self) -> Result<(), CloseError> {
        if let Some(hub) = &self.logging
            && timeout(FAREWELL, hub.leave_cluster()).await.is_err()
        {
            tracing::warn!("the store did not take the last broadcasts in time");
        }
        let Some(fleet) = &self.fleet else {
            return self.store.close().await;
        };
        let leave = async {
            if let Some(link) = &fleet.link {
                link.leave().await;
            }
        };
        let close = async {
            fleet.name.release().await;
            fleet.shared.close().await?;
            self.store.close().await
        };
        // Each waits for Redis alone, so together they wait once.
        tokio::join!(leave, close).1
    }
}

fn check_store(health: &Health, shared: bool) -> Check {
    let detail = match (health, shared) {
        (Health::Ok, _) => None,
        (Health::Impaired(reason), false) => Some(format!("the last commit failed: {reason}")),
        (Health::Impaired(reason), true) => Some(format!("Redis does not serve it now: {reason}")),
        (Health::Failed(reason), _) => Some(format!("it writes no more: {reason}")),
        (Health::Closed, _) => Some("it is closed".into()),
    };
    // What can pass, and is the same for all nodes, sends nobody away: there is no better place to go.
    match (shared, health) {
        (true, Health::Impaired(_)) => Check::of_a_help("store", detail),
        _ => Check::of_a_need("store", detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_all_nodes_share_sends_nobody_away_while_it_may_come_back() {
        let impaired = Health::Impaired("Connection refused (os error 111)".into());
        let own = check_store(&impaired, false);
        assert!(own.needed && !own.ok);
        assert!(own.detail.unwrap().starts_with("the last commit failed"));
        let shared = check_store(&impaired, true);
        assert!(!shared.needed && !shared.ok);
        assert_eq!(
            shared.detail.unwrap(),
            "Redis does not serve it now: Connection refused (os error 111)"
        );
        for health in [Health::Failed("a thread panicked".into()), Health::Closed] {
            let check = check_store(&health, true);
            assert!(check.needed && !check.ok, "{health:?}");
        }
        assert!(check_store(&Health::Ok, true).ok);
    }
}
