//! Taking back what people and programs were let in with.

use lakh_auth::{Principal, Revocation, Revoked};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::{IntoParams, ToSchema};

use super::Service;
use super::caller::{Caller, Thing, act};
use super::problem::{Kind, Problem};
use super::sockets::{after_cursor, cursor_after, page_of};
use crate::http::Later;

/// Whoever keeps what was taken back, and tells the other nodes.
pub trait Revoker: Send + Sync + 'static {
    /// Takes something back; kept until that time in seconds since 1970, or as long as the settings say.
    fn revoke(&self, what: Revoked, until_s: Option<u64>)
    -> Later<'_, Result<Revocation, Problem>>;

    /// All that is taken back now, in no order.
    fn list(&self) -> Vec<Revocation>;

    /// Whether what somebody came with was taken back.
    fn is_revoked(&self, principal: &Principal) -> bool;

    /// Changes each time that something was taken back, here or on another node.
    fn news(&self) -> watch::Receiver<()>;
}

/// What is taken back: one of `token`, `session` and `person`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRevocation {
    /// The token with this `jti`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Every token of the sign-in with this `sid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// All that the person with this id holds now; an API key is `key:` and its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "ada")]
    pub person: Option<String>,
    /// Until when it's kept, in seconds since 1970: the end of the token, where that is known. Else as long as the settings
    /// say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

/// Something that is taken back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct RevocationInfo {
    /// "token", "session" or "person".
    #[schema(example = "person")]
    pub kind: String,
    /// Its id.
    #[schema(example = "ada")]
    pub id: String,
    /// Of a person: what was issued before this, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub issued_before: Option<u64>,
    /// Until when it's kept, in seconds since 1970.
    pub until: u64,
}

impl RevocationInfo {
    fn place(&self) -> String {
        format!("{}:{}", self.kind, self.id)
    }
}

impl From<Revocation> for RevocationInfo {
    fn from(entry: Revocation) -> Self {
        let (kind, id, issued_before) = match entry.what {
            Revoked::Token(id) => ("token", id, None),
            Revoked::Session(id) => ("session", id, None),
            Revoked::Person {
                id,
                issued_before_s,
            } => ("person", id, Some(issued_before_s)),
        };
        Self {
            kind: kind.to_owned(),
            id,
            issued_before,
            until: entry.until_s,
        }
    }
}

/// Which page of them.
#[derive(Clone, Debug, Default, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct RevocationFilter {
    /// Where the page before ended: its `next`.
    pub cursor: Option<String>,
    /// How many at most, 1 to 1000.
    pub limit: Option<usize>,
}

/// What is taken back, by kind and id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevocationPage {
    /// The entries.
    pub revocations: Vec<RevocationInfo>,
    /// The `cursor` of the next page; none if this is the last.
    pub next: Option<String>,
}

impl Service {
    /// Takes something back: nobody comes in with it any more, and who is in with it is thrown out, on all nodes.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn revoke(
        &self,
        caller: &Caller,
        new: &NewRevocation,
    ) -> Result<RevocationInfo, Problem> {
        let (what, thing) = match (&new.token, &new.session, &new.person) {
            (Some(id), None, None) => (Revoked::Token(id.clone()), Thing::Token(id)),
            (None, Some(id), None) => (Revoked::Session(id.clone()), Thing::Session(id)),
            (None, None, Some(id)) => (Revoked::person(id, self.now_s()), Thing::Person(id)),
            _ => return Err(Problem::bad("give one of `token`, `session` and `person`")),
        };
        self.allow(caller, act::REVOCATIONS, thing)?;
        let entry = self.revoker()?.revoke(what, new.until).await?;
        let info = RevocationInfo::from(entry);
        tracing::info!(
            by = caller.id(),
            kind = info.kind,
            id = info.id,
            "taken back"
        );
        Ok(info)
    }

    /// What is taken back now.
    ///
    /// # Errors
    /// [`Problem`].
    pub fn revocations(
        &self,
        caller: &Caller,
        filter: &RevocationFilter,
    ) -> Result<RevocationPage, Problem> {
        self.allow(caller, act::REVOCATIONS, Thing::Person("*"))?;
        let limit = page_of(filter.limit)?;
        let after = after_cursor(filter.cursor.as_deref())?;
        let all = self.revoker()?.list().into_iter().map(RevocationInfo::from);
        let mut rest: Vec<RevocationInfo> = all.filter(|info| info.place() > after).collect();
        rest.sort_unstable();
        let more = rest.len() > limit;
        rest.truncate(limit);
        let last = rest.last().filter(|_| more);
        Ok(RevocationPage {
            next: last.map(|info| cursor_after(&info.place())),
            revocations: rest,
        })
    }

    /// Whether what a caller came with was taken back.
    #[must_use]
    pub fn is_revoked(&self, principal: &Principal) -> bool {
        let revoker = self.0.revoker.as_ref();
        revoker.is_some_and(|revoker| revoker.is_revoked(principal))
    }

    /// Changes each time that something was taken back; none where nobody keeps that.
    #[must_use]
    pub fn revocation_news(&self) -> Option<watch::Receiver<()>> {
        self.0.revoker.as_ref().map(|revoker| revoker.news())
    }

    fn revoker(&self) -> Result<&dyn Revoker, Problem> {
        self.0.revoker.as_deref().ok_or_else(|| {
            let message = "this server keeps no revocations";
            Problem::new(Kind::Unprocessable, "unsupported", message)
        })
    }
}
