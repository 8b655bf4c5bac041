//! Events that are answered: `emit_with_ack` from outside, with who answered what and who did not.
//!
//! Each node asks its own sockets one by one, so that every answer has its socket's name; that is what Socket.IO's own
//! request between servers doesn't tell. The number of those who are asked is bounded, so are the answers.

use std::time::Duration;

use futures_util::future::join_all;
use lakh_hub::{AckError, Payload, Person};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::caller::{Caller, act};
use super::emit::{To, Whom, root};
use super::others::{MissingNodes, Question};
use super::problem::{Kind, Problem};
use super::sockets::{SocketsWanted, User};
use super::values::{Answer, Arguments};
use super::{Service, names};

/// Sockets that are asked at once, over all nodes.
const MAX_ASKED: usize = 1_000;
/// How long answers are waited for when no time is given.
const WAIT: Duration = Duration::from_secs(5);
/// How much longer another node is waited for than its sockets.
const GRACE: Duration = Duration::from_secs(2);
/// Bytes of answers that one node gives.
const MAX_ANSWER_BYTES: usize = 8 << 20;

/// A question to clients.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The namespace.
    #[serde(default = "root")]
    #[schema(example = "/")]
    pub namespace: String,
    /// To the members of these rooms.
    #[serde(default)]
    #[schema(example = json!(["board:7"]))]
    pub rooms: Vec<String>,
    /// To all sockets of these people, by their ids.
    #[serde(default)]
    pub people: Vec<String>,
    /// To these sockets, by their ids.
    #[serde(default)]
    pub sockets: Vec<String>,
    /// To everybody in the namespace; then nobody is named besides.
    #[serde(default)]
    pub all: bool,
    /// Not to these.
    #[serde(default)]
    pub except: Whom,
    /// The event's name.
    #[schema(example = "still-there?")]
    pub event: String,
    /// Its one argument. `{"$binary":"<base64>"}` anywhere in it is a binary value.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    pub data: Option<Box<RawValue>>,
    /// Its arguments, where there are none or several; instead of `data`.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Value>>)]
    pub args: Option<Vec<Box<RawValue>>>,
    /// How long answers are waited for, in milliseconds; 5000 when nothing is said.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
}

/// A socket that was asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Answered {
    /// The socket's id.
    pub socket: String,
    /// Who is behind it, if somebody is signed in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<User>,
    /// The first argument of its answer; `{"$binary":"<base64>"}` is a binary value.
    pub answer: Value,
}

/// A socket that did not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Unanswered {
    /// The socket's id.
    pub socket: String,
    /// Who is behind it, if somebody is signed in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<User>,
    /// "timeout", "disconnected", "overloaded" (the event could not be sent) or "too_large" (its node had too many answers).
    #[schema(example = "timeout")]
    pub reason: String,
}

/// What came of a question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Answers {
    /// Who answered.
    pub answers: Vec<Answered>,
    /// Who was asked and did not.
    pub silent: Vec<Unanswered>,
    /// Nodes whose sockets were perhaps not asked.
    pub missing: MissingNodes,
}

/// A question, as nodes pass it on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct AskHere {
    pub whom: SocketsWanted,
    pub event: String,
    pub args: Vec<Box<RawValue>>,
    pub timeout_ms: u64,
}

/// What one node's sockets said.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct AnswersHere {
    answers: Vec<Answered>,
    silent: Vec<Unanswered>,
}

impl Ask {
    fn to(&self) -> To {
        To {
            namespace: self.namespace.clone(),
            rooms: self.rooms.clone(),
            people: self.people.clone(),
            sockets: self.sockets.clone(),
            all: self.all,
            except: self.except.clone(),
        }
    }
}

