//! Where a sign-in leads to: a path of this page, whatever a link says.

/// Longer ones are no path of ours.
const MAX_BYTES: usize = 512;

/// The path, if it lies within this page; else the overview.
///
/// Browsers take `//host`, `/\host` and `/<tab>/host` for another site, so nothing that begins so may pass, and nothing
/// that would lead into a second sign-in.
pub(super) fn safe(path: Option<&str>) -> &str {
    path.filter(|path| is_own(path)).unwrap_or("/")
}

fn is_own(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    let below = |folder: &str| {
        path.strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
    };
    path.len() <= MAX_BYTES
        && path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(plain)
        && !["/console", "/api", "/sign-in"].into_iter().any(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_page_are_followed() {
        for own in [
            "/",
            "/chat",
            "/chat/general?x=1#end",
            "/consoles",
            "/a//b",
            "/%2F%2Fevil.example",
        ] {
            assert_eq!(safe(Some(own)), own);
        }
        let long = format!("/{}", "x".repeat(MAX_BYTES));
        for other in [
            "",
            "chat",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            " /chat",
            "https://evil.example",
            "https:/evil.example",
            "javascript:alert(1)",
            "/a\r\nSet-Cookie: x=1",
            "/chat\\..",
            "/é",
            "/console/sign-in",
            "/console",
            "/api/v1/stats",
            "/sign-in?problem=x",
            &long,
        ] {
            assert_eq!(safe(Some(other)), "/", "{other:?}");
        }
        assert_eq!(safe(None), "/");
    }
}
