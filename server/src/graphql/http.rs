//! GraphQL over HTTP (the specification of that name, and its audits): media types, status codes, parameters.
//!
//! What must hold: `application/graphql-response+json` has the status of what happened, `application/json` is 200 for
//! every well-formed request; nothing is changed by a GET.

use std::collections::HashMap;
use std::time::Duration;

use async_graphql::parser::types::{DocumentOperations, OperationType};
use async_graphql::{Request, Response as Answer, Value, Variables};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use serde_json::Value as Json;

use super::GraphQl;
use super::cost::root_fields;
use crate::http::access::Identity;
use crate::http::body;
use crate::service::Problem;

/// Execution of one request may take this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// The media types of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Media {
    /// `application/graphql-response+json`
    GraphQl,
    /// `application/json`
    Json,
}

impl Media {
    fn name(self) -> &'static str {
        match self {
            Self::GraphQl => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        }
    }

    /// What the client wants; `None` if it's neither. Without a wish it's plain JSON, as for clients before the
    /// specification.
    fn wanted(headers: &HeaderMap) -> Option<Self> {
        let mut accepts = headers.get_all(header::ACCEPT).iter().peekable();
        if accepts.peek().is_none() {
            return Some(Self::Json);
        }
        let mut best: Option<(Self, f32)> = None;
        for item in accepts
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
        {
            let mut parts = item.split(';').map(str::trim);
            let media = match parts.next().map(str::to_ascii_lowercase).as_deref() {
                Some("application/graphql-response+json") => Self::GraphQl,
                Some("application/json" | "application/*" | "*/*") => Self::Json,
                _ => continue,
            };
            let quality = parts
                .find_map(|part| part.strip_prefix("q="))
                .and_then(|quality| quality.parse().ok())
                .unwrap_or(1.0_f32);
            if quality > 0.0 && best.is_none_or(|(_, most)| quality > most) {
                best = Some((media, quality));
            }
        }
        best.map(|(media, _)| media)
    }
}

/// The parameters of a request. The types of all of them are looked at: a mistake gets 400.
#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    query: String,
    #[serde(default, rename = "operationName")]
    operation_name: Option<String>,
    #[serde(default)]
    variables: Option<Map<String, Json>>,
    #[serde(default)]
    extensions: Option<Map<String, Json>>,
}

impl Parameters {
    /// The parameters as they stand in a URL, where objects are JSON texts.
    fn of_url(query: &HashMap<String, String>) -> Result<Self, String> {
        let mut object = Map::new();
        for (name, value) in query {
            let value = match &**name {
                "query" | "operationName" => Json::String(value.clone()),
                "variables" | "extensions" => serde_json::from_str(value)
                    .map_err(|error| format!("`{name}` is no JSON: {error}"))?,
                _ => continue,
            };
            object.insert(name.clone(), value);
        }
        Self::of_json(Json::Object(object))
    }

    pub(super) fn of_json(json: Json) -> Result<Self, String> {
        // A list of values without names would be read as well.
        if json.is_array() {
            return Err("a request is an object; send several one by one".to_owned());
        }
        serde_json::from_value(json).map_err(|error| {
            format!(
                "the parameters are {{query, operationName?, variables?, extensions?}}: {error}"
            )
        })
    }

    pub(super) fn request(self) -> Request {
        // Extensions are taken and not used: there is none that this server knows.
        drop(self.extensions);
        let variables = self.variables.map(Json::Object).unwrap_or_default();
        let mut request = Request::new(self.query).variables(Variables::from_json(variables));
        if let Some(name) = self.operation_name {
            request = request.operation_name(name);
        }
        request
    }
}

/// What kind of operation a request runs; `None` if that can't be told, which its execution will say better.
pub(super) fn kind(request: &mut Request) -> Option<OperationType> {
    let wanted = request.operation_name.clone();
    match &request.parsed_query().ok()?.operations {
        DocumentOperations::Single(operation) => Some(operation.node.ty),
        DocumentOperations::Multiple(operations) => {
            let operation = operations.get(wanted?.as_str())?;
            Some(operation.node.ty)
        }
    }
}

/// Answers a POST.
pub(super) async fn post(
    graphql: &GraphQl,
    identity: Identity,
    headers: &HeaderMap,
    body: Body,
) -> Response {
    let Some(media) = Media::wanted(headers) else {
        return not_acceptable();
    };
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(|value| value.split(';').next().unwrap_or_default().trim());
    // Whatever else a page of another origin could send without being asked.
    if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
        let message = "a GraphQL request by POST is application/json";
        return refusal(
            media,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            message,
            "bad_request",
        );
    }
    let most = graphql.state.door.max_body_bytes();
    let parameters = match body::read(headers, body, most).await {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(json) => Parameters::of_json(json),
            Err(error) => Err(format!("the body is no JSON: {error}")),
        },
        Err(problem) => return of_problem(media, &problem),
    };
    match parameters {
        Ok(parameters) => run(graphql, identity, media, parameters.request()).await,
        Err(message) => refusal(media, StatusCode::BAD_REQUEST, &message, "bad_request"),
    }
}

