//! Signed tokens that let somebody into rooms: what they say, and who reads them.

use std::fmt;
use std::sync::Arc;

use lakh_hub::Failure;
use lakh_hub::auth::Grant;

/// What a token says, once its signature was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomToken {
    /// What it allows in which rooms.
    pub grants: Vec<Grant>,
    /// Whom it's for; without it, for whoever shows it.
    pub user: Option<String>,
    /// Milliseconds since 1970 at which the membership ends.
    pub expires_ms: Option<u64>,
}

/// Checks a token's signature and times (the second argument: milliseconds since 1970), and reads it.
#[derive(Clone)]
pub struct TokenCheck(Arc<Check>);

type Check = dyn Fn(&str, u64) -> Result<RoomToken, Failure> + Send + Sync;

impl TokenCheck {
    /// Checks with this function.
    pub fn new(
        check: impl Fn(&str, u64) -> Result<RoomToken, Failure> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(check))
    }

    pub(crate) fn check(&self, token: &str, now_ms: u64) -> Result<RoomToken, Failure> {
        (self.0)(token, now_ms)
    }
}

impl fmt::Debug for TokenCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenCheck")
    }
}
