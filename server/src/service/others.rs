//! What nodes ask each other, and who did not answer.

use std::collections::BTreeSet;
use std::time::Duration;

use lakh_hub::{Missing, ServerEvent};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Service;
use super::ask::AskHere;
use super::emit::To;
use super::problem::Problem;
use super::rooms::RoomsWanted;
use super::sockets::SocketsWanted;

/// The event by which nodes ask each other.
const EVENT: &str = "lakh:api";

/// Nodes that did not answer: what they have is not in the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MissingNodes {
    /// How many.
    pub count: usize,
    /// Those of them that are known by name, a node that was killed lately perhaps among them. Servers of others in a mixed
    /// fleet don't answer such questions, and have no name here.
    pub names: Vec<String>,
    /// Redis was away, so no other node was asked.
    pub unreachable: bool,
}

impl MissingNodes {
    /// Whether everybody answered.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        self.count == 0 && !self.unreachable
    }
}

/// What a node asks the others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Question {
    /// A page of sockets.
    Sockets(SocketsWanted),
    /// A page of rooms.
    Rooms(RoomsWanted),
    /// How many members a room of the hub has.
    Members { namespace: String, room: String },
    /// How many sockets there are of these.
    Count(SocketsWanted),
    /// Ask clients.
    Ask(AskHere),
    /// Tell clients why they are about to go.
    Goodbye { to: To, reason: String },
    /// How the node is.
    Node,
    /// How its hooks are doing.
    Hooks,
    /// Have the node of this name end.
    Drain { node: String },
}

/// What a node answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Told<T> {
    /// Who says so.
    pub node: String,
    /// What it says.
    pub answer: T,
}

impl Service {
    /// Answers what other nodes ask.
    pub(super) fn listen(&self) {
        let service = self.clone();
        let namespace = self.hub().of(&self.0.common);
        namespace.on_server_event(EVENT, async move |event: ServerEvent| {
            let Ok(question) = event.args::<Question>() else {
                // Of a later version: it will see that this node is missing.
                return tracing::debug!("another node asks what this one doesn't understand");
            };
            let told = Told {
                node: service.host().name().to_owned(),
                answer: service.answer(question).await,
            };
            if let Err(error) = event.answer(&told) {
                tracing::warn!(%error, "another node was not answered");
            }
        });
    }

    async fn answer(&self, question: Question) -> Value {
        let answer = match question {
            Question::Sockets(wanted) => serde_json::to_value(self.sockets_here(&wanted).await),
            Question::Rooms(wanted) => serde_json::to_value(self.rooms_here(&wanted).await),
            Question::Members { namespace, room } => {
                serde_json::to_value(self.members_here(&namespace, &room).await)
            }
            Question::Count(wanted) => serde_json::to_value(self.count_here(&wanted).await),
            Question::Ask(ask) => serde_json::to_value(self.ask_here(&ask).await),
            Question::Goodbye { to, reason } => {
                serde_json::to_value(self.say_goodbye(&to, &reason).is_ok())
            }
            Question::Node => serde_json::to_value(self.host().report().await),
            Question::Hooks => serde_json::to_value(self.hooks_here().await),
            Question::Drain { node } => {
                let drains = node == self.host().name();
                serde_json::to_value(drains.then(|| self.host().drain()))
            }
        };
        // Text, numbers and lists of them: this can't fail.
        answer.unwrap_or_default()
    }

    /// Asks all other nodes.
    pub(super) async fn ask_others<T: DeserializeOwned>(
        &self,
        question: &Question,
        patience: Duration,
    ) -> Result<(Vec<Told<T>>, MissingNodes), Problem> {
        let namespace = self.hub().of(&self.0.common);
        let asked = namespace.server_side_emit_with_ack::<Value>(EVENT, question, patience);
        let acks = asked.await?;
        // What doesn't fit is of another version.
        let told: Vec<Told<T>> = acks
            .answers
            .into_iter()
            .filter_map(|answer| serde_json::from_value(answer).ok())
            .collect();
        let missing = self.missing(&acks.missing, &told).await;
        Ok((told, missing))
    }

    /// The names of those who are missing, as far as they are known.
    async fn missing<T>(&self, missing: &Missing, told: &[Told<T>]) -> MissingNodes {
        let mut names = BTreeSet::new();
        if !missing.is_nobody() {
            names.extend(self.host().known_names().await);
            names.remove(self.host().name());
            for told in told {
                names.remove(&told.node);
            }
        }
        MissingNodes {
            count: missing.count,
            names: names.into_iter().collect(),
            unreachable: missing.unreachable,
        }
    }
}
