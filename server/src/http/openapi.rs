//! `/api/v1/openapi.json`: what the HTTP side is, made from the handlers themselves.

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::api::chat::CHAT_REQUESTS;
use super::api::world::WORLD_REQUESTS;
use super::{api, error, health, stats};
use crate::console::routes as console;
use crate::service::once::fingerprint;

/// The description of the API.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Lakh",
        description = "What backends can have a Lakh server do: send events, see who is there, move and disconnect clients; \
                       beside that, health and numbers of a node. It takes an API key, a token, or signed requests; what \
                       each of them may do is said by grants such as `api:emit:board:*`. In development, requests from \
                       this machine need nothing."
    ),
    paths(
        health::live, health::ready, health::metrics, stats::stats, document,
        api::events::emit, api::events::emit_with_ack, api::events::batch,
        api::sockets::join, api::sockets::leave, api::sockets::disconnect, api::sockets::sockets, api::sockets::socket,
        api::rooms::rooms, api::rooms::room, api::rooms::presence, api::rooms::history,
        api::tokens::tokens, api::tokens::revoke, api::tokens::revocations,
        api::hooks::hooks, api::hooks::dead_letters, api::hooks::replay, api::hooks::discard,
        api::nodes::nodes, api::nodes::drain, api::chat::chat, api::chat::export,
        api::world::world, console::who, console::local, console::end,
    ),
    components(schemas(health::Health, stats::Stats, error::ErrorBody)),
    modifiers(&Schemes, &CHAT_REQUESTS, &WORLD_REQUESTS),
    tags(
        (name = "events", description = "Send events from outside"),
        (name = "sockets", description = "Who is connected"),
        (name = "rooms", description = "Which rooms there are, and who is in them"),
        (name = "tokens", description = "Sign-ins of clients"),
        (name = "hooks", description = "How hooks are doing, and what they gave up"),
        (name = "chat", description = "The chat's requests, for a person or for the backend itself"),
        (name = "world", description = "The requests of worlds, for a person or for the backend itself"),
        (name = "nodes", description = "The nodes of a fleet"),
        (name = "api", description = "For the page and for programs"),
        (name = "console", description = "Sign-in at the page"),
        (name = "health", description = "For whoever keeps the server running")
    )
)]
#[derive(Debug)]
pub struct Description;

struct Schemes;

impl Modify for Schemes {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = |format: &str, about: &str| {
            let scheme = HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format(format)
                .description(Some(about));
            SecurityScheme::Http(scheme.build())
        };
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme(
            "key",
            bearer("lakh_<id>_<secret>", "An API key; in `X-Api-Key` too"),
        );
        components.add_security_scheme(
            "token",
            bearer(
                "JWT",
                "A token with grants for the module `api`, or of an admin",
            ),
        );
        let signature = ApiKeyValue::with_description(
            "Authorization",
            "`Lakh-HMAC-SHA256 key=…, time=…, nonce=…, signature=…`, as docs/api.md says",
        );
        components.add_security_scheme(
            "signature",
            SecurityScheme::ApiKey(ApiKey::Header(signature)),
        );
    }
}

/// The description as JSON, and its tag: both are the same for the life of a binary.
static JSON: LazyLock<(Bytes, String)> = LazyLock::new(|| {
    // Made of strings and numbers: this can't fail.
    let json = Description::openapi().to_json().unwrap_or_default();
    let tag = tag_of(json.as_bytes());
    (json.into(), tag)
});

/// An entity tag of bytes that don't change.
pub(super) fn tag_of(bytes: &[u8]) -> String {
    format!("\"{}\"", &fingerprint("etag", bytes)[..16])
}

/// Bytes that never change for this binary, or 304 if the client has them.
pub(super) fn fixed(request: &Request, kind: &'static str, body: &Bytes, tag: &str) -> Response {
    let known = request.headers().get_all(header::IF_NONE_MATCH);
    let known = known.iter().filter_map(|tags| tags.to_str().ok());
    let is_known = known
        .flat_map(|tags| tags.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|known| known == tag || known == "*");
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(header::CONTENT_TYPE, kind)], body.clone()).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// This description.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "api", responses(
    (status = 200, description = "OpenAPI 3.1", content_type = "application/json"),
    (status = 304, description = "It is the one that the client has")))]
pub async fn document(request: Request) -> Response {
    let (json, tag) = &*JSON;
    fixed(&request, "application/json", json, tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE=1 cargo test -p lakh-server openapi` writes the file anew.
    #[test]
    fn the_page_in_the_docs_is_the_one_made_from_the_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
        let made = Description::openapi().to_pretty_json().unwrap() + "\n";
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs")).unwrap();
            std::fs::write(path, &made).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == made,
            "docs/openapi.json is old: run `UPDATE=1 cargo test -p lakh-server openapi`"
        );
    }
}
