//! The local admin: one name and one password, for those without a provider.
//!
//! What must hold: whoever tries learns nothing from the time it takes (an unknown name costs a hash as well), tries are
//! bounded by address and by name, and hashing never runs on an event loop.

use std::net::IpAddr;
use std::sync::Arc;

use lakh_auth::password;
use lakh_net::limits::AddressKey;
use tokio::sync::Semaphore;

use super::attempts::Attempts;
use super::secret;
use crate::config;

/// Hashes at the same time. Each takes the memory and time that its text says.
const AT_ONCE: usize = 2;
/// Tries that wait for one. Past it they are told to come again.
const MAX_WAITING: usize = 32;

/// Why nobody was signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LocalError {
    /// Name or password; which of them is nobody's business.
    Wrong,
    /// Tried too often.
    TooMany {
        /// When the next try is taken.
        wait_ms: u64,
    },
    /// Others are trying.
    Busy,
}

/// The local admin's sign-in.
pub(super) struct Local {
    user: String,
    hash: Arc<str>,
    by_address: Attempts<AddressKey>,
    by_user: Attempts<String>,
    places: Semaphore,
    hashing: Arc<Semaphore>,
}

impl Local {
    /// From the settings, which were checked: `None` where they name no admin.
    pub(super) fn new(console: &config::Console) -> Option<Self> {
        let hash = console.admin_password_hash.as_ref()?;
        Some(Self {
            user: console.admin_user.clone()?,
            hash: hash.0.as_str().into(),
            // Ten tries at once and one each six seconds; a name from many addresses: thirty, and one each two seconds.
            by_address: Attempts::new(6_000, 10),
            by_user: Attempts::new(2_000, 30),
            places: Semaphore::new(AT_ONCE + MAX_WAITING),
            hashing: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// What changes with the password.
    pub(super) fn fingerprint(&self) -> String {
        secret::hash(&self.hash)
    }

    /// Whether it is the admin.
    pub(super) async fn check(
        &self,
        user: &str,
        given: String,
        address: IpAddr,
        now_ms: u64,
    ) -> Result<(), LocalError> {
        let too_many = |wait_ms| LocalError::TooMany { wait_ms };
        self.by_address
            .take(AddressKey::from(address), now_ms)
            .map_err(too_many)?;
        self.by_user
            .take(secret::hash(user), now_ms)
            .map_err(too_many)?;
        let _place = self.places.try_acquire().map_err(|_| LocalError::Busy)?;
        // It is never closed.
        let permit = Arc::clone(&self.hashing).acquire_owned().await;
        let permit = permit.map_err(|_| LocalError::Busy)?;
        let hash = Arc::clone(&self.hash);
        let fits = tokio::task::spawn_blocking(move || {
            // It goes along: who hangs up does not make room for a third.
            let _permit = permit;
            password::verify(&given, &hash)
        });
        let fits = fits.await.map_err(|_| LocalError::Busy)?;
        let known = secret::same(user, &self.user);
        match fits & known {
            true => Ok(()),
            false => Err(LocalError::Wrong),
        }
    }
}
