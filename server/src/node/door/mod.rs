//! Sign-in at CONNECT and while connections live: who comes into which namespace, as whom, and for how long.
//!
//! What must hold: where tokens are needed nobody is in a namespace without one that holds now, and what a socket is called
//! comes from its sign-in and from nothing else that it says. Who shows nothing may have a session of the page. Whoever takes up an earlier session within the recovery
//! window is asked like everybody else, on each node, and gets back only what was their own.

mod expiry;
mod revocations;

use std::sync::Arc;

use lakh_auth::{Kind, Principal};
use lakh_hub::{ConnectError, Hub, Socket};
use serde::Serialize;
use serde_json::{Value, json};

use self::expiry::Expiry;
use super::modules::namespace;
use super::prepare::count;
use crate::config::{Auth, Module, Settings};
use crate::console::Console;
use crate::sign_in::{Credentials, Place, SignIn, SignInError, word};

pub use revocations::{Revocations, RevokeError, serve as serve_revocations};

/// What the settings say of those who are in.
#[derive(Clone, Copy, Debug)]
pub struct DoorOptions {
    /// How long before its end a client is told.
    notice_ms: u64,
    /// What clocks may differ by.
    leeway_s: u64,
    max_revocations: usize,
    /// How long an entry is kept of which nobody said for how long.
    keep_s: u64,
}

impl DoorOptions {
    /// As they are in force.
    #[must_use]
    pub fn new(auth: &Auth) -> Self {
        Self {
            notice_ms: auth.expiry_notice_ms,
            leeway_s: auth.leeway_ms.div_ceil(1_000),
            max_revocations: count(auth.max_revocations),
            keep_s: auth.revocations_keep_ms.div_ceil(1_000),
        }
    }
}

/// Puts the check on the namespace of every module that is to be served. `now_ms` gives milliseconds since 1970.
pub fn guard(
    hub: &Hub,
    sign_in: &SignIn,
    revocations: &Arc<Revocations>,
    console: Option<&Arc<Console>>,
    settings: &Settings,
    now_ms: fn() -> u64,
) {
    let old_clients = settings.engine.allow_eio3;
    let options = DoorOptions::new(&settings.auth);
    let expiry = Arc::new(Expiry::new(sign_in, revocations, options, now_ms));
    for module in &settings.server.modules {
        let (door, console, module) = (Arc::clone(&expiry), console.cloned(), *module);
        let namespace = hub.of(namespace(module));
        namespace.use_sign_in(async move |socket: Socket| {
            let (auth, handshake) = (said(&socket, old_clients), socket.handshake());
            let credentials = Credentials::of_connect(&auth, handshake);
            let known = who(&door.sign_in, module, &credentials).await;
            let session = match &console {
                Some(console) if is_nobody(&known) => console.principal_at(handshake).await,
                _ => None,
            };
            session
                .map_or(known, Ok)
                .and_then(|principal| door.admit(principal))
                .map_err(|error| {
                    let from = handshake.address.ip();
                    door.sign_in
                        .refused(Place::Connect, word(error), Some(from));
                    refusal(error)
                })
        });
        expiry.install(&namespace);
    }
    hub.on_alarm(move |socket, tag| expiry.look_at(socket, tag));
}

/// Says why, and disconnects: from the namespace, and from the server if nothing is left of the connection. A stock client
/// sees `io server disconnect` and does not come back by itself.
fn leave<T: Serialize>(socket: &Socket, event: &str, why: &T) {
    // Who can't be told is disconnected all the same.
    let _ = socket.notify(event, why);
    let alone = socket.companions().is_empty();
    socket.disconnect(alone);
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

/// Whether nothing was shown: what a client shows counts before its session, even if it's bad.
fn is_nobody(known: &Result<Principal, SignInError>) -> bool {
    match known {
        Ok(principal) => principal.kind == Kind::Anonymous,
        Err(error) => *error == SignInError::Needed,
    }
}

/// Who comes in: somebody, or nobody in particular.
async fn who(
    sign_in: &SignIn,
    module: Module,
    credentials: &Credentials<'_>,
) -> Result<Principal, SignInError> {
    // Rooms for any event and worlds ask for no name, so a bare `io()` works where nobody is asked for a token.
    if !sign_in.needs_tokens() && credentials.name.is_none() && module != Module::Chat {
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
