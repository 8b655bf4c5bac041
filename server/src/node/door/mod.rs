//! Sign-in at CONNECT: who comes into which namespace, and as whom.
//!
//! What must hold: where tokens are needed nobody is in a namespace without one, and what a socket is called comes from
//! its sign-in and from nothing else that it says. A client that takes up an earlier session within the recovery window
//! is not asked again, as in Node, where this node had the session; from another node, it is.

use lakh_auth::{Kind, Principal};
use lakh_hub::{ConnectError, Hub, Socket};
use serde_json::{Value, json};

use super::modules::namespace;
use crate::config::{Module, Settings};
use crate::sign_in::{Credentials, SignIn, SignInError};

/// Puts the check on the namespace of every module that is to be served.
pub fn guard(hub: &Hub, sign_in: &SignIn, settings: &Settings) {
    let old_clients = settings.engine.allow_eio3;
    for module in &settings.server.modules {
        let (sign_in, module) = (sign_in.clone(), *module);
        let check = async move |socket: Socket| {
            let (auth, handshake) = (said(&socket, old_clients), socket.handshake());
            let credentials = Credentials::of_connect(&auth, handshake);
            let principal = who(&sign_in, module, &credentials).await.map_err(refusal)?;
            if principal.kind != Kind::Anonymous
                && socket.namespace().hub().cluster_state().is_some()
            {
                // What other nodes see of it.
                let (id, name) = (&principal.id, &principal.name);
                socket.set_data(json!({"user": {"id": id, "name": name}}));
            }
            socket.set_principal(principal);
            Ok(())
        };
        hub.of(namespace(module)).use_connect(check);
    }
}

/// What a client says about itself. Clients of protocol version 3 can't give `auth`: what they put into `query` counts.
fn said(socket: &Socket, old_clients: bool) -> Value {
    match socket.auth() {
        Ok(Value::Object(auth)) => Value::Object(auth),
        _ if old_clients => {
            let handshake = socket.handshake();
            json!({ "token": handshake.query_param("token"), "name": handshake.query_param("name") })
        }
        _ => Value::Null,
    }
}

/// Who comes in: somebody, or nobody in particular.
async fn who(
    sign_in: &SignIn,
    module: Module,
    credentials: &Credentials<'_>,
) -> Result<Principal, SignInError> {
    // Rooms for any event ask for no name, so a bare `io()` works where nobody is asked for a token.
    if !sign_in.needs_tokens() && credentials.name.is_none() && module == Module::Rooms {
        return Ok(Principal::anonymous());
    }
    let principal = sign_in.check(credentials).await?;
    // Whoever writes in chat is somebody.
    match principal.kind == Kind::Anonymous && module == Module::Chat {
        true => Err(SignInError::Needed),
        false => Ok(principal),
    }
}

fn refusal(error: SignInError) -> ConnectError {
    ConnectError::new(error.to_string()).with_data(json!({ "code": error.code() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Auth;
    use crate::config::value::Secret;

    const NOW_S: u64 = 1_800_000_000;

    fn auth() -> Auth {
        Auth {
            secret: Some(Secret("0123456789abcdef0123456789abcdef".into())),
            ..Auth::default()
        }
    }

    fn at(now_s: fn() -> u64, auth: &Auth) -> SignIn {
        SignIn::new(auth, now_s).unwrap()
    }

    fn shown(auth: &Value) -> Credentials<'_> {
        Credentials {
            token: auth.get("token").and_then(Value::as_str),
            name: auth.get("name").and_then(Value::as_str),
            ..Credentials::default()
        }
    }

    async fn id(sign_in: &SignIn, module: Module, auth: Value) -> Result<String, SignInError> {
        let person = who(sign_in, module, &shown(&auth)).await;
        person.map(|person| person.id)
    }

    #[tokio::test]
    async fn where_names_are_enough_chat_asks_for_one_and_rooms_do_not() {
        let names = at(|| NOW_S, &Auth::default());
        for module in [Module::Rooms, Module::Chat] {
            let person = id(&names, module, json!({ "name": "Ada" })).await;
            assert_eq!(person.as_deref(), Ok("dev:ada"));
            let bad = id(&names, module, json!({ "name": "\n" })).await;
            assert_eq!(bad, Err(SignInError::BadName));
        }
        for nothing in [
            Value::Null,
            json!({}),
            json!({ "name": null, "token": "x" }),
        ] {
            let rooms = id(&names, Module::Rooms, nothing.clone()).await;
            assert_eq!(rooms.as_deref(), Ok(""));
            let chat = id(&names, Module::Chat, nothing).await;
            assert_eq!(chat, Err(SignInError::Needed));
        }
    }

    #[tokio::test]
    async fn where_tokens_are_needed_nobody_comes_in_without_one() {
        let tokens = at(|| NOW_S, &auth());
        let later = at(|| NOW_S + 3_600, &auth());
        let token = tokens.issue(&Principal::person("u1", "Ada"), None, 60);
        // The name comes from the token, whatever else is said.
        let said = json!({ "token": token.unwrap(), "name": "Eve", "id": "u2" });
        for module in [Module::Rooms, Module::Chat] {
            for nothing in [Value::Null, json!({ "name": "Ada" }), json!({ "token": 5 })] {
                let refused = id(&tokens, module, nothing).await;
                assert_eq!(refused, Err(SignInError::Needed));
            }
            let person = who(&tokens, module, &shown(&said)).await.unwrap();
            assert_eq!((person.id.as_str(), person.name.as_str()), ("u1", "Ada"));
            let late = id(&later, module, said.clone()).await;
            assert_eq!(late, Err(SignInError::Expired));
        }
    }

    #[tokio::test]
    async fn who_shows_nothing_comes_in_where_that_is_chosen_but_not_into_chat() {
        let open = Auth {
            anonymous: true,
            ..auth()
        };
        let open = at(|| NOW_S, &open);
        let rooms = id(&open, Module::Rooms, json!({ "name": "Ada" })).await;
        assert_eq!(rooms.as_deref(), Ok(""), "a name is no sign-in");
        let chat = id(&open, Module::Chat, Value::Null).await;
        assert_eq!(chat, Err(SignInError::Needed));
        // A broken token makes nobody anonymous.
        let bad = id(&open, Module::Rooms, json!({ "token": "x" })).await;
        assert_eq!(bad, Err(SignInError::BadToken));
    }

    #[test]
    fn a_refusal_has_a_message_for_people_and_a_code_for_programs() {
        let refusal = refusal(SignInError::Needed);
        assert_eq!(refusal.message, "Sign-in needed");
        assert_eq!(refusal.data, Some(json!({ "code": "unauthorized" })));
    }
}
