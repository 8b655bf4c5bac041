//! Hooks: how they are doing, and the events that they gave up, to be sent anew or thrown away.

use std::collections::BTreeMap;

use lakh_bridge::hooks::{BreakerState, DeadError, EndpointStatus, GateStatus, Which};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::Service;
use super::caller::{Caller, Thing, act};
use super::others::{MissingNodes, Question};
use super::problem::{Kind, Problem};
use super::sockets::{PAGE, after_cursor, cursor_after};

/// Letters of a page at most, and those that one request names.
const MAX_LETTERS: usize = 200;

/// How an endpoint is doing. Counts are those of all nodes since each started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HookEndpoint {
    /// Its name.
    #[schema(example = "crm")]
    pub name: String,
    /// Where to, without the query.
    #[schema(example = "https://app.example/lakh/events")]
    pub url: String,
    /// The node that sends to it now, if one does.
    pub sender: Option<String>,
    /// Whether the sender takes it to be away.
    pub down: bool,
    /// Events that it has taken.
    pub sent: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Requests that had failed before.
    pub retried: u64,
    /// Events that were given up.
    pub dead: u64,
    /// Events that were dropped at a bound.
    pub dropped: u64,
    /// Events sent after one of their room with a higher number.
    pub late: u64,
    /// Events that wait in the store; null if it can't be read now.
    pub waiting: Option<u64>,
    /// How long the oldest of them has waited, in milliseconds.
    pub oldest_age_ms: u64,
}

/// How a gate is doing. Counts are those of all nodes since each started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HookGate {
    /// Its name.
    #[schema(example = "guard")]
    pub name: String,
    /// Where to, without the query.
    #[schema(example = "https://app.example/lakh/may")]
    pub url: String,
    /// The nodes that don't ask it now, because it failed too often in a row.
    pub left_alone_by: Vec<String>,
    /// How often it was left alone so.
    pub opened: u64,
    /// Wishes that it allowed as they were.
    pub allowed: u64,
    /// Wishes that it refused.
    pub refused: u64,
    /// Wishes that it changed.
    pub changed: u64,
    /// Wishes to which it gave no good answer in time.
    pub failed: u64,
    /// Wishes about which it was not asked.
    pub unasked: u64,
    /// Wishes that wait for it.
    pub open: u64,
}

/// All hooks of the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hooks {
    /// Those that are told, in the order of their names.
    pub endpoints: Vec<HookEndpoint>,
    /// Those that are asked first, in the order of their names.
    pub gates: Vec<HookGate>,
    /// Nodes whose counts are not among these.
    pub missing: MissingNodes,
}

/// Those of one node.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct HooksHere {
    endpoints: Vec<HookEndpoint>,
    gates: Vec<HookGate>,
}

/// A page of given-up events.
#[derive(Clone, Debug, Default, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct DeadFilter {
    /// Where the page before ended: its `next`.
    pub cursor: Option<String>,
    /// How many at most, 1 to 200; 50 when nothing is said.
    pub limit: Option<usize>,
}

/// An event that was given up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetter {
    /// Names the letter.
    pub key: String,
    /// When it was given up, in milliseconds since 1970.
    pub time: u64,
    /// Requests with it that failed.
    pub attempts: u32,
    /// What was wrong with the last one.
    pub reason: String,
    /// The event as it was sent.
    pub event: Value,
}

/// Given-up events, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeadPage {
    /// The letters.
    pub letters: Vec<DeadLetter>,
    /// The `cursor` of the next page; none if this is the last.
    pub next: Option<String>,
}

/// Which letters: some by their keys, or all that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WhichDead {
    /// Those with these keys, up to 200.
    pub keys: Vec<String>,
    /// All of them; then none is named besides.
    pub all: bool,
}

/// What became of letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Taken {
    /// How many there were. Who names one that is gone already takes none.
    pub taken: u64,
}

impl WhichDead {
    fn which(&self) -> Result<Which, Problem> {
        match (self.all, self.keys.len()) {
            (true, 0) => Ok(Which::All),
            (false, 1..=MAX_LETTERS) => Ok(Which::Keys(self.keys.clone())),
            (true, _) => Err(Problem::bad("`all` is all of them: name no `keys` besides")),
            (false, 0) => Err(Problem::bad("say which: `keys`, or `all`")),
            (false, _) => Err(Problem::new(
                Kind::TooLarge,
                "too_large",
                format!("a request names up to {MAX_LETTERS} letters; send several, or say `all`"),
            )),
        }
    }
}