impl Service {
    /// Sends an event and collects the answers of all who got it.
    ///
    /// # Errors
    /// [`Problem`]: `too_large` if more are concerned than can be asked at once; then nobody was.
    pub async fn emit_with_ack(&self, caller: &Caller, ask: &Ask) -> Result<Answers, Problem> {
        let to = ask.to();
        self.may_reach(caller, act::EMIT, &to)?;
        self.namespace(&to.namespace)?;
        names::event(&ask.event)?;
        let timeout = self.ack_timeout(ask.timeout_ms)?;
        let args = match (&ask.data, &ask.args) {
            (Some(_), Some(_)) => return Err(Problem::bad("give `data` or `args`, not both")),
            (Some(data), None) => vec![data.clone()],
            (None, Some(args)) => args.clone(),
            (None, None) => Vec::new(),
        };
        let limits = &self.hub().settings().limits;
        // Seen to be well here, so that no other node finds it otherwise.
        Arguments::read(&args.iter().map(|arg| &**arg).collect::<Vec<_>>(), limits)?;
        let whom = to.whom();
        let here = AskHere {
            whom: whom.wanted(&to.namespace, &to.except, MAX_ASKED + 1)?,
            event: ask.event.clone(),
            args,
            timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        };
        let (count, _) = self.count_everywhere(&here.whom).await?;
        if count > MAX_ASKED {
            return Err(Problem::new(
                Kind::TooLarge,
                "too_large",
                format!(
                    "more than {MAX_ASKED} sockets would be asked; send a plain event, or ask fewer"
                ),
            ));
        }
        let question = Question::Ask(here.clone());
        let others = self.ask_others::<AnswersHere>(&question, timeout + GRACE);
        let (own, others) = tokio::join!(self.ask_here(&here), others);
        let (told, missing) = others?;
        let mut all = Answers {
            missing,
            ..Answers::default()
        };
        for here in std::iter::once(own).chain(told.into_iter().map(|told| told.answer)) {
            all.answers.extend(here.answers);
            all.silent.extend(here.silent);
        }
        Ok(all)
    }

    fn ack_timeout(&self, timeout_ms: Option<u64>) -> Result<Duration, Problem> {
        let most = self.config().max_ack_timeout;
        match timeout_ms.map(Duration::from_millis) {
            None => Ok(WAIT.min(most)),
            Some(timeout) if !timeout.is_zero() && timeout <= most => Ok(timeout),
            Some(_) => {
                let most_ms = most.as_millis();
                Err(Problem::bad(format!("`timeout_ms` is 1 to {most_ms}")))
            }
        }
    }

    /// Asks the sockets of this node.
    pub(super) async fn ask_here(&self, ask: &AskHere) -> AnswersHere {
        let args: Vec<&RawValue> = ask.args.iter().map(|arg| &**arg).collect();
        let limits = &self.hub().settings().limits;
        let Ok(arguments) = Arguments::read(&args, limits) else {
            return AnswersHere::default();
        };
        let payload = arguments.payload(&ask.event);
        let timeout = Duration::from_millis(ask.timeout_ms);
        let found = self.handles_here(&ask.whom).await;
        let asked = found.into_iter().map(|(socket, _)| {
            let payload = Payload::clone(&payload);
            async move {
                let answer = match socket.timeout(timeout).emit_raw_with_ack::<Answer>(payload) {
                    Ok(answer) => answer.await,
                    Err(full) => Err(AckError::Overloaded(full)),
                };
                let user = socket.get::<Person>().map(|person| User::from(&*person));
                (socket.id().to_owned(), user, answer)
            }
        });
        let mut told = AnswersHere::default();
        let mut bytes = 0;
        for (socket, user, answer) in join_all(asked).await {
            let reason = match answer {
                Ok(Answer(answer)) => {
                    bytes += answer.to_string().len();
                    if bytes <= MAX_ANSWER_BYTES {
                        told.answers.push(Answered {
                            socket,
                            user,
                            answer,
                        });
                        continue;
                    }
                    "too_large"
                }
                Err(AckError::Timeout | AckError::Args(_)) => "timeout",
                Err(AckError::Disconnected) => "disconnected",
                Err(AckError::TooMany | AckError::Overloaded(_)) => "overloaded",
            };
            told.silent.push(Unanswered {
                socket,
                user,
                reason: reason.to_owned(),
            });
        }
        told
    }
}
