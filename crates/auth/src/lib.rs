//! Who may do what: principals, grants and rules.
//!
//! What was checked once, at CONNECT or with a request over HTTP, is a [`Principal`]. Each act of it in a room of a
//! module is put to one [`Policy`], which says yes or no; nobody else decides. Nothing here reads a clock, a file or a
//! socket: the time comes in as an argument.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

pub mod api_key;
pub mod jwks;
pub mod keys;
pub mod limits;
pub mod password;
pub mod pattern;
pub mod policy;
pub mod principal;
pub mod revocations;
pub mod signature;
pub mod tokens;

pub use api_key::{ApiKey, ApiKeyError, ApiKeys, NewKey};
pub use jwks::{Jwks, JwksError};
pub use keys::{Algorithm, Key, KeyError, KeySet};
pub use pattern::Pattern;
pub use policy::{Act, Decision, Effect, Policy, Rule, Who};
pub use principal::{Grant, GrantError, Kind, Principal};
pub use revocations::{Revocation, RevocationError, Revocations, Revoked};
pub use tokens::{Checks, ClaimNames, IssueError, SignInError, TokenError, named};
