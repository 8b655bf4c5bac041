//! What a file is: by what its bytes begin with, and by what whoever sends it says.
//!
//! What must hold: nothing is called a picture that doesn't begin as one, and only what no browser runs is shown in its place.

/// Types that browsers show without running anything in them. Everything else is for saving.
const SHOWN: &[&str] = &[
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/avif",
    "image/bmp",
    "audio/mpeg",
    "audio/mp4",
    "audio/m4a",
    "audio/aac",
    "audio/ogg",
    "audio/x-wav",
    "audio/wav",
    "audio/x-flac",
    "audio/flac",
    "audio/webm",
    "video/mp4",
    "video/webm",
    "video/ogg",
    "video/quicktime",
    "text/plain",
];
/// Types whose beginning is known: who claims one of them is held to it.
const CERTAIN: &[&str] = &["application/pdf", "application/zip", "application/gzip"];
/// What nobody knows more of.
pub const UNKNOWN: &str = "application/octet-stream";
/// Longest type, in bytes.
const MAX_BYTES: usize = 128;

/// A file isn't what it's said to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSo {
    /// The claim is another.
    #[error("this is said to be `{claimed}`, but it begins as {found}; send it as what it is")]
    Claimed {
        /// What was said.
        claimed: String,
        /// What it seems to be.
        found: String,
    },
}

/// Whether it's written as a type, `image/png`, without parameters.
#[must_use]
pub fn is_type(text: &str) -> bool {
    let token = |part: &str| {
        let of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        !part.is_empty() && part.bytes().all(of_token)
    };
    text.len() <= MAX_BYTES
        && text
            .split_once('/')
            .is_some_and(|(top, sub)| token(top) && token(sub))
}

/// A type as it's kept: in small letters, without parameters. `None` if it is none.
#[must_use]
pub fn plain(text: &str) -> Option<String> {
    let bare = text.split(';').next().unwrap_or_default().trim();
    is_type(bare).then(|| bare.to_ascii_lowercase())
}

/// Whether one of the patterns fits a type: `image/png`, `image/*`, `application/vnd.ms-*` or `*/*`.
#[must_use]
pub fn fits(patterns: &[String], kind: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.as_str() {
        "*" | "*/*" => true,
        pattern => match pattern.strip_suffix('*') {
            Some(begin) => begin.contains('/') && kind.starts_with(begin),
            None => pattern.eq_ignore_ascii_case(kind),
        },
    })
}

/// Whether a browser may show it where a page wants it, instead of saving it.
#[must_use]
pub fn is_shown(kind: &str) -> bool {
    SHOWN.contains(&kind)
}

/// What a browser is told that it is. What it could run as a part of a page (scripts, styles, markup) it's told nothing of:
/// then it refuses to.
#[must_use]
pub fn served_as(kind: &str) -> &str {
    let is_package = ["zip", "gzip", "pdf", "msword"]
        .iter()
        .any(|sub| kind == format!("application/{sub}"))
        || (kind.starts_with("application/vnd.") && !kind.ends_with("+xml"));
    match is_shown(kind) || is_package || matches!(kind, "text/csv" | "text/markdown") {
        true => kind,
        false => UNKNOWN,
    }
}

/// What bytes begin as.
#[must_use]
pub fn begins_as(head: &[u8]) -> Option<&'static str> {
    infer::get(head).map(|found| found.mime_type())
}

/// What a file counts as: what its bytes say, where they say something, else what is claimed.
///
/// # Errors
/// [`NotSo`] for what is no picture and claims to be one, and other claims that can be told to be wrong.
pub fn settle(claimed: &str, head: &[u8]) -> Result<String, NotSo> {
    let found = begins_as(head);
    let not_so = || NotSo::Claimed {
        claimed: claimed.to_owned(),
        found: found.map_or_else(|| "nothing known".to_owned(), |found| format!("`{found}`")),
    };
    match (top(claimed), found) {
        ("image", _) if claimed == "image/svg+xml" => match is_svg(head) {
            true => Ok(claimed.to_owned()),
            false => Err(not_so()),
        },
        ("image", Some(found)) if top(found) == "image" => Ok(found.to_owned()),
        ("image", _) => Err(not_so()),
        // Containers hold sound or pictures, which their beginning doesn't say.
        ("audio" | "video", Some(found)) if matches!(top(found), "audio" | "video") => {
            let same = found.split_once('/').map(|(_, sub)| sub);
            match claimed.split_once('/').map(|(_, sub)| sub) == same {
                true => Ok(claimed.to_owned()),
                false => Ok(found.to_owned()),
            }
        }
        ("audio" | "video", None) => Ok(UNKNOWN.to_owned()),
        (_, found) if CERTAIN.contains(&claimed) && found != Some(claimed) => Err(not_so()),
        // Packages and texts are many things, and who sends one knows which.
        (_, Some(found)) if is_vague(found) && claimed != UNKNOWN => Ok(claimed.to_owned()),
        (_, Some(found)) => Ok(found.to_owned()),
        (_, None) => Ok(claimed.to_owned()),
    }
}

