//! `/api/v1/openapi.json`: what the HTTP side is, made from the handlers themselves.

use axum::Json;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{error, health, stats};

/// The description of the API.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Lakh",
        description = "Health, metrics and numbers of a Lakh node. In production `/api/v1` wants a token \
                       of an admin: `lakh token --admin`."
    ),
    paths(health::live, health::ready, health::metrics, stats::stats, document),
    components(schemas(health::Health, stats::Stats, error::ErrorBody)),
    modifiers(&BearerToken),
    tags(
        (name = "health", description = "For whoever keeps the server running"),
        (name = "api", description = "For the page and for programs")
    )
)]
#[derive(Debug)]
pub struct Description;

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .build();
        openapi
            .components
            .get_or_insert_default()
            .add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// This description.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "api", security((), ("token" = [])), responses(
    (status = 200, description = "OpenAPI 3.1", content_type = "application/json"),
    (status = 401, description = "In production: no valid token", body = error::ErrorBody),
    (status = 403, description = "In production: not an admin's token", body = error::ErrorBody)))]
pub async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(Description::openapi())
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
