//! `/api/v1/docs`: the description of the API for people. Plain HTML made from it, without a script and without anything
//! from elsewhere, so it holds under the strictest policy of content.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::extract::Request;
use axum::response::Response;
use serde_json::{Map, Value};
use utoipa::OpenApi as _;

use super::openapi::{Description, fixed, tag_of};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem;color:#1d2129;\
background:#fff}h1{margin-bottom:0}h2{border-bottom:2px solid #d7dbe3;margin-top:3rem}h3{margin:2rem 0 .25rem}\
code{font:14px ui-monospace,monospace;overflow-wrap:anywhere}table{border-collapse:collapse;width:100%;margin:.5rem 0}\
td,th{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #e4e7ec}\
b.method{display:inline-block;min-width:3.5rem;color:#0b5394}nav a{margin-right:1rem}a{color:#0b5394}\
@media (prefers-color-scheme:dark){body{background:#15181d;color:#e4e7ec}b.method,a{color:#8ab8e6}\
td,th,h2{border-color:#353a43}}";

/// The page and its tag: both are the same for the life of a binary.
static PAGE: LazyLock<(Bytes, String)> = LazyLock::new(|| {
    // Made of strings and numbers: this can't fail.
    let description = serde_json::to_value(Description::openapi()).unwrap_or_default();
    let page = render(&description);
    let tag = tag_of(page.as_bytes());
    (page.into(), tag)
});

/// The description of the API for people.
pub async fn page(request: Request) -> Response {
    let (page, tag) = &*PAGE;
    fixed(&request, "text/html; charset=utf-8", page, tag)
}

/// A page in the making. Writing to a string can't fail, so nobody looks.
struct Page(String);

impl Page {
    fn put(&mut self, html: std::fmt::Arguments<'_>) {
        let _ = self.0.write_fmt(html);
    }
}

/// Text that says only itself. `code` in the text stands between backticks.
fn text(text: &str) -> String {
    let escaped = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;");
    let parts = escaped.split('`').enumerate();
    let parts = parts.map(|(at, part)| match at % 2 {
        1 => format!("<code>{part}</code>"),
        _ => part.to_owned(),
    });
    parts.collect()
}

fn str_of<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn map_of<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value
        .pointer(pointer)
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::iter)
}

fn list_of<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn render(api: &Value) -> String {
    let mut page = Page(String::with_capacity(64 << 10));
    let (title, version) = (
        str_of(&api["info"], "title"),
        str_of(&api["info"], "version"),
    );
    page.put(format_args!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{0} API</title><style>{STYLE}</style></head><body><main>\
         <h1>{0} API</h1><p>Version {1}, also <a href=\"openapi.json\">as OpenAPI 3.1</a></p><p>{2}</p><nav>",
        text(title),
        text(version),
        text(str_of(&api["info"], "description")),
    ));
    for tag in list_of(api, "tags") {
        let name = text(str_of(tag, "name"));
        page.put(format_args!("<a href=\"#tag-{name}\">{name}</a>"));
    }
    page.put(format_args!("<a href=\"#shapes\">shapes</a></nav>"));
    for tag in list_of(api, "tags") {
        let name = str_of(tag, "name");
        page.put(format_args!(
            "<section id=\"tag-{0}\"><h2>{0}</h2><p>{1}</p>",
            text(name),
            text(str_of(tag, "description")),
        ));
        for (path, methods) in map_of(api, "/paths") {
            for (method, operation) in map_of(methods, "") {
                if list_of(operation, "tags").any(|tag| tag == name) {
                    page.operation(method, path, operation);
                }
            }
        }
        page.put(format_args!("</section>"));
    }
    page.put(format_args!("<section id=\"shapes\"><h2>Shapes</h2>"));
    for (name, schema) in map_of(api, "/components/schemas") {
        page.put(format_args!(
            "<h3 id=\"shape-{0}\">{0}</h3><p>{1}</p>",
            text(name),
            text(str_of(schema, "description")),
        ));
        page.shape(schema);
    }
    page.put(format_args!("</section></main></body></html>\n"));
    page.0
}

impl Page {
    fn operation(&mut self, method: &str, path: &str, operation: &Value) {
        let id = text(str_of(operation, "operationId"));
        let about = [
            str_of(operation, "summary"),
            str_of(operation, "description"),
        ];
        self.put(format_args!(
            "<h3 id=\"op-{id}\"><b class=\"method\">{}</b> <code>{}</code></h3><p>{}</p>",
            method.to_uppercase(),
            text(path),
            text(about.join(" ").trim()),
        ));
        let mut parameters = list_of(operation, "parameters").peekable();
        if parameters.peek().is_some() {
            self.put(format_args!(
                "<table><tr><th>Parameter</th><th>In</th><th>What</th></tr>"
            ));
            for parameter in parameters {
                self.put(format_args!(
                    "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
                    text(str_of(parameter, "name")),
                    text(str_of(parameter, "in")),
                    text(str_of(parameter, "description")),
                ));
            }
            self.put(format_args!("</table>"));
        }
        if let Some(body) = operation.pointer("/requestBody/content/application~1json/schema") {
            self.put(format_args!("<p>Takes {} as JSON.</p>", kind(body)));
        }
        self.put(format_args!("<table><tr><th>Status</th><th>What</th></tr>"));
        for (status, response) in map_of(operation, "/responses") {
            let mut contents = map_of(response, "/content");
            let shape = contents
                .next()
                .and_then(|(_, content)| content.get("schema"));
            let shape = shape.map(|schema| format!(": {}", kind(schema)));
            self.put(format_args!(
                "<tr><td>{}</td><td>{}{}</td></tr>",
                text(status),
                text(str_of(response, "description")),
                shape.unwrap_or_default(),
            ));
        }
        self.put(format_args!("</table>"));
    }

    fn shape(&mut self, schema: &Value) {
        if let Some(Value::Object(fields)) = schema.get("properties") {
            let needed = |name: &str| list_of(schema, "required").any(|other| other == name);
            self.put(format_args!(
                "<table><tr><th>Field</th><th>Kind</th><th>What</th></tr>"
            ));
            for (name, field) in fields {
                let optional = if needed(name) { "" } else { ", optional" };
                self.put(format_args!(
                    "<tr><td><code>{}</code></td><td>{}{optional}</td><td>{}</td></tr>",
                    text(name),
                    kind(field),
                    text(str_of(field, "description")),
                ));
            }
            self.put(format_args!("</table>"));
        }
        let mut variants = list_of(schema, "oneOf").peekable();
        if variants.peek().is_some() {
            self.put(format_args!("<p>One of these:</p>"));
            for variant in variants {
                self.put(format_args!(
                    "<p>{}</p>",
                    text(str_of(variant, "description"))
                ));
                self.shape(variant);
            }
        }
    }
}

/// What kind of value a schema stands for, in a few words.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let name = text(name.rsplit('/').next().unwrap_or_default());
        return format!("<a href=\"#shape-{name}\">{name}</a>");
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        let kinds: Vec<String> = list_of(schema, several).map(kind).collect();
        if !kinds.is_empty() {
            return kinds.join(" or ");
        }
    }
    let word = |name: &str| match name {
        "array" => match schema.get("items") {
            Some(items) => format!("list of {}", kind(items)),
            None => "list".to_owned(),
        },
        name => text(name),
    };
    match schema.get("type") {
        Some(Value::String(name)) => word(name),
        Some(Value::Array(names)) => {
            let names = names.iter().filter_map(Value::as_str).map(word);
            names.collect::<Vec<_>>().join(" or ")
        }
        _ => "any value".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_and_every_shape_stands_on_the_page_and_nothing_comes_from_elsewhere() {
        let api = serde_json::to_value(Description::openapi()).unwrap();
        let page = render(&api);
        let mut operations = 0;
        for (path, methods) in map_of(&api, "/paths") {
            assert!(
                page.contains(&format!("<code>{}</code></h3>", text(path))),
                "{path}"
            );
            operations += map_of(methods, "").count();
        }
        assert_eq!(page.matches("class=\"method\"").count(), operations);
        for (name, _) in map_of(&api, "/components/schemas") {
            assert!(page.contains(&format!("id=\"shape-{name}\"")), "{name}");
        }
        for link in page.split("href=\"").skip(1) {
            let link = link.split('"').next().unwrap();
            let inside = link
                .strip_prefix('#')
                .is_none_or(|id| page.contains(&format!("id=\"{id}\"")));
            assert!(inside, "{link} leads nowhere");
        }
        assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("//cdn"));
    }

    #[test]
    fn texts_say_only_themselves() {
        assert_eq!(
            text("<b> `a<b>` & \"x\""),
            "&lt;b&gt; <code>a&lt;b&gt;</code> &amp; &quot;x&quot;"
        );
    }
}
