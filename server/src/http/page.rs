//! The page, from the binary's own bytes.
//!
//! What must hold: a path of the page's own routes gets `index.html`, a missing file gets 404 and never a page, and
//! only files whose name holds their hash are kept by browsers unasked.

use axum::body::{Body, Bytes};
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::{HttpState, error};

/// Laid out by `build.rs`, with `.br` and `.gz` beside what compresses well.
#[derive(RustEmbed)]
#[folder = "$OUT_DIR/page"]
struct Files;

/// The path at which the page connects when nothing is written into it.
const DEFAULT_PATH: &str = "/socket.io/";

/// The page itself, where it has to be told something that the file doesn't say.
#[derive(Debug, Clone, Default)]
pub struct Index(Option<(Bytes, String)>);

impl Index {
    /// With the path of the Socket.IO endpoint in `<meta name="lakh-path">`, unless it is the usual one.
    pub fn new(socket_path: &str) -> Self {
        let file = Files::get("index.html").filter(|_| socket_path != DEFAULT_PATH);
        Self(file.map(|file| {
            let page = String::from_utf8_lossy(&file.data);
            let meta = format!(
                "<head><meta name=\"lakh-path\" content=\"{}\">",
                escaped(socket_path)
            );
            let page = page.replacen("<head>", &meta, 1);
            // The path is part of the tag: the same file says something else at another.
            let tag = format!(
                "{}-{:08x}\"",
                etag(&file).trim_end_matches('"'),
                hash(socket_path)
            );
            (page.into(), tag)
        }))
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
}

/// FNV-1a: the same on each start, so that a browser's copy stays good.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// Anything that no other path took.
pub async fn serve(
    State(state): State<HttpState>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return error::read_only(method, OriginalUri(uri)).await;
    }
    let path = uri.path().trim_start_matches('/');
    // What the API doesn't know is no route of the page: a program asked, and wants JSON.
    if path == "api" || path.starts_with("api/") {
        return error::not_found(OriginalUri(uri)).await;
    }
    // A client of Socket.IO that was given another path than the server: a page would only confuse it.
    if uri.query().is_some_and(|query| query.contains("EIO=")) {
        return error::not_found(OriginalUri(uri)).await;
    }
    let own_route = !path.rsplit('/').next().unwrap_or_default().contains('.');
    let name = match Files::get(path) {
        Some(_) if !path.is_empty() => path,
        _ if own_route && !path.starts_with("assets/") => "index.html",
        _ => return error::not_found(OriginalUri(uri)).await,
    };
    let Some(plain) = Files::get(name) else {
        return error::not_found(OriginalUri(uri)).await;
    };
    let kind = content_type(plain.metadata.mimetype());
    let (body, tag, encoding) = match state.index.0 {
        Some((page, tag)) if name == "index.html" => (page, tag, None),
        _ => {
            let (file, encoding) = encoded(name, plain, &headers);
            let tag = etag(&file);
            (Bytes::from(file.data.into_owned()), tag, encoding)
        }
    };
    let file = File {
        name,
        kind,
        body,
        tag,
        encoding,
    };
    answer(file, &headers)
}

/// A file in the form that a client gets.
struct File<'a> {
    name: &'a str,
    kind: String,
    body: Bytes,
    tag: String,
    encoding: Option<&'static str>,
}

fn answer(file: File<'_>, request: &HeaderMap) -> Response {
    let File {
        name,
        kind,
        body,
        tag,
        encoding,
    } = file;
    let unchanged = request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|value| value.trim().trim_start_matches("W/"))
        .any(|value| value == tag || value == "*");
    let mut response = match unchanged {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Body::from(body).into_response(),
    };
    let headers = response.headers_mut();
    let mut set = |name, value: &str| {
        // All of these are made here of plain ASCII.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(header::ETAG, &tag);
    set(header::CACHE_CONTROL, cache_control(name));
    set(header::VARY, "accept-encoding");
    if is_library(name) {
        set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    }
    if !unchanged {
        set(header::CONTENT_TYPE, &kind);
        if let Some(encoding) = encoding {
            set(header::CONTENT_ENCODING, encoding);
        }
    }
    response
}

