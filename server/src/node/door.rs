//! Sign-in at CONNECT: who comes into which namespace, and as whom.
//!
//! What must hold: where tokens are needed nobody is in a namespace without one, and what a socket is called comes from
//! its sign-in and from nothing else that it says. A client that takes up an earlier session within the recovery window
//! is not asked again, as in Node, where this node had the session; from another node, it is.

use std::sync::Arc;

use lakh_auth::Principal;
use lakh_hub::{ConnectError, Hub, Socket};
use serde_json::{Value, json};

use super::modules::namespace;
use crate::config::{Module, Settings};
use crate::sign_in::{SignIn, SignInError};

/// Puts the check on the namespace of every module that is to be served.
pub fn guard(hub: &Hub, sign_in: &Arc<SignIn>, settings: &Settings, now_s: fn() -> u64) {
    let old_clients = settings.engine.allow_eio3;
    for module in &settings.server.modules {
        let (sign_in, module) = (Arc::clone(sign_in), *module);
        let check = async move |socket: Socket| {
            match who(&sign_in, module, &said(&socket, old_clients), now_s()) {
                Ok(Some(principal)) => {
                    if socket.namespace().hub().cluster_state().is_some() {
                        // What other nodes see of it.
                        let (id, name) = (&principal.id, &principal.name);
                        socket.set_data(json!({"user": {"id": id, "name": name}}));
                    }
                    socket.set_principal(principal);
                }
                Ok(None) => socket.set_principal(Principal::anonymous()),
                Err(error) => return Err(refusal(error)),
            }
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
fn who(
    sign_in: &SignIn,
    module: Module,
    auth: &Value,
    now_s: u64,
) -> Result<Option<Principal>, SignInError> {
    let names_are_enough = matches!(sign_in, SignIn::Names);
    let says_nothing = auth.get("name").is_none_or(Value::is_null);
    // Rooms for any event ask for no name, so a bare `io()` works where nobody is asked for a token.
    if names_are_enough && says_nothing && module == Module::Rooms {
        return Ok(None);
    }
    let principal = sign_in.check(auth, now_s)?;
    Ok(Some(Principal {
        admin: principal.admin,
        expires_at: principal.expires_at,
        ..Principal::person(principal.id, principal.name)
    }))
}

fn refusal(error: SignInError) -> ConnectError {
    ConnectError::new(error.to_string()).with_data(json!({ "code": error.code() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Auth;
    use crate::config::value::Secret;
    use crate::sign_in::Tokens;

    const NOW_S: u64 = 1_800_000_000;

    fn auth() -> Auth {
        Auth {
            secret: Some(Secret("0123456789abcdef0123456789abcdef".into())),
            ..Auth::default()
        }
    }

    fn token() -> String {
        let principal = crate::sign_in::Principal {
            id: "u1".into(),
            name: "Ada".into(),
            admin: false,
            expires_at: None,
        };
        let tokens = Tokens::new(&auth()).unwrap();
        tokens.issue(&principal, NOW_S, 60).unwrap()
    }

    fn id(principal: Option<Principal>) -> Option<String> {
        principal.map(|principal| principal.id)
    }

    #[test]
    fn where_names_are_enough_chat_asks_for_one_and_rooms_do_not() {
        let names = SignIn::Names;
        let ada = json!({ "name": "Ada" });
        for module in [Module::Rooms, Module::Chat] {
            let person = who(&names, module, &ada, NOW_S).unwrap();
            assert_eq!(id(person).as_deref(), Some("dev:ada"));
            let bad = who(&names, module, &json!({ "name": "\n" }), NOW_S);
            assert_eq!(bad, Err(SignInError::BadName));
        }
        for nothing in [
            Value::Null,
            json!({}),
            json!({ "name": null, "token": "x" }),
        ] {
            assert_eq!(who(&names, Module::Rooms, &nothing, NOW_S), Ok(None));
            let chat = who(&names, Module::Chat, &nothing, NOW_S);
            assert_eq!(chat, Err(SignInError::Needed));
        }
    }

    #[test]
    fn where_tokens_are_needed_nobody_comes_in_without_one() {
        let tokens = SignIn::new(&auth()).unwrap();
        for module in [Module::Rooms, Module::Chat] {
            for nothing in [Value::Null, json!({ "name": "Ada" }), json!({ "token": 5 })] {
                let refused = who(&tokens, module, &nothing, NOW_S);
                assert_eq!(refused, Err(SignInError::Needed), "{nothing}");
            }
            // The name comes from the token, whatever else is said.
            let said = json!({ "token": token(), "name": "Eve", "id": "u2" });
            let person = who(&tokens, module, &said, NOW_S).unwrap().unwrap();
            assert_eq!((person.id.as_str(), person.name.as_str()), ("u1", "Ada"));
            let late = who(&tokens, module, &said, NOW_S + 3_600);
            assert_eq!(late, Err(SignInError::Expired));
        }
    }

    #[test]
    fn a_refusal_has_a_message_for_people_and_a_code_for_programs() {
        let refusal = refusal(SignInError::Needed);
        assert_eq!(refusal.message, "Sign-in needed");
        assert_eq!(refusal.data, Some(json!({ "code": "unauthorized" })));
    }
}
