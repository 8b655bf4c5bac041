//! Hooks at CONNECT: what they may add to whoever comes in.

use lakh_hub::auth::{Grant, Principal};
use lakh_hub::{ConnectError, Socket, Wish};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

/// Longest name, in characters.
const MAX_NAME_CHARS: usize = 128;
/// Roles and grants that may be added.
const MAX_ADDED: usize = 64;

/// What a hook changes about somebody. Neither who they are nor whether they are an admin: only a sign-in says that.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    name: Option<String>,
    roles: Vec<String>,
    grants: Vec<String>,
}

/// The same, checked.
#[derive(Debug)]
pub(crate) struct Admission {
    name: Option<String>,
    roles: Vec<String>,
    grants: Vec<Grant>,
}

impl Admission {
    /// Reads what a hook has answered. `Err` says what is wrong.
    pub(crate) fn read(data: &RawValue) -> Result<Self, String> {
        let written: Written =
            serde_json::from_str(data.get()).map_err(|error| error.to_string())?;
        if written.roles.len() > MAX_ADDED || written.grants.len() > MAX_ADDED {
            return Err(format!("at most {MAX_ADDED} roles and {MAX_ADDED} grants"));
        }
        if let Some(name) = &written.name {
            let fits = !name.trim().is_empty()
                && name.chars().nth(MAX_NAME_CHARS).is_none()
                && !name.chars().any(char::is_control);
            if !fits {
                return Err(format!("a name is 1 to {MAX_NAME_CHARS} characters"));
            }
        }
        let grants = written.grants.iter().map(|grant| grant.parse());
        let grants: Result<Vec<Grant>, _> = grants.collect();
        Ok(Self {
            name: written.name,
            roles: written.roles,
            grants: grants.map_err(|error| error.to_string())?,
        })
    }
}

/// Asks about a socket at CONNECT, behind the check of its sign-in: a check for `use_connect`.
///
/// # Errors
/// What the hook says, with its code in the data.
pub async fn admit(socket: Socket) -> Result<(), ConnectError> {
    let passed = socket.pass(Wish::Connect).await.map_err(|failure| {
        ConnectError::new(failure.message).with_data(json!({ "code": failure.code }))
    })?;
    let Some(changed) = &passed.changed else {
        return Ok(());
    };
    // It was read once, when it came.
    let admission = Admission::read(changed).map_err(ConnectError::new)?;
    let principal = socket.get::<Principal>();
    let mut principal = principal.map_or_else(Principal::anonymous, |own| Principal::clone(&own));
    if let Some(name) = admission.name {
        principal.name = name;
    }
    principal.roles.extend(admission.roles);
    principal.grants.extend(admission.grants);
    socket.set_principal(principal);
    Ok(())
}
