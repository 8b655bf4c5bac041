//! How requests of this part are read and answered: as all of the module's, but that a refusal may say what is there, and
//! that values are kept as the text that came.

use std::sync::Arc;

use lakh_hub::{Ack, ArgsError, EventRef, Failure, FromEvent, Namespace, Payload, Socket};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::args::Args;
use crate::state::{Refusal, States};

/// A request as it was read from the socket's buffer, with what is wrong with it.
struct Request<T>(Result<T, Failure>);

impl<T: DeserializeOwned + 'static> FromEvent for Request<T> {
    fn from_event(_: &Socket, event: &EventRef<'_>) -> Result<Self, ArgsError> {
        if !event.attachments().is_empty() {
            return Ok(Self(Err(Failure::bad_request(
                "binary values can't be kept here; write them as text",
            ))));
        }
        Ok(Self(read(event.text())))
    }
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    let args: Args<T> = serde_json::from_str(text).map_err(|error| Failure::misread(&error))?;
    args.0
        .ok_or_else(|| Failure::bad_request("this request takes an object"))
}

/// Answers requests of this name.
pub(in crate::state) fn on<T, R, F>(namespace: &Namespace, name: &str, states: &States, handler: F)
where
    T: DeserializeOwned + 'static,
    R: Serialize + 'static,
    F: AsyncFn(States, Socket, T) -> Result<R, Refusal> + Send + Sync + 'static,
{
    let handler = Arc::new(handler);
    let states = states.clone();
    namespace.on(
        name,
        async move |socket: Socket, request: Request<T>, ack: Ack| {
            let result = match request.0 {
                Ok(request) => handler(states.clone(), socket, request).await,
                Err(failure) => Err(failure.into()),
            };
            ack.send_raw(answer(&result));
        },
    );
}

#[derive(Serialize)]
struct Told<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<&'a RawValue>,
}

fn answer<R: Serialize>(result: &Result<R, Refusal>) -> Payload {
    let text = match result {
        Ok(result) => serde_json::to_string(result).map(|fields| {
            // The fields of an object; nothing is written as null.
            let fields = fields.strip_prefix('{').unwrap_or("}");
            let comma = if fields == "}" { "" } else { "," };
            format!("[{{\"ok\":true{comma}{fields}]")
        }),
        Err(Refusal { failure, current }) => {
            let told = Told {
                code: failure.code,
                message: &failure.message,
                current: current.as_deref(),
            };
            serde_json::to_string(&told).map(|told| format!("[{{\"ok\":false,\"error\":{told}}}]"))
        }
    };
    // What was read as JSON can be written as JSON.
    Payload::from_raw(text.unwrap_or_default(), Vec::new())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_have_the_shape_of_all_answers() {
        assert_eq!(
            answer(&Ok(json!({"version": 3}))).text(),
            r#"[{"ok":true,"version":3}]"#
        );
        assert_eq!(answer(&Ok(())).text(), r#"[{"ok":true}]"#);
        assert_eq!(answer(&Ok(json!({}))).text(), r#"[{"ok":true}]"#);
        let refusal = Refusal::conflict("no", &json!({"version": 1}));
        assert_eq!(
            answer::<()>(&Err(refusal)).text(),
            r#"[{"ok":false,"error":{"code":"conflict","message":"no","current":{"version":1}}}]"#
        );
    }

    #[test]
    fn what_is_no_request_is_a_bad_request() {
        #[derive(serde::Deserialize, Debug)]
        struct Set {
            #[allow(dead_code, reason = "only whether it can be read matters")]
            value: Box<RawValue>,
        }
        for list in [r#"["e"]"#, r#"["e",null]"#, r#"["e",1]"#, r#"["e",{}]"#] {
            let read = read::<Set>(list).map_err(|failure| failure.code);
            assert_eq!(read.err(), Some("bad_request"), "{list}");
        }
        for value in ["null", "1.0", r#"{"a" : 1}"#] {
            let set = read::<Set>(&format!(r#"["e",{{"value":{value}}},"surplus"]"#));
            assert_eq!(
                set.map(|set| set.value.get().to_owned()).ok().as_deref(),
                Some(value)
            );
        }
    }
}
