//! What the schema offers.

use std::collections::BTreeSet;

use serde_json::Value;
use utoipa::OpenApi as _;

use super::builder;
use crate::http::openapi::Description;

/// Each operation of the HTTP API, and the field that is the same over GraphQL.
const SAME: &[(&str, &str)] = &[
    ("emit", "emit("),
    ("emit_with_ack", "emitWithAck("),
    ("batch", "batch("),
    ("join", "join("),
    ("leave", "leave("),
    ("disconnect", "disconnect("),
    ("sockets", "sockets("),
    ("socket", "socket("),
    ("rooms", "rooms("),
    ("room", "room("),
    ("presence", "presence("),
    ("history", "history("),
    ("tokens", "issueToken("),
    ("revoke", "revoke("),
    ("revocations", "revocations("),
    ("hooks", "hooks:"),
    ("dead_letters", "deadLetters("),
    ("replay", "replayDeadLetters("),
    ("discard", "discardDeadLetters("),
    ("nodes", "nodes:"),
    ("drain", "drain("),
    ("stats", "stats:"),
];

/// What is for browsers, for the page, and for whoever keeps the server running.
const OTHER_TAGS: [&str; 2] = ["console", "health"];

fn sdl() -> String {
    builder().finish().sdl()
}

/// `UPDATE=1 cargo test -p lakh-server schema` writes the file anew.
#[test]
fn the_schema_in_the_docs_is_the_one_made_from_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema.graphql");
    let made = sdl();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == made,
        "docs/schema.graphql is old: run `UPDATE=1 cargo test -p lakh-server schema`"
    );
}

#[test]
fn whatever_the_http_api_offers_is_offered_over_graphql() {
    let api = serde_json::to_value(Description::openapi()).unwrap();
    let sdl = sdl();
    let mut offered = BTreeSet::new();
    for methods in api["paths"].as_object().unwrap().values() {
        for operation in methods.as_object().unwrap().values() {
            let tags = operation["tags"].as_array().unwrap();
            let is_other = |tag: &Value| OTHER_TAGS.contains(&tag.as_str().unwrap());
            if !tags.iter().any(is_other) {
                offered.insert(operation["operationId"].as_str().unwrap().to_owned());
            }
        }
    }
    // All requests of the chat are one field, and so are those of worlds.
    offered.retain(|id| !id.starts_with("chat_") && !id.starts_with("world_"));
    assert!(sdl.contains("\tchat(") && sdl.contains("\tworld("));
    // The description itself, which GraphQL has by introspection.
    assert!(offered.remove("document"));
    let same: BTreeSet<String> = SAME.iter().map(|(id, _)| (*id).to_owned()).collect();
    assert_eq!(offered, same);
    for (id, field) in SAME {
        let field = format!("\t{field}");
        assert!(sdl.contains(&field), "{id}: there is no field {field}");
    }
}
