//! The chat's requests: one mutation for all of them, since the chat itself says what each takes and gives.

use std::collections::BTreeMap;

use async_graphql::{Context, ID, Json, Object, Result, SimpleObject};
use serde_json::Value;

use super::change::once;
use crate::service::module::ModuleRequest;

/// What can be done in the chat.
#[derive(Debug, Default)]
pub(super) struct ChangeChat;

/// What a request of the chat was answered.
#[derive(SimpleObject)]
struct ChatAnswer {
    /// As docs/chat.md says, without `ok`.
    answer: Json<Value>,
    /// Whether this is the answer to an earlier request with the same key.
    repeated: bool,
}

#[Object]
impl ChangeChat {
    /// Makes a request of the chat, such as `message:send`.
    #[graphql(complexity = 20)]
    async fn chat(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Its name.")] request: String,
        #[graphql(
            name = "as",
            desc = "The person who asks; without it the backend asks for itself."
        )]
        person: Option<ID>,
        #[graphql(desc = "What the person is called where no profile of theirs says so.")]
        as_name: Option<String>,
        #[graphql(desc = "Its object, as clients send it.")] body: Json<BTreeMap<String, Value>>,
        idempotency_key: Option<String>,
    ) -> Result<ChatAnswer> {
        let asked = ModuleRequest {
            person: person.map(|id| id.0),
            as_name,
            fields: body.0,
        };
        let done = once(
            context,
            idempotency_key,
            "chat",
            (request, asked),
            |service, caller, (name, asked)| async move { service.chat(&caller, &name, &asked).await },
        );
        let (answer, repeated) = done.await?;
        Ok(ChatAnswer {
            answer: Json(answer),
            repeated,
        })
    }
}
