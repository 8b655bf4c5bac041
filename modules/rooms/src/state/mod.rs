//! What the members of a room share besides events.

/// What rooms of a kind share.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateOptions {}