/// The smallest form that the client takes.
fn encoded(
    name: &str,
    plain: EmbeddedFile,
    request: &HeaderMap,
) -> (EmbeddedFile, Option<&'static str>) {
    for (encoding, suffix) in [("br", "br"), ("gzip", "gz")] {
        if takes(request, encoding)
            && let Some(file) = Files::get(&format!("{name}.{suffix}"))
        {
            return (file, Some(encoding));
        }
    }
    (plain, None)
}

/// Whether `Accept-Encoding` names it with a weight above 0 (RFC 9110 section 12.5.3).
fn takes(request: &HeaderMap, encoding: &str) -> bool {
    let values = request.get_all(header::ACCEPT_ENCODING).iter();
    let text = values.filter_map(|value| value.to_str().ok());
    text.flat_map(|value| value.split(',')).any(|part| {
        let mut words = part.split(';').map(str::trim);
        let named = words
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case(encoding));
        let weight = words.find_map(|word| word.strip_prefix("q="));
        named && weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0))
    })
}

/// A strong tag: each encoding has bytes, and so a tag, of its own.
fn etag(file: &EmbeddedFile) -> String {
    let hash = file.metadata.sha256_hash();
    let hex: String = hash[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("\"{hex}\"")
}

/// What pages of any origin may import: they are the same for everybody. Whether they may connect is another question,
/// which `cors.origins` answers.
fn is_library(name: &str) -> bool {
    matches!(name, "client.js" | "lakh-client.js") || name.starts_with("socket.io/")
}

fn cache_control(name: &str) -> &'static str {
    match name {
        _ if name.starts_with("assets/") => "public, max-age=31536000, immutable",
        "index.html" => "no-cache",
        _ => "public, max-age=3600",
    }
}

fn content_type(mime: &str) -> String {
    let is_text = mime.starts_with("text/") || mime.ends_with("javascript");
    match is_text && !mime.contains("charset") {
        true => format!("{mime}; charset=utf-8"),
        false => mime.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(value: &'static str, encoding: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
        takes(&headers, encoding)
    }

    #[test]
    fn an_encoding_counts_when_its_weight_is_above_zero() {
        assert!(accepts("gzip, deflate, br", "br"));
        assert!(accepts("br;q=0.5", "br"));
        assert!(!accepts("br;q=0", "br"));
        assert!(!accepts("gzip;q=1.0, identity", "br"));
        assert!(!takes(&HeaderMap::new(), "gzip"));
    }

    #[test]
    fn only_hashed_files_are_kept_unasked() {
        assert!(cache_control("assets/index-abc.js").contains("immutable"));
        assert_eq!(cache_control("index.html"), "no-cache");
        assert!(!cache_control("favicon.svg").contains("immutable"));
    }

    #[test]
    fn the_page_is_told_another_path_and_nothing_can_break_out_of_it() {
        assert!(Index::new("/socket.io/").0.is_none());
        let (page, tag) = Index::new("/a\"><b&/").0.unwrap();
        let page = String::from_utf8(page.to_vec()).unwrap();
        assert!(
            page.contains("<head><meta name=\"lakh-path\" content=\"/a&quot;>&lt;b&amp;/\">"),
            "{page}"
        );
        let (_, other) = Index::new("/b/").0.unwrap();
        assert!(
            tag != other && tag.starts_with('"') && tag.ends_with('"'),
            "{tag}"
        );
    }

    #[test]
    fn text_says_its_letters() {
        assert_eq!(content_type("text/css"), "text/css; charset=utf-8");
        assert_eq!(content_type("image/png"), "image/png");
    }
}
