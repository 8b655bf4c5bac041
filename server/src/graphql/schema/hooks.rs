//! Hooks: how they are doing, and the events that they gave up.

use async_graphql::{Context, Json, Object, Result, SimpleObject};
use serde_json::Value;

use super::types::{Long, Missing};
use super::{asked, count, error, page};
use crate::service::hooks::{self, DeadFilter, WhichDead};

/// What can be asked about them.
#[derive(Debug, Default)]
pub(super) struct AskHooks;

/// What can be done to them.
#[derive(Debug, Default)]
pub(super) struct ChangeHooks;

/// How an endpoint is doing. Counts are those of all nodes since each started.
#[derive(SimpleObject)]
struct HookEndpoint {
    name: String,
    /// Where to, without the query.
    url: String,
    /// The node that sends to it now, if one does.
    sender: Option<String>,
    /// Whether the sender takes it to be away.
    down: bool,
    /// Events that it has taken.
    sent: Long,
    /// Requests that failed.
    failed: Long,
    /// Requests that had failed before.
    retried: Long,
    /// Events that were given up.
    dead: Long,
    /// Events that were dropped at a bound.
    dropped: Long,
    /// Events sent after one of their room with a higher number.
    late: Long,
    /// Events that wait in the store; null if it can't be read now.
    waiting: Option<Long>,
    /// How long the oldest of them has waited, in milliseconds.
    oldest_age_ms: Long,
}

impl From<hooks::HookEndpoint> for HookEndpoint {
    fn from(one: hooks::HookEndpoint) -> Self {
        Self {
            name: one.name,
            url: one.url,
            sender: one.sender,
            down: one.down,
            sent: Long(one.sent),
            failed: Long(one.failed),
            retried: Long(one.retried),
            dead: Long(one.dead),
            dropped: Long(one.dropped),
            late: Long(one.late),
            waiting: one.waiting.map(Long),
            oldest_age_ms: Long(one.oldest_age_ms),
        }
    }
}

/// How a gate is doing. Counts are those of all nodes since each started.
#[derive(SimpleObject)]
struct HookGate {
    name: String,
    /// Where to, without the query.
    url: String,
    /// The nodes that don't ask it now, because it failed too often in a row.
    left_alone_by: Vec<String>,
    /// How often it was left alone so.
    opened: Long,
    /// Wishes that it allowed as they were.
    allowed: Long,
    /// Wishes that it refused.
    refused: Long,
    /// Wishes that it changed.
    changed: Long,
    /// Wishes to which it gave no good answer in time.
    failed: Long,
    /// Wishes about which it was not asked.
    unasked: Long,
    /// Wishes that wait for it.
    open: Long,
}

impl From<hooks::HookGate> for HookGate {
    fn from(one: hooks::HookGate) -> Self {
        Self {
            name: one.name,
            url: one.url,
            left_alone_by: one.left_alone_by,
            opened: Long(one.opened),
            allowed: Long(one.allowed),
            refused: Long(one.refused),
            changed: Long(one.changed),
            failed: Long(one.failed),
            unasked: Long(one.unasked),
            open: Long(one.open),
        }
    }
}

/// All hooks of the settings.
#[derive(SimpleObject)]
struct Hooks {
    /// Those that are told, in the order of their names.
    endpoints: Vec<HookEndpoint>,
    /// Those that are asked first, in the order of their names.
    gates: Vec<HookGate>,
    /// Nodes whose counts are not among these.
    missing: Missing,
}

/// An event that was given up.
#[derive(SimpleObject)]
struct DeadLetter {
    /// Names the letter.
    key: String,
    /// When it was given up, in milliseconds since 1970.
    time: Long,
    /// Requests with it that failed.
    attempts: Long,
    /// What was wrong with the last one.
    reason: String,
    /// The event as it was sent.
    event: Json<Value>,
}

impl From<hooks::DeadLetter> for DeadLetter {
    fn from(letter: hooks::DeadLetter) -> Self {
        Self {
            key: letter.key,
            time: Long(letter.time),
            attempts: Long(letter.attempts.into()),
            reason: letter.reason,
            event: Json(letter.event),
        }
    }
}

/// Given-up events, oldest first.
#[derive(SimpleObject)]
struct DeadLetters {
    letters: Vec<DeadLetter>,
    /// The `cursor` of the next page; none if this is the last.
    next: Option<String>,
}

#[Object]
impl AskHooks {
    /// How the hooks are doing, on all nodes.
    #[graphql(complexity = "20 + child_complexity")]
    async fn hooks(&self, context: &Context<'_>) -> Result<Hooks> {
        let (service, caller) = asked(context)?;
        let hooks = service.hooks(&caller).await.map_err(error)?;
        Ok(Hooks {
            endpoints: hooks
                .endpoints
                .into_iter()
                .map(HookEndpoint::from)
                .collect(),
            gates: hooks.gates.into_iter().map(HookGate::from).collect(),
            missing: hooks.missing.into(),
        })
    }

    /// The events that an endpoint was not given in the end, oldest first.
    #[graphql(complexity = "page(limit) * child_complexity")]
    async fn dead_letters(
        &self,
        context: &Context<'_>,
        endpoint: String,
        #[graphql(desc = "Where the page before ended: its `next`.")] cursor: Option<String>,
        #[graphql(desc = "How many at most, 1 to 200; 50 if it isn't given.")] limit: Option<i32>,
    ) -> Result<DeadLetters> {
        let (service, caller) = asked(context)?;
        let filter = DeadFilter {
            cursor,
            limit: limit.map(count),
        };
        let page = service.dead_letters(&caller, &endpoint, &filter).await;
        let page = page.map_err(error)?;
        Ok(DeadLetters {
            letters: page.letters.into_iter().map(DeadLetter::from).collect(),
            next: page.next,
        })
    }
}

#[Object]
impl ChangeHooks {
    /// Sends given-up events anew, behind all that waits for the endpoint. Tells how many.
    #[graphql(complexity = 100)]
    async fn replay_dead_letters(
        &self,
        context: &Context<'_>,
        endpoint: String,
        #[graphql(default, desc = "Those with these keys, up to 200.")] keys: Vec<String>,
        #[graphql(default, desc = "All of them.")] all: bool,
    ) -> Result<Long> {
        let (service, caller) = asked(context)?;
        let which = WhichDead { keys, all };
        let taken = service.replay_dead(&caller, &endpoint, &which).await;
        Ok(Long(taken.map_err(error)?.taken))
    }

    /// Throws given-up events away. Tells how many.
    #[graphql(complexity = 100)]
    async fn discard_dead_letters(
        &self,
        context: &Context<'_>,
        endpoint: String,
        #[graphql(default, desc = "Those with these keys, up to 200.")] keys: Vec<String>,
        #[graphql(default, desc = "All of them.")] all: bool,
    ) -> Result<Long> {
        let (service, caller) = asked(context)?;
        let which = WhichDead { keys, all };
        let taken = service.discard_dead(&caller, &endpoint, &which).await;
        Ok(Long(taken.map_err(error)?.taken))
    }
}
