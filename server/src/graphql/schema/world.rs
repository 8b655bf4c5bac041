//! The requests of worlds: one mutation for all of them, since the module itself says what each takes and gives.

use std::collections::BTreeMap;

use async_graphql::{Context, ID, Json, Object, Result, SimpleObject};
use serde_json::Value;

use super::change::once;
use crate::service::module::ModuleRequest;

/// What can be done in worlds.
#[derive(Debug, Default)]
pub(super) struct ChangeWorld;

/// What a request of a world was answered.
#[derive(SimpleObject)]
struct WorldAnswer {
    /// As docs/world.md says, without `ok`.
    answer: Json<Value>,
    /// Whether this is the answer to an earlier request with the same key.
    repeated: bool,
}

#[Object]
impl ChangeWorld {
    /// Makes a request of a world, such as `world:spawn`.
    #[graphql(complexity = 20)]
    async fn world(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Its name.")] request: String,
        #[graphql(
            name = "as",
            desc = "The person who asks; without it the backend asks for itself."
        )]
        person: Option<ID>,
        #[graphql(desc = "What the person is called.")] as_name: Option<String>,
        #[graphql(desc = "Its object, as clients send it.")] body: Json<BTreeMap<String, Value>>,
        idempotency_key: Option<String>,
    ) -> Result<WorldAnswer> {
        let asked = ModuleRequest {
            person: person.map(|id| id.0),
            as_name,
            fields: body.0,
        };
        let done = once(
            context,
            idempotency_key,
            "world",
            (request, asked),
            |service, caller, (name, asked)| async move { service.world(&caller, &name, &asked).await },
        );
        let (answer, repeated) = done.await?;
        Ok(WorldAnswer {
            answer: Json(answer),
            repeated,
        })
    }
}
