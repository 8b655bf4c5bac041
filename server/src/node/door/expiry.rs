//! The end of a sign-in while its connection lives: told before it comes, put off by `auth:refresh`, kept when it's there.
//!
//! What must hold: a socket has one alarm in its loop's wheel for each sign-in that ends, known by that end. One of an
//! earlier sign-in finds that the end has moved, and is forgotten. Alarms go off at least once a minute, so that a clock
//! that is set is noticed.

use std::sync::Arc;

use lakh_auth::Principal;
use lakh_hub::{Failure, Namespace, Pace, Socket};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::revocations::Revocations;
use super::{DoorOptions, leave};
use crate::sign_in::{Credentials, Place, SignIn, SignInError, word};

/// Longest time between two looks, in milliseconds.
const LOOK_MS: u64 = 60_000;
/// What two clocks read one after the other may differ by.
const SLACK_MS: u64 = 2;

/// Refreshes a second of one socket, and how many may come at once: each costs a look at a signature, and each end an alarm.
const REFRESHES: (u32, u32) = (1, 5);

/// How often a socket has refreshed its sign-in.
#[derive(Default)]
struct Refreshes(Mutex<Pace>);

/// What the door needs to know of everybody who is in.
pub(super) struct Expiry {
    pub(super) sign_in: SignIn,
    revocations: Arc<Revocations>,
    options: DoorOptions,
    now_ms: fn() -> u64,
}

#[derive(Deserialize)]
struct Refresh {
    token: String,
}

#[derive(Serialize)]
struct Refreshed {
    /// Milliseconds since 1970; null if it has no end.
    expires_at: Option<u64>,
}

impl Expiry {
    pub(super) fn new(
        sign_in: &SignIn,
        revocations: &Arc<Revocations>,
        options: DoorOptions,
        now_ms: fn() -> u64,
    ) -> Self {
        Self {
            sign_in: sign_in.clone(),
            revocations: Arc::clone(revocations),
            options,
            now_ms,
        }
    }

    fn now_s(&self) -> u64 {
        (self.now_ms)() / 1_000
    }

    /// What a checked sign-in comes to.
    pub(super) fn admit(&self, mut principal: Principal) -> Result<Principal, SignInError> {
        if self.revocations.is_revoked(&principal) {
            return Err(SignInError::Revoked);
        }
        // Who was let in although the end has passed, because clocks differ, stays for as long as they may differ.
        if let Some(end_s) = &mut principal.expires_at
            && *end_s <= self.now_s()
        {
            *end_s = end_s.saturating_add(self.options.leeway_s);
        }
        Ok(principal)
    }

    /// Looks after everybody who comes into a namespace.
    pub(super) fn install(self: &Arc<Self>, namespace: &Namespace) {
        let expiry = Arc::clone(self);
        namespace.on_connect(async move |socket: Socket| {
            // It was not among all sockets while it was being let in.
            if !expiry.revocations.look_at(&socket) {
                expiry.watch(&socket);
            }
        });
        let expiry = Arc::clone(self);
        namespace.on_request(
            "auth:refresh",
            async move |socket: Socket, request: Refresh| {
                expiry.refresh(&socket, &request.token).await
            },
        );
    }

    /// Looks at a socket from now until the end of its sign-in.
    fn watch(&self, socket: &Socket) {
        let principal = socket.get::<Principal>();
        if let Some(end_s) = principal.and_then(|principal| principal.expires_at) {
            self.look_at(socket, end_s);
        }
    }

    /// Looks at a socket whose sign-in ended, or is to end, at `end_s`: its alarm has gone off.
    pub(super) fn look_at(&self, socket: &Socket, end_s: u64) {
        let principal = socket.get::<Principal>();
        let end_of_now = principal.and_then(|principal| principal.expires_at);
        if end_of_now != Some(end_s) || !socket.is_connected() {
            return;
        }
        let (now_ms, end_ms) = ((self.now_ms)(), end_s.saturating_mul(1_000));
        if now_ms.saturating_add(SLACK_MS) >= end_ms {
            let why = json!({ "code": "expired", "expires_at": end_ms });
            return leave(socket, "auth:expired", &why);
        }
        let notice_at = end_ms.saturating_sub(self.options.notice_ms);
        if now_ms.saturating_add(SLACK_MS) < notice_at {
            return socket.alarm_at(notice_at.min(now_ms + LOOK_MS), end_s);
        }
        let told = json!({ "expires_at": end_ms, "in_ms": end_ms - now_ms });
        if let Err(error) = socket.notify("auth:expiring", &told) {
            tracing::debug!(%error, "a client could not be told that its sign-in ends");
        }
        socket.alarm_at(end_ms, end_s);
    }

    /// Takes a newer token of the same person, for all namespaces of the connection that they are in.
    async fn refresh(&self, socket: &Socket, token: &str) -> Result<Refreshed, Failure> {
        not_too_often(socket, (self.now_ms)())?;
        let credentials = Credentials {
            token: Some(token),
            ..Credentials::default()
        };
        let found = self.sign_in.check(&credentials).await;
        // From here on there is nothing to wait for: what is taken back meanwhile is not missed.
        let principal = found
            .and_then(|principal| self.admit(principal))
            .map_err(|error| {
                self.refused(socket, word(error));
                Failure::new(error.code(), error.to_string())
            })?;
        let owner = socket.get::<Principal>();
        if owner.as_deref().and_then(Principal::user) != principal.user() {
            self.refused(socket, "another_person");
            return Err(Failure::new(
                "forbidden",
                "this token is another person's: connect anew with it",
            ));
        }
        let expires_at = principal
            .expires_at
            .map(|end_s| end_s.saturating_mul(1_000));
        let own = |other: &Socket| {
            let kept = other.get::<Principal>();
            kept.as_deref().and_then(Principal::user) == principal.user()
        };
        let companions = socket.companions();
        for socket in companions.iter().filter(|other| own(other)).chain([socket]) {
            self.renew(socket, &principal);
        }
        Ok(Refreshed { expires_at })
    }

    fn refused(&self, socket: &Socket, why: &'static str) {
        let from = socket.handshake().address.ip();
        self.sign_in.refused(Place::Refresh, why, Some(from));
    }

    fn renew(&self, socket: &Socket, principal: &Principal) {
        let before = socket.get::<Principal>();
        socket.set_principal(principal.clone());
        let before = before.and_then(|before| before.expires_at);
        // The same end has its alarm.
        if principal.expires_at != before {
            self.watch(socket);
        }
    }
}

fn not_too_often(socket: &Socket, now_ms: u64) -> Result<(), Failure> {
    let refreshes = socket.get::<Refreshes>().unwrap_or_else(|| {
        socket.insert(Refreshes::default());
        socket.get().unwrap_or_default()
    });
    let (per_second, burst) = REFRESHES;
    let taken = refreshes.0.lock().take(now_ms, per_second, burst);
    taken.map_err(|wait_ms| {
        let message = format!("you refresh your sign-in too often: try again in {wait_ms} ms");
        Failure::new("rate_limited", message)
    })
}
