//! The nodes: how they are, and having one end.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Service;
use super::caller::{Caller, Thing, act};
use super::others::{MissingNodes, Question};
use super::problem::{Kind, Problem};

/// One thing that should be well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeCheck {
    /// What it is: "store", "loops", "broker", …
    pub name: String,
    /// Whether it is well.
    pub ok: bool,
    /// What is wrong, where something is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
}

/// How a node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeReport {
    /// Its name.
    #[schema(example = "n01")]
    pub name: String,
    /// Version of the binary.
    pub version: String,
    /// "ready", "impaired" (it takes clients, and something they may miss is wrong), "draining" or "unready".
    pub status: String,
    /// What was looked at.
    pub checks: Vec<NodeCheck>,
    /// When it started, in milliseconds since 1970.
    pub started_at: u64,
    /// Open connections.
    pub connections: u64,
    /// Sockets: a connection has one in each of its namespaces.
    pub sockets: u64,
}

/// All nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Nodes {
    /// Those who answered, in the order of their names.
    pub nodes: Vec<NodeReport>,
    /// The node that was asked.
    pub answered_by: String,
    /// Those who did not.
    pub missing: MissingNodes,
}

/// What becomes of a node that is to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Draining {
    /// The node.
    pub node: String,
    /// Whether it had begun before.
    pub already: bool,
}

impl Service {
    /// Whether somebody may read the numbers of this node.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn may_read_stats(&self, caller: &Caller) -> Result<(), Problem> {
        self.allow(caller, act::STATS, Thing::Node(self.host().name()))
    }

    /// How this node and the others are.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn nodes(&self, caller: &Caller) -> Result<Nodes, Problem> {
        self.allow(caller, act::NODES, Thing::Node("*"))?;
        let patience = self.config().patience;
        let others = self.ask_others::<NodeReport>(&Question::Node, patience);
        let (own, others) = tokio::join!(self.host().report(), others);
        let (told, missing) = others?;
        let mut nodes = vec![own];
        nodes.extend(told.into_iter().map(|told| told.answer));
        nodes.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Nodes {
            nodes,
            answered_by: self.host().name().to_owned(),
            missing,
        })
    }

    /// Has a node end, as SIGTERM does: it takes no new clients, sends those it has elsewhere over the drain window, and its
    /// process exits with 0. There is no way back: what has ended is started again by whoever started it.
    ///
    /// # Errors
    /// [`Problem`]: `not_found` if no node of this name answers.
    pub async fn drain(&self, caller: &Caller, node: &str) -> Result<Draining, Problem> {
        self.allow(caller, act::DRAIN, Thing::Node(node))?;
        let draining = |begun: bool| Draining {
            node: node.to_owned(),
            already: !begun,
        };
        tracing::warn!(by = caller.id(), node, "a drain was asked for");
        if node == self.host().name() {
            return Ok(draining(self.host().drain()));
        }
        let question = Question::Drain {
            node: node.to_owned(),
        };
        let patience = self.config().patience;
        let (told, missing) = self.ask_others::<Option<bool>>(&question, patience).await?;
        if let Some(begun) = told.iter().find_map(|told| told.answer) {
            return Ok(draining(begun));
        }
        let message = match missing.is_nobody() {
            true => format!("no node is called {node:?}"),
            false => format!("no node called {node:?} has answered; some did not"),
        };
        Err(Problem::new(Kind::NotFound, "not_found", message))
    }
}
