//! Requests: the one way in which modules are asked for something.
//!
//! A request is an event with an acknowledgement. The answer is one object: `{"ok":true,…}` with the fields of the
//! result, or `{"ok":false,"error":{"code","message"}}`.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::ack::Ack;
use crate::args;
use crate::event::EventRef;
use crate::handler::Handler;
use crate::namespace::Namespace;
use crate::payload::Payload;
use crate::socket::Socket;

/// Why a request was not granted. The code is for programs, the message for people.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Failure {
    /// `snake_case`, from the list in the module's documentation.
    pub code: &'static str,
    /// What went wrong and what to do about it.
    pub message: String,
    /// What is there, where that is not what was expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<Box<Value>>,
}

impl Failure {
    /// A failure with a code and a message.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            current: None,
        }
    }

    /// The same, with what is there.
    #[must_use]
    pub fn with_current(mut self, current: Value) -> Self {
        self.current = Some(Box::new(current));
        self
    }

    /// The request's fields are missing, of the wrong type, or out of range.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new("bad_request", message)
    }
}

#[derive(Serialize)]
struct Granted<T> {
    ok: bool,
    #[serde(flatten)]
    result: T,
}

#[derive(Serialize)]
struct Refused<'a> {
    ok: bool,
    error: &'a Failure,
}

/// The arguments of the answer to a request.
#[must_use]
pub fn answer<T: Serialize>(result: Result<T, Failure>) -> Payload {
    let encoded = match result {
        Ok(result) => args::encode(None, &Granted { ok: true, result }),
        Err(failure) => args::encode(
            None,
            &Refused {
                ok: false,
                error: &failure,
            },
        ),
    };
    encoded.unwrap_or_else(|error| {
        tracing::error!(%error, "a result could not be written as JSON");
        Payload::from_raw(r#"[{"ok":false,"error":{"code":"internal","message":"the result could not be written"}}]"#, Vec::new())
    })
}

/// Reads what is asked. Bytes that the request has no place for would be lost, and what stands for them be kept.
fn read<T: DeserializeOwned>(event: &EventRef<'_>) -> Result<T, Failure> {
    let (read, taken) = args::counting_taken(|| event.args.decode(1));
    let read = read.map_err(|error| Failure::misread(&error))?;
    match taken < event.attachments().len() {
        false => Ok(read),
        true => Err(Failure::bad_request(
            "binary values aren't taken here; send them as text, such as Base64",
        )),
    }
}

/// Characters of a request's name that a refusal repeats.
const MAX_NAMED_CHARS: usize = 64;

impl Namespace {
    /// Answers requests under this name: the first argument is read as `T`, and the result becomes the answer.
    /// Arguments that don't fit are answered `bad_request`.
    pub fn on_request<T, R, F>(&self, name: &str, handler: F)
    where
        T: DeserializeOwned + 'static,
        R: Serialize + 'static,
        F: AsyncFn(Socket, T) -> Result<R, Failure> + Send + Sync + 'static,
    {
        let handler = Arc::new(handler);
        self.add_handler(
            name,
            Handler::new(move |socket, event| {
                let args = read::<T>(event);
                let ack = Ack {
                    socket: socket.clone(),
                    id: event.ack,
                };
                let (handler, socket) = (Arc::clone(&handler), socket.clone());
                Ok(Box::pin(async move {
                    let result = match args {
                        Ok(args) => handler(socket, args).await,
                        Err(failure) => Err(failure),
                    };
                    // Nobody reads what nobody asked for.
                    if ack.id.is_some() {
                        ack.send_raw(answer(result));
                    }
                }))
            }),
        );
    }

    /// Refuses what nothing else answers: an event that has no handler and asks for an answer is told `unknown_request`. For
    /// namespaces in which there is nothing but requests; elsewhere, as in Node, nobody answers.
    pub fn refuse_other_requests(&self) {
        let handler = Handler::new(|socket, event| {
            if event.ack.is_some() {
                let name: String = event.name.chars().take(MAX_NAMED_CHARS).collect();
                let message = format!("`{name}` is no request of {}", socket.namespace().name());
                let ack = Ack {
                    socket: socket.clone(),
                    id: event.ack,
                };
                ack.send_raw(answer::<()>(Err(Failure::new("unknown_request", message))));
            }
            Ok(Box::pin(std::future::ready(())))
        });
        self.change(|handlers| handlers.other = Some(handler.clone()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_have_one_shape() {
        assert_eq!(
            answer(Ok(json!({"seq": 3}))).text(),
            r#"[{"ok":true,"seq":3}]"#
        );
        assert_eq!(answer(Ok(())).text(), r#"[{"ok":true}]"#);
        let refused: Result<(), Failure> = Err(Failure::new("forbidden", "no"));
        assert_eq!(
            answer(refused).text(),
            r#"[{"ok":false,"error":{"code":"forbidden","message":"no"}}]"#
        );
        let conflict = Failure::new("conflict", "no").with_current(json!({"version": 1}));
        assert_eq!(
            answer::<()>(Err(conflict)).text(),
            r#"[{"ok":false,"error":{"code":"conflict","message":"no","current":{"version":1}}}]"#
        );
    }
}
