//! Tokens for clients, and what is taken back.

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};

use super::types::Long;
use super::{asked, count, error, page};
use crate::service::revocations::{NewRevocation, RevocationFilter, RevocationInfo};
use crate::service::tokens::NewToken;

/// What can be asked about them.
#[derive(Debug, Default)]
pub(super) struct AskTokens;

/// What can be done to them.
#[derive(Debug, Default)]
pub(super) struct ChangeTokens;

/// Whom a token is for, and what it allows.
#[derive(InputObject)]
struct TokenInput {
    /// The person's id.
    id: String,
    /// What others see; the id if it isn't given.
    name: Option<String>,
    /// Roles, which rules of the server may speak of.
    #[graphql(default)]
    roles: Vec<String>,
    /// What it allows beside the rules: `module:acts:rooms`.
    #[graphql(default)]
    grants: Vec<String>,
    /// Whether it allows everything. Takes an admin.
    #[graphql(default)]
    admin: bool,
    /// How long it lasts, in seconds: an hour if it isn't given, 30 days at most.
    ttl_s: Option<Long>,
    /// The sign-in that it belongs to, by which it can be revoked with others.
    session: Option<String>,
    /// Whom it's for (`aud`), if not for the first audience of the settings.
    audience: Option<String>,
}

/// A token.
#[derive(SimpleObject)]
struct IssuedToken {
    /// For `auth.token` of a client.
    token: String,
    /// Its `jti`, by which it can be revoked.
    id: String,
    /// When it ends, in seconds since 1970.
    expires_at: Long,
}

/// What is taken back: one of `token`, `session` and `person`.
#[derive(InputObject)]
struct RevocationInput {
    /// The token with this `jti`.
    token: Option<String>,
    /// Every token of the sign-in with this `sid`.
    session: Option<String>,
    /// All that the person with this id holds now; an API key is `key:` and its id.
    person: Option<String>,
    /// Until when it's kept, in seconds since 1970: the end of the token, where that is known.
    until: Option<Long>,
}

/// Something that is taken back.
#[derive(SimpleObject)]
struct Revocation {
    /// "token", "session" or "person".
    kind: String,
    /// Its id.
    id: String,
    /// Of a person: what was issued before this, in seconds since 1970.
    issued_before: Option<Long>,
    /// Until when it's kept, in seconds since 1970.
    until: Long,
}

impl From<RevocationInfo> for Revocation {
    fn from(info: RevocationInfo) -> Self {
        Self {
            kind: info.kind,
            id: info.id,
            issued_before: info.issued_before.map(Long),
            until: Long(info.until),
        }
    }
}

/// What is taken back, by kind and id.
#[derive(SimpleObject)]
struct Revocations {
    revocations: Vec<Revocation>,
    /// The `cursor` of the next page; none if this is the last.
    next: Option<String>,
}

#[Object]
impl AskTokens {
    /// What is taken back now.
    #[graphql(complexity = "page(limit) * child_complexity")]
    async fn revocations(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Where the page before ended: its `next`.")] cursor: Option<String>,
        #[graphql(desc = "How many at most, 1 to 1000; 50 if it isn't given.")] limit: Option<i32>,
    ) -> Result<Revocations> {
        let (service, caller) = asked(context)?;
        let filter = RevocationFilter {
            cursor,
            limit: limit.map(count),
        };
        let page = service.revocations(&caller, &filter).map_err(error)?;
        Ok(Revocations {
            revocations: page.revocations.into_iter().map(Revocation::from).collect(),
            next: page.next,
        })
    }
}

#[Object]
impl ChangeTokens {
    /// Makes a token for a client. It is kept nowhere.
    #[graphql(complexity = 20)]
    async fn issue_token(&self, context: &Context<'_>, token: TokenInput) -> Result<IssuedToken> {
        let (service, caller) = asked(context)?;
        let new = NewToken {
            id: token.id,
            name: token.name,
            roles: token.roles,
            grants: token.grants,
            admin: token.admin,
            ttl_s: token.ttl_s.map(|seconds| seconds.0),
            session: token.session,
            audience: token.audience,
        };
        let token = service.issue_token(&caller, &new).map_err(error)?;
        Ok(IssuedToken {
            token: token.token,
            id: token.id,
            expires_at: Long(token.expires_at),
        })
    }

    /// Takes back a token, a sign-in, or all that a person holds, on all nodes. Who is in with it is thrown out.
    #[graphql(complexity = 20)]
    async fn revoke(&self, context: &Context<'_>, what: RevocationInput) -> Result<Revocation> {
        let (service, caller) = asked(context)?;
        let new = NewRevocation {
            token: what.token,
            session: what.session,
            person: what.person,
            until: what.until.map(|time| time.0),
        };
        let revoked = service.revoke(&caller, &new).await.map_err(error)?;
        Ok(revoked.into())
    }
}
