//! The schema: what can be asked, done and subscribed to. Each field is one call of the service, which decides the rights.

mod ask;
mod change;
mod chat;
mod hear;
mod hooks;
mod inputs;
mod room;
mod tokens;
mod types;
mod world;

#[cfg(test)]
mod tests;

use async_graphql::{Context, Error, ErrorExtensions as _, MergedObject, Schema, SchemaBuilder};

use crate::http::HttpState;
use crate::service::{Caller, Problem, Service};

use hear::Subscription;

/// Fields within fields.
const MAX_DEPTH: usize = 12;
/// Fields of a request at most, where a list counts for as many as it may hold.
const MAX_COST: usize = 20_000;
/// Recursion of the parser.
const MAX_NESTING: usize = 32;
/// Directives of one field.
const MAX_DIRECTIVES: usize = 16;

/// Entries of a page when no number is named, for what a request costs.
const PAGE: i32 = 50;

/// What can be asked.
#[derive(MergedObject, Debug, Default)]
pub(crate) struct Query(ask::Ask, tokens::AskTokens, hooks::AskHooks);

/// What can be done.
#[derive(MergedObject, Debug, Default)]
pub(crate) struct Mutation(
    change::Change,
    tokens::ChangeTokens,
    hooks::ChangeHooks,
    chat::ChangeChat,
    world::ChangeWorld,
);

/// The schema of this server.
pub(super) type LakhSchema = Schema<Query, Mutation, Subscription>;

fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query::default(), Mutation::default(), Subscription)
        .limit_depth(MAX_DEPTH)
        .limit_complexity(MAX_COST)
        .limit_recursive_depth(MAX_NESTING)
        .limit_directives(MAX_DIRECTIVES)
}

/// The schema over the service of an HTTP side.
#[must_use]
pub(super) fn schema(state: HttpState) -> LakhSchema {
    let service = state.service.clone();
    builder().data(service).data(state).finish()
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

fn root() -> String {
    "/".to_owned()
}

/// A number out of range stays one.
fn count(limit: i32) -> usize {
    usize::try_from(limit).unwrap_or(0)
}

/// What a page costs.
fn page(limit: Option<i32>) -> usize {
    count(limit.unwrap_or(PAGE).clamp(1, 1_000))
}
