//! Tokens for clients, and taking them back.

use axum::extract::State;
use axum::http::StatusCode;

use super::{Answer, BodyErrors, Errors, Given, ok};
use crate::http::HttpState;
use crate::http::access::Who;
use crate::http::body::{Json, Params};
use crate::http::error::ErrorBody;
use crate::service::revocations::{
    NewRevocation, RevocationFilter, RevocationInfo, RevocationPage,
};
use crate::service::tokens::{NewToken, Token};

/// Make a token for a client.
///
/// Takes `api:tokens` on `@` and the person's id, and on `role:` and each role. The token is kept nowhere, so an
/// idempotency key has no meaning here.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", request_body = NewToken,
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 201, description = "The token", body = Token), Errors, BodyErrors))]
pub(in crate::http) async fn tokens(
    State(state): State<HttpState>,
    Who(caller): Who,
    body: Json<NewToken>,
) -> Given<Token> {
    let token = state.service.issue_token(&caller, &body.value)?;
    Ok(Answer(StatusCode::CREATED, token))
}

/// Take back a token, a sign-in, or all that a person holds, on all nodes.
///
/// Who is in with it is thrown out. Takes `api:revocations` on `token:` and its `jti`, `session:` and its `sid`, or `@` and the
/// person's id.
#[utoipa::path(post, path = "/api/v1/revocations", tag = "tokens", request_body = NewRevocation,
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 201, description = "It is taken back", body = RevocationInfo), Errors, BodyErrors))]
pub(in crate::http) async fn revoke(
    State(state): State<HttpState>,
    Who(caller): Who,
    body: Json<NewRevocation>,
) -> Given<RevocationInfo> {
    let info = state.service.revoke(&caller, &body.value).await?;
    Ok(Answer(StatusCode::CREATED, info))
}

/// What is taken back now.
///
/// Takes `api:revocations` on `@*`.
#[utoipa::path(get, path = "/api/v1/revocations", tag = "tokens", params(RevocationFilter),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "A page of it", body = RevocationPage),
        (status = 422, description = "This server keeps none (`unsupported`)", body = ErrorBody), Errors))]
pub(in crate::http) async fn revocations(
    State(state): State<HttpState>,
    Who(caller): Who,
    Params(filter): Params<RevocationFilter>,
) -> Given<RevocationPage> {
    Ok(ok(state.service.revocations(&caller, &filter)?))
}
