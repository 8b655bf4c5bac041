//! What is the same about requests of all modules that backends make: for a person, or for themselves.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::problem::{Kind, Problem};

/// A request of a module: its object as clients send it, and for whom.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct ModuleRequest {
    /// The id of the person who asks: they may what their roles in chat allow, and change what they own in worlds. Without
    /// it the backend asks for itself, in chat as `system`, and may everything.
    #[serde(rename = "as")]
    #[schema(example = "ada")]
    pub person: Option<String>,
    /// What the person is called where no profile of theirs says so.
    pub as_name: Option<String>,
    /// The fields of the request.
    #[serde(flatten)]
    pub fields: BTreeMap<String, Value>,
}

impl ModuleRequest {
    /// The object as clients send it.
    pub(super) fn object(&self) -> String {
        // Made of what was read as JSON, so this can't fail.
        serde_json::to_string(&self.fields).unwrap_or_default()
    }

    /// A field, where it is text.
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).and_then(Value::as_str)
    }
}

/// Checks that a module has a request of this name.
pub(super) fn known(module: &str, requests: &[&str], name: &str) -> Result<(), Problem> {
    match requests.contains(&name) {
        true => Ok(()),
        false => Err(Problem::not_found(format!(
            "{module} has no request `{name}`"
        ))),
    }
}

/// Reads what a module has answered.
pub(super) fn answer(module: &str, name: &str, answer: &RawValue) -> Result<Value, Problem> {
    serde_json::from_str(answer.get()).map_err(|error| {
        tracing::error!(%error, module, name, "a module's answer is no JSON");
        let message = format!("the answer of {module} can't be read");
        Problem::new(Kind::Internal, "internal", message)
    })
}

/// What asks a module that this server doesn't serve.
pub(super) fn not_served(what: &str) -> Problem {
    let message = format!("this server doesn't serve {what}: `server.modules` says what it serves");
    Problem::new(Kind::Unprocessable, "unsupported", message)
}
