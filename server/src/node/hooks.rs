//! Hooks on this node: started with what the settings say, for the namespaces of the modules that are served.

use anyhow::Context as _;
use lakh_bridge::hooks::{Hooks, On, admit};
use lakh_bridge::lease::Leases;
use lakh_hub::Hub;

use super::modules::namespace;
use crate::config::Settings;

/// Starts the hooks, if there are any. To be called when the modules are on the hub and sign-in stands before them: who
/// comes in is asked about behind it.
pub fn start_hooks(
    hub: &Hub,
    leases: &Leases,
    settings: &Settings,
) -> anyhow::Result<Option<Hooks>> {
    let config = settings.hooks.config();
    if config.is_empty() {
        return Ok(None);
    }
    let at_connect = config
        .gates
        .iter()
        .any(|gate| gate.on.contains(&On::Connect));
    if at_connect {
        for module in &settings.server.modules {
            hub.of(namespace(*module)).use_connect(admit);
        }
    }
    tracing::info!(
        endpoints = config.endpoints.len(),
        gates = config.gates.len(),
        "hooks"
    );
    let hooks = Hooks::start(hub, leases, config);
    hooks.map(Some).context("`[hooks]` can't be started")
}
