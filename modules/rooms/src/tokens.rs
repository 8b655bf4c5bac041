//! Signed tokens that let somebody into rooms: what they say, and who reads them.

use std::fmt;
use std::sync::Arc;

use lakh_hub::Failure;
use lakh_hub::auth::Principal;

/// What a token says, once its signature was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomToken {
    /// Whom it's for, what it allows in which rooms, and what it may be taken back by.
    pub principal: Principal,
    /// Whether it's for whoever shows it.
    pub for_anyone: bool,
    /// Milliseconds since 1970 at which the membership ends.
    pub expires_ms: Option<u64>,
}

/// Checks a token's signature and times (the second argument: milliseconds since 1970), and reads it; and knows which were
/// taken back since.
#[derive(Clone)]
pub struct TokenCheck {
    check: Arc<Check>,
    is_revoked: Option<Arc<IsRevoked>>,
}

type IsRevoked = dyn Fn(&Principal) -> bool + Send + Sync;
type Check = dyn Fn(&str, u64) -> Result<RoomToken, Failure> + Send + Sync;

impl TokenCheck {
    /// Checks with this function.
    pub fn new(
        check: impl Fn(&str, u64) -> Result<RoomToken, Failure> + Send + Sync + 'static,
    ) -> Self {
        Self {
            check: Arc::new(check),
            is_revoked: None,
        }
    }

    /// Asks this function whether a token was taken back: when it's shown, and of those who are in by it whenever
    /// [`Rooms::end_revoked`](crate::Rooms::end_revoked) is called.
    #[must_use]
    pub fn revoked_by(
        mut self,
        is_revoked: impl Fn(&Principal) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.is_revoked = Some(Arc::new(is_revoked));
        self
    }

    pub(crate) fn is_revoked(&self, principal: &Principal) -> bool {
        let is_revoked = self.is_revoked.as_ref();
        is_revoked.is_some_and(|is_revoked| is_revoked(principal))
    }

    pub(crate) fn check(&self, token: &str, now_ms: u64) -> Result<RoomToken, Failure> {
        (self.check)(token, now_ms)
    }
}

impl fmt::Debug for TokenCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenCheck")
    }
}