fn top(kind: &str) -> &str {
    kind.split('/').next().unwrap_or_default()
}

fn is_vague(found: &str) -> bool {
    top(found) == "text"
        || matches!(
            found,
            "application/zip" | "application/gzip" | "application/x-ole-storage"
        )
}

fn is_svg(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    text.starts_with('<') && text.contains("<svg")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x10JFIF\0";
    const PDF: &[u8] = b"%PDF-1.7\n";
    const ZIP: &[u8] = b"PK\x03\x04\x14\0\0\0";
    const EXE: &[u8] = b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff";
    const HTML: &[u8] = b"<!DOCTYPE html><script>alert(1)</script>";
    const SVG: &[u8] = b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>";

    #[test]
    fn what_bytes_say_counts_before_what_is_claimed() {
        let docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        for (claimed, head, settled) in [
            ("image/png", PNG, "image/png"),
            ("image/png", JPEG, "image/jpeg"),
            ("image/svg+xml", SVG, "image/svg+xml"),
            ("text/plain", PNG, "image/png"),
            ("application/octet-stream", PNG, "image/png"),
            ("application/octet-stream", HTML, "text/html"),
            ("application/octet-stream", b"\0\x01", UNKNOWN),
            ("application/pdf", PDF, "application/pdf"),
            ("text/plain", b"hello", "text/plain"),
            ("text/html", HTML, "text/html"),
            ("text/plain", HTML, "text/plain"),
            (docx, ZIP, docx),
            ("text/csv", b"a,b", "text/csv"),
            ("audio/mpeg", b"ID3\x03\0\0\0", "audio/mpeg"),
            ("audio/mpeg", b"no sound at all", UNKNOWN),
            (
                "application/json",
                EXE,
                "application/vnd.microsoft.portable-executable",
            ),
        ] {
            assert_eq!(settle(claimed, head).as_deref(), Ok(settled), "{claimed}");
        }
    }

    #[test]
    fn false_claims_are_refused() {
        for (claimed, head) in [
            ("image/png", HTML),
            ("image/png", b"" as &[u8]),
            ("image/jpeg", EXE),
            ("image/webp", PDF),
            ("image/svg+xml", HTML),
            ("image/svg+xml", PNG),
            ("application/pdf", HTML),
            ("application/zip", PNG),
        ] {
            let error = settle(claimed, head).unwrap_err();
            assert!(error.to_string().contains(claimed), "{error}");
        }
    }

    #[test]
    fn patterns_fit_types() {
        let patterns = ["image/*", "application/pdf"].map(str::to_owned);
        for (kind, yes) in [
            ("image/png", true),
            ("image/svg+xml", true),
            ("application/pdf", true),
            ("application/pdfx", false),
            ("imagex/png", false),
            ("text/plain", false),
        ] {
            assert_eq!(fits(&patterns, kind), yes, "{kind}");
        }
        assert!(fits(&["*/*".to_owned()], "a/b"));
        assert!(fits(
            &["application/vnd.ms-*".to_owned()],
            "application/vnd.ms-excel"
        ));
        assert!(!fits(
            &["*".to_owned() + "x", "ima*".to_owned()],
            "image/png"
        ));
        assert!(!fits(&[], "a/b"));
    }

    #[test]
    fn nothing_that_browsers_run_is_shown() {
        for kind in [
            "text/html",
            "image/svg+xml",
            "text/javascript",
            "application/xhtml+xml",
            "application/pdf",
            "text/xml",
            UNKNOWN,
        ] {
            assert!(!is_shown(kind), "{kind}");
        }
        for kind in [
            "text/html",
            "image/svg+xml",
            "text/javascript",
            "text/css",
            "application/vnd.x+xml",
            "application/json",
        ] {
            assert_eq!(served_as(kind), UNKNOWN);
        }
        for kind in ["image/png", "application/pdf", "application/vnd.ms-excel"] {
            assert_eq!(served_as(kind), kind);
        }
        assert!(is_shown("image/png"));
    }

    #[test]
    fn a_type_is_two_tokens() {
        assert_eq!(plain(" Image/PNG; q=1").as_deref(), Some("image/png"));
        for text in [
            "",
            "image",
            "image/",
            "/png",
            "a/b/c",
            "a b/c",
            "a/b\r\nX: y",
        ] {
            assert_eq!(plain(text), None, "{text:?}");
        }
    }
}