/// Answers a GET, which may only ask.
pub(super) async fn get(
    graphql: &GraphQl,
    identity: Identity,
    headers: &HeaderMap,
    query: &HashMap<String, String>,
) -> Response {
    let Some(media) = Media::wanted(headers) else {
        return not_acceptable();
    };
    let mut request = match Parameters::of_url(query) {
        Ok(parameters) => parameters.request(),
        Err(message) => {
            return refusal(media, StatusCode::BAD_REQUEST, &message, "bad_request");
        }
    };
    if kind(&mut request).is_some_and(|kind| kind != OperationType::Query) {
        let message = "a GET may only ask: send this by POST";
        let code = "method_not_allowed";
        let mut answer = refusal(media, StatusCode::METHOD_NOT_ALLOWED, message, code);
        let allow = HeaderValue::from_static("POST");
        answer.headers_mut().insert(header::ALLOW, allow);
        return answer;
    }
    run(graphql, identity, media, request).await
}

async fn run(
    graphql: &GraphQl,
    identity: Identity,
    media: Media,
    mut request: Request,
) -> Response {
    let caller = match identity.0 {
        Ok(caller) => caller,
        Err(problem) => return of_problem(media, &problem),
    };
    if kind(&mut request) == Some(OperationType::Subscription) {
        let message = "subscriptions go over WebSocket, with the subprotocol graphql-transport-ws";
        return refusal(media, StatusCode::BAD_REQUEST, message, "bad_request");
    }
    // The request itself was counted as one already.
    let fields = root_fields(&mut request);
    if let Err(problem) = graphql.pace_rest(&caller, fields) {
        return of_problem(media, &problem);
    }
    let request = request.data(caller);
    let Ok(answer) = tokio::time::timeout(PATIENCE, graphql.schema.execute(request)).await else {
        let message = "the request took too long";
        return refusal(media, StatusCode::GATEWAY_TIMEOUT, message, "timeout");
    };
    let status = match media {
        Media::GraphQl if is_request_error(&answer) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    respond(media, status, &text(&answer))
}

/// Whether nothing was executed. Then there is no `data` in the answer, not even null: errors of execution tell where
/// they came up, others have no path.
pub(super) fn is_request_error(answer: &Answer) -> bool {
    answer.data == Value::Null
        && !answer.errors.is_empty()
        && answer.errors.iter().all(|error| error.path.is_empty())
}

/// An answer as JSON.
pub(super) fn text(answer: &Answer) -> String {
    let mut json = serde_json::to_value(answer).unwrap_or_default();
    if is_request_error(answer)
        && let Some(object) = json.as_object_mut()
    {
        object.remove("data");
    }
    json.to_string()
}

#[derive(Serialize)]
struct Errors<'a> {
    errors: [Error<'a>; 1],
}

#[derive(Serialize)]
struct Error<'a> {
    message: &'a str,
    extensions: Code<'a>,
}

#[derive(Serialize)]
struct Code<'a> {
    code: &'a str,
}

fn refusal(media: Media, status: StatusCode, message: &str, code: &str) -> Response {
    let error = Error {
        message,
        extensions: Code { code },
    };
    // Texts only: this can't fail.
    let text = serde_json::to_string(&Errors { errors: [error] }).unwrap_or_default();
    let mut response = respond(media, status, &text);
    if status == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, scheme);
    }
    response
}

fn of_problem(media: Media, problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.kind.status());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = refusal(media, status, &problem.message, &problem.code);
    if let Some(wait_s) = problem.retry_after_s() {
        let wait = HeaderValue::from(wait_s);
        response.headers_mut().insert(header::RETRY_AFTER, wait);
    }
    response
}

fn not_acceptable() -> Response {
    let message = "answers are application/graphql-response+json or application/json";
    refusal(
        Media::Json,
        StatusCode::NOT_ACCEPTABLE,
        message,
        "not_acceptable",
    )
}

fn respond(media: Media, status: StatusCode, text: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, media.name()),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, text.to_owned()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(accept: Option<&str>) -> Option<Media> {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(header::ACCEPT, accept.parse().unwrap());
        }
        Media::wanted(&headers)
    }

    #[test]
    fn the_media_type_is_what_the_client_likes_best() {
        for (accept, media) in [
            (None, Some(Media::Json)),
            (Some("*/*"), Some(Media::Json)),
            (Some("application/json"), Some(Media::Json)),
            (
                Some("application/graphql-response+json"),
                Some(Media::GraphQl),
            ),
            (
                Some("application/graphql-response+json, application/json;q=0.9"),
                Some(Media::GraphQl),
            ),
            (
                Some("application/graphql-response+json;q=0.5, application/json"),
                Some(Media::Json),
            ),
            (Some("text/html, */*;q=0.1"), Some(Media::Json)),
            (Some("application/json;q=0"), None),
            (Some("text/html"), None),
        ] {
            assert_eq!(wanted(accept), media, "{accept:?}");
        }
    }

    #[test]
    fn parameters_in_a_url_are_decoded_and_checked() {
        let of = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            let owned = pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Parameters::of_url(&owned.collect())
        };
        let parameters = of(&[
            ("query", "{ a }"),
            ("variables", r#"{"x":1}"#),
            ("other", "2"),
        ]);
        let parameters = parameters.unwrap();
        assert_eq!(parameters.query, "{ a }");
        assert_eq!(parameters.variables.unwrap()["x"], 1);
        for wrong in [
            &[][..],
            &[("query", "a"), ("variables", "7")],
            &[("query", "a"), ("variables", "{")],
            &[("variables", "{}")],
        ] {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
    }
}
