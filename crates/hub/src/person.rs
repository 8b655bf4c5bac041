//! Who is behind a socket.

use serde::{Deserialize, Serialize};

/// A person as others see them: `{"id","name"}`.
///
/// Whoever checks sign-ins at CONNECT keeps one with the socket (`socket.insert(Person { … })`); modules ask for it
/// with `socket.get::<Person>()`. A recovered socket has it again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Person {
    /// Names the person for good: rights, messages and devices hang on it.
    pub id: String,
    /// What others see. May change, and two people may have the same.
    pub name: String,
}
