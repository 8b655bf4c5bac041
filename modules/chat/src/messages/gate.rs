//! The gate before a message: a hook of a backend, or whatever else the house has put there.

use std::borrow::Cow;

use lakh_hub::{Failure, Passed, Wish};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{check_data, check_text};
use crate::asker::Asker;
use crate::shapes::Said;
use crate::{Chat, stored};

/// What somebody outside may see and change about a message.
#[derive(Serialize, Deserialize)]
struct Content<'a> {
    text: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Cow<'a, Map<String, Value>>>,
}

/// Lets a message through the gate, if there is one. Text and data may be others then.
pub(super) async fn pass(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    event: &str,
    said: &mut Said,
) -> Result<Passed, Failure> {
    let Some(socket) = asker.socket().filter(|socket| socket.is_gated()) else {
        return Ok(Passed::default());
    };
    let content = Content {
        text: said.text.as_str().into(),
        data: said.data.as_ref().map(Cow::Borrowed),
    };
    let data = serde_json::to_string(&content).map_err(|error| stored::unreadable(&error))?;
    let wish = Wish::Publish {
        room,
        event,
        data: &data,
    };
    let passed = socket.pass(wish).await?;
    if let Some(changed) = &passed.changed {
        let changed: Content<'_> = serde_json::from_str(changed.get()).map_err(|error| {
            tracing::warn!(%error, "a hook has changed a message into something without a text");
            Failure::new("unavailable", "the server's backend has spoilt the message")
        })?;
        check_text(chat, &changed.text, !said.attachments.is_empty())?;
        check_data(changed.data.as_deref())?;
        said.text = changed.text.into_owned();
        // A hook that knows of texts only leaves the rest alone.
        if let Some(data) = changed.data {
            said.data = Some(data.into_owned());
        }
    }
    Ok(passed)
}
