//! The schema: what can be asked, done and subscribed to. Each field is one call of the service, which decides the rights.

mod ask;
mod change;
mod hear;
mod types;

use async_graphql::{Context, Error, ErrorExtensions as _, Schema};

use crate::service::{Caller, Problem, Service};

use ask::Query;
use change::Mutation;
use hear::Subscription;

/// Fields within fields.
const MAX_DEPTH: usize = 12;
/// Fields of a request at most, where a list counts for as many as it may hold.
const MAX_COST: usize = 20_000;
/// Recursion of the parser.
const MAX_NESTING: usize = 32;
/// Directives of one field.
const MAX_DIRECTIVES: usize = 16;

/// The schema of this server.
pub(super) type LakhSchema = Schema<Query, Mutation, Subscription>;

/// The schema over a service.
#[must_use]
pub(super) fn schema(service: Service) -> LakhSchema {
    Schema::build(Query, Mutation, Subscription)
        .limit_depth(MAX_DEPTH)
        .limit_complexity(MAX_COST)
        .limit_recursive_depth(MAX_NESTING)
        .limit_directives(MAX_DIRECTIVES)
        .data(service)
        .finish()
}

/// The service, and who asks it.
fn asked<'a>(context: &Context<'a>) -> Result<(&'a Service, Caller), Error> {
    let service = context.data::<Service>()?;
    Ok((service, context.data::<Caller>()?.clone()))
}

/// A problem as an error: its code stands in `extensions.code`.
fn error(problem: Problem) -> Error {
    let retry = problem.retry_after_ms;
    Error::new(problem.message).extend_with(|_, extensions| {
        extensions.set("code", problem.code);
        if let Some(retry) = retry {
            extensions.set("retryAfterMs", retry);
        }
    })
}