impl From<DeadError> for Problem {
    fn from(error: DeadError) -> Self {
        match error {
            DeadError::NoEndpoint(_) => Self::not_found(error.to_string()),
            DeadError::Read(error) => error.into(),
            DeadError::Write(error) => error.into(),
        }
    }
}

/// A query may hold a secret.
fn without_query(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    url[..end].to_owned()
}

impl HookEndpoint {
    fn of(status: EndpointStatus, node: &str) -> Self {
        Self {
            url: without_query(&status.url),
            name: status.name,
            sender: status.leads.then(|| node.to_owned()),
            down: status.leads && status.is_down,
            sent: status.sent,
            failed: status.failed,
            retried: status.retried,
            dead: status.dead,
            dropped: status.dropped,
            late: status.late,
            waiting: status.waiting,
            oldest_age_ms: status.oldest_age_ms,
        }
    }

    /// Takes in what another node says. What waits is the same for all where they have one store.
    fn add(&mut self, other: Self, store_is_shared: bool) {
        self.down |= other.down;
        self.sender = self.sender.take().or(other.sender);
        for (own, more) in [
            (&mut self.sent, other.sent),
            (&mut self.failed, other.failed),
            (&mut self.retried, other.retried),
            (&mut self.dead, other.dead),
            (&mut self.dropped, other.dropped),
            (&mut self.late, other.late),
        ] {
            *own += more;
        }
        self.waiting = match (self.waiting, other.waiting) {
            (Some(own), Some(more)) if !store_is_shared => Some(own + more),
            (own, more) if store_is_shared => own.or(more),
            _ => None,
        };
        self.oldest_age_ms = self.oldest_age_ms.max(other.oldest_age_ms);
    }
}

impl HookGate {
    fn of(status: GateStatus, node: &str) -> Self {
        let left_alone = status.breaker != BreakerState::Closed;
        Self {
            url: without_query(&status.url),
            name: status.name,
            left_alone_by: left_alone.then(|| node.to_owned()).into_iter().collect(),
            opened: status.opened,
            allowed: status.allowed,
            refused: status.refused,
            changed: status.changed,
            failed: status.failed,
            unasked: status.unasked,
            open: status.open,
        }
    }

    fn add(&mut self, other: Self) {
        self.left_alone_by.extend(other.left_alone_by);
        self.left_alone_by.sort_unstable();
        for (own, more) in [
            (&mut self.opened, other.opened),
            (&mut self.allowed, other.allowed),
            (&mut self.refused, other.refused),
            (&mut self.changed, other.changed),
            (&mut self.failed, other.failed),
            (&mut self.unasked, other.unasked),
            (&mut self.open, other.open),
        ] {
            *own += more;
        }
    }
}

/// Puts together what nodes say, by name.
fn together<T>(all: Vec<T>, name: fn(&T) -> &str, add: impl Fn(&mut T, T)) -> Vec<T> {
    let mut found = BTreeMap::<String, T>::new();
    for one in all {
        match found.get_mut(name(&one)) {
            Some(known) => add(known, one),
            None => drop(found.insert(name(&one).to_owned(), one)),
        }
    }
    found.into_values().collect()
}

