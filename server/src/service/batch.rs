//! Several things in one request, each with its own result.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::ToSchema;

use super::Service;
use super::caller::Caller;
use super::change::{Disconnect, Move, Moved};
use super::emit::{Emit, Emitted};
use super::problem::{Kind, Problem, ProblemText};

/// How long operations are begun: together with the last of them it's less than a request may be under way.
const PATIENCE: Duration = Duration::from_secs(60);

/// One of the things.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Send an event.
    Emit(Emit),
    /// Make sockets join rooms.
    Join(Move),
    /// Make sockets leave rooms.
    Leave(Move),
    /// Disconnect sockets.
    Disconnect(Disconnect),
}

/// Several things.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// What is to be done, one after the other.
    pub operations: Vec<Operation>,
}

/// What became of one of them: its result under the operation's name, or `error`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The event was sent.
    Emit(Emitted),
    /// They joined.
    Join(Moved),
    /// They left.
    Leave(Moved),
    /// They are gone.
    Disconnect(Moved),
    /// It was not done. Those before and behind it were tried all the same.
    Error(ProblemText),
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Outcomes {
    /// One for each operation, in their order.
    pub results: Vec<Outcome>,
    /// How many of them were not done.
    pub failed: usize,
}

impl Service {
    /// Does several things, one after the other: what is wrong with one doesn't keep the others.
    ///
    /// # Errors
    /// [`Problem`], if none was tried.
    pub async fn batch(&self, caller: &Caller, batch: &Batch) -> Result<Outcomes, Problem> {
        let most = self.config().max_batch;
        if batch.operations.is_empty() {
            return Err(Problem::bad("`operations` names one at least"));
        }
        if batch.operations.len() > most {
            return Err(Problem::new(
                Kind::TooLarge,
                "too_large",
                format!("a batch has up to {most} operations; send several"),
            ));
        }
        let mut results = Vec::with_capacity(batch.operations.len());
        let deadline = Instant::now() + PATIENCE;
        for operation in &batch.operations {
            if Instant::now() > deadline {
                let late = Problem::new(
                    Kind::Timeout,
                    "timeout",
                    "those before it took too long; it was not tried",
                );
                results.push(Outcome::Error(late.text()));
                continue;
            }
            let done = match operation {
                Operation::Emit(emit) => self.emit(caller, emit).await.map(Outcome::Emit),
                Operation::Join(change) => self
                    .join_counting(caller, change, false)
                    .await
                    .map(Outcome::Join),
                Operation::Leave(change) => self
                    .leave_counting(caller, change, false)
                    .await
                    .map(Outcome::Leave),
                Operation::Disconnect(request) => self
                    .disconnect_counting(caller, request, false)
                    .await
                    .map(Outcome::Disconnect),
            };
            results.push(done.unwrap_or_else(|problem| Outcome::Error(problem.text())));
        }
        let failed = results
            .iter()
            .filter(|result| matches!(result, Outcome::Error(_)))
            .count();
        Ok(Outcomes { results, failed })
    }
}
