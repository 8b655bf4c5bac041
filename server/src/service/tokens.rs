//! Tokens for clients, made for the backends that know them.

use lakh_auth::{Grant, IssueError, Principal};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Service;
use super::caller::{Caller, MODULE, Thing, act};
use super::problem::{Kind, Problem};

/// How long a token lasts when nothing is said.
const TTL_S: u64 = 3_600;
/// How long it lasts at most: 30 days.
const MAX_TTL_S: u64 = 2_592_000;

/// Whom a token is for, and what it allows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// The person's id.
    #[schema(example = "ada")]
    pub id: String,
    /// What others see; the id when nothing is said.
    #[serde(default)]
    #[schema(example = "Ada")]
    pub name: Option<String>,
    /// Roles, which rules of the server may speak of.
    #[serde(default)]
    pub roles: Vec<String>,
    /// What it allows beside the rules: `module:acts:rooms`.
    #[serde(default)]
    #[schema(example = json!(["rooms:join,emit:board:*"]))]
    pub grants: Vec<String>,
    /// Whether it allows everything. Takes an admin.
    #[serde(default)]
    pub admin: bool,
    /// How long it lasts, in seconds: an hour when nothing is said, 30 days at most.
    #[serde(default)]
    pub ttl_s: Option<u64>,
    /// The sign-in that it belongs to, by which it can be revoked with others.
    #[serde(default)]
    pub session: Option<String>,
    /// Whom it's for (`aud`), if not for the first audience of the settings.
    #[serde(default)]
    pub audience: Option<String>,
}

/// A token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// For `auth.token` of a client.
    pub token: String,
    /// Its `jti`, by which it can be revoked.
    pub id: String,
    /// When it ends, in seconds since 1970.
    pub expires_at: u64,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl Service {
    /// Makes a token.
    ///
    /// # Errors
    /// [`Problem`]: `forbidden` too if it would allow what its maker has no say in.
    pub fn issue_token(&self, caller: &Caller, new: &NewToken) -> Result<Token, Problem> {
        let grants = self.may_issue(caller, new)?;
        let ttl_s = new.ttl_s.unwrap_or(TTL_S);
        if ttl_s == 0 || ttl_s > MAX_TTL_S {
            return Err(Problem::bad(format!("`ttl_s` is 1 to {MAX_TTL_S}")));
        }
        let id: String = (0..4)
            .map(|_| format!("{:08x}", self.hub().random()))
            .collect();
        let principal = Principal {
            roles: new.roles.clone(),
            admin: new.admin,
            grants,
            token: Some(id.clone()),
            session: new.session.clone(),
            ..Principal::person(&new.id, new.name.as_deref().unwrap_or(&new.id))
        };
        let expires_at = self.now_s().saturating_add(ttl_s);
        let issued = self
            .0
            .sign_in
            .issue(&principal, new.audience.as_deref(), ttl_s);
        let token = issued.map_err(|error| match error {
            IssueError::NoKey => {
                Problem::new(Kind::Unprocessable, "no_signing_key", error.to_string())
            }
            IssueError::TooLong | IssueError::Refused(_) => Problem::bad(error.to_string()),
        })?;
        tracing::info!(
            by = caller.id(),
            person = new.id,
            token = id,
            "a token was made"
        );
        Ok(Token {
            token,
            id,
            expires_at,
        })
    }

    /// Whether somebody may make such a token. Nobody makes themselves more than they are: what leads to the API, or to
    /// everything, is an admin's to give.
    fn may_issue(&self, caller: &Caller, new: &NewToken) -> Result<Vec<Grant>, Problem> {
        self.allow(caller, act::TOKENS, Thing::Person(&new.id))?;
        for role in &new.roles {
            self.allow(caller, act::TOKENS, Thing::Role(role))?;
        }
        let grants = new.grants.iter().map(|grant| grant.parse::<Grant>());
        let grants = grants.collect::<Result<Vec<_>, _>>();
        let grants = grants.map_err(|error| Problem::bad(error.to_string()))?;
        let leads_here = |grant: &Grant| grant.module().is_none_or(|module| module == MODULE);
        if (new.admin || grants.iter().any(leads_here)) && !caller.principal().admin {
            return Err(Problem::new(
                Kind::Forbidden,
                "forbidden",
                "only an admin gives tokens that allow everything, or acts of the module `api`",
            ));
        }
        Ok(grants)
    }
}