impl Service {
    /// How the hooks are doing, on all nodes.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn hooks(&self, caller: &Caller) -> Result<Hooks, Problem> {
        self.allow(caller, act::HOOKS, Thing::Hook("*"))?;
        let patience = self.config().patience;
        let others = self.ask_others::<HooksHere>(&Question::Hooks, patience);
        let (own, others) = tokio::join!(self.hooks_here(), others);
        let (told, missing) = others?;
        let (mut endpoints, mut gates) = (own.endpoints, own.gates);
        for told in told {
            endpoints.extend(told.answer.endpoints);
            gates.extend(told.answer.gates);
        }
        let is_shared = self.0.store_is_shared;
        Ok(Hooks {
            endpoints: together(
                endpoints,
                |one| &one.name,
                |own, more| own.add(more, is_shared),
            ),
            gates: together(gates, |one| &one.name, HookGate::add),
            missing,
        })
    }

    pub(super) async fn hooks_here(&self) -> HooksHere {
        let Some(hooks) = &self.0.hooks else {
            return HooksHere::default();
        };
        let node = self.host().name();
        let endpoints = hooks.status().await.into_iter();
        let gates = hooks.gates().into_iter();
        HooksHere {
            endpoints: endpoints.map(|one| HookEndpoint::of(one, node)).collect(),
            gates: gates.map(|one| HookGate::of(one, node)).collect(),
        }
    }

    /// A page of the events that an endpoint was not given in the end.
    ///
    /// # Errors
    /// [`Problem`]: `not_found` if there is no such endpoint.
    pub async fn dead_letters(
        &self,
        caller: &Caller,
        endpoint: &str,
        filter: &DeadFilter,
    ) -> Result<DeadPage, Problem> {
        let hooks = self.endpoint(caller, endpoint)?;
        let limit = filter.limit.unwrap_or(PAGE);
        if !(1..=MAX_LETTERS).contains(&limit) {
            return Err(Problem::bad(format!("`limit` is 1 to {MAX_LETTERS}")));
        }
        let after = after_cursor(filter.cursor.as_deref())?;
        let after = Some(after).filter(|after| !after.is_empty());
        let page = hooks.dead_letters(endpoint, after, limit).await?;
        let letters = page.letters.into_iter().map(|letter| DeadLetter {
            key: letter.key,
            time: letter.time,
            attempts: letter.attempts,
            reason: letter.reason,
            // It was JSON when it was stored.
            event: serde_json::from_str(letter.event.get()).unwrap_or_default(),
        });
        Ok(DeadPage {
            letters: letters.collect(),
            next: page.next.as_deref().map(cursor_after),
        })
    }

    /// Sends given-up events anew, behind all that waits.
    ///
    /// # Errors
    /// [`Problem`]. If the store fails in the middle, some are sent anew, and the others are still there.
    pub async fn replay_dead(
        &self,
        caller: &Caller,
        endpoint: &str,
        which: &WhichDead,
    ) -> Result<Taken, Problem> {
        let hooks = self.endpoint(caller, endpoint)?;
        let taken = hooks.replay(endpoint, which.which()?).await?;
        tracing::info!(
            by = caller.id(),
            endpoint,
            taken,
            "dead letters are sent anew"
        );
        Ok(Taken { taken })
    }

    /// Throws given-up events away.
    ///
    /// # Errors
    /// [`Problem`]. If the store fails in the middle, some are gone, and the others are still there.
    pub async fn discard_dead(
        &self,
        caller: &Caller,
        endpoint: &str,
        which: &WhichDead,
    ) -> Result<Taken, Problem> {
        let hooks = self.endpoint(caller, endpoint)?;
        let taken = hooks.discard(endpoint, which.which()?).await?;
        tracing::info!(
            by = caller.id(),
            endpoint,
            taken,
            "dead letters are thrown away"
        );
        Ok(Taken { taken })
    }

    fn endpoint(
        &self,
        caller: &Caller,
        endpoint: &str,
    ) -> Result<&lakh_bridge::hooks::Hooks, Problem> {
        self.allow(caller, act::HOOKS, Thing::Hook(endpoint))?;
        let hooks = self.0.hooks.as_ref();
        hooks.ok_or_else(|| DeadError::NoEndpoint(endpoint.to_owned()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(sender: Option<&str>, sent: u64, waiting: Option<u64>) -> HookEndpoint {
        HookEndpoint {
            name: "crm".into(),
            sender: sender.map(str::to_owned),
            sent,
            waiting,
            ..HookEndpoint::default()
        }
    }

    #[test]
    fn what_nodes_say_of_an_endpoint_is_put_together() {
        for (is_shared, waiting) in [(true, Some(4)), (false, Some(9))] {
            let all = vec![endpoint(None, 2, Some(4)), endpoint(Some("n2"), 3, Some(5))];
            let all = together(all, |one| &one.name, |own, more| own.add(more, is_shared));
            assert_eq!(all, [endpoint(Some("n2"), 5, waiting)]);
        }
        let mut unread = endpoint(None, 0, None);
        unread.add(endpoint(None, 0, Some(1)), false);
        assert_eq!(unread.waiting, None, "part of it is no answer");
    }

    #[test]
    fn letters_are_named_or_all_of_them_are_meant() {
        let which = |keys: usize, all| {
            let keys = vec!["k".to_owned(); keys];
            WhichDead { keys, all }
                .which()
                .map_err(|problem| problem.code)
        };
        assert!(matches!(which(0, true), Ok(Which::All)));
        assert!(matches!(which(200, false), Ok(Which::Keys(_))));
        for (keys, all, code) in [
            (0, false, "bad_request"),
            (1, true, "bad_request"),
            (201, false, "too_large"),
        ] {
            assert_eq!(which(keys, all).err().as_deref(), Some(code));
        }
    }

    #[test]
    fn a_query_is_kept_back() {
        assert_eq!(
            without_query("https://a.example/x?key=1"),
            "https://a.example/x"
        );
        assert_eq!(without_query("https://a.example/x"), "https://a.example/x");
    }
}
